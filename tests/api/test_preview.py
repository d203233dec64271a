"""A preview over HTTP: what the hub would decide, nothing recorded, nothing told of others."""

from __future__ import annotations

import time
from typing import Any

from connectors.agency.outcomes import read_outcomes
from connectors.submit import Event, Publisher
from hub.domain.reasons import WITHHELD
from tests.api.conftest import Api
from tests.road import CONSENT

CONTACT = {
    "phone": "+00 0",
    "safe_to_call": True,
    "safe_to_email": False,
    "safe_to_post": False,
    "language": "en",
    "interpreter_needed": False,
}


def sealed(api: Api, agency: str, *events: tuple[str, str, dict[str, Any]]) -> bytes:
    made = [Event(kind, case, data) for kind, case, data in events]
    return Publisher(api.world.identities[agency]).prepare(made)


def asked(api: Api, kind: str, case: str, agency: str = "NGO-1", **data: Any) -> Any:
    body = sealed(api, agency, (kind, case, data))
    answer = api.call("POST", "/v1/preview", agency=agency, body=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def stated(api: Api, kind: str, case: str, agency: str = "NGO-1", **data: Any) -> None:
    body = sealed(api, agency, (kind, case, data))
    answer = api.call("POST", "/v1/submissions", agency=agency, body=body)
    [outcome] = read_outcomes(answer.content, api.world.identities[agency])
    assert outcome.accepted, outcome


def test_who_would_receive_what_and_why(api: Api) -> None:
    case = "PV-1"
    assert api.call("POST", "/v1/submissions", body=api.world.opening(case)).status_code == 200
    scope = {"SH-1": ["contact"]}
    stated(api, "ConsentGiven", case, consent_id="c1", scope=scope, **CONSENT_NOW)
    assert asked(api, "ContactPreferenceRecorded", case, **CONTACT)["agencies"] == []
    stated(api, "ReferralMade", case, referral_id="r1", to_agency="SH-1", **REFERRAL)
    stated(api, "ReferralAccepted", case, "SH-1", referral_id="r1")
    for _ in range(200):  # NGO-1 knows of the acceptance when it is on its way there
        told = asked(api, "ContactPreferenceRecorded", case, **CONTACT)
        if told["agencies"]:
            break
        time.sleep(0.05)
    before = api.world.hub.exchange.log.head
    assert asked(api, "ContactPreferenceRecorded", case, **CONTACT) == told
    assert told["refused"] is None
    by_agency = {one["agency"]: one["categories"] for one in told["agencies"]}
    [contact] = by_agency["SH-1"]
    assert contact == {
        "category": "contact",
        "released": True,
        "basis": "consent:c1",
        "reason": None,
        "says": None,
    }
    identity = asked(api, "IdentityRecorded", case, **IDENTITY)
    [told] = [one["categories"] for one in identity["agencies"] if one["agency"] == "SH-1"]
    withheld = [one for one in told if one["category"] == "identity"]
    assert [one["says"] for one in withheld] == [WITHHELD["no_consent"]]
    assert api.world.hub.exchange.log.head == before  # nothing is recorded


def test_a_refusal_is_foretold(api: Api) -> None:
    told = asked(api, "ContactPreferenceRecorded", "PV-none", **CONTACT)
    assert (told["refused"]["step"], told["refused"]["reason"]) == (7, "unknown_case")
    told = asked(api, "AgeAssessed", "PV-none", "SH-1", method="holistic", outcome="adult")
    assert told["refused"]["step"] in (6, 7)
    assert told["agencies"] == []


def test_another_agencys_case_is_like_none(api: Api) -> None:
    assert api.call("POST", "/v1/submissions", body=api.world.opening("PV-2")).status_code == 200
    there = asked(api, "IdentityRecorded", "PV-2", "SH-1", **IDENTITY)
    nowhere = asked(api, "IdentityRecorded", "PV-3", "SH-1", **IDENTITY)
    assert there == nowhere


def test_what_is_no_single_event_of_the_caller_is_a_problem(api: Api) -> None:
    opened = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
    two = sealed(api, "NGO-1", ("CaseOpened", "PV-4", opened), ("CaseOpened", "PV-5", opened))
    assert api.call("POST", "/v1/preview", body=two).json()["code"] == "bad_parameter"
    theirs = sealed(api, "NGO-1", ("CaseOpened", "PV-4", opened))
    answer = api.call("POST", "/v1/preview", agency="SH-1", body=theirs)
    assert answer.json()["code"] == "not_yours"
    junk = api.call("POST", "/v1/preview", body=b"junk").json()
    assert junk["refused"]["reason"] == "malformed"


CONSENT_NOW = {**CONSENT, "valid_until": "2099-01-01"}
REFERRAL = {
    "services": ["accommodation"],
    "urgency": "3_hours",
    "respond_by": "2099-03-02T15:00:00Z",
    "basis": "c1",
}
IDENTITY = {"given_name": "A", "family_name": "B", "dob_precision": "day", "citizenships": ["XX"]}
