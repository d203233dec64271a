"""Drafts: what one transaction will record, while it is being put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from uuid import UUID, uuid5

from hub.deliveries import Settlement
from hub.store.events import StoreEvent
from hub.store.log import AdmissionKey

STREAMS = UUID("6f1a3f5e-2f0e-5d6c-9a31-6a5f5a1c0b7e")  # namespace of all stream ids


def stream_id(kind: str, name: str) -> UUID:
    """Identifier of a stream that is not a case: agency, delivery log, receipts, refusals."""
    return uuid5(STREAMS, f"{kind}/{name}")


@lru_cache(maxsize=4096)
def delivery_stream(agency: str) -> UUID:
    """Stream of a recipient's delivery log: its versions are the gapless sequence."""
    return stream_id("deliveries", agency)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A row this process has just recorded, with what followers would have to read back."""

    position: int
    event: StoreEvent
    settlement: Settlement | None = None
    secret: bytes | None = None


@dataclass
class Draft:
    """Events of one transaction. Positions are known before they are stored: the store takes
    the draft only if the log still ends at `head`."""

    now: datetime
    head: int
    events: list[StoreEvent] = field(default_factory=list)
    admissions: list[AdmissionKey] = field(default_factory=list)
    tracking: dict[str, int] = field(default_factory=dict)
    versions: dict[UUID, int] = field(default_factory=dict)
    fresh: list[Fresh] = field(default_factory=list)

    @property
    def next_position(self) -> int:
        return self.head + len(self.events) + 1

    def add(
        self,
        event: StoreEvent,
        settlement: Settlement | None = None,
        secret: bytes | None = None,
    ) -> int:
        """Append one event; returns the log position it will have."""
        position = self.next_position
        self.events.append(event)
        self.versions[event.originator_id] = event.originator_version
        self.fresh.append(Fresh(position, event, settlement, secret))
        return position
