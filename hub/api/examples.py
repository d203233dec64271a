"""The calls that an agency signs, described: what is answered, with an example of it."""

from __future__ import annotations

from typing import Any, Final

from connectors.agency.http import AGAIN, AGAIN_MARK, ANSWERED, HUB_MESSAGES
from hub.api.describing import binary, body, call, json_call, message
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

_SIGNED: Final[dict[str, Any]] = {"security": [{"request token": []}]}

SUBMIT: Final = call(
    {
        200: {
            "description": "Signed outcomes, one per event; or one for a message not readable.",
            "content": message(wire.OUTCOME_BATCH, "OutcomeBatch"),
        }
    },
    *_ANY_SIGNED,
    *_WITH_BODY,
    **body(wire.SEALED_SUBMISSION, "SealedSubmission"),
    **_SIGNED,
)
OUTCOME: Final = call(
    {
        200: {
            "description": "The outcome, alone in an OutcomeBatch.",
            "content": message(wire.OUTCOME_BATCH, "OutcomeBatch"),
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
    AGAIN_MARK: {
        "description": "`again_mark` for the next call; not told before the first order",
        "schema": {"type": "string"},
        "example": "5f1c09a47be20d38",
    },
    ANSWERED: {
        "description": "Last sequence up to which the hub has receipts; told who gave `again`",
        "schema": {"type": "integer"},
        "example": 41,
    },
}
DELIVERIES: Final = call(
    {
        200: {
            "headers": _HOW_FAR,
            "description": "SealedDeliveries, each behind its length as four bytes, big-endian.",
            "content": binary(
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
RECEIPT: Final = call(
    {204: {"description": "Recorded."}},
    *_ANY_SIGNED,
    *_WITH_BODY,
    "receipt_refused",
    **body(wire.SIGNED_RECEIPT, "SignedReceipt"),
    **_SIGNED,
) | {"status_code": 204}
REGISTRY: Final = call(
    {
        200: {
            "description": "SignedRegistry.",
            "content": message(wire.SIGNED_REGISTRY, "SignedRegistry"),
        },
        304: {"description": "As in If-None-Match."},
    },
    *_ANY_SIGNED,
    **_SIGNED,
)
WORK: Final = json_call(
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
CLOSE_WORK: Final = call(
    {204: {"description": "Recorded."}},
    *_ANY_SIGNED,
    "not_found",
    "bad_parameter",
    "work_refused",
    **_SIGNED,
) | {"status_code": 204}
PREVIEW: Final = json_call(
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
PREVIEW["openapi_extra"] = {**body(wire.SEALED_SUBMISSION, "SealedSubmission"), **_SIGNED}
