"""How each call is described in the OpenAPI document: media types, answers, problems, examples.

Bodies are Avro; their examples are the first bytes in hexadecimal, enough to see the framing
(C3 01, the schema's fingerprint, then the record). Keyword arguments for FastAPI's decorators.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import JSONResponse, Response

from connectors.agency.http import AGAIN, ANSWERED, HUB_MESSAGE, HUB_MESSAGES
from hub.api.models import ProblemDocument
from hub.api.problems import KINDS, PROBLEM_JSON, Problem
from schemas import wire

_AUTHENTICATION: Final = (
    "unauthenticated",
    "token_expired",
    "wrong_audience",
    "wrong_request",
    "revoked_key",
    "replayed",
)
_ANY_SIGNED: Final = (*_AUTHENTICATION, "too_many_requests", "busy", "stopped", "failed")
_WITH_BODY: Final = ("body_too_large", "body_too_slow", "wrong_media_type", "not_yours")

_LOG_PROBLEMS: Final = ("not_found", "too_many_requests", "busy", "stopped", "failed")

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


def _binary(media_type: str, fingerprint: bytes, summary: str, prefix: str = "") -> dict[str, Any]:
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


def _message(codec: Any, summary: str) -> dict[str, Any]:
    return _binary(HUB_MESSAGE, codec.fingerprint, summary)


def _body(codec: Any, summary: str) -> dict[str, Any]:
    return {"requestBody": {"required": True, "content": _message(codec, summary)}}


def _call(answers: dict[int | str, dict[str, Any]], *problems: str, **extra: Any) -> dict[str, Any]:
    """Arguments of a decorator. A plain Response: no media type but those described here."""
    return {
        "responses": {**answers, **_problems(*problems)},
        "response_class": Response,
        "openapi_extra": extra or None,
    }


def _json(answers: dict[int | str, dict[str, Any]], *problems: str) -> dict[str, Any]:
    """The same for a call that answers a model."""
    return {**_call(answers, *problems), "response_class": JSONResponse}


_SIGNED: Final[dict[str, Any]] = {"security": [{"request token": []}]}

SUBMIT: Final = _call(
    {
        200: {
            "description": "Signed outcomes, one per event; or one for a message not readable.",
            "content": _message(wire.OUTCOME_BATCH, "OutcomeBatch"),
        }
    },
    *_ANY_SIGNED,
    *_WITH_BODY,
    **_body(wire.SEALED_SUBMISSION, "SealedSubmission"),
    **_SIGNED,
)
OUTCOME: Final = _call(
    {
        200: {
            "description": "The outcome, alone in an OutcomeBatch.",
            "content": _message(wire.OUTCOME_BATCH, "OutcomeBatch"),
        }
    },
    *_ANY_SIGNED,
    "not_found",
    **_SIGNED,
)
_HOW_FAR: Final = {
    AGAIN: {
        "description": "`again` for the next call, once the messages are applied; told who gave it",
        "schema": {"type": "integer"},
        "example": 3,
    },
    ANSWERED: {
        "description": "Last sequence up to which the hub has receipts; told who gave `again`",
        "schema": {"type": "integer"},
        "example": 41,
    },
}
DELIVERIES: Final = _call(
    {
        200: {
            "headers": _HOW_FAR,
            "description": "SealedDeliveries, each behind its length as four bytes, big-endian.",
            "content": _binary(
                HUB_MESSAGES, wire.SEALED_DELIVERIES.fingerprint, "SealedDeliveries", "00000b12"
            ),
        },
        204: {"description": "Nothing after this sequence within `wait`.", "headers": _HOW_FAR},
    },
    *_ANY_SIGNED,
    "ahead_of_hub",
    "bad_parameter",
    **_SIGNED,
)
RECEIPT: Final = _call(
    {204: {"description": "Recorded."}},
    *_ANY_SIGNED,
    *_WITH_BODY,
    "receipt_refused",
    **_body(wire.SIGNED_RECEIPT, "SignedReceipt"),
    **_SIGNED,
) | {"status_code": 204}
REGISTRY: Final = _call(
    {
        200: {
            "description": "SignedRegistry.",
            "content": _message(wire.SIGNED_REGISTRY, "SignedRegistry"),
        },
        304: {"description": "As in If-None-Match."},
    },
    *_ANY_SIGNED,
    **_SIGNED,
)
WORK: Final = _json(
    {
        200: {
            "description": "Items of the caller, and of its role where it has a part in the case.",
            "content": {
                "application/json": {
                    "example": {
                        "items": [
                            {
                                "item": "nw-5a0c91e2d7b84f13a6c0e1d2f3b4a596",
                                "kind": "referral_unanswered",
                                "says": "A referral waits for an answer.",
                                "urgency": "high",
                                "state": "open",
                                "case_ref": "nc-0d4f61a2b7c84e539a1c2d3e4f506172",
                                "since": "2026-03-02",
                                "due": "2026-03-02T15:00:00+00:00",
                                "detail": {},
                            }
                        ]
                    }
                }
            },
        }
    },
    *_ANY_SIGNED,
    "bad_parameter",
)
WORK["openapi_extra"] = _SIGNED
CLOSE_WORK: Final = _call(
    {204: {"description": "Recorded."}},
    *_ANY_SIGNED,
    "not_found",
    "bad_parameter",
    "work_refused",
    **_SIGNED,
) | {"status_code": 204}
PREVIEW: Final = _json(
    {
        200: {
            "description": "What each agency would be released, or why the event would be refused.",
            "content": {
                "application/json": {
                    "example": {
                        "refused": None,
                        "agencies": [
                            {
                                "agency": "SH-1",
                                "categories": [
                                    {
                                        "category": "contact",
                                        "released": True,
                                        "basis": "consent:c1",
                                        "reason": None,
                                        "says": None,
                                    }
                                ],
                            }
                        ],
                    }
                }
            },
        }
    },
    *_ANY_SIGNED,
    *_WITH_BODY,
    "bad_parameter",
)
PREVIEW["openapi_extra"] = {**_body(wire.SEALED_SUBMISSION, "SealedSubmission"), **_SIGNED}
HUB: Final = _json(
    {
        200: {
            "description": "Identity and public keys.",
            "content": {
                "application/json": {
                    "example": {
                        "hub": "nrm-hub",
                        "fingerprint": "0f3a 91c2 77de 5b04 c8aa 1e6f 9d20 43b7",
                        "signing_keys": [
                            {
                                "key_id": "0f3a91c277de5b04c8aa1e6f9d2043b7",
                                "algorithm": "Ed25519",
                                "public": "d75a98…",
                            }
                        ],
                        "ingest_key": {
                            "key_id": "5be2a0d1f3c44d0f8a76e1209c3b5d18",
                            "algorithm": "HPKE-MLKEM768_X25519-HKDF_SHA256-AES_256_GCM",
                            "public": "41f0c7…",
                        },
                        "log_verifier": "nrm-hub+1a2b3c4d+AdVi…",
                    }
                }
            },
        }
    },
    "too_many_requests",
)
SCHEMAS: Final = _json(
    {
        200: {
            "description": "Names and identifiers.",
            "content": {
                "application/json": {
                    "example": {
                        "events": [
                            {
                                "type": "ReferralMade",
                                "id": "9c1e…",
                                "group": "referral",
                                "emitters": ["any_authorised"],
                                "categories": ["referral"],
                            }
                        ],
                        "messages": [
                            {
                                "name": "SealedSubmission",
                                "fingerprint": wire.SEALED_SUBMISSION.fingerprint.hex(),
                            }
                        ],
                    }
                }
            },
        }
    },
    "too_many_requests",
)
SCHEMA: Final = _call(
    {
        200: {
            "description": "The schema's text.",
            "content": {
                "application/vnd.apache.avro+json": {
                    "schema": {"type": "object"},
                    "example": {"type": "record", "name": "ReferralMade", "fields": []},
                }
            },
        }
    },
    "not_found",
    "too_many_requests",
)
_REGISTRY_TYPE: Final = "application/vnd.schemaregistry.v1+json"


def _registry(description: str, example: Any, body: Any = None) -> dict[str, Any]:
    """A call of the schema registry; its errors are Confluent's and not problems."""
    answers = {
        200: (description, example),
        404: ("Not found.", {"error_code": 40403, "message": "Schema not found"}),
        422: ("Not a schema, not a version, or read-only.",
              {"error_code": 42201, "message": "Invalid schema"}),
    }  # fmt: skip
    content = {_REGISTRY_TYPE: {"schema": {"type": "object"}, "example": body}}
    return _call(
        {
            status: {
                "description": said,
                "content": {_REGISTRY_TYPE: {"schema": {"type": "object"}, "example": shown}},
            }
            for status, (said, shown) in answers.items()
        },
        *(("body_too_large", "body_too_slow", "wrong_media_type") if body else ()),
        *("too_many_requests", "busy", "stopped", "failed"),
        **({"requestBody": {"required": True, "content": content}} if body else {}),
    )


REGISTRY_GET: Final = _registry(
    "The schema, subjects, versions, configuration or mode asked for.",
    {"schema": '{"type":"record","name":"CaseOpened","namespace":"nrm.partner","fields":[]}'},
)
REGISTRY_POST: Final = _registry(
    "The version found, or whether the schema is compatible.",
    {"is_compatible": True},
    {"schema": '{"type":"record","name":"CaseOpened","namespace":"nrm.partner","fields":[]}'},
)
ALIVE: Final = _json(
    {
        200: {
            "description": "The process answers.",
            "content": {"application/json": {"example": {"alive": True}}},
        }
    },
    "too_many_requests",
)
READY: Final = _call(
    {
        200: {
            "description": "It can work.",
            "content": {
                "application/json": {
                    "example": {
                        "ready": True,
                        "store": "ok",
                        "topics": "ok",
                        "loops": "ok",
                        "checkpoint": "ok",
                    }
                }
            },
        },
        503: {
            "description": "It cannot; each part says why in one word.",
            "content": {
                "application/json": {
                    "example": {
                        "ready": False,
                        "store": "ok",
                        "topics": "unavailable",
                        "loops": "ok",
                        "checkpoint": "late",
                    }
                }
            },
        },
    },
    "too_many_requests",
)
METRICS: Final = _call(
    {
        200: {
            "description": "Prometheus text format.",
            "content": {
                "text/plain": {
                    "schema": {"type": "string"},
                    "example": "nrm_events_accepted_total 1024.0\n",
                }
            },
        }
    },
)

_NOTE: Final = (
    "hub.example.org\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n"
    "— hub.example.org Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
    "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
)
_CACHED: Final = {"Cache-Control": {"description": "How long", "schema": {"type": "string"}}}
CHECKPOINT: Final = _call(
    {
        200: {
            "description": "The signed checkpoint (C2SP tlog-checkpoint).",
            "headers": _CACHED,
            "content": {
                "text/plain; charset=utf-8": {
                    "schema": {"type": "string"},
                    "examples": {"checkpoint": {"summary": "A checkpoint", "value": _NOTE}},
                }
            },
        }
    },
    *_LOG_PROBLEMS,
)
TILE: Final = _call(
    {
        200: {
            "description": "A tile, or an entry bundle (C2SP tlog-tiles).",
            "headers": _CACHED,
            "content": {
                "application/octet-stream": {
                    "schema": {"type": "string", "format": "binary"},
                    "examples": {
                        "tile": {
                            "summary": "Up to 256 hashes; the first bytes in hexadecimal",
                            "value": "773885a613489e24ce2cf76199d6a423f042e4bb…",
                        }
                    },
                }
            },
        }
    },
    *_LOG_PROBLEMS,
)
