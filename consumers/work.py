"""The work list's follower: log to items, in order, each row once.

Every recorded event is asked for what it puts on the list, moves and settles (`hub/domain/agenda`),
and so are recalls, receipts, refusals and what timers and people recorded about items. Items and
the place in the log change in one transaction. The list rests on the log alone, profile and time
of each event included, so `rebuild` makes the same rows again.

A rule that fails stops nothing: the event is put on the list for the operator to look at.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol
from uuid import UUID

import orjson
import structlog

from consumers.items import Items
from consumers.loose import LOOSE, published
from hub.domain.agenda import Look, follow
from hub.domain.case import Case, CaseEvent
from hub.domain.policy import PolicyProfile
from hub.domain.settlement import Settlement
from hub.domain.work import WorkItem, item_id
from hub.domain.work_kinds import KINDS, OPERATOR
from hub.membership.agencies import Agencies
from hub.recording.accepted import case_event
from hub.recording.cases import fold
from hub.recording.draft import Fresh
from hub.recording.fresh import FreshRows
from hub.store import events as stored
from hub.store.errors import StoreConflict
from hub.store.keystore import KeyStore
from hub.store.log import HubLog, Recorded
from hub.store.work import FOLLOWER, WorkRows

log = structlog.get_logger("hub.work")

BATCH: Final = 1_000  # log rows followed in one transaction
MOST_EVENTS: Final = 50_000  # kept in memory over all cases
AGE_TYPES: Final = frozenset({"CaseOpened", "IdentityRecorded", "RecordCorrected", "AgeAssessed"})
CASE_TYPES: Final = frozenset({"CaseOpened", "CaseClosed", "CaseReopened"})


class Followed(Protocol):
    """What a work list is made of: a hub's exchange, or a log with the register of one position."""

    @property
    def log(self) -> HubLog: ...
    @property
    def secrets(self) -> KeyStore: ...
    @property
    def agencies(self) -> Agencies: ...
    @property
    def position(self) -> int: ...
    def catch_up(self) -> None: ...


class WorkList:
    """Follows the log of one hub. For one thread; other processes may follow too."""

    def __init__(
        self, exchange: Followed, *, rows: WorkRows | None = None, end: int | None = None
    ) -> None:
        """rows: where the list is kept, if not beside the log. end: log position to stop at."""
        self._exchange = exchange
        self._rows = rows or exchange.log.work
        self._end = end
        self.fresh: FreshRows | None = None  # what need not be read back, if it is recorded here
        self._items = Items(self._rows, lambda: exchange.agencies, self._profile_at)
        self._cases: OrderedDict[UUID, Case] = OrderedDict()
        self._events = 0
        self._opened_or_closed: dict[UUID, tuple[UUID, bool]] = {}
        self._accepted: dict[UUID, CaseEvent] = {}
        self._begun: dict[UUID, UUID] = {}  # cases whose first row was just followed → subject
        self._profile: PolicyProfile | None = None
        self.position = self._rows.position()
        self.aged: set[UUID] = set()  # cases in which something about age was said since asked

    def step(self) -> int:
        """Follow some of what is new. Returns the number of log rows followed."""
        rows = self._next()
        if self._end is not None:
            rows = [one for one in rows if one.position <= self._end]
        if not rows:
            if self._rows.position() != self.position:
                self._begin_again()
            return 0
        if rows[-1].position > self._exchange.position:
            self._exchange.catch_up()
        to = rows[-1].position
        try:
            for one in rows:
                self._follow(one)
            self._rows.put(
                self._items.changed.values(), self._opened_or_closed, after=self.position, to=to
            )
        except StoreConflict:  # another process follows, or the list is being made again
            self._begin_again()
            return 1
        except BaseException:
            self._begin_again()
            raise
        self.position = to
        self._items.changed.clear()
        self._opened_or_closed.clear()
        self._trim()
        return len(rows)

    def _next(self) -> Sequence[Recorded | Fresh]:
        fresh = self.fresh.after(FOLLOWER, self.position, BATCH) if self.fresh else []
        return fresh or self._exchange.log.read(self.position, BATCH)

    def catch_up(self) -> None:
        """Follow until nothing is left."""
        while self.step():
            pass

    def rebuild(self) -> None:
        """Make the whole list again from the log."""
        self._rows.clear()
        self._begin_again()
        self.catch_up()

    def case(self, case_id: UUID) -> Case:
        """The case as it stood at `position`; to be read only, until the next step."""
        return self._open(case_id, self.position + 1)

    def _begin_again(self) -> None:
        self._cases.clear()
        self._items.forget()
        self._events = 0
        self._opened_or_closed.clear()
        self._accepted.clear()
        self._begun.clear()
        self._profile = None
        self.position = self._rows.position()

    def _trim(self) -> None:
        while self._events > MOST_EVENTS and len(self._cases) > 1:
            case_id, gone = self._cases.popitem(last=False)
            self._items.let_go(case_id)
            self._events -= len(gone.events)

    # -- rows of a case ------------------------------------------------------------------------

    def _follow(self, one: Recorded | Fresh) -> None:
        kind = type(one.event)
        if kind in LOOSE:
            LOOSE[kind](self._items, one.position, one.event)
        elif isinstance(one.event, stored.Settled):
            self._on_settled(one.event, one.settlement if isinstance(one, Fresh) else None)
        elif kind in _ROWS:
            _ROWS[kind](self, one.position, one.event)

    def _on_accepted(self, position: int, event: stored.EventAccepted) -> None:
        happened = case_event(event, self._exchange.secrets, position)
        self._accepted[event.originator_id] = happened
        if event.originator_version == 1:
            self._begun[event.originator_id] = UUID(bytes=event.subject_id)
        if event.event_type == "StatisticsPublished":
            published(self._items, happened)

    def _on_settled(self, row: stored.Settled, settlement: Settlement | None) -> None:
        case_id = row.originator_id
        case = self._open(case_id, row.position)
        happened = self._accepted.pop(case_id, None)
        if happened is None:  # its row was the last of an earlier batch
            [before] = self._exchange.log.stream(case_id, row.event_version - 1, limit=1)
            assert isinstance(before.event, stored.EventAccepted)
            happened = case_event(before.event, self._exchange.secrets, before.position)
        settlement = settlement or Settlement.from_record(orjson.loads(row.settlement))
        happened = case.enter(happened)
        case.hold(settlement, happened)
        case.leave(happened)
        self._events += 1
        if happened.type in CASE_TYPES and case.subject_id is not None:
            self._opened_or_closed[case_id] = (case.subject_id, not case.progress.closed)
        if happened.type in AGE_TYPES:
            self.aged.add(case_id)
        look = Look(
            case,
            happened,
            settlement,
            self._profile_at(row.position),
            self._exchange.agencies.parties(),
            self._items.unsettled(case_id),
        )
        try:
            changed = follow(look)
        except Exception as failure:  # a fault of ours must neither stop the list nor be silent
            log.error("work_rule_failed", error=type(failure).__name__)
            changed = [
                WorkItem(
                    item=item_id(case_id, "not_followed", happened.event_id, happened.position),
                    kind="not_followed",
                    ref=happened.event_id,
                    role=OPERATOR,
                    agency="",
                    escalates=KINDS["not_followed"].escalates,
                    position=happened.position,
                    since=happened.at,
                    case_id=case_id,
                    subject=case.subject_id,
                    detail={"event_type": happened.type},
                )
            ]
        for item in changed:
            self._items.put(item)

    def _on_held_back(self, _position: int, row: stored.HeldBack) -> None:
        case = self._cases.get(row.originator_id)
        if case is not None:
            case.holdings.hold_back(row.agency, json.loads(row.items))
            case.holdings.rebase(row.agency, json.loads(row.rebased))

    def _open(self, case_id: UUID, before: int) -> Case:
        """The case as it stood before this position, with its items; kept for the next row."""
        case = self._cases.get(case_id)
        begun = self._begun.pop(case_id, None)
        if case is None and begun is not None:  # nothing of it is settled or on the list yet
            case = self._cases[case_id] = Case(case_id, begun)
            self._items.unsettled(case_id, new=True)
        elif case is None:
            recorded = [
                one.event for one in self._exchange.log.stream(case_id) if one.position < before
            ]
            settled = any(isinstance(one, stored.Settled) for one in recorded)
            if settled:
                case = fold(recorded, self._exchange.secrets)
            else:
                first = self._exchange.log.stream(case_id, limit=1)[0].event
                assert isinstance(first, stored.EventAccepted)
                case = Case(case_id, UUID(bytes=first.subject_id))
            self._cases[case_id] = case
            self._items.unsettled(case_id)
            self._events += len(case.events)
        self._cases.move_to_end(case_id)
        return case

    def _profile_at(self, position: int) -> PolicyProfile:
        """The profile in force at the row being followed, which may be an earlier one than now."""
        if self._profile is None:
            topics = frozenset({stored.PolicyPublished.TOPIC})
            for one in self._exchange.log.read(0, 10_000, topics):
                if one.position < position:
                    self._on_policy(one.position, one.event)
        assert self._profile is not None
        return self._profile

    def _on_policy(self, _position: int, row: Any) -> None:
        self._profile = PolicyProfile.from_document(json.loads(row.document))


_ROWS: Final[dict[type, Callable[[WorkList, int, Any], None]]] = {
    stored.EventAccepted: WorkList._on_accepted,
    stored.HeldBack: WorkList._on_held_back,
    stored.PolicyPublished: WorkList._on_policy,
}
