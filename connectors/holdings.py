"""Holdings: what the partner holds now, on which basis, by whose word, and what was taken back.

By event and category. A tombstone stands for a category that was recalled: nothing sent before the
recall brings it back. What a recall restricts is out of the partner's tables and kept here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.delivery import Arrived
from connectors.opening.evidence import without
from connectors.sink import Addition
from connectors.tables.as_written import as_written
from connectors.tables.bulk import among, insert_columns
from connectors.tables.ledger_tables import LedgerTables, instant


@dataclass(slots=True)
class Held:
    """An event as held: what it is, and by category its basis and the sequence it came with."""

    event_type: str = ""
    case_ref: str = ""
    bases: dict[str, str] = field(default_factory=dict)
    since: dict[str, int] = field(default_factory=dict)


def _kept(event: Arrived, categories: Sequence[str]) -> bytes | None:
    """What is kept of its evidence, when these of its categories are written."""
    if event.evidence is None or len(categories) == len(event.categories):
        return event.evidence
    return without(event.evidence, set(event.categories) - set(categories))


class Holdings:
    """Of one partner, in the ledger's tables. Inside the caller's transaction."""

    def __init__(self, tables: LedgerTables) -> None:
        self._holding = tables.holding
        self._evidence = tables.evidence
        self._tombstone = tables.tombstone
        self._restricted = tables.restricted

    def known_events(self, db: Connection) -> list[str]:
        """The refs of all events that are held now or were recalled."""
        held, gone = self._holding.c.event_ref, self._tombstone.c.event_ref
        return sorted(db.execute(sa.union(sa.select(held), sa.select(gone))).scalars())

    @as_written
    def held(self, db: Connection, refs: Iterable[str]) -> dict[str, Held]:
        """What is held of these events."""
        found: dict[str, Held] = {}
        h = self._holding.c
        for these in among(db, h.event_ref, refs):
            query = sa.select(
                h.event_ref, h.category, h.basis, h.event_type, h.case_ref, h.sequence
            )
            for ref, category, basis, event_type, case_ref, sequence in db.execute(
                query.where(these)
            ):
                held = found.setdefault(ref, Held(event_type, case_ref))
                held.bases[category] = basis
                held.since[category] = int(sequence)
        return found

    @as_written
    def tombstones(self, db: Connection, refs: Iterable[str]) -> dict[tuple[str, str], int]:
        """(event_ref, category) → sequence of the recall."""
        found: dict[tuple[str, str], int] = {}
        t = self._tombstone.c
        for these in among(db, t.event_ref, refs):
            query = sa.select(t.event_ref, t.category, t.sequence).where(these)
            found.update({(ref, category): int(s) for ref, category, s in db.execute(query)})
        return found

    def add(self, db: Connection, additions: Sequence[Addition]) -> None:
        """Holdings and evidence of what was just written."""
        new: list[tuple[Any, ...]] = []
        again: list[tuple[Any, ...]] = []
        statements: dict[tuple[str, int], bytes] = {}
        for addition in additions:
            event, before = addition.event, addition.before
            ref, kind, case, sequence = (
                event.event_ref,
                event.event_type,
                event.case_ref,
                event.sequence,
            )
            for category in addition.categories:
                row = (ref, category, event.bases[category], kind, case, sequence)
                (again if category in before else new).append(row)
            if (kept := _kept(event, addition.categories)) is not None:
                statements[ref, sequence] = kept
        if new:
            names = (column.name for column in self._holding.columns)
            columns = zip(*new, strict=True)
            insert_columns(db, self._holding, dict(zip(names, columns, strict=True)))
        h = self._holding.c
        for ref, category, basis, _, _, sequence in again:
            db.execute(
                self._holding.update()
                .where(h.event_ref == ref, h.category == category)
                .values(basis=basis, sequence=sequence)
            )
        if statements:
            refs, sequences = zip(*statements, strict=True)
            told = {"event_ref": refs, "sequence": sequences, "statement": [*statements.values()]}
            insert_columns(db, self._evidence, told)

    def set_basis(self, db: Connection, event_ref: str, category: str, basis: str) -> None:
        h = self._holding.c
        db.execute(
            self._holding.update()
            .where(h.event_ref == event_ref, h.category == category)
            .values(basis=basis)
        )

    @as_written
    def remove(self, db: Connection, event_ref: str, categories: Sequence[str]) -> None:
        """Holdings and evidence of these categories; the statement goes with the last of them."""
        h, e = self._holding.c, self._evidence.c
        db.execute(
            self._holding.delete().where(h.event_ref == event_ref, h.category.in_(categories))
        )
        query = sa.select(e.sequence, e.statement).where(e.event_ref == event_ref)
        for sequence, kept in db.execute(query).all():
            mine = (e.event_ref == event_ref, e.sequence == sequence)
            less = without(kept, categories)
            if less is None:
                db.execute(self._evidence.delete().where(*mine))
            else:
                db.execute(self._evidence.update().where(*mine).values(statement=less))

    def bury(
        self,
        db: Connection,
        event_ref: str,
        categories: Sequence[str],
        *,
        sequence: int,
        recall_ref: str,
        at: datetime,
    ) -> None:
        """Tombstones: nothing below `sequence` brings these back."""
        t = self._tombstone.c
        db.execute(
            self._tombstone.delete().where(
                t.event_ref == event_ref, t.category.in_(categories), t.sequence <= sequence
            )
        )
        kept = self.tombstones(db, [event_ref])  # of a later recall, when this one is redriven
        rows = [
            {
                "event_ref": event_ref,
                "category": category,
                "sequence": sequence,
                "recall_ref": recall_ref,
                "recalled_at": instant(at),
            }
            for category in categories
            if (event_ref, category) not in kept
        ]
        if rows:
            db.execute(self._tombstone.insert(), rows)

    def restrict(
        self, db: Connection, event_ref: str, content: Mapping[str, Any], sequence: int
    ) -> None:
        r = self._restricted.c
        for category, values in content.items():
            db.execute(
                self._restricted.delete().where(r.event_ref == event_ref, r.category == category)
            )
            db.execute(
                self._restricted.insert().values(
                    event_ref=event_ref,
                    category=category,
                    sequence=sequence,
                    content=json.dumps(values, default=str),
                )
            )

    def forget_restricted(self, db: Connection, event_ref: str, categories: Sequence[str]) -> None:
        r = self._restricted.c
        db.execute(
            self._restricted.delete().where(r.event_ref == event_ref, r.category.in_(categories))
        )

    def uncorrect_restricted(
        self, db: Connection, event_ref: str, category: str, field: str
    ) -> None:
        """The value of a field leaves what is restricted too, whatever columns it had."""
        r = self._restricted.c
        mine = (r.event_ref == event_ref, r.category == category)
        kept = db.execute(sa.select(r.content).where(*mine)).scalar()
        if kept is not None:
            names = {field, *(f"{field}_{end}" for end in ("stated", "amount", "currency"))}
            content = {
                name: None if name in names else value for name, value in json.loads(kept).items()
            }
            db.execute(self._restricted.update().where(*mine).values(content=json.dumps(content)))
