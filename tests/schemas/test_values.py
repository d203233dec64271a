"""Values: what an agency may state, what it may not, and that signed bytes are held to the same."""

from __future__ import annotations

import json
from typing import Any

import pytest

from schemas.avro import AvroError, Codec
from schemas.registry import ROUTING, EventSchema, Routing, SchemaError, Schemas

SCHEMAS = Schemas.load()
ROUTE = Routing("C-1", "P-1")
MONEY = {
    "type": "record",
    "name": "Money",
    "fields": [
        {
            "name": "amount",
            "type": {
                "type": "fixed",
                "name": "Amount",
                "size": 16,
                "logicalType": "decimal",
                "precision": 20,
                "scale": 4,
            },
        },
        {"name": "currency", "type": "string"},
    ],
}
INSTANT = {"type": "long", "logicalType": "timestamp-micros"}
DATE = {"type": "int", "logicalType": "date"}
SCORES = ["null", "boolean", "long", "double", "string", {"type": "array", "items": "string"}]


def event_of(kind: Any, **more: Any) -> EventSchema:
    """A schema with one field, `v`."""
    return EventSchema(
        {
            "type": "record",
            "name": "Test",
            "namespace": "nrm.case",
            "group": "test",
            "emitters": [],
            "fields": [{"name": "v", "type": kind, "category": "identity", **more}],
        }
    )


TEXT = event_of("string")
CODE = event_of("string", codelist="national")
AGENCY = event_of("string", ref="agency")
REF = event_of("string", ref="event")
CLOSED = event_of("string", codelist="nrm.urgency", codes=["1_hour"])
AMOUNT = event_of(MONEY)
TIME = event_of(INSTANT)
DAY = event_of(DATE)
NUMBER = event_of("long")
FREE = event_of("string", json=True)
YES = event_of("boolean")
MAP = event_of({"type": "map", "values": {"type": "array", "items": "string"}})
LIST = event_of({"type": "array", "items": "string"})

REFUSED: list[tuple[EventSchema, Any, str]] = [
    (TEXT, 7, "not_a_text"),
    (TEXT, "a\x00b", "forbidden_character"),
    (TEXT, "a\x1bb", "forbidden_character"),
    (TEXT, "a\x85b", "forbidden_character"),
    (TEXT, "abc\u202edcba", "forbidden_character"),
    (TEXT, "\u2066abc", "forbidden_character"),
    (TEXT, "\ud800", "forbidden_character"),
    (TEXT, "x" * 8193, "too_long"),
    (TEXT, "é" * 4097, "too_long"),
    (CODE, "", "empty"),
    (CODE, "x" * 65, "too_long"),
    (CODE, "大" * 50, "too_long"),
    (CODE, "a\nb", "forbidden_character"),
    (CODE, " a", "forbidden_character"),
    (CODE, "a\u200b", "forbidden_character"),
    (CODE, "\ud800", "forbidden_character"),
    (AGENCY, "x" * 65, "too_long"),
    (AGENCY, "SH-1 ", "forbidden_character"),
    (REF, "x" * 201, "too_long"),
    (REF, "", "empty"),
    (CLOSED, "2_hours", "unknown_code"),
    (AMOUNT, "12.34567 EUR", "not_an_amount"),
    (AMOUNT, "1e30 EUR", "not_an_amount"),
    (AMOUNT, "12345678901234567.00 EUR", "not_an_amount"),
    (AMOUNT, "NaN EUR", "not_an_amount"),
    (AMOUNT, "Infinity EUR", "not_an_amount"),
    (AMOUNT, float("nan"), "not_an_amount"),
    (AMOUNT, True, "not_an_amount"),
    (AMOUNT, [1], "not_an_amount"),
    (AMOUNT, "12.50 euros", "not_a_currency"),
    (AMOUNT, "12.50 ", "not_a_currency"),
    (AMOUNT, {"amount": "1", "currency": None}, "not_a_currency"),
    (AMOUNT, {"amount": "1", "currency": "EUR", "to": "x"}, "not_an_amount"),
    (TIME, "2026-03-02", "instant_without_zone"),
    (TIME, "2026-03-02T09:00:00", "instant_without_zone"),
    (TIME, "yesterday", "not_an_instant"),
    (TIME, 7, "not_an_instant"),
    (TIME, "0001-01-01T00:00:00+10:00", "not_an_instant"),
    (DAY, "2026-02-30", "not_a_date"),
    (DAY, "2026-W01-1", "not_a_date"),
    (DAY, "20260302", "not_a_date"),
    (DAY, "2026-03-02T09:00:00Z", "not_a_date"),
    (DAY, 20260302, "not_a_date"),
    (NUMBER, 1.0, "not_a_whole_number"),
    (NUMBER, True, "not_a_whole_number"),
    (NUMBER, 2**63, "not_a_whole_number"),
    (NUMBER, "1", "not_a_whole_number"),
    (YES, 1, "not_a_boolean"),
    (YES, "true", "not_a_boolean"),
    (FREE, {"a": float("inf")}, "not_a_number"),
    (FREE, {"a": {1, 2}}, "not_json"),
    (FREE, {"a": "\u202e"}, "forbidden_character"),
    (FREE, {"\x00": 1}, "forbidden_character"),
    (FREE, {1: 1}, "not_a_text"),
    (FREE, ["x" * 8000] * 9, "too_long"),
    (FREE, json.loads("[" * 30 + "]" * 30), "too_deep"),
    (MAP, ["SH-1"], "not_a_map"),
    (MAP, {"": []}, "empty"),
    (MAP, {"x" * 65: []}, "too_long"),
    (MAP, {"SH-1": "identity"}, "not_a_list"),
    (LIST, "identity", "not_a_list"),
    (LIST, {"a": 1}, "not_a_list"),
    (LIST, [None], "not_a_text"),
]


@pytest.mark.parametrize(("schema", "value", "reason"), REFUSED)
def test_what_an_agency_may_not_state(schema: EventSchema, value: Any, reason: str) -> None:
    with pytest.raises(SchemaError) as refused:
        schema.split({"v": value}, routing=ROUTE)
    assert (refused.value.reason, refused.value.field) == (reason, "v")
    assert str(refused.value) == f"{reason}: v"  # and no value


STATED: list[tuple[EventSchema, Any, Any]] = [
    (TEXT, "", ""),
    (TEXT, "two\nlines\tand a tab", "two\nlines\tand a tab"),
    (TEXT, "مرحبا 你好 Ünïcödé 👪 می‌خواهم", "مرحبا 你好 Ünïcödé 👪 می‌خواهم"),
    (TEXT, "x" * 8192, "x" * 8192),
    (CODE, "0—8", "0—8"),
    (CODE, "Not in any list", "Not in any list"),
    (AMOUNT, "12.50 EUR", {"amount": "12.50", "currency": "EUR"}),
    (AMOUNT, "12.5", {"amount": "12.50", "currency": "XXX"}),
    (AMOUNT, 12.5, {"amount": "12.50", "currency": "XXX"}),
    (AMOUNT, 12, {"amount": "12.00", "currency": "XXX"}),
    (AMOUNT, {"amount": "0.125", "currency": "KWD"}, {"amount": "0.125", "currency": "KWD"}),
    (AMOUNT, "-0.0001 EUR", {"amount": "-0.0001", "currency": "EUR"}),
    (AMOUNT, "9999999999999999.9999 EUR", {"amount": "9999999999999999.9999", "currency": "EUR"}),
    (TIME, "2026-03-02T10:00:00+01:00", "2026-03-02T09:00:00Z"),
    (TIME, "2026-03-02T09:00:00.123456Z", "2026-03-02T09:00:00.123456Z"),
    (DAY, "2024-02-29", "2024-02-29"),
    (NUMBER, -(2**63), -(2**63)),
    (FREE, {"é": [1, 2.5, None, True, "x"]}, {"é": [1, 2.5, None, True, "x"]}),
    (FREE, 0, 0),
    (MAP, {"Zürich/Süd": ["identity"]}, {"Zürich/Süd": ["identity"]}),
    (LIST, [], []),
]


@pytest.mark.parametrize(("schema", "value", "shown"), STATED)
def test_what_an_agency_may_state(schema: EventSchema, value: Any, shown: Any) -> None:
    bodies = schema.split({"v": value}, routing=ROUTE)
    assert schema.join(bodies, whole=True) == {"v": shown}


# What no agency using this library could have signed: bytes made by hand, under proper Avro.
FORGED: dict[str, tuple[EventSchema, str, Any, Any]] = {
    "NUL": (TEXT, "identity", "string", "a\x00"),
    "bidi": (TEXT, "identity", "string", "\u202eabc"),
    "text too long": (TEXT, "identity", "string", "x" * 9000),
    "code with a line end": (CODE, "identity", "string", "a\nb"),
    "code empty": (CODE, "identity", "string", ""),
    "closed list": (CLOSED, "identity", "string", "never"),
    "JSON with NaN": (FREE, "identity", "string", '{"a":NaN}'),
    "JSON with a duplicate key": (FREE, "identity", "string", '{"a":1,"a":2}'),
    "JSON without end": (FREE, "identity", "string", "[" * 60_000),
    "JSON very deep": (FREE, "identity", "string", "[" * 30_000 + "]" * 30_000),
    "JSON deep": (FREE, "identity", "string", "[" * 20 + "]" * 20),
    "JSON with a hidden NUL": (FREE, "identity", "string", '{"a":"\\u0000"}'),
    "JSON with half a pair": (FREE, "identity", "string", '"\\ud800"'),
    "JSON with a huge number": (FREE, "identity", "string", "1" * 5000),
    "not JSON": (FREE, "identity", "string", "nope"),
    "map key": (MAP, "identity", MAP["v"].avro, {"a\x00": []}),
}


@pytest.mark.parametrize(("schema", "name", "kind", "value"), FORGED.values(), ids=FORGED.keys())
def test_signed_bytes_are_held_to_the_same(
    schema: EventSchema, name: str, kind: Any, value: Any
) -> None:
    fields = [{"name": "v", "type": kind}]
    forged = Codec({"type": "record", "name": "Forged", "fields": fields}).encode({"v": value})
    with pytest.raises(SchemaError):
        schema.join({name: forged})


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_correction_cannot_be_no_number(value: float) -> None:
    schema = SCHEMAS.by_type("RecordCorrected")
    data = {"corrects_event": "e", "field": "f", "new_value": value}
    with pytest.raises(SchemaError):
        schema.split(data, routing=ROUTE, corrected_category="identity")
    fields = [{"name": "new_value", "type": SCORES}]
    forged = Codec({"type": "record", "name": "F", "fields": fields}).encode({"new_value": value})
    with pytest.raises(AvroError):
        schema.join({"identity": forged})


def test_a_party_compartment_names_its_party_and_no_other() -> None:
    schema = SCHEMAS.by_type("ConsentWithdrawn")
    codec = schema.compartments("consent/SH-1")
    assert schema.join({"consent/SH-1": codec.encode({"recipients": ["SH-1"]})})
    for forged in (["POL-1"], ["SH-1", "POL-1"], ["SH-1", "SH-1"], []):
        with pytest.raises(SchemaError, match="another_party"):
            schema.join({"consent/SH-1": codec.encode({"recipients": forged})})


def test_a_compartment_that_says_nothing_is_refused() -> None:
    schema = SCHEMAS.by_type("IdentityRecorded")
    empty = schema.compartments("demographics").encode({"gender": None, "citizenships": None})
    with pytest.raises(SchemaError, match="empty_compartment"):
        schema.join({"demographics": empty})


@pytest.mark.parametrize(
    "routing",
    [
        Routing("", "P-1"),
        Routing("C-1", "P\x00"),
        Routing("x" * 201, "P-1"),
        Routing("C-1", "P-1", "a\u202e"),
        Routing("C-1", "P-1", ""),
    ],
)
def test_routing_is_checked_on_both_ways(routing: Routing) -> None:
    schema = SCHEMAS.by_type("CaseReopened")
    with pytest.raises(SchemaError):
        schema.split({"reason": "retrafficked"}, routing=routing)
    values = {"case": routing.case, "subject": routing.subject, "addressed": routing.addressed}
    with pytest.raises(SchemaError):
        schema.routing({"routing": ROUTING.encode(values)})


@pytest.mark.parametrize(
    ("data", "reason", "field"),
    [
        ({}, "missing_field", "reason"),
        ({"reason": None}, "missing_field", "reason"),
        ({"reason": "boredom"}, "unknown_code", "reason"),
        ({"reason": "retrafficked", "mood": "x"}, "unknown_field", "mood"),
    ],
)
def test_data_must_fit_its_schema(data: dict[str, Any], reason: str, field: str) -> None:
    with pytest.raises(SchemaError) as refused:
        SCHEMAS.by_type("CaseReopened").split(data, routing=ROUTE)
    assert (refused.value.reason, refused.value.field) == (reason, field)


def test_more_than_a_compartment_may_hold_is_refused() -> None:
    schema = SCHEMAS.by_type("IdentityRecorded")
    with pytest.raises(SchemaError, match="does_not_fit: identity"):
        schema.split({"aliases": ["x" * 8000] * 40}, routing=ROUTE)
