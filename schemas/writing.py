"""Writing: Avro's binary encoding, by functions made once per schema.

The library decides anew for every value which type it is of, at three to six times the cost of
writing it, and writes what does not fit (1.9 as 1, None as False). Here each schema becomes a
function from closures that writes what the library would, byte for byte (tests compare them),
and refuses everything else: other types, numbers out of range, times without a zone, fields
missing or too many. Every value has one encoding, which is what strict reading rests on.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from operator import attrgetter, itemgetter
from typing import Any, Final, NoReturn

from schemas.safe import full_name, scope

Add = Callable[[bytes], None]
Write = Callable[[Add, Any], None]
Values = Callable[[Any], Sequence[Any]]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_DAY: Final = date(1970, 1, 1).toordinal()


class UnsupportedSchema(ValueError):
    """A type these formats do not use."""


# -- numbers ---------------------------------------------------------------------------------


def _varint(number: int) -> bytes:
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError("does not fit in 64 bits")
    left = (number << 1) ^ (number >> 63)
    out = bytearray()
    while left > 0x7F:
        out.append(left & 0x7F | 0x80)
        left >>= 7
    out.append(left)
    return bytes(out)


_SMALL: Final = tuple(_varint(number) for number in range(8192))


def long(number: int) -> bytes:
    """A number as Avro writes it: zig-zag, seven bits to a byte."""
    return _SMALL[number] if 0 <= number < 8192 else _varint(number)


def _write_long(add: Add, value: Any) -> None:
    if type(value) is not int:
        raise TypeError("not an int")
    add(_SMALL[value] if 0 <= value < 8192 else _varint(value))


def _write_int(add: Add, value: Any) -> None:
    if type(value) is not int or not -(1 << 31) <= value < 1 << 31:
        raise ValueError("not a 32-bit int")
    add(long(value))


def _write_boolean(add: Add, value: Any) -> None:
    if type(value) is not bool:
        raise TypeError("not a boolean")
    add(b"\x01" if value else b"\x00")


def _write_double(add: Add, value: Any) -> None:
    if type(value) is not float:
        raise TypeError("not a float")
    add(struct.pack("<d", value))


# -- times -----------------------------------------------------------------------------------


def _write_instant(add: Add, value: Any) -> None:
    since = value - EPOCH  # TypeError without a zone: it could be any hour
    z = 2 * ((since.days * 86400 + since.seconds) * 1000000 + since.microseconds)
    if 1 << 49 <= z < 1 << 56:  # 1979 to 3111, in eight bytes; the general way is slower
        low, high = z & 0xFFFFFFF, z >> 28
        add(
            bytes(
                (
                    low & 0x7F | 0x80,
                    low >> 7 & 0x7F | 0x80,
                    low >> 14 & 0x7F | 0x80,
                    low >> 21 | 0x80,
                    high & 0x7F | 0x80,
                    high >> 7 & 0x7F | 0x80,
                    high >> 14 & 0x7F | 0x80,
                    high >> 21,
                )
            )
        )
    else:
        add(_varint(z // 2))


def _write_date(add: Add, value: Any) -> None:
    if type(value) is not date:
        raise TypeError("not a date")
    add(_varint(value.toordinal() - EPOCH_DAY))


# -- bytes and text --------------------------------------------------------------------------


def _write_bytes(add: Add, value: Any) -> None:
    if type(value) is not bytes:
        raise TypeError("not bytes")
    size = len(value)
    add(_SMALL[size] if size < 8192 else _varint(size))
    add(value)


def _write_string(add: Add, value: Any) -> None:
    if not isinstance(value, str):
        raise TypeError("not a text")
    data = value.encode()
    size = len(data)
    add(_SMALL[size] if size < 8192 else _varint(size))
    add(data)


def _fixed(size: int) -> Write:
    def write(add: Add, value: Any) -> None:
        if type(value) is not bytes or len(value) != size:
            raise ValueError(f"not {size} bytes")
        add(value)

    return write


def _decimal(size: int, precision: int, scale: int) -> Write:
    def write(add: Add, value: Any) -> None:
        if not isinstance(value, Decimal) or not value.is_finite():
            raise TypeError("not a decimal")
        sign, digits, exponent = value.as_tuple()
        assert isinstance(exponent, int)
        shift = scale + exponent
        if shift < 0 or len(digits) + shift > precision:
            raise ValueError("more digits than the schema has room for")
        number = int("".join(map(str, digits))) * 10**shift
        add((-number if sign else number).to_bytes(size, "big", signed=True))

    return write


def _enum(symbols: Sequence[str]) -> Write:
    numbers = {symbol: long(number) for number, symbol in enumerate(symbols)}

    def write(add: Add, value: Any) -> None:
        add(numbers[value])

    return write


# -- structures ------------------------------------------------------------------------------


def _array(item: Write) -> Write:
    def write(add: Add, value: Any) -> None:
        if not isinstance(value, list | tuple):
            raise TypeError("not a list")
        if value:
            add(long(len(value)))
            for one in value:
                item(add, one)
        add(b"\x00")

    return write


def _array_of_fixed(size: int) -> Write:
    def write(add: Add, value: Any) -> None:
        if not isinstance(value, list | tuple):
            raise TypeError("not a list")
        if value:
            if set(map(type, value)) != {bytes} or set(map(len, value)) != {size}:
                raise ValueError(f"not all {size} bytes")
            add(long(len(value)))
            add(b"".join(value))
        add(b"\x00")

    return write


def _map(item: Write) -> Write:
    def write(add: Add, value: Any) -> None:
        if not isinstance(value, Mapping):
            raise TypeError("not a map")
        if value:
            add(long(len(value)))
            for key, one in value.items():
                _write_string(add, key)
                item(add, one)
        add(b"\x00")

    return write


def _write_null(_add: Add, value: Any) -> None:
    if value is not None:
        raise TypeError("not null")


def _nullable(item: Write, *, null: bytes, other: bytes) -> Write:
    def write(add: Add, value: Any) -> None:
        if value is None:
            add(null)
        else:
            add(other)
            item(add, value)

    return write


def _union(branches: Sequence[tuple[type, Write]]) -> Write:
    by_type = {kind: (long(index), write) for index, (kind, write) in enumerate(branches)}
    if len(by_type) != len(branches):
        raise UnsupportedSchema("a union of two types that look alike")

    def write(add: Add, value: Any) -> None:
        index, item = by_type[type(value)]
        add(index)
        item(add, value)

    return write


def of_mapping(names: Sequence[str]) -> Values:
    """A record's values from a mapping, which must have these fields and no others."""
    size = len(names)
    pick = _pick(itemgetter, names)

    def values(record: Any) -> Sequence[Any]:
        if len(record) != size:
            raise ValueError("fields are missing or too many")
        return pick(record)

    return values


def of_object(names: Sequence[str]) -> Values:
    """A record's values from an object's attributes."""
    return _pick(attrgetter, names)


def _pick(getter: Any, names: Sequence[str]) -> Values:
    if len(names) > 1:
        several: Values = getter(*names)
        return several
    if not names:
        return lambda _record: ()
    one = getter(names[0])
    return lambda record: (one(record),)


def _record(values: Values, writes: Sequence[Write]) -> Write:
    def write(add: Add, value: Any) -> None:
        for one, part in zip(writes, values(value), strict=True):
            one(add, part)

    return write


# -- from a schema ---------------------------------------------------------------------------

_PLAIN: Final[Mapping[str, tuple[type, Write]]] = {
    "null": (type(None), _write_null),
    "boolean": (bool, _write_boolean),
    "int": (int, _write_int),
    "long": (int, _write_long),
    "double": (float, _write_double),
    "bytes": (bytes, _write_bytes),
    "string": (str, _write_string),
}
_LOGICAL: Final[Mapping[tuple[str, str], tuple[type, Write]]] = {
    ("long", "timestamp-micros"): (datetime, _write_instant),
    ("int", "date"): (date, _write_date),
}


class _Maker:
    """Makes writers; knows the types named so far."""

    def __init__(self, pick: Callable[[Sequence[str]], Values]) -> None:
        self._pick = pick
        self._named: dict[str, tuple[type, Write]] = {}
        self._sizes: dict[Write, int] = {}

    def make(self, schema: Any, namespace: str) -> tuple[type, Write]:
        """The Python type a union knows its values by, and the writer."""
        if isinstance(schema, str):
            named = self._named.get(full_name(schema, namespace))
            return _PLAIN.get(schema) or named or _unsupported(schema)
        if isinstance(schema, list):
            return object, self._union([self.make(branch, namespace) for branch in schema])
        kind, logical = schema["type"], schema.get("logicalType")
        if isinstance(kind, dict | list):
            return self.make(kind, namespace)
        if logical is not None and (kind, logical) != ("fixed", "decimal"):
            return _LOGICAL.get((kind, logical)) or _unsupported(logical)
        if kind in _PLAIN:
            return _PLAIN[kind]
        if kind == "array":
            item = self.make(schema["items"], namespace)[1]
            size = self._sizes.get(item)
            return list, _array(item) if size is None else _array_of_fixed(size)
        if kind == "map":
            return dict, _map(self.make(schema["values"], namespace)[1])
        return self._define(schema, kind, namespace)

    @staticmethod
    def _union(branches: Sequence[tuple[type, Write]]) -> Write:
        kinds = [kind for kind, _ in branches]
        if len(kinds) == 2 and type(None) in kinds:
            null = kinds.index(type(None))
            return _nullable(branches[1 - null][1], null=long(null), other=long(1 - null))
        return _union(branches)

    def _define(self, schema: Any, kind: str, namespace: str) -> tuple[type, Write]:
        made: tuple[type, Write]
        inner = scope(schema, namespace)
        if kind == "fixed" and schema.get("logicalType") == "decimal":
            scale = schema.get("scale", 0)
            made = Decimal, _decimal(schema["size"], schema["precision"], scale)
        elif kind == "fixed":
            made = bytes, _fixed(schema["size"])
            self._sizes[made[1]] = schema["size"]
        elif kind == "enum":
            made = str, _enum(schema["symbols"])
        elif kind == "record":
            names = [field["name"] for field in schema["fields"]]
            writes = [self.make(field["type"], inner)[1] for field in schema["fields"]]
            made = dict, _record(self._pick(names), writes)
        else:
            _unsupported(kind)
        self._named[full_name(schema["name"], inner)] = made
        return made


def _unsupported(kind: str) -> NoReturn:
    raise UnsupportedSchema(f"type {kind}")


def writer(
    schema: Any, prefix: bytes = b"", pick: Callable[[Sequence[str]], Values] = of_mapping
) -> Callable[[Any], bytes]:
    """A function from a value to prefix and Avro body. It raises on what does not fit.

    pick: where a record's values are, in a mapping or (`of_object`) in attributes.
    UnsupportedSchema if the schema has types these formats do not use.
    """
    write = _Maker(pick).make(schema, "")[1]

    def encode(value: Any) -> bytes:
        parts = [prefix]
        write(parts.append, value)
        return b"".join(parts)

    return encode
