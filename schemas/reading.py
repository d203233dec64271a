"""Reading: Avro's binary encoding back into values, by functions made once per schema.

For bytes that somebody trusted has written or checked (`Codec.decode(trusted=True)`): half the
time of opening a delivery went into the library's reader, which looks up for every value which
type it is of. Here each schema becomes a function from closures, as in `schemas/writing.py`, whose
types these are; the values are the library's (tests compare them).

What was not written by `schemas/writing.py` is a ValueError or an IndexError as far as it shows
here: numbers over ten bytes, negative lengths, several blocks, no such branch. An over-long number
does not; bytes from a stranger are therefore never read with this alone.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final, NoReturn

from schemas.safe import PRIMITIVES, full_name, scope
from schemas.writing import EPOCH, EPOCH_DAY

# (bytes, where the value starts) -> the value, where the next one starts
Read = Callable[[bytes, int], tuple[Any, int]]


def reader(schema: Any, converted: Mapping[str, Callable[[Any], Any]] | None = None) -> Read:
    """A function that reads one value; whoever calls it sees to it that it ends where it should.

    converted: of a record, how values of some fields are turned into others, unless they are null.
    """
    return _of(schema, "", {}, converted or {})


# -- plain values ------------------------------------------------------------------------------


def _long(data: bytes, at: int) -> tuple[int, int]:
    raw = data[at]
    at += 1
    if raw >= 0x80:
        raw = raw & 0x7F | (byte := data[at]) << 7
        at += 1
        if byte >= 0x80:
            raw ^= 0x4000
            shift = 14
            while (byte := data[at]) >= 0x80:
                raw |= (byte & 0x7F) << shift
                shift += 7
                at += 1
                if shift > 63:
                    raise ValueError("an over-long number")
            raw |= byte << shift
            at += 1
    return (raw >> 1) ^ -(raw & 1), at


def _bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size = data[at]
    if size & 0x81:  # over 63, or negative
        size, at = _long(data, at)
        if size < 0:
            raise ValueError("a negative length")
        end = at + size
    else:
        at += 1
        end = at + (size >> 1)
    return data[at:end], end


def _string(data: bytes, at: int) -> tuple[str, int]:
    size = data[at]
    if size & 0x81:
        found, end = _bytes(data, at)
        return found.decode(), end
    at += 1
    end = at + (size >> 1)
    return data[at:end].decode(), end


def _boolean(data: bytes, at: int) -> tuple[bool, int]:
    return data[at] != 0, at + 1


def _null(_data: bytes, at: int) -> tuple[None, int]:
    return None, at


def _number(form: str) -> Read:
    unpack = struct.Struct(form)

    def read(data: bytes, at: int) -> tuple[float, int]:
        return unpack.unpack_from(data, at)[0], at + unpack.size

    return read


def _instant(since: int) -> datetime:
    return EPOCH + timedelta(microseconds=since)


def _date(since: int) -> date:
    return date.fromordinal(since + EPOCH_DAY)


class _Fixed:
    def __init__(self, size: int) -> None:
        self.size = size

    def __call__(self, data: bytes, at: int) -> tuple[bytes, int]:
        end = at + self.size
        return data[at:end], end


def _decimal(size: int, scale: int) -> Read:
    def read(data: bytes, at: int) -> tuple[Decimal, int]:
        end = at + size
        number = int.from_bytes(data[at:end], "big", signed=True)
        return Decimal(number).scaleb(-scale), end

    return read


class _Enum:
    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = symbols

    def __call__(self, data: bytes, at: int) -> tuple[str, int]:
        number, at = _long(data, at)
        if number < 0:
            raise ValueError("no such symbol")
        return self.symbols[number], at


# -- structures --------------------------------------------------------------------------------


def _record(fields: Sequence[tuple[str, Read]]) -> Read:
    """One function for all fields: to call one for each would cost as much again as the reading.

    Nothing of a schema becomes part of the code but its fields' names, quoted.
    """
    names: dict[str, Any] = {"no_branch": _no_branch}
    lines = ["def read(data, at):"]
    for number, (_, one) in enumerate(fields):
        names[f"read{number}"] = one
        lines += (f"    {line}" for line in _inline(one, f"v{number}", f"read{number}"))
    told = ", ".join(f"{name!r}: v{number}" for number, (name, _) in enumerate(fields))
    lines.append(f"    return {{{told}}}, at")
    exec("\n".join(lines), names)  # noqa: S102 - built of the lines here alone
    made: Read = names["read"]
    return made


def _inline(one: Read, value: str, name: str) -> list[str]:
    """Lines that read the next value into a variable."""
    if isinstance(one, _Nullable):
        inner = _inline(one.value, value, f"{name}.value")
        return [
            "branch = data[at]",
            f"if branch == {one.something}:",
            "    at += 1",
            *(f"    {line}" for line in inner),
            f"elif branch == {one.nothing}:",
            f"    {value} = None",
            "    at += 1",
            "else:",
            "    no_branch()",
        ]
    if isinstance(one, _Converted):
        return [
            *_inline(one.value, value, f"{name}.value"),
            f"{value} = {name}.convert({value})",
        ]
    if isinstance(one, _Fixed):
        return [f"end = at + {one.size}", f"{value} = data[at:end]", "at = end"]
    if one is _boolean:
        return [f"{value} = data[at] != 0", "at += 1"]
    if one is _long:
        return [
            f"{value} = data[at]",
            f"if not {value} & 0x81:",
            f"    {value} >>= 1",
            "    at += 1",
            f"elif {value} & 1 or (more := data[at + 1]) & 0x80:",
            f"    {value}, at = {name}(data, at)",
            "else:",
            f"    {value} = ({value} & 0x7F | more << 7) >> 1",
            "    at += 2",
        ]
    if isinstance(one, _Enum):
        return [
            "symbol = data[at]",
            "if symbol & 0x81:",
            f"    {value}, at = {name}(data, at)",
            "else:",
            f"    {value} = {name}.symbols[symbol >> 1]",
            "    at += 1",
        ]
    if one is _string or one is _bytes:
        decode = ".decode()" if one is _string else ""
        return [
            "size = data[at]",
            "if not size & 0x81:",
            "    at += 1",
            "    end = at + (size >> 1)",
            f"    {value} = data[at:end]{decode}",
            "    at = end",
            "elif size & 1 or (more := data[at + 1]) & 0x80:",
            f"    {value}, at = {name}(data, at)",
            "else:",
            "    at += 2",
            "    end = at + ((size & 0x7F | more << 7) >> 1)",
            f"    {value} = data[at:end]{decode}",
            "    at = end",
        ]
    return [f"{value}, at = {name}(data, at)"]


class _Nullable:
    """A value or none. null: which of the two branches; a branch's number is written doubled."""

    def __init__(self, value: Read, null: int) -> None:
        self.value = value
        self.nothing, self.something = 2 * null, 2 - 2 * null

    def __call__(self, data: bytes, at: int) -> tuple[Any, int]:
        branch = data[at]
        if branch == self.something:
            return self.value(data, at + 1)
        if branch != self.nothing:
            _no_branch()
        return None, at + 1


class _Converted:
    """A value that is not null, turned into another."""

    def __init__(self, value: Read, convert: Callable[[Any], Any]) -> None:
        self.value, self.convert = value, convert

    def __call__(self, data: bytes, at: int) -> tuple[Any, int]:
        found, at = self.value(data, at)
        return self.convert(found), at


def _convert(one: Read, convert: Callable[[Any], Any] | None) -> Read:
    if convert is None:
        return one
    if isinstance(one, _Nullable):
        return _Nullable(_Converted(one.value, convert), one.nothing // 2)
    return _Converted(one, convert)


def _no_branch() -> NoReturn:
    raise ValueError("no such branch of a union")


def _union(branches: Sequence[Read]) -> Read:
    def read(data: bytes, at: int) -> tuple[Any, int]:
        number, at = _long(data, at)
        if number < 0:
            _no_branch()
        return branches[number](data, at)

    return read


def _array(item: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[list[Any], int]:
        found: list[Any] = []
        count, at = _count(data, at) if data[at] & 0x81 else (data[at] >> 1, at + 1)
        if count:
            for _ in range(count):
                one, at = item(data, at)
                found.append(one)
            at = _end(data, at)
        return found, at

    return read


def _map(item: Read) -> Read:
    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        count, at = _count(data, at)
        if count:
            for _ in range(count):
                key, at = _string(data, at)
                found[key], at = item(data, at)
            at = _end(data, at)
        return found, at

    return read


def _count(data: bytes, at: int) -> tuple[int, int]:
    count, at = _long(data, at)
    if count < 0:
        raise ValueError("a block with its size")
    return count, at


def _end(data: bytes, at: int) -> int:
    if data[at] != 0:
        raise ValueError("items in several blocks")
    return at + 1


# -- from a schema -----------------------------------------------------------------------------

_PLAIN: Final[dict[str, Read]] = {
    "null": _null,
    "boolean": _boolean,
    "int": _long,
    "long": _long,
    "float": _number("<f"),
    "double": _number("<d"),
    "bytes": _bytes,
    "string": _string,
}
_LOGICAL: Final[dict[str, Read]] = {
    "timestamp-micros": _Converted(_long, _instant),
    "date": _Converted(_long, _date),
}


def _of(
    schema: Any,
    namespace: str,
    known: dict[str, Read],
    converted: Mapping[str, Callable[[Any], Any]] = MappingProxyType({}),
) -> Read:
    if isinstance(schema, str):
        return _PLAIN[schema] if schema in PRIMITIVES else known[full_name(schema, namespace)]
    if isinstance(schema, list):
        if len(schema) == 2 and "null" in schema:
            null = schema.index("null")
            return _Nullable(_of(schema[1 - null], namespace, known), null)
        return _union([_of(branch, namespace, known) for branch in schema])
    kind = schema["type"]
    if schema.get("logicalType") in _LOGICAL:
        return _LOGICAL[schema["logicalType"]]
    if kind == "array":
        return _array(_of(schema["items"], namespace, known))
    if kind == "map":
        return _map(_of(schema["values"], namespace, known))
    if kind in {"record", "enum", "fixed"}:
        inside = scope(schema, namespace)
        read = _named(schema, kind, inside, known, converted)
        known[full_name(schema["name"], inside)] = read
        return read
    return _of(kind, namespace, known)


def _named(
    schema: Any,
    kind: str,
    inside: str,
    known: dict[str, Read],
    converted: Mapping[str, Callable[[Any], Any]],
) -> Read:
    if kind == "record":
        fields = [(one["name"], _of(one["type"], inside, known)) for one in schema["fields"]]
        return _record([(name, _convert(read, converted.get(name))) for name, read in fields])
    if kind == "enum":
        return _Enum(schema["symbols"])
    if schema.get("logicalType") == "decimal":
        return _decimal(schema["size"], schema.get("scale", 0))
    return _Fixed(schema["size"])
