"""Merkle trees of RFC 6962 §2.1 (the same as RFC 9162 §2.1), with SHA-256.

    leaf hash   SHA-256(0x00 ‖ entry)
    node hash   SHA-256(0x01 ‖ left ‖ right)
    tree        split before the largest power of two smaller than its size;
                a last odd node rises unchanged, it is never doubled

One module serves batches of events, batches of outcomes and the audit log.
Functions take leaf *hashes*, except `leaf_hash` itself.

- `Tree` keeps all levels: every path at no further hashing. For batches.
- `Frontier` keeps one hash per set bit of its size: append and root in
  O(log n), no proofs. For the head of the audit log.
- `inclusion_spans` and `consistency_spans` name the subtrees a proof consists
  of; whoever can hash a subtree (hub/tlog/tiles.py) can make proofs with them.

Promise: a `verify_…` function answers False for whatever is wrong with values,
and raises for none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()
_HASH_SIZES: Final = {HASH_BYTES}

Span = tuple[int, int]
"""Leaves from the first number up to, not including, the second; never empty."""


class ProofError(Exception):
    """A proof was asked for, or offered, that no such tree has: refuse it."""


def leaf_hash(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _pair_up(level: Sequence[bytes]) -> list[bytes]:
    above = [
        sha256(b"\x01" + level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)
    ]
    if len(level) & 1:
        above.append(level[-1])
    return above


def root(hashes: Sequence[bytes]) -> bytes:
    """The root over leaf hashes; of none, SHA-256 of nothing."""
    if not hashes:
        return EMPTY_ROOT
    level: Sequence[bytes] = hashes
    while len(level) > 1:
        level = _pair_up(level)
    return level[0]


# --- which subtrees make a proof -------------------------------------------------


def _split(size: int) -> int:
    """Largest power of two smaller than `size`, for size > 1."""
    return 1 << (size - 1).bit_length() - 1


def inclusion_spans(index: int, size: int) -> list[Span]:
    """Subtrees whose hashes are the inclusion path, lowest first (RFC 6962 §2.1.1)."""
    if not 0 <= index < size:
        raise ProofError("no such leaf in a tree of that size")
    low, high = 0, size
    spans: list[Span] = []
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            spans.append((middle, high))
            high = middle
        else:
            spans.append((low, middle))
            low = middle
    spans.reverse()
    return spans


def consistency_spans(first: int, second: int) -> list[Span]:
    """Subtrees whose hashes show that a tree of `first` leaves is a prefix of one
    of `second`, lowest first (RFC 6962 §2.1.2). None if either is trivial."""
    if not 0 <= first <= second:
        raise ProofError("the older tree is not the smaller one")
    if first == 0:
        return []
    low, high = 0, second
    spans: list[Span] = []
    while first != high:
        middle = low + _split(high - low)
        if first <= middle:
            spans.append((middle, high))
            high = middle
        else:
            spans.append((low, middle))
            low = middle
    if low > 0:  # else the last subtree is the older tree itself, whose root is known
        spans.append((low, high))
    spans.reverse()
    return spans


def perfect_parts(span: Span) -> Iterator[tuple[int, int]]:
    """The perfect subtrees of a span as (height, index at that height), left to right.

    The span must be one that occurs in a tree: its start a multiple of the
    smallest power of two that is not smaller than its length.
    """
    low, high = span
    while low < high:
        height = (high - low).bit_length() - 1
        yield height, low >> height
        low += 1 << height


def fold(parts: Iterable[bytes]) -> bytes:
    """The root over perfect subtrees given left to right, each smaller than the one before."""
    folded: bytes | None = None
    for part in reversed(list(parts)):
        folded = part if folded is None else node_hash(part, folded)
    return EMPTY_ROOT if folded is None else folded


def span_hash(span: Span, node: Callable[[int, int], bytes]) -> bytes:
    """Hash of a subtree, given a way to get the hash of any perfect one by (height, index)."""
    return fold(node(height, index) for height, index in perfect_parts(span))


def inclusion_path(hashes: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """The inclusion path of one leaf. For several of one tree use `Tree`."""
    return tuple(root(hashes[low:high]) for low, high in inclusion_spans(index, len(hashes)))


def consistency_proof(hashes: Sequence[bytes], first: int) -> tuple[bytes, ...]:
    """That the first `first` of these leaves were already the whole of an older tree."""
    return tuple(root(hashes[low:high]) for low, high in consistency_spans(first, len(hashes)))


# --- checking --------------------------------------------------------------------


def _all_hashes(hashes: Sequence[bytes]) -> bool:
    return not hashes or set(map(len, hashes)) == _HASH_SIZES


def implied_root(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a leaf hash has with this path; ProofError if the path does not
    fit the place (RFC 9162 §2.1.3.2). The caller compares it with a root it trusts."""
    return _climbed(leaf, index, size, path)[-1]


def _climbed(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> list[bytes]:
    """The nodes from the leaf up to the root that this path implies, or ProofError."""
    if not 0 <= index < size or not _all_hashes((leaf, *path)):
        raise ProofError("the inclusion path does not fit the tree")
    at, last = index, size - 1
    node = leaf
    nodes = [node]
    for sibling in path:
        if last == 0:
            raise ProofError("the inclusion path is too long")
        if at & 1 or at == last:
            node = sha256(b"\x01" + sibling + node).digest()
            while at & 1 == 0 and at != 0:
                at >>= 1
                last >>= 1
        else:
            node = sha256(b"\x01" + node + sibling).digest()
        at >>= 1
        last >>= 1
        nodes.append(node)
    if last != 0:
        raise ProofError("the inclusion path is too short")
    return nodes


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: Sequence[bytes], expected_root: bytes
) -> bool:
    """Whether the leaf hash stands at `index` in the tree of that size and root."""
    try:
        return implied_root(leaf, index, size, path) == expected_root
    except ProofError:
        return False


class Leaves:
    """Checks leaves of one tree, quickest in their order: what the path of the last one has shown
    needs no hashing for the next. Two neighbours cost two hashes each instead of a whole path.
    """

    __slots__ = ("_index", "_nodes", "_path", "_root", "_size")

    def __init__(self, size: int, root: bytes) -> None:
        self._size = size
        self._root = root
        self._index = -1  # of the leaf that stood last
        self._path = b""
        self._nodes: list[bytes] = []  # from that leaf upwards

    def verify(self, leaf: bytes, index: int, path: bytes) -> bool:
        """Whether the leaf hash stands at `index`. path: its hashes joined, lowest first."""
        if self._beside(leaf, index, path):
            return True
        hashes = [path[at : at + HASH_BYTES] for at in range(0, len(path), HASH_BYTES)]
        try:
            nodes = _climbed(leaf, index, self._size, hashes)
        except ProofError:
            return False
        if nodes[-1] != self._root:
            return False
        self._index, self._path, self._nodes = index, path, nodes
        return True

    def _beside(self, leaf: bytes, index: int, path: bytes) -> bool:
        """Whether it stands under what the last one has shown; False says nothing.

        Both leaves lie in one perfect subtree, in different halves of it. There the last leaf's
        path has this half's root, and its own nodes have this one's sibling; above, they share
        their paths. Hashes of the same sizes, for they are compared with such as stood.
        """
        height = (index ^ self._index).bit_length()  # of the smallest perfect subtree of both
        above = height * HASH_BYTES
        if (
            self._index < 0
            or index < 0
            or not height
            or (index >> height) + 1 << height > self._size
            or len(path) != len(self._path)
            or path[above:] != self._path[above:]
        ):
            return False
        nodes = [node := leaf]
        at = 0
        for level in range(height - 1):
            sibling = path[at : at + HASH_BYTES]
            pair = sibling + node if index >> level & 1 else node + sibling
            nodes.append(node := sha256(b"\x01" + pair).digest())
            at += HASH_BYTES
        if node != self._path[at:above] or path[at:above] != self._nodes[height - 1]:
            return False
        self._nodes[:height] = nodes
        self._index, self._path = index, path
        return True


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """Whether the tree (first, first_root) is a prefix of (second, second_root)
    (RFC 9162 §2.1.4.2)."""
    if not 0 <= first <= second or not _all_hashes((first_root, second_root, *proof)):
        return False
    if first == second:
        return not proof and first_root == second_root
    if first == 0:
        # Nothing precedes everything; a root must still be the right one.
        return not proof and first_root == EMPTY_ROOT
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at >>= 1
        last >>= 1
    older = newer = path[0]
    for sibling in path[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            older = node_hash(sibling, older)
            newer = node_hash(sibling, newer)
            while at & 1 == 0 and at != 0:
                at >>= 1
                last >>= 1
        else:
            newer = node_hash(newer, sibling)
        at >>= 1
        last >>= 1
    return last == 0 and older == first_root and newer == second_root


# --- trees -----------------------------------------------------------------------


class Tree:
    """A whole tree over leaf hashes, all levels kept: n hashes to build, none per path."""

    __slots__ = ("_levels", "root", "size")

    size: int
    root: bytes

    def __init__(self, hashes: Sequence[bytes]) -> None:
        if not _all_hashes(hashes):
            raise ValueError("a leaf hash has 32 bytes")
        level: Sequence[bytes] = tuple(hashes)
        levels = [level]
        while len(level) > 1:
            level = _pair_up(level)
            levels.append(level)
        self.size = len(hashes)
        self.root = level[0] if level else EMPTY_ROOT
        self._levels = levels

    def path(self, index: int) -> tuple[bytes, ...]:
        """The inclusion path of leaf `index`, lowest sibling first."""
        if not 0 <= index < self.size:
            raise ProofError("no such leaf in the tree")
        path = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):  # else a last odd node, which rises alone
                path.append(level[sibling])
            index >>= 1
        return tuple(path)


class Frontier:
    """The right edge of a growing tree: its perfect subtrees, largest first.

        serialised   u64 big-endian size ‖ one 32-byte hash per set bit of the size

    `restore` trusts the bytes to be its own; check the root against a checkpoint.
    """

    __slots__ = ("_edge", "size")

    size: int

    def __init__(self) -> None:
        self.size = 0
        self._edge: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash; amortised one node hash."""
        if len(leaf) != HASH_BYTES:
            raise ValueError("a leaf hash has 32 bytes")
        node = leaf
        carry = self.size
        while carry & 1:
            node = node_hash(self._edge.pop(), node)
            carry >>= 1
        self._edge.append(node)
        self.size += 1

    def extend(self, leaves: Iterable[bytes]) -> None:
        for leaf in leaves:
            self.append(leaf)

    @property
    def edge(self) -> tuple[bytes, ...]:
        """The perfect subtrees, largest first; `fold` of them is the root."""
        return tuple(self._edge)

    def root(self) -> bytes:
        return fold(self._edge)

    def copy(self) -> Frontier:
        """An independent frontier, to try an append before it is durable."""
        twin = Frontier()
        twin.size = self.size
        twin._edge = list(self._edge)
        return twin
