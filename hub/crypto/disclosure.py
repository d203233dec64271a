"""Disclosure trees: show one compartment of an event, and nothing of the others.

Each compartment is committed to under a 16-byte random salt:

    commitment = SHA-256(salt ‖ u8 length of name ‖ name ‖ body)

The commitments, padded with random 32-byte leaves to a power of two of at least
eight, are sorted; the RFC 6962 root over them is the disclosure root an agency
signs. Whoever is given (name, salt, body, index, path) can check that the
compartment stands under the signed root.

Promises
- Binding: no other name or body verifies at the same root.
- Hiding: commitments and padding look alike, their order says nothing, and
  without its salt a compartment cannot be guessed. A path tells the number of
  compartments only as far as its length: at most eight, at most sixteen, …
- Cost: a tree of n leaves takes 2n hashes; a path takes none.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Final

SALT_BYTES: Final = 16
HASH_BYTES: Final = 32
LEAST_LEAVES: Final = 8
DEEPEST: Final = 16
"""Longest path accepted: 65,536 leaves, far above what one event may carry."""


class DisclosureError(Exception):
    """The parts do not make a disclosure tree: refuse the event."""


def commit(name: str, salt: bytes, body: bytes) -> bytes:
    """The 32-byte salted commitment to one compartment."""
    label = name.encode()
    if not 0 < len(label) < 256:
        raise DisclosureError("a compartment name has 1 to 255 bytes")
    if len(salt) != SALT_BYTES:
        raise DisclosureError("a salt has 16 bytes")
    return sha256(b"%b%c%b%b" % (salt, len(label), label, body)).digest()


def padded_size(compartments: int) -> int:
    """Leaves of the tree that holds so many compartments."""
    return max(LEAST_LEAVES, 1 << max(compartments - 1, 0).bit_length())


class Disclosure:
    """The disclosure tree of one event.

    `leaves` are commitments and padding, sorted; `padding` is what was added, for
    the agency to send along so that the hub can build the same tree.
    """

    __slots__ = ("_levels", "leaves", "padding", "root")

    leaves: tuple[bytes, ...]
    padding: tuple[bytes, ...]
    root: bytes

    def __init__(self, commitments: Sequence[bytes], padding: Sequence[bytes]) -> None:
        if len(commitments) + len(padding) != padded_size(len(commitments)):
            raise DisclosureError("the padding does not fill the disclosure tree")
        leaves = sorted((*commitments, *padding))
        if len(set(leaves)) != len(leaves):
            raise DisclosureError("two leaves of the disclosure tree are equal")
        if any(len(leaf) != HASH_BYTES for leaf in padding):
            raise DisclosureError("a padding leaf has 32 bytes")
        # RFC 6962 §2.1, unrolled: in a perfect tree every level pairs up exactly.
        level = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
        levels = [level]
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=True)
            level = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
            levels.append(level)
        self.leaves = tuple(leaves)
        self.padding = tuple(padding)
        self.root = level[0]
        self._levels = levels

    @classmethod
    def build(
        cls,
        compartments: Mapping[str, tuple[bytes, bytes]],
        padding: Sequence[bytes] | None = None,
        randomness: Callable[[int], bytes] = secrets.token_bytes,
    ) -> Disclosure:
        """From compartments by name, each (salt, body).

        Without `padding` fresh random leaves are drawn; with it the tree of
        another party is rebuilt, and its padding must be exactly as many leaves
        as are missing.
        """
        commitments = [commit(name, salt, body) for name, (salt, body) in compartments.items()]
        if padding is None:
            missing = padded_size(len(commitments)) - len(commitments)
            noise = randomness(missing * HASH_BYTES)
            padding = [noise[at : at + HASH_BYTES] for at in range(0, len(noise), HASH_BYTES)]
        return cls(commitments, padding)

    def index(self, commitment: bytes) -> int:
        """Where a commitment stands among the leaves."""
        try:
            return self.leaves.index(commitment)
        except ValueError:
            raise DisclosureError("no such commitment in the disclosure tree") from None

    def path(self, index: int) -> tuple[bytes, ...]:
        """The RFC 6962 inclusion path of a leaf, lowest sibling first."""
        if not 0 <= index < len(self.leaves):
            raise DisclosureError("no such leaf in the disclosure tree")
        return tuple(level[(index >> height) ^ 1] for height, level in enumerate(self._levels[:-1]))


def verify_disclosed(
    root: bytes, name: str, salt: bytes, body: bytes, index: int, path: Sequence[bytes]
) -> bool:
    """Whether the compartment stands at `index` under `root`. Never raises on bad values."""
    depth = len(path)
    if not 3 <= depth <= DEEPEST or not 0 <= index < 1 << depth:
        return False
    try:
        node = sha256(b"\x00" + commit(name, salt, body)).digest()
    except (DisclosureError, UnicodeEncodeError):
        return False
    for sibling in path:
        if len(sibling) != HASH_BYTES:
            return False
        pair = b"\x01" + sibling + node if index & 1 else b"\x01" + node + sibling
        node = sha256(pair).digest()
        index >>= 1
    return node == root
