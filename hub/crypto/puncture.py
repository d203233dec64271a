"""A key that can forget: it yields another key for every name, and can lose single names for good.

The construction of Goldreich, Goldwasser and Micali (1986): a tree in which every node's key is a
hash of its parent's, four branches a level, sixteen bytes of name deep. The key at a leaf is the
name's. To forget a name, the nodes above its leaf are replaced by all that stand beside its path;
everyone else's key is still found, and nothing in what is left leads to the forgotten one.

So archives made under this key long ago open for everybody who was not forgotten since, and for
nobody who was: nothing but the key itself has to be replaced when somebody is erased.

Pure values: `without` returns another key; destroying the former one is its keeper's work.
A key grows by at most 192 nodes (about 8 kB) for each name forgotten.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from types import MappingProxyType

NAME_BYTES = 16
KEY_BYTES = 32
DEPTH = NAME_BYTES * 4
_DIGITS = "0123"


class PuncturableKey:
    """Nodes by their path from the root: a text of digits 0 to 3, empty for the root itself."""

    __slots__ = ("nodes",)

    def __init__(self, nodes: Mapping[str, bytes]) -> None:
        self.nodes = MappingProxyType(dict(nodes))

    @classmethod
    def fresh(cls, secret: bytes) -> PuncturableKey:
        """A key that has forgotten nobody. secret: 32 random bytes."""
        if len(secret) != KEY_BYTES:
            raise ValueError(f"{len(secret)} bytes")
        return cls({"": secret})

    def key_for(self, name: bytes) -> bytes | None:
        """The key of a name; None if it was forgotten."""
        path = path_of(name)
        for depth in range(DEPTH + 1):
            node = self.nodes.get(path[:depth])
            if node is not None:
                return _descend(node, path[depth:])
        return None

    def without(self, name: bytes) -> PuncturableKey:
        """The same key, with this name forgotten. Itself if it was already."""
        path = path_of(name)
        for depth in range(DEPTH + 1):
            node = self.nodes.get(path[:depth])
            if node is not None:
                break
        else:
            return self
        nodes = dict(self.nodes)
        del nodes[path[:depth]]
        for below in range(depth, DEPTH):
            for digit in _DIGITS:
                if digit != path[below]:
                    nodes[path[:below] + digit] = _child(node, digit)
            node = _child(node, path[below])
        return PuncturableKey(nodes)


def path_of(name: bytes) -> str:
    """The way to a name's leaf: two bits a level, highest first."""
    if len(name) != NAME_BYTES:
        raise ValueError(f"{len(name)} bytes")
    return "".join(_DIGITS[byte >> shift & 3] for byte in name for shift in (6, 4, 2, 0))


def _descend(node: bytes, path: str) -> bytes:
    for digit in path:
        node = _child(node, digit)
    return node


def _child(node: bytes, digit: str) -> bytes:
    return hmac.digest(node, b"nrm recovery key\x00" + digit.encode("ascii"), "sha256")
