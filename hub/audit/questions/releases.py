"""Releases: each at the moment it was decided and sent, and whether anything covered it then.

The check joins consents' spans and break-glass windows itself; it asks no rule of the release
decision. It cannot know what the profile would have given, only whether what is on record could
rest on what is on record.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from hub.audit.questions.asking import Asked
from hub.audit.questions.sharing import rows_of
from hub.audit.questions.timeline import Span, Timeline
from hub.domain.dates import instant
from hub.domain.reasons import BASES
from hub.domain.settlement import Released, Settlement
from hub.domain.window import Window
from hub.store import events as stored
from hub.store.events import StoreEvent
from hub.store.log import Recorded

CONSENT: Final = "consent:"
STATUTORY: Final = frozenset(BASES) - {"consent"}
_ROWS: Final = (stored.EventAccepted, stored.Settled, stored.Sending)


@dataclass(slots=True)
class CaseFile:
    """What the check keeps of one case: consents, break-glass windows."""

    timeline: Timeline = field(default_factory=Timeline)
    windows: dict[str, Window] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)  # by event id

    def take(self, position: int, row: stored.EventAccepted) -> list[Span]:
        """One event; returns the consent spans it ends."""
        event_id = str(UUID(bytes=row.event_id))
        self.positions[event_id] = position
        facts = json.loads(row.facts)
        if row.event_type == "BreakGlassInvoked":
            self.windows[event_id] = Window.of(
                event_id,
                row.emitter,
                row.timestamp,
                instant(facts.get("expires_at")),
                frozenset(facts.get("requested_categories") or ()),
            )
        return self.timeline.take(row.event_type, position, facts)


@dataclass(frozen=True, slots=True)
class Release:
    """One item at the moment it was decided, or sent. child: as recorded with the decision."""

    agency: str
    category: str
    basis: str
    event: int
    type: str
    at: int
    when: datetime
    child: bool | None = None

    def covered_by(self, case: CaseFile) -> tuple[bool, str]:
        """(whether it was covered at that moment, by what or why not)."""
        if self.basis.startswith(CONSENT):
            return self._by_consent(case)
        if self.basis not in STATUTORY:
            return False, "no statutory basis of this name"
        if self.basis == "vital_interests" and not self._window(case):
            return False, "no break-glass window was open for it"
        if self.basis == "legal_obligation" and self.type != "DutyNotificationSubmitted":
            return False, "no duty to notify: the event is no notification"
        if self.basis == "safeguarding" and self.child is False:
            return False, "recorded as an adult"
        return True, f"named basis: {self.basis}"

    def _by_consent(self, case: CaseFile) -> tuple[bool, str]:
        name = self.basis.removeprefix(CONSENT)
        # A link's own consent message rests on the pair for linkage (docs/release.md 4.9).
        linked = self.type == "CaseLinkDecided" and self.category == "consent"
        span = case.timeline.covering(
            name,
            self.agency,
            "linkage" if linked else self.category,
            self.event,
            self.at,
            self.when.date(),
        )
        if span is None:
            return False, f"consent {name} did not cover it then"
        until = case.timeline.valid_until(name)
        return True, f"consent {name}, pair given at {span.start}, valid until {until}"

    def _window(self, case: CaseFile) -> bool:
        return any(
            one.agency == self.agency and self.category in one.requested and one.open(self.when)
            for one in case.windows.values()
        )


class Joined:
    """The walk: every release with the case file as it stood at that moment."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self.files: dict[UUID, CaseFile] = {}
        self.types: dict[int, str] = {}

    def rows(self, *more: type[StoreEvent]) -> Iterator[Recorded]:
        """Rows in log order; of one case with its deliveries, or of all."""
        case = self._asked.case
        if case is None:
            return self._asked.walk(*_ROWS, *more)
        return rows_of(self._asked, case)

    def file(self, case_id: UUID) -> CaseFile:
        return self.files.setdefault(case_id, CaseFile())

    def accept(self, position: int, row: stored.EventAccepted) -> list[Span]:
        self.types[position] = row.event_type
        return self.file(row.originator_id).take(position, row)

    def releases(self, one: Recorded) -> Iterator[tuple[UUID, Release]]:
        """Of a decision or a delivery: (case, release)."""
        event = one.event
        if isinstance(event, stored.Settled):
            for release in self._decided(event):
                yield event.originator_id, release
        elif isinstance(event, stored.Sending) and event.kind == "release":
            for category, basis in json.loads(event.items)["bases"].items():
                yield (
                    UUID(bytes=event.case_id),
                    Release(
                        event.agency,
                        category,
                        basis,
                        event.event_position,
                        self.types.get(event.event_position, ""),
                        one.position,
                        event.timestamp,
                    ),
                )

    def _decided(self, row: stored.Settled) -> Iterator[Release]:
        settlement = Settlement.from_record(json.loads(row.settlement))
        child = settlement.age.in_procedure

        def release(agency: str, category: str, basis: str, event: int) -> Release:
            type_ = self.types.get(event, "")
            return Release(
                agency, category, basis, event, type_, row.position, row.timestamp, child
            )

        for agency, outcomes in settlement.decided.items():
            for category, outcome in outcomes.items():
                if isinstance(outcome, Released):
                    yield release(agency, category, outcome.basis, row.position)
        positions = self.file(row.originator_id).positions
        for later in (settlement.backfill, settlement.rebased):
            for agency, events in later.items():
                for event_id, bases in events.items():
                    for category, basis in bases.items():
                        yield release(agency, category, basis, positions.get(event_id, 0))
