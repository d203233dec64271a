"""RFC 6962 trees (RFC 9162, section 2.1): roots, inclusion and consistency.

Written from the RFC. Answers False for whatever is wrong, and raises nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

HASH = 32


def leaf(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """MTH of leaf hashes, by its recursive definition unrolled level by level."""
    if not leaves:
        return sha256(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        odd = [level[-1]] if len(level) % 2 else []
        level = [node(a, b) for a, b in zip(level[::2], level[1::2], strict=False)] + odd
    return level[0]


def included(hash_: bytes, index: int, size: int, path: Sequence[bytes], wanted: bytes) -> bool:
    """RFC 9162, 2.1.3.2."""
    if not 0 <= index < size or any(len(one) != HASH for one in path):
        return False
    fn, sn, r = index, size - 1, hash_
    for p in path:
        if sn == 0:
            return False
        if fn % 2 or fn == sn:
            r = node(p, r)
            while fn % 2 == 0 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = node(r, p)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == wanted


def consistent(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> bool:
    """RFC 9162, 2.1.4.2: the tree of `first` leaves is the beginning of that of `second`."""
    if not 0 < first <= second or any(len(one) != HASH for one in proof):
        return False
    if first == second:
        return not proof and first_root == second_root
    path = list(proof)
    if first & (first - 1) == 0:
        path.insert(0, first_root)
    if not path:
        return False
    fn, sn = first - 1, second - 1
    while fn % 2:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = path[0]
    for c in path[1:]:
        if sn == 0:
            return False
        if fn % 2 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while fn % 2 == 0 and fn:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = node(sr, c)
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and fr == first_root and sr == second_root


def cut(data: bytes | memoryview) -> list[bytes] | None:
    """Joined hashes, one by one; None if something is left over."""
    if len(data) % HASH:
        return None
    return [bytes(data[at : at + HASH]) for at in range(0, len(data), HASH)]
