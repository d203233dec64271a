"""Break-glass for those who review it: every invocation, what it opened, what came through it.

Pure; folded from what was recorded, decides nothing. Emergency mode stands beside it: it extends
protections by events of their own (`RecoveryPeriodChanged`, `ConsentAmended`) and opens nothing.

An invocation is never silent: it stands here open until it closes, unreviewed until somebody with
the auditor's role reviews it, and overdue once the time for that has passed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID

from hub.domain.case import CaseEvent
from hub.domain.dates import day, instant
from hub.domain.policy import PolicyProfile
from hub.domain.settlement import Settlement
from hub.domain.window import Window

REVIEW_HOURS = "T10_break_glass_review_hours"
INVOKED, REVIEWED, DECLARED = "BreakGlassInvoked", "BreakGlassReviewed", "EmergencyModeDeclared"
LOUD = frozenset({INVOKED, REVIEWED, DECLARED})
NOT_JUSTIFIED = "not_justified"

Items = dict[str, list[str]]  # event id → categories


@dataclass(slots=True)
class Review:
    """What a review found. person_informed: None where it was recorded without saying."""

    position: int
    at: datetime
    by: str
    outcome: str
    person_informed: bool | None


@dataclass(slots=True)
class Invocation:
    """One `BreakGlassInvoked`: who, why, what it asked for and opened, what came through it.

    opened: of the requested categories those on the role's list. through: what was released
    through this window and sent. recalled: what of it was asked back after review. stays: what of
    it stands on another basis since.
    """

    case_id: UUID
    event_id: str
    position: int
    at: datetime
    agency: str
    role: str
    reason: str
    requested: tuple[str, ...]
    opened: tuple[str, ...]
    asked_until: datetime | None
    closes: datetime
    review_due: datetime
    through: Items = field(default_factory=dict)
    recalled: Items = field(default_factory=dict)
    stays: Items = field(default_factory=dict)
    reviews: list[Review] = field(default_factory=list)

    def open(self, now: datetime) -> bool:
        shut = any(one.outcome == NOT_JUSTIFIED for one in self.reviews)
        return not shut and self.at <= now < self.closes

    def overdue(self, now: datetime) -> bool:
        """Not reviewed, and the time for it has passed."""
        return not self.reviews and now > self.review_due

    @property
    def reviewed_late(self) -> bool:
        return bool(self.reviews) and self.reviews[0].at > self.review_due


class Invocations:
    """All invocations of one case, folded in log order."""

    def __init__(self, case_id: UUID) -> None:
        self._case_id = case_id
        self.by_event: dict[str, Invocation] = {}

    def apply(self, event: CaseEvent, settlement: Settlement, profile: PolicyProfile) -> None:
        """One accepted event with what was decided on it, by the profile it was decided on."""
        if event.type == INVOKED:
            self._invoked(event, profile)
        for (_, about, category), window in settlement.windows.items():
            invocation = self.by_event.get(window)
            if invocation is not None:
                invocation.through.setdefault(about, []).append(category)
        if event.type == REVIEWED:
            self._reviewed(event, settlement)

    def _invoked(self, event: CaseEvent, profile: PolicyProfile) -> None:
        asked_until = instant(event.facts.get("expires_at"))
        requested = frozenset(event.facts.get("requested_categories") or ())
        window = Window.of(event.event_id, event.emitter, event.at, asked_until, requested)
        hours = int(profile.timers.get(REVIEW_HOURS, 72))
        self.by_event[event.event_id] = Invocation(
            case_id=self._case_id,
            event_id=event.event_id,
            position=event.position,
            at=event.at,
            agency=event.emitter,
            role=event.role,
            reason=str(event.facts.get("reason", "")),
            requested=tuple(sorted(requested)),
            opened=tuple(sorted(requested & profile.opens(event.role))),
            asked_until=asked_until,
            closes=window.closes,
            review_due=event.at + timedelta(hours=hours),
        )

    def _reviewed(self, event: CaseEvent, settlement: Settlement) -> None:
        invocation = self.by_event.get(str(event.facts.get("invocation_event_id")))
        if invocation is None:
            return
        informed = event.facts.get("person_informed")
        invocation.reviews.append(
            Review(
                event.position,
                event.at,
                event.emitter,
                str(event.facts.get("outcome")),
                informed if isinstance(informed, bool) else None,
            )
        )
        for recall in settlement.recalls:
            for about, names in recall.items:
                invocation.recalled.setdefault(about, []).extend(names)
        for events in settlement.rebased.values():
            for about, bases in events.items():
                invocation.stays.setdefault(about, []).extend(sorted(bases))

    def hold_back(self, agency: str, items: Mapping[str, Sequence[str]]) -> None:
        """What was decided and not sent after all did not come through."""
        for invocation in self.by_event.values():
            if invocation.agency != agency:
                continue
            for about, names in items.items():
                left = [one for one in invocation.through.get(about, ()) if one not in names]
                if left:
                    invocation.through[about] = left
                else:
                    invocation.through.pop(about, None)


@dataclass(frozen=True, slots=True)
class Declaration:
    """One `EmergencyModeDeclared`: it widens no release."""

    position: int
    at: datetime
    agency: str
    measures: tuple[str, ...]
    ends_on: date | None

    def running(self, now: datetime) -> bool:
        return self.ends_on is None or now.date() <= self.ends_on


@dataclass
class Emergencies:
    """Where in a log to look: cases with invocations, and declarations of emergency mode."""

    cases: dict[UUID, None] = field(default_factory=dict)
    declared: list[Declaration] = field(default_factory=list)

    def note(
        self,
        case_id: UUID,
        position: int,
        event_type: str,
        agency: str,
        at: datetime,
        facts: Mapping[str, Any],
    ) -> None:
        if event_type == INVOKED:
            self.cases[case_id] = None
        elif event_type == DECLARED:
            measures = tuple(facts.get("measures") or ())
            ends_on = day(facts.get("ends_on"))
            self.declared.append(Declaration(position, at, agency, measures, ends_on))
