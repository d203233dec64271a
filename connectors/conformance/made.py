"""Deliveries made up from the shipped schemas, as if verified: nothing here needs a hub."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from connectors.delivery import Arrived, Poison, Recall
from connectors.opening.evidence import Disclosed, statement
from connectors.sink import Batch
from schemas.registry import Schemas

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
CANARY = "CANARY-7f3a"


def released(
    sequence: int,
    event_ref: str,
    event_type: str,
    fields: Mapping[str, Mapping[str, Any]],
    *,
    case_ref: str = "nc-1",
    basis: str = "public_task",
    schemas: Schemas | None = None,
    minutes: int | None = None,
) -> Arrived:
    """A release as the opener hands it over; absent fields of a category are None."""
    schema = (schemas or Schemas.load()).by_type(event_type)
    complete = {
        category: {
            **{field.name: None for field in schema.fields if field.category == category},
            **given,
        }
        for category, given in fields.items()
    }
    text = repr(sorted(fields.items())).encode()
    stated = {"header": b"header", "head": b"head", "signature": bytes(64), "index": 0, "path": b""}
    shown = [Disclosed(category, bytes(16), text, 0, b"") for category in fields]
    return Arrived(
        sequence=sequence,
        kind="release",
        case_ref=case_ref,
        subject_ref=case_ref.replace("nc", "ns"),
        decision=sequence,
        event_ref=event_ref,
        event_type=event_type,
        schema_id=schema.schema_id,
        agency="SH-1",
        occurred_at=NOW + timedelta(minutes=sequence if minutes is None else minutes),
        categories=tuple(sorted(fields)),
        fields=complete,
        bases=dict.fromkeys(fields, basis),
        evidence=statement(stated, shown),
        raw=b"delivery %d" % sequence,
    )


def identity(sequence: int, event_ref: str = "e-1", **data: Any) -> Arrived:
    """IdentityRecorded, category identity, with the canary in it."""
    values = {"given_name": CANARY, "date_of_birth": "2001-02-03", **data}
    return released(sequence, event_ref, "IdentityRecorded", {"identity": values})


def demographics(sequence: int, event_ref: str = "e-1") -> Arrived:
    return released(sequence, event_ref, "IdentityRecorded", {"demographics": {"gender": "f"}})


def opened_case(sequence: int, event_ref: str = "e-0", **data: Any) -> Arrived:
    values = {"jurisdiction": "XX", "channel": "self", "age_status": "adult", **data}
    return released(sequence, event_ref, "CaseOpened", {"case_management": values})


def corrected(sequence: int, of: str, field: str, value: Any, event_ref: str = "e-9") -> Arrived:
    return released(
        sequence,
        event_ref,
        "RecordCorrected",
        {
            "case_management": {"corrects_event": of, "field": field},
            "identity": {"new_value": value},
        },
    )


def recalled(sequence: int, *items: tuple[str, Sequence[str]], action: str = "delete") -> Arrived:
    return Arrived(
        sequence=sequence,
        kind="recall",
        case_ref="nc-1",
        subject_ref="ns-1",
        decision=sequence,
        recall=Recall(
            f"r{sequence}",
            action,
            NOW,
            tuple((ref, tuple(categories)) for ref, categories in items),
        ),
        raw=b"recall",
    )


def batch(*items: Arrived | Poison, cursor: str = "") -> Batch:
    return Batch(items, NOW, cursor)


def poison(sequence: int, event_ref: str = "", raw: bytes = b"raw") -> Poison:
    return Poison(sequence, "bad_agency_signature", "", raw, event_ref)
