"""Writing state: Avro bytes straight from an event's attributes.

The log's hottest step. fastavro wants a dict per record and takes four times as long for the
schemas here, so a writer is made once per schema from closures. It writes what fastavro writes,
byte for byte (tests compare them), and only the types the store's schemas use; any other type is
refused when the writer is made. Values are checked: nothing is cut, widened or guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import attrgetter
from typing import Any

Add = Callable[[bytes], None]
Write = Callable[[Add, Any], None]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def micros(time: datetime) -> int:
    """Microseconds since 1970. A time without a zone raises TypeError: it could be any hour."""
    return (time - EPOCH) // MICROSECOND


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


_SMALL = tuple(_varint(number) for number in range(8192))


def _long(number: int) -> bytes:
    return _SMALL[number] if 0 <= number < 8192 else _varint(number)


def _write_long(add: Add, value: Any) -> None:
    if type(value) is not int:
        raise TypeError("not an int")
    add(_long(value))


def _write_int(add: Add, value: Any) -> None:
    if type(value) is not int or not -(1 << 31) <= value < 1 << 31:
        raise ValueError("not a 32-bit int")
    add(_long(value))


def _write_time(add: Add, value: Any) -> None:
    since = value - EPOCH
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


def _write_bytes(add: Add, value: Any) -> None:
    if type(value) is not bytes:
        raise TypeError("not bytes")
    size = len(value)
    add(_SMALL[size] if size < 8192 else _varint(size))
    add(value)


def _write_string(add: Add, value: Any) -> None:
    add(_short_string(value) if len(value) <= 64 else _string(value))


def _string(value: str) -> bytes:
    data = value.encode()
    return _long(len(data)) + data


_short_string = lru_cache(4096)(_string)  # agencies, roles, event types and categories recur


def _fixed(size: int) -> Write:
    def write(add: Add, value: Any) -> None:
        if type(value) is not bytes or len(value) != size:
            raise ValueError(f"not {size} bytes")
        add(value)

    return write


def _enum(symbols: list[str]) -> Write:
    numbers = {symbol: _long(number) for number, symbol in enumerate(symbols)}
    return lambda add, value: add(numbers[value])


def _array(item: Write) -> Write:
    def write(add: Add, value: Any) -> None:
        if value:
            add(_long(len(value)))
            for one in value:
                item(add, one)
        add(b"\x00")

    return write


def _array_of_fixed(size: int) -> Write:
    def write(add: Add, value: Any) -> None:
        if value:
            if set(map(type, value)) != {bytes} or set(map(len, value)) != {size}:
                raise ValueError(f"not all {size} bytes")
            add(_long(len(value)))
            add(b"".join(value))
        add(b"\x00")

    return write


def _nullable(item: Write) -> Write:
    def write(add: Add, value: Any) -> None:
        if value is None:
            add(b"\x00")
        else:
            add(b"\x02")
            item(add, value)

    return write


_PLAIN: dict[str, Write] = {
    "long": _write_long,
    "int": _write_int,
    "bytes": _write_bytes,
    "string": _write_string,
}


class _Maker:
    """Makes writers; knows the types named so far."""

    def __init__(self) -> None:
        self._named: dict[str, Write] = {}
        self._sizes: dict[Write, int] = {}

    def make(self, schema: Any) -> Write:
        if isinstance(schema, str):
            return _PLAIN.get(schema) or self._named[schema]
        if isinstance(schema, list):
            if len(schema) != 2 or schema[0] != "null":
                raise TypeError("a union that is not null and one type")
            return _nullable(self.make(schema[1]))
        kind, logical = schema["type"], schema.get("logicalType")
        if (kind, logical) == ("long", "timestamp-micros"):
            return _write_time
        if logical is not None:
            raise TypeError(f"logical type {logical}")
        if kind == "array":
            item = self.make(schema["items"])
            size = self._sizes.get(item)
            return _array(item) if size is None else _array_of_fixed(size)
        if kind == "fixed":
            made = _fixed(schema["size"])
            self._sizes[made] = schema["size"]
        elif kind == "enum":
            made = _enum(schema["symbols"])
        elif kind == "record":
            made = self._record(schema)
        else:
            raise TypeError(f"type {kind}")
        self._named[schema["name"]] = made
        return made

    def _record(self, schema: dict[str, Any]) -> Write:
        names = [field["name"] for field in schema["fields"]]
        writes = [self.make(field["type"]) for field in schema["fields"]]
        if len(names) < 2:
            raise TypeError("a record of fewer than two fields")
        values = attrgetter(*names)

        def write(add: Add, value: Any) -> None:
            for one, part in zip(writes, values(value), strict=True):
                one(add, part)

        return write


def writer(schema: dict[str, Any], prefix: bytes) -> Callable[[Any], bytes]:
    """A function from an object with the schema's attributes to prefix and Avro body."""
    write = _Maker().make(schema)

    def state(value: Any) -> bytes:
        parts = [prefix]
        write(parts.append, value)
        return b"".join(parts)

    return state
