"""What is written is what the library would write, for every schema of ours and any value."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib import resources
from typing import Any

import fastavro
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.avro import AvroError, Codec
from schemas.registry import Routing, Schemas
from schemas.safe import full_name, scope
from tests.schemas.strategies import events

SCHEMAS = Schemas.load()
WIRE = {
    file.name: json.loads(file.read_text("utf-8"))
    for file in sorted((resources.files("schemas") / "wire").iterdir(), key=lambda f: f.name)
    if file.name.endswith(".avsc")
}
PLAIN: dict[str, st.SearchStrategy[Any]] = {
    "null": st.none(),
    "boolean": st.booleans(),
    "int": st.integers(-(2**31), 2**31 - 1),
    "long": st.integers(-(2**63), 2**63 - 1),
    "double": st.floats(allow_nan=False),
    "string": st.text(max_size=40),
    "bytes": st.binary(max_size=200),
}


def by_library(schema: Any, value: Any) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(
        buffer, fastavro.parse_schema(schema), value, strict=True, disable_tuple_notation=True
    )
    return buffer.getvalue()


def read_alike(codec: Codec, encoded: bytes) -> None:
    """Both ways of reading give the same, down to the types."""
    ours, theirs = codec.decode(encoded, trusted=True), codec.decode(encoded)
    assert (ours, repr(ours)) == (theirs, repr(theirs))


def values(schema: Any, namespace: str, named: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Any value of a schema."""
    if isinstance(schema, str):
        return PLAIN[schema] if schema in PLAIN else named[full_name(schema, namespace)]
    if isinstance(schema, list):
        return st.one_of([values(branch, namespace, named) for branch in schema])
    kind = schema["type"]
    if schema.get("logicalType") == "timestamp-micros":
        return st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
    if kind == "array":
        return st.lists(values(schema["items"], namespace, named), max_size=3)
    if kind not in ("record", "fixed", "enum"):
        return values(kind, namespace, named)
    inner = scope(schema, namespace)
    made: st.SearchStrategy[Any]
    if kind == "fixed":
        made = st.binary(min_size=schema["size"], max_size=schema["size"])
    elif kind == "enum":
        made = st.sampled_from(schema["symbols"])
    else:
        made = st.fixed_dictionaries(
            {field["name"]: values(field["type"], inner, named) for field in schema["fields"]}
        )
    named[full_name(schema["name"], inner)] = made
    return made


@pytest.mark.parametrize("name", WIRE)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_wire_formats(name: str, data: st.DataObject) -> None:
    schema = WIRE[name]
    codec = Codec(schema)
    value = data.draw(values(schema, "", {}))
    encoded = codec.encode(value)
    assert encoded == by_library(schema, value)
    assert codec.decode(encoded) == value
    read_alike(codec, encoded)
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(AvroError):
        codec.decode(encoded[:cut], trusted=True)
    with pytest.raises(AvroError):
        codec.decode(encoded + b"\x00", trusted=True)


@pytest.mark.parametrize("name", SCHEMAS.types())
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_compartments_of_events(name: str, data: st.DataObject) -> None:
    schema = SCHEMAS.by_type(name)
    bodies = schema.split(
        data.draw(events(schema)), routing=Routing("c", "s"), corrected_category="identity"
    )
    for compartment, body in bodies.items():
        codec = schema.compartments(compartment)
        assert by_library(codec._parsed, codec.decode(body)) == body
        read_alike(codec, body)


MONEY = {
    "type": "fixed",
    "name": "M",
    "size": 9,
    "logicalType": "decimal",
    "precision": 20,
    "scale": 2,
}


@given(st.integers(-(10**20) + 1, 10**20 - 1))
def test_decimals(units: int) -> None:
    value = Decimal(units).scaleb(-2)
    assert Codec(MONEY).encode(value) == by_library(MONEY, value)
    read_alike(Codec(MONEY), by_library(MONEY, value))


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ("long", True),
        ("boolean", 1),
        ("double", 1),
        ("int", 2**31),
        ("string", b"x"),
        ("bytes", "x"),
        ({"type": "int", "logicalType": "date"}, datetime(2026, 1, 1, tzinfo=UTC)),
        ({"type": "long", "logicalType": "timestamp-micros"}, date(2026, 1, 1)),
        ({"type": "long", "logicalType": "timestamp-micros"}, 1),
        ({"type": "array", "items": "long"}, "12"),
        ({"type": "map", "values": "long"}, [("a", 1)]),
        ({"type": "map", "values": "long"}, {1: 1}),
        (["null", "long", "string"], 1.5),
        (["null", "string"], 1),
        (MONEY, Decimal("0.001")),
        (MONEY, Decimal("NaN")),
        (MONEY, Decimal(10) ** 18),
        (MONEY, 1.5),
    ],
)
def test_nothing_is_cut_widened_or_guessed(schema: Any, value: Any) -> None:
    with pytest.raises(AvroError):
        Codec(schema).encode(value)


@pytest.mark.parametrize("value", [None, True, -(2**63), 1.5, "text", ["a", "b"]])
def test_a_union_is_written_by_the_type_of_its_value(value: Any) -> None:
    union = ["null", "boolean", "long", "double", "string", {"type": "array", "items": "string"}]
    assert Codec(union).encode(value) == by_library(union, value)
    read_alike(Codec(union), by_library(union, value))


@pytest.mark.parametrize(
    ("schema", "data"),
    [
        ("long", b"\xff" * 10 + b"\x01"),
        ("bytes", b"\x01"),
        ("string", b"\x03abc"),
        ("bytes", b"\xff\x01" + bytes(200)),
        ("string", b"\x02\xff"),
        (["null", "string"], b"\x04"),
        (["null", "long", "string"], b"\x06\x00"),
        (["null", "long", "string"], b"\x01\x00"),
        ({"type": "array", "items": "long"}, b"\x01\x02\x02\x00"),
        ({"type": "array", "items": "long"}, b"\x02\x02\x02\x04\x00"),
        ({"type": "map", "values": "long"}, b"\x04\x02a\x02"),
        ({"type": "enum", "name": "E", "symbols": ["a"]}, b"\x02"),
        ({"type": "enum", "name": "E", "symbols": ["a"]}, b"\x01"),
        ({"type": "int", "logicalType": "date"}, b"\xff\xff\xff\xff\x0f"),
    ],
)
def test_what_nobody_writes_is_not_read(schema: Any, data: bytes) -> None:
    with pytest.raises(AvroError):
        Codec(schema).decode(data, trusted=True)
