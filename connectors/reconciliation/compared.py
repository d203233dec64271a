"""Compared: a partner's tables against a copy that had every delivery once, row by row.

    missing              the row ought to be there and is not, nor does anything say it was held
    holding_without_row  nrm_holding says it is held, but there is no such row
    row_without_holding  the row is there, but nrm_holding does not say so
    altered              columns hold something else
    added                a row that no delivery brought

A difference names table, row and columns, never what they hold. The partner's own clock
(`received_at`) is not compared; what is kept on an own basis the hub can no longer tell and is
left out; where a delivery came out of quarantine late, the sequence of the last delivery may be
another. Both sides are read in pages by their keys: memory is flat.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.reconciliation.replay import CopySink
from connectors.sql import SqlSink
from connectors.tables.layout import Layout
from connectors.tables.row_digest import OWN_CLOCK, plain

PAGE: Final = 400
CAUSES: Final[Mapping[str, str]] = {
    "missing": "the row ought to be there and is not",
    "holding_without_row": "nrm_holding says it is held, but there is no such row",
    "row_without_holding": "the row is there, but nrm_holding does not say so",
    "altered": "columns hold something else than was delivered",
    "added": "no delivery brought this row",
}
_SEQUENCES: Final = frozenset({"sequence", "last_sequence"})
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not as it ought to be. ref: event_ref, or case_ref of a row of nrm_case.

    columns: those that differ; of nrm_holding the categories. row: the row's key in a mapped table.
    """

    table: str
    ref: str
    cause: str
    columns: tuple[str, ...] = ()
    row: str = ""


@dataclass(frozen=True)
class Sides:
    """The partner's sink and the copy, each with an open connection to read from."""

    partner: SqlSink
    theirs: Connection
    copy: CopySink
    ours: Connection

    def late(self) -> frozenset[int]:
        """Sequences that came out of the partner's quarantine, out of their order."""
        q = self.partner.ledger.quarantine.c
        query = sa.select(q.sequence).where(q.state == "redriven", q.sequence.is_not(None))
        return frozenset(int(one) for one in self.theirs.execute(query).scalars())

    def own(self, ref: str) -> frozenset[str]:
        """Categories of an event that the partner keeps on an own basis."""
        return kept_own(self.partner, self.theirs, self.copy, self.ours, ref)

    def unsure(self, ref: str) -> bool:
        """Whether a correction in this event's case can no longer be told. Where it was recalled it
        left its field empty, and nothing says which field that was."""
        h, u = self.copy.ledger.holding.c, self.copy.untold.c
        query = sa.select(h.event_ref).where(h.event_ref == ref, h.case_ref == u.corrects_in)
        return self.ours.execute(query.limit(1)).first() is not None

    def held(self, ref: str) -> bool:
        h = self.partner.ledger.holding.c
        query = sa.select(h.category).where(h.event_ref == ref).limit(1)
        return self.theirs.execute(query).first() is not None


def kept_own(
    partner: SqlSink, theirs: Connection, copy: SqlSink, ours: Connection, ref: str
) -> frozenset[str]:
    """Categories of an event that the partner's books keep on an own basis, as an answer to a
    recall. Where none was recalled there is nothing to keep: somebody wrote that basis there."""
    h, t = partner.ledger.holding.c, copy.ledger.tombstone.c
    query = sa.select(h.category).where(h.event_ref == ref, h.basis.like("own:%"))
    kept = frozenset(theirs.execute(query).scalars())
    if not kept:
        return kept
    recalled = sa.select(t.category).where(t.event_ref == ref)
    return kept & frozenset(ours.execute(recalled).scalars())


class Comparison:
    """One pass over every table of the connector. `rows`: how many of the partner's were read."""

    def __init__(self, sides: Sides) -> None:
        self._sides = sides
        self._late = sides.late()
        self.rows = 0
        self.kept = 0  # on an own basis: not told by anything the hub still has

    def differences(self) -> Iterator[Difference]:
        sides = self._sides
        inspector = sa.inspect(sides.theirs)
        for kind in sides.copy.tables.kinds():
            layout = sides.copy.tables.whole_layout(kind)
            theirs = sides.partner.tables.whole_layout(kind).table
            there = (
                {c["name"] for c in inspector.get_columns(theirs.name, schema=theirs.schema)}
                if inspector.has_table(theirs.name, schema=theirs.schema)
                else set()
            )
            yield from self._events(layout, theirs, there)
        yield from self._plain(sides.partner.tables.timeline, sides.copy.tables.timeline)
        yield from self._plain(sides.partner.tables.case, sides.copy.tables.case)
        yield from self._holdings()
        yield from self._evidence()
        yield from self._tombstones()
        yield from self._corrections()

    # -- default tables ------------------------------------------------------------------------

    def _events(self, layout: Layout, theirs: sa.Table, there: set[str]) -> Iterator[Difference]:
        ours = layout.table
        present = sa.inspect(self._sides.ours).has_table(ours.name)
        columns = [c for c in ours.columns if c.name in there and c.name != OWN_CLOCK]
        missing_columns = [c for c in ours.columns if c.name not in there]
        if there:
            chosen = [theirs.c[c.name] for c in columns]
            for page in pages(self._sides.theirs, theirs, ("event_ref",), chosen):
                self.rows += len(page)
                refs = [row["event_ref"] for row in page]
                known = (
                    by_key(self._sides.ours, ours, ("event_ref",), refs, columns) if present else {}
                )
                for row in page:
                    yield from self._event(layout, row, known.get(row["event_ref"]))
        if not present:
            return
        for page in pages(self._sides.ours, ours, ("event_ref",), [ours.c.event_ref]):
            refs = [row["event_ref"] for row in page]
            found = (
                by_key(self._sides.theirs, theirs, ("event_ref",), refs, [theirs.c.event_ref])
                if there
                else {}
            )
            for ref in refs:
                if ref not in found:
                    cause = "holding_without_row" if self._sides.held(ref) else "missing"
                    yield Difference(theirs.name, ref, cause)
        if there and missing_columns:
            yield from self._unfilled(layout, missing_columns)

    def _unfilled(self, layout: Layout, columns: Sequence[sa.Column[Any]]) -> Iterator[Difference]:
        """Rows that ought to fill columns which the partner's table has not."""
        for column in columns:
            if column.name in layout.table.c:
                filled = layout.table.c[column.name].is_not(None)
                query = sa.select(layout.table.c.event_ref).where(filled)
                for ref in self._sides.ours.execute(query).scalars():
                    yield Difference(layout.table.name, ref, "altered", (column.name,))

    def _event(self, layout: Layout, row: Row, ought: Row | None) -> Iterator[Difference]:
        ref, name = str(row["event_ref"]), layout.table.name
        if ought is not None:
            differing = self._differing(row, ought)
            if any(row.get(name) is None for name in differing) and self._sides.unsure(ref):
                differing = tuple(name for name in differing if row.get(name) is not None)
            if not differing:
                return
        own = self._sides.own(ref)
        if own:
            self.kept += 1
            left = [c for c in row["categories"] or () if c not in own]
            spoken = {
                t.column for parts in layout.columns_of(own, left).values() for t in parts
            } | {"categories", "bases", "sequence"}
            if ought is None:
                return
            differing = tuple(column for column in differing if column not in spoken)
            if not differing:
                return
        if ought is None:
            yield Difference(name, ref, "added")
        else:
            yield Difference(name, ref, "altered", differing)

    def _plain(self, theirs: sa.Table, ours: sa.Table) -> Iterator[Difference]:
        """Timeline and cases: their own columns are all there is."""
        key = next(c.name for c in ours.primary_key)
        columns = [c for c in ours.columns if c.name != OWN_CLOCK]
        chosen = [theirs.c[c.name] for c in columns]
        for page in pages(self._sides.theirs, theirs, (key,), chosen):
            self.rows += len(page)
            refs = [row[key] for row in page]
            known = by_key(self._sides.ours, ours, (key,), refs, columns)
            for row in page:
                ref = str(row[key])
                ought = known.get(ref)
                if ought is None:
                    if not self._kept(key, ref):
                        yield Difference(theirs.name, ref, "added")
                    continue
                differing = self._differing(row, ought)
                if differing and not self._kept(key, ref):
                    yield Difference(theirs.name, ref, "altered", differing)
        for page in pages(self._sides.ours, ours, (key,), [ours.c[key]]):
            refs = [row[key] for row in page]
            found = by_key(self._sides.theirs, theirs, (key,), refs, [theirs.c[key]])
            for ref in refs:
                if ref not in found:
                    yield Difference(theirs.name, str(ref), "missing")

    def _kept(self, key: str, ref: str) -> bool:
        """Whether something of this event or case is kept on an own basis."""
        if key == "event_ref":
            return bool(self._sides.own(ref))
        h = self._sides.partner.ledger.holding.c
        query = sa.select(h.event_ref).where(h.case_ref == ref, h.basis.like("own:%")).distinct()
        return any(self._sides.own(one) for one in self._sides.theirs.execute(query).scalars())

    def _differing(self, row: Row, ought: Row) -> tuple[str, ...]:
        differing = tuple(name for name in ought if not same(ought[name], row.get(name)))
        if differing and set(differing) <= _SEQUENCES | {"last_event_ref", "last_event_type"}:
            told = {side[name] for side in (row, ought) for name in _SEQUENCES if name in side}
            if told & self._late:
                return ()
        return differing

    # -- holdings and evidence -----------------------------------------------------------------

    def _holdings(self) -> Iterator[Difference]:
        theirs, ours = self._sides.partner.ledger.holding, self._sides.copy.ledger.holding
        key = ("event_ref", "category")
        columns = [*ours.columns]
        for page in pages(self._sides.theirs, theirs, key, [*theirs.columns]):
            self.rows += len(page)
            refs = sorted({row["event_ref"] for row in page}, key=str)
            known = by_key(self._sides.ours, ours, key, refs, columns)
            for row in page:
                ref, category = str(row["event_ref"]), str(row["category"])
                if category in self._sides.own(ref):
                    continue
                ought = known.get((ref, category))
                if ought is None:
                    there = self._row_of(self._sides.theirs, self._sides.partner, row)
                    cause = "added" if there else "holding_without_row"
                    yield Difference(theirs.name, ref, cause, (category,))
                elif self._differing(row, ought):
                    yield Difference(theirs.name, ref, "altered", (category,))
        for page in pages(self._sides.ours, ours, key, [*ours.columns]):
            refs = sorted({row["event_ref"] for row in page}, key=str)
            found = by_key(self._sides.theirs, theirs, key, refs, [theirs.c[one] for one in key])
            for row in page:
                place = (row["event_ref"], row["category"])
                if place not in found:
                    there = self._row_of(self._sides.theirs, self._sides.partner, row)
                    cause = "row_without_holding" if there else "missing"
                    yield Difference(theirs.name, str(row["event_ref"]), cause, (row["category"],))

    @staticmethod
    def _row_of(db: Connection, sink: SqlSink, holding: Row) -> bool:
        """Whether the event a holding speaks of has a row: its timeline entry, or its own row."""
        timeline = sink.tables.timeline
        tables = [timeline]
        if sink.tables.has(str(holding["event_type"])):
            table = sink.tables.whole_layout(str(holding["event_type"])).table
            if sa.inspect(db).has_table(table.name, schema=table.schema):
                tables = [table]
        return any(
            db.execute(
                sa.select(table.c.event_ref).where(table.c.event_ref == holding["event_ref"])
            ).first()
            is not None
            for table in tables
        )

    def _evidence(self) -> Iterator[Difference]:
        theirs, ours = self._sides.partner.ledger.evidence, self._sides.copy.ledger.evidence
        key = ("event_ref", "sequence")
        for page in pages(self._sides.theirs, theirs, key, [*theirs.columns]):
            self.rows += len(page)
            refs = sorted({row["event_ref"] for row in page}, key=str)
            known = by_key(self._sides.ours, ours, key, refs, [*ours.columns])
            for row in page:
                ref = str(row["event_ref"])
                ought = known.get((ref, row["sequence"]))
                if ought is not None and _bytes(ought["statement"]) == _bytes(row["statement"]):
                    continue
                if not self._sides.own(ref):
                    cause = "added" if ought is None else "altered"
                    yield Difference(theirs.name, ref, cause, ("statement",))
        for page in pages(self._sides.ours, ours, key, [ours.c[one] for one in key]):
            refs = sorted({row["event_ref"] for row in page}, key=str)
            found = by_key(self._sides.theirs, theirs, key, refs, [theirs.c[one] for one in key])
            for row in page:
                if (row["event_ref"], row["sequence"]) not in found:
                    yield Difference(theirs.name, str(row["event_ref"]), "missing", ("statement",))

    # -- what keeps content away, and what changes it ------------------------------------------

    def _tombstones(self) -> Iterator[Difference]:
        theirs, ours = self._sides.partner.ledger.tombstone, self._sides.copy.ledger.tombstone
        told = ("sequence", "recall_ref")
        for ref, category, cause in self._books(theirs, ours, ("event_ref", "category"), told):
            if category not in self._sides.own(ref):
                yield Difference(theirs.name, ref, cause, (category,))

    def _corrections(self) -> Iterator[Difference]:
        theirs, ours = self._sides.partner.ledger.correction, self._sides.copy.ledger.correction
        told = ("sequence", "told_in", "corrects_event", "field", "category", "value")
        for ref, _, cause in self._books(theirs, ours, ("event_ref",), told):
            if not self._sides.own(ref):
                yield Difference(theirs.name, ref, cause)

    def _books(
        self, theirs: sa.Table, ours: sa.Table, key: tuple[str, ...], told: tuple[str, ...]
    ) -> Iterator[tuple[str, str, str]]:
        """First and last part of the key, and cause, of rows that differ in what they tell."""
        names = (*key, *told)
        mine, own = [theirs.c[one] for one in names], [ours.c[one] for one in names]
        for page in pages(self._sides.theirs, theirs, key, mine):
            self.rows += len(page)
            refs = sorted({row["event_ref"] for row in page})
            known = by_key(self._sides.ours, ours, key, refs, own)
            for row in page:
                place = tuple(row[one] for one in key)
                ought = known.get(place if len(key) > 1 else place[0])
                if ought is None:
                    yield str(place[0]), str(place[-1]), "added"
                elif self._differing(row, ought):
                    yield str(place[0]), str(place[-1]), "altered"
        for page in pages(self._sides.ours, ours, key, own):
            refs = sorted({row["event_ref"] for row in page})
            found = by_key(self._sides.theirs, theirs, key, refs, mine)
            for row in page:
                place = tuple(row[one] for one in key)
                if (place if len(key) > 1 else place[0]) not in found:
                    yield str(place[0]), str(place[-1]), "missing"


def pages(
    db: Connection, table: sa.Table, key: Sequence[str], columns: Sequence[sa.Column[Any]]
) -> Iterator[list[Row]]:
    """Rows in the order of their key, a page at a time, each page a query of its own."""
    last: Row | None = None
    columns = [*columns, *(table.c[one] for one in key if table.c[one] not in [*columns])]
    while True:
        query = sa.select(*columns).order_by(*(table.c[one] for one in key)).limit(PAGE)
        if last is not None:
            query = query.where(_after(table, key, last))
        page: list[Row] = [dict(row) for row in db.execute(query).mappings()]
        if page:
            yield page
        if len(page) < PAGE:
            return
        last = page[-1]


def _after(table: sa.Table, key: Sequence[str], last: Row) -> sa.ColumnElement[bool]:
    """Behind the last key, in a form that every database answers from the key's index."""
    first, *rest = key
    column = table.c[first]
    if not rest:
        return sa.and_(column > last[first])
    return sa.and_(column >= last[first], sa.or_(column > last[first], _after(table, rest, last)))


def by_key(
    db: Connection,
    table: sa.Table,
    key: Sequence[str],
    refs: Sequence[Any],
    columns: Sequence[sa.Column[Any]],
) -> dict[Any, Row]:
    """Rows with these values in the first part of their key, by the whole key."""
    wanted = [*columns, *(table.c[one] for one in key if table.c[one] not in [*columns])]
    query = sa.select(*wanted).where(table.c[key[0]].in_(refs))
    rows = (dict(row) for row in db.execute(query).mappings())
    if len(key) == 1:
        return {row[key[0]]: row for row in rows}
    return {tuple(row[one] for one in key): row for row in rows}


def same(one: Any, other: Any) -> bool:
    """Whether two databases hold the same: exact amounts may be text in one of them."""
    if isinstance(one, Decimal) != isinstance(other, Decimal) and None not in (one, other):
        try:
            return Decimal(str(one)) == Decimal(str(other))
        except ArithmeticError:
            return False
    return bool(plain(_bytes(one)) == plain(_bytes(other)))


def _bytes(value: Any) -> Any:
    return bytes(value) if isinstance(value, memoryview | bytearray) else value
