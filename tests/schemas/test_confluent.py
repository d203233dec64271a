"""The schema registry's answers, as Confluent's documentation and clients have them."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.confluent import Answer, ConfluentRegistry
from schemas.partner import PartnerSchemas
from schemas.registry import Schemas

SCHEMAS = PartnerSchemas(Schemas.load())
REGISTRY = ConfluentRegistry(SCHEMAS, "nrm")
OPENED = SCHEMAS.current("CaseOpened")
NAME = "nrm.partner.CaseOpened"
CONTAINS_ITSELF = {"type": "record", "name": "R", "fields": [{"name": "r", "type": "R"}]}


def get(path: str) -> Answer:
    return REGISTRY.answer("GET", path)


def post(path: str, schema: Any, **query: str) -> Answer:
    return REGISTRY.answer("POST", path, json.dumps({"schema": schema}).encode(), query)


@pytest.mark.parametrize("schema", SCHEMAS.every(), ids=lambda one: one.event_type)
def test_every_schema_by_id_subject_and_text(schema: Any) -> None:
    assert get(f"/schemas/ids/{schema.id}").document == {"schema": schema.text}
    assert get(f"/schemas/ids/{schema.id}/schema").document == json.loads(schema.text)
    places = get(f"/schemas/ids/{schema.id}/versions").document
    assert [one["subject"] for one in places] == get(f"/schemas/ids/{schema.id}/subjects").document
    for place in places:
        subject = place["subject"]
        found = get(f"/subjects/{subject}/versions/{place['version']}").document
        assert found == {**place, "id": schema.id, "schema": schema.text}
        assert post(f"/subjects/{subject}", schema.text).document == found
        assert post(f"/subjects/{subject}/versions", schema.text).document == {"id": schema.id}
        assert post(f"/compatibility/subjects/{subject}/versions", schema.text).document == {
            "is_compatible": True
        }


def test_subjects() -> None:
    named = get("/subjects").document
    assert len(named) == 2 * len(SCHEMAS.types())
    assert {NAME, "nrm.case_opened-value"} <= set(named)
    alone = ConfluentRegistry(SCHEMAS).answer("GET", "/subjects").document
    assert len(alone) == len(SCHEMAS.types())
    assert get("/subjects/any.prefix.case_opened-value/versions").document == [1]
    assert get(f"/schemas/ids/{OPENED.id}/versions").document[0]["version"] == 1


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/subjects/none/versions", 404, 40401),
        ("/subjects/case_opened/versions", 404, 40401),
        ("/config/none", 404, 40401),
        (f"/subjects/{NAME}/versions/2", 404, 40402),
        (f"/subjects/{NAME}/versions/0", 422, 42202),
        (f"/subjects/{NAME}/versions/one", 422, 42202),
        ("/schemas/ids/1", 404, 40403),
        ("/schemas/ids/-1", 404, 40403),
        ("/schemas/ids/99999999999999999999", 404, 40403),
        ("/schemas/ids/x", 404, 40403),
        ("/exporters", 404, 404),
    ],
)
def test_errors(path: str, status: int, code: int) -> None:
    answer = get(path)
    assert (answer.status, answer.document["error_code"]) == (status, code)


def test_configuration_and_mode() -> None:
    for at in ("", f"/{NAME}"):
        assert get(f"/config{at}").document == {"compatibilityLevel": "BACKWARD_TRANSITIVE"}
        assert get(f"/mode{at}").document == {"mode": "READONLY"}
    assert get("/schemas/types").document == ["AVRO"]


def test_nothing_is_registered() -> None:
    other = json.dumps({"type": "record", "name": "x.Y", "fields": []})
    answer = post(f"/subjects/{NAME}/versions", other)
    assert (answer.status, answer.document["error_code"]) == (422, 42205)
    assert post(f"/subjects/{NAME}", other).document["error_code"] == 40403
    assert post("/subjects/none", other).document["error_code"] == 40401
    for method in ("PUT", "DELETE"):
        assert REGISTRY.answer(method, f"/subjects/{NAME}").status == 405


def test_a_reader_asks_whether_it_can_go_on() -> None:
    less = {"type": "record", "name": NAME, "fields": OPENED.document["fields"][:1]}
    path = f"/compatibility/subjects/{NAME}/versions/latest"
    assert post(path, json.dumps(less)).document == {"is_compatible": True}
    needs = {"name": "new", "type": "string"}
    more = json.dumps({**less, "fields": [needs]})
    assert post(path, more).document == {"is_compatible": False}
    assert "new" in post(path, more, verbose="true").document["messages"][0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"x",
        b"[]",
        b'{"schema": 5}',
        b'{"schema": "{}"}',
        b'{"schema": "\\"nosuch\\""}',
        json.dumps({"schema": json.dumps(CONTAINS_ITSELF)}).encode(),
        b'{"schema": "\\"string\\"", "schemaType": "PROTOBUF"}',
        json.dumps({"schema": "[" * 100_000}).encode(),
        json.dumps({"schema": '{"type":' * 5000 + '"int"' + "}" * 5000}).encode(),
    ],
)
def test_what_is_no_schema(body: bytes) -> None:
    answer = REGISTRY.answer("POST", f"/compatibility/subjects/{NAME}/versions/latest", body)
    assert (answer.status, answer.document["error_code"]) == (422, 42201)


@given(st.sampled_from(["GET", "POST", "PUT", "X"]), st.text(max_size=60), st.binary(max_size=80))
def test_there_is_always_an_answer(method: str, path: str, body: bytes) -> None:
    answer = REGISTRY.answer(method, path, body)
    assert answer.status in (200, 404, 405, 413, 422)
    json.loads(answer.body)


def test_half_a_character_in_what_was_asked_is_answered() -> None:
    asked = json.loads(OPENED.text)
    asked["fields"].append({"name": "x\ud800", "type": "string"})
    asked["fields"].append({"name": "y", "type": {"type": "enum", "name": "\ud800", "symbols": []}})
    path = f"/compatibility/subjects/{NAME}/versions/latest"
    for schema in (json.dumps(asked), json.dumps({**asked, "fields": asked["fields"][:-1]})):
        told = post(path, schema, verbose="true")
        assert json.loads(told.body) == told.document
    assert json.loads(post("/subjects/\ud800/versions", OPENED.text).body)["error_code"] == 42205
