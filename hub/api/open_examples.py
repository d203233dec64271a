"""The calls that nobody signs, described: schemas, log, health; with an example of each answer."""

from __future__ import annotations

from typing import Any, Final

from hub.api.describing import call, json_call
from schemas import wire

_LOG_PROBLEMS: Final = ("not_found", "too_many_requests", "busy", "stopped", "failed")

HUB: Final = json_call(
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
SCHEMAS: Final = json_call(
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
SCHEMA: Final = call(
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
    return call(
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
ALIVE: Final = json_call(
    {
        200: {
            "description": "The process answers.",
            "content": {"application/json": {"example": {"alive": True}}},
        }
    },
    "too_many_requests",
)
READY: Final = call(
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
METRICS: Final = call(
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
CHECKPOINT: Final = call(
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
TILE: Final = call(
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
