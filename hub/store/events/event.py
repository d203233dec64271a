"""A recorded fact: what every kind of row has. See `hub/store/events` for all kinds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Self
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreEvent:
    """One recorded fact: where it stands in its stream, and when the hub recorded it."""

    TOPIC: ClassVar[str] = ""

    originator_id: UUID
    originator_version: int
    timestamp: datetime

    @classmethod
    def restore(cls, stream: UUID, version: int, record: dict[str, Any]) -> Self:
        """The event whose state, read as Avro, is this record."""
        return cls(originator_id=stream, originator_version=version, **record)
