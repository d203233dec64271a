"""Partner schemas: flat, the same everywhere, and able to read what was ever written."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import partner_ids
from schemas.compartments import INHERIT, SchemaError
from schemas.compatibility import unreadable
from schemas.partner import ENVELOPE, About, PartnerSchema, PartnerSchemas, snake
from schemas.registry import EventSchema, Schemas
from tests.schemas.strategies import events

KNOWN = PartnerSchemas(Schemas.load())
VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "partner.json").read_text("utf-8"))
ABOUT = About(
    "ne-1",
    "nc-1",
    "ns-1",
    "SH-1",
    datetime(2026, 11, 24, 9, tzinfo=UTC),
    7,
    {"identity": "consent"},
)


def read(schema: PartnerSchema, body: bytes, reader: PartnerSchema | None = None) -> dict[str, Any]:
    stream = io.BytesIO(body)
    wanted = None if reader is None else json.loads(reader.text)
    found: Any = fastavro.schemaless_reader(stream, json.loads(schema.text), wanted)
    assert stream.read() == b""
    return dict(found)


# -- ids -------------------------------------------------------------------------------------


def test_what_is_shipped_is_what_was_published() -> None:
    texts = {kind: [one.text for one in KNOWN.versions(kind)] for kind in KNOWN.types()}
    assert partner_ids.problems(texts, partner_ids.published()) == []
    assert partner_ids.list_path().read_text("utf-8") == partner_ids.list_of(texts)


@pytest.mark.parametrize("vector", VECTORS["ids"], ids=lambda one: one["text"][:20])
def test_ids_are_derived_as_ever(vector: dict[str, Any]) -> None:
    assert partner_ids.derived(vector["text"]) == vector["id"]


@given(st.text())
def test_an_id_has_31_bits(text: str) -> None:
    assert 0 <= partner_ids.derived(text) <= partner_ids.LARGEST


def test_an_id_is_never_given_twice() -> None:
    ids = [one.id for one in KNOWN.every()]
    assert len(set(ids)) == len(ids)
    assert all(KNOWN.by_id(one) is schema for one, schema in zip(ids, KNOWN.every(), strict=True))
    assert KNOWN.by_id(0) is None


def test_what_breaks_the_list_is_named() -> None:
    one, other = ({"id": 5, "sha256": "a"}, {"id": 5, "sha256": "b"})
    [changed, shared] = partner_ids.problems({"A": ["x"]}, {"A": [one], "B": [other]})[::2]
    assert changed.startswith("A: what was published has another text now")
    assert shared == "5: two schemas have this id"
    assert partner_ids.problems({"A": ["x"]}, {}) == ["A: version 1 is new"]


# -- form ------------------------------------------------------------------------------------


@pytest.mark.parametrize("schema", KNOWN.every(), ids=lambda one: one.event_type)
def test_flat_and_every_field_may_be_null(schema: PartnerSchema) -> None:
    names = [field["name"] for field in schema.document["fields"]]
    assert len(set(names)) == len(names)
    for field in schema.document["fields"]:
        if field["name"] in ENVELOPE:
            continue
        assert field["type"][0] == "null"
        assert field["default"] is None
        assert field["category"]
    assert '"enum"' not in schema.text.replace('"codes"', "")
    assert schema.text.count('"type":"record"') == 1


@pytest.mark.parametrize("kind", KNOWN.types())
def test_every_field_of_every_version_is_there(kind: str) -> None:
    names = {field["name"] for field in KNOWN.current(kind).document["fields"]}
    for version in Schemas.load().versions(kind):
        for field in version.fields:
            if not field.copies:
                forms = {field.name, f"{field.name}_stated", f"{field.name}_amount"}
                assert names & (forms - set(ENVELOPE)), field.name


@pytest.mark.parametrize("kind", KNOWN.types())
def test_every_version_reads_every_other(kind: str) -> None:
    versions = KNOWN.versions(kind)
    for one in versions:
        for other in versions:
            assert unreadable(one.document, other.document) == []


def test_a_newer_event_schema_is_a_newer_version() -> None:
    schemas = Schemas(Schemas.load().by_type(kind).document for kind in Schemas.load().types())
    known = PartnerSchemas(schemas)
    old = known.current("CaseOpened")
    document = json.loads(json.dumps(schemas.by_type("CaseOpened").document))
    added = {"name": "note_on", "type": ["null", "string"], "category": "protection"}
    document["fields"] = [*document["fields"][1:], added]
    schemas.register(document)
    new = known.current("CaseOpened")
    assert len(known.versions("CaseOpened")) == 2
    assert {new.id, old.id} == {one.id for one in known.versions("CaseOpened")}
    assert unreadable(new.document, old.document) == unreadable(old.document, new.document) == []
    body = old.encode(ABOUT, {"channel": "self"})
    assert read(old, body, new)["channel"] == "self"
    assert read(old, body, new)["note_on"] is None


def test_names_of_topics() -> None:
    assert [snake(one) for one in ("CaseOpened", "BreakGlassInvoked")] == [
        "case_opened",
        "break_glass_invoked",
    ]
    assert len({snake(one) for one in KNOWN.types()}) == len(KNOWN.types())


# -- values ----------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", VECTORS["messages"], ids=lambda one: one["event_type"])
def test_bodies_are_written_as_ever(vector: dict[str, Any]) -> None:
    schema = KNOWN.current(vector["event_type"])
    assert schema.id == vector["id"]
    assert schema.encode(ABOUT, vector["values"]).hex() == vector["body"]


def test_values_as_a_reader_gets_them() -> None:
    schema = KNOWN.current("IdentityRecorded")
    shown = read(schema, schema.encode(ABOUT, {"given_name": "A", "date_of_birth": "2001-02-03"}))
    assert (shown["given_name"], shown["date_of_birth"]) == ("A", date(2001, 2, 3))
    assert (shown["gender"], shown["sequence"], shown["categories"]) == (None, 7, ["identity"])
    assert shown["occurred_at"] == ABOUT.occurred_at
    paid = KNOWN.current("CompensationDecided")
    for amount in ({"amount": "12.50", "currency": "EUR"}, "12.5 EUR"):  # stated, corrected
        shown = read(paid, paid.encode(ABOUT, {"amount": amount}))
        assert (shown["amount_amount"], shown["amount_currency"]) == (Decimal("12.5"), "EUR")
    fixed = KNOWN.current("RecordCorrected")
    for value in (5, "5", True, ["a"], 0.5):
        assert (
            json.loads(read(fixed, fixed.encode(ABOUT, {"new_value": value}))["new_value"]) == value
        )


@pytest.mark.parametrize("value", ["yesterday", 5, {"a": 1}])
def test_what_does_not_fit_is_named_and_not_quoted(value: Any) -> None:
    with pytest.raises(SchemaError) as wrong:
        KNOWN.current("IdentityRecorded").encode(ABOUT, {"date_of_birth": value})
    assert wrong.value.field == "date_of_birth"
    assert "yesterday" not in str(wrong.value)


@given(st.data())
def test_any_event_of_any_type_comes_out_as_it_went_in(data: st.DataObject) -> None:
    """And of what is left out, nothing is there: the same bytes as if it had never been stated."""
    schema: EventSchema = Schemas.load().by_type(data.draw(st.sampled_from(KNOWN.types())))
    values = data.draw(events(schema))
    partner = KNOWN.current(schema.type)
    held = data.draw(st.sets(st.sampled_from(schema.categories))) | {INHERIT}
    kept = {
        name: value
        for name, value in values.items()
        if (field := schema[name]).category in held and not field.copies
    }
    shown = read(partner, partner.encode(ABOUT, kept))
    stated = {name.removesuffix("_amount") for name, value in shown.items() if value is not None}
    for name in kept:
        assert {name, f"{name}_stated"} & stated
    for name in values.keys() - kept.keys() - set(ENVELOPE):
        assert shown.get(name) is None
