"""The source runner: rows of a source to the hub, and the hub's answers back to the source.

    read → event id → check → send → the hub's signed outcome → written back → read …

Promises
- A row is done only after the hub's signed outcome is written back. Killed at any point, the next
  run reads the same rows, makes the same events of them under the same ids, and gets the same
  outcomes: nothing is lost, nothing stands twice.
- While hub or source are away it waits, with growing pauses and an alarm; no row is refused for it.
  So it is while the hub takes nothing of this agency (an expired key, for example): such an
  answer binds nobody and says nothing about the rows.
- A row that is refused is written back with its reason and never blocks rows of other cases.
- Logs, alarms and outcomes name rows, fields and reasons, never what a row says.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from connectors import crash
from connectors.agency.identity import AgencyIdentity
from connectors.agency.outcomes import Outcome
from connectors.errors import InvalidEventError, RetryError, TransportDownError
from connectors.source import (
    SCHEMA_REASONS,
    RowOutcome,
    Source,
    SourceRow,
    event_id_of,
    one_per_case,
    tellable,
)
from connectors.submit import Event, Publisher

log = logging.getLogger(__name__)

ALARMS: Final = {
    "hub_unreachable": "the hub does not answer; rows wait",
    "source_down": "the agency's own system does not answer; rows wait",
    "agency_refused": "the hub takes nothing from this agency for now; rows wait",
    "log_kept": "the agency's database keeps much of its log for this source; it fills the disk",
}
_OF_THE_SOURCE: Final = ("log_kept",)
_OF_THE_AGENCY: Final = 3  # refusals up to this admission step are about the sender, not the row
_OF_THE_ROW: Final = ("too_large",)
_CHANGED: Final = "the row was changed after it was sent once: state what changed in a new row"
# By the part of the event at fault, where no schema says it.
_NO_EVENT: Final = {
    "type": ("unknown_type", "there is no such event type: docs/events.md lists them"),
    "subject": ("missing_field", "beside a case_ref of the hub give its subject_ref"),
    "case or subject": ("row_unreadable", "the reference of case or subject is no proper text"),
    "occurred_at": ("instant_without_zone", "give the time with its offset, e.g. +01:00"),
    "corrects_type": ("missing_field", "say the type of the event that is corrected"),
    "field": ("unknown_field", "the corrected event type has no such field: docs/events.md"),
}


@dataclass(frozen=True, slots=True)
class SourcePace:
    """How much at once, and how long to wait. Seconds."""

    rows: int = 200
    poll: float = 1.0
    pause_first: float = 0.2
    pause_most: float = 60.0


@dataclass(frozen=True, slots=True)
class SourceProgress:
    """What one round did."""

    accepted: int = 0
    refused: int = 0
    waiting: bool = False

    @property
    def idle(self) -> bool:
        return not (self.accepted or self.refused or self.waiting)


class SourceRunner:
    """Drives one source. Two at once do no harm: both state the same events."""

    def __init__(
        self,
        source: Source,
        identity: AgencyIdentity,
        publisher: Publisher,
        *,
        pace: SourcePace | None = None,
        on_alarm: Callable[[str, str, bool], None] = lambda *_: None,
    ) -> None:
        """on_alarm(reason, detail, raised): once when an alarm begins and once when it is over."""
        self._source = source
        self._identity = identity
        self._publisher = publisher
        self._pace = pace or SourcePace()
        self._on_alarm = on_alarm
        self.alarms: dict[str, str] = {}

    def run(self, stop: threading.Event) -> None:
        """Until told to stop. Raises StopError where an operator has to act."""
        pause = self._pace.pause_first
        prepared = False
        while not stop.is_set():
            try:
                if not prepared:
                    self._source.prepare()
                    prepared = True
                progress = self.run_once()
            except RetryError as down:
                self._raise("source_down", str(down))
                progress = SourceProgress(waiting=True)
            else:
                self._over("source_down")
            if progress.waiting:
                stop.wait(pause)
                pause = min(pause * 2, self._pace.pause_most)
                continue
            pause = self._pace.pause_first
            if progress.idle:
                stop.wait(self._pace.poll)

    def run_once(self) -> SourceProgress:
        """One batch. SourceDownError if the source is away; a hub that is away is `waiting`."""
        rows = self._source.read(self._pace.rows)
        crash.point("source_after_read")
        self._source_alarms()
        if not rows:
            return SourceProgress()
        if self._source.holds_cases:
            rows = one_per_case(rows)
        outcomes, waiting = self._stated(rows)
        if outcomes:
            self._source.answered(outcomes)
            crash.point("source_after_mark")
        for one in outcomes:
            if one.state == "refused":
                log.warning("%s refused: %s %s", one.place, one.reason, one.field)
        accepted = sum(one.state == "accepted" for one in outcomes)
        log.info("%d accepted, %d refused", accepted, len(outcomes) - accepted)
        return SourceProgress(accepted, len(outcomes) - accepted, waiting)

    def _stated(self, rows: Sequence[SourceRow]) -> tuple[list[RowOutcome], bool]:
        """What became of these rows, and whether any has to wait for the hub."""
        outcomes, events = self._events(rows)
        while events:
            crash.point("source_before_send")
            try:
                answers = self._publisher.publish([event for _, event in events])
            except InvalidEventError as wrong:  # all are checked before the first is sent
                row, _ = events.pop(wrong.index)
                outcomes.append(_invalid(row, wrong))
                continue
            except TransportDownError as down:
                self._raise("hub_unreachable", str(down))
                return outcomes, True
            crash.point("source_after_answer")
            self._over("hub_unreachable")
            self._agency_alarm(answers)
            told = [
                _outcome(row, event, answer)
                for (row, event), answer in zip(events, answers, strict=True)
                if not _about_the_agency(answer)
            ]
            return outcomes + told, len(told) < len(answers)
        return outcomes, False

    def _events(
        self, rows: Sequence[SourceRow]
    ) -> tuple[list[RowOutcome], list[tuple[SourceRow, Event]]]:
        """Rows that are no event, answered; the others with their events for good."""
        refused: list[RowOutcome] = []
        events: dict[UUID, tuple[SourceRow, Event]] = {}
        for row in rows:
            if row.fault is not None:
                refused.append(
                    RowOutcome(
                        row.key, row.place, "refused", row.attempt, step=0,
                        reason=row.fault.reason, field=row.fault.field, fix=row.fault.fix,
                    )
                )  # fmt: skip
                continue
            assert row.event is not None
            event_id = event_id_of(self._identity.salt_secret, self._source.name, row)
            # Two rows that say they are one event go in two rounds: the second gets its answer.
            events.setdefault(event_id, (row, replace(row.event, event_id=event_id)))
        return refused, list(events.values())

    def _source_alarms(self) -> None:
        """What the source tells of itself, if it tells anything."""
        told: Mapping[str, str] = getattr(self._source, "alarms", dict)()
        for reason in _OF_THE_SOURCE:
            if reason in told:
                self._raise(reason, told[reason])
            else:
                self._over(reason)

    def _agency_alarm(self, answers: Sequence[Outcome]) -> None:
        for answer in answers:
            if _about_the_agency(answer):
                self._raise("agency_refused", f"{answer.reason}: {answer.detail or ''}")
                return
        self._over("agency_refused")

    def _raise(self, reason: str, detail: str) -> None:
        if reason not in self.alarms:
            self._on_alarm(reason, detail, True)
        self.alarms[reason] = detail

    def _over(self, reason: str) -> None:
        detail = self.alarms.pop(reason, None)
        if detail is not None:
            self._on_alarm(reason, detail, False)


def _about_the_agency(answer: Outcome) -> bool:
    return (
        not answer.accepted
        and (answer.step or 0) <= _OF_THE_AGENCY
        and answer.reason not in _OF_THE_ROW
    )


def _outcome(row: SourceRow, event: Event, answer: Outcome) -> RowOutcome:
    fix = answer.detail or ""
    if answer.accepted and answer.in_flight:
        sent = sorted({one.recipient for one in answer.in_flight})
        count = len(answer.in_flight) + answer.in_flight_more
        fix = f"{count} already sent to {', '.join(sent)}: called back; tell the person"
    return RowOutcome(
        key=row.key,
        place=row.place,
        state="accepted" if answer.accepted else "refused",
        attempt=row.attempt,
        event_id=event.event_id,
        position=answer.position,
        recorded_at=answer.recorded_at,
        step=answer.step,
        reason=answer.reason,
        guard=answer.guard,
        fix=_CHANGED if answer.reason == "conflict" else fix,
    )


def _invalid(row: SourceRow, wrong: InvalidEventError) -> RowOutcome:
    """A row whose event does not fit its schema."""
    reason, fix = _NO_EVENT.get(wrong.field, ("", ""))
    if not reason or wrong.reason in SCHEMA_REASONS:
        reason = wrong.reason if wrong.reason in SCHEMA_REASONS else "invalid_event"
        fix = SCHEMA_REASONS.get(reason, "compare the row with its event type in docs/events.md")
    return RowOutcome(
        row.key, row.place, "refused", row.attempt, step=0, reason=reason,
        field=tellable(wrong.field), fix=fix,
    )  # fmt: skip
