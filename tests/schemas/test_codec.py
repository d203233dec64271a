"""Hostile bytes and dangerous schemas: one error each, and the process lives."""

from __future__ import annotations

import contextlib
import struct
import time
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas import wire
from schemas.avro import AvroError, Codec
from schemas.safe import UnsafeSchema, check

# One field of each kind. The good body below is written out by hand from the Avro specification.
EVERYTHING: dict[str, Any] = {
    "type": "record",
    "name": "Everything",
    "namespace": "test",
    "fields": [
        {"name": "flag", "type": "boolean"},
        {"name": "number", "type": "long"},
        {"name": "text", "type": "string"},
        {"name": "colour", "type": {"type": "enum", "name": "Colour", "symbols": ["red", "blue"]}},
        {"name": "maybe", "type": ["null", "long"]},
        {"name": "list", "type": {"type": "array", "items": "long"}},
        {"name": "map", "type": {"type": "map", "values": "long"}},
        {"name": "id", "type": {"type": "fixed", "name": "Id", "size": 2}},
    ],
}
PARTS: dict[str, bytes] = {
    "flag": b"\x01",
    "number": b"\x02",
    "text": b"\x04qz",
    "colour": b"\x02",
    "maybe": b"\x02\x06",
    "list": b"\x04\x02\x04\x00",
    "map": b"\x04\x02a\x02\x02b\x04\x00",
    "id": b"\xaa\xbb",
}
VALUE = {
    "flag": True,
    "number": 1,
    "text": "qz",
    "colour": "blue",
    "maybe": 3,
    "list": [1, 2],
    "map": {"a": 1, "b": 2},
    "id": b"\xaa\xbb",
}
CODEC = Codec(EVERYTHING)
# The same with a bound so low that every body is walked first.
WALKED = Codec(EVERYTHING, max_items=5)
EXTREME = b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01"  # 2^63 - 1 as a zig-zag varint
LOWEST = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"  # -2^63


def body(**changed: bytes) -> bytes:
    return b"".join({**PARTS, **changed}.values())


HOSTILE: dict[str, bytes] = {
    "empty": b"",
    "one byte": b"\x01",
    "trailing byte": body() + b"\x00",
    "twice": body() * 2,
    "truncated": body()[:-1],
    "boolean 7": body(flag=b"\x07"),
    "over-long varint": body(number=b"\x82\x00"),
    "endless varint": body(number=b"\x80" * 40 + b"\x00"),
    "varint over 64 bits": body(number=b"\xff" * 9 + b"\x7f"),
    "negative string length": body(text=b"\x03qz"),
    "lowest string length": body(text=LOWEST),
    "huge string length": body(text=EXTREME + b"qz"),
    "over-long string length": body(text=b"\x84\x00qz"),
    "not UTF-8": body(text=b"\x04\xff\xfe"),
    "half a surrogate pair": body(text=b"\x06\xed\xa0\x80"),
    "enum index -1": body(colour=b"\x01"),
    "enum index out of range": body(colour=b"\x04"),
    "enum index huge": body(colour=EXTREME),
    "union index -1": body(maybe=b"\x01"),
    "union index out of range": body(maybe=b"\x04"),
    "split array": body(list=b"\x02\x02\x02\x04\x00"),
    "array block with its size": body(list=b"\x03\x04\x02\x04\x00"),
    "array without an end": body(list=b"\x04\x02\x04"),
    "array count huge": body(list=EXTREME),
    "array count lowest": body(list=LOWEST),
    "duplicate map key": body(map=b"\x04\x02a\x02\x02a\x04\x00"),
    "split map": body(map=b"\x02\x02a\x02\x02\x02b\x04\x00"),
    "map count huge": body(map=EXTREME),
    "fixed too short": body(id=b"\xaa"),
}


@pytest.mark.parametrize("codec", [CODEC, WALKED], ids=["decoded", "walked"])
def test_the_proper_encoding_is_read_and_written(codec: Codec) -> None:
    assert codec.decode(body()) == VALUE
    assert codec.encode(VALUE) == body()


@pytest.mark.parametrize("codec", [CODEC, WALKED], ids=["decoded", "walked"])
@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_bytes_are_one_error(codec: Codec, data: bytes) -> None:
    started = time.process_time()
    with pytest.raises(AvroError) as refused:
        codec.decode(data)
    assert time.process_time() - started < 1
    assert "qz" not in str(refused.value)


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=64))
@example(b"\x00")
def test_any_bytes_decode_to_their_one_value_or_not_at_all(data: bytes) -> None:
    for codec in (CODEC, WALKED):
        try:
            value = codec.decode(data)
        except AvroError:
            continue
        assert codec.encode(value) == data


@settings(max_examples=400, deadline=None)
@given(st.integers(0, len(body()) * 8 - 1))
def test_one_flipped_bit_never_gives_the_same_value(bit: int) -> None:
    data = bytearray(body())
    data[bit // 8] ^= 1 << bit % 8
    with contextlib.suppress(AvroError):
        assert CODEC.decode(bytes(data)) != VALUE


def test_items_are_counted_before_they_are_made() -> None:
    # Three bytes an event: decoding these takes a gigabyte and many seconds.
    head = wire.SUBMISSION.encode({"head": b"", "signature": bytes(64), "events": []})[:-1]
    count = 2_700_000
    events = _varint(count) + b"\x00\x00\x00" * count + b"\x00"
    started = time.process_time()
    with pytest.raises(AvroError, match="too many items"):
        wire.SUBMISSION.decode(head + events)
    assert time.process_time() - started < 0.5


def test_a_second_block_does_not_escape_the_count() -> None:
    with pytest.raises(AvroError, match="several blocks"):
        WALKED.decode(body(list=b"\x02\x02\x02\x04\x00"))


def test_a_full_batch_is_within_the_count() -> None:
    event = {
        "header": b"h" * 150,
        "compartments": [{"name": "n", "salt": bytes(16), "body": b"b" * 200}] * 64,
        "padding": [bytes(32)] * 192,
    }
    batch = {"head": b"", "signature": bytes(64), "events": [event] * 300}
    assert wire.SUBMISSION.decode(wire.SUBMISSION.encode(batch)) == batch


def test_size_is_bounded_both_ways() -> None:
    codec = Codec({"type": "string"}, max_bytes=10)
    assert codec.decode(codec.encode("x" * 9)) == "x" * 9
    with pytest.raises(AvroError, match="limit"):
        codec.encode("x" * 10)
    with pytest.raises(AvroError, match="limit"):
        codec.decode(b"\x14" + b"x" * 10)


def _varint(number: int) -> bytes:
    number, out = number << 1, b""
    while number > 0x7F:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


RECURSIVE = {
    "type": "record",
    "name": "Node",
    "fields": [{"name": "next", "type": ["null", "Node"]}],
}
EMPTY = {"type": "record", "name": "Empty", "fields": []}
NOTHING = {"type": "record", "name": "Nothing", "fields": [{"name": "n", "type": "null"}]}


def array(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items}


def record(*types: Any, **more: Any) -> dict[str, Any]:
    fields = [{"name": f"f{index}", "type": kind} for index, kind in enumerate(types)]
    return {"type": "record", "name": "R", "fields": fields, **more}


def deep(levels: int) -> Any:
    schema: Any = "long"
    for _ in range(levels):
        schema = array(schema)
    return schema


DANGEROUS: dict[str, Any] = {
    "recursive": RECURSIVE,
    "recursive by full name": {**RECURSIVE, "namespace": "a.b"},
    "recursive by full name only": {
        **RECURSIVE,
        "namespace": "a.b",
        "fields": [{"name": "next", "type": ["null", "a.b.Node"]}],
    },
    "recursive through an inherited namespace": {
        "type": "record",
        "name": "a.b.Outer",
        "fields": [{"name": "o", "type": {**RECURSIVE, "fields": [
            {"name": "next", "type": ["null", "a.b.Node"]}]}}],
    },
    "mutually recursive": record({
        "type": "record",
        "name": "Inner",
        "fields": [{"name": "back", "type": array("R")}],
    }),
    "array of null": array("null"),
    "array of wrapped null": array({"type": "null"}),
    "array of empty record": array(EMPTY),
    "array of record of null": array(NOTHING),
    "array of empty fixed": array({"type": "fixed", "name": "F", "size": 0}),
    "array of empty record by name": record(EMPTY, array("Empty")),
    "array of empty record by full name": record(EMPTY, array("a.Empty"), namespace="a"),
    "decimal over bytes": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
    "decimal over bytes in a union": record(
        ["null", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}]
    ),
    "long decimal": {
        "type": "fixed", "name": "D", "size": 17, "logicalType": "decimal", "precision": 9,
    },
    "very deep": deep(3000),
    "deep": deep(40),
    "two fields of one name": {
        "type": "record",
        "name": "R",
        "fields": [{"name": "a", "type": "long"}, {"name": "a", "type": "long"}],
    },
    "one name twice": record(EMPTY, EMPTY),
    "undefined name": record("Missing"),
    "no type": {"name": "x"},
    "a number": 7,
    "not JSON": "{",
    "nothing": None,
}  # fmt: skip


@pytest.mark.parametrize("schema", DANGEROUS.values(), ids=DANGEROUS.keys())
def test_dangerous_schemas_are_refused(schema: Any) -> None:
    with pytest.raises(AvroError, match="schema"):
        Codec(schema)


@pytest.mark.parametrize("schema", [record(EMPTY, EMPTY), record("Missing"), [], deep(40)])
def test_the_check_stands_without_the_library(schema: Any) -> None:
    with pytest.raises(UnsafeSchema):
        check(schema)


@pytest.mark.parametrize(
    "schema",
    [
        record("null", {"type": "map", "values": "null"}),
        record(EMPTY, ["null", "Empty"]),
        deep(20),
        record({"type": "fixed", "name": "H", "size": 32}, array("H")),
    ],
)
def test_harmless_schemas_are_taken(schema: Any) -> None:
    Codec(schema)


@pytest.mark.parametrize(
    "value",
    [
        {**VALUE, "extra": 1},
        {name: one for name, one in VALUE.items() if name != "number"},
        {**VALUE, "number": 1.9},
        {**VALUE, "number": 2**63},
        {**VALUE, "number": "1"},
        {**VALUE, "colour": "green"},
        {**VALUE, "maybe": ("long", 3)},
        {**VALUE, "id": b"\xaa"},
        {**VALUE, "text": "\ud800"},
        {**VALUE, "flag": None},
        {},
        None,
        [],
    ],
)
def test_values_that_do_not_fit_are_refused(value: Any) -> None:
    with pytest.raises(AvroError):
        CODEC.encode(value)


INSTANT = {"type": "long", "logicalType": "timestamp-micros"}


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        (record(INSTANT), {"f0": datetime(2026, 1, 1)}),
        (record(["null", INSTANT]), {"f0": datetime(2026, 1, 1)}),
        (record(array(INSTANT)), {"f0": [datetime(2026, 1, 1)]}),
        (INSTANT, datetime(2026, 1, 1)),
    ],
)
def test_times_without_a_zone_are_refused(schema: Any, value: Any) -> None:
    with pytest.raises(AvroError):
        Codec(schema).encode(value)


def test_instants_and_dates_come_back_exactly() -> None:
    codec = Codec(record(INSTANT, {"type": "int", "logicalType": "date"}))
    for moment in (
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
        datetime(2026, 3, 2, 9, 0, 0, 1, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ):
        value = {"f0": moment, "f1": moment.date()}
        assert codec.decode(codec.encode(value)) == value
    with pytest.raises(AvroError):  # the year 300,000
        codec.decode(b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00")
    assert codec.decode(b"\x00\x00")["f1"] == date(1970, 1, 1)


def test_nan_has_one_encoding_at_most() -> None:
    codec = Codec({"type": "double"})
    for bits in (0x7FF8000000000001, 0xFFF8000000000000, 0x7FF0000000000001):
        try:
            codec.decode(struct.pack("<Q", bits))
        except AvroError:
            continue
        assert codec.encode(codec.decode(struct.pack("<Q", bits))) == struct.pack("<Q", bits)


def test_single_object_encoding() -> None:
    # Fingerprint of "int" as the specification's own implementation gives it (Avro 1.12).
    codec = Codec({"type": "int"})
    assert codec.fingerprint.hex() == "8f5c393f1ad57572"
    assert codec.single(1) == bytes.fromhex("c3018f5c393f1ad5757202")
    assert codec.unsingle(codec.single(-5)) == -5
    for wrong in (b"", b"\xc3", b"\xc3\x01", b"\xc3\x02" + codec.single(1)[2:], codec.encode(1)):
        with pytest.raises(AvroError):
            codec.unsingle(wrong)
    with pytest.raises(AvroError):
        Codec({"type": "long"}).unsingle(codec.single(1))
    with pytest.raises(AvroError):
        codec.unsingle(codec.single(1) + b"\x00")


def test_trusted_decoding_still_wants_every_byte() -> None:
    assert CODEC.decode(body(), trusted=True) == VALUE
    with pytest.raises(AvroError):
        CODEC.decode(body() + b"\x00", trusted=True)
