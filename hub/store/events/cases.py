"""Rows of a case: what was stated, what followed, what was held back; and what was not admitted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self
from uuid import UUID

from hub.store.events.event import StoreEvent


@dataclass(frozen=True, slots=True)
class SealedCompartment:
    """A compartment as stored: its name, its leaf in the disclosure tree, its ciphertext."""

    name: str
    index: int
    ciphertext: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class EventAccepted(StoreEvent):
    """An event of a case, as admitted. Ids and hashes are raw bytes (16 and 32)."""

    TOPIC = "nrm.Case.EventAccepted"

    event_id: bytes
    event_type: str
    emitter: str
    role: str
    schema_id: bytes
    header: bytes
    head: bytes
    signature: bytes
    index: int
    path: tuple[bytes, ...]
    leaves: tuple[bytes, ...]
    compartments: tuple[SealedCompartment, ...]
    categories: tuple[str, ...]
    facts: bytes
    personal: bytes
    subject_id: bytes
    secret_id: bytes
    occurred_at: datetime
    digest: bytes

    @classmethod
    def restore(cls, stream: UUID, version: int, record: dict[str, Any]) -> Self:
        record["path"] = tuple(record["path"])
        record["leaves"] = tuple(record["leaves"])
        record["categories"] = tuple(record["categories"])
        record["compartments"] = tuple(
            SealedCompartment(one["name"], one["index"], one["ciphertext"])
            for one in record["compartments"]
        )
        return cls(originator_id=stream, originator_version=version, **record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(StoreEvent):
    """What each party was released or refused of one accepted event."""

    TOPIC = "nrm.Case.Settled"

    event_version: int
    position: int
    settlement: bytes
    policy: str
    parties: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldBack(StoreEvent):
    """What had been released and, when it was to be sent, no longer stood or stood differently."""

    TOPIC = "nrm.Case.HeldBack"

    agency: str
    items: bytes
    rebased: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight(StoreEvent):
    """What was being sent, or had been, on a consent when it was withdrawn."""

    TOPIC = "nrm.Case.InFlight"

    position: int
    items: bytes
    told: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused(StoreEvent):
    """A submission, or one event of it, that was not admitted. Holds no content."""

    TOPIC = "nrm.Submission.Refused"

    agency: str
    event_id: bytes | None
    digest: bytes
    step: int
    reason: str
    guard: str | None
    detail: str
