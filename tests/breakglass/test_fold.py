"""The fold of all invocations of a case: what opened, what came through, what became of it."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from hub.domain.breakglass import Invocation, Invocations
from tests.release.story import PROFILE, Heard, Story

CASE = UUID(int=7)


def folded(story: Story) -> Invocations:
    invocations = Invocations(CASE)
    for event, settlement in story.said:
        invocations.apply(event, settlement, PROFILE)
    return invocations


def the_one(story: Story) -> Invocation:
    [one] = folded(story).by_event.values()
    return one


def case_with_police_outside() -> Story:
    story = Story()
    story.opened("NGO-1")
    story.identity("NGO-1")
    story.says("NGO-1", "RiskAssessed", "protection")
    return story


def invoked(story: Story, *categories: str, expires: str = "2026-03-02T20:00:00Z") -> Heard:
    return story.says(
        "POL-1",
        "BreakGlassInvoked",
        "case_management",
        "audit",
        reason="threat_to_life",
        requested_categories=list(categories),
        two_person_ref="second officer",
        expires_at=expires,
    )


def reviewed(story: Story, invocation: str, outcome: str, **said: bool) -> Heard:
    return story.says(
        "AUD-1",
        "BreakGlassReviewed",
        "audit",
        invocation_event_id=invocation,
        outcome=outcome,
        **said,
    )


def test_what_it_asked_for_and_what_of_it_opened() -> None:
    story = case_with_police_outside()
    opening = invoked(story, "identity", "health", "immigration")
    one = the_one(story)
    assert (one.agency, one.role, one.reason) == ("POL-1", "police", "threat_to_life")
    assert one.requested == ("health", "identity", "immigration")
    assert one.opened == ("identity",)
    assert one.through == {"e2": ["identity"]}
    assert one.event_id == opening.event_id
    assert one.review_due - one.at == timedelta(hours=72)


def test_what_comes_later_through_the_same_window_is_listed_too() -> None:
    story = case_with_police_outside()
    invoked(story, "identity", "protection")
    later = story.says("NGO-1", "RiskAssessed", "protection", "health")
    assert the_one(story).through == {
        "e2": ["identity"],
        "e3": ["protection"],
        later.event_id: ["protection"],
    }


def test_it_ends_by_itself_and_never_after_more_than_a_day() -> None:
    story = case_with_police_outside()
    invoked(story, "identity", expires="2026-04-01T00:00:00Z")
    one = the_one(story)
    assert one.closes - one.at == timedelta(hours=24)
    assert one.open(one.at)
    assert not one.open(one.closes)
    assert not one.overdue(one.review_due)
    assert one.overdue(one.review_due + timedelta(seconds=1))


def test_found_not_justified_it_shuts_and_what_came_through_is_recalled_or_stands_otherwise() -> (
    None
):
    story = case_with_police_outside()
    opening = invoked(story, "identity", "protection")
    # The person agrees to the police's knowing the name, in the meantime.
    story.consents({"POL-1": ["identity"]})
    story.involves("NGO-1", "POL-1")
    reviewed(story, opening.event_id, "not_justified", person_informed=True)
    one = the_one(story)
    assert not one.open(story.now)
    assert one.recalled["e3"] == ["protection"]
    assert one.stays["e2"] == ["identity"]
    [review] = one.reviews
    assert (review.outcome, review.by, review.person_informed) == ("not_justified", "AUD-1", True)
    assert not one.overdue(one.review_due + timedelta(days=1))


def test_justified_or_partly_recalls_nothing_and_a_late_review_is_said_so() -> None:
    for outcome in ("justified", "partly"):
        story = case_with_police_outside()
        opening = invoked(story, "identity")
        story.on("2026-03-09T09:00")
        reviewed(story, opening.event_id, outcome)
        one = the_one(story)
        assert one.recalled == one.stays == {}
        assert one.reviewed_late
        assert one.reviews[0].person_informed is None


def test_a_review_of_something_else_is_no_review() -> None:
    story = case_with_police_outside()
    invoked(story, "identity")
    reviewed(story, "e1", "not_justified")
    assert the_one(story).reviews == []


def test_what_was_not_sent_after_all_did_not_come_through() -> None:
    story = case_with_police_outside()
    invoked(story, "identity", "protection")
    invocations = folded(story)
    invocations.hold_back("NGO-1", {"e2": ["identity"]})
    invocations.hold_back("POL-1", {"e2": ["identity"]})
    [one] = invocations.by_event.values()
    assert one.through == {"e3": ["protection"]}


def test_two_at_once_are_two_lines() -> None:
    story = case_with_police_outside()
    first = invoked(story, "identity")
    second = invoked(story, "identity", "protection")
    invocations = folded(story).by_event
    assert invocations[first.event_id].through == {"e2": ["identity"]}
    assert invocations[second.event_id].through == {"e3": ["protection"]}
