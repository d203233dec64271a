"""Landing: what a batch of deliveries does to a partner, whatever the partner's tables are.

    releases  → tombstones asked → projections add → holdings and evidence
    recall    → own basis kept, the rest removed from projections, holdings, evidence, quarantine
    correction→ kept as an event of its own, and applied to the event it corrects, if that is held

All in the one transaction the caller opened, with the sequence fence first and the receipt last.
A `Projection` is where content goes: default tables, mapped tables or a file. It is told what to
add, remove and correct; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from sqlalchemy import Connection

from connectors import crash
from connectors.corrections import correction_parts
from connectors.dead_letters import a_recall
from connectors.delivery import Arrived, Poison, Recall
from connectors.errors import FencedError
from connectors.holdings import Held
from connectors.ledger import Ledger
from connectors.sink import (
    Addition,
    Aside,
    Batch,
    Correction,
    OwedReceipt,
    Position,
    Quarantined,
    RecallPolicy,
    ReceiptException,
    Removal,
)
from schemas import wire


class Projection(Protocol):
    """One form in which content is stored. All calls are inside the sink's transaction.

    ready() is called before it, with the schemas of the events to come, to create what is missing.
    add() must be idempotent; a category that is not in an addition must be left as it is.
    read() gives back the content of categories about to be removed, as far as it can.
    """

    def ready(self, schemas: Iterable[tuple[str, bytes]]) -> None: ...

    def add(self, db: Connection, additions: Sequence[Addition]) -> None: ...

    def remove(self, db: Connection, removal: Removal) -> None: ...

    def read(self, db: Connection, removal: Removal) -> Mapping[str, Mapping[str, Any]]: ...

    def correct(self, db: Connection, correction: Correction) -> None: ...


class Database(Protocol):
    """Where transactions come from. `writing` locks out other writers from its first statement."""

    def writing(self) -> AbstractContextManager[Connection]: ...

    def reading(self) -> AbstractContextManager[Connection]: ...


@dataclass
class Work:
    """State of one transaction: what is held and buried, and what waits to be written."""

    at: datetime
    held: dict[str, Held]
    buried: dict[tuple[str, str], int]
    waiting: list[Addition] = field(default_factory=list)
    poison: list[Poison] = field(default_factory=list)
    exceptions: list[ReceiptException] = field(default_factory=list)
    recalled: bool = False


class LandingSink:
    """A Sink over a ledger and projections. Subclasses bring the database and the projections."""

    def __init__(
        self,
        database: Database,
        ledger: Ledger,
        projections: Sequence[Projection],
        recalls: RecallPolicy | None = None,
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._projections = projections
        self._recalls = recalls or RecallPolicy()
        self._generation: int | None = None

    def claim(self) -> int:
        with self._database.writing() as db:
            generation = self._ledger.claim(db, datetime.now(UTC))
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

    def _work(self, db: Connection, items: Sequence[Arrived | Poison], at: datetime) -> Work:
        refs = {item.event_ref for item in items if item.event_ref}
        for item in items:
            if isinstance(item, Arrived) and item.recall is not None:
                refs.update(ref for ref, _ in item.recall.items)
        holdings = self._ledger.holdings
        return Work(at, holdings.held(db, refs), holdings.tombstones(db, refs))

    def _take(self, db: Connection, work: Work, items: Sequence[Arrived | Poison]) -> None:
        for item in items:
            if isinstance(item, Poison):
                work.poison.append(item)
                work.exceptions.append(
                    ReceiptException(item.sequence, "quarantined", detail=item.reason)
                )
            elif item.recall is not None:
                self._flush(db, work)  # a recall reaches what stands before it, in quarantine too
                self._recall(db, work, item, item.recall)
            else:
                self._release(work, item)
        self._flush(db, work)

    # -- releases --------------------------------------------------------------------------

    @staticmethod
    def _release(work: Work, event: Arrived) -> None:
        since = work.held.get(event.event_ref, _NOTHING).since
        categories = tuple(
            category
            for category in event.categories
            if work.buried.get((event.event_ref, category), -1) < event.sequence
            and since.get(category, -1) <= event.sequence
        )
        if not categories:
            return  # all of it recalled or released anew since, or the person erased
        held = work.held.setdefault(event.event_ref, Held(event.event_type, event.case_ref))
        work.waiting.append(Addition(event, categories, dict(held.bases), work.at))
        for category in categories:
            held.bases[category] = event.bases[category]
            held.since[category] = event.sequence

    def _flush(self, db: Connection, work: Work) -> None:
        self._ledger.set_aside.park(db, work.poison, work.at, work.buried)
        work.poison = []
        additions, work.waiting = work.waiting, []
        if not additions:
            return
        for projection in self._projections:
            projection.add(db, additions)
        self._ledger.holdings.add(db, additions)
        self._corrections(db, work, additions)

    def _corrections(self, db: Connection, work: Work, additions: Sequence[Addition]) -> None:
        """Apply corrections that came now to events held, and earlier ones to events new now."""
        affected: dict[str, set[str]] = {}
        for addition in additions:
            affected.setdefault(addition.event.event_ref, set()).update(addition.categories)
        parts = [part for addition in additions for part in correction_parts(addition)]
        if parts:
            complete = self._ledger.corrections.keep(db, parts)
            work.held.update(self._ledger.holdings.held(db, set(complete) - set(work.held)))
            for corrects, categories in complete.items():
                present = categories & set(work.held.get(corrects, _NOTHING).bases)
                if present:
                    affected.setdefault(corrects, set()).update(present)
        for correction in self._ledger.corrections.told_of(db, work.held, affected):
            for projection in self._projections:
                projection.correct(db, correction)

    # -- recalls ---------------------------------------------------------------------------

    def _recall(self, db: Connection, work: Work, item: Arrived, recall: Recall) -> None:
        """Every item is answered for: `<event_ref> <categories>`, and the law if it is kept."""
        work.recalled = True
        outcomes: dict[tuple[str, str], None] = {}
        for event_ref, categories in recall.items:
            held = work.held.get(event_ref, _NOTHING)
            # What was released since stands on that release, and no law of ours has to keep it.
            kept = {
                category: basis
                for category in categories
                if held.since.get(category, item.sequence) < item.sequence
                and (basis := self._recalls.own_basis.get(category)) is not None
            }
            for category, basis in kept.items():
                self._ledger.holdings.set_basis(db, event_ref, category, f"own:{basis}"[:200])
                held.bases[category] = f"own:{basis}"
                outcomes["kept_own_basis", f"{event_ref} {category}: {basis}"] = None
            gone = tuple(category for category in categories if category not in kept)
            if gone:
                outcome = self._remove(db, work, item, (event_ref, gone))
                outcomes[outcome, f"{event_ref} {', '.join(gone)}"] = None
            self._bury(db, work, item, (event_ref, categories))
        told: list[tuple[str, str | None]] = [*outcomes] or [("deleted", None)]
        work.exceptions += [
            ReceiptException(item.sequence, outcome, recall.recall_ref, detail)
            for outcome, detail in told
        ]

    def _remove(
        self,
        db: Connection,
        work: Work,
        item: Arrived,
        about: tuple[str, tuple[str, ...]],
    ) -> str:
        """Take these categories of one event away; returns the outcome to tell."""
        assert item.recall is not None
        event_ref, gone = about
        holdings, action = self._ledger.holdings, item.recall.action
        restrict = action == "restrict" or (
            action == "delete_or_restrict" and self._recalls.prefer == "restrict"
        )
        outcome = "deleted"
        held = work.held.get(event_ref)
        # A recall that was quarantined and redriven late must not take what was released since.
        present = tuple(
            c
            for c in gone
            if held is not None and c in held.bases and held.since[c] < item.sequence
        )
        if held is not None and present:
            for category in present:
                del held.bases[category]
            removal = Removal(event_ref, held.event_type, held.case_ref, present, dict(held.bases))
            if restrict:
                content: dict[str, Mapping[str, Any]] = {}
                for projection in self._projections:
                    content.update(projection.read(db, removal))
                if content:
                    holdings.restrict(db, event_ref, content, item.sequence)
                    outcome = "restricted"
            for projection in self._projections:
                projection.remove(db, removal)
        # Nor what it told of others.
        since = () if held is None else held.bases
        taken = tuple(category for category in gone if category not in since)
        holdings.remove(db, event_ref, taken)
        if not restrict:
            holdings.forget_restricted(db, event_ref, gone)
        self._uncorrect(db, work, item.sequence, (event_ref, taken))
        return outcome

    def _bury(
        self, db: Connection, work: Work, item: Arrived, about: tuple[str, tuple[str, ...]]
    ) -> None:
        """No earlier delivery brings these back, also of what is kept: that is as it was held."""
        assert item.recall is not None
        event_ref, categories = about
        self._ledger.set_aside.purge(db, event_ref, before=item.sequence)
        self._ledger.holdings.bury(
            db,
            event_ref,
            categories,
            sequence=item.sequence,
            recall_ref=item.recall.recall_ref,
            at=work.at,
        )
        for category in categories:
            place = (event_ref, category)
            work.buried[place] = max(work.buried.get(place, -1), item.sequence)

    def _uncorrect(
        self, db: Connection, work: Work, sequence: int, about: tuple[str, tuple[str, ...]]
    ) -> None:
        """If what was recalled is a correction, the corrected value goes too."""
        dropped = self._ledger.corrections.drop(db, *about)
        if dropped is None:
            return
        corrects, category, name = dropped
        self._ledger.holdings.uncorrect_restricted(db, corrects, category, name)
        if corrects not in work.held:
            work.held.update(self._ledger.holdings.held(db, [corrects]))
        corrected = work.held.get(corrects, _NOTHING)
        if category in corrected.bases:
            correction = Correction(corrects, corrected.event_type, name, None, sequence)
            for projection in self._projections:
                projection.correct(db, correction)


_NOTHING = Held()
