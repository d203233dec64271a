"""Who is shown what: withheld parts, what can be contested, and lists that give nothing away."""

from __future__ import annotations

from typing import Any

import pytest

from consumers.raising import close_item
from hub.api.work import own_work
from hub.domain.policy import PolicyError, PolicyProfile, default_document
from hub.domain.work_kinds import KINDS
from hub.errors import Refused
from tests.policy.officers import in_force
from tests.work.office import ADULT, DONE, MOOT, Office, at


def mine(desk: Office, agency: str, kind: str | None = None) -> list[dict[str, Any]]:
    """What the agency's own list says."""
    desk.hub.work.catch_up()
    return own_work(desk.hub.exchange, agency, kind, False, 500)


def joined(desk: Office, case: str = "C1") -> None:
    """An adult's case: a shelter and the police have a part in it."""
    desk.say("NGO-1", "CaseOpened", case, **ADULT)
    desk.consent(case, {"SH-1": ["protection"], "POL-1": ["protection"]})
    for agency, referral in (("SH-1", "r1"), ("POL-1", "r2")):
        desk.refer(case, agency, referral, respond_by="2026-03-03T09:00:00Z")
        desk.say(agency, "ReferralAccepted", case, referral_id=referral)


# -- withheld ----------------------------------------------------------------------------------


def test_the_holder_sees_what_was_withheld_and_why_and_the_other_side_does_not(
    desk: Office,
) -> None:
    joined(desk)
    desk.say("NGO-1", "NeedsAssessed", "C1", domains=["medical"], health_needs="asthma")
    [item] = [one for one in mine(desk, "NGO-1", "withheld") if "NeedsAssessed" in str(one)]
    assert item["urgency"] == "low"
    assert item["detail"]["withheld"] == {
        "POL-1": {"health": "never_rule"},
        "SH-1": {"health": "no_consent"},
    }
    for agency in ("SH-1", "POL-1"):
        assert not mine(desk, agency, "withheld")
    assert "asthma" not in str(desk.everything())


def test_the_holder_is_told_of_nothing_it_does_not_hold_itself(desk: Office) -> None:
    """The rest goes to the auditor: a list must not tell what a rule withheld."""
    joined(desk)
    desk.say("SH-1", "NeedsAssessed", "C1", domains=["medical"], health_needs="asthma")
    found = desk.items("withheld")
    about = [one for one in found if one.detail["event_type"] == "NeedsAssessed"]
    assert [(one.role, one.agency) for one in about] == [("auditor", "")]
    assert set(about[0].detail["withheld"]) == {"NGO-1", "POL-1"}
    assert not [one for one in mine(desk, "NGO-1") if "NeedsAssessed" in str(one)]
    assert [one for one in mine(desk, "AUD-1") if "NeedsAssessed" in str(one)]


def test_the_holder_is_not_told_of_parties_it_does_not_know(desk: Office) -> None:
    joined(desk)
    desk.consent("C1", {"LEG-1": ["contact"]}, consent_id="c2")
    desk.refer("C1", "LEG-1", "r3", respond_by="2026-03-03T09:00:00Z", by="SH-1")
    desk.say("LEG-1", "ReferralAccepted", "C1", referral_id="r3")
    desk.say("NGO-1", "NeedsAssessed", "C1", domains=["medical"], health_needs="asthma")
    about = [one for one in desk.items("withheld") if one.detail["event_type"] == "NeedsAssessed"]
    told = {one.role: set(one.detail["withheld"]) for one in about}
    assert told == {"ngo_support": {"SH-1", "POL-1"}, "auditor": {"LEG-1"}}


def test_a_profile_may_give_it_to_somebody_else_but_not_to_just_anybody(desk: Office) -> None:
    document = default_document() | {"version": "2", "work": {"withheld": "data_controller"}}
    in_force(desk.hub, document)
    joined(desk)
    assert {one.role for one in desk.items("withheld")} == {"data_controller"}
    for wrong in ({"withheld": "police"}, {"no such kind": "police"}, {"withheld": "nobody"}):
        with pytest.raises(PolicyError, match="work"):
            PolicyProfile.from_document(document | {"work": wrong})


# -- contestable -------------------------------------------------------------------------------


def test_an_age_dispute_shows_to_the_holder_who_can_contest_it(desk: Office) -> None:
    joined(desk)
    desk.say("POL-1", "AgeDisputed", "C1", raised_by_role="police", basis="appearance")
    [item] = mine(desk, "NGO-1", "age_dispute_contestable")
    assert item["detail"] == {}, "who raised it was withheld"
    assert not mine(desk, "POL-1", "age_dispute_contestable")
    standing = desk.item("age_dispute_contestable")
    position = close_item(
        desk.hub.exchange, standing, by="NGO-1", because="not_founded", contested=True
    )
    contested = desk.item("contested")
    assert (contested.role, contested.position) == ("auditor", position)
    assert contested.detail == {"kind": "age_dispute_contestable", "because": "not_founded"}
    assert desk.item("age_dispute_contestable", DONE).closed_by == "NGO-1"
    assert mine(desk, "AUD-1", "contested")


def test_whoever_states_it_is_not_the_one_to_contest_it(desk: Office) -> None:
    desk.say("POL-1", "CaseOpened", "C1", **ADULT)
    desk.say("POL-1", "AgeDisputed", "C1", raised_by_role="police", basis="appearance")
    assert (desk.item("age_dispute_contestable").role) == "auditor"
    joined(desk, "C2")
    desk.say(
        "POL-1",
        "ProceedingLinked",
        "C2",
        proceeding_ref="p",
        stage="charged",
        victim_role="witness",
    )
    assert desk.item("proceeding_contestable").agency == "NGO-1"


def test_only_what_can_be_contested_is(desk: Office) -> None:
    joined(desk)
    desk.say("NGO-1", "NeedsAssessed", "C1", domains=["medical"], health_needs="asthma")
    item = desk.items("withheld")[0]
    for refused, options in (
        ("not_contestable", {"by": "A", "because": "not_founded", "contested": True}),
        ("unknown_reason", {"by": "A", "because": "Jane asked for it"}),
        ("who", {"by": " ", "because": "seen"}),
        ("who", {"by": "A\nB", "because": "seen"}),
        ("who", {"by": "x" * 101, "because": "seen"}),
    ):
        with pytest.raises(Refused) as why:
            close_item(desk.hub.exchange, item, **options)
        assert why.value.reason == refused
    close_item(desk.hub.exchange, item, by="A", because="seen")
    desk.hub.work.catch_up()
    closed = desk.hub.exchange.log.work.item(item.item)
    assert closed is not None
    with pytest.raises(Refused) as why:
        close_item(desk.hub.exchange, closed, by="A", because="seen")
    assert why.value.reason == "closed_before"


# -- lists that give nothing away --------------------------------------------------------------


def test_a_negative_outcome_that_was_withheld_is_not_told_by_a_list(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.consent("C1", {"CA-1": ["identity"]})
    desk.refer("C1", "CA-1", "r-ca", respond_by="2026-03-05T09:00:00Z")
    desk.say("CA-1", "ReferralAccepted", "C1", referral_id="r-ca")
    before = mine(desk, "NGO-1")
    desk.decided("C1", "negative")
    assert mine(desk, "NGO-1") == before
    assert mine(desk, "CA-1", "reconsideration_window")


def test_an_item_settled_by_an_event_its_owner_knows_nothing_of_stays_on_its_list(
    desk: Office,
) -> None:
    """NGO-1 asked the person for a consent that does not name NGO-1; it is withdrawn elsewhere."""
    joined(desk)
    scope = {"SH-1": ["health"]}
    desk.consent("C1", scope, consent_id="c9", valid_until="2026-03-12")
    owner = next(one for one in desk.items("consent_expiring") if one.ref == "c9")
    assert owner.agency == "SH-1", "the record names it, so it is told what becomes of it"
    desk.consent("C1", {"POL-1": ["health"]}, consent_id="c10", valid_until="2026-03-12")
    item = next(one for one in desk.items("consent_expiring") if one.ref == "c10")
    assert item.agency == "NGO-1", "the police are not told of consents"
    before = mine(desk, "NGO-1", "consent_expiring")
    withdrawn = {"consent_id": "c10", "extent": "all", "leave_nrm": False}
    desk.say("POL-1", "ConsentWithdrawn", "C1", **withdrawn)
    assert mine(desk, "NGO-1", "consent_expiring") == before
    assert [one.ref for one in desk.items("consent_expiring", MOOT)] == ["c10"]
    desk.until(at(2026, 3, 14))
    assert {one.ref for one in desk.items("consent_expired")} == {"c9"}


def test_an_agency_without_a_part_sees_nothing_and_nobody_sees_anothers(desk: Office) -> None:
    joined(desk)
    desk.identified("C2")
    for agency in ("CP-1", "GU-1", "IE-1", "IS-1", "RO-1"):
        assert not mine(desk, agency), agency
    assert {one["kind"] for one in mine(desk, "CA-1")} == {"reasonable_grounds_due"}
    [item] = mine(desk, "CA-1")
    names = desk.hub.exchange.pseudonyms
    case = names.canonical("case", "C2")
    assert item["case_ref"] == names.pseudonym("CA-1", "case", case)
    assert item["item"].startswith("nw-")
    assert item["item"] != names.pseudonym("NGO-1", "work", desk.items()[0].item)


def test_whose_part_in_a_case_has_ended_no_longer_sees_its_items(desk: Office) -> None:
    desk.identified("C1")
    assert mine(desk, "CA-1")
    desk.say("CA-1", "ReferralEnded", "C1", referral_id="r-ca", outcome="done")
    assert not mine(desk, "CA-1")


def test_an_answer_has_a_limit_and_an_order_and_no_total(desk: Office) -> None:
    for number in range(4):
        case = f"C{number}"
        desk.say("NGO-1", "CaseOpened", case, **ADULT)
        desk.consent(case, {"SH-1": ["health"]})
        by = f"2026-03-0{9 - number}T09:00:00Z"
        desk.refer(case, "SH-1", "r", respond_by=by)
    desk.hub.work.catch_up()
    found = own_work(desk.hub.exchange, "SH-1", "referral_unanswered", False, 3)
    assert [one["due"][:10] for one in found] == ["2026-03-06", "2026-03-07", "2026-03-08"]
    desk.time.at = at(2026, 3, 7)
    late = own_work(desk.hub.exchange, "SH-1", None, True, 500)
    assert [one["state"] for one in late] == ["overdue"]
    assert own_work(desk.hub.exchange, "nobody", None, False, 500) == []


def test_every_kind_has_an_owner_a_sentence_and_an_end() -> None:
    for name, kind in KINDS.items():
        assert kind.says.endswith(".")
        assert kind.owner
        assert kind.closes, name
