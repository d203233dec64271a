"""Bulk: many rows of one of our tables, inserted at the driver's own speed.

SQLAlchemy prepares every parameter of every row anew, at several times the cost of storing the
row. Here the statement and what each value needs on its way are worked out once per table; the
rows then go to the driver together: executemany on SQLite and MariaDB, COPY on PostgreSQL. Values
are converted by the same column types, so a row looks the same however it was written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from operator import itemgetter
from typing import Any, Final, TypeVar

import sqlalchemy as sa
from sqlalchemy import Connection, exc
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.engine import Dialect

_IN: Final = 400  # parameters of one IN list; SQLite takes 999 in old builds
_ANY: Final = 5_000  # values of one array
Convert = Callable[[Any], Any]
_T = TypeVar("_T")


class _Prepared:
    """The statement for one table in one database, and its columns' conversions by place."""

    def __init__(self, table: sa.Table, dialect: Dialect) -> None:
        names = [column.name for column in table.columns]
        quote = dialect.identifier_preparer
        into = f"{quote.format_table(table)} ({', '.join(map(quote.quote, names))})"
        self.copy = dialect.name == "postgresql"
        place = "?" if dialect.paramstyle == "qmark" else "%s"
        self.sql = (
            f"COPY {into} FROM STDIN"
            if self.copy
            else f"INSERT INTO {into} VALUES ({', '.join([place] * len(names))})"  # noqa: S608 - names
        )
        self._pick = itemgetter(*names)
        self._converts: list[tuple[int, Convert]] = []
        for number, column in enumerate(table.columns):
            convert = _copied(column.type, dialect) if self.copy else None
            if convert is None and not (self.copy and isinstance(column.type, sa.Boolean)):
                convert = column.type.dialect_impl(dialect).bind_processor(dialect)
            if convert is not None:
                self._converts.append((number, convert))

    def values(self, row: Mapping[str, Any]) -> tuple[Any, ...]:
        values = list(self._pick(row))
        for place, convert in self._converts:
            if values[place] is not None:
                values[place] = convert(values[place])
        return tuple(values)


def _copied(kind: sa.types.TypeEngine[Any], dialect: Dialect) -> Convert | None:
    """The text COPY takes, where the driver would make the same at several times the cost."""
    if isinstance(kind, sa.types.TypeDecorator):
        kind = kind.load_dialect_impl(dialect)
    if isinstance(kind, sa.JSON):
        write: Convert = dialect._json_serializer or json.dumps
        return write
    if isinstance(kind, sa.DateTime):
        return datetime.isoformat
    return date.isoformat if isinstance(kind, sa.Date) else None


def among(
    db: Connection, column: sa.ColumnElement[Any], values: Iterable[str]
) -> Iterator[sa.ColumnElement[bool]]:
    """Conditions that together find the rows whose column has one of these texts.

    One array on PostgreSQL, whose statement is then always the same; lists elsewhere.
    """
    wanted = sorted(set(values))
    if db.dialect.name == "postgresql":
        for at in range(0, len(wanted), _ANY):
            listed = sa.bindparam(None, _array(wanted[at : at + _ANY]), type_=sa.types.NullType())
            yield column == sa.any_(sa.cast(listed, ARRAY(sa.String)))
        return
    for at in range(0, len(wanted), _IN):
        yield column.in_(wanted[at : at + _IN])


def chunks(values: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """In lists that one statement takes."""
    for at in range(0, len(values), _IN):
        yield values[at : at + _IN]


def _array(texts: Sequence[str]) -> str:
    """A PostgreSQL array of texts as one text: the driver takes ten times as long over a list."""
    joined = '","'.join(texts)
    if "\\" in joined or joined.count('"') != 2 * len(texts) - 2:
        joined = '","'.join(one.replace("\\", "\\\\").replace('"', '\\"') for one in texts)
    return '{"' + joined + '"}'


def insert_all(db: Connection, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert these rows; each has a value, or None, for every column of the table.

    Raises what SQLAlchemy would for the same rows.
    """
    if not rows:
        return
    dialect = db.dialect
    prepared = table.info.get(dialect.name)
    if prepared is None:
        prepared = table.info[dialect.name] = _Prepared(table, dialect)
    values = [prepared.values(row) for row in rows]
    if not prepared.copy:
        db.exec_driver_sql(prepared.sql, values)
        return
    driver = db.connection.driver_connection
    assert driver is not None
    try:
        with driver.cursor() as cursor, cursor.copy(prepared.sql) as copy:
            for one in values:
                copy.write_row(one)
    except dialect.loaded_dbapi.Error as error:
        raise exc.DBAPIError.instance(
            prepared.sql,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            dialect=dialect,
        ) from error
