"""Requests of the person and their deadlines: a month, three with an extension."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from hub.person.requests import Message, Request, requests

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def received(day: int = 0, due: str | None = "2026-03-20", **other: Any) -> Message:
    facts = {"request_id": "q1", "right": "access", "due_on": due, **other}
    return "SubjectRequestReceived", START + timedelta(days=day), "NGO-1", facts


def decided(day: int, **other: Any) -> Message:
    facts = {"request_id": "q1", "outcome": "granted", "action": "disclosed", **other}
    return "SubjectRequestDecided", START + timedelta(days=day), "CA-1", facts


def one(*messages: Message) -> Request:
    [request] = requests(messages)
    return request


def test_it_is_due_when_stated_and_overdue_the_day_after() -> None:
    request = one(received())
    assert request.due_on == date(2026, 3, 20)
    assert request.state(date(2026, 3, 20)) == "open"
    assert request.state(date(2026, 3, 21)) == "overdue"


def test_never_later_than_the_laws_month() -> None:
    assert one(received(due="2026-12-31")).due_on == date(2026, 4, 1)
    assert one(received(due=None)).due_on == date(2026, 4, 1)


def test_received_again_with_a_later_day_it_is_extended_to_three_months_at_most() -> None:
    extended = one(received(), received(10, due="2026-05-01"))
    assert (extended.due_on, extended.extended) == (date(2026, 5, 1), True)
    assert extended.received_at == START
    assert one(received(), received(10, due="2027-01-01")).due_on == date(2026, 6, 1)


def test_an_earlier_day_extends_nothing() -> None:
    request = one(received(), received(1, due="2026-03-10"))
    assert (request.due_on, request.extended) == (date(2026, 3, 20), False)


def test_answered_in_time_and_too_late() -> None:
    assert one(received(), decided(5)).state(date(2030, 1, 1)) == "decided"
    assert one(received(), decided(60)).state(date(2030, 1, 1)) == "decided_late"


def test_a_refusal_keeps_its_exemption() -> None:
    request = one(
        received(), decided(5, outcome="refused", exemption="legal_claims", action="none")
    )
    assert (request.outcome, request.exemption, request.open) == ("refused", "legal_claims", False)


def test_an_answer_without_a_request_is_shown_as_what_it_is() -> None:
    request = one(decided(1))
    assert (request.right, request.due_on, request.state(date(2026, 3, 3))) == ("", None, "decided")


def test_the_same_reference_used_again_after_an_answer_is_a_new_request() -> None:
    request = one(received(), decided(5), received(40, due="2026-04-20"))
    assert request.open
    assert request.received_at == START + timedelta(days=40)


@given(st.lists(st.tuples(st.integers(0, 200), st.dates(date(2025, 1, 1), date(2028, 1, 1)))))
def test_whatever_is_stated_it_is_never_due_later_than_three_months(
    stated: list[tuple[int, date]],
) -> None:
    messages = [received(day, due.isoformat()) for day, due in sorted(stated)]
    for request in requests(messages):
        assert request.received_at is not None
        assert request.due_on is not None
        assert request.due_on <= request.received_at.date() + timedelta(days=91)
