"""The client's ledger: what agencies stated, and every signed answer they were given.

Kept in the memory of the test, outside everything that is killed. It is the truth the hub is held
to: an event is acknowledged if and only if a verified outcome stands here.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from uuid import UUID

from connectors.agency.outcomes import Outcome
from connectors.submit import Event, Publisher
from hub.scenario.story import Scenario, ScriptEvent


@dataclass
class Entry:
    """One event an agency stated. `outcomes`: every answer, in the order they came."""

    agency: str
    event: Event
    header: bytes
    digest: bytes
    outcomes: list[Outcome] = field(default_factory=list)

    @property
    def id(self) -> UUID:
        assert self.event.event_id is not None
        return self.event.event_id

    @property
    def accepted(self) -> bool:
        return bool(self.outcomes) and self.outcomes[0].accepted

    @property
    def position(self) -> int:
        """Where it stands in the hub's log, as the hub signed it."""
        return (self.outcomes[0].position or 0) if self.outcomes else 0


class Ledger:
    """All agencies' books of one town. Any thread."""

    def __init__(self) -> None:
        self._entries: dict[UUID, Entry] = {}
        self._lock = threading.Lock()

    def attempt(self, agency: str, publisher: Publisher, events: Sequence[Event]) -> list[Entry]:
        """Before anything is sent: whatever becomes of it, it was stated."""
        made = publisher._make_all(events)
        entries = []
        for event, one in zip(events, made, strict=True):
            [digest] = publisher.assemble([event]).digests.values()
            entries.append(Entry(agency, event, one.header, digest))
        with self._lock:
            self._entries.update({entry.id: entry for entry in entries})
        return entries

    def told(self, entries: Sequence[Entry], outcomes: Sequence[Outcome]) -> None:
        with self._lock:
            for entry, outcome in zip(entries, outcomes, strict=True):
                assert outcome.event_id == entry.id
                entry.outcomes.append(outcome)

    @property
    def entries(self) -> list[Entry]:
        with self._lock:
            return list(self._entries.values())

    def scenario(self, agencies: dict[str, str]) -> Scenario:
        """What was accepted, in the order of the positions the hub signed."""
        accepted = sorted((e for e in self.entries if e.accepted), key=lambda e: e.position)
        return Scenario(
            "ledger",
            "",
            agencies,
            tuple(
                ScriptEvent(
                    id=str(entry.id),
                    uuid=entry.id,
                    at=_at(entry.event),
                    case=entry.event.case,
                    subject=entry.event.subject or entry.event.case,
                    agency=entry.agency,
                    type=entry.event.type,
                    data=entry.event.data,
                )
                for entry in accepted
            ),
        )


def _at(event: Event):  # type: ignore[no-untyped-def]
    assert event.occurred_at is not None
    return event.occurred_at.astimezone(UTC)
