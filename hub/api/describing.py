"""How a call is described in the OpenAPI document: media types, answers, problems, examples.

Bodies are Avro; their examples are the first bytes in hexadecimal, enough to see the framing
(C3 01, the schema's fingerprint, then the record). Keyword arguments for FastAPI's decorators.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse, Response

from connectors.agency.http import HUB_MESSAGE
from hub.api.models import ProblemDocument
from hub.api.problems import KINDS, PROBLEM_JSON, Problem

PROBLEM_SCHEMA: Final = {"$ref": "#/components/schemas/ProblemDocument"}


def _problems(*codes: str) -> dict[int | str, dict[str, Any]]:
    """One answer per status, an example per code."""
    answers: dict[int | str, dict[str, Any]] = {}
    for code in codes:
        kind = KINDS[code]
        answer = answers.setdefault(
            kind.status,
            {
                "description": kind.title,
                "model": ProblemDocument,
                "content": {PROBLEM_JSON: {"schema": PROBLEM_SCHEMA, "examples": {}}},
            },
        )
        answer["content"][PROBLEM_JSON]["examples"][code] = {
            "summary": kind.title,
            "value": Problem(code).document(),
        }
        if kind.status in (429, 503):
            answer["headers"] = {
                "Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}
            }
    return answers


def binary(media_type: str, fingerprint: bytes, summary: str, prefix: str = "") -> dict[str, Any]:
    """Content in bytes, by its first ones. prefix: hexadecimal, what stands before the framing."""
    return {
        media_type: {
            "schema": {"type": "string", "format": "binary"},
            "examples": {
                "message": {
                    "summary": f"{summary}; the first bytes in hexadecimal",
                    "value": f"{prefix}c301{fingerprint.hex()}…",
                }
            },
        }
    }


def message(codec: Any, summary: str) -> dict[str, Any]:
    """Content that is one Avro message."""
    return binary(HUB_MESSAGE, codec.fingerprint, summary)


def body(codec: Any, summary: str) -> dict[str, Any]:
    """A request's body that is one Avro message."""
    return {"requestBody": {"required": True, "content": message(codec, summary)}}


def call(answers: dict[int | str, dict[str, Any]], *problems: str, **extra: Any) -> dict[str, Any]:
    """Arguments of a decorator. A plain Response: no media type but those described here."""
    return {
        "responses": {**answers, **_problems(*problems)},
        "response_class": Response,
        "openapi_extra": extra or None,
    }


def json_call(answers: dict[int | str, dict[str, Any]], *problems: str) -> dict[str, Any]:
    """The same for a call that answers a model."""
    return {**call(answers, *problems), "response_class": JSONResponse}
