"""The Merkle tree: published values, the RFC's own recursion, and what must not verify."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.tlog.merkle import (
    EMPTY_ROOT,
    Frontier,
    Leaves,
    ProofError,
    Tree,
    consistency_proof,
    consistency_spans,
    implied_root,
    inclusion_path,
    inclusion_spans,
    leaf_hash,
    node_hash,
    perfect_parts,
    root,
    verify_consistency,
    verify_inclusion,
)
from tests.tlog import reference
from tests.vectors import load

# The eight leaves, and the root of each prefix, of the reference implementation of
# Certificate Transparency (google/certificate-transparency, merkle_tree_test).
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = [  # (index, size, path), from the same tests
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
PROOFS = [  # (first, second, proof), from the same tests
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
HASHES = [leaf_hash(entry) for entry in LEAVES]

entries = st.lists(st.binary(max_size=4), min_size=1, max_size=70)


def _flip(hashes: list[bytes], bit: int) -> list[bytes]:
    whole = bytearray(b"".join(hashes))
    whole[bit // 8 % len(whole)] ^= 1 << bit % 8
    return [bytes(whole[at : at + 32]) for at in range(0, len(whole), 32)]


@pytest.mark.parametrize("size", range(9))
def test_published_roots(size: int) -> None:
    assert root(HASHES[:size]).hex() == ROOTS[size]
    assert Tree(HASHES[:size]).root.hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size", "path"), PATHS)
def test_published_inclusion_paths(index: int, size: int, path: list[str]) -> None:
    assert [one.hex() for one in inclusion_path(HASHES[:size], index)] == path
    proof = [bytes.fromhex(one) for one in path]
    assert verify_inclusion(HASHES[index], index, size, proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("first", "second", "proof"), PROOFS)
def test_published_consistency_proofs(first: int, second: int, proof: list[str]) -> None:
    assert [one.hex() for one in consistency_proof(HASHES[:second], first)] == proof
    older, newer = (bytes.fromhex(ROOTS[size]) for size in (first, second))
    assert verify_consistency(first, second, older, newer, list(map(bytes.fromhex, proof)))


def test_values_made_by_go() -> None:
    made = load("go_tlog")
    hashes = [leaf_hash(b"entry %d" % at) for at in range(70_000)]
    for one in made["roots"]:
        assert root(hashes[: one["size"]]).hex() == one["root"]
    for one in made["inclusion"]:
        path = inclusion_path(hashes[: one["size"]], one["index"])
        assert [sibling.hex() for sibling in path] == one["path"]
    for one in made["consistency"]:
        proof = consistency_proof(hashes[: one["second"]], one["first"])
        assert [node.hex() for node in proof] == one["proof"]


@given(entries)
def test_all_trees_agree_with_the_recursive_definition(data: list[bytes]) -> None:
    hashes = [leaf_hash(entry) for entry in data]
    expected = reference.tree_hash(data)
    frontier = Frontier()
    frontier.extend(hashes)
    assert root(hashes) == Tree(hashes).root == frontier.root() == expected


@given(entries, st.data())
def test_every_inclusion_path_verifies_and_no_flipped_bit_does(
    data: list[bytes], draw: st.DataObject
) -> None:
    index = draw.draw(st.integers(0, len(data) - 1))
    hashes = [leaf_hash(entry) for entry in data]
    tree = Tree(hashes)
    path = tree.path(index)
    assert list(path) == reference.audit_path(index, data)
    assert path == inclusion_path(hashes, index)
    assert verify_inclusion(hashes[index], index, tree.size, path, tree.root)
    bit = draw.draw(st.integers(0, 8 * 32 * (2 + len(path)) - 1))
    leaf, top, *siblings = _flip([hashes[index], tree.root, *path], bit)
    assert not verify_inclusion(leaf, index, tree.size, siblings, top)


@given(entries, st.data())
def test_leaves_checked_in_turn_are_told_as_each_alone(
    data: list[bytes], draw: st.DataObject
) -> None:
    hashes = [leaf_hash(entry) for entry in data]
    tree = Tree(hashes)
    leaves = Leaves(tree.size, tree.root)
    places = st.integers(0, len(data) - 1)
    asked = draw.draw(st.lists(st.tuples(places, st.sampled_from("gggbsi"), places), max_size=12))
    for index, kind, other in [*((n, "g", n) for n in range(len(data))), *asked]:
        leaf, path, place = hashes[index], b"".join(tree.path(index)), index
        if kind == "b":  # a bit is flipped
            bit = draw.draw(st.integers(0, 8 * 32 * (1 + len(tree.path(index))) - 1))
            leaf, *siblings = _flip([leaf, *tree.path(index)], bit)
            path = b"".join(siblings)
        elif kind == "s":  # cut, or with more than is proper
            path = draw.draw(st.sampled_from([path[:-32], path[:-1], path + bytes(32), path[32:]]))
        elif kind == "i":  # told of another place
            place = draw.draw(st.sampled_from([other, -1, len(data), index ^ 1]))
        cut = [path[at : at + 32] for at in range(0, len(path), 32)]
        alone = verify_inclusion(leaf, place, tree.size, cut, tree.root)
        assert leaves.verify(leaf, place, path) == alone


@given(entries, st.data())
def test_a_path_fits_one_place_only(data: list[bytes], draw: st.DataObject) -> None:
    data = [b"%d " % at + entry for at, entry in enumerate(data)]  # all different
    hashes = [leaf_hash(entry) for entry in data]
    index = draw.draw(st.integers(0, len(data) - 1))
    tree = Tree(hashes)
    path = tree.path(index)
    for other in range(-1, len(data) + 2):
        fits = verify_inclusion(hashes[index], other, tree.size, path, tree.root)
        assert fits == (other == index)
    for spoilt in ((*path, bytes(32)), (bytes(32), *path), path[:-1], path[1:]):
        if spoilt != path:
            assert not verify_inclusion(hashes[index], index, tree.size, spoilt, tree.root)


@given(entries, st.data())
def test_every_consistency_proof_verifies_and_no_flipped_bit_does(
    data: list[bytes], draw: st.DataObject
) -> None:
    second = len(data)
    first = draw.draw(st.integers(1, second))
    hashes = [leaf_hash(entry) for entry in data]
    older, newer = root(hashes[:first]), root(hashes)
    proof = consistency_proof(hashes, first)
    assert list(proof) == reference.consistency(first, data)
    assert verify_consistency(first, second, older, newer, proof)
    bit = draw.draw(st.integers(0, 8 * 32 * (2 + len(proof)) - 1))
    old, new, *nodes = _flip([older, newer, *proof], bit)
    assert not verify_consistency(first, second, old, new, nodes)
    assert not verify_consistency(first, second, older, newer, (*proof, bytes(32)))
    if proof:
        assert not verify_consistency(first, second, older, newer, proof[:-1])
        assert not verify_consistency(first, second, older, newer, proof[1:])
        assert not verify_consistency(first, second, older, newer, ())


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 39))
def test_a_changed_entry_breaks_consistency(first: int, more: int, changed: int) -> None:
    before = [leaf_hash(b"%d" % at) for at in range(first)]
    after = [leaf_hash(b"%d" % at) for at in range(first + more)]
    after[changed % first] = leaf_hash(b"changed")
    proof = consistency_proof(after, first)
    assert not verify_consistency(first, first + more, root(before), root(after), proof)


def test_edges_of_consistency() -> None:
    top = root(HASHES)
    assert verify_consistency(0, 8, EMPTY_ROOT, top, ())
    assert not verify_consistency(0, 8, top, top, ())
    assert not verify_consistency(0, 8, EMPTY_ROOT, top, (bytes(32),))
    assert verify_consistency(0, 0, EMPTY_ROOT, EMPTY_ROOT, ())
    assert not verify_consistency(8, 8, top, EMPTY_ROOT, ())
    assert not verify_consistency(8, 8, top, top, (bytes(32),))
    assert not verify_consistency(8, 7, top, top, ())
    assert not verify_consistency(-1, 8, EMPTY_ROOT, top, ())
    assert not verify_consistency(3, 8, root(HASHES[:3]), top, ())
    assert not verify_consistency(6, 8, b"", top, ())


def test_consistency_proofs_of_another_length_fail_though_their_hashes_agree() -> None:
    # Too short: both roots taken for one and the same.
    assert not verify_consistency(2, 5, HASHES[0], HASHES[0], ())
    # Too long: a proper proof of (3, 4) with one more level put on both roots.
    proof = consistency_proof(HASHES[:4], 3)
    extra = HASHES[7]
    older, newer = (node_hash(extra, root(HASHES[:size])) for size in (3, 4))
    assert not verify_consistency(3, 4, older, newer, (*proof, extra))


def test_edges_of_inclusion() -> None:
    for index, size in [(0, 0), (-1, 8), (8, 8)]:
        assert not verify_inclusion(HASHES[0], index, size, (), root(HASHES))
        with pytest.raises(ProofError):
            inclusion_spans(index, size)
    with pytest.raises(ProofError, match="too long"):
        implied_root(HASHES[0], 0, 2, (HASHES[1], HASHES[2]))
    with pytest.raises(ProofError, match="too short"):
        implied_root(HASHES[0], 0, 4, (HASHES[1],))
    with pytest.raises(ProofError):
        implied_root(HASHES[0][:31], 0, 1, ())
    with pytest.raises(ProofError):
        implied_root(HASHES[0], 0, 2, (bytes(31),))
    with pytest.raises(ProofError):
        Tree(HASHES).path(8)
    with pytest.raises(ProofError):
        consistency_spans(9, 8)


def test_a_node_is_no_leaf_and_the_last_leaf_is_not_doubled() -> None:
    pair = node_hash(HASHES[0], HASHES[1])
    assert leaf_hash(HASHES[0] + HASHES[1]) != pair
    assert root([*HASHES[:3], HASHES[2]]) != root(HASHES[:3])


@given(st.integers(1, 2**40), st.data())
def test_spans_of_huge_trees_are_few_and_whole(size: int, draw: st.DataObject) -> None:
    index = draw.draw(st.integers(0, size - 1))
    spans = [*inclusion_spans(index, size), (index, index + 1)]
    assert len(spans) <= size.bit_length() + 1
    covered = sorted(spans)
    assert covered[0][0] == 0
    assert covered[-1][1] == size
    assert all(left[1] == right[0] for left, right in pairwise(covered))
    for span in spans:
        parts = list(perfect_parts(span))
        assert parts[0][1] << parts[0][0] == span[0]  # aligned, so the subtree is one
        assert sum(1 << height for height, _ in parts) == span[1] - span[0]


@given(st.integers(0, 300), st.integers(0, 40))
def test_a_copy_of_a_frontier_is_another(size: int, more: int) -> None:
    hashes = [leaf_hash(b"%d" % at) for at in range(size + more)]
    frontier = Frontier()
    frontier.extend(hashes[:size])
    twin = frontier.copy()
    twin.extend(hashes[size:])
    assert twin.root() == root(hashes)
    assert (frontier.size, frontier.root()) == (size, root(hashes[:size]))


def test_what_is_no_leaf_hash_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Frontier().append(b"entry")
    with pytest.raises(ValueError, match="32 bytes"):
        Tree([b"entry"])
