"""Q14: whether a child had a guardian before being assessed and interviewed, and how soon.

A child is a child in procedure, as recorded with each decision: unknown and disputed age count.
Order is by log position; lengths are between the times at which things happened.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from statistics import median
from typing import Final
from uuid import UUID

from hub.audit.questions.answer import Cell, Column, Found, Row, days_between, moment
from hub.audit.questions.asking import AS_OF, CASE, Asked, Question
from hub.store import events as stored

GUARDIAN, ASSESSED, INTERVIEW = "GuardianAppointed", "AgeAssessed", "IndicatorsScreened"


@dataclass(slots=True)
class _Event:
    position: int
    happened: datetime


@dataclass(slots=True)
class _Case:
    """The first of each, from the moment the person was a child in procedure."""

    child: _Event | None = None
    guardian: _Event | None = None
    assessed: _Event | None = None
    interview: _Event | None = None
    last: _Event | None = None  # the event whose decision comes next

    def take(self, kind: str, event: _Event) -> None:
        self.last = event
        if kind == GUARDIAN:
            self.guardian = self.guardian or event
        elif kind == ASSESSED:
            self.assessed = self.assessed or event
        elif kind == INTERVIEW:
            self.interview = self.interview or event


def _guarded(asked: Asked) -> Found:
    cases: dict[UUID, _Case] = {}
    kinds = (stored.EventAccepted, stored.Settled)
    rows = asked.walk(*kinds) if asked.case is None else asked.rows_of(asked.case)
    for one in rows:
        event = one.event
        if isinstance(event, stored.EventAccepted):
            case = cases.setdefault(event.originator_id, _Case())
            case.take(event.event_type, _Event(one.position, event.occurred_at))
        elif isinstance(event, stored.Settled):
            case = cases.setdefault(event.originator_id, _Case())
            if case.child is None and any(json.loads(event.settlement)["age"]):
                case.child = case.last
    found, waits = Found(findings=0), []
    for case_id, case in cases.items():
        if case.child is None:
            continue
        row, wrong, days = _row(asked, case_id, case, case.child)
        found.rows.append(row)
        assert found.findings is not None
        found.findings += wrong
        if days is not None:
            waits.append(days)
    found.summary = {
        "children": len(found.rows),
        "with a guardian": len(waits),
        "median days to a guardian": median(waits) if waits else None,
        "longest": max(waits, default=None),
    }
    found.notes.append(
        "The catalogue has no event for an interview: the first IndicatorsScreened is taken for it."
    )
    return found


def _row(asked: Asked, case_id: UUID, case: _Case, child: _Event) -> tuple[Row, bool, float | None]:
    guardian = case.guardian
    days = None if guardian is None else days_between(child.happened, guardian.happened)
    before = [_before(guardian, one) for one in (case.assessed, case.interview)]
    row: tuple[Cell, ...] = (
        case_id.hex,
        child.position,
        moment(child.happened),
        guardian.position if guardian else None,
        moment(guardian.happened) if guardian else None,
        days,
        None if guardian else days_between(child.happened, asked.now),
        case.assessed.position if case.assessed else None,
        before[0],
        case.interview.position if case.interview else None,
        before[1],
    )
    return row, False in before, days


def _before(guardian: _Event | None, event: _Event | None) -> bool | None:
    """Whether the guardian came first; None where there is nothing to come before."""
    if event is None:
        return None
    return guardian is not None and guardian.position < event.position


Q14: Final = Question(
    "Q14",
    "auditor",
    "Did a child get a guardian before age assessment and interview? How long did it take?",
    (CASE, AS_OF),
    (
        Column("case", "The hub's id of the case."),
        Column("child", "Log position from which the person was a child in procedure."),
        Column("since", "When that happened."),
        Column("guardian", "Log position of the first GuardianAppointed."),
        Column("appointed", "When that happened."),
        Column("days", "Days until then."),
        Column("waiting_days", "Without a guardian: for how many days so far."),
        Column("assessed", "Log position of the first AgeAssessed."),
        Column("before_assessment", "Whether the guardian came first. A `no` is a finding."),
        Column("interview", "Log position of the first IndicatorsScreened."),
        Column("before_interview", "Whether the guardian came first. A `no` is a finding."),
    ),
    _guarded,
    "The order of recorded events, and the age on record with each decision.",
    "Interviews nobody recorded; whether the guardian was present.",
)
