"""Effects: what deliveries do to what a partner holds, whatever the partner's tables are.

    releases  → tombstones asked → projections add → holdings and evidence
    recall    → own basis kept, the rest removed from projections, holdings, evidence, quarantine
    correction→ kept as an event of its own, and applied to the event it corrects, if that is held

All inside a transaction that the caller opened (`connectors/landing.py`). A `Projection` is where
content goes: default tables, mapped tables or a file. It is told what to add, remove and correct;
it decides nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import Connection

from connectors.corrections import correction_parts
from connectors.delivery import Arrived, Poison, Recall
from connectors.holdings import Held
from connectors.ledger import Ledger
from connectors.sink import Addition, Correction, RecallPolicy, ReceiptException, Removal


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


class Effects:
    """Of one partner's deliveries: on its projections, and in its ledger."""

    def __init__(
        self,
        ledger: Ledger,
        projections: Sequence[Projection],
        recalls: RecallPolicy | None = None,
    ) -> None:
        self._ledger = ledger
        self._projections = projections
        self._recalls = recalls or RecallPolicy()

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
        ref, categories = event.event_ref, event.categories
        held = work.held.get(ref)
        if held is not None or work.buried:
            since = {} if held is None else held.since
            categories = tuple(
                category
                for category in categories
                if work.buried.get((ref, category), -1) < event.sequence
                and since.get(category, -1) <= event.sequence
            )
        if not categories:
            return  # all of it recalled or released anew since, or the person erased
        if held is None:
            held = work.held[ref] = Held(event.event_type, event.case_ref)
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
        holdings, recall = self._ledger.holdings, item.recall
        restrict = recall.action == "restrict" or (
            recall.action == "delete_or_restrict" and self._recalls.prefer == "restrict"
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
