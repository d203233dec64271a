"""The hub as a schema registry: a stock client's requests, and nothing beyond them."""

from __future__ import annotations

from typing import Any

from confluent_kafka.schema_registry import SchemaRegistryClient

from hub.api.limits import Limits, Rate
from schemas.confluent import CONTENT_TYPE, LONGEST_BODY
from schemas.partner import PartnerSchemas
from schemas.registry import Schemas
from tests.api.conftest import Api

OPENED = PartnerSchemas(Schemas.load()).current("CaseOpened")


def test_confluents_client(api: Api) -> None:
    client = SchemaRegistryClient({"url": f"{api.server.url}/schema-registry"})
    assert client.get_schema(OPENED.id).schema_str == OPENED.text
    assert client.get_latest_version("nrm.partner.CaseOpened").schema_id == OPENED.id
    assert client.get_latest_version("ours.case_opened-value").schema_id == OPENED.id


def test_media_type_and_errors_are_confluents(api: Api) -> None:
    answer = api.client.get("/schema-registry/schemas/ids/1")
    assert (answer.status_code, answer.json()["error_code"]) == (404, 40403)
    assert answer.headers["content-type"] == CONTENT_TYPE
    assert api.client.put("/schema-registry/config", json={}).status_code == 405


def test_bodies_are_bounded(api: Api) -> None:
    path = "/schema-registry/subjects/nrm.partner.CaseOpened"
    assert api.client.post(path, content=b"x" * (LONGEST_BODY + 1)).status_code == 413
    assert api.client.post(path, json={"schema": OPENED.text}).json()["id"] == OPENED.id


def test_one_address_has_an_allowance(serve: Any) -> None:
    limited = serve(Limits(public=Rate(0.01, 2)))
    asked = [limited.client.get("/schema-registry/mode").status_code for _ in range(4)]
    assert asked == [200, 200, 429, 429]
