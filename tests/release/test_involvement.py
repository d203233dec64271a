"""docs/release.md 2.1–2.5: who is involved, who is concerned, who was left."""

from __future__ import annotations

import pytest

from tests.release.story import Story


def adult(*agencies: str) -> Story:
    """An adult's case opened by NGO-1, consent naming everybody."""
    story = Story()
    story.opened()
    story.consents({agency: ["protection"] for agency in agencies or ("CA-1", "SH-1", "POL-1")})
    return story


# -- 2.1 -------------------------------------------------------------------------------------


def test_2_1_the_opener_is_involved_and_a_second_opening_changes_nothing() -> None:
    story = Story()
    story.opened("NGO-1", "adult")
    story.raw("POL-1", "CaseOpened", "case_management", age_status="child")
    assert story.case.involvement.agencies() == {"NGO-1"}
    assert not story.child


def test_2_1_an_accepted_referral_involves_a_pending_one_does_not() -> None:
    story = adult()
    story.refers("NGO-1", "SH-1")
    assert not story.case.involved("SH-1")
    story.accepts("SH-1")
    assert story.case.involved("SH-1")


def test_2_1_an_accepted_transfer_involves() -> None:
    story = adult("FNRM-1")
    story.says(
        "NGO-1",
        "TransferOffered",
        "case_management",
        transfer_id="t1",
        to_agency="FNRM-1",
    )
    assert not story.case.involved("FNRM-1")
    story.says(
        "FNRM-1", "TransferAnswered", "case_management", transfer_id="t1", outcome="accepted"
    )
    assert story.case.involved("FNRM-1")


def test_2_1_the_guardian_is_involved() -> None:
    story = Story()
    story.opened("CPS-1", "child")
    story.says("CPS-1", "GuardianAppointed", "child_welfare", guardian_agency="GRD-1")
    assert story.case.involved("GRD-1")


@pytest.mark.parametrize("agency", ["POL-1", "PROS-1", "LI-1"])
def test_2_1_linking_a_proceeding_involves_police_prosecutor_and_inspectorate(agency: str) -> None:
    story = adult()
    story.says(agency, "ProceedingLinked", "criminal_justice")
    assert story.case.involved(agency)


def test_2_1_linking_a_proceeding_involves_no_other_role() -> None:
    story = adult()
    story.raw("NGO-2", "ProceedingLinked", "criminal_justice")
    assert not story.case.involved("NGO-2")


@pytest.mark.parametrize(
    ("agency", "event_type", "data"),
    [
        ("SH-1", "ConsentWithdrawn", {"consent_id": "c1", "extent": "all", "leave_nrm": False}),
        ("SH-1", "FeedbackRecorded", {"kind": "feedback", "about_agency": "NGO-1"}),
        ("SH-1", "SubjectRequestReceived", {"request_id": "q"}),
        ("POL-1", "AgeDisputed", {}),
        ("IMMSTA-1", "AsylumClaimRecorded", {"status": "open"}),
    ],
)
def test_2_1_nothing_else_involves_whatever_the_agency_emits(
    agency: str, event_type: str, data: dict[str, object]
) -> None:
    story = adult()
    story.says(agency, event_type, "case_management", **data)
    assert story.case.involvement.agencies() == {"NGO-1"}


# -- 2.2 -------------------------------------------------------------------------------------


def test_2_2_a_pending_recipient_gets_that_message_and_nothing_more() -> None:
    story = adult("SH-1")
    offer = story.refers("NGO-1", "SH-1")
    assert offer.basis("SH-1", "protection") == "consent:c1"
    other = story.says("NGO-1", "NeedsAssessed", "protection")
    assert other.reason("SH-1", "protection") == "not_involved"


def test_2_2_the_end_of_a_pending_referral_reaches_its_recipient() -> None:
    story = adult("SH-1")
    story.refers("NGO-1", "SH-1")
    end = story.says(
        "NGO-1", "ReferralEnded", "case_management", referral_id="to-SH-1", outcome="revoked"
    )
    assert end.basis("SH-1", "case_management") == "public_task"
    assert end.settlement.concerned == ("SH-1",)
    later = story.says("NGO-1", "NeedsAssessed", "protection")
    assert later.settlement.concerned == ()


# -- 2.3 -------------------------------------------------------------------------------------


def test_2_3_only_the_recipient_answers() -> None:
    story = adult("SH-1", "CA-1")
    story.involves("NGO-1", "CA-1")
    story.refers("NGO-1", "SH-1")
    for event_type in ("ReferralAccepted", "ReferralDeclined"):
        about = {"referral_id": "to-SH-1"}
        sender = story.refused("NGO-1", event_type, "case_management", **about)
        assert sender.reason == "not_the_recipient"
        # A third agency is told the same as if there were no such referral (4.7).
        third = story.refused("CA-1", event_type, "case_management", **about)
        nothing = story.refused("CA-1", event_type, "case_management", referral_id="none")
        assert third == nothing
        assert third.reason == "unknown_referral"
    story.raw("CA-1", "ReferralAccepted", "case_management", referral_id="to-SH-1")
    assert not story.case.involved("SH-1")


def test_2_3_an_ended_referral_no_longer_involves() -> None:
    story = adult("SH-1")
    story.involves("NGO-1", "SH-1")
    end = story.says(
        "NGO-1", "ReferralEnded", "case_management", referral_id="to-SH-1", outcome="done"
    )
    assert end.basis("SH-1", "case_management") == "public_task"  # 3.2: reaches those it cuts off
    assert not story.case.involved("SH-1")


def test_2_3_a_referral_lapses_only_after_respond_by() -> None:
    story = adult("SH-1")
    story.on("2026-03-02T10:00").refers("NGO-1", "SH-1", respond_by="2026-03-03T10:00:00Z")
    ended = {"referral_id": "to-SH-1", "outcome": "expired"}
    story.on("2026-03-03T09:59")
    assert story.refused("HUB", "ReferralEnded", "case_management", **ended).reason == "not_lapsed"
    story.on("2026-03-03T10:01").says("HUB", "ReferralEnded", "case_management", **ended)


def test_2_3_late_is_not_lapsed_an_answer_after_respond_by_still_counts() -> None:
    story = adult("SH-1")
    story.refers("NGO-1", "SH-1", respond_by="2026-03-03T10:00:00Z")
    story.on("2026-03-09T10:00").accepts("SH-1")
    assert story.case.involved("SH-1")


@pytest.mark.parametrize("state", ["ReferralAccepted", "ReferralDeclined", "ReferralEnded"])
def test_2_3_an_answered_or_ended_referral_takes_no_answer(state: str) -> None:
    story = adult("SH-1")
    story.refers("NGO-1", "SH-1")
    who = "NGO-1" if state == "ReferralEnded" else "SH-1"
    story.says(who, state, "case_management", referral_id="to-SH-1", outcome="revoked")
    refused = story.refused("SH-1", "ReferralAccepted", "case_management", referral_id="to-SH-1")
    assert refused.reason == "referral_not_pending"


def test_2_3_nobody_else_ends_a_referral() -> None:
    story = adult("SH-1", "CA-1")
    story.involves("NGO-1", "SH-1", "CA-1")
    ended = {"referral_id": "to-SH-1", "outcome": "done"}
    assert (
        story.refused("CA-1", "ReferralEnded", "case_management", **ended).reason
        == "unknown_referral"
    )
    story.raw("CA-1", "ReferralEnded", "case_management", **ended)
    assert story.case.involved("SH-1")
    story.says("SH-1", "ReferralEnded", "case_management", **ended)
    assert not story.case.involved("SH-1")


# -- 2.4 -------------------------------------------------------------------------------------


def left(age: str = "adult") -> Story:
    """CA-1 is involved, then the person leaves."""
    story = Story()
    story.opened("NGO-1", age)
    story.consents({"CA-1": ["protection", "decision"], "SH-1": ["protection"]})
    story.involves("NGO-1", "CA-1", "SH-1")
    story.withdraws(leave_nrm=True)
    return story


def test_2_4_leaving_reaches_the_authority_and_then_ends_its_involvement() -> None:
    story = Story()
    story.opened()
    story.consents({"CA-1": ["protection"]})
    story.involves("NGO-1", "CA-1")
    leaving = story.withdraws(leave_nrm=True)
    assert leaving.basis("CA-1", "consent") == "public_task"
    assert leaving.settlement.left == ("CA-1",)
    assert not story.case.involved("CA-1")


def test_2_4_leaving_ends_no_other_agencys_involvement() -> None:
    assert left().case.involvement.agencies() == {"NGO-1", "SH-1"}


@pytest.mark.parametrize("event_type", ["RecoveryPeriodChanged", "RemovalHoldLifted", "CaseClosed"])
def test_2_4_closing_events_of_the_left_authority_are_taken_and_restore_nothing(
    event_type: str,
) -> None:
    story = left()
    story.says("CA-1", event_type, "case_management", ends_on="2026-03-02", reason="withdrawn")
    assert not story.case.involved("CA-1")
    assert story.refused("CA-1", "CaseReopened", "case_management").reason == "not_involved_emitter"


def test_2_4_a_referral_made_before_leaving_cannot_be_accepted_after() -> None:
    story = Story()
    story.opened()
    story.consents({"CA-1": ["protection"]})
    story.refers("NGO-1", "CA-1", "early")
    story.withdraws(leave_nrm=True)
    refused = story.refused("CA-1", "ReferralAccepted", "case_management", referral_id="early")
    assert refused.reason == "referral_not_pending"


def test_2_4_a_referral_made_and_accepted_later_restores_involvement() -> None:
    story = left()
    story.consents({"CA-1": ["protection"]}, consent_id="c2")
    story.refers("NGO-1", "CA-1", "later", basis="c2")
    assert not story.case.involved("CA-1")
    story.accepts("CA-1", "later")
    assert story.case.involved("CA-1")
    story.says("CA-1", "ReferralEnded", "case_management", referral_id="later", outcome="done")
    assert not story.case.involved("CA-1")  # the grounds lost by leaving stay lost


def test_2_4_an_authority_that_opened_the_case_is_left_too() -> None:
    story = Story()
    story.opened("CA-1")
    story.consents({"NGO-1": ["protection"]}, by="CA-1")
    story.withdraws(by="CA-1", leave_nrm=True)
    assert not story.case.involved("CA-1")


@pytest.mark.parametrize("age", ["child", "unknown", "age_disputed"])
def test_2_4_for_a_child_the_flag_changes_no_involvement(age: str) -> None:
    assert left(age).case.involved("CA-1")


def test_2_4_an_enforcement_dispute_makes_a_child_for_leaving() -> None:
    story = Story()
    story.opened()
    story.consents({"CA-1": ["protection"]})
    story.involves("NGO-1", "CA-1")
    story.disputed("POL-1")
    story.withdraws(leave_nrm=True)
    assert story.case.involved("CA-1")


# -- 2.5 -------------------------------------------------------------------------------------


def test_2_5_a_later_appointment_reaches_the_earlier_guardian_and_ends_its_ground() -> None:
    story = Story("CPS-1", "GRD-1", "GRD-2")
    story.opened("CPS-1", "child")
    first = story.says("CPS-1", "GuardianAppointed", "child_welfare", guardian_agency="GRD-1")
    assert first.basis("GRD-1", "child_welfare") == "safeguarding"
    second = story.says("CPS-1", "GuardianAppointed", "child_welfare", guardian_agency="GRD-2")
    assert second.basis("GRD-1", "child_welfare") == "safeguarding"
    assert second.basis("GRD-2", "child_welfare") == "safeguarding"
    assert story.case.involvement.agencies() == {"CPS-1", "GRD-2"}
    third = story.says("CPS-1", "BestInterestsDetermined", "child_welfare", question="placement")
    assert third.reason("GRD-1", "child_welfare") == "not_involved"


def test_2_5_an_earlier_guardian_keeps_its_other_grounds() -> None:
    story = Story("CPS-1", "GRD-1", "GRD-2")
    story.opened("CPS-1", "child")
    story.involves("CPS-1", "GRD-1")
    for guardian in ("GRD-1", "GRD-2"):
        story.says("CPS-1", "GuardianAppointed", "child_welfare", guardian_agency=guardian)
    assert story.case.involved("GRD-1")
