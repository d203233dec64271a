"""docs/release.md 3, 5, 6, 7: order of effects, backfill, recalls, holdings; and what is sent."""

from __future__ import annotations

import json

from hub.deliveries import END_OF_TIME, differences, settle
from hub.domain.case import Case
from hub.domain.settlement import Settlement
from hub.release import Released, still_stands
from tests.release.story import Heard, Story


def adult(scope: dict[str, list[str]], *joined: str, history: bool = True) -> Story:
    story = Story()
    story.opened()
    story.consents(scope, history=history)
    story.involves("NGO-1", *joined)
    return story


# -- 3 ---------------------------------------------------------------------------------------


def test_3_1_agencies_named_in_a_new_consent_receive_it() -> None:
    story = adult({"CA-1": ["protection"]}, "CA-1")
    given = story.consents({"CA-1": ["health"]}, consent_id="c2")
    assert given.basis("CA-1", "consent") == "public_task"


def test_3_2_a_decline_is_released_to_the_sender_and_then_ends_the_referral() -> None:
    story = adult({"SH-1": ["protection"]})
    story.refers("NGO-1", "SH-1")
    declined = story.says(
        "SH-1", "ReferralDeclined", "case_management", referral_id="to-SH-1", reason="no_capacity"
    )
    assert declined.basis("NGO-1", "case_management") == "public_task"
    assert not story.case.involvement.referrals["referral", "to-SH-1"].pending


# -- 5 ---------------------------------------------------------------------------------------


def test_5_1_neither_a_linked_proceeding_nor_a_change_of_age_backfills() -> None:
    story = adult({"POL-1": ["identity"], "CA-1": ["health"]}, "CA-1")
    story.identity()
    assert story.says("POL-1", "ProceedingLinked", "criminal_justice").settlement.backfill == {}
    assert story.disputed("IMMSTA-1").settlement.backfill == {}


def test_5_1_a_transfer_accepted_a_guardian_appointed_and_each_agency_of_a_scope() -> None:
    story = adult({"FNRM-1": ["protection"]})
    risk = story.says("NGO-1", "RiskAssessed", "protection")
    story.says("NGO-1", "TransferOffered", "case_management", transfer_id="t", to_agency="FNRM-1")
    answer = story.says(
        "FNRM-1", "TransferAnswered", "case_management", transfer_id="t", outcome="accepted"
    )
    assert answer.backfill("FNRM-1")[risk.event_id] == {"protection": "consent:c1"}
    given = story.consents({"FNRM-1": ["case_management"], "NGO-1": ["decision"]}, consent_id="c2")
    assert given.backfill("FNRM-1") == {"e4": {"case_management": "consent:c2"}}
    assert given.backfill("NGO-1") == {}  # its own events do not count
    minor = Story()
    minor.opened("CPS-1", "child")
    appointed = minor.says("CPS-1", "GuardianAppointed", "child_welfare", guardian_agency="GRD-1")
    assert appointed.backfill("GRD-1") == {"e1": {"case_management": "safeguarding"}}


def test_5_1_a_declined_transfer_backfills_nothing() -> None:
    story = adult({"FNRM-1": ["protection", "case_management"]})
    story.says("NGO-1", "TransferOffered", "case_management", transfer_id="t", to_agency="FNRM-1")
    answer = story.says(
        "FNRM-1", "TransferAnswered", "case_management", transfer_id="t", outcome="declined"
    )
    assert answer.settlement.backfill == {}


def test_5_2_only_what_is_not_yet_held_and_never_the_trigger_or_its_own_events() -> None:
    story = adult({"SH-1": ["identity"]}, "SH-1")
    story.identity()
    own = story.says("SH-1", "NeedsAssessed", "protection")
    story.says("NGO-1", "ContactPreferenceRecorded", "contact")
    given = story.consents({"SH-1": ["identity", "contact", "protection"]}, consent_id="c2")
    events = given.backfill("SH-1")
    assert own.event_id not in events
    assert given.event_id not in events
    contact = {event: bases["contact"] for event, bases in events.items() if "contact" in bases}
    assert set(contact.values()) == {"consent:c2"}
    assert not any("identity" in bases for bases in events.values())


def test_5_2_what_was_recalled_counts_as_not_held() -> None:
    story = adult({"SH-1": ["identity"]}, "SH-1")
    identity = story.identity()
    story.withdraws()
    given = story.consents({"SH-1": ["identity"]}, consent_id="c2")
    assert given.backfill("SH-1")[identity.event_id] == {"identity": "consent:c2"}


def test_5_2_in_todays_state_a_pending_recipient_is_caught_up_on_its_own_offer() -> None:
    story = adult({"SH-1": ["identity"]})
    offer = story.refers("NGO-1", "SH-1")
    assert offer.reason("SH-1", "protection") == "no_consent"
    given = story.consents({"SH-1": ["protection"]}, consent_id="c2")
    assert given.backfill("SH-1") == {offer.event_id: {"protection": "consent:c2"}}


# -- 6 ---------------------------------------------------------------------------------------


def test_6_1_a_narrowing_amendment_recalls_dropped_pairs_only() -> None:
    story = adult({"SH-1": ["identity", "protection"]}, "SH-1")
    story.identity()
    story.says("NGO-1", "RiskAssessed", "protection", "case_management")
    amended = story.amends({"SH-1": ["protection"]})
    assert amended.recalls == {"SH-1": ("delete_or_restrict", ("identity",))}


def test_6_1_items_on_another_basis_stay_and_the_emitter_is_not_spared() -> None:
    story = adult({"SH-1": ["identity"], "CA-1": ["identity"]}, "SH-1", "CA-1")
    story.identity()
    withdrawn = story.withdraws(by="SH-1")
    assert withdrawn.recalls == {
        "SH-1": ("delete_or_restrict", ("identity",)),
        "CA-1": ("delete_or_restrict", ("identity",)),
    }
    assert story.withdraws().recalls == {}  # nothing is recalled twice
    assert ("e1", "case_management") in story.case.holdings["CA-1"]


def test_6_1_recalled_and_released_again_can_be_recalled_again() -> None:
    story = adult({"SH-1": ["identity"]}, "SH-1")
    story.identity()
    story.withdraws()
    story.consents({"SH-1": ["identity"]}, consent_id="c2")
    assert story.withdraws(consent_id="c2").recalls == {
        "SH-1": ("delete_or_restrict", ("identity",))
    }


def test_6_2_a_decline_recalls_the_offer_on_any_basis() -> None:
    story = adult({"SH-1": ["protection"]})
    story.refers("NGO-1", "SH-1")
    declined = story.says(
        "SH-1", "ReferralDeclined", "case_management", referral_id="to-SH-1", reason="safety"
    )
    assert declined.recalls == {"SH-1": ("delete", ("case_management", "protection"))}


def test_6_2_so_does_a_declined_transfer_and_an_end_while_pending() -> None:
    story = adult({"FNRM-1": ["case_management"], "SH-1": ["protection"]})
    story.says("NGO-1", "TransferOffered", "case_management", transfer_id="t", to_agency="FNRM-1")
    answer = story.says(
        "FNRM-1", "TransferAnswered", "case_management", transfer_id="t", outcome="declined"
    )
    assert answer.recalls == {"FNRM-1": ("delete", ("case_management",))}
    story.refers("NGO-1", "SH-1")
    ended = story.says(
        "NGO-1", "ReferralEnded", "case_management", referral_id="to-SH-1", outcome="revoked"
    )
    assert ended.recalls == {"SH-1": ("delete", ("case_management", "protection"))}


def test_6_2_an_answer_that_is_not_the_recipients_recalls_nothing() -> None:
    story = adult({"FNRM-1": ["case_management"], "CA-1": ["protection"]}, "CA-1")
    story.says("NGO-1", "TransferOffered", "case_management", transfer_id="t", to_agency="FNRM-1")
    declined = {"transfer_id": "t", "outcome": "declined"}
    assert story.raw("CA-1", "TransferAnswered", "case_management", **declined).recalls == {}
    assert story.case.involvement.referrals["transfer", "t"].pending


def test_6_2_6_6_the_end_of_an_accepted_referral_recalls_nothing() -> None:
    story = adult({"SH-1": ["protection"]}, "SH-1")
    ended = story.says(
        "NGO-1", "ReferralEnded", "case_management", referral_id="to-SH-1", outcome="done"
    )
    assert ended.recalls == {}


def corrected(story: Story, event_id: str, field: str, category: str, **data: object) -> Heard:
    return story.says(
        "NGO-1",
        "RecordCorrected",
        "case_management",
        category,
        corrects_event=event_id,
        field=field,
        **data,
    )


def test_6_3_a_correction_recalls_from_those_no_longer_involved() -> None:
    story = adult({"SH-1": ["identity"], "CA-1": ["identity"]}, "SH-1", "CA-1")
    identity = story.identity()
    story.says("NGO-1", "ReferralEnded", "case_management", referral_id="to-SH-1", outcome="done")
    heard = corrected(story, identity.event_id, "given_name", "identity")
    assert heard.basis("CA-1", "identity") == "consent:c1"
    assert heard.recalls == {"SH-1": ("delete_or_restrict", ("identity",))}


def test_6_3_involved_but_not_reached_keeps_what_it_has() -> None:
    story = adult({"SH-1": ["identity"]}, "SH-1")
    identity = story.identity()
    story.on("2027-01-01")  # the consent has lapsed; SH-1 is still involved
    heard = corrected(story, identity.event_id, "given_name", "identity")
    assert heard.reason("SH-1", "identity") == "expired"
    assert heard.recalls == {}


def test_6_3_not_involved_but_reached_through_a_window_keeps_it_and_is_told() -> None:
    story = adult({"SH-1": ["identity"]})
    identity = story.identity()
    story.says(
        "POL-1",
        "BreakGlassInvoked",
        "audit",
        requested_categories=["identity"],
        two_person_ref="tp",
        expires_at="2026-03-03T00:00:00Z",
    )
    heard = corrected(story, identity.event_id, "given_name", "identity")
    assert heard.basis("POL-1", "identity") == "vital_interests"
    assert heard.recalls == {}


def test_1_1_a_correction_without_a_new_value_is_decided_in_the_corrected_category_too() -> None:
    story = adult({"CA-1": ["identity"]}, "CA-1")
    identity = story.identity()
    heard = story.says(
        "NGO-1",
        "RecordCorrected",
        "case_management",
        corrects_event=identity.event_id,
        field="given_name",
    )
    assert heard.basis("CA-1", "identity") == "consent:c1"


def erased(story: Story) -> Heard:
    return story.says(
        "NGO-1",
        "SubjectRequestDecided",
        "case_management",
        request_id="q",
        outcome="granted",
        action="key_destroyed",
    )


def test_6_4_erasure_recalls_every_item_and_nothing_of_it_is_ever_released_again() -> None:
    story = adult({"SH-1": ["identity"], "CA-1": ["identity"]}, "SH-1", "CA-1")
    identity = story.identity()
    heard = erased(story)
    assert heard.recalls == {
        "AUD-1": ("delete", ("consent",)),
        "CA-1": ("delete", ("case_management", "consent", "demographics", "identity")),
        "NGO-1": ("delete", ("case_management",)),
        "SH-1": ("delete", ("case_management", "consent", "identity")),
    }
    assert story.case.erased(identity.event_id)
    assert not story.case.erased(heard.event_id)
    later = story.identity()
    given = story.consents(
        {"SH-1": ["identity", "contact"], "HLT-1": ["identity"]}, consent_id="c2"
    )
    assert given.backfill("SH-1") == {}
    assert later.basis("SH-1", "identity") == "consent:c1"


def test_6_4_another_decision_on_a_request_recalls_nothing() -> None:
    story = adult({"SH-1": ["identity"]}, "SH-1")
    heard = story.says(
        "NGO-1", "SubjectRequestDecided", "case_management", request_id="q", action="disclosed"
    )
    assert heard.recalls == {}


def test_6_6_expiry_and_coming_of_age_recall_nothing() -> None:
    story = adult({"SH-1": ["identity"]}, "SH-1")
    story.identity()
    assert story.says("HUB", "ConsentExpired", "consent", consent_id="c1").recalls == {}
    assert story.on("2027-06-01").identity().recalls == {}


# -- 7 ---------------------------------------------------------------------------------------


def test_7_holdings_are_cumulative_a_recall_removes_nothing() -> None:
    story = adult({"SH-1": ["identity"]}, "SH-1")
    story.identity()
    story.withdraws()
    assert story.case.holdings.final()["SH-1"]["identity"] == ["consent:c1"]
    story.consents({"SH-1": ["identity"]}, consent_id="c2")
    assert story.case.holdings.final()["SH-1"]["identity"] == ["consent:c1", "consent:c2"]
    assert "NGO-2" not in story.case.holdings.final()


# -- what is sent ----------------------------------------------------------------------------


def standing(story: Story, agency: str, event_id: str, category: str, basis: str) -> str:
    outcome = still_stands(
        story.case, agency, event_id, category, basis, story.parties, story.profile, story.now
    )
    return outcome.basis if isinstance(outcome, Released) else outcome.reason


def test_a_withdrawal_stops_what_was_decided_and_not_yet_sent() -> None:
    story = adult({"SH-1": ["identity"]}, "SH-1")
    event = story.identity().event_id
    assert standing(story, "SH-1", event, "identity", "consent:c1") == "consent:c1"
    story.withdraws()
    assert standing(story, "SH-1", event, "identity", "consent:c1") == "withdrawn"


def test_if_another_basis_counts_now_it_is_sent_on_that() -> None:
    story = adult({"SH-1": ["identity"]}, "SH-1")
    story.consents({"SH-1": ["identity"]}, consent_id="c2")
    event = story.identity().event_id
    story.withdraws()
    assert standing(story, "SH-1", event, "identity", "consent:c1") == "consent:c2"


def test_a_lapsed_consent_and_a_closed_window_stop_it_too() -> None:
    story = adult({"SH-1": ["identity"]}, "SH-1")
    event = story.identity().event_id
    story.says(
        "POL-1",
        "BreakGlassInvoked",
        "audit",
        requested_categories=["identity"],
        two_person_ref="tp",
        expires_at="2026-03-02T20:00:00Z",
    )
    assert standing(story, "POL-1", event, "identity", "vital_interests") == "vital_interests"
    story.on("2026-03-02T20:00")
    assert standing(story, "POL-1", event, "identity", "vital_interests") == "not_involved"
    story.on("2027-01-01")
    assert standing(story, "SH-1", event, "identity", "consent:c1") == "expired"


def test_what_rests_on_law_stands() -> None:
    story = adult({"CA-1": ["identity"]}, "CA-1")
    withdrawn = story.withdraws(leave_nrm=True)
    assert standing(story, "CA-1", withdrawn.event_id, "consent", "public_task") == "public_task"


def test_an_asylum_claim_opened_meanwhile_stops_everything_for_the_embassy() -> None:
    story = adult({"EMB-1": ["identity"]}, "EMB-1")
    event = story.identity().event_id
    story.says("IMMSTA-1", "AsylumClaimRecorded", "immigration", status="open")
    assert standing(story, "EMB-1", event, "identity", "consent:c1") == "asylum_embassy"


def test_what_was_held_back_counts_as_not_held() -> None:
    story = adult({"EMB-1": ["identity"]}, "EMB-1")
    event = story.identity().event_id
    story.case.holdings.hold_back("EMB-1", {event: ["identity"]})
    given = story.amends({"EMB-1": ["identity", "immigration"]})
    assert given.backfill("EMB-1") == {event: {"identity": "consent:c1"}}


def test_an_untrusted_clock_withholds_whatever_could_have_expired() -> None:
    story = adult({"SH-1": ["identity"], "CA-1": ["identity"]}, "SH-1", "CA-1")
    event = story.event("NGO-1", "IdentityRecorded", "identity", "demographics")
    settlement = settle(
        story.case, event, story.parties, story.profile, story.now, clock_trusted=False
    )
    assert settlement.outcome("SH-1", "shelter", "identity").reason == "expired"  # type: ignore[union-attr]
    assert settlement.outcome("CA-1", "competent_authority", "demographics") == Released(
        "public_task"
    )
    assert settlement.to_record()["clock_trusted"] is False
    assert END_OF_TIME.tzinfo is not None


# -- records ---------------------------------------------------------------------------------


def test_a_record_survives_json_and_names_all_it_was_decided_on() -> None:
    story = adult({"SH-1": ["identity"]}, "SH-1")
    story.says(
        "POL-1",
        "BreakGlassInvoked",
        "audit",
        requested_categories=["identity"],
        two_person_ref="tp",
        expires_at="2026-03-02T20:00:00Z",
    )
    identity = story.identity()
    record = json.loads(json.dumps(identity.settlement.to_record()))
    again = Settlement.from_record(record)
    assert again == identity.settlement or again.to_record() == identity.settlement.to_record()
    assert record["policy"] == "coe-1"
    assert record["age"] == [False, False]
    assert record["windows"] == {"POL-1": {identity.event_id: {"identity": "e5"}}}
    assert again.outcome("CA-1", "competent_authority", "identity").reason == "not_involved"  # type: ignore[union-attr]


def test_deciding_again_finds_the_record_as_it_is_and_an_altered_one() -> None:
    story = adult({"SH-1": ["identity"]}, "SH-1")
    story.identity(born="1990-01-01")
    story.withdraws()
    case = Case()
    for event, recorded in story.said:
        assert differences(case, event, recorded, story.parties, story.profile) == ()
        case.enter(event)
        case.hold(recorded, event)
        case.leave(event)
    event, recorded = story.said[-2]
    altered = recorded.to_record()
    altered["decided"]["SH-1"]["demographics"] = "public_task"
    case = Case()
    for earlier, settled in story.said[:-2]:
        case.enter(earlier)
        case.hold(settled, earlier)
        case.leave(earlier)
    forged = Settlement.from_record(altered)
    assert differences(case, event, forged, story.parties, story.profile) == ("decided",)


def test_a_rebased_item_is_recalled_with_the_consent_it_now_rests_on() -> None:
    story = adult({"SH-1": ["identity"]}, "SH-1")
    story.consents({"SH-1": ["identity"]}, consent_id="c2")
    event = story.identity().event_id
    story.case.holdings.rebase("SH-1", {event: {"identity": "consent:c2"}})
    assert story.withdraws(consent_id="c1").recalls == {}
    assert story.withdraws(consent_id="c2").recalls == {
        "SH-1": ("delete_or_restrict", ("identity",))
    }


def test_what_ends_an_embassys_part_is_still_sent_to_it() -> None:
    """3.2: an ending reaches those it cuts off, though they are no longer concerned by then."""
    story = adult({"EMB-1": ["case_management"]}, "EMB-1")
    ended = story.says(
        "NGO-1", "ReferralEnded", "case_management", referral_id="to-EMB-1", outcome="revoked"
    )
    assert ended.basis("EMB-1", "case_management") == "consent:c1"
    assert standing(story, "EMB-1", ended.event_id, "case_management", "consent:c1") == "consent:c1"
    assert not story.case.involved("EMB-1")
