"""What is recorded reads back equal, says its schema, and outlives changes of it."""

from __future__ import annotations

import io
import json
from dataclasses import fields, replace
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from typing import Any

import fastavro
import pytest
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import StoredEvent
from hypothesis import given
from hypothesis import strategies as st

from hub.store import mapper as mapping
from hub.store.errors import StoreCorrupt
from hub.store.events import EVENTS, EventAccepted, SealedCompartment, Sending
from hub.store.mapper import PREFIX, StoreMapper, leaf_entry
from hub.store.writing import writer
from schemas.avro import MAGIC
from schemas.writing import UnsupportedSchema
from tests.store.samples import accepted, at, one_of_each, sending, stream

MAPPER = StoreMapper()
FROZEN = Path(__file__).parent.parent / "vectors" / "store_schemas.json"


def schema(topic: str) -> dict[str, Any]:
    text = (resources.files("schemas") / "store" / f"{topic}.avsc").read_text("utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def as_record(event: Any) -> dict[str, Any]:
    """What fastavro would be given."""
    record = {
        one.name: getattr(event, one.name)
        for one in fields(event)
        if one.name not in ("originator_id", "originator_version")
    }
    if "compartments" in record:
        record["compartments"] = [
            {"name": one.name, "index": one.index, "ciphertext": one.ciphertext}
            for one in record["compartments"]
        ]
    return record


@pytest.mark.parametrize("event", one_of_each(), ids=lambda event: str(event.originator_version))
def test_each_event_reads_back_equal(event: Any) -> None:
    row = MAPPER.to_stored_event(event)
    assert (row.topic, row.originator_id) == (event.TOPIC, event.originator_id)
    assert MAPPER.event(row) == event


def test_samples_cover_every_class() -> None:
    assert {type(event) for event in one_of_each()} == set(EVENTS)


def test_the_library_takes_them_for_events() -> None:
    assert all(isinstance(event, DomainEventProtocol) for event in one_of_each())


def test_topics_are_names_of_schemas_and_never_of_modules() -> None:
    topics = [event.TOPIC for event in EVENTS]
    assert len(set(topics)) == len(EVENTS)
    files = {
        file.name.removesuffix(".avsc")
        for file in (resources.files("schemas") / "store").iterdir()
        if file.name.endswith(".avsc")
    }
    assert files == set(topics)
    for topic in topics:
        found = schema(topic)
        assert f"{found['namespace']}.{found['name']}" == topic
        assert all(field.get("doc") for field in found["fields"])


def test_schemas_change_only_with_their_former_text_kept() -> None:
    """Every fingerprint ever released stays readable. Add lines to the vector, never edit one."""
    frozen: dict[str, list[str]] = json.loads(FROZEN.read_text("utf-8"))
    assert set(frozen) == {event.TOPIC for event in EVENTS}
    for topic, marks in frozen.items():
        form = MAPPER._forms[topic]
        known = {form.codec.fingerprint.hex(), *(prefix[2:].hex() for prefix in form.former)}
        assert set(marks) <= known, f"{topic}: keep the former schema in schemas/store/former/"
        assert form.codec.fingerprint.hex() == marks[-1], f"{topic}: append the new fingerprint"


# -- bytes ----------------------------------------------------------------------------------------

octets = st.binary(max_size=300)
hashes = st.binary(min_size=32, max_size=32)
times = st.datetimes(
    min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)
)
longs = st.integers(min_value=-(2**63), max_value=2**63 - 1)
texts = st.text(st.characters(exclude_categories=("Cs",)), max_size=100)


@given(
    timestamp=times,
    occurred_at=times,
    index=longs,
    event_type=texts,
    header=octets,
    path=st.lists(hashes, max_size=20),
    compartments=st.lists(st.builds(SealedCompartment, texts, longs, octets), max_size=5),
    categories=st.lists(texts, max_size=3),
)
def test_state_is_what_fastavro_writes(**values: Any) -> None:
    for name in ("path", "compartments", "categories"):
        values[name] = tuple(values[name])
    event = replace(accepted("case", 1), **values)
    expected = io.BytesIO()
    fastavro.schemaless_writer(expected, schema(EventAccepted.TOPIC), as_record(event), strict=True)
    row = MAPPER.to_stored_event(event)
    assert row.state[PREFIX:] == expected.getvalue()
    assert MAPPER.event(row) == event


@pytest.mark.parametrize("event", one_of_each(), ids=lambda event: str(event.originator_version))
def test_every_class_is_written_as_fastavro_writes_it(event: Any) -> None:
    expected = io.BytesIO()
    fastavro.schemaless_writer(expected, schema(event.TOPIC), as_record(event), strict=True)
    assert MAPPER.to_stored_event(event).state[PREFIX:] == expected.getvalue()


@pytest.mark.parametrize(
    "change",
    [
        {"timestamp": datetime(2026, 11, 24)},
        {"occurred_at": datetime(2026, 11, 24)},
        {"signature": bytes(63)},
        {"signature": "text"},
        {"path": (bytes(31), bytes(33))},
        {"path": (bytes(32), "x" * 32)},
        {"index": True},
        {"index": 1.5},
        {"index": 2**63},
        {"facts": "text"},
        {"role": b"bytes"},
        {"role": None},
        {"role": "\ud800"},
        {"event_id": None},
    ],
)
def test_a_value_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError, AttributeError)):
        MAPPER.to_stored_event(replace(accepted("case", 1), **change))


def test_an_unknown_symbol_is_refused() -> None:
    with pytest.raises(KeyError):
        MAPPER.to_stored_event(replace(sending("case", 1), kind="other"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "field",
    [
        {"type": "long", "logicalType": "timestamp-millis"},
        {"type": "bytes", "logicalType": "decimal", "precision": 4},
        ["string", {"type": "enum", "name": "E", "symbols": ["a"]}],
        "float",
    ],
)
def test_a_schema_the_writer_does_not_know_is_refused_when_made(field: Any) -> None:
    record = {
        "type": "record",
        "name": "R",
        "fields": [{"name": "a", "type": "long"}, {"name": "b", "type": field}],
    }
    with pytest.raises(UnsupportedSchema):
        writer(record, b"")


# -- rows that are not ours -----------------------------------------------------------------------


def test_a_topic_that_names_a_module_is_never_imported() -> None:
    row = MAPPER.to_stored_event(sending("case", 1))
    for topic in ("os:system", "hub.store.events:Sending", "nrm.Case.Unknown", ""):
        with pytest.raises(StoreCorrupt):
            MAPPER.event(StoredEvent(row.originator_id, 1, topic, row.state))


@pytest.mark.parametrize("damage", ["cut", "longer", "mark", "empty", "other"])
def test_damaged_state_is_reported_with_its_row_and_without_its_content(damage: str) -> None:
    row = MAPPER.to_stored_event(sending("case", 1))
    state = {
        "cut": row.state[:-1],
        "longer": row.state + b"\x00",
        "mark": b"\x00" * PREFIX + row.state[PREFIX:],
        "empty": b"",
        "other": MAPPER.to_stored_event(accepted("case", 1)).state,
    }[damage]
    with pytest.raises(StoreCorrupt) as raised:
        MAPPER.event(StoredEvent(row.originator_id, 1, row.topic, state))
    assert str(row.originator_id) in str(raised.value)
    assert "shelter-1" not in str(raised.value)


def test_a_row_written_with_a_former_schema_is_read_with_todays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A later release adds a field with a default, drops one, widens one: old rows still read."""
    old = schema(Sending.TOPIC)
    old["fields"] = [one for one in old["fields"] if one["name"] != "agency"]
    for one in old["fields"]:
        if one["name"] == "decision":
            one["type"] = "int"
    old["fields"].append({"name": "dropped", "type": "string"})
    new = schema(Sending.TOPIC)
    for one in new["fields"]:
        if one["name"] == "agency":
            one["default"] = "unknown"
    current, former = mapping._texts()
    monkeypatch.setattr(
        mapping, "_texts", lambda: ({**current, Sending.TOPIC: json.dumps(new)}, former)
    )
    event = sending("case", 1)
    record = as_record(event) | {"dropped": "x"}
    del record["agency"]
    out = io.BytesIO()
    fastavro.schemaless_writer(out, old, record)
    mark = fastavro.schema.fingerprint(
        fastavro.schema.to_parsing_canonical_form(old), "CRC-64-AVRO"
    )
    state = MAGIC + bytes.fromhex(mark) + out.getvalue()
    row = StoredEvent(event.originator_id, 1, event.TOPIC, state)

    with pytest.raises(StoreCorrupt):
        StoreMapper().event(row)
    read = StoreMapper({Sending.TOPIC: [json.dumps(old)]}).event(row)
    assert read == replace(event, agency="unknown")


# -- leaves ---------------------------------------------------------------------------------------


def test_a_leaf_commits_to_every_part_of_the_row() -> None:
    row = StoredEvent(stream("case"), 1, "nrm.T", b"state")
    others = [
        replace(row, originator_id=stream("other")),
        replace(row, originator_version=2),
        replace(row, topic="nrm.U"),
        replace(row, state=b"statf"),
        StoredEvent(stream("case"), 1, "nrm.Ts", b"tate"),
    ]
    entries = {leaf_entry(one) for one in (row, *others)}
    assert len(entries) == 6
    assert all(len(entry) == 33 and entry[0] == 1 for entry in entries)


def test_times_are_written_exactly() -> None:
    for seconds in (0, -(2.0**31), 0.000001, 4e9, -2e9, -1.8e9):
        event = replace(sending("case", 1), timestamp=at(seconds))
        assert MAPPER.event(MAPPER.to_stored_event(event)).timestamp == at(seconds)
