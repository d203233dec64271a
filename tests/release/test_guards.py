"""docs/release.md 8: who may publish what, and what a legal guard refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hub.domain import guards, reasons
from schemas.registry import Schemas
from tests.release.story import Story, adult

# -- the case and the emitter ----------------------------------------------------------------


def test_an_unopened_case_takes_nothing_but_its_opening() -> None:
    story = Story()
    assert story.refused("NGO-1", "IdentityRecorded", "identity").reason == "unknown_case"
    assert story.refused("POL-1", "AgeDisputed", "child_welfare").reason == "unknown_case"
    story.says("HUB", "StatisticsPublished", "statistics", suppression="lt5", cells={"a": 7})
    assert story.refused("NGO-1", "IdentityRecorded", "identity").reason == "unknown_case"
    story.opened()


def test_g19_a_case_is_opened_once() -> None:
    story = Story()
    story.opened()
    refusal = story.refused("POL-1", "CaseOpened", "case_management", age_status="child")
    assert (refusal.reason, refusal.guard) == ("group_case_refused", "G19")


def test_an_agency_that_is_not_registered_or_of_another_role_is_unknown() -> None:
    story = Story("NGO-1")
    assert story.refused("POL-1", "CaseOpened", "case_management").reason == "unknown_agency"


@pytest.mark.parametrize(
    ("agency", "event_type"),
    [
        ("EMB-1", "CaseOpened"),
        ("NGO-1", "ReasonableGroundsDecided"),
        ("CA-1", "ConsentExpired"),
        ("HUB", "GuardianAppointed"),
        ("NGO-1", "NoSuchType"),
    ],
)
def test_a_role_publishes_only_what_the_catalogue_gives_it(agency: str, event_type: str) -> None:
    story = adult({"CA-1": ["identity"]}, "CA-1")
    assert story.refused(agency, event_type, "case_management").reason == "role_may_not_emit"


def test_8_without_a_part_in_the_case_only_the_listed_types_are_taken() -> None:
    open_to_all = {
        event_type
        for event_type in Schemas.load().types()
        for agency in Story().parties.all()
        if agency.role != "hub" and accepted(agency.agency, event_type)
    }
    assert open_to_all == {
        "AgeDisputed",
        "AsylumClaimRecorded",
        "BreakGlassInvoked",
        "BreakGlassReviewed",
        "ConsentWithdrawn",
        "DeliveryAcknowledged",
        "EmergencyModeDeclared",
        "FeedbackRecorded",
        "ProceedingLinked",
        "RecallAnswered",
        "StatisticsPublished",
        "SubjectRequestReceived",
    }


OUTSIDE = ("role_may_not_emit", "not_involved_emitter", "group_case_refused")


def accepted(agency: str, event_type: str) -> bool:
    story = Story()
    story.opened("SH-1" if agency == "NGO-1" else "NGO-1")
    event = story.event(
        agency,
        event_type,
        "case_management",
        consent_id="c",
        about_agency="SH-1",
        extent="all",
        leave_nrm=True,
        two_person_ref="tp",
        expires_at="2026-03-03T00:00:00Z",
    )
    refusal = guards.refuse(story.case, event, story.parties, story.profile, story.now)
    assert refusal is None or refusal.reason in OUTSIDE, refusal
    return refusal is None


def test_8_an_asylum_claim_from_outside_comes_from_the_asylum_authority_only() -> None:
    story = adult({"CA-1": ["identity"]})
    claim = ("AsylumClaimRecorded", "immigration")
    assert story.refused("LEG-1", *claim, status="open").reason == "not_involved_emitter"
    story.says("IMMSTA-1", *claim, status="open")


def test_8_a_left_authority_may_close_what_it_had_begun_and_nothing_else() -> None:
    story = adult({"CA-1": ["identity"]}, "CA-1")
    story.withdraws(leave_nrm=True)
    refusal = story.refused("CA-1", "ReasonableGroundsDecided", "decision")
    assert refusal.reason == "not_involved_emitter"
    story.says("CA-1", "CaseClosed", "case_management", reason="withdrew")
    other = adult({"CA-1": ["identity"]})
    assert other.refused("CA-1", "CaseClosed", "case_management").reason == "not_involved_emitter"


def test_8_a_pending_recipient_may_answer_and_nothing_else() -> None:
    story = adult({"SH-1": ["protection"]})
    story.refers("NGO-1", "SH-1")
    assert story.refused("SH-1", "RiskAssessed", "protection").reason == "not_involved_emitter"
    ended = {"referral_id": "to-SH-1", "outcome": "revoked"}
    story.says("SH-1", "ReferralEnded", "case_management", **ended)
    answer = story.refused("SH-1", "ReferralAccepted", "case_management", referral_id="nowhere")
    assert answer.reason == "not_involved_emitter"


# -- referrals -------------------------------------------------------------------------------


def test_a_referral_names_a_registered_agency_and_an_id_of_its_own() -> None:
    story = adult({"SH-1": ["protection"]}, "SH-1")
    offer = ("ReferralMade", "case_management")
    assert story.refused("NGO-1", *offer, referral_id="r", to_agency="HUB").reason == (
        "unknown_agency"
    )
    assert story.refused("NGO-1", *offer, referral_id="r", to_agency="XX").reason == (
        "unknown_agency"
    )
    again = story.refused("NGO-1", *offer, referral_id="to-SH-1", to_agency="SH-1")
    assert again.reason == "referral_exists"
    unknown = story.refused("NGO-1", "ReferralEnded", "case_management", referral_id="none")
    assert unknown.reason == "unknown_referral"
    answer = story.refused("NGO-1", "ReferralAccepted", "case_management", referral_id="none")
    assert answer.reason == "unknown_referral"
    story.says("NGO-1", "ReferralEnded", "case_management", referral_id="to-SH-1", outcome="done")
    over = story.refused("NGO-1", "ReferralEnded", "case_management", referral_id="to-SH-1")
    assert over.reason == "referral_not_open"


def test_g01_an_adult_is_referred_only_with_an_active_consent_naming_the_recipient() -> None:
    story = adult({"SH-1": ["protection"]})
    refer = ("ReferralMade", "case_management")
    data = {"referral_id": "r", "respond_by": "2026-03-09T00:00:00Z"}
    for basis in ("c1", "safeguarding", "break_glass"):
        refusal = story.refused("NGO-1", *refer, to_agency="CA-1", basis=basis, **data)
        assert (refusal.reason, refusal.guard) == ("consent_required", "G01")
    story.on("2027-01-01")
    assert story.refused("NGO-1", *refer, to_agency="SH-1", **data).reason == "consent_required"


def test_g01_a_child_or_one_whose_age_is_disputed_by_whomever_is_referred_without() -> None:
    story = Story()
    story.opened("NGO-1", "unknown")
    story.refers("NGO-1", "CPS-1", basis="safeguarding")
    grown = Story()
    grown.opened("NGO-1", "adult")
    grown.disputed("POL-1")
    grown.refers("NGO-1", "CPS-1", basis="safeguarding")


def test_g15_at_18_own_consent_is_needed_to_be_referred_on() -> None:
    story = Story()
    story.opened("NGO-1", "child")
    story.identity(born="2008-09-01")
    story.on("2026-09-01")
    refusal = story.refused(
        "NGO-1", "ReferralMade", "case_management", referral_id="r", to_agency="SH-1"
    )
    assert refusal.reason == "consent_required"


def test_g01_in_an_emergency_one_who_broke_the_glass_may_refer() -> None:
    story = Story()
    story.opened("SH-1", "adult")
    story.says(
        "SH-1",
        "BreakGlassInvoked",
        "case_management",
        requested_categories=["identity"],
        two_person_ref="tp",
        expires_at="2026-03-02T20:00:00Z",
    )
    story.refers("SH-1", "HLT-1", basis="break_glass")
    story.on("2026-03-02T20:00")
    refusal = story.refused(
        "SH-1",
        "ReferralMade",
        "case_management",
        referral_id="r2",
        to_agency="CA-1",
        basis="break_glass",
    )
    assert refusal.reason == "consent_required"


# -- consent ---------------------------------------------------------------------------------


def test_a_consent_is_given_once_and_amended_while_it_stands() -> None:
    story = adult({"SH-1": ["protection"]})
    again = story.refused(
        "NGO-1", "ConsentGiven", "consent", consent_id="c1", valid_until="2026-12-31"
    )
    assert again.reason == "consent_state"
    amend = ("ConsentAmended", "consent")
    assert story.refused("NGO-1", *amend, consent_id="c9").reason == "unknown_consent"
    story.withdraws()
    assert story.refused("NGO-1", *amend, consent_id="c1").reason == "consent_state"
    story.consents({"SH-1": ["protection"]})  # asked again, given again
    story.says("HUB", "ConsentExpired", "consent", consent_id="c1")
    assert story.refused("NGO-1", *amend, consent_id="c1").reason == "consent_state"
    assert story.refused("HUB", "ConsentExpired", "consent", consent_id="c9").reason == (
        "unknown_consent"
    )


def test_a_refused_consent_cannot_be_amended() -> None:
    story = Story()
    story.opened()
    story.says("NGO-1", "ConsentRefused", "consent", consent_id="c1")
    refusal = story.refused("NGO-1", "ConsentAmended", "consent", consent_id="c1", scope={})
    assert refusal.reason == "consent_state"
    story.says("NGO-1", "ConsentRequested", "consent", consent_id="c1")
    story.consents({"SH-1": ["protection"]})


def test_a_withdrawal_says_of_what_but_leaving_needs_no_consent() -> None:
    story = adult({"SH-1": ["protection"]})
    withdraw = ("ConsentWithdrawn", "consent")
    unknown = story.refused("POL-1", *withdraw, consent_id="c9", extent="all", leave_nrm=False)
    assert unknown.reason == "unknown_consent"
    empty = story.refused("POL-1", *withdraw, consent_id="c1", extent="recipients", leave_nrm=False)
    assert empty.reason == "empty_withdrawal"
    story.says("POL-1", *withdraw, consent_id="c9", extent="all", leave_nrm=True)


# -- law -------------------------------------------------------------------------------------


def test_g02_g03_a_notification_carries_no_identity_and_is_not_for_children() -> None:
    story = Story()
    story.opened("POL-1", "adult")
    notify = "DutyNotificationSubmitted"
    refusal = story.refused("POL-1", notify, "demographics", "identity")
    assert (refusal.reason, refusal.guard) == ("identity_in_notification", "G02")
    story.says("POL-1", notify, "demographics")
    story.disputed("POL-1")
    refusal = story.refused("POL-1", notify, "demographics")
    assert (refusal.reason, refusal.guard) == ("child_must_be_referred", "G03")


def deciding() -> Story:
    story = adult({"CA-1": ["decision"]}, "CA-1")
    story.on("2026-03-08")
    story.says("CA-1", "ReasonableGroundsDecided", "decision", outcome="positive")
    story.says(
        "CA-1",
        "RecoveryPeriodStarted",
        "case_management",
        start="2026-03-08",
        minimum_days=30,
        ends_on="2026-04-07",
    )
    return story


def test_g06_a_negative_conclusive_decision_waits_for_the_recovery_minimum() -> None:
    story = deciding()
    negative = ("ConclusiveGroundsDecided", "decision")
    story.on("2026-04-06")
    early = story.refused("CA-1", *negative, outcome="negative", decided_on="2026-04-06")
    assert (early.reason, early.guard) == ("too_early", "G06")
    story.on("2026-04-07")
    assert story.refused("CA-1", *negative, outcome="negative", decided_on="2026-04-06")
    story.says("CA-1", *negative, outcome="negative", decided_on="2026-04-07")
    story = deciding()
    story.says("CA-1", *negative, outcome="negative", combined_with_rg=True)
    story.says("CA-1", *negative, outcome="positive")


def test_g06_the_profile_gives_the_minimum_where_no_period_was_started() -> None:
    story = adult({"CA-1": ["decision"]}, "CA-1")
    story.says("CA-1", "ReasonableGroundsDecided", "decision", outcome="positive")
    story.on("2026-03-31")
    refusal = story.refused("CA-1", "ConclusiveGroundsDecided", "decision", outcome="negative")
    assert refusal.reason == "too_early"
    story.on("2026-04-01")
    story.says("CA-1", "ConclusiveGroundsDecided", "decision", outcome="negative")


def test_g05_g08_recovery_ends_early_only_by_disqualification_or_an_adults_leaving() -> None:
    story = deciding()
    change = ("RecoveryPeriodChanged", "case_management")
    early = story.refused("CA-1", *change, ends_on="2026-03-20", reason="completed")
    assert (early.reason, early.guard) == ("too_early", "G05")
    out = story.refused("CA-1", *change, ends_on="2026-03-20", reason="disqualified")
    assert (out.reason, out.guard) == ("no_disqualification", "G08")
    story.says("CA-1", *change, ends_on="2026-07-06", reason="emergency_mode")
    story.says("CA-1", "DisqualificationDecided", "decision", outcome="disqualified")
    story.says("CA-1", *change, ends_on="2026-03-20", reason="disqualified")
    minor = Story()
    minor.opened("CA-1", "child")
    refusal = minor.refused("CA-1", *change, ends_on="2026-03-20", reason="withdrawn")
    assert (refusal.reason, refusal.guard) == ("adult_only", "G04")


def test_g07_the_hold_stays_through_recovery_and_appeal() -> None:
    story = deciding()
    lift = ("RemovalHoldLifted", "removal_hold")
    story.on("2026-04-07")
    assert story.refused("HUB", *lift).reason == "hold_stays"
    story.on("2026-04-08")
    story.says("CA-1", "ReconsiderationRequested", "decision", decision_ref="cg")
    assert story.refused("HUB", *lift).guard == "G07"
    story.says("CA-1", "ReconsiderationDecided", "decision", decision_ref="cg", outcome="upheld")
    story.says("HUB", *lift)


def test_g07_for_a_child_it_stays_until_best_interests_are_determined() -> None:
    story = Story()
    story.opened("CPS-1", "child")
    assert story.refused("HUB", "RemovalHoldLifted", "removal_hold").reason == "hold_stays"
    story.says("CPS-1", "BestInterestsDetermined", "child_welfare", question="return")
    story.says("HUB", "RemovalHoldLifted", "removal_hold")


def test_g10_return_is_voluntary_and_assessed() -> None:
    story = adult({"RET-1": ["protection"]}, "RET-1")
    agree = ("ReturnAgreed", "immigration")
    assert story.refused("RET-1", *agree, voluntary=True).reason == "return_blocked"
    story.says("RET-1", "ReturnRiskAssessed", "protection", level="high")
    assert story.refused("RET-1", *agree, voluntary=True).guard == "G10"
    story.says("RET-1", "ReturnRiskAssessed", "protection", level="low")
    assert story.refused("RET-1", *agree, voluntary=False).reason == "return_blocked"
    story.says("RET-1", *agree, voluntary=True)
    transfer = story.refused(
        "RET-1", "TransferOffered", "case_management", transfer_id="t", to_agency="FNRM-1"
    )
    assert transfer.reason == "return_blocked"


def test_g10_a_childs_return_needs_its_best_interests() -> None:
    story = Story()
    story.opened("NGO-1", "child")
    story.says("NGO-1", "ReturnRiskAssessed", "protection", level="low")
    assert story.refused("NGO-1", "ReturnAgreed", "immigration", voluntary=True)
    story.refers("NGO-1", "CPS-1")
    story.accepts("CPS-1")
    story.says("CPS-1", "BestInterestsDetermined", "child_welfare", question="return")
    story.says("NGO-1", "ReturnAgreed", "immigration", voluntary=True)


@pytest.mark.parametrize(
    ("two_person_ref", "expires_at"),
    [("", "2026-03-02T20:00:00Z"), ("tp", "2026-03-02T08:00:00Z"), ("tp", None), ("tp", "soon")],
)
def test_g12_break_glass_needs_two_persons_and_an_end(
    two_person_ref: str, expires_at: str | None
) -> None:
    story = adult({"SH-1": ["protection"]})
    refusal = story.refused(
        "POL-1",
        "BreakGlassInvoked",
        "case_management",
        requested_categories=["identity"],
        two_person_ref=two_person_ref,
        expires_at=expires_at,
    )
    assert (refusal.reason, refusal.guard) == ("break_glass_refused", "G12")


def test_g18_a_table_keeps_to_its_own_suppression() -> None:
    story = Story()
    publish = ("StatisticsPublished", "statistics")
    shown: list[tuple[str, dict[str, object]]] = [("lt5", {"a": {"b": [9, 4]}}), ("k10", {"a": 9})]
    hidden: list[tuple[str, dict[str, object]]] = [
        ("lt5", {"a": "<5", "b": 0, "c": 5, "d": True}),
        ("dp", {"a": 2}),
    ]
    for suppression, cells in shown:
        refusal = story.refused("HUB", *publish, suppression=suppression, cells=cells)
        assert (refusal.reason, refusal.guard) == ("small_cell", "G18")
    for suppression, cells in hidden:
        story.says("HUB", *publish, suppression=suppression, cells=cells)


# -- corrections and the rest ----------------------------------------------------------------


def test_a_correction_names_an_event_and_field_of_the_case_and_carries_its_category() -> None:
    story = adult({"SH-1": ["protection"]})
    identity = story.identity()
    correct = "RecordCorrected"
    unknown = story.refused(
        "NGO-1", correct, "case_management", corrects_event="zz", field="given_name"
    )
    assert unknown.reason == "unknown_event"
    known = {"corrects_event": identity.event_id}
    no_field = story.refused("NGO-1", correct, "case_management", field="shoe_size", **known)
    assert no_field.reason == "unknown_field"
    wrong = story.refused(
        "NGO-1", correct, "case_management", "protection", field="given_name", **known
    )
    assert wrong.reason == "wrong_category"
    first = story.says("NGO-1", correct, "case_management", "identity", field="given_name", **known)
    again = {"corrects_event": first.event_id, "field": "new_value"}
    story.says("NGO-1", correct, "case_management", "identity", **again)


def test_a_case_is_reopened_after_it_was_closed() -> None:
    story = adult({"SH-1": ["protection"]})
    assert story.refused("NGO-1", "CaseReopened", "case_management").reason == "wrong_state"
    story.says("NGO-1", "CaseClosed", "case_management", reason="lost_contact")
    story.says("NGO-1", "CaseReopened", "case_management", reason="new_information")


def test_a_guardian_is_a_registered_agency() -> None:
    story = Story()
    story.opened("CPS-1", "child")
    refusal = story.refused("CPS-1", "GuardianAppointed", "child_welfare", guardian_agency="nobody")
    assert refusal.reason == "unknown_agency"


# -- codes -----------------------------------------------------------------------------------

DOMAIN = Path(guards.__file__).parent


def test_every_refusal_has_its_sentence_and_every_sentence_its_refusal() -> None:
    used = {
        code
        for file in ("guards.py", "deadlines.py")
        for code in re.findall(r'Refusal\("(\w+)"', (DOMAIN / file).read_text("utf-8"))
    }
    assert used == set(reasons.REFUSED)
    for code in used:
        assert guards.Refusal(code).detail.endswith(".")


def test_every_reason_and_basis_of_the_decision_has_its_sentence() -> None:
    release = (DOMAIN.parent / "release.py").read_text("utf-8")
    consent = (DOMAIN / "consent.py").read_text("utf-8")
    withheld = set(re.findall(r'_withheld\("(\w+)"\)', release))
    withheld |= {"withdrawn", "no_consent", "expired"} & set(re.findall(r'"(\w+)"', consent))
    assert withheld == set(reasons.WITHHELD)
    released = set(re.findall(r'Released\("(\w+)"', release)) | {"vital_interests", "consent"}
    assert released == set(reasons.BASES)


def test_every_code_is_documented() -> None:
    document = (DOMAIN.parent.parent / "docs" / "release.md").read_text("utf-8")
    for code in (*reasons.BASES, *reasons.WITHHELD, *reasons.REFUSED):
        assert f"`{code}`" in document, code
