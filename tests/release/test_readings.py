"""docs/release.md 10: places that could be read in two ways, and the reading taken."""

from __future__ import annotations

from datetime import UTC, datetime

from tests.release.story import Story

BOTH = {"SH-1": ["protection"], "HLT-1": ["protection"], "NGO-1": ["protection"]}


def test_10_1_an_id_used_again_makes_nobody_a_party_of_the_earlier_referral() -> None:
    """Rule 7 asks for the parties of *that* referral: the clinic must not learn of the shelter."""
    story = Story()
    story.opened()
    story.consents(BOTH)
    first = story.refers("NGO-1", "SH-1", "r1")
    declined = story.says("SH-1", "ReferralDeclined", "case_management", referral_id="r1")
    second = story.refers("NGO-1", "HLT-1", "r1")
    accepted = story.accepts("HLT-1", "r1")
    assert story.again(first, "HLT-1", "protection") == "not_party"
    assert story.again(declined, "HLT-1", "case_management") == "not_party"
    assert accepted.backfill("HLT-1").keys() & {first.event_id, declined.event_id} == set()
    assert story.again(second, "HLT-1", "case_management") == "public_task"
    assert story.again(second, "SH-1", "case_management") == "not_involved"


def test_10_2_a_sender_takes_its_referral_back_also_after_its_own_part_ended() -> None:
    """2.3 lets the sender end it; 8 lists answers by the recipient. An offer must not stay open
    because the one who made it was replaced."""
    story = Story()
    story.opened("CPS-1", age="child")
    story.says("CPS-1", "GuardianAppointed", "child_welfare", guardian_agency="GRD-1")
    story.refers("GRD-1", "SH-1", "r1", basis="safeguarding")
    story.says("CPS-1", "GuardianAppointed", "child_welfare", guardian_agency="LEG-1")
    offer = ("ReferralMade", "case_management")
    again = story.refused("GRD-1", *offer, referral_id="r2", to_agency="HLT-1")
    assert again.reason == "not_involved_emitter"
    ended = story.says(
        "GRD-1", "ReferralEnded", "case_management", referral_id="r1", outcome="revoked"
    )
    assert ended.recalls == {"SH-1": ("delete", ("case_management",))}
    other = {"referral_id": "r1", "outcome": "revoked"}
    outsider = story.refused("POL-1", "ReferralEnded", "case_management", **other)
    assert outsider.reason == "not_involved_emitter"


def test_10_3_leaving_ends_a_pending_referral_and_recalls_what_rested_on_the_consent_only() -> None:
    """6.2 is about a referral that is declined or ended as such, not about leaving (2.4)."""
    story = Story()
    story.opened()
    story.consents({"CA-1": ["protection"]})
    story.refers("NGO-1", "CA-1")
    left = story.withdraws(leave_nrm=True)
    assert left.recalls == {"CA-1": ("delete_or_restrict", ("protection",))}
    answer = story.refused("CA-1", "ReferralAccepted", "case_management", referral_id="to-CA-1")
    assert answer.reason == "referral_not_pending"


def test_10_4_the_decision_to_erase_is_not_itself_erased() -> None:
    """6.4 and 5.2 are about what was recorded before it; that it was granted stays readable."""
    story = Story()
    story.opened()
    story.consents({"LEG-1": ["identity"], "SH-1": ["protection"]})
    story.involves("NGO-1", "LEG-1")
    story.identity()
    erased = story.says("NGO-1", "SubjectRequestDecided", "case_management", action="key_destroyed")
    assert erased.basis("LEG-1", "case_management") == "public_task"
    assert "LEG-1" in erased.recalls
    held = story.case.holdings["LEG-1"]
    assert held == {(erased.event_id, "case_management"): "public_task"}
    offered = story.refers("NGO-1", "SH-1")
    joined = story.accepts("SH-1")
    assert set(joined.backfill("SH-1")) <= {erased.event_id, offered.event_id}


def test_10_5_feedback_that_is_no_complaint_does_not_narrow_the_resolution() -> None:
    """Rule 11: "complained about" is a complaint or a safeguarding concern."""
    story = Story()
    story.opened("CPS-1", age="child")
    story.consents({"NGO-1": ["feedback"]}, by="CPS-1")
    story.involves("CPS-1", "NGO-1", "LEG-1")
    told = ("FeedbackRecorded", "case_management", "feedback")
    story.says("CPS-1", *told, kind="feedback", about_agency="NGO-1")
    story.says("CPS-1", *told, kind="complaint", about_agency="LEG-1")
    resolved = story.says("CPS-1", "ComplaintResolved", "case_management")
    assert resolved.basis("NGO-1", "case_management") == "public_task"
    assert resolved.reason("LEG-1", "case_management") == "no_consent"


def test_10_6_a_body_in_the_role_of_guardian_and_the_current_guardian_are_both_guardian() -> None:
    """Rule 7: whoever acts as guardian sees who was referred to whom, whatever its role."""
    story = Story()
    story.opened("CPS-1", age="child")
    story.says("CPS-1", "GuardianAppointed", "child_welfare", guardian_agency="HLT-1")
    story.refers("CPS-1", "GRD-1", basis="safeguarding")
    story.accepts("GRD-1")
    offered = story.refers("CPS-1", "SH-1", basis="safeguarding")
    for guardian in ("HLT-1", "GRD-1"):
        assert offered.basis(guardian, "case_management") is not None
    story.involves("CPS-1", "POL-1")
    assert story.again(offered, "POL-1", "case_management") == "not_party"


def test_10_7_a_consent_given_again_begins_anew_and_keeps_its_age() -> None:
    """Its pairs count from the new giving; as the oldest that counts it stays the basis."""
    story = Story()
    story.opened()
    story.consents({"SH-1": ["protection"]}, consent_id="c1", history=False)
    story.consents({"SH-1": ["protection"]}, consent_id="c2", history=False)
    story.involves("NGO-1", "SH-1")
    story.withdraws(consent_id="c1")
    between = story.says("NGO-1", "RiskAssessed", "protection")
    assert between.basis("SH-1", "protection") == "consent:c2"
    story.consents({"SH-1": ["protection"]}, consent_id="c1", history=False)
    assert story.again(between, "SH-1", "protection") == "consent:c2"
    after = story.says("NGO-1", "RiskAssessed", "protection")
    assert after.basis("SH-1", "protection") == "consent:c1"


def test_10_8_at_the_instant_of_respond_by_a_referral_has_not_lapsed_yet() -> None:
    """2.3: only *after* it. An answer at that instant is in time."""
    story = Story()
    story.opened()
    story.consents({"SH-1": ["protection"]})
    story.refers("NGO-1", "SH-1", respond_by="2026-03-03T09:00:00Z")
    expired = {"referral_id": "to-SH-1", "outcome": "expired"}
    story.on("2026-03-03T08:59:00")  # `says` and `refused` are a minute later
    assert story.refused("HUB", "ReferralEnded", "case_management", **expired).reason == (
        "not_lapsed"
    )
    story.now = datetime(2026, 3, 3, 8, 59, 1, tzinfo=UTC)
    story.says("HUB", "ReferralEnded", "case_management", **expired)


def test_10_9_a_link_without_agreement_reaches_nobody_not_even_for_a_child() -> None:
    """4.9 over 4.14; told is the reason of 2.9, so that asking the person is the way out."""
    story = Story()
    story.opened("CPS-1", age="child")
    story.consents({"GRD-1": ["linkage"]}, by="CPS-1")
    story.says("CPS-1", "GuardianAppointed", "child_welfare", guardian_agency="GRD-1")
    story.involves("CPS-1", "NGO-1")
    link = ("CaseLinkDecided", "linkage", "consent")
    unagreed = story.says("NGO-1", *link, agreed_by_person=False)
    for category in ("linkage", "consent"):
        assert unagreed.reason("GRD-1", category) == "no_consent"
        assert unagreed.reason("CPS-1", category) == "no_consent"
    assert unagreed.basis("AUD-1", "consent") == "statutory_minimum"
    agreed = story.says("NGO-1", *link, agreed_by_person=True)
    assert agreed.basis("CPS-1", "linkage") == "safeguarding"


def test_10_10_a_correction_is_decided_by_its_category_whatever_it_corrects() -> None:
    story = Story()
    story.opened()
    story.consents({"SH-1": ["protection"], "LEG-1": ["protection"], "POL-1": ["protection"]})
    story.involves("NGO-1", "SH-1", "LEG-1", "POL-1")
    offered = story.refers("NGO-1", "SH-1", "r9")
    about = {"corrects_event": offered.event_id, "field": "summary", "new_value": "other"}
    corrected = story.says("NGO-1", "RecordCorrected", "case_management", "protection", **about)
    assert corrected.basis("LEG-1", "case_management") == "public_task"
    assert corrected.reason("POL-1", "case_management") == "not_relevant"
    assert corrected.basis("SH-1", "protection") == "consent:c1"


def test_10_11_an_assessed_date_stands_until_another_is_assessed() -> None:
    story = Story()
    story.opened("CPS-1", age="unknown")
    story.assessed("adult", born="1999-01-01")
    assert not story.child
    story.assessed("child")
    assert not story.child, "by the date assessed before"
    story.assessed("child", born="2010-01-01")
    assert story.child
