"""Timers: what is due is done once, whenever the clock gets there.

Each step catches the work list up with the log and asks its table, which survives a restart, what
has to be looked at by now: so a clock that jumped, or a hub that was down, finds everything that
fell due meanwhile, in its order. Where the catalogue has an event for it the hub states it through
its own desk; that event is the record that the timer fired. Everywhere else `nrm.Work.Fired` is.
Either is recorded only if the case has not moved since it was looked at, in one transaction, so a
renewed consent never expires and nothing fires twice, in this process or another.

While the clock is not trusted (hub/clock.py) nothing fires: an expiry cannot be taken back. The
release decision does not wait for timers: what has expired is withheld from the instant it has.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal
from uuid import UUID

from consumers.own_desk import OwnDesk
from consumers.raising import raise_item
from consumers.work import WorkList
from hub import crash
from hub.domain import timers as timing
from hub.domain.agenda.fires import own_events
from hub.domain.agenda.person import COMING_OF_AGE, comes_of_age, may_know_month
from hub.domain.timers import end_of, start_of
from hub.domain.work import WAITING, WorkItem
from hub.exchange import Exchange, Overtaken
from hub.recording.draft import Draft, stream_id
from hub.store import events as stored

LIMIT: Final = 100  # items looked at in one step
LOOKED_AT: Final = 50  # birthdays looked at in one step


@dataclass(frozen=True, slots=True)
class _Firing:
    """What is to be recorded about one item. due, refused: as in the row."""

    item: WorkItem
    phase: Literal["opens", "due"]
    at: datetime
    due: datetime | None = None
    refused: str | None = None


class Timers:
    """Fires what is due for one hub. For one thread."""

    def __init__(self, exchange: Exchange, work: WorkList, desk: OwnDesk) -> None:
        self._exchange = exchange
        self._work = work
        self._desk = desk
        self._month: tuple[int, int] | None = None
        self._ages: deque[UUID] = deque()
        self._called: set[str] = set()  # periods whose statistics were called for

    def step(self) -> int:
        """Follow the log and fire what is due; 0 when there was nothing to do."""
        done = 0
        while followed := self._work.step():
            done += followed
        now = self._exchange.clock.now()
        if not self._exchange.clock.trusted:
            return done
        due = self._exchange.log.work.wake(now, LIMIT)
        done += self._fire(due, now)
        done += self._look_at_ages(now)
        return done + self._call_for_statistics(now)

    # -- what fell due -------------------------------------------------------------------------

    def _fire(self, due: Sequence[WorkItem], now: datetime) -> int:
        """State the hub's own events one by one; record all else together."""
        fired, plain = 0, []
        for item in due:
            opening = item.state == WAITING
            if opening or item.case_id is None:
                plain.append(self._fired(item, opening))
                continue
            case = self._work.case(item.case_id)
            events = own_events(item, case, now)
            if not events or (item.kind == "retention_due" and self._still_kept(item)):
                plain.append(self._fired(item, opening))
                continue
            assert item.due is not None
            try:
                outcomes = self._desk.publish(
                    case,
                    events,
                    item=item.item,
                    at=max(item.due, item.since),  # nothing lapses before it was said
                    seen=self._work.position,
                )
            except Overtaken:
                continue  # looked at again once the case was followed
            crash.point("after_own_event")
            fired += 1
            refusal = next((one.refusal for one in outcomes if one.refusal is not None), None)
            if refusal is not None:
                self._record([self._fired(item, opening, refusal.reason)])
        return fired + self._record(plain)

    @staticmethod
    def _fired(item: WorkItem, opening: bool, refused: str | None = None) -> _Firing:
        at = item.opens if opening else item.due
        assert at is not None
        return _Firing(item, "opens" if opening else "due", at, None, refused)

    def _record(self, firings: Sequence[_Firing]) -> int:
        if not firings:
            return 0
        seen = self._work.position

        def work(draft: Draft) -> int:
            return sum(self._draft(draft, firing, seen) for firing in firings)

        recorded = self._exchange.commit(work)
        crash.point("after_fired")
        return recorded

    def _draft(self, draft: Draft, firing: _Firing, seen: int) -> int:
        """One row, unless the case moved on, or another process recorded it."""
        item = firing.item
        if (
            firing.refused is None
            and item.case_id is not None
            and self._exchange.moved(item.case_id, seen)
        ):
            return 0
        stream = stream_id("work", item.item.hex)
        for one in self._exchange.log.stream(stream):
            row = one.event
            if isinstance(row, stored.WorkFired) and (row.phase, row.at) == (
                firing.phase,
                firing.at,
            ):
                return 0
        draft.add(
            stored.WorkFired(
                originator_id=stream,
                originator_version=self._exchange.version_of(draft, stream) + 1,
                timestamp=draft.now,
                item=item.item.bytes,
                phase=firing.phase,
                at=firing.at,
                due=firing.due,
                refused=firing.refused,
            )
        )
        return 1

    def _still_kept(self, item: WorkItem) -> bool:
        """T15: an erasure takes the person's every case, so another one that is open, or is kept
        for longer, leaves the question to the data controller."""
        assert item.case_id is not None
        assert item.subject is not None
        rows = self._exchange.log.work
        return rows.other_open_case(item.subject, item.case_id) or any(
            one.kind == "retention_due" and one.state == WAITING and one.case_id != item.case_id
            for one in rows.of_subject(item.subject)
        )

    # -- T07 -----------------------------------------------------------------------------------

    def _look_at_ages(self, now: datetime) -> int:
        """Once a month at everyone treated as a child, and at once where an age was stated."""
        month = (now.year, now.month)
        if month != self._month:
            self._month = month
            waiting = self._exchange.log.work.standing(
                kind=COMING_OF_AGE, states=(WAITING,), limit=1_000_000
            )
            self._ages.extend(one.case_id for one in waiting if one.case_id is not None)
        self._ages.extend(self._work.aged)
        self._work.aged.clear()
        firings = []
        for _ in range(min(LOOKED_AT, len(self._ages))):
            firings += self._near(self._ages.popleft(), now)
        return self._record(firings) + len(self._ages)

    def _near(self, case_id: UUID, now: datetime) -> list[_Firing]:
        items = [
            one
            for one in self._exchange.log.work.of_case(case_id)
            if one.kind == COMING_OF_AGE and one.state == WAITING
        ]
        if not items:
            return []
        profile, case = self._exchange.policy(), self._work.case(case_id)
        born = case.age.born(profile.enforcement_roles)
        if born is None:
            return []
        notice = timing.days(profile.timers, "T07_notice_days", case.jurisdiction, now.date())
        month = comes_of_age(born, now.date(), notice)
        if month is None:
            return []
        return [
            _Firing(
                one,
                "opens",
                start_of(now.date().replace(day=1)),
                start_of(month) if may_know_month(case, one.agency) else None,
            )
            for one in items
        ]

    # -- T17 -----------------------------------------------------------------------------------

    def _call_for_statistics(self, now: datetime) -> int:
        """One item for each quarter and year that ended since this hub began."""
        called = 0
        for period, last in ended_periods(now.date()):
            if period in self._called:
                continue
            first = self._exchange.log.read(0, 1)
            if first and first[0].event.timestamp < end_of(last):
                within = timing.days(
                    self._exchange.policy().timers, "T17_statistics_days", "", last
                )
                called += raise_item(
                    self._exchange,
                    "statistics_due",
                    period,
                    due=end_of(last + timedelta(days=within)),
                )
            self._called.add(period)
        return called


def ended_periods(today: date) -> list[tuple[str, date]]:
    """The last quarter and the last year that have ended, each with its last day."""
    quarter = (today.month - 1) // 3  # quarters of this year that have ended
    year, number = (today.year, quarter) if quarter else (today.year - 1, 4)
    first_after = date(year + number // 4, number % 4 * 3 + 1, 1)
    return [
        (f"{year}-Q{number}", first_after - timedelta(days=1)),
        (f"{today.year - 1}", date(today.year - 1, 12, 31)),
    ]
