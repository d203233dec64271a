"""Rows about a person's own requests: erased, and handed out. No content."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self
from uuid import UUID

from hub.store.events.event import StoreEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectShredded(StoreEvent):
    """A person's secret was destroyed; their sealed content can no longer be read."""

    TOPIC = "nrm.Subject.Shredded"

    subject_id: bytes
    by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectExported(StoreEvent):
    """What the hub holds about a person was opened and handed out, for a request granted."""

    TOPIC = "nrm.Subject.Exported"

    subject_id: bytes
    case_id: bytes
    request: str
    digest: bytes
    left_out: tuple[str, ...]
    by: str = ""

    @classmethod
    def restore(cls, stream: UUID, version: int, record: dict[str, Any]) -> Self:
        record["left_out"] = tuple(record["left_out"])
        return cls(originator_id=stream, originator_version=version, **record)
