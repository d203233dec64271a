"""What of an event was encoded for one recipient says nothing to the next but what it may have."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hub.recalling.recalled import left_of
from hub.sending.parts import Parts
from schemas import wire
from tests.store.samples import accepted

EVENT = accepted("c", 1)  # compartments: routing, consent/shelter-1
bases = st.dictionaries(
    st.sampled_from(["routing", "consent", "identity"]),
    st.sampled_from(["consent:c1", "consent:c2", "public_task"]),
)
asked = st.tuples(
    bases,
    st.sampled_from(["shelter-1", "police-1"]),
    st.sets(st.sampled_from(["routing", "consent", "identity"])),  # recalled since it was marked
)


@settings(max_examples=15, deadline=None)
@given(st.lists(asked, min_size=2, max_size=8))
def test_a_recall_reaches_what_was_encoded_for_others_before(
    questions: list[tuple[dict[str, str], str, set[str]]],
) -> None:
    shared = Parts(EVENT, bytes(32))
    for marked, agency, recalled in questions:
        stands = left_of(
            marked, shared.event_id, 1, {(shared.event_id, one): 2 for one in recalled}
        )
        told = shared.told(stands, agency)
        assert told == Parts(EVENT, bytes(32)).told(stands, agency)
        what = wire.DELIVERY_WHAT.decode(told)
        assert {one["category"]: one["basis"] for one in what["bases"]} == stands
        names = {wire.DELIVERED_COMPARTMENT.unsingle(one)["name"] for one in what["compartments"]}
        assert {name.partition("/")[0] for name in names} <= set(stands)
        assert agency == "shelter-1" or "consent/shelter-1" not in names
