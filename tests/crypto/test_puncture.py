"""A key that can forget: it forgets exactly whom it was told to, and nothing leads back."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.crypto.puncture import DEPTH, PuncturableKey, path_of

NAMES = st.lists(st.binary(min_size=16, max_size=16), min_size=1, max_size=6, unique=True)
# Close to one another, so that paths part late.
NEIGHBOURS = st.lists(
    st.integers(0, 255).map(lambda n: bytes(15) + bytes((n,))), min_size=1, max_size=6, unique=True
)
KEY = PuncturableKey.fresh(hashlib.sha256(b"a key").digest())


@settings(max_examples=40, deadline=None)
@given(NAMES | NEIGHBOURS, st.data())
def test_who_was_forgotten_is_gone_and_nobody_else(names: list[bytes], data: st.DataObject) -> None:
    gone = data.draw(st.sets(st.sampled_from(names)))
    key = KEY
    for name in gone:
        key = key.without(name)
    for name in names:
        assert key.key_for(name) == (None if name in gone else KEY.key_for(name))


@settings(max_examples=20, deadline=None)
@given(NAMES | NEIGHBOURS)
def test_no_node_that_is_left_stands_above_a_forgotten_leaf(names: list[bytes]) -> None:
    key = KEY
    for name in names:
        key = key.without(name)
    for name in names:
        assert not [path for path in key.nodes if path_of(name).startswith(path)]
    assert set(key.nodes.values()).isdisjoint(KEY.key_for(name) for name in names)


@settings(max_examples=20, deadline=None)
@given(NAMES, st.randoms(use_true_random=False))
def test_the_order_of_forgetting_does_not_matter(names: list[bytes], random: object) -> None:
    other = list(names)
    random.shuffle(other)  # type: ignore[attr-defined]
    one, another = KEY, KEY
    for name in names:
        one = one.without(name)
    for name in other:
        another = another.without(name)
    assert dict(one.nodes) == dict(another.nodes)


def test_forgetting_costs_three_nodes_a_level_and_twice_costs_nothing() -> None:
    once = KEY.without(bytes(16))
    assert len(once.nodes) == 3 * DEPTH
    assert once.without(bytes(16)) is once


def test_every_name_has_another_key() -> None:
    keys = {KEY.key_for(n.to_bytes(16, "big")) for n in range(200)}
    assert len(keys) == 200


@pytest.mark.parametrize("name", [b"", bytes(15), bytes(17)])
def test_a_name_of_another_length_is_refused(name: bytes) -> None:
    with pytest.raises(ValueError, match="bytes"):
        KEY.key_for(name)


def test_a_frozen_vector() -> None:
    """Another derivation would open no backup made before."""
    key = PuncturableKey.fresh(bytes(range(32))).key_for(bytes(range(16)))
    assert key is not None
    assert key.hex() == "0563c50d57ac95093e117c8bf559b62314760a74ac32d07c544cbdacc144668d"
