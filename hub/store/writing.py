"""Writing state: Avro bytes straight from an event's attributes.

The log's hottest step. fastavro wants a dict per record and takes four times as long for the
schemas here, so a writer is made once per schema from closures. It writes what fastavro writes,
byte for byte (tests compare them), and only the types the store's schemas use; any other type is
refused when the writer is made. Values are checked: nothing is cut, widened or guessed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
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
    add(_varint((value - EPOCH) // MICROSECOND))


def _write_bytes(add: Add, value: Any) -> None:
    if type(value) is not bytes:
        raise TypeError("not bytes")
    add(_long(len(value)))
    add(value)


def _write_string(add: Add, value: Any) -> None:
    data = value.encode()
    add(_long(len(data)))
    add(data)


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


def _nullable(item: Write) -> Write:
    def write(add: Add, value: Any) -> None:
        if value is None:
            add(b"\x00")
        else:
            add(b"\x02")
            item(add, value)

    return write


def _record(schema: dict[str, Any], named: dict[str, Write]) -> Write:
    names = [field["name"] for field in schema["fields"]]
    writes = [_write(field["type"], named) for field in schema["fields"]]
    if len(names) < 2:
        raise TypeError("a record of fewer than two fields")
    values = attrgetter(*names)

    def write(add: Add, value: Any) -> None:
        for one, part in zip(writes, values(value), strict=True):
            one(add, part)

    return write


_PLAIN: dict[str, Write] = {
    "long": _write_long,
    "int": _write_int,
    "bytes": _write_bytes,
    "string": _write_string,
}


def _write(schema: Any, named: dict[str, Write]) -> Write:
    if isinstance(schema, str):
        return _PLAIN.get(schema) or named[schema]
    if isinstance(schema, list):
        if len(schema) != 2 or schema[0] != "null":
            raise TypeError("a union that is not null and one type")
        return _nullable(_write(schema[1], named))
    kind, logical = schema["type"], schema.get("logicalType")
    if (kind, logical) == ("long", "timestamp-micros"):
        return _write_time
    if logical is not None:
        raise TypeError(f"logical type {logical}")
    if kind == "array":
        return _array(_write(schema["items"], named))
    makers: dict[str, Callable[[], Write]] = {
        "fixed": lambda: _fixed(schema["size"]),
        "enum": lambda: _enum(schema["symbols"]),
        "record": lambda: _record(schema, named),
    }
    named[schema["name"]] = made = makers[kind]()
    return made


def writer(schema: dict[str, Any], prefix: bytes) -> Callable[[Any], bytes]:
    """A function from an object with the schema's attributes to prefix and Avro body."""
    write = _write(schema, {})

    def state(value: Any) -> bytes:
        parts = [prefix]
        write(parts.append, value)
        return b"".join(parts)

    return state
