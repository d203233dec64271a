"""docs/release.md 2.7–2.9 and 4.8, 4.12: what a consent holds, when it counts, who is its party."""

from __future__ import annotations

from tests.release.story import Story


def started(*, history: bool = True, until: str = "2026-12-31") -> Story:
    """NGO-1 opened; SH-1 and CA-1 joined under consent c1 (identity, protection)."""
    story = Story()
    story.opened()
    story.consents(
        {"SH-1": ["identity", "protection"], "CA-1": ["identity", "protection"]},
        history=history,
        until=until,
    )
    story.involves("NGO-1", "SH-1", "CA-1")
    return story


# -- 2.7 -------------------------------------------------------------------------------------


def test_2_7_a_consent_holds_on_its_last_day_and_lapses_after_it() -> None:
    story = started(until="2026-06-10")
    assert story.on("2026-06-10T23:58").identity().basis("SH-1", "identity") == "consent:c1"
    assert story.on("2026-06-10T23:59").identity().reason("SH-1", "identity") == "expired"


def test_2_7_consent_expired_ends_it_whatever_the_date_says() -> None:
    story = started()
    story.says("HUB", "ConsentExpired", "consent", consent_id="c1")
    assert story.identity().reason("SH-1", "identity") == "expired"


def test_2_7_an_amendment_replaces_scope_and_validity_a_dropped_pair_counts_as_withdrawn() -> None:
    story = started(until="2026-06-10")
    story.amends({"SH-1": ["identity", "contact"], "CA-1": ["identity"]}, until="2026-09-10")
    story.on("2026-09-10")
    assert story.identity().basis("SH-1", "identity") == "consent:c1"
    risk = story.says("NGO-1", "RiskAssessed", "protection")
    assert risk.reason("SH-1", "protection") == "withdrawn"


def test_2_7_a_withdrawal_takes_all_or_recipients_or_categories() -> None:
    story = started()
    story.withdraws(extent="categories", categories=["identity"])
    assert story.identity().reason("SH-1", "identity") == "withdrawn"
    assert story.says("NGO-1", "RiskAssessed", "protection").basis("SH-1", "protection")
    story.withdraws(extent="recipients", recipients=["SH-1"])
    risk = story.says("NGO-1", "RiskAssessed", "protection")
    assert risk.reason("SH-1", "protection") == "withdrawn"
    assert risk.basis("CA-1", "protection") == "consent:c1"
    story.withdraws(extent="all")
    risk = story.says("NGO-1", "RiskAssessed", "protection")
    assert risk.reason("CA-1", "protection") == "withdrawn"


def test_2_7_a_withdrawal_by_extent_ignores_the_other_list() -> None:
    story = started()
    story.withdraws(extent="recipients", recipients=["POL-1"], categories=["identity"])
    assert story.identity().basis("SH-1", "identity") == "consent:c1"


# -- 2.8 -------------------------------------------------------------------------------------


def test_2_8_without_history_what_was_recorded_before_the_consent_is_shut_out() -> None:
    story = Story()
    story.opened()
    before = story.identity()
    story.consents({"SH-1": ["identity"]}, history=False)
    after = story.identity()
    story.refers("NGO-1", "SH-1")
    caught_up = story.accepts("SH-1").backfill("SH-1")
    assert before.event_id not in caught_up
    # ... but not what was recorded before the recipient joined:
    assert caught_up[after.event_id] == {"identity": "consent:c1"}


def test_2_8_with_history_what_came_before_counts_too() -> None:
    story = Story()
    story.opened()
    before = story.identity()
    story.consents({"SH-1": ["identity"]}, history=True)
    story.refers("NGO-1", "SH-1")
    assert before.event_id in story.accepts("SH-1").backfill("SH-1")


def test_2_8_a_pair_kept_by_an_amendment_keeps_its_granting_position() -> None:
    story = started(history=False)
    between = story.identity()
    story.says("NGO-1", "ContactPreferenceRecorded", "contact")
    widened = story.amends({"SH-1": ["identity", "contact"], "CA-1": ["identity"]})
    assert story.again(between, "SH-1", "identity") == "consent:c1"
    assert widened.backfill("SH-1") == {}  # contact was granted now: earlier contact stays out


def test_2_8_a_pair_dropped_and_granted_again_counts_from_then() -> None:
    story = started(history=False)
    between = story.identity()
    story.amends({"CA-1": ["identity"], "SH-1": ["protection"]})
    story.amends({"CA-1": ["identity"], "SH-1": ["identity"]})
    assert story.again(between, "SH-1", "identity") == "no_consent"
    assert story.identity().basis("SH-1", "identity") == "consent:c1"


def test_2_8_if_several_count_the_oldest_record_is_the_basis() -> None:
    story = started()
    story.consents({"SH-1": ["identity"]}, consent_id="a2")
    assert story.identity().basis("SH-1", "identity") == "consent:c1"
    story.withdraws(consent_id="c1")
    assert story.identity().basis("SH-1", "identity") == "consent:a2"


def test_2_8_the_message_that_grants_a_pair_is_not_older_than_it() -> None:
    story = Story()
    story.opened()
    story.consents({"FNRM-1": ["protection"]})
    story.says("NGO-1", "TransferOffered", "case_management", transfer_id="t", to_agency="FNRM-1")
    story.says("FNRM-1", "TransferAnswered", "case_management", transfer_id="t", outcome="accepted")
    given = story.consents({"FNRM-1": ["consent"]}, consent_id="c2", history=False)
    assert given.basis("FNRM-1", "consent") == "consent:c2"


# -- 2.9 -------------------------------------------------------------------------------------


def test_2_9_no_record_ever_held_the_pair() -> None:
    story = started()
    assert story.says("NGO-1", "NeedsAssessed", "health").reason("SH-1", "health") == "no_consent"


def test_2_9_only_history_missing_is_no_consent() -> None:
    story = Story()
    story.opened()
    before = story.identity()
    story.consents({"SH-1": ["identity"]}, history=False)
    story.involves("NGO-1", "SH-1")
    assert story.again(before, "SH-1", "identity") == "no_consent"


def test_2_9_the_newest_record_that_ever_held_the_pair_decides() -> None:
    story = started(until="2026-04-01")
    story.consents({"SH-1": ["identity"]}, consent_id="c2", until="2026-12-31")
    story.consents({"SH-1": ["health"]}, consent_id="c3", until="2026-12-31")
    story.withdraws(consent_id="c2")
    story.on("2026-05-01")
    assert story.identity().reason("SH-1", "identity") == "withdrawn"  # c2, not the lapsed c1


def test_2_9_lapsed_in_the_newest_withdrawn_in_the_older_is_expired() -> None:
    story = started()
    story.consents({"SH-1": ["identity"]}, consent_id="c2", until="2026-04-01")
    story.withdraws(consent_id="c1")
    story.on("2026-05-01")
    assert story.identity().reason("SH-1", "identity") == "expired"


# -- 4.8 -------------------------------------------------------------------------------------


def test_4_8_only_agencies_the_record_names_are_its_parties() -> None:
    story = started()
    story.consents({"HLT-1": ["health"]}, consent_id="c2")
    given = story.consents({"SH-1": ["identity"]}, consent_id="c3")
    assert given.basis("SH-1", "consent") == "public_task"
    assert given.reason("CA-1", "consent") == "not_party"


def test_4_8_a_request_names_nobody_until_the_consent_is_given() -> None:
    story = started()
    asked = story.says("NGO-1", "ConsentRequested", "consent", consent_id="c2")
    assert asked.reason("SH-1", "consent") == "not_party"
    given = story.consents({"SH-1": ["health"]}, consent_id="c2")
    assert given.backfill("SH-1") == {asked.event_id: {"consent": "public_task"}}


def test_4_8_expiry_does_not_un_name_withdrawal_does_afterwards() -> None:
    story = started()
    expired = story.says("HUB", "ConsentExpired", "consent", consent_id="c1")
    assert expired.basis("CA-1", "consent") == "public_task"
    assert story.again(expired, "CA-1", "consent") == "public_task"
    story.withdraws()
    assert story.again(expired, "CA-1", "consent") == "not_party"


def test_4_8_who_was_named_just_before_hears_of_the_withdrawal_once() -> None:
    story = started()
    withdrawn = story.withdraws(extent="recipients", recipients=["CA-1"])
    assert withdrawn.basis("CA-1", "consent") == "public_task"
    assert story.again(withdrawn, "CA-1", "consent") == "not_party"
    later = story.withdraws(extent="recipients", recipients=["SH-1"])
    assert later.reason("CA-1", "consent") == "not_party"


def test_4_8_an_agency_whose_last_category_was_withdrawn_is_no_longer_named() -> None:
    story = started()
    story.withdraws(extent="categories", categories=["identity", "protection"])
    refused = story.says("NGO-1", "ConsentRequested", "consent", consent_id="c1")
    assert refused.reason("CA-1", "consent") == "not_party"


def test_4_8_the_emitter_of_an_earlier_message_is_not_thereby_a_party() -> None:
    story = started()
    story.consents({"HLT-1": ["health"]}, consent_id="c2", by="CA-1")
    later = story.withdraws(consent_id="c2")
    assert later.reason("CA-1", "consent") == "not_party"


# -- 4.12 ------------------------------------------------------------------------------------


def managed(story: Story) -> str | None:
    """Reason or basis of case management for SH-1."""
    ended = story.says("NGO-1", "ServiceEpisodeStarted", "case_management")
    return ended.reason("SH-1", "case_management") or ended.basis("SH-1", "case_management")


def test_4_12_default_access_of_a_private_body_ends_with_the_last_consent_naming_it() -> None:
    story = started()
    story.consents({"SH-1": ["health"]}, consent_id="c2")
    story.withdraws(consent_id="c1")
    assert managed(story) == "public_task"
    story.withdraws(consent_id="c2")
    assert managed(story) == "withdrawn"


def test_4_12_lapsed_is_expired_and_an_authority_keeps_its_access() -> None:
    story = started(until="2026-06-10").on("2026-06-11")
    assert managed(story) == "expired"
    closed = story.says("NGO-1", "CaseClosed", "case_management")
    assert closed.basis("CA-1", "case_management") == "public_task"


def test_4_12_some_pairs_withdrawn_of_a_lapsed_record_is_expired_all_is_withdrawn() -> None:
    story = started(until="2026-06-10")
    story.withdraws(extent="categories", categories=["identity"])
    assert managed(story.on("2026-06-11")) == "expired"
    story = started(until="2026-06-10")
    story.withdraws(extent="recipients", recipients=["SH-1"])
    assert managed(story.on("2026-06-11")) == "withdrawn"


def test_4_12_no_record_ever_named_it() -> None:
    story = Story()
    story.opened("CPS-1", "child")
    story.identity("CPS-1", "2008-09-01")
    story.involves("CPS-1", "SH-1")
    story.on("2026-09-02")
    placed = story.says("CPS-1", "AccommodationPlaced", "case_management", "location_safe")
    assert placed.reason("SH-1", "location_safe") == "no_consent"


def test_4_12_neither_the_opener_nor_a_childs_helper_needs_one() -> None:
    story = Story()
    story.opened("SH-1")
    story.consents({"NGO-1": ["protection"]}, by="SH-1")
    story.involves("SH-1", "NGO-1")
    placed = story.says("NGO-1", "AccommodationPlaced", "location_safe")
    assert placed.basis("SH-1", "location_safe") == "public_task"
    story = Story()
    story.opened("CPS-1", "unknown")
    story.involves("CPS-1", "SH-1")
    placed = story.says("CPS-1", "AccommodationPlaced", "location_safe")
    assert placed.basis("SH-1", "location_safe") == "public_task"


def test_4_12_a_withdrawal_reaches_the_private_body_it_cuts_off() -> None:
    withdrawn = started().withdraws()
    assert withdrawn.basis("SH-1", "consent") == "public_task"


def test_4_12_but_not_one_whose_consent_had_lapsed_before() -> None:
    story = started(until="2026-06-10").on("2026-06-11")
    withdrawn = story.withdraws()
    assert withdrawn.reason("SH-1", "consent") == "withdrawn"
    assert withdrawn.basis("CA-1", "consent") == "public_task"


def test_4_12_just_before_any_active_consent_naming_it_suffices() -> None:
    story = started()
    story.consents({"SH-1": ["health"]}, consent_id="c2", until="2026-04-01")
    withdrawn = story.on("2026-05-01").withdraws(consent_id="c1")
    assert withdrawn.basis("SH-1", "consent") == "public_task"


def test_4_12_an_amendment_that_ends_the_consent_reaches_the_private_body_once() -> None:
    story = started().on("2026-06-10")
    ended = story.amends({"SH-1": ["identity"]}, until="2026-06-09")
    assert ended.basis("SH-1", "consent") == "public_task"
    assert story.again(ended, "SH-1", "consent") == "expired"
