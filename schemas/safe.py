"""Which Avro schemas are safe to decode untrusted bytes with.

Refused, because a few bytes crash or hang a reader of them: schemas that contain themselves (deep
recursion ends the process), arrays of items that take no bytes (a count of 10^12 needs seven
bytes), decimals over unbounded bytes (their cost grows with the square of the length). Refused as
plain mistakes: two fields of one name, names defined twice or not at all, nesting without end.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

PRIMITIVES: Final = frozenset(
    {"null", "boolean", "int", "long", "float", "double", "bytes", "string"}
)
DEEPEST: Final = 24
LARGEST_DECIMAL: Final = 16  # bytes
_OPEN: Final = -1  # a named type whose definition has not ended


class UnsafeSchema(ValueError):
    """The schema is refused; the text says why and names no more than its types."""


def check(schema: Any) -> None:
    """Raise UnsafeSchema unless untrusted bytes may be decoded with this schema."""
    _least(schema, "", {}, 0)


def full_name(name: str, namespace: str) -> str:
    """The Avro full name: a name with a dot stands for itself, others get the namespace."""
    return name if "." in name or not namespace else f"{namespace}.{name}"


def scope(schema: Mapping[str, Any], namespace: str) -> str:
    """The namespace in force inside a named type."""
    own, dot, _ = schema["name"].rpartition(".")
    return own if dot else str(schema.get("namespace", namespace))


def _least(schema: Any, namespace: str, known: dict[str, int], depth: int) -> int:
    """The fewest bytes a value takes; only whether it is 0 is used. Raises UnsafeSchema."""
    if depth > DEEPEST:
        raise UnsafeSchema(f"nested deeper than {DEEPEST}")
    if isinstance(schema, str):
        if schema in PRIMITIVES:
            return 0 if schema == "null" else 1
        size = known.get(full_name(schema, namespace))
        if size is None:
            raise UnsafeSchema("a type that is not defined")
        if size == _OPEN:
            raise UnsafeSchema("recursive schemas are refused")
        return size
    if isinstance(schema, list):
        if not schema:
            raise UnsafeSchema("a union of nothing")
        for branch in schema:
            _least(branch, namespace, known, depth + 1)
        return 1
    if not isinstance(schema, Mapping) or "type" not in schema:
        raise UnsafeSchema("not a schema")
    return _complex(schema, namespace, known, depth + 1)


def _complex(schema: Mapping[str, Any], namespace: str, known: dict[str, int], depth: int) -> int:
    kind = schema["type"]
    decimal = schema.get("logicalType") == "decimal"
    if kind == "array":
        if _least(schema.get("items"), namespace, known, depth) == 0:
            raise UnsafeSchema("arrays of items without bytes are refused")
        return 1
    if kind == "map":
        _least(schema.get("values"), namespace, known, depth)
        return 1
    if kind == "bytes" and decimal:
        raise UnsafeSchema("decimals of unbounded bytes are refused; use fixed")
    if kind in {"record", "enum", "fixed"}:
        return _named(schema, namespace, known, depth)
    # {"type": "string", …}, {"type": {…}} or {"type": [..]}: what stands inside.
    return _least(kind, namespace, known, depth)


def _named(schema: Mapping[str, Any], namespace: str, known: dict[str, int], depth: int) -> int:
    name = schema.get("name")
    if not isinstance(name, str) or name.rpartition(".")[2] in PRIMITIVES:
        raise UnsafeSchema("a named type without a name of its own")
    inside = scope(schema, namespace)
    full = full_name(name, inside)
    if full in known:
        raise UnsafeSchema("a name defined twice")
    known[full] = _OPEN
    if schema["type"] == "record":
        fields = schema.get("fields")
        if not isinstance(fields, list):
            raise UnsafeSchema("a record without fields")
        names = [field["name"] for field in fields]
        if len(set(names)) != len(names):
            raise UnsafeSchema("a record with two fields of one name")
        size = sum(_least(field["type"], inside, known, depth) for field in fields)
    elif schema["type"] == "fixed":
        stated = schema.get("size")
        if not isinstance(stated, int) or stated < 0:
            raise UnsafeSchema("a fixed type without a size")
        size = stated
        if schema.get("logicalType") == "decimal" and size > LARGEST_DECIMAL:
            raise UnsafeSchema(f"decimals over {LARGEST_DECIMAL} bytes are refused")
    else:
        size = 1
    known[full] = size
    return size
