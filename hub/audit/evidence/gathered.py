"""Gathered: the rows that show what was asked for, as they were stored, each with why it is there.

Without a holder: whole streams of cases, all of the register and the policy, and the deliveries and
receipts about them. With a holder: its own deliveries and receipts, and of the events it was sent
those whose rows tell no more than it holds. A row cannot be shortened, so one that would is left
out (docs/evidence.md 1).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from eventsourcing.persistence import Notification

from hub.audit.evidence.asked import WAIT, Question
from hub.audit.evidence.opened import tells_more
from hub.errors import Refused
from hub.exchange import Exchange
from hub.membership.agencies import CHANGES
from hub.recording.draft import delivery_stream, stream_id
from hub.store import events as stored
from hub.store.events import StoreEvent

Tell = Callable[[str, int, int], None]
POLICY = (stored.PolicyPublished, stored.PolicyProposed, stored.PolicyApproved)


def silent(_what: str, _done: int, _total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Kept:
    """One row: as stored, as read, and why it is in the bundle."""

    row: Notification
    event: StoreEvent
    why: str

    @property
    def position(self) -> int:
        return self.row.id


@dataclass
class Gathered:
    """Rows by position; and how many events a holder was sent are left out, rows and all."""

    rows: dict[int, Kept] = field(default_factory=dict)
    left_out: int = 0

    def add(self, kept: Iterable[Kept]) -> None:
        self.rows.update((one.position, one) for one in kept)

    def of(self, kind: type[StoreEvent]) -> list[Kept]:
        return [one for _, one in sorted(self.rows.items()) if isinstance(one.event, kind)]


class Reader:
    """Reads streams of one hub up to one position."""

    def __init__(self, exchange: Exchange, end: int, tell: Tell = silent) -> None:
        self.exchange = exchange
        self.end = end
        self.tell = tell

    def stream(
        self, stream: UUID, why: str, kinds: tuple[type[StoreEvent], ...] | None = None
    ) -> list[Kept]:
        """The stream up to the position."""
        log = self.exchange.log
        kept = []
        for row in log.stream_rows(stream):
            if row.id > self.end:
                break
            event = log.decoded(row)
            if kinds is None or isinstance(event, kinds):
                kept.append(Kept(row, event, why))
        return kept

    def beyond(self, stream: UUID) -> bool:
        """Whether the stream goes on after the position."""
        log = self.exchange.log
        rows = log.stream_rows(stream, max(log.last_version(stream) - 1, 0))
        return bool(rows) and rows[-1].id > self.end

    def ground(self, origin: str, *, policy: bool) -> list[Kept]:
        """What every bundle stands on: whose log, who takes part, which profile decides."""
        kept = self.stream(stream_id("hub", origin), "hub", (stored.HubInitialised,))
        for agency in self.exchange.agencies:
            kept += self.stream(stream_id("agency", agency.agency), "register", CHANGES)
        if policy:
            kept += self.stream(stream_id("policy", origin), "policy", POLICY)
        return kept

    def case(self, case_id: UUID) -> list[Kept]:
        return self.stream(case_id, "case")

    def deliveries(self, agency: str) -> list[Kept]:
        return self.stream(delivery_stream(agency), "delivery")

    def receipts(self, agency: str, sequences: Sequence[int] | None) -> list[Kept]:
        """All of an agency's receipts, or those that cover one of these deliveries."""
        kept = self.stream(stream_id("receipts", agency), "receipt")
        if sequences is None:
            return kept
        return [one for one in kept if _covers(one.event, sequences)]


def gather(exchange: Exchange, origin: str, asked: Question, tell: Tell = silent) -> Gathered:
    """The rows of a bundle. Raises Refused if there is nothing to show, or not all of it yet."""
    reader = Reader(exchange, asked.end, tell)
    gathered = Gathered()
    gathered.add(reader.ground(origin, policy=asked.holder is None))
    if asked.holder is not None:
        _for_holder(reader, asked, gathered, asked.holder)
    elif asked.agency is not None:
        _for_agency(reader, asked, gathered, asked.agency)
    else:
        _for_case(reader, asked, gathered)
    return gathered


def _for_case(reader: Reader, asked: Question, gathered: Gathered) -> None:
    case_id = asked.case_id
    if asked.event is not None:
        case_id = asked.event.event.originator_id
    assert case_id is not None
    rows = reader.case(case_id)
    _complete(reader, asked, [case_id], rows)
    decision = None
    if asked.event is not None:
        decision = next(
            one.position
            for one in rows
            if isinstance(one.event, stored.Settled) and one.event.position == asked.event.position
        )
    told = [one for one in rows if decision in (None, one.position)]
    owed = sorted(_owed(told))
    sent: list[Kept] = []
    for number, agency in enumerate(owed, 1):
        reader.tell("deliveries", number, len(owed))
        mine = [
            one
            for one in reader.deliveries(agency)
            if isinstance(one.event, stored.Sending)
            and one.event.case_id == case_id.bytes
            and decision in (None, one.event.decision)
        ]
        gathered.add(mine)
        gathered.add(reader.receipts(agency, [one.row.originator_version for one in mine]))
        sent += mine
    if decision is not None:
        rows = _up_to(rows, max([decision, *(one.position for one in sent)]))
    gathered.add(rows)


def _up_to(rows: Sequence[Kept], last: int) -> list[Kept]:
    """The case up to a position, and what was held back in the same breath."""
    kept = []
    for one in rows:
        if one.position > last:
            if one.position != last + 1 or not isinstance(one.event, stored.HeldBack):
                break
            last += 1
        kept.append(one)
    return kept


def _for_agency(reader: Reader, asked: Question, gathered: Gathered, agency: str) -> None:
    sent = reader.deliveries(agency)
    gathered.add(sent)
    gathered.add(reader.receipts(agency, None))
    cases = {one.event.case_id for one in sent if isinstance(one.event, stored.Sending)}
    for number, case_id in enumerate(sorted(cases), 1):
        reader.tell("cases", number, len(cases))
        gathered.add(reader.case(UUID(bytes=case_id)))
    _complete(reader, asked, [delivery_stream(agency)], sent)


def _for_holder(reader: Reader, asked: Question, gathered: Gathered, holder: str) -> None:
    sent = [one for one in reader.deliveries(holder) if _about(one.event, asked)]
    _complete(reader, asked, [delivery_stream(holder)], sent)
    gathered.add(sent)
    whole = asked.agency is not None
    numbers = None if whole else [one.row.originator_version for one in sent]
    gathered.add(reader.receipts(holder, numbers))
    log, held = reader.exchange.log, held_by(reader.exchange, holder, sent)
    events = {
        one.event.event_position
        for one in sent
        if isinstance(one.event, stored.Sending) and one.event.kind == "release"
    }
    for number, position in enumerate(sorted(events), 1):
        reader.tell("events", number, len(events))
        [row] = log.rows(position - 1, 1)
        event = log.decoded(row)
        assert isinstance(event, stored.EventAccepted)
        if held.get(position) and not tells_more(event, held[position], holder):
            gathered.add([Kept(row, event, "event")])
        else:
            gathered.left_out += 1


def held_by(exchange: Exchange, holder: str, sent: Sequence[Kept]) -> dict[int, frozenset[str]]:
    """Position of each event → categories it was sent, that nothing took back since.

    What was sent by these deliveries, as far as the case as it stands now says it is still held:
    what was recalled after the position asked for is not opened either.
    """
    found: dict[int, set[str]] = {}
    for one in sent:
        event = one.event
        if not isinstance(event, stored.Sending):
            continue
        case = exchange.case(UUID(bytes=event.case_id))
        items = case.holdings.get(holder, {}) if case is not None else {}
        body = json.loads(event.items)
        if event.kind == "recall":
            for event_id, names in body["items"]:
                if case is not None and case.find(event_id) is not None:
                    found.get(case.position_of(event_id), set()).difference_update(names)
            continue
        [recorded] = exchange.log.read(event.event_position - 1, 1)
        assert isinstance(recorded.event, stored.EventAccepted)
        event_id = str(UUID(bytes=recorded.event.event_id))
        names = {name for name in body["bases"] if (event_id, name) in items}
        found.setdefault(event.event_position, set()).update(names)
    return {position: frozenset(names) for position, names in found.items()}


def _about(event: StoreEvent, asked: Question) -> bool:
    if not isinstance(event, stored.Sending):
        return False
    if asked.event is not None:
        accepted = asked.event.event
        assert isinstance(accepted, stored.EventAccepted)
        if event.kind == "release":
            return event.event_position == asked.event.position
        event_id = str(UUID(bytes=accepted.event_id))
        return event_id in dict(json.loads(event.items)["items"])
    return asked.case_id is None or event.case_id == asked.case_id.bytes


def _complete(
    reader: Reader, asked: Question, streams: Sequence[UUID], rows: Sequence[Kept]
) -> None:
    """Refuse what is not there, and a bundle that would silently end before the present."""
    if not rows:
        raise Refused(
            0, "nothing_to_show", "nothing of this was recorded by then; check --case and --as-of"
        )
    if not asked.fixed and any(reader.beyond(stream) for stream in streams):
        raise Refused(0, "no_checkpoint", WAIT)


def _owed(rows: Sequence[Kept]) -> set[str]:
    """Agencies that these decisions owe anything."""
    owed: set[str] = set()
    for one in rows:
        if isinstance(one.event, stored.Settled):
            record = json.loads(one.event.settlement)
            owed.update(record.get("backfill", {}))
            owed.update(recall["to"] for recall in record.get("recalls", ()))
            owed.update(
                agency
                for agency, outcomes in record.get("decided", {}).items()
                if any(isinstance(outcome, str) for outcome in outcomes.values())
            )
    return owed


def _covers(event: StoreEvent, sequences: Sequence[int]) -> bool:
    return isinstance(event, stored.Received) and any(
        event.first_sequence <= one <= event.last_sequence for one in sequences
    )
