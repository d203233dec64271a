"""The OpenAPI document: current, complete, with an example for everything."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from hub.api.openapi import document
from hub.api.problems import KINDS
from tests.api.conftest import Api

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def made() -> dict[str, Any]:
    return document()


def operations(made: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in made["paths"].items()
        for method, operation in methods.items()
    ]


def test_the_document_in_docs_is_current(made: dict[str, Any]) -> None:
    written = json.loads((DOCS / "openapi.json").read_text("utf-8"))
    assert written == made, "write it anew: python -m hub.api.openapi > docs/openapi.json"


def test_the_server_serves_that_document(api: Api, made: dict[str, Any]) -> None:
    assert api.client.get("/openapi.json").json() == made


def test_every_answer_and_body_has_an_example(made: dict[str, Any]) -> None:
    for method, path, operation in operations(made):
        places = [*operation["responses"].values(), operation.get("requestBody", {})]
        for place in places:
            for media, content in place.get("content", {}).items():
                assert "example" in content or content.get("examples"), (method, path, media)


def test_every_operation_is_described_and_no_default_422_is_left(made: dict[str, Any]) -> None:
    for method, path, operation in operations(made):
        assert operation["description"], (method, path)
        for status, answer in operation["responses"].items():
            assert answer["description"] not in ("", "Successful Response"), (path, status)
    assert "HTTPValidationError" not in json.dumps(made)


def test_signed_calls_say_so(made: dict[str, Any]) -> None:
    signed = {path for _, path, op in operations(made) if "security" in op}
    assert signed == {
        "/v1/submissions",
        "/v1/outcomes/{event_id}",
        "/v1/deliveries",
        "/v1/receipts",
        "/v1/registry",
        "/v1/work",
        "/v1/preview",
        "/v1/work/{item}",
    }


def test_every_problem_is_documented() -> None:
    text = (DOCS / "api.md").read_text("utf-8")
    for code, kind in KINDS.items():
        assert re.search(rf"\| {kind.status} \| `{code}` \|", text), code


def test_every_metric_is_documented(api: Api) -> None:
    text = (DOCS / "api.md").read_text("utf-8")
    api.call("GET", "/v1/registry")
    scraped = api.client.get("/metrics").text
    for name in re.findall(r"^# TYPE (\S+)", scraped, re.MULTILINE):
        if not name.endswith("_created"):
            assert f"`{name}`" in text, name


def test_the_page_needs_no_script_and_nothing_from_elsewhere(api: Api) -> None:
    answer = api.client.get("/docs")
    assert answer.status_code == 200
    assert "<script" not in answer.text
    assert not re.search(r"(src|href)=.?https?:", answer.text)
    assert "'sha256-" in answer.headers["content-security-policy"]
    for code in KINDS:
        assert code in answer.text
    for path in ("/v1/submissions", "/v1/deliveries", "/metrics"):
        assert path in answer.text
