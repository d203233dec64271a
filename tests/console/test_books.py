"""The books pages read: the same however they followed the log, and honest while they follow."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.console import books as followed
from hub.console.books import Books
from hub.console.drawing import HIGH, WIDE, columns, round_up, share
from tests.console.story import Story


def said(books: Books, now: Any) -> Any:
    return (
        [(one.agency, one.decision, one.state) for one in books.recalls],
        [(one.agency, one.sequence, one.reason) for one in books.set_aside()],
        [one.position for one in books.refused()],
        books.refusals,
        books.flow(now, 60),
        books.flow(now, 24 * 60, 30),
    )


def whole(told: Story) -> Any:
    with Books(told.hub.exchange.log).look(told.time.at) as books:
        assert books.behind is None
        return said(books, told.time.at)


@pytest.mark.parametrize("page", [1, 3, 50])
def test_they_are_the_same_in_small_pages(
    told: Story, page: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole(told)
    monkeypatch.setattr(followed, "PAGE", page)
    monkeypatch.setattr(followed, "STEP", page)
    monkeypatch.setattr(followed, "PATIENCE", 60)
    assert whole(told) == expected


def test_far_behind_they_say_so_and_a_thread_goes_on(
    told: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = whole(told)
    monkeypatch.setattr(followed, "PAGE", 2)
    monkeypatch.setattr(followed, "PATIENCE", 0.0)
    books = Books(told.hub.exchange.log)
    with books.look(told.time.at) as first:
        assert first.behind is not None
        seen, head = first.behind
        assert 0 < seen < head == told.hub.exchange.log.head
    thread = books._thread
    assert thread is not None
    thread.join(30)
    assert not thread.is_alive()
    with books.look(told.time.at) as after:
        assert after.behind is None
        assert said(after, told.time.at) == expected


def test_what_is_recorded_later_is_found_at_the_next_look(lived: Story) -> None:
    books = Books(lived.hub.exchange.log)
    with books.look(lived.time.at) as first:
        before = first.refusals
    assert not lived.publish("SH-1", "ReferralAccepted", "C1", referral_id="z").accepted
    with books.look(lived.time.at) as after:
        assert after.refusals == before + 1
        assert after.refused("SH-1")[0].reason == "unknown_referral"
        assert after.senders_refused == ["", "SH-1"]


def test_minutes_pass_out_of_the_flow(lived: Story) -> None:
    books = Books(lived.hub.exchange.log)
    with books.look(lived.time.at) as now:
        assert sum(now.flow(lived.time.at, 60)) == 60
    later = lived.time.at + timedelta(minutes=30)
    with books.look(later) as then:
        assert 0 < sum(then.flow(later, 60)) < 60
    much_later = lived.time.at + timedelta(days=2)
    with books.look(much_later) as end:
        assert sum(end.flow(much_later, 24 * 60)) == 0


# -- drawings ----------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200))
def test_columns_stay_in_the_picture_and_in_order(values: list[int]) -> None:
    drawn = columns(values)
    assert max(values) <= drawn.top
    for value, column in zip(values, drawn.columns, strict=True):
        assert 0 <= column.x <= column.x + column.width <= WIDE
        assert column.y >= 0
        assert column.y + column.height == pytest.approx(HIGH)
        assert (column.height > 0) == (value > 0)
    by_value = sorted(drawn.columns, key=lambda one: one.value)
    assert [one.height for one in by_value] == sorted(one.height for one in by_value)


@given(st.integers(0, 10**12))
def test_the_top_is_round_and_near(value: int) -> None:
    top = round_up(value)
    assert top >= max(value, 1)
    assert str(top).rstrip("0") in {"1", "2", "5"}
    assert top <= max(2.5 * value, 1)


@given(st.floats(0, 1e9), st.floats(0, 1e9))
def test_a_bar_is_no_longer_than_its_ground(value: float, most: float) -> None:
    drawn = share(value, most)
    assert 0 <= drawn <= 100
    assert (drawn > 0) == (value > 0 and most > 0)
