"""Rows just recorded are handed to followers as they stand in the log, or not at all."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.recording.draft import Fresh
from hub.recording.fresh import FreshRows
from tests.store.samples import sending

FOLLOWERS = ("publisher", "work")
steps = st.lists(
    st.one_of(
        st.tuples(st.just("record"), st.integers(4, 8)),
        st.tuples(st.sampled_from(FOLLOWERS), st.integers(1, 3)),
        st.just(("elsewhere", 1)),
    ),
    min_size=10,
    max_size=30,
)


@settings(max_examples=25, deadline=None)
@given(steps)
def test_every_follower_sees_every_row_in_order_and_what_all_have_passed_is_let_go(
    taken: list[tuple[str, int]],
) -> None:
    fresh, head, whole_after = FreshRows(), 0, 0
    at: dict[str, int] = {}
    for what, count in taken:
        if what == "record":
            rows = [Fresh(head + n, sending("a", head + n)) for n in range(1, count + 1)]
            fresh.add(rows)
            head += count
        elif what == "elsewhere":  # another process recorded a row
            fresh.forget()
            head += 1
            whole_after = head
        else:
            position = at.get(what, 0)
            whole_after = whole_after if at else head  # nothing is kept while nobody asks
            found = [one.position for one in fresh.after(what, position, count)]
            assert found == list(range(position + 1, position + 1 + len(found)))
            assert found or what not in at or not whole_after <= position < head, "read for nothing"
            at[what] = position + len(found) if found else head  # else read from the log
    for name, position in at.items():
        fresh.after(name, position, 1)
    if at:
        assert all(one.position > min(at.values()) for one in fresh._rows)
    else:
        assert not fresh._rows, "nobody asks, so no secret is kept"
