"""Writers: which event filled which columns of which row of the partner's tables (`nrm_mapped`).

Only because that is known can a recall take back exactly its own values, and a late event not
overwrite a later one. No content.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.tables.as_written import as_written
from connectors.tables.ledger_tables import TABLE, TEXT

CHUNK: Final = 200
"""Rows or keys in one statement."""

Order = tuple[str, int]
"""(occurred_at, sequence): which of two events was later."""

_MAPPED: Final = "nrm_mapped"
_NONE: Final = "[]"  # columns of an empty row that other rows still refer to


@dataclass(frozen=True)
class Writer:
    """An event that filled columns of a row. key: of the row."""

    event_ref: str
    table: str
    key: str
    category: str
    columns: frozenset[str]
    order: Order


def overtaken(writers: Iterable[Writer], column: str, order: Order, event_ref: str) -> bool:
    """Whether another event that happened later filled this column."""
    return any(
        column in writer.columns and writer.order > order and writer.event_ref != event_ref
        for writer in writers
    )


def unnamed(db: Connection, schema: str | None, named: Collection[str]) -> list[str]:
    """Tables that deliveries filled and that are not among these: no recall would reach them."""
    if _MAPPED not in sa.inspect(db).get_table_names(schema):
        return []
    mapped = sa.table(_MAPPED, sa.column("table_name"), sa.column("columns"), schema=schema)
    query = sa.select(mapped.c.table_name).where(mapped.c.columns != _NONE).distinct()
    return sorted(set(db.execute(query).scalars()) - set(named))


class Writers:
    """The books of it, among the sink's own tables."""

    def __init__(self, metadata: sa.MetaData) -> None:
        ref = sa.String(100)
        self.table = sa.Table(
            _MAPPED,
            metadata,
            sa.Column("event_ref", ref, primary_key=True),
            sa.Column("table_name", ref, primary_key=True),
            sa.Column("category", sa.String(64), primary_key=True),
            sa.Column("row_key", sa.String(400), nullable=False, index=True),
            sa.Column("columns", TEXT, nullable=False),
            sa.Column("occurred_at", sa.String(40), nullable=False),
            sa.Column("sequence", sa.BigInteger, nullable=False),
            **TABLE,
        )

    def put(self, db: Connection, writers: Sequence[Writer]) -> None:
        """These are known from now on; what was known of the same event and category is not."""
        t = self.table.c
        for one in writers:
            db.execute(
                self.table.delete().where(
                    t.event_ref == one.event_ref,
                    t.table_name == one.table,
                    t.category == one.category,
                )
            )
        if writers:
            db.execute(
                self.table.insert(),
                [
                    {
                        "event_ref": one.event_ref,
                        "table_name": one.table,
                        "category": one.category,
                        "row_key": one.key,
                        "columns": json.dumps(sorted(one.columns)),
                        "occurred_at": one.order[0],
                        "sequence": one.order[1],
                    }
                    for one in writers
                ],
            )

    def of_rows(
        self, db: Connection, name: str, keys: Iterable[str]
    ) -> defaultdict[str, list[Writer]]:
        """Who filled these rows of a table, by their keys."""
        found: defaultdict[str, list[Writer]] = defaultdict(list)
        t = self.table.c
        wanted = sorted(set(keys))
        for at in range(0, len(wanted), CHUNK):
            part = t.row_key.in_(wanted[at : at + CHUNK])
            for one in self._read(db, t.table_name == name, part, t.columns != _NONE):
                found[one.key].append(one)
        return found

    def of_event(self, db: Connection, event_ref: str, name: str = "") -> list[Writer]:
        """What an event filled; name: of one table only."""
        t = self.table.c
        return self._read(db, t.event_ref == event_ref, *([t.table_name == name] if name else []))

    def refs_of(self, db: Connection, name: str, key: str) -> set[str]:
        """Events that filled a row."""
        t = self.table.c
        query = sa.select(t.event_ref).where(t.table_name == name, t.row_key == key)
        return set(db.execute(query).scalars())

    def drop(self, db: Connection, event_ref: str, categories: Collection[str]) -> None:
        """Rows of an event that nobody delivered so. No category is the one without a name."""
        t = self.table.c
        these = t.category.in_(categories or [""])
        db.execute(self.table.delete().where(t.event_ref == event_ref, these))

    def forget(self, db: Connection, event_ref: str, categories: Collection[str]) -> list[Writer]:
        """What an event filled of these categories, which from now on is not its own."""
        t = self.table.c
        gone = (t.event_ref == event_ref, t.category.in_(categories))
        found = self._read(db, *gone)
        db.execute(self.table.delete().where(*gone))
        return found

    # -- rows that are empty and that other rows still refer to: they go when those have gone ----

    def keep_empty(self, db: Connection, one: Writer) -> None:
        db.execute(
            self.table.insert().values(
                event_ref=one.event_ref,
                table_name=one.table,
                category="",
                row_key=one.key,
                columns=_NONE,
                occurred_at=one.order[0],
                sequence=one.order[1],
            )
        )

    def kept_empty(self, db: Connection) -> list[Writer]:
        """Some of them."""
        return self._read(db, self.table.c.columns == _NONE, most=CHUNK)

    def forget_empty(self, db: Connection, one: Writer) -> None:
        t = self.table.c
        db.execute(
            self.table.delete().where(
                t.event_ref == one.event_ref,
                t.table_name == one.table,
                t.category == "",
                t.columns == _NONE,
            )
        )

    def rows(self, db: Connection) -> dict[tuple[str, str], set[str]]:
        """(table, row key) of every row that is known → the columns that events filled."""
        t = self.table.c
        query = sa.select(t.table_name, t.row_key, t.columns).order_by(t.table_name, t.row_key)
        found: dict[tuple[str, str], set[str]] = {}
        for name, key, columns in db.execute(query):
            found.setdefault((name, key), set()).update(json.loads(columns))
        return found

    @as_written
    def _read(
        self, db: Connection, *where: sa.ColumnElement[bool], most: int | None = None
    ) -> list[Writer]:
        return [
            Writer(
                row.event_ref,
                row.table_name,
                row.row_key,
                row.category,
                frozenset(json.loads(row.columns)),
                (row.occurred_at, int(row.sequence)),
            )
            for row in db.execute(sa.select(self.table).where(*where).limit(most))
        ]
