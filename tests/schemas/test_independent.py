"""Another Avro implementation reads what we write, and we read what it writes."""

from __future__ import annotations

import io
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import avro.io
import avro.schema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.registry import Routing, Schemas
from tests.schemas import outsider
from tests.schemas.strategies import events

SCHEMAS = Schemas.load()


def bare(value: Any) -> Any:
    """A decoded value as it is without logical types."""
    if isinstance(value, datetime):
        return (value - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    if isinstance(value, date):
        return (value - date(1970, 1, 1)).days
    if isinstance(value, Decimal):
        return int(value.scaleb(4)).to_bytes(16, "big", signed=True)
    if isinstance(value, dict):
        return {key: bare(one) for key, one in value.items()}
    return [bare(one) for one in value] if isinstance(value, list) else value


def written(document: Any, value: Any) -> bytes:
    schema = avro.schema.parse(json.dumps(outsider.plain(document)))
    buffer = io.BytesIO()
    avro.io.DatumWriter(schema).write(value, avro.io.BinaryEncoder(buffer))
    return buffer.getvalue()


@pytest.mark.parametrize("event_type", SCHEMAS.types())
@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_apache_avro_agrees(event_type: str, data: st.DataObject) -> None:
    schema = SCHEMAS.by_type(event_type)
    stated = data.draw(events(schema))
    category = data.draw(st.sampled_from(["identity", "case_management"]))
    corrected = category if event_type == "RecordCorrected" else None
    bodies = schema.split(stated, routing=Routing("C-1", "P-1"), corrected_category=corrected)
    again = {"routing": bodies.pop("routing")}
    for name, body in bodies.items():
        record = outsider.derived(json.loads(json.dumps(schema.document)), name)
        theirs = outsider.schemaless(record, body)
        assert theirs == bare(schema.compartments(name).decode(body))
        # That writer takes any number, and even a boolean, for the union's double.
        number = isinstance(theirs.get("new_value"), bool | int | float)
        again[name] = body if number else written(record, theirs)
    assert schema.join(again, whole=True) == stated
