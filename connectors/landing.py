"""Landing: a batch of deliveries in one transaction of the partner's system.

    fence and position → effects of what is fresh → strangers aside → receipts owed → position

What a delivery does is told in `connectors/effects.py`. The sequence fence comes first, the
receipt last; what lies in quarantine is redriven or discarded in transactions of the same kind.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy import Connection

from connectors import crash
from connectors.dead_letters import a_recall
from connectors.delivery import Arrived, Poison
from connectors.effects import Effects, Projection, Work
from connectors.errors import FencedError, SinkDownError, SinkRefusedError
from connectors.ledger import Ledger
from connectors.sink import (
    Aside,
    Batch,
    OwedReceipt,
    Position,
    Quarantined,
    RecallPolicy,
    ReceiptException,
)
from schemas import wire


class Database(Protocol):
    """Where transactions come from. `writing` locks out other writers from its first statement."""

    def writing(self) -> AbstractContextManager[Connection]: ...

    def reading(self) -> AbstractContextManager[Connection]: ...


class LandingSink(Effects):
    """A Sink over a ledger and projections. Subclasses bring the database and the projections."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        projections: Sequence[Projection],
        recalls: RecallPolicy | None = None,
    ) -> None:
        super().__init__(ledger, projections, recalls)
        self._database = database
        self._generation: int | None = None

    def claim(self) -> int:
        try:
            with self._database.writing() as db:
                generation = self._ledger.claim(db, datetime.now(UTC))
        except SinkRefusedError:  # two who claim at once what nobody has claimed before
            raise SinkDownError("another connector claims these books just now: wait") from None
        self._generation = generation
        return generation

    def position(self) -> Position:
        with self._database.reading() as db:
            return self._ledger.position(db)

    def last_success(self) -> datetime | None:
        """When a batch was applied last; None if none ever was."""
        with self._database.reading() as db:
            return self._ledger.last_success(db)

    def apply(self, batch: Batch) -> None:
        self._ready(batch.items)
        with self._transaction(batch.items) as db:
            work = self._apply(db, batch)
            crash.point("before_sink_commit")
        crash.point("after_sink_commit")
        self._committed(work.recalled)

    def owed(self, limit: int) -> list[OwedReceipt]:
        with self._database.reading() as db:
            return self._ledger.owed(db, limit)

    def sent(self, ids: Sequence[int]) -> None:
        with self._database.writing() as db:
            self._ledger.sent(db, ids, datetime.now(UTC))

    def quarantine(self, *, waiting_only: bool = True) -> list[Quarantined]:
        with self._database.reading() as db:
            return self._ledger.set_aside.rows(db, waiting_only=waiting_only)

    def aside(self, sequences: Collection[int] | None = None) -> list[Aside]:
        with self._database.reading() as db:
            return self._ledger.set_aside.aside(db, sequences)

    def redrive(self, row: int, items: Sequence[Arrived | Poison], at: datetime) -> None:
        self._ready(items)
        with self._transaction(items) as db:
            self._ledger.lock(db)  # a recall under way must not be missed
            rows = self._ledger.set_aside.aside(db, [one.sequence for one in items])
            states = {one.sequence: one.state for one in rows}
            asked = {one.id for one in rows}
            # Somebody else may have redriven it, or a recall have emptied it, since it was read.
            fresh = [
                one
                for one in items
                if row in asked and self._wanted(db, one, states.get(one.sequence))
            ]
            work = self._work(db, fresh, at)
            good = [item.sequence for item in fresh if isinstance(item, Arrived)]
            self._take(db, work, fresh)
            self._ledger.set_aside.released(db, good)
            answered = {e.sequence for e in work.exceptions}
            for sequence in good:
                told = [e for e in work.exceptions if e.sequence == sequence]
                if sequence not in answered:
                    told = [ReceiptException(sequence, "applied")]
                self._ledger.owe(db, sequence, sequence, told, at)
            crash.point("before_sink_commit")
        crash.point("after_sink_commit")
        self._committed(True)  # what lay in quarantine has left it, recalled in part perhaps

    def _wanted(self, db: Connection, item: Arrived | Poison, state: str | None) -> bool:
        """Whether an item whose quarantine row is in this state has an effect to be made good.

        A discard is final for what was released; a recall is answered all the same. A recall
        empties a row whole: what it left of the event is taken when the hub sends it again.
        """
        if state == "discarded":
            return a_recall([item])
        if state == "recalled":
            buried = self._ledger.holdings.tombstones(db, [item.event_ref])
            return isinstance(item, Arrived) and any(
                buried.get((item.event_ref, category), -1) < item.sequence
                for category in item.categories
            )
        return state == "waiting"

    def discard(self, row: int, reason: str, note: str, at: datetime) -> bool:
        with self._database.writing() as db:
            self._ledger.lock(db)  # a redrive under way must not be missed
            found = self._ledger.set_aside.discard(db, row, wire.DISCARDED + reason, note)
            if found is None:
                return False
            if found.sequence is not None:
                said = ReceiptException(
                    found.sequence, "quarantined", detail=wire.DISCARDED + reason
                )
                self._ledger.owe(db, found.sequence, found.sequence, [said], at)
            crash.point("before_sink_commit")
        crash.point("after_sink_commit")
        self._committed(True)
        return True

    def _transaction(
        self,
        items: Sequence[Arrived | Poison],  # noqa: ARG002 - for sinks that prepare for them
    ) -> AbstractContextManager[Connection]:
        """The one transaction in which these items are taken."""
        return self._database.writing()

    def _committed(self, recalled: bool) -> None:
        """After a commit; a subclass may have to make removal physical."""

    def _ready(self, items: Sequence[Arrived | Poison]) -> None:
        schemas = {
            (item.event_type, item.schema_id)
            for item in items
            if isinstance(item, Arrived) and item.kind == "release"
        }
        if schemas:
            for projection in self._projections:
                projection.ready(schemas)

    def _apply(self, db: Connection, batch: Batch) -> Work:
        if self._generation is None:
            raise FencedError("claim() the sink before applying to it")
        position = self._ledger.fence(db, self._generation)
        fresh = [item for item in batch.items if item.sequence > position.sequence]
        old = [item.sequence for item in batch.items if item.sequence <= position.sequence]
        for offset, item in enumerate(fresh, start=1):
            if item.sequence != position.sequence + offset:
                raise ValueError("a batch continues at the sink's position, without gap")
        work = self._work(db, fresh, batch.received_at)
        self._take(db, work, fresh)
        self._ledger.set_aside.park_strangers(db, batch.strangers, work.at)
        for first, last in [*batch.repeated, *([(old[0], old[-1])] if old else [])]:
            self._ledger.owe_again(db, first, last)
        last = position.sequence
        if fresh:
            first, last = fresh[0].sequence, fresh[-1].sequence
            self._ledger.owe(db, first, last, work.exceptions, work.at)
        if last != position.sequence or batch.cursor != position.cursor:
            self._ledger.advance(db, Position(last, batch.cursor), work.at)
        return work
