"""The recall book: what was called back from whom, since when, and what the partner says of it.

A pure fold of three kinds of rows, in log order:

    Settled    a recall is decided, in the transaction that records what caused it
    Sending    it has a sequence in the recipient's delivery log and is on its way
    Received   the partner's signed receipt states what became of each item

A recall is answered only by a receipt that lists it as deleted, restricted or kept on an own,
named basis. Until then it is open, whatever else is known: not sent, sent, or lying in the
partner's quarantine. There is no other way to close one here, and no clock: whoever asks how old
a recall is, or whether it is overdue, brings the time.

Time to purge runs on the hub's clock, from the recording of the event that caused the recall to
the recording of the receipt that states the removal; the partner's own time of its commit stands
beside it, as stated.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from hub.store import events as stored
from hub.store.events import StoreEvent
from schemas import wire

RECALL_DUE: Final = timedelta(days=7)  # T11
TOPICS: Final = frozenset(
    {stored.Settled.TOPIC, stored.Sending.TOPIC, stored.Received.TOPIC}
)  # the rows `apply` reads anything of

REMOVED: Final = frozenset({"deleted", "restricted"})
KEPT: Final = "kept_own_basis"
ANSWERS: Final = REMOVED | {KEPT}

# Where a recall stands. All but the last are open.
NOT_SENT, SENT, QUARANTINED, ANSWERED = "not_sent", "sent", "quarantined", "answered"

Items = tuple[tuple[str, tuple[str, ...]], ...]  # event id and the categories called back of it


@dataclass(frozen=True, slots=True)
class Answer:
    """One line of a signed receipt about a recall.

    outcome: deleted, restricted or kept_own_basis. event_ref and categories: what it speaks of, by
    the partner's own name for the event; empty where an older connector answered for all at once.
    own_basis: the law under which it is kept. position, recorded_at: of the receipt in the hub's
    log. stated_at: the partner's clock.
    """

    outcome: str
    event_ref: str
    categories: tuple[str, ...]
    own_basis: str | None
    position: int
    recorded_at: datetime
    stated_at: datetime


@dataclass(slots=True)
class RecallRecord:
    """One recall to one agency.

    cause: log position of the event that caused it. decision: of the settlement that ordered it.
    sequence: of its delivery, None while it is not marked as sending.
    """

    agency: str
    case_id: UUID
    cause: int
    decision: int
    recorded_at: datetime
    action: str
    items: Items
    due: datetime
    sequence: int | None = None
    sent_at: datetime | None = None
    quarantined: bool = False
    answers: list[Answer] = field(default_factory=list)

    @property
    def state(self) -> str:
        if self.answers:
            return ANSWERED
        if self.quarantined:
            return QUARANTINED
        return NOT_SENT if self.sequence is None else SENT

    @property
    def open(self) -> bool:
        return not self.answers

    @property
    def outcomes(self) -> tuple[str, ...]:
        return tuple(sorted({answer.outcome for answer in self.answers}))

    @property
    def own_bases(self) -> tuple[str, ...]:
        """What is kept, and under which law, as the partner's receipt says it."""
        return tuple(
            f"{', '.join(answer.categories)}: {answer.own_basis}".removeprefix(": ")
            for answer in self.answers
            if answer.outcome == KEPT
        )

    @property
    def answered_at(self) -> datetime | None:
        """When the hub recorded the first receipt that answers it."""
        return min((answer.recorded_at for answer in self.answers), default=None)

    @property
    def time_to_purge(self) -> timedelta | None:
        """From the cause's recording to the recorded statement of removal; None if none was."""
        removed = [one.recorded_at for one in self.answers if one.outcome in REMOVED]
        return min(removed) - self.recorded_at if removed else None

    def age(self, now: datetime) -> timedelta:
        """How long it has been open, or was."""
        return (self.answered_at or now) - self.recorded_at

    def overdue(self, now: datetime) -> bool:
        return self.open and now > self.due


class RecallBook:
    """All recalls of a log, as far as it was applied. Applying a row twice changes nothing."""

    def __init__(self) -> None:
        self._decided: dict[tuple[str, int], RecallRecord] = {}  # agency, position of the decision
        self._sent: dict[tuple[str, int], RecallRecord] = {}  # agency, sequence
        self._open: dict[tuple[str, int], RecallRecord] = {}

    def __iter__(self) -> Iterator[RecallRecord]:
        """In the order they were decided."""
        return iter(self._decided.values())

    def __len__(self) -> int:
        return len(self._decided)

    @property
    def open(self) -> list[RecallRecord]:
        """Those without an answer, oldest first."""
        return list(self._open.values())

    def apply(self, position: int, event: StoreEvent) -> list[RecallRecord]:
        """Take one row in; returns the recalls it says something new about."""
        if isinstance(event, stored.Settled):
            return self._settled(position, event)
        if isinstance(event, stored.Sending):
            return self._sending(event) if event.kind == "recall" else []
        if isinstance(event, stored.Received):
            return self._received(position, event)
        return []

    def _settled(self, position: int, event: stored.Settled) -> list[RecallRecord]:
        if b'"recalls"' not in event.settlement:  # most settlements, told without reading them
            return []
        made = []
        for recall in json.loads(event.settlement).get("recalls", ()):
            key = (recall["to"], position)
            if key in self._decided:
                continue
            record = self._decided[key] = self._open[key] = RecallRecord(
                agency=recall["to"],
                case_id=event.originator_id,
                cause=event.position,
                decision=position,
                recorded_at=event.timestamp,
                action=recall["action"],
                items=tuple((about, tuple(names)) for about, names in recall["items"].items()),
                due=event.timestamp + RECALL_DUE,
            )
            made.append(record)
        return made

    def _sending(self, event: stored.Sending) -> list[RecallRecord]:
        record = self._decided.get((event.agency, event.decision))
        if record is None or record.sequence is not None:
            return []
        record.sequence, record.sent_at = event.originator_version, event.timestamp
        record.due = datetime.fromisoformat(json.loads(event.items)["due"])
        self._sent[event.agency, event.originator_version] = record
        return [record]

    def _received(self, position: int, event: stored.Received) -> list[RecallRecord]:
        receipt = wire.RECEIPT.unsingle(event.receipt)
        touched: dict[int, RecallRecord] = {}
        for said in receipt["exceptions"]:
            record = self._sent.get((event.agency, said["sequence"]))
            if record is None:
                continue
            if said["outcome"] == "quarantined":
                record.quarantined = True
                touched[record.decision] = record
                continue
            answer = _answer(said, position, event.timestamp, receipt["applied_at"])
            if answer is None or _known(answer, record.answers):
                continue
            record.answers.append(answer)
            self._open.pop((record.agency, record.decision), None)
            touched[record.decision] = record
        return list(touched.values())


def spoken_of(outcome: str, detail: str | None) -> tuple[str, tuple[str, ...], str | None]:
    """(event_ref, categories, own basis) of a receipt's line about a recall.

    Reads `<event_ref> <category>, <category>` and, for what is kept, `…: <own basis>`.
    """
    about, own_basis = detail or "", ""
    if outcome == KEPT:
        about, _, own_basis = about.partition(": ")
    event_ref, _, names = about.rpartition(" ") if "," not in about else about.partition(" ")
    categories = tuple(name.strip() for name in names.split(",") if name.strip())
    return event_ref, categories, own_basis or None


def _answer(
    said: Mapping[str, Any], position: int, recorded_at: datetime, stated_at: datetime
) -> Answer | None:
    if said["outcome"] not in ANSWERS:
        return None
    event_ref, categories, own_basis = spoken_of(said["outcome"], said["detail"])
    if said["outcome"] == KEPT:
        own_basis = own_basis or "not named"
    return Answer(
        outcome=said["outcome"],
        event_ref=event_ref,
        categories=categories,
        own_basis=own_basis,
        position=position,
        recorded_at=recorded_at,
        stated_at=stated_at,
    )


def _known(answer: Answer, answers: Iterable[Answer]) -> bool:
    """A receipt may come twice; the first recording of a statement counts."""
    said = (answer.outcome, answer.event_ref, answer.categories, answer.own_basis)
    return any(
        said == (one.outcome, one.event_ref, one.categories, one.own_basis) for one in answers
    )
