"""Every event type: what an agency states is what a reader of all its compartments finds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.scenario import shipped
from schemas.avro import AvroError
from schemas.registry import EventSchema, Routing, SchemaError, Schemas
from tests.schemas.strategies import events

SCHEMAS = Schemas.load()
ROUTING = Routing("C-1", "P-1", None)
SAMPLES = json.loads(Path(__file__).with_name("samples.json").read_text("utf-8"))


def split(schema: Any, data: dict[str, Any], category: str | None = None) -> dict[str, bytes]:
    bodies: dict[str, bytes] = schema.split(data, routing=ROUTING, corrected_category=category)
    return bodies


@pytest.mark.parametrize("event_type", SCHEMAS.types())
@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_what_is_stated_is_what_is_read(event_type: str, data: st.DataObject) -> None:
    schema = SCHEMAS.by_type(event_type)
    stated = data.draw(events(schema))
    corrected = "identity" if event_type == "RecordCorrected" else None
    bodies = split(schema, stated, corrected)
    assert schema.join(bodies, whole=True) == stated
    assert schema.join(bodies, trusted=True) == stated
    assert schema.routing(bodies) == ROUTING
    told = {name: body for name, body in bodies.items() if name != "routing"}
    for category, values in (schema.plain(told) or {}).items():
        names = [field.name for field in schema.fields if field.category == category]
        assert list(values) == names
        assert values == {name: stated.get(name) for name in names}


def test_compartments_are_told_alone_unless_a_field_is_of_several() -> None:
    assert SCHEMAS.by_type("CaseOpened").plain({}) == {}
    assert SCHEMAS.by_type("RecordCorrected").plain({"identity": b""}) is None
    with_parties = next(
        schema
        for schema in map(SCHEMAS.by_type, SCHEMAS.types())
        if any(field.per_party for field in schema.fields)
    )
    shown = next(field.category for field in with_parties.fields if field.per_party)
    assert with_parties.plain({shown: b""}) is None
    assert with_parties.plain({"routing": b""}) is None


@pytest.mark.parametrize("event_type", SCHEMAS.types())
@settings(max_examples=10, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_one_compartment_tells_its_own_fields_and_no_others(
    event_type: str, data: st.DataObject
) -> None:
    schema = SCHEMAS.by_type(event_type)
    stated = data.draw(events(schema))
    corrected = "identity" if event_type == "RecordCorrected" else None
    for name, body in split(schema, stated, corrected).items():
        if name == "routing":
            continue
        category, _, party = name.partition("/")
        for field, value in schema.join({name: body}).items():
            known = schema[field]
            assert known.category in (category, "inherit")
            if known.per_party and party:
                assert value == ({party: stated[field][party]} if known.is_map else [party])
            elif not known.per_party:
                assert value == stated[known.copies or field]


@pytest.mark.parametrize("sample", SAMPLES, ids=[one["type"] for one in SAMPLES])
def test_stories_as_agencies_tell_them(sample: dict[str, Any]) -> None:
    schema = SCHEMAS.by_type(sample["type"])
    bodies = split(schema, sample["data"], sample.get("corrected_category"))
    assert schema.join(bodies, whole=True) == sample["data"]
    found = {name.partition("/")[0] for name in bodies} - {"routing"}
    assert found == set(sample["categories"])


@pytest.mark.parametrize("scenario_id", shipped.ids())
def test_every_event_of_the_scenarios(scenario_id: str) -> None:
    story = shipped.load(scenario_id)["events"]
    types = {event["id"]: event["type"] for event in story}
    for event in story:
        schema, data = SCHEMAS.by_type(event["type"]), event["data"]
        category = None
        if event["type"] == "RecordCorrected":
            corrected = SCHEMAS.by_type(types[data["corrects_event"]])
            category = corrected.correction(data["field"], data.get("new_value"))
        bodies = split(schema, data, category)
        assert schema.join(bodies, whole=True) == data
        found = {name.partition("/")[0] for name in bodies} - {"routing"}
        assert found == set(event["categories"])


def test_every_type_is_told_in_a_story() -> None:
    assert {one["type"] for one in SAMPLES} == set(SCHEMAS.types())


def test_a_compartment_exists_only_if_the_event_says_something_in_it() -> None:
    schema = SCHEMAS.by_type("IdentityRecorded")
    assert set(split(schema, {"gender": "F"})) == {"demographics", "routing"}
    assert set(split(schema, {"gender": "F", "given_name": None})) == {"demographics", "routing"}
    assert set(split(schema, {})) == {"routing"}


def test_each_party_of_a_consent_has_a_compartment_of_its_own() -> None:
    schema = SCHEMAS.by_type("ConsentGiven")
    data = next(one["data"] for one in SAMPLES if one["type"] == "ConsentGiven")
    bodies = split(schema, data)
    parties = set(data["scope"])
    assert set(bodies) == {"consent", "routing"} | {f"consent/{party}" for party in parties}
    for party in parties:
        others = parties - {party}
        own = bodies[f"consent/{party}"]
        assert not any(other.encode() in own + bodies["consent"] for other in others)
        assert schema.join({"consent": bodies["consent"], f"consent/{party}": own})["scope"] == {
            party: data["scope"][party]
        }


def test_a_withdrawal_tells_each_recipient_of_itself_only() -> None:
    schema = SCHEMAS.by_type("ConsentWithdrawn")
    data = {"consent_id": "c1", "extent": "recipients", "leave_nrm": False}
    bodies = split(schema, {**data, "recipients": ["SH-1", "POL-1"]})
    assert schema.join({"consent": bodies["consent"]}) == data
    shown = schema.join({"consent": bodies["consent"], "consent/SH-1": bodies["consent/SH-1"]})
    assert shown == {**data, "recipients": ["SH-1"]}
    # The order in which compartments arrive says nothing.
    assert schema.join(bodies) == schema.join(dict(reversed(bodies.items())))


CORRECTION = {"corrects_event": "e1", "field": "region", "new_value": "North"}


@pytest.mark.parametrize("category", ["case_management", "identity", "location_safe", "audit"])
def test_a_correction_is_told_in_the_category_it_corrects(category: str) -> None:
    schema = SCHEMAS.by_type("RecordCorrected")
    bodies = split(schema, CORRECTION, category)
    assert set(bodies) == {"case_management", category, "routing"}
    assert schema.join(bodies, whole=True) == CORRECTION
    if category != "case_management":
        assert b"North" not in bodies["case_management"]


@pytest.mark.parametrize("category", [None, "inherit", "routing", "Identity", "a/b", "", "a b"])
def test_a_correction_needs_a_category_of_its_own(category: str | None) -> None:
    with pytest.raises(SchemaError):
        split(SCHEMAS.by_type("RecordCorrected"), CORRECTION, category)


@pytest.mark.parametrize(
    ("event_type", "field", "value", "answer"),
    [
        ("IdentityRecorded", "date_of_birth", "2001-02-03", "identity"),
        ("IdentityRecorded", "date_of_birth", None, "identity"),
        ("IdentityRecorded", "date_of_birth", "3.2.2001", "not_a_date"),
        ("AccommodationPlaced", "type", "castle", "unknown_code"),
        ("AccommodationPlaced", "address", None, "missing_field"),
        ("AccommodationPlaced", "colour", "red", "unknown_field"),
        ("CompensationDecided", "amount", "12.50 EUR", "financial"),
        ("CompensationDecided", "amount", {"amount": 1, "currency": "EUR"}, "not_correctable"),
        ("ConsentGiven", "scope", {"SH-1": []}, "not_correctable"),
        ("RecordCorrected", "new_value", "x", "not_correctable"),
        ("StatisticsPublished", "cells", "{}", "not_correctable"),
    ],
)
def test_what_a_correction_may_say(event_type: str, field: str, value: Any, answer: str) -> None:
    schema = SCHEMAS.by_type(event_type)
    if answer in schema.categories:
        assert schema.correction(field, value) == answer
    else:
        with pytest.raises(SchemaError) as refused:
            schema.correction(field, value)
        assert (refused.value.reason, refused.value.field) == (answer, field)


def test_the_whole_event_must_be_there() -> None:
    schema = SCHEMAS.by_type("AccommodationPlaced")
    data = {"placement_id": "p", "type": "foster", "address": "Road 1"}
    bodies = split(schema, data)
    assert schema.join(bodies, whole=True) == data
    for name in bodies:
        part = {other: body for other, body in bodies.items() if other != name}
        schema.join(part)  # a recipient of some compartments is content
        with pytest.raises(SchemaError):
            schema.join(part, whole=True)


def test_a_party_compartment_without_its_category_is_not_whole() -> None:
    seen_by = {"type": ["null", {"type": "array", "items": "string"}], "per_party": True}
    schema = EventSchema(
        {
            "type": "record",
            "name": "Test",
            "namespace": "nrm.case",
            "group": "test",
            "emitters": [],
            "fields": [{"name": "seen_by", "category": "consent", "ref": "agency", **seen_by}],
        }
    )
    bodies = split(schema, {"seen_by": ["SH-1"]})
    assert set(bodies) == {"consent", "consent/SH-1", "routing"}
    assert schema.join(bodies, whole=True) == {"seen_by": ["SH-1"]}
    del bodies["consent"]
    with pytest.raises(SchemaError, match="missing_compartment"):
        schema.join(bodies, whole=True)


def test_a_correction_stands_in_one_category() -> None:
    schema = SCHEMAS.by_type("RecordCorrected")
    bodies = split(schema, CORRECTION, "identity") | split(schema, CORRECTION, "health")
    with pytest.raises(SchemaError, match="several_categories"):
        schema.join(bodies, whole=True)


@pytest.mark.parametrize("name", ["identity", "routing/x", "consent/", "consent/a\x00b", "inherit"])
def test_unknown_compartments_are_refused(name: str) -> None:
    with pytest.raises(AvroError):
        SCHEMAS.by_type("ConsentGiven").join({name: b"\x00"})
