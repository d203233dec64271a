"""docs/release.md 2.10 and 6.5: break-glass windows, and what a review takes back."""

from __future__ import annotations

from tests.release.story import Heard, Story


def child_case() -> Story:
    """A child's case at CPS-1, a placement and an identity recorded; police outside."""
    story = Story()
    story.opened("CPS-1", "child")
    story.identity("CPS-1")
    story.says("CPS-1", "AccommodationPlaced", "case_management", "location_safe")
    return story


def invoked(
    story: Story,
    *categories: str,
    agency: str = "POL-1",
    expires: str = "2026-03-02T20:00:00Z",
) -> Heard:
    return story.says(
        agency,
        "BreakGlassInvoked",
        "case_management",
        "audit",
        requested_categories=list(categories),
        two_person_ref="tp",
        expires_at=expires,
    )


def reviewed(story: Story, invocation: str, outcome: str = "not_justified") -> Heard:
    return story.says(
        "AUD-1",
        "BreakGlassReviewed",
        "audit",
        invocation_event_id=invocation,
        outcome=outcome,
    )


# -- 2.10 ------------------------------------------------------------------------------------


def test_2_10_a_window_opens_listed_categories_and_does_not_involve() -> None:
    story = child_case()
    opened = invoked(story, "identity", "location_safe", "health")
    assert opened.backfill("POL-1") == {
        "e2": {"identity": "vital_interests"},
        "e3": {"location_safe": "vital_interests"},
    }
    assert not story.case.involved("POL-1")
    needs = story.says("CPS-1", "NeedsAssessed", "protection", "health", "identity")
    assert needs.reason("POL-1", "health") == "never_rule"  # not in the police's list
    assert needs.reason("POL-1", "protection") == "not_involved"  # not requested
    assert needs.basis("POL-1", "identity") == "vital_interests"


def test_2_10_it_closes_at_the_instant_it_expires() -> None:
    story = child_case()
    invoked(story, "identity", expires="2026-03-02T20:00:00Z")
    assert story.on("2026-03-02T19:58").identity("CPS-1").basis("POL-1", "identity")
    closed = story.on("2026-03-02T19:59").identity("CPS-1")  # said at 20:00
    assert closed.reason("POL-1", "identity") == "not_involved"


def test_2_10_it_never_lasts_longer_than_24_hours() -> None:
    story = child_case().on("2026-03-02T11:59")
    invoked(story, "identity", expires="2026-03-09T00:00:00Z")  # at 12:00
    assert story.on("2026-03-03T11:58").identity("CPS-1").basis("POL-1", "identity")
    assert story.on("2026-03-03T11:59").identity("CPS-1").reason("POL-1", "identity")


def test_2_10_a_role_without_a_list_opens_nothing() -> None:
    story = child_case()
    assert invoked(story, "identity", agency="NGO-1").settlement.backfill == {}


def test_2_10_a_window_is_the_invokers_alone() -> None:
    story = Story("CPS-1", "POL-1", "POL-2", "AUD-1")
    story.opened("CPS-1", "child")
    invoked(story, "identity")
    assert story.identity("CPS-1").reason("POL-2", "identity") == "not_involved"


def test_2_10_while_a_window_is_open_its_basis_goes_before_any_other() -> None:
    story = child_case()
    story.involves("CPS-1", "POL-1")
    invoked(story, "identity")
    assert story.identity("CPS-1").basis("POL-1", "identity") == "vital_interests"


# -- 6.5 ------------------------------------------------------------------------------------


def test_6_5_what_an_unjustified_window_gave_is_deleted() -> None:
    story = child_case()
    window = invoked(story, "identity", "location_safe")
    story.identity("CPS-1")
    review = reviewed(story.on("2026-03-03"), window.event_id)
    assert review.recalls == {"POL-1": ("delete", ("identity", "location_safe"))}
    assert reviewed(story, window.event_id).recalls == {}  # nothing is recalled twice


def test_6_5_justified_partly_or_unknown_recalls_nothing() -> None:
    story = child_case()
    window = invoked(story, "identity")
    assert reviewed(story, window.event_id, "justified").recalls == {}
    assert reviewed(story, window.event_id, "partly").recalls == {}
    assert reviewed(story, "e2").recalls == {}
    assert reviewed(story, "elsewhere").recalls == {}
    assert story.identity("CPS-1").basis("POL-1", "identity") == "vital_interests"


def test_6_5_the_window_ends_first_and_stays_shut() -> None:
    story = child_case()
    window = invoked(story, "identity")
    reviewed(story, window.event_id)
    assert story.identity("CPS-1").reason("POL-1", "identity") == "not_involved"


def test_6_5_what_is_releasable_on_another_basis_stays_and_changes_basis() -> None:
    story = child_case()
    window = invoked(story, "identity", "location_safe")
    story.involves("CPS-1", "POL-1")
    ever = story.case.holdings.final()
    review = reviewed(story, window.event_id)
    assert review.recalls == {"POL-1": ("delete", ("location_safe",))}
    assert review.settlement.rebased == {"POL-1": {"e2": {"identity": "safeguarding"}}}
    assert story.case.holdings.final() == ever  # 7 gains nothing


def test_6_5_then_6_1_what_stayed_on_a_consent_is_recalled_with_it() -> None:
    story = Story()
    story.opened("NGO-1", "adult")
    story.identity()
    window = invoked(story, "identity")
    story.consents({"POL-1": ["identity"]})
    story.involves("NGO-1", "POL-1")
    assert reviewed(story, window.event_id).settlement.rebased == {
        "POL-1": {"e2": {"identity": "consent:c1"}}
    }
    withdrawn = story.withdraws()
    assert withdrawn.recalls == {"POL-1": ("delete_or_restrict", ("identity",))}


def test_6_5_where_windows_overlap_the_earliest_open_one_gave_it() -> None:
    story = child_case()
    first = invoked(story, "location_safe")
    second = invoked(story, "identity", "location_safe")
    story.says("CPS-1", "AccommodationPlaced", "location_safe")  # through the first
    story.identity("CPS-1")  # through the second: the first does not cover it
    assert reviewed(story, second.event_id).recalls == {"POL-1": ("delete", ("identity",))}
    again = story.says("CPS-1", "AccommodationPlaced", "location_safe")
    assert again.basis("POL-1", "location_safe") == "vital_interests"  # the first is still open
    assert reviewed(story, first.event_id).recalls == {"POL-1": ("delete", ("location_safe",))}


def test_6_5_an_overlapping_open_window_keeps_nothing() -> None:
    story = child_case()
    first = invoked(story, "location_safe")
    invoked(story, "location_safe")
    assert reviewed(story, first.event_id).recalls == {"POL-1": ("delete", ("location_safe",))}


def test_6_5_after_the_recall_a_new_window_gives_it_again() -> None:
    story = child_case()
    first = invoked(story, "location_safe")
    reviewed(story, first.event_id)
    second = invoked(story, "location_safe")
    assert second.backfill("POL-1") == {"e3": {"location_safe": "vital_interests"}}


def test_6_6_the_end_of_a_window_recalls_nothing() -> None:
    story = child_case()
    invoked(story, "location_safe")
    later = story.on("2026-03-09").identity("CPS-1")
    assert later.recalls == {}
    assert ("e3", "location_safe") in story.case.holdings["POL-1"]
