"""Compared, mapped tables: the partner's own tables, in the columns that the mapping file fills.

The copy has tables of the same names with just these columns and no constraint, filled by the same
code (`connectors/tables/mapped.py`). A row is compared in the columns that events held now fill;
all else in it is the partner's. A row nobody told of is the partner's too: only what
`nrm_mapped` says, and no delivery does, is "added".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.database.partner_tables import Partner
from connectors.reconciliation.compared import PAGE, Difference, Row, Sides, by_key, pages, same
from connectors.reconciliation.replay import CopySink
from connectors.tables.columns import to_text
from connectors.tables.mapped import MappedTables

Key = tuple[str, str]  # table, row_key


def make_tables(partner: MappedTables, copy: CopySink) -> None:
    """In the copy: the tables that the mapping names, as far as it fills them."""
    metadata = sa.MetaData()
    for name, one in partner.tables().items():
        sa.Table(
            name,
            metadata,
            *(sa.Column(c, _kind(one.table.c[c].type)) for c in partner.columns(name)),
            sa.Index(None, *one.keys),
        )
    with copy.database.writing() as db:
        metadata.create_all(db)


class MappedComparison:
    """One pass over every mapped row."""

    def __init__(self, sides: Sides, theirs: MappedTables, ours: MappedTables) -> None:
        self._sides = sides
        self._theirs = theirs
        self._ours = ours
        self.rows = 0

    def differences(self) -> Iterator[Difference]:
        yield from self._told()
        for page in self._rows():
            for name in sorted({table for table, _ in page}):
                keys = [key for table, key in page if table == name]
                yield from self._page(name, keys)

    def _told(self) -> Iterator[Difference]:
        """What nrm_mapped says against what was delivered. Columns that it has besides may be of a
        mapping of before: a recall has to reach them still."""
        theirs, ours = self._theirs.mapped, self._ours.mapped
        key = ("event_ref", "table_name", "category")
        late = self._sides.late()
        for page in pages(self._sides.theirs, theirs, key, [*theirs.columns]):
            refs = sorted({row["event_ref"] for row in page}, key=str)
            known = by_key(self._sides.ours, ours, key, refs, [*ours.columns])
            for row in page:
                ought = known.get(tuple(row[one] for one in key))
                if ought is None:
                    if row["columns"] != "[]":
                        yield from self._unlike(row, "added")
                elif _astray(row, ought, late):
                    yield from self._unlike(row, "altered")
        for page in pages(self._sides.ours, ours, key, [*ours.columns]):
            refs = sorted({row["event_ref"] for row in page}, key=str)
            found = by_key(self._sides.theirs, theirs, key, refs, [theirs.c[one] for one in key])
            for row in page:
                if tuple(row[one] for one in key) not in found and row["columns"] != "[]":
                    yield from self._unlike(row, "missing")

    def _unlike(self, row: Row, cause: str) -> Iterator[Difference]:
        if row["category"] not in self._sides.own(row["event_ref"]):
            yield Difference("nrm_mapped", row["event_ref"], cause, (row["category"],))

    def _rows(self) -> Iterator[list[Key]]:
        """Every mapped row of the copy, a page at a time."""
        m = self._ours.mapped.c
        last: Key | None = None
        while True:
            query = (
                sa.select(m.table_name, m.row_key).distinct().order_by(m.table_name, m.row_key)
            ).limit(PAGE)
            if last is not None:
                later = sa.and_(m.table_name == last[0], m.row_key > last[1])
                query = query.where(sa.or_(m.table_name > last[0], later))
            page = [(str(table), str(key)) for table, key in self._sides.ours.execute(query)]
            if page:
                yield page
            if len(page) < PAGE:
                return
            last = page[-1]

    def _page(self, name: str, keys: Sequence[str]) -> Iterator[Difference]:
        self.rows += len(keys)
        theirs, ours = self._theirs.partner(name), self._ours.partner(name)
        there = rows_by_key(self._sides.theirs, theirs, keys, self._theirs.columns(name))
        ought = rows_by_key(self._sides.ours, ours, keys)
        writers = self._ours.writers.of_rows(self._sides.ours, name, keys)
        for key in keys:
            ref = writers[key][0].event_ref
            if key not in there:
                yield Difference(name, ref, "missing", row=key)
                continue
            filled = sorted(set().union(*(one.columns for one in writers[key])))
            kept = self._kept(name, key)
            wrong = tuple(
                column
                for column in filled
                if column not in kept
                and not equal(theirs.table.c[column].type, there[key][column], ought[key][column])
            )
            if any(there[key][column] is None for column in wrong) and any(
                self._sides.unsure(one.event_ref) for one in writers[key]
            ):
                wrong = tuple(column for column in wrong if there[key][column] is not None)
            if wrong:
                yield Difference(name, ref, "altered", wrong, row=key)

    def _kept(self, name: str, key: str) -> set[str]:
        """Columns of a row that the partner keeps on an own basis."""
        m = self._theirs.mapped.c
        query = sa.select(m.event_ref, m.category, m.columns)
        query = query.where(m.table_name == name, m.row_key == key)
        return {
            column
            for ref, category, columns in self._sides.theirs.execute(query)
            if category in self._sides.own(ref)
            for column in columns_told(columns)
        }


def columns_told(text: Any) -> set[str]:
    """What a row of nrm_mapped says of columns; none where somebody wrote something else there."""
    try:
        return set(json.loads(text or "[]"))
    except (ValueError, TypeError):
        return set()


def _astray(row: Row, ought: Row, late: frozenset[int]) -> bool:
    """Whether what nrm_mapped says would keep a recall, or a later event, from its columns."""
    if row["row_key"] != ought["row_key"]:
        return True
    if not columns_told(ought["columns"]) <= columns_told(row["columns"]):
        return True
    try:
        told = {int(row["sequence"]), int(ought["sequence"])}
    except (ValueError, TypeError):  # not as it was written
        return True
    return row["occurred_at"] != ought["occurred_at"] or (len(told) > 1 and not told & late)


def rows_by_key(
    db: Connection, partner: Partner, keys: Sequence[str], columns: Sequence[str] = ()
) -> dict[str, dict[str, Any]]:
    """The partner's rows by `row_key`. columns: only these are read; all, if none is named."""
    wanted = [
        sa.and_(*(c == v for c, v in zip(_columns(partner), partner.place(key), strict=True)))
        for key in keys
    ]
    read = [partner.table.c[name] for name in columns] or partner.table.c
    query = sa.select(*read).where(sa.or_(*wanted))
    found = {}
    for row in db.execute(query).mappings():
        key = json.dumps([to_text(row[one]) for one in partner.keys])
        found[key] = dict(row)
    return found


def _columns(partner: Partner) -> list[sa.Column[Any]]:
    return [partner.table.c[name] for name in partner.keys]


def equal(kind: Any, theirs: Any, ours: Any) -> bool:
    """Whether a partner's column holds what the copy's does, as far as its type can."""
    if ours is None or theirs is None:
        return ours is theirs
    try:
        ought = typed(kind, ours)
    except (ValueError, ArithmeticError, TypeError):
        return False
    if isinstance(theirs, datetime) and theirs.tzinfo is not None:
        theirs = theirs.astimezone(UTC).replace(tzinfo=None)
    if isinstance(ought, datetime) and ought.tzinfo is not None:
        ought = ought.astimezone(UTC).replace(tzinfo=None)
    if isinstance(theirs, Decimal) and getattr(kind, "scale", None) is not None:
        ought = round(Decimal(str(ought)), kind.scale)
    if isinstance(theirs, str) and isinstance(kind, sa.CHAR):
        return theirs.rstrip() == str(ought).rstrip()
    if isinstance(kind, sa.JSON) and isinstance(theirs, str):
        with suppress(ValueError):  # which SQLite does not keep out
            theirs = json.loads(theirs)
    if isinstance(theirs, str) and not isinstance(ought, str):
        ought = to_text(ought)
    return same(ought, theirs)


def typed(kind: Any, value: Any) -> Any:
    """A value of the copy, which SQLite keeps as text or number, as one of the column's type."""
    if isinstance(kind, sa.JSON | sa.ARRAY):
        return json.loads(value) if isinstance(value, str) else value
    if isinstance(kind, sa.Boolean):
        return value if isinstance(value, bool) else bool(int(value))
    if isinstance(kind, sa.Integer):
        return int(value)
    if isinstance(kind, sa.Float):
        return float(value)
    if isinstance(kind, sa.Numeric):
        return Decimal(str(value))
    if isinstance(kind, sa.DateTime) and isinstance(value, str):
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None and kind.timezone:
            return moment.replace(tzinfo=UTC)
        return moment
    if isinstance(kind, sa.Date) and isinstance(value, str):
        return date.fromisoformat(value[:10])
    return value


def _kind(kind: Any) -> Any:
    """The copy's type for a partner's column: the same family, without its length or precision."""
    families: Mapping[type, Any] = {
        sa.JSON: sa.JSON(),
        sa.ARRAY: sa.JSON(),
        sa.Boolean: sa.Boolean(),
        sa.Integer: sa.BigInteger(),
        sa.Float: sa.Double(),
        sa.Numeric: sa.Numeric(),
        sa.DateTime: sa.DateTime(),
        sa.Date: sa.Date(),
    }
    for family, ours in families.items():
        if isinstance(kind, family):
            return ours
    return sa.Text()
