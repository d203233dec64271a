"""Consent records: every statement kept, state and scope as decisions read them, side by side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.consent.reading import consent_record, consent_records, consents_to_review
from hub.consent.records import ConsentRecord
from hub.errors import Refused
from hub.release import standing
from tests.cli.programs import nrm
from tests.consent.stage import OPENED, ROLES, accepted, needs, open_case, withdraw
from tests.road import CONSENT, Road

ASKED = {
    "notice_version": "n1",
    "language": "ro",
    "interpreter_used": True,
    "explained_by_role": "ngo_support",
}


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    road = Road.open(tmp_path, ROLES)
    yield road
    road.close()


def today(road: Road) -> date:
    return road.time.at.date()


def record(road: Road, consent: str = "c1", case: str = "C1") -> ConsentRecord:
    return consent_record(road.hub.exchange, case, consent, today(road))


def test_the_whole_life_of_one_consent(road: Road) -> None:
    accepted(road.publish("NGO-1", "CaseOpened", "C1", **OPENED))
    positions = []

    def say(type_: str, by: str = "NGO-1", **data: Any) -> ConsentRecord:
        outcome = accepted(road.publish(by, type_, "C1", consent_id="c1", **data))
        positions.append(outcome.position)
        return record(road)

    assert say("ConsentRequested", **ASKED).state == "requested"
    assert say("ConsentRefused", refused_purposes=["research"]).state == "refused"
    assert say("ConsentRequested", **ASKED).state == "requested"
    scope = {"SH-1": ["health", "identity"], "POL-1": ["identity"]}
    given = say("ConsentGiven", scope=scope, **CONSENT)
    assert given.state == "given"
    assert given.scope == {
        agency: dict.fromkeys(names, positions[-1]) for agency, names in scope.items()
    }
    assert given.describing["language"] == "ro"
    assert given.jurisdiction == "XX"
    narrowed = {"scope": {"SH-1": ["health", "contact"], "POL-1": ["identity"]}}
    amended = say("ConsentAmended", valid_until="2026-04-01", reason="narrowed", **narrowed)
    assert amended.scope["SH-1"] == {"health": positions[3], "contact": positions[4]}
    part = say("ConsentWithdrawn", extent="recipients", recipients=["POL-1"], leave_nrm=False)
    assert (part.state, set(part.scope)) == ("given", {"SH-1"})
    road.time.at += timedelta(days=60)
    assert record(road).state == "expired", "past its last day, whether or not anybody says so"
    gone = say("ConsentWithdrawn", by="SH-1", extent="all", leave_nrm=False)
    assert (gone.state, gone.scope) == ("withdrawn", {})
    assert [one.position for one in gone.statements] == positions
    assert gone.statements[-1].agency == "SH-1"
    assert all(one.content is not None for one in gone.statements)


def test_withdrawn_by_parts_until_nobody_is_left_is_withdrawn(road: Road) -> None:
    open_case(road, "C1", {"SH-1": ["health"]})
    withdraw(road, "C1", extent="categories", categories=["health"])
    assert record(road).state == "withdrawn"


def test_what_two_agencies_say_differently_stands_side_by_side(road: Road) -> None:
    accepted(road.publish("NGO-1", "CaseOpened", "C1", **OPENED))
    accepted(road.publish("NGO-1", "ConsentRequested", "C1", consent_id="c1", **ASKED))
    scope = {"SH-1": ["health"]}
    accepted(road.publish("NGO-1", "ConsentGiven", "C1", consent_id="c1", scope=scope, **CONSENT))
    accepted(road.publish("NGO-1", "ReferralMade", "C1", referral_id="r", to_agency="SH-1",
                          services=["accommodation"], urgency="3_hours", basis="c1",
                          respond_by="2026-03-02T15:00:00Z"))  # fmt: skip
    accepted(road.publish("SH-1", "ReferralAccepted", "C1", referral_id="r"))
    other = {**ASKED, "language": "uk", "explained_by_role": "shelter"}
    accepted(road.publish("SH-1", "ConsentRequested", "C1", consent_id="c1", **other))
    accepted(
        road.publish("SH-1", "ConsentRefused", "C1", consent_id="c1", refused_purposes=["health"])
    )
    found = record(road)
    about = {one.about: [(who, value) for who, _, value in one.said] for one in found.differences}
    assert about["language"] == [("NGO-1", "ro"), ("SH-1", "uk")]
    assert about["answer"] == [("NGO-1", "ConsentGiven"), ("SH-1", "ConsentRefused")]
    assert found.state == "given", "what decisions read; the difference is for a person to settle"
    assert len(found.statements) == 4
    plain = nrm("consent", "show", "--home", road.folder / "hub", "--case", "C1").out
    assert "DIFFERENT STATEMENTS about language: NGO-1 at " in plain
    assert "SH-1 at " in plain


def test_one_agency_that_says_something_new_is_no_conflict(road: Road) -> None:
    open_case(road, "C1", {"SH-1": ["health"]})
    withdraw(road, "C1")
    accepted(road.publish("NGO-1", "ConsentRequested", "C1", consent_id="c1", **ASKED))
    later = {**CONSENT, "method": "pictogram", "notice_version": "n2"}
    scope = {"SH-1": ["health"]}
    accepted(road.publish("NGO-1", "ConsentGiven", "C1", consent_id="c1", scope=scope, **later))
    assert record(road).differences == ()
    assert record(road).describing["method"] == "pictogram"


def test_the_record_says_what_decisions_read(road: Road) -> None:
    """Pairs and state come from the fold the rules ask: granted here is standing there."""
    open_case(road, "C1", {"SH-1": ["protection", "health"], "POL-1": ["identity"]})
    event_id = str(needs(road, "C1").event_id)
    exchange = road.hub.exchange
    case = exchange.case(exchange.pseudonyms.canonical("case", "C1"))
    assert case is not None
    for changed in (False, True):
        if changed:
            withdraw(road, "C1", extent="categories", categories=["health"])
        pairs = record(road).scope["SH-1"]
        stands = standing(
            case, "SH-1", event_id, {"health": "consent:c1"}, exchange.agencies.parties(),
            exchange.policy(), road.time.at,
        )  # fmt: skip
        assert ("health" in pairs) == (stands == {"health": "consent:c1"}) == (not changed)


def test_a_noted_risk_is_shown_to_a_person_and_changes_no_decision(road: Road) -> None:
    details = {
        "language": "uk",
        "interpreter_used": True,
        "interpreter_accredited_until": "2026-12-31",
        "coercion_risk": "possible",
    }
    open_case(road, "C1", {"SH-1": ["protection", "health"]}, **details)
    open_case(road, "C2", {"SH-1": ["protection"]}, coercion_risk="none_seen")
    assert record(road).to_review
    assert record(road).describing["interpreter_accredited_until"] == "2026-12-31"
    assert not record(road, case="C2").to_review
    [found] = consents_to_review(road.hub.exchange)
    assert (found["case"], found["consent"], found["agency"]) == ("C1", "c1", "NGO-1")
    needs(road, "C1")
    road.settle()
    case = road.hub.exchange.case(road.hub.exchange.pseudonyms.canonical("case", "C1"))
    assert case is not None
    assert "consent:c1" in case.holdings["SH-1"].values(), "RULES give no rule for it"
    home = road.folder / "hub"
    assert "possible" in nrm("consent", "review", "--home", home).out
    assert json.loads(nrm("consent", "review", "--home", home, "--json").out) == [found]
    assert "REVIEW" in nrm("consent", "show", "--home", home, "--case", "C1").out


def test_no_case_and_no_record_are_said_plainly(road: Road) -> None:
    accepted(road.publish("NGO-1", "CaseOpened", "C1", **OPENED))
    assert consent_records(road.hub.exchange, "C1", today(road)) == []
    with pytest.raises(Refused, match="no such case"):
        consent_records(road.hub.exchange, "C9", today(road))
    with pytest.raises(Refused, match="no such consent record; it has: none"):
        record(road)
    home = road.folder / "hub"
    assert "no consent record" in nrm("consent", "show", "--home", home, "--case", "C1").out
    missing = nrm("consent", "record", "--home", home, "--case", "C1", "--consent", "c1")
    assert (missing.code, missing.out) == (1, "")
    assert "unknown_consent" in missing.err


BAD: list[tuple[str, dict[str, Any], str]] = [
    ("ConsentGiven", {"scope": {"SH-1": ["health"], "SHH-1": ["health"]}}, "unknown_agency"),
    ("ConsentGiven", {"scope": {"SH-1": ["health"]}, "valid_until": "2026-03-01"}, "validity_past"),
    (
        "ConsentGiven",
        {"scope": {"SH-1": ["health"]}, "interpreter_accredited_until": "2026-03-01"},
        "interpreter_lapsed",
    ),
    ("ConsentAmended", {"scope": {"SH-1": ["health"]}}, "unknown_consent"),
    ("ConsentWithdrawn", {"extent": "all"}, "unknown_consent"),
]


@pytest.mark.parametrize(("type_", "changes", "reason"), BAD)
def test_what_cannot_be_meant_is_refused_with_what_to_do(
    road: Road, type_: str, changes: dict[str, Any], reason: str
) -> None:
    accepted(road.publish("NGO-1", "CaseOpened", "C1", **OPENED))
    base: dict[str, Any] = {
        "ConsentGiven": CONSENT,
        "ConsentAmended": {"valid_until": "2026-08-01", "reason": "renewal"},
        "ConsentWithdrawn": {"leave_nrm": False},
    }[type_]
    outcome = road.publish("NGO-1", type_, "C1", consent_id="c1", **{**base, **changes})
    assert (outcome.accepted, outcome.step, outcome.reason) == (False, 7, reason)
    assert outcome.detail
    assert "SHH-1" not in outcome.detail
    right = {**CONSENT, "scope": {"SH-1": ["health"]}}
    assert road.publish("NGO-1", "ConsentGiven", "C1", consent_id="c1", **right).accepted


def test_a_late_report_of_what_was_right_then_is_taken(road: Road) -> None:
    """Accreditation and validity count on the day it was given, not on the day it arrives."""
    accepted(road.publish("NGO-1", "CaseOpened", "C1", **OPENED))
    scope = {"SH-1": ["health"]}
    last_day = {"valid_until": "2026-03-02", "interpreter_accredited_until": "2026-03-02"}
    event = road.event("ConsentGiven", "C1", consent_id="c1", scope=scope, **CONSENT | last_day)
    road.time.at += timedelta(days=3)
    assert road.publish_all("NGO-1", [event])[0].accepted
    assert record(road).state == "expired"


def test_a_withdrawal_from_nobody_registered_is_not_acknowledged(road: Road) -> None:
    open_case(road, "C1", {"SH-1": ["health"]})
    gone = {"consent_id": "c1", "extent": "recipients", "leave_nrm": False}
    typo = road.publish("NGO-1", "ConsentWithdrawn", "C1", recipients=["SHH-1"], **gone)
    assert (typo.accepted, typo.reason) == (False, "unknown_agency")
    both = road.publish("NGO-1", "ConsentWithdrawn", "C1", recipients=["SHH-1", "SH-1"], **gone)
    assert both.accepted, "somebody is meant: a withdrawal does not wait for a spelling"
    assert record(road).state == "withdrawn"
    leaving = {**gone, "leave_nrm": True}
    assert road.publish("NGO-1", "ConsentWithdrawn", "C1", recipients=["X-9"], **leaving).accepted
