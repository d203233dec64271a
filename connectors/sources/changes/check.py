"""What is missing for reading an agency's tables by a mapping, and what somebody should look at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final

from sqlalchemy import Connection, exc

from connectors.database.definitions import Table, named
from connectors.database.transactional import without_transactions
from connectors.findings import Finding
from connectors.sources.changes.mapping import ChangesMapping, EventMap
from connectors.sources.usable import SUBJECT, reading_findings

_GROWS: Final = ("timestamp", "date", "integer", "number", "text", "any")


def table_findings(db: Connection, mapping: ChangesMapping) -> Iterator[Finding]:
    """Everything, in the order of the tables. `wrong` keeps a source from starting."""
    for name, columns in mapping.columns_read().items():
        missing = reading_findings(db, name, columns)
        yield from missing
        if not missing:
            with suppress(exc.DBAPIError):  # it can be read; its definition is not for this user
                yield from _defined(db, name, mapping)
    for name, engine in without_transactions(db, mapping.columns_read()).items():
        told = (
            f"{name} is kept by {engine}, which has no transactions: a row can be read while it is "
            "half changed, and then states what was true for a moment"
        )
        yield Finding("warning", SUBJECT, told, f"ALTER TABLE {name} ENGINE=InnoDB;")


def _defined(db: Connection, name: str, mapping: ChangesMapping) -> Iterator[Finding]:
    table = named(db, [name]).tables.get(name)
    if table is None:
        return
    maps = [one for one in mapping.maps if one.table == name]
    for key in dict.fromkeys(one.key for one in maps):
        yield from _key(table, name, key)
    for one in maps:
        yield from _changed(db, table, one)


def _key(table: Table, name: str, key: tuple[str, ...]) -> Iterator[Finding]:
    folded = {column.lower() for column in key}
    shown = ", ".join(key)
    if not any({c.lower() for c in unique} <= folded for unique in table.unique):
        told = f"{shown} of {name} is not unique: rows with the same key are taken for one row"
        yield Finding("warning", SUBJECT, told, "name the columns that identify a row as key")
    for one in table.columns:
        if one.name.lower() in folded and one.nullable and not one.key:
            told = f"{name}.{one.name} is part of the key and may be NULL: such a row is refused"
            yield Finding("warning", SUBJECT, told, "name a key that every row has")


def _changed(db: Connection, table: Table, one: EventMap) -> Iterator[Finding]:
    column = table.column(one.changed) if one.changed else None
    if column is None or column.kind in _GROWS or db.dialect.name == "sqlite":  # has no types
        return
    told = f"{one.table}.{column.name} is {column.shown}: `changed` is a time or a whole number"
    yield Finding("wrong", SUBJECT, told, "name another column, or leave `changed` out")
