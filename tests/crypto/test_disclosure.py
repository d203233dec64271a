"""Disclosure: one compartment can be shown and checked, and says nothing of the others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.crypto.disclosure import (
    Disclosure,
    DisclosureError,
    commit,
    padded_size,
    verify_disclosed,
)
from hub.tlog import merkle
from tests.vectors import vectors

names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)
compartments = st.dictionaries(
    names, st.tuples(st.binary(min_size=16, max_size=16), st.binary(max_size=60)), max_size=20
)


@pytest.mark.parametrize("vector", vectors("commitments"))
def test_commitment_vectors(vector: dict[str, Any]) -> None:
    salt, body = bytes.fromhex(vector["salt"]), bytes.fromhex(vector["body"])
    if vector["expect"] == "DisclosureError":
        with pytest.raises(DisclosureError):
            commit(vector["label"], salt, body)
        return
    same = commit(vector["label"], salt, body).hex() == vector["commitment"]
    assert same == (vector["expect"] == "ok")


@pytest.mark.parametrize("vector", vectors("disclosure"))
def test_disclosure_vectors(vector: dict[str, Any]) -> None:
    if vector["kind"] == "show":
        shown = verify_disclosed(
            bytes.fromhex(vector["root"]),
            vector["label"],
            bytes.fromhex(vector["salt"]),
            bytes.fromhex(vector["body"]),
            vector["index"],
            [bytes.fromhex(one) for one in vector["path"]],
        )
        assert shown == (vector["expect"] == "ok")
        return
    parts = {
        one["name"]: (bytes.fromhex(one["salt"]), bytes.fromhex(one["body"]))
        for one in vector["compartments"]
    }
    padding = [bytes.fromhex(one) for one in vector["padding"]]
    if vector["expect"] == "ok":
        tree = Disclosure.build(parts, padding)
        assert [leaf.hex() for leaf in tree.leaves] == vector["leaves"]
        assert tree.root.hex() == vector["root"]
    else:
        with pytest.raises(DisclosureError):
            Disclosure.build(parts, padding)


@given(compartments)
def test_every_compartment_can_be_shown(parts: dict[str, tuple[bytes, bytes]]) -> None:
    tree = Disclosure.build(parts)
    assert len(tree.leaves) == padded_size(len(parts))
    assert tree.root == merkle.root([merkle.leaf_hash(leaf) for leaf in tree.leaves])
    for name, (salt, body) in parts.items():
        index = tree.index(commit(name, salt, body))
        assert verify_disclosed(tree.root, name, salt, body, index, tree.path(index))


@given(compartments.filter(bool), st.integers(min_value=0))
def test_no_flipped_bit_passes(parts: dict[str, tuple[bytes, bytes]], bit: int) -> None:
    tree = Disclosure.build(parts)
    name, (salt, body) = next(iter(parts.items()))
    index = tree.index(commit(name, salt, body))
    whole = bytearray(b"".join([tree.root, salt, *tree.path(index), body]))
    whole[bit // 8 % len(whole)] ^= 1 << bit % 8
    depth = len(tree.path(index))
    path = [bytes(whole[48 + 32 * at : 80 + 32 * at]) for at in range(depth)]
    changed = bytes(whole[48 + 32 * depth :])
    assert not verify_disclosed(bytes(whole[:32]), name, bytes(whole[32:48]), changed, index, path)
    assert not verify_disclosed(tree.root, name + "x", salt, body, index, tree.path(index))


@given(compartments)
def test_the_hub_rebuilds_the_agencys_tree_in_any_order(
    parts: dict[str, tuple[bytes, bytes]],
) -> None:
    tree = Disclosure.build(parts)
    shuffled = dict(sorted(parts.items(), reverse=True))
    again = Disclosure.build(shuffled, tuple(reversed(tree.padding)))
    assert (again.root, again.leaves) == (tree.root, tree.leaves)


def test_order_and_padding_say_nothing() -> None:
    parts = {name: (bytes(16), b"") for name in ("routing", "health", "contact")}
    tree = Disclosure.build(parts)
    assert list(tree.leaves) == sorted(tree.leaves)
    assert all(len(leaf) == 32 for leaf in tree.leaves)
    # One compartment or eight: the paths have the same length.
    assert len(Disclosure.build({}).path(0)) == len(tree.path(0)) == 3


def test_an_inner_node_is_no_leaf() -> None:
    tree = Disclosure.build({"health": (bytes(16), b"x")})
    # Showing a two-leaf subtree as if it were a leaf: the prefixes keep them apart.
    assert not verify_disclosed(tree.root, "health", bytes(16), b"x", 0, tree.path(0)[1:])


def test_a_place_has_one_number_only() -> None:
    tree = Disclosure.build({"health": (bytes(16), b"x")})
    index = tree.index(commit("health", bytes(16), b"x"))
    path = tree.path(index)
    assert verify_disclosed(tree.root, "health", bytes(16), b"x", index, path)
    for other in (index + 8, index + 16, index - 8):
        assert not verify_disclosed(tree.root, "health", bytes(16), b"x", other, path)


def test_trees_no_builder_makes_are_refused_though_their_hashes_agree() -> None:
    leaf = merkle.leaf_hash(commit("health", bytes(16), b"x"))
    for path in (
        [],  # the bare leaf as root
        [bytes(32)] * 2,  # smaller than the least tree
        [bytes(32)] * 17,  # deeper than any event
        [bytes(32), bytes(64), bytes(32)],  # a sibling that is no hash
    ):
        node = leaf
        for sibling in path:
            node = merkle.node_hash(node, sibling)
        assert not verify_disclosed(node, "health", bytes(16), b"x", 0, path)


def test_padding_comes_from_the_randomness_given() -> None:
    asked: list[int] = []

    def randomness(size: int) -> bytes:
        asked.append(size)
        return bytes(at % 251 for at in range(size))

    tree = Disclosure.build({"health": (bytes(16), b"x")}, randomness=randomness)
    assert asked == [7 * 32]
    assert len(tree.padding) == 7


def test_questions_about_leaves_that_are_not_there() -> None:
    tree = Disclosure.build({})
    for index in (-1, 8):
        with pytest.raises(DisclosureError):
            tree.path(index)
    with pytest.raises(DisclosureError):
        tree.index(bytes(32))


@pytest.mark.parametrize(
    ("count", "size"), [(0, 8), (1, 8), (8, 8), (9, 16), (16, 16), (17, 32), (500, 512)]
)
def test_padded_size(count: int, size: int) -> None:
    assert padded_size(count) == size
