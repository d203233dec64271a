"""DDL: tables and columns made where we may, and told word for word where we may not.

A DBA who lets no program make tables runs what `nrm-hub connector ddl` prints; then the connector
needs no right to create. After an upgrade a column may be missing: it is added, or, where that is
forbidden, deliveries wait with the exact statement in the alarm until somebody has run it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy import Connection, exc
from sqlalchemy.engine import Dialect

from connectors.database.engines import forbidden
from connectors.errors import SinkDownError


def ensure(db: Connection, tables: Iterable[sa.Table]) -> None:
    """Make what is missing. SinkDownError with the statements if this user may not."""
    lacking = missing(db, tables)
    with _allowed(lacking):
        for statement in lacking:
            db.execute(sa.text(statement.replace(":", r"\:")))


def missing(db: Connection, tables: Iterable[sa.Table]) -> list[str]:
    """The statements that would make these tables whole, in order."""
    inspector = sa.inspect(db)
    there: dict[str | None, set[str]] = {}
    statements: list[str] = []
    for table in tables:
        if table.schema not in there:
            there[table.schema] = set(inspector.get_table_names(schema=table.schema))
        if table.name not in there[table.schema]:
            statements += created(table, db.dialect)
            continue
        known = {c["name"] for c in inspector.get_columns(table.name, schema=table.schema)}
        statements += [
            added(table, column, db.dialect) for column in table.columns if column.name not in known
        ]
    return statements


def created(table: sa.Table, dialect: Dialect) -> list[str]:
    """CREATE TABLE and its indexes."""
    statements = [str(sa.schema.CreateTable(table).compile(dialect=dialect)).strip()]
    indexes = sorted(table.indexes, key=lambda one: str(one.name))
    return statements + [
        str(sa.schema.CreateIndex(index).compile(dialect=dialect)).strip() for index in indexes
    ]


def added(table: sa.Table, column: sa.Column[object], dialect: Dialect) -> str:
    """ALTER TABLE for one column of a later schema."""
    made = sa.schema.CreateColumn(column).compile(dialect=dialect)
    name = dialect.identifier_preparer.format_table(table)
    return f"ALTER TABLE {name} ADD COLUMN {made}"


@contextmanager
def _allowed(statements: list[str]) -> Iterator[None]:
    try:
        yield
    except exc.DBAPIError as wrong:
        if not forbidden(wrong):
            raise
        raise SinkDownError(
            "this user may not make tables or columns that are needed; deliveries wait. Let "
            "somebody who may run this, or what `nrm-hub connector ddl` prints:\n"
            + "".join(f"  {' '.join(one.split())};\n" for one in statements).rstrip()
        ) from None
