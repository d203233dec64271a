"""Counting items before decoding: what a few bytes may cost in memory.

Decoding turns three bytes into a record of some hundred, so eight megabytes sent by a stranger
could take a gigabyte and many seconds before a signature is looked at. A scan walks the bytes
without making values and stops when arrays and maps hold more items than a message of that kind
may. Items of a fixed size are not counted: their bytes bound them. Blocks that our own encoding
never writes (split, or with their size) are refused here already.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from schemas.safe import PRIMITIVES, full_name, scope

# (bytes, where the value starts, [items still allowed]) -> where the next value starts
Skip = Callable[[bytes, int, list[int]], int]
# full name -> how to skip the type, and its size if it is fixed
Known = dict[str, tuple[Skip, int | None]]


class ScanError(ValueError):
    """The bytes are truncated, improperly encoded, or hold too many items."""


def scanner(schema: Any) -> Callable[[bytes, int], None]:
    """A function that raises ScanError if bytes hold more than so many items."""
    skip = _skip(schema, "", {})

    def scan(data: bytes, max_items: int) -> None:
        try:
            end = skip(data, 0, [max_items])
        except IndexError:
            raise ScanError("truncated") from None
        if end != len(data):
            raise ScanError("truncated, or bytes are left over")

    return scan


def _long(data: bytes, at: int) -> tuple[int, int]:
    """(value, where the next starts) of a zig-zag varint of at most ten bytes."""
    raw = shift = 0
    while shift < 70:
        byte = data[at]
        at += 1
        raw |= (byte & 0x7F) << shift
        if byte < 0x80:
            return (raw >> 1) ^ -(raw & 1), at
        shift += 7
    raise ScanError("an over-long number")


def _varint(data: bytes, at: int, _left: list[int]) -> int:
    first = at
    while data[at] >= 0x80:
        at += 1
    if at - first > 9:
        raise ScanError("an over-long number")
    return at + 1


def _sized(data: bytes, at: int, _left: list[int]) -> int:
    """Bytes and strings: their length, then as many bytes."""
    size = data[at]
    if size < 0x80:  # the common case, without a call
        if size & 1:
            raise ScanError("a negative length")
        return at + 1 + (size >> 1)
    size, at = _long(data, at)
    if size < 0:
        raise ScanError("a negative length")
    return at + size


def _fixed(size: int) -> Skip:
    return lambda _data, at, _left: at + size


def _skip(schema: Any, namespace: str, known: Known) -> Skip:
    if isinstance(schema, list):
        return _union([_skip(branch, namespace, known) for branch in schema])
    if isinstance(schema, str):
        return _SIMPLE[schema] if schema in PRIMITIVES else known[full_name(schema, namespace)][0]
    kind = schema["type"]
    if kind == "array":
        item = _skip(schema["items"], namespace, known)
        return _blocks(item, _fixed_size(schema["items"], namespace, known))
    if kind == "map":
        value = _skip(schema["values"], namespace, known)
        return _blocks(lambda data, at, left: value(data, _sized(data, at, left), left), None)
    if kind in {"record", "enum", "fixed"}:
        return _named(schema, namespace, known)
    return _skip(kind, namespace, known)


def _named(schema: Mapping[str, Any], namespace: str, known: Known) -> Skip:
    inside = scope(schema, namespace)
    skip: Skip = _varint  # an enum
    if schema["type"] == "record":
        skip = _all([_skip(field["type"], inside, known) for field in schema["fields"]])
    elif schema["type"] == "fixed":
        skip = _fixed(schema["size"])
    known[full_name(schema["name"], inside)] = skip, schema.get("size")
    return skip


def _all(fields: list[Skip]) -> Skip:
    def skip(data: bytes, at: int, left: list[int]) -> int:
        for field in fields:
            at = field(data, at, left)
        return at

    return skip


def _union(branches: list[Skip]) -> Skip:
    def skip(data: bytes, at: int, left: list[int]) -> int:
        which, at = _long(data, at)
        if not 0 <= which < len(branches):
            raise ScanError("no such branch of a union")
        return branches[which](data, at, left)

    return skip


def _blocks(item: Skip, size: int | None) -> Skip:
    """Items of an array or map: one block with its count, then an empty one."""

    def skip(data: bytes, at: int, left: list[int]) -> int:
        count, at = _long(data, at)
        if count == 0:
            return at
        if count < 0:
            raise ScanError("a block with its size")
        if size is not None:
            at += count * size
        else:
            left[0] -= count
            if left[0] < 0:
                raise ScanError("too many items")
            for _ in range(count):
                at = item(data, at, left)
        if data[at] != 0:
            raise ScanError("items in several blocks")
        return at + 1

    return skip


def _fixed_size(items: Any, namespace: str, known: Known) -> int | None:
    if isinstance(items, Mapping) and items.get("type") == "fixed":
        return int(items["size"])
    if isinstance(items, str) and items not in PRIMITIVES:
        return known[full_name(items, namespace)][1]
    return None


_SIMPLE: dict[str, Skip] = {
    "null": _fixed(0),
    "boolean": _fixed(1),
    "int": _varint,
    "long": _varint,
    "float": _fixed(4),
    "double": _fixed(8),
    "bytes": _sized,
    "string": _sized,
}
