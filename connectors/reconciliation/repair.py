"""Repair: differences made good from the copy, each under the partner's own lock.

An event is written anew as it was delivered: its row, timeline entry, holdings and evidence, and
the state of its case. What is kept on an own basis stays as it is. An event that a delivery
changed since the snapshot is left alone ("moved_on"), and so is a mapped row that such an event
fills: what the copy says of it may be old, and recalled. For every delivery made good the hub gets
a receipt that says `applied`, with the cause as its detail.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, exc

from connectors.holdings import Held
from connectors.reconciliation.compared import Difference, kept_own
from connectors.reconciliation.compared_mapped import columns_told, rows_by_key, typed
from connectors.reconciliation.compared_restricted import put_restricted
from connectors.reconciliation.log import Logged
from connectors.reconciliation.reconcile import Reconciliation
from connectors.reconciliation.replay import CopySink
from connectors.sink import ReceiptException, Removal
from connectors.sql import SqlSink
from connectors.tables.layout import table_name
from connectors.tables.row_digest import OWN_CLOCK
from connectors.tables.timeline import state_after

RECEIPT: Final = "reconciled_"
_CASE: Final = "nrm_case"
Row = dict[str, Any]


@dataclass
class _Page:
    """What one transaction does: cases to count anew, deliveries to tell the hub of."""

    at: datetime
    cases: set[str] = field(default_factory=set)
    good: dict[int, str] = field(default_factory=dict)  # sequence → cause
    logged: list[Logged] = field(default_factory=list)


class Repair:
    """Makes good what a reconciliation found."""

    def __init__(self, found: Reconciliation) -> None:
        self._found = found
        self._partner: SqlSink = found.partner
        self._copy: CopySink = found.copy

    def run(self, at: datetime, rows: int) -> dict[str, int]:
        """Repair all; returns outcome → how many. Each page is a transaction of its own."""
        counted: dict[str, int] = {}
        log = self._partner.reconciliations
        self._make_tables()
        with self._partner.database.writing() as db:
            log.passed(db, at, self._found.sequence, rows)
        for differences in self._found.differences.pages():
            page = _Page(at)
            with self._partner.database.writing() as db, self._copy.database.reading() as ours:
                self._partner.ledger.lock(db)
                for ref, about in groupby(differences, key=lambda one: one.ref):
                    self._one(db, ours, ref, list(about), page)
                for case in sorted(page.cases):
                    self._recount(db, case)
                self._tell_hub(db, page)
                log.tell(db, at, self._found.sequence, page.logged)
            for one in page.logged:
                counted[one.outcome] = counted.get(one.outcome, 0) + 1
        self._partner.database.wipe(True)
        return counted

    def _make_tables(self) -> None:
        """Tables and columns that are missing altogether, before anything is written."""
        wrong = self._found.differences.tables()
        tables, schemas = self._partner.tables, self._found.schemas
        tables.ready(
            (kind, schema.schema_id)
            for kind in tables.kinds()
            if table_name(kind) in wrong
            for schema in schemas.versions(kind)
        )

    def _one(
        self, db: Connection, ours: Connection, ref: str, about: list[Difference], page: _Page
    ) -> None:
        outcome = "repaired"
        cases = [one for one in about if one.table == _CASE]
        events = [one for one in about if one.table != _CASE]
        if cases:
            page.cases.add(ref)
        if events:
            if self._moved_on(db, ours, ref):
                outcome = "moved_on"
            else:
                mapped = [one for one in events if one.row or one.table == "nrm_mapped"]
                if len(mapped) < len(events):
                    self._event(db, ours, ref, page)
                outcome = self._mapped(db, ours, ref, mapped, outcome)
                if outcome == "repaired":
                    told = self._sequences(ours, ref)
                    page.good.update(dict.fromkeys(told, RECEIPT + events[0].cause))
        page.logged += [
            Logged(one.table, one.ref, one.cause, one.columns, outcome) for one in about
        ]

    # -- one event -----------------------------------------------------------------------------

    def _moved_on(self, db: Connection, ours: Connection, ref: str) -> bool:
        """Whether a delivery after the snapshot spoke of this event, at either side. A sequence
        behind the last delivery is none: somebody wrote it there."""
        since = self._found.sequence
        for sink, connection in ((self._partner, db), (self._copy, ours)):
            ledger = sink.ledger
            last = ledger.position(connection).sequence
            for table, named in (
                (ledger.holding, ledger.holding.c.event_ref),
                (ledger.tombstone, ledger.tombstone.c.event_ref),
                (ledger.correction, ledger.correction.c.corrects_event),
            ):
                query = sa.select(table.c.sequence).where(
                    named == ref, table.c.sequence > since, table.c.sequence <= last
                )
                if connection.execute(query.limit(1)).first() is not None:
                    return True
        return False

    def _row_moved_on(self, db: Connection, ours: Connection, one: Difference) -> bool:
        """The same of a mapped row, which several events may fill: whether any of them moved on."""
        filled = {
            ref
            for tables, connection in ((self._partner.mapped, db), (self._copy.mapped, ours))
            if tables is not None
            for ref in tables.writers.refs_of(connection, one.table, one.row)
        }
        return any(self._moved_on(db, ours, ref) for ref in sorted(filled))

    def _sequences(self, ours: Connection, ref: str) -> list[int]:
        """The deliveries that brought what is held of an event."""
        h = self._copy.ledger.holding.c
        query = sa.select(h.sequence).where(h.event_ref == ref).distinct()
        return sorted(int(one) for one in ours.execute(query).scalars())

    def _event(self, db: Connection, ours: Connection, ref: str, page: _Page) -> None:
        own = self._own(db, ours, ref)
        known = self._copy.ledger.holdings.held(ours, [ref]).get(ref)
        if known is None:
            known = self._partner.ledger.holdings.held(db, [ref]).get(ref)
        kind = known.event_type if known is not None else self._kind(db, ref)
        before = _row(db, self._partner.tables.timeline, ref)
        after = _row(ours, self._copy.tables.timeline, ref)
        if after is not None:
            received = before or self._content(db, kind, ref) or after
            after = {**after, OWN_CLOCK: received[OWN_CLOCK]}
        page.cases |= {str(one["case_ref"]) for one in (before, after) if one is not None}
        if kind and self._partner.tables.has(kind):
            self._write_content(db, ours, kind, ref, own)
        self._put_tombstones(db, ours, ref)
        put_restricted(self._partner, db, self._copy, ours, ref)
        if own:
            return  # the rest of it stands on what the hub can no longer tell
        _put(db, self._partner.tables.timeline, ref, [after] if after else [])
        books = [
            (self._partner.ledger.holding, self._copy.ledger.holding),
            (self._partner.ledger.evidence, self._copy.ledger.evidence),
            (self._partner.ledger.correction, self._copy.ledger.correction),
        ]
        self._put_books(db, ours, ref, books)

    def _put_tombstones(self, db: Connection, ours: Connection, ref: str) -> None:
        """When the partner took back what is recalled, only its own books know."""
        theirs, mine = self._partner.ledger.tombstone, self._copy.ledger.tombstone
        known = sa.select(theirs.c.category, theirs.c.recalled_at).where(theirs.c.event_ref == ref)
        since = {row.category: row.recalled_at for row in db.execute(known)}
        rows = ours.execute(sa.select(mine).where(mine.c.event_ref == ref)).mappings()
        kept = [
            {**row, "recalled_at": since.get(row["category"], row["recalled_at"])} for row in rows
        ]
        _put(db, theirs, ref, kept)

    @staticmethod
    def _put_books(
        db: Connection, ours: Connection, ref: str, tables: Sequence[tuple[sa.Table, sa.Table]]
    ) -> None:
        for theirs, mine in tables:
            rows = ours.execute(sa.select(mine).where(mine.c.event_ref == ref)).mappings()
            _put(db, theirs, ref, [dict(row) for row in rows])

    def _own(self, db: Connection, ours: Connection, ref: str) -> frozenset[str]:
        return kept_own(self._partner, db, self._copy, ours, ref)

    def _kind(self, db: Connection, ref: str) -> str:
        """The type of an event that nobody holds: of the timeline, or of the table it stands in."""
        t = self._partner.tables.timeline.c
        known = db.execute(sa.select(t.event_type).where(t.event_ref == ref)).scalar()
        if known is not None:
            return str(known)
        there = set(sa.inspect(db).get_table_names(schema=self._partner.tables.timeline.schema))
        for kind in self._partner.tables.kinds():
            table = self._partner.tables.whole_layout(kind).table
            if table.name in there:
                query = sa.select(table.c.event_ref).where(table.c.event_ref == ref)
                if db.execute(query).first() is not None:
                    return kind
        return ""

    def _content(self, db: Connection, kind: str, ref: str) -> Row | None:
        if not kind or not self._partner.tables.has(kind):
            return None
        table = self._partner.tables.whole_layout(kind).table
        there = sa.inspect(db)
        if not there.has_table(table.name, schema=table.schema):
            return None
        known = {c["name"] for c in there.get_columns(table.name, schema=table.schema)}
        query = sa.select(*(c for c in table.columns if c.name in known))
        found = db.execute(query.where(table.c.event_ref == ref)).mappings().one_or_none()
        return None if found is None else dict(found)

    def _write_content(
        self, db: Connection, ours: Connection, kind: str, ref: str, own: frozenset[str]
    ) -> None:
        layout = self._copy.tables.whole_layout(kind)
        before, ought = self._content(db, kind, ref), _row(ours, layout.table, ref)
        if own and (before is None or ought is None):
            return
        table = self._partner.tables.whole_layout(kind).table
        if ought is None:
            db.execute(table.delete().where(table.c.event_ref == ref))
            return
        if before is not None:
            ought[OWN_CLOCK] = before[OWN_CLOCK]
            left = [c for c in before["categories"] or () if c not in own]
            spoken = [t.column for p in layout.columns_of(own, left).values() for t in p]
            if own:
                for column in (*spoken, "categories", "bases", "sequence"):
                    ought[column] = before.get(column)
        else:
            stands = _row(db, self._partner.tables.timeline, ref)
            if stands is not None:
                ought[OWN_CLOCK] = stands[OWN_CLOCK]
        _put(db, table, ref, [ought])

    def _recount(self, db: Connection, case_ref: str) -> None:
        timeline, case = self._partner.tables.timeline, self._partner.tables.case
        query = sa.select(timeline).where(timeline.c.case_ref == case_ref)
        state: Row | None = None
        for row in db.execute(query.order_by(timeline.c.sequence)):
            state = state_after(state, dict(row._mapping))
        db.execute(case.delete().where(case.c.case_ref == case_ref))
        if state is not None:
            db.execute(case.insert().values(state))

    # -- mapped tables -------------------------------------------------------------------------

    def _mapped(
        self,
        db: Connection,
        ours: Connection,
        ref: str,
        about: Sequence[Difference],
        outcome: str,
    ) -> str:
        theirs, mine = self._partner.mapped, self._copy.mapped
        if not about or theirs is None or mine is None:
            return outcome
        for one in about:
            if one.table == "nrm_mapped":
                recalled = self._recalled(ours, ref, one)
                if recalled:  # the connector filled it and could not take it back
                    theirs.remove(db, recalled)
                elif one.cause == "added" and self._never_delivered(ours, ref, one):
                    theirs.writers.drop(db, ref, one.columns)
                elif one.cause == "added":
                    # Of a map that is gone, perhaps: then the next recall has to find it here.
                    outcome = "by_hand"
                    continue
                rows = ours.execute(sa.select(mine.mapped).where(mine.mapped.c.event_ref == ref))
                own = self._own(db, ours, ref)
                kept = [dict(row) for row in rows.mappings()]
                kept = [row for row in kept if not own or row["category"] not in ("", *own)]
                _put_writers(db, theirs.mapped, kept)
                continue
            if self._row_moved_on(db, ours, one):
                outcome = "moved_on"
                continue
            partner = theirs.partner(one.table)
            filled = rows_by_key(ours, mine.partner(one.table), [one.row])[one.row]
            columns = one.columns or tuple(filled)
            values = {
                name: None
                if filled[name] is None
                else typed(partner.table.c[name].type, filled[name])
                for name in columns
                if name not in partner.keys
            }
            try:
                with db.begin_nested():  # what the partner's own constraints refuse stays alone
                    if one.cause == "missing":
                        place = dict(zip(partner.keys, partner.place(one.row), strict=True))
                        db.execute(partner.table.insert().inline().values({**place, **values}))
                    else:
                        condition = partner.row(one.row)
                        db.execute(partner.table.update().where(*condition).values(values))
            except (exc.IntegrityError, exc.DataError):
                outcome = "by_hand"
        return outcome

    def _never_delivered(self, ours: Connection, ref: str, one: Difference) -> bool:
        """Whether no delivery ever brought this event, or this category of it: then no recall will
        ask for it either."""
        known: set[str] = set()
        for table in (self._copy.ledger.holding, self._copy.ledger.tombstone):
            query = sa.select(table.c.category).where(table.c.event_ref == ref)
            known.update(ours.execute(query).scalars())
        untold = self._copy.untold.c
        if ours.execute(sa.select(untold.event_ref).where(untold.event_ref == ref)).first():
            return False
        return not known or (set(one.columns).isdisjoint({"", *known}) and bool(one.columns))

    def _recalled(self, ours: Connection, ref: str, one: Difference) -> Removal | None:
        """What a recall ought to have taken out of a mapped row, if the copy knows of one."""
        t = self._copy.ledger.tombstone.c
        gone = sa.select(t.category).where(t.event_ref == ref, t.category.in_(one.columns))
        if one.cause != "added" or ours.execute(gone).first() is None:
            return None
        held = self._copy.ledger.holdings.held(ours, [ref]).get(ref, Held())
        return Removal(ref, held.event_type, held.case_ref, one.columns, dict(held.bases))

    # -- receipts ------------------------------------------------------------------------------

    def _tell_hub(self, db: Connection, page: _Page) -> None:
        """A receipt for each run of deliveries made good, nothing else in between."""
        ledger = self._partner.ledger
        run: list[int] = []
        for sequence in [*sorted(page.good), None]:
            if run and (sequence is None or sequence != run[-1] + 1):
                told = [ReceiptException(n, "applied", detail=page.good[n]) for n in run]
                ledger.owe(db, run[0], run[-1], told, page.at)
                run = []
            if sequence is not None:
                run.append(sequence)


def _put_writers(db: Connection, mapped: sa.Table, rows: Sequence[Row]) -> None:
    """These rows of nrm_mapped, each with the columns that a mapping of before filled besides."""
    m = mapped.c
    for row in rows:
        mine = [m[one] == row[one] for one in ("event_ref", "table_name", "category")]
        same = db.execute(sa.select(m.columns).where(*mine, m.row_key == row["row_key"])).scalar()
        filled = {*json.loads(row["columns"]), *columns_told(same)}
        db.execute(mapped.delete().where(*mine))
        db.execute(mapped.insert().values({**row, "columns": json.dumps(sorted(filled))}))


def _row(db: Connection, table: sa.Table, ref: str) -> Row | None:
    query = sa.select(table).where(table.c.event_ref == ref)
    found = db.execute(query).mappings().one_or_none()
    return None if found is None else dict(found)


def _put(db: Connection, table: sa.Table, ref: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """These rows of an event, and no others of it."""
    db.execute(table.delete().where(table.c.event_ref == ref))
    if rows:
        names = {c.name for c in table.columns}
        db.execute(table.insert(), [{k: v for k, v in row.items() if k in names} for row in rows])
