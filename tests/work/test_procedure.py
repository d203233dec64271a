"""What the procedure puts on the list: identification, recovery, the child, requests, return."""

from __future__ import annotations

from typing import Any

import pytest

from hub.domain.policy import default_document
from tests.policy.officers import in_force
from tests.work.office import ADULT, CHILD, DONE, OPEN, WAITING, Office, at


def decide(desk: Office, type_: str, **data: Any) -> None:
    desk.say("CA-1", type_, "C1", **data)


# -- identification ----------------------------------------------------------------------------


def test_reasonable_grounds_are_due_after_five_working_days(desk: Office) -> None:
    desk.identified("C1")
    item = desk.item("reasonable_grounds_due")
    assert (item.role, item.agency) == ("competent_authority", "CA-1")
    assert item.due == at(2026, 3, 10), "the end of Monday the 9th"
    desk.until(at(2026, 3, 9, 23))
    assert not desk.items("reasonable_grounds_due")[0].overdue(desk.time.at)
    desk.until(at(2026, 3, 10))
    item = desk.item("reasonable_grounds_due")
    assert item.overdue(desk.time.at)
    assert item.fired == item.due, "recorded in the log"
    assert item in desk.hub.exchange.log.work.escalated("auditor", desk.time.at)
    desk.decided("C1")
    assert desk.item("reasonable_grounds_due", DONE).closed_because == "ReasonableGroundsDecided"


def test_a_suspended_decision_is_still_due(desk: Office) -> None:
    desk.identified("C1")
    desk.decided("C1", "suspended")
    assert desk.item("reasonable_grounds_due").state == OPEN


def test_a_child_has_a_panel_too(desk: Office) -> None:
    desk.identified("C1", CHILD)
    assert desk.item("child_panel_due").due == at(2026, 4, 17)
    desk.decided("C1")
    assert not desk.items("child_panel_due")
    assert not desk.items("reasonable_grounds_due")


def test_recovery_and_the_conclusive_decision(desk: Office) -> None:
    desk.identified("C1")
    desk.decided("C1", on="2026-03-03")
    assert desk.item("recovery_start_due").agency == "CA-1"
    assert desk.item("conclusive_possible").state == WAITING
    decide(
        desk,
        "RecoveryPeriodStarted",
        start="2026-03-04",
        minimum_days=30,
        ends_on="2026-04-18",
    )
    assert not desk.items("recovery_start_due")
    desk.until(at(2026, 4, 2, 23))
    assert desk.item("conclusive_possible").state == WAITING
    desk.until(at(2026, 4, 3))
    assert desk.item("conclusive_possible").state == OPEN
    assert desk.item("recovery_end_due").due == at(2026, 4, 19)
    decide(desk, "RecoveryPeriodChanged", ends_on="2026-05-18", reason="extended")
    desk.until(at(2026, 4, 20))
    item = desk.item("recovery_end_due")
    assert (item.due, item.overdue(desk.time.at)) == (at(2026, 5, 19), False)
    decide(desk, "ConclusiveGroundsDecided", outcome="positive", decided_on="2026-04-20")
    assert not desk.items("conclusive_possible")
    desk.until(at(2026, 5, 19))
    assert desk.item("recovery_end_due").overdue(desk.time.at)
    decide(desk, "RecoveryPeriodChanged", ends_on="2026-05-18", reason="completed")
    assert not desk.items("recovery_end_due")


def test_the_recovery_minimum_follows_the_cases_jurisdiction(desk: Office) -> None:
    document = default_document() | {"version": "by-jurisdiction"}
    document["timers"]["T02_recovery_minimum_days"] = [
        {"value": 30},
        {"jurisdiction": "GB-SCT", "value": 90},
    ]
    in_force(desk.hub, document)
    desk.identified("C1", {**ADULT, "jurisdiction": "GB-SCT"})
    desk.decided("C1", on="2026-03-03")
    assert desk.item("conclusive_possible").opens == at(2026, 6, 1)
    early = desk.publish(
        "CA-1", "ConclusiveGroundsDecided", "C1", outcome="negative", decided_on="2026-04-30"
    )
    assert (early.accepted, early.guard) == (False, "G06"), "the guard uses the same length"


def test_a_negative_decision_opens_a_window_that_closes_by_itself(desk: Office) -> None:
    desk.identified("C1")
    desk.decided("C1", "negative")
    item = desk.item("reconsideration_window")
    assert (item.agency, item.due) == ("NGO-1", at(2026, 4, 2))
    desk.until(at(2026, 4, 2))
    assert desk.item("reconsideration_window", DONE).closed_because == "window_closed"


def test_a_negative_decision_nobody_was_released_is_the_deciders_to_tell(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.consent("C1", {"CA-1": ["identity"]})
    desk.refer("C1", "CA-1", "r-ca", respond_by="2026-03-05T09:00:00Z")
    desk.say("CA-1", "ReferralAccepted", "C1", referral_id="r-ca")
    desk.decided("C1", "negative")
    assert desk.item("reconsideration_window").agency == "CA-1"


def test_a_reconsideration_waits_for_its_decision(desk: Office) -> None:
    desk.identified("C1")
    desk.decided("C1", "negative")
    desk.say(
        "NGO-1",
        "ReconsiderationRequested",
        "C1",
        decision_ref="rg",
        grounds="new facts",
        requested_on="2026-03-20",
    )
    assert not desk.items("reconsideration_window")
    assert desk.item("reconsideration_undecided").agency == "CA-1"
    decide(desk, "ReconsiderationDecided", decision_ref="rg", outcome="overturned")
    assert not desk.items("reconsideration_undecided")
    recovery = desk.item("recovery_start_due")
    assert recovery.agency == "CA-1", "grounds are positive now: recovery is to be started (G05)"
    assert recovery.due is not None
    assert desk.item("conclusive_possible", WAITING).opens == at(2026, 4, 1)


def test_a_reconsideration_that_changes_nothing_starts_nothing(desk: Office) -> None:
    desk.identified("C1")
    desk.decided("C1", "negative")
    decide(desk, "ReconsiderationDecided", decision_ref="rg", outcome="upheld")
    assert not desk.items("recovery_start_due")
    assert not desk.items("conclusive_possible")


@pytest.mark.parametrize("about", ["rg", "cg"])
def test_an_overturned_decision_has_to_reach_the_prosecutor_as_well(
    desk: Office, about: str
) -> None:
    desk.identified("C1")
    about_it = {"offence_code": "0703", "proceeding_ref": "p1", "compulsion_basis": []}
    desk.say("NGO-1", "NonPunishmentRaised", "C1", **about_it)
    linked = {"proceeding_ref": "p1", "stage": "charged", "victim_role": "none"}
    desk.say("PRO-1", "ProceedingLinked", "C1", **linked)
    desk.say("PRO-1", "NonPunishmentDecided", "C1", outcome="proceeded", decided_on="2026-03-02")
    desk.decided("C1", "negative")
    assert not desk.items("prosecutor_to_be_told")
    decide(desk, "ReconsiderationDecided", decision_ref=about, outcome="overturned")
    assert desk.items("prosecutor_to_be_told")


def test_whoever_is_left_has_nothing_more_to_decide(desk: Office) -> None:
    desk.identified("C1")
    desk.say("NGO-1", "ConsentWithdrawn", "C1", consent_id="c1", extent="all", leave_nrm=True)
    assert not desk.items("reasonable_grounds_due")


def test_a_closed_case_asks_for_its_retention_and_nothing_else(desk: Office) -> None:
    desk.identified("C1")
    desk.decided("C1")
    desk.say("CA-1", "CaseClosed", "C1", reason="lost_contact", retention_until="2031-01-01")
    standing = {one.kind for one in desk.items()}
    assert standing == {"consent_expiring", "retention_due"}
    desk.say("NGO-1", "CaseReopened", "C1", reason="new_information")
    assert {one.kind for one in desk.items()} == {"consent_expiring"}


def test_the_prosecutor_has_to_be_told_and_hears_nothing_by_the_list(desk: Office) -> None:
    desk.identified("C1")
    desk.say(
        "NGO-1",
        "NonPunishmentRaised",
        "C1",
        offence_code="0703",
        proceeding_ref="p1",
        compulsion_basis=[],
    )
    assert desk.item("prosecutor_to_be_told").agency == "NGO-1", "consent keeps it from CA-1"
    desk.consent("C1", {"PRO-1": ["decision"]}, consent_id="c2")
    desk.say(
        "PRO-1",
        "ProceedingLinked",
        "C1",
        proceeding_ref="p1",
        stage="charged",
        victim_role="none",
    )
    desk.decided("C1")
    assert desk.item("prosecutor_to_be_told").state == OPEN, "what was released is not told"
    desk.say("PRO-1", "NonPunishmentDecided", "C1", outcome="pending_nrm", decided_on="2026-03-04")
    assert desk.item("prosecutor_to_be_told", DONE).closed_because == "NonPunishmentDecided"


def test_the_authority_tells_the_prosecutor_where_it_knows_of_the_claim(desk: Office) -> None:
    desk.identified("C1")
    desk.consent("C1", {"CA-1": ["alleged_offence"]}, consent_id="c2")
    desk.say(
        "NGO-1",
        "NonPunishmentRaised",
        "C1",
        offence_code="0703",
        proceeding_ref="p1",
        compulsion_basis=[],
    )
    assert desk.item("prosecutor_to_be_told").agency == "CA-1"


def test_a_claim_before_the_referral_waits_for_it(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.say(
        "NGO-1",
        "NonPunishmentRaised",
        "C1",
        offence_code="0703",
        proceeding_ref="p1",
        compulsion_basis=[],
    )
    assert not desk.items("prosecutor_to_be_told")
    desk.consent("C1", {"CA-1": ["identity"]})
    desk.refer("C1", "CA-1", "r-ca", respond_by="2026-03-05T09:00:00Z")
    desk.say("CA-1", "ReferralAccepted", "C1", referral_id="r-ca")
    assert desk.item("prosecutor_to_be_told").agency == "NGO-1"


# -- the child ---------------------------------------------------------------------------------


def test_a_child_without_a_guardian(desk: Office) -> None:
    desk.say("CP-1", "CaseOpened", "C1", **CHILD)
    item = desk.item("guardian_missing")
    assert (item.role, item.agency) == ("child_protection", "")
    desk.say(
        "CP-1",
        "GuardianAppointed",
        "C1",
        guardian_agency="GU-1",
        **{"from": "2026-03-02", "independent": True},
    )
    assert not desk.items("guardian_missing")


def test_a_guardian_is_missed_by_the_holder_until_child_protection_has_a_part(
    desk: Office,
) -> None:
    """An item of a role that nobody in the case has would be on no agency's list."""
    desk.say("NGO-1", "CaseOpened", "C1", **CHILD)
    first = desk.item("guardian_missing")
    assert (first.role, first.agency) == ("ngo_support", "NGO-1")
    desk.refer("C1", "CP-1", "r1", respond_by="2026-03-05T09:00:00Z")
    desk.refer("C1", "SH-1", "r2", respond_by="2026-03-05T09:00:00Z")
    desk.say("SH-1", "ReferralAccepted", "C1", referral_id="r2")
    assert desk.item("guardian_missing").agency == "NGO-1"
    desk.say("CP-1", "ReferralAccepted", "C1", referral_id="r1")
    item = desk.item("guardian_missing")
    assert (item.role, item.agency, item.due) == ("child_protection", "", first.due)
    assert desk.item("guardian_missing", DONE).item == first.item
    desk.say("CP-1", "ReferralEnded", "C1", referral_id="r1", outcome="done")
    assert desk.item("guardian_missing") == item


def test_a_holder_who_is_not_told_of_the_age_misses_no_guardian(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.consent("C1", {"SH-1": ["identity"]})
    desk.refer("C1", "SH-1", "r2", respond_by="2026-03-05T09:00:00Z")
    desk.say("SH-1", "ReferralAccepted", "C1", referral_id="r2")
    desk.say("POL-1", "AgeDisputed", "C1", raised_by_role="police", basis="appearance")
    item = desk.item("guardian_missing")
    assert item.case_id is not None
    case = desk.hub.exchange.case(item.case_id)
    assert case is not None
    [dispute] = [one for one in case.events if one.type == "AgeDisputed"]
    told = {event_id for event_id, _ in case.holdings.get("NGO-1", {})}
    assert dispute.event_id not in told
    assert (item.role, item.agency) == ("child_protection", "")


def test_a_profile_says_who_misses_a_guardian(desk: Office) -> None:
    document = default_document() | {"version": "2", "work": {"guardian_missing": "auditor"}}
    in_force(desk.hub, document)
    desk.say("NGO-1", "CaseOpened", "C1", **CHILD)
    assert (desk.item("guardian_missing").role, desk.item("guardian_missing").agency) == (
        "auditor",
        "",
    )


@pytest.mark.parametrize(
    ("born", "opens_on", "due"),
    [
        ("2008-11-20", at(2026, 8, 1), at(2026, 11, 1)),
        ("2008-05-31", at(2026, 3, 2, 9), at(2026, 5, 1)),  # near already: at once
    ],
)
def test_coming_of_age_is_said_by_the_month_and_never_by_the_day(
    desk: Office, born: str, opens_on: Any, due: Any
) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **CHILD)
    desk.say("NGO-1", "IdentityRecorded", "C1", given_name="X", date_of_birth=born)
    desk.attend()
    if opens_on.month > 3:
        assert desk.item("coming_of_age").state == WAITING
        desk.until(at(2026, 7, 31, 23))
        assert desk.item("coming_of_age").state == WAITING
    desk.until(opens_on)
    item = desk.item("coming_of_age")
    assert (item.state, item.agency, item.due) == (OPEN, "NGO-1", due)
    birthday = f"2026-{born[5:]}"
    assert all(birthday not in repr(one) for one in desk.everything())
    desk.consent("C1", {"NGO-1": ["health"]}, given_by="guardian")
    assert desk.item("coming_of_age").state == OPEN, "not the person's own"
    desk.consent("C1", {"NGO-1": ["health"]}, consent_id="c2", given_by="self")
    assert not desk.items("coming_of_age")


def test_coming_of_age_survives_a_restart(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **CHILD)
    desk.say("NGO-1", "IdentityRecorded", "C1", given_name="X", date_of_birth="2008-11-20")
    desk.attend()
    desk.time.at = at(2026, 9, 15)
    desk.reopen()
    desk.attend()
    assert desk.item("coming_of_age").state == OPEN


def test_who_does_not_know_the_birth_date_is_not_told_its_month(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **CHILD)
    desk.refer("C1", "CP-1", "r1", respond_by="2026-03-03T09:00:00Z")
    desk.say("CP-1", "ReferralAccepted", "C1", referral_id="r1")
    desk.say("CP-1", "IdentityRecorded", "C1", given_name="X", date_of_birth="2008-05-20")
    desk.attend()
    item = desk.item("coming_of_age")
    assert (item.state, item.agency, item.due) == (OPEN, "NGO-1", None)


def test_an_appeal_against_an_age_assessment(desk: Office) -> None:
    desk.say("CP-1", "CaseOpened", "C1", **{**ADULT, "age_status": "unknown"})
    desk.say(
        "CP-1",
        "AgeAssessed",
        "C1",
        outcome="adult",
        method="holistic",
        appeal_open_until="2026-04-01",
    )
    desk.until(at(2026, 4, 1, 12))
    assert not desk.items("age_appeal_over", OPEN)
    desk.until(at(2026, 4, 2))
    assert desk.item("age_appeal_over", OPEN).agency == "CP-1"


# -- permit, return, requests, break-glass -----------------------------------------------------


def test_a_permit_is_renewed_in_time(desk: Office) -> None:
    desk.identified("C1")
    desk.consent("C1", {"IS-1": ["identity"], "NGO-1": ["immigration"]}, consent_id="c2")
    desk.refer("C1", "IS-1", "r2", respond_by="2026-03-05T09:00:00Z")
    desk.say("IS-1", "ReferralAccepted", "C1", referral_id="r2")
    permit = {"outcome": "granted", "ground": "personal_situation", "valid_until": "2026-09-30"}
    desk.say("IS-1", "ResidencePermitDecided", "C1", **permit)
    desk.until(at(2026, 7, 31))
    assert desk.item("permit_renewal").state == WAITING
    desk.until(at(2026, 8, 1))
    assert (desk.item("permit_renewal", OPEN).agency) == "NGO-1"
    desk.say("IS-1", "ResidencePermitDecided", "C1", **{**permit, "outcome": "renewed"})
    assert len(desk.items("permit_renewal", DONE)) == 1


def test_returns_are_followed_up(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.consent("C1", {"RO-1": ["identity"]})
    desk.refer("C1", "RO-1", "r1", respond_by="2026-03-03T09:00:00Z")
    desk.say("RO-1", "ReferralAccepted", "C1", referral_id="r1")
    desk.say("RO-1", "ReturnCompleted", "C1", arrived_on="2026-03-01", follow_up_due="2026-03-15")
    days = {one.ref: one.opens for one in desk.items("return_follow_up")}
    assert days == {
        "30": at(2026, 4, 1),
        "90": at(2026, 5, 31),
        "180": at(2026, 8, 29),
        "agreed": at(2026, 3, 15),
    }
    desk.until(at(2026, 4, 1))
    assert {one.ref for one in desk.items("return_follow_up", OPEN)} == {"30", "agreed"}
    assert {one.agency for one in desk.items("return_follow_up")} == {"RO-1"}


def test_a_subject_request_is_due_within_a_month_and_extended_once(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    request = {"request_id": "q1", "right": "access"}
    desk.say("NGO-1", "SubjectRequestReceived", "C1", **request, due_on="2027-01-01")
    item = desk.item("subject_request_due")
    assert item.due == at(2026, 4, 2), "a month, whatever the agency states"
    assert item.detail == {"right": "access"}
    desk.say("NGO-1", "SubjectRequestReceived", "C1", **request, due_on="2027-01-01")
    assert desk.item("subject_request_due").due == at(2026, 6, 2), "and two more at most"
    desk.until(at(2026, 6, 2))
    overdue = desk.hub.exchange.log.work.escalated("data_controller", desk.time.at)
    assert [one.kind for one in overdue] == ["subject_request_due"]
    desk.say(
        "NGO-1",
        "SubjectRequestDecided",
        "C1",
        request_id="q1",
        outcome="granted",
        exemption="none",
        action="disclosed",
    )
    assert not desk.items("subject_request_due")


def test_a_request_in_the_past_is_overdue_at_once_and_not_lost(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.say(
        "NGO-1",
        "SubjectRequestReceived",
        "C1",
        request_id="q1",
        right="access",
        due_on="2020-01-01",
    )
    desk.attend()
    item = desk.item("subject_request_due")
    assert item.overdue(desk.time.at)
    assert item.fired == at(2020, 1, 2)


def test_break_glass_is_reviewed_and_the_person_is_told(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    event = desk.event(
        "BreakGlassInvoked",
        "C1",
        reason="threat_to_life",
        requested_categories=["contact"],
        two_person_ref="shift leader",
        expires_at="2026-03-02T15:00:00Z",
    )
    [outcome] = desk.publish_all("POL-1", [event])
    assert outcome.accepted
    review = desk.item("break_glass_review")
    assert (review.role, review.due) == ("auditor", at(2026, 3, 5, 9))
    assert desk.item("break_glass_person_to_be_told").state == WAITING
    desk.until(at(2026, 3, 2, 15))
    assert desk.item("break_glass_person_to_be_told", OPEN).agency == "POL-1"
    desk.until(at(2026, 3, 5, 9))
    assert desk.item("break_glass_review").overdue(desk.time.at)
    desk.say(
        "AUD-1",
        "BreakGlassReviewed",
        "C1",
        invocation_event_id=str(outcome.event_id),
        outcome="justified",
        person_informed=True,
    )
    assert not desk.items("break_glass_review")
    assert not desk.items("break_glass_person_to_be_told")


def test_statistics_are_called_for_when_a_period_has_ended(desk: Office) -> None:
    desk.attend()
    assert not desk.items("statistics_due"), "this hub was not there in the last quarter"
    desk.until(at(2026, 4, 1))
    item = desk.item("statistics_due")
    assert (item.role, item.ref, item.due) == ("national_rapporteur", "2026-Q1", at(2026, 5, 16))
    desk.reopen()
    desk.attend()
    assert len(desk.items("statistics_due")) == 1
    desk.until(at(2027, 1, 1))
    assert [one.ref for one in desk.items("statistics_due")] == ["2026-Q1", "2026-Q4", "2026"]
    desk.say(
        "CA-1",
        "StatisticsPublished",
        "national",
        period="2026-Q1",
        as_of="2027-01-01T00:00:00Z",
        table="referrals",
        suppression="lt5",
        cells="{}",
    )
    assert [one.ref for one in desk.items("statistics_due")] == ["2026-Q4", "2026"]


def test_erasure_leaves_no_date_of_the_person_and_nothing_to_do(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **CHILD)
    desk.say("NGO-1", "IdentityRecorded", "C1", given_name="X", date_of_birth="2008-05-20")
    desk.attend()
    assert desk.item("coming_of_age").due == at(2026, 5, 1)
    desk.hub.shredder.shred(desk.hub.exchange.pseudonyms.canonical("subject", "C1"))
    desk.attend()
    item = desk.item("coming_of_age", DONE)
    assert (item.due, item.closed_because) == (None, "erased")
