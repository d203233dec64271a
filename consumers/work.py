"""The work list's follower: log to items, in order, each row once.

Every recorded event is asked for what it puts on the list, moves and settles (`hub/domain/agenda`),
and so are recalls, receipts, refusals and what timers and people recorded about items. Items and
the place in the log change in one transaction. The list rests on the log alone, profile and time
of each event included, so `rebuild` makes the same rows again.

A rule that fails stops nothing: the event is put on the list for the operator to look at.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Final, Protocol
from uuid import UUID

import structlog

from hub.accepted import case_event
from hub.agencies import Agencies
from hub.cases import fold
from hub.domain.agenda import Look, follow
from hub.domain.case import Case, CaseEvent
from hub.domain.parties import HUB_ROLE
from hub.domain.policy import PolicyProfile
from hub.domain.settlement import Settlement
from hub.domain.timers import end_of
from hub.domain.work import (
    AUDITOR,
    DONE,
    KINDS,
    MOOT,
    OFFICES,
    OPEN,
    OPERATOR,
    WAITING,
    WorkItem,
    item_id,
    owner_word,
)
from hub.store import events as stored
from hub.store.errors import StoreConflict
from hub.store.keystore import KeyStore
from hub.store.log import HubLog, Recorded
from hub.store.work import WorkRows
from schemas import wire
from schemas.avro import AvroError

log = structlog.get_logger("hub.work")

BATCH: Final = 1_000  # log rows followed in one transaction
MOST_EVENTS: Final = 50_000  # kept in memory over all cases
ANSWERED: Final = frozenset({"deleted", "restricted", "kept_own_basis"})
DEAD_LETTER_DUE: Final = timedelta(days=1)
AGE_TYPES: Final = frozenset({"CaseOpened", "IdentityRecorded", "RecordCorrected", "AgeAssessed"})
CASE_TYPES: Final = frozenset({"CaseOpened", "CaseClosed", "CaseReopened"})
_CODE = re.compile(r"[a-z][a-z_]{0,39}", re.ASCII)


def loose_id(kind: str, ref: str) -> UUID:
    """Id of an item that rows outside a case's events open or settle."""
    return item_id(None, kind, ref, 0)


@dataclass
class _Open:
    """A case in memory, with its items that are not settled, by kind."""

    case: Case
    items: dict[str, dict[UUID, WorkItem]] = field(default_factory=dict)

    def put(self, item: WorkItem) -> None:
        if item.state in (WAITING, OPEN):
            self.items.setdefault(item.kind, {})[item.item] = item
        else:
            self.items.get(item.kind, {}).pop(item.item, None)


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
        self._cases: OrderedDict[UUID, _Open] = OrderedDict()
        self._events = 0
        self._changed: dict[UUID, WorkItem] = {}
        self._opened_or_closed: dict[UUID, tuple[UUID, bool]] = {}
        self._accepted: dict[UUID, CaseEvent] = {}
        self._begun: dict[UUID, UUID] = {}  # cases whose first row was just followed → subject
        self._profile: PolicyProfile | None = None
        self.position = self._rows.position()
        self.aged: set[UUID] = set()  # cases in which something about age was said since asked

    def step(self) -> int:
        """Follow some of what is new. Returns the number of log rows followed."""
        rows = self._exchange.log.read(self.position, BATCH)
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
                self._changed.values(), self._opened_or_closed, after=self.position, to=to
            )
        except StoreConflict:  # another process follows, or the list is being made again
            self._begin_again()
            return 1
        except BaseException:
            self._begin_again()
            raise
        self.position = to
        self._changed.clear()
        self._opened_or_closed.clear()
        self._trim()
        return len(rows)

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
        return self._open(case_id, self.position + 1).case

    def _begin_again(self) -> None:
        self._cases.clear()
        self._events = 0
        self._changed.clear()
        self._opened_or_closed.clear()
        self._accepted.clear()
        self._begun.clear()
        self._profile = None
        self.position = self._rows.position()

    def _trim(self) -> None:
        while self._events > MOST_EVENTS and len(self._cases) > 1:
            _, gone = self._cases.popitem(last=False)
            self._events -= len(gone.case.events)

    # -- rows of a case ------------------------------------------------------------------------

    def _follow(self, one: Recorded) -> None:
        rule = _ROWS.get(type(one.event))
        if rule is not None:
            rule(self, one.position, one.event)

    def _on_accepted(self, position: int, event: stored.EventAccepted) -> None:
        happened = case_event(event, self._exchange.secrets, position)
        self._accepted[event.originator_id] = happened
        if event.originator_version == 1:
            self._begun[event.originator_id] = UUID(bytes=event.subject_id)
        if event.event_type == "StatisticsPublished":
            self._published(happened)

    def _on_settled(self, _position: int, row: stored.Settled) -> None:
        case_id = row.originator_id
        opened = self._open(case_id, row.position)
        happened = self._accepted.pop(case_id, None)
        if happened is None:  # its row was the last of an earlier batch
            [before] = self._exchange.log.stream(case_id, row.event_version - 1, limit=1)
            assert isinstance(before.event, stored.EventAccepted)
            happened = case_event(before.event, self._exchange.secrets, before.position)
        settlement = Settlement.from_record(json.loads(row.settlement))
        happened = opened.case.enter(happened)
        opened.case.hold(settlement, happened)
        opened.case.leave(happened)
        self._events += 1
        if happened.type in CASE_TYPES and opened.case.subject_id is not None:
            is_open = not opened.case.progress.closed
            self._opened_or_closed[case_id] = (opened.case.subject_id, is_open)
        if happened.type in AGE_TYPES:
            self.aged.add(case_id)
        look = Look(
            opened.case,
            happened,
            settlement,
            self._profile_at(row.position),
            self._exchange.agencies.parties(),
            opened.items,
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
                    subject=opened.case.subject_id,
                    detail={"event_type": happened.type},
                )
            ]
        for item in changed:
            self._put(item)

    def _on_held_back(self, _position: int, row: stored.HeldBack) -> None:
        opened = self._cases.get(row.originator_id)
        if opened is not None:
            opened.case.hold_back(row.agency, json.loads(row.items))
            opened.case.rebase(row.agency, json.loads(row.rebased))

    def _open(self, case_id: UUID, before: int) -> _Open:
        opened = self._cases.get(case_id)
        begun = self._begun.pop(case_id, None)
        if opened is None and begun is not None:  # nothing of it is settled or on the list yet
            opened = self._cases[case_id] = _Open(Case(case_id, begun))
        elif opened is None:
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
            opened = self._cases[case_id] = _Open(case)
            for item in self._rows.of_case(case_id):
                opened.put(item)
            for item in self._changed.values():
                if item.case_id == case_id:
                    opened.put(item)
            self._events += len(case.events)
        self._cases.move_to_end(case_id)
        return opened

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

    # -- recalls, receipts, refusals -----------------------------------------------------------

    def _on_sending(self, position: int, row: stored.Sending) -> None:
        if row.kind != "recall":
            return
        due = datetime.fromisoformat(json.loads(row.items)["due"])
        ref = f"{row.agency}/{row.originator_version}"
        self._put(
            self._item(
                "recall_open",
                ref,
                position,
                row.timestamp,
                agency=row.agency,
                due=due,
                case_id=UUID(bytes=row.case_id),
                subject=UUID(bytes=row.subject_id),
            )
        )

    def _on_received(self, position: int, row: stored.Received) -> None:
        try:
            told = wire.RECEIPT.unsingle(row.receipt)["exceptions"]
        except AvroError:  # it was verified before it was recorded
            return
        lines: dict[int, list[tuple[str, str]]] = {}
        for one in told:
            line = (str(one["outcome"]), str(one["detail"] or ""))
            lines.setdefault(one["sequence"], []).append(line)
        for sequence, said in lines.items():
            self._on_line(position, row, f"{row.agency}/{sequence}", dict(said))

    def _on_line(
        self, position: int, row: stored.Received, ref: str, outcomes: dict[str, str]
    ) -> None:
        """What a receipt says of one delivery: outcomes, each with a detail."""
        at = CaseEvent(position, "", "receipt", row.agency, "", row.timestamp, (), {})
        if "quarantined" in outcomes:
            code = outcomes["quarantined"]
            if code.startswith(wire.DISCARDED) and _CODE.fullmatch(code):
                self._settle(loose_id("dead_letter", ref), at, code)
                return  # a recall that was discarded stays open: nobody said what became of it
            self._put(
                self._item(
                    "dead_letter",
                    ref,
                    position,
                    row.timestamp,
                    agency=row.agency,
                    due=row.timestamp + DEAD_LETTER_DUE,
                    detail={"reason": code if _CODE.fullmatch(code) else "other"},
                )
            )
            return
        self._settle(loose_id("dead_letter", ref), at, "receipt")
        answered = sorted(ANSWERED & set(outcomes))
        if answered:
            self._settle(loose_id("recall_open", ref), at, answered[0])

    def _on_refused(self, position: int, row: stored.Refused) -> None:
        known = self._exchange.agencies.get(row.agency)
        sender = row.agency if known is not None and known.position < position else "unknown"
        if known is not None and known.role == HUB_ROLE:
            return  # told by the item it was for
        ref = f"{sender}/{row.timestamp.date().isoformat()}"
        standing = self._get(loose_id("sender_refused", ref))
        reasons = {row.reason, *(standing.detail["reasons"] if standing is not None else ())}
        detail = {"agency": sender, "reasons": sorted(reasons)}
        if standing is None:
            self._put(self._item("sender_refused", ref, position, row.timestamp, detail=detail))
        elif standing.detail != detail:
            self._put(replace(standing, detail=detail))

    def _published(self, happened: CaseEvent) -> None:
        period = _plain(str(happened.facts.get("period")))
        for item in [
            *self._rows.standing(kind="statistics_due"),
            *(one for one in self._changed.values() if one.kind == "statistics_due"),
        ]:
            if _plain(item.ref) == period:
                self._settle(item.item, happened, happened.type)

    # -- what timers and people recorded -------------------------------------------------------

    def _on_raised(self, position: int, row: stored.WorkRaised) -> None:
        if row.kind not in KINDS:
            return  # of a later version of this program
        detail = {"agency": row.agency} if row.agency else {}
        item = self._item(row.kind, row.ref, position, row.timestamp, due=row.due, detail=detail)
        self._put(replace(item, item=UUID(bytes=row.item)))

    def _on_fired(self, position: int, row: stored.WorkFired) -> None:
        item = self._get(UUID(bytes=row.item))
        if item is None:
            return
        if row.phase == "opens":
            item = item.begun()
            item = item if row.due is None else replace(item, due=row.due)
        else:
            item = item.fell_due(row.at)
        if item.kind == "reconsideration_window" and row.phase == "due":
            item = item.settled(row.timestamp, position, because="window_closed")
        self._put(item)
        if row.refused is not None:
            ref = item.item.hex
            detail = {"kind": item.kind, "reason": row.refused}
            self._put(
                self._item(
                    "own_event_refused",
                    ref,
                    position,
                    row.timestamp,
                    detail=detail,
                    case_id=item.case_id,
                    subject=item.subject,
                )
            )

    def _on_closed(self, position: int, row: stored.WorkClosed) -> None:
        item = self._get(UUID(bytes=row.item))
        if item is None or item.state == DONE:
            return
        self._put(item.settled(row.timestamp, position, by=row.by, because=row.because))
        if row.contested:
            self._put(
                self._item(
                    "contested",
                    item.item.hex,
                    position,
                    row.timestamp,
                    detail={"kind": item.kind, "because": row.because},
                    due=end_of(row.timestamp.date() + timedelta(days=7)),
                    case_id=item.case_id,
                    subject=item.subject,
                )
            )

    def _on_shredded(self, position: int, row: stored.SubjectShredded) -> None:
        """No date that came from the person's own outlives them."""
        subject = UUID(bytes=row.subject_id)
        for item in self._rows.of_subject(subject):
            now = self._changed.get(item.item, item)
            if now.kind == "coming_of_age":
                if now.state in (WAITING, OPEN):
                    now = now.settled(row.timestamp, position, because="erased")
                self._put(replace(now, due=None, fired=None))

    # -- items ---------------------------------------------------------------------------------

    def _item(
        self,
        kind: str,
        ref: str,
        position: int,
        at: datetime,
        *,
        agency: str = "",
        due: datetime | None = None,
        detail: dict[str, Any] | None = None,
        case_id: UUID | None = None,
        subject: UUID | None = None,
    ) -> WorkItem:
        """A fresh item that no rule of a case opens. agency: the recipient it waits for."""
        word = owner_word(kind, self._profile_at(position).work)
        party = self._exchange.agencies.get(agency) if agency else None
        if word == "recipient":
            role, owner = ("", "") if party is None else (party.role, agency)
        else:
            role, owner = word, ""
        known = role in OFFICES or role in self._profile_at(position).matrix
        return WorkItem(
            item=loose_id(kind, ref),
            kind=kind,
            ref=ref,
            role=role if known else AUDITOR,
            agency=owner if known else "",
            position=position,
            since=at,
            case_id=case_id,
            subject=subject,
            escalates=KINDS[kind].escalates,
            due=due,
            detail=detail or {},
        )

    def _get(self, item: UUID) -> WorkItem | None:
        return self._changed.get(item) or self._rows.item(item)

    def _settle(self, item: UUID, at: CaseEvent, because: str) -> None:
        standing = self._get(item)
        if standing is not None and standing.state not in (DONE, MOOT):
            self._put(standing.settled(at.at, at.position, because=because))

    def _put(self, item: WorkItem) -> None:
        self._changed[item.item] = item
        opened = self._cases.get(item.case_id) if item.case_id is not None else None
        if opened is not None:
            opened.put(item)


def _plain(period: str) -> str:
    return "".join(one for one in period if one.isalnum()).upper()


_ROWS: Final[dict[type, Callable[[WorkList, int, Any], None]]] = {
    stored.EventAccepted: WorkList._on_accepted,
    stored.Settled: WorkList._on_settled,
    stored.HeldBack: WorkList._on_held_back,
    stored.PolicyPublished: WorkList._on_policy,
    stored.Sending: WorkList._on_sending,
    stored.Received: WorkList._on_received,
    stored.Refused: WorkList._on_refused,
    stored.WorkRaised: WorkList._on_raised,
    stored.WorkFired: WorkList._on_fired,
    stored.WorkClosed: WorkList._on_closed,
    stored.SubjectShredded: WorkList._on_shredded,
}
