"""Bulk: many rows of one of our tables, inserted at the driver's own speed.

SQLAlchemy prepares every parameter of every row anew, at several times the cost of storing the
row. Here the statement, and what the values of each column need on their way, are worked out once
per table; a column is then converted as a whole, and the rows go to the driver together:
executemany on SQLite and MariaDB, COPY on PostgreSQL. Values are converted by the same column
types, so a row looks the same however it was written.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import islice
from typing import Any, Final, TypeVar, cast

import sqlalchemy as sa
from sqlalchemy import Connection, exc
from sqlalchemy.engine import Dialect

_IN: Final = 400  # parameters of one IN list; SQLite takes 999 in old builds
_ANY: Final = 5_000  # values of one array
_COPIED: Final = 64  # rows that COPY is given as one text: about what the driver sends at once
_NULL: Final = r"\N"
_ESCAPES: Final = {"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"}
Convert = Callable[[Any], Any]
Columns = Mapping[str, Sequence[Any]]
"""Rows by column: of every column of a table its values, all of one length."""
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
        convert = _as_text if self.copy else _as_bound
        self._columns = [(column.name, convert(column.type, dialect)) for column in table.columns]

    def rows(self, columns: Columns) -> Iterator[tuple[Any, ...]]:
        """As the driver takes them."""
        converted = (convert(columns[name]) for name, convert in self._columns)
        return zip(*converted, strict=True)

    def texts(self, columns: Columns) -> Iterator[str]:
        """As COPY takes them, some rows at once."""
        lines = map("\t".join, self.rows(columns))
        while some := list(islice(lines, _COPIED)):
            yield "\n".join(some) + "\n"


Column = Callable[[Sequence[Any]], Sequence[Any]]
"""What a column's values become on their way, all of them together."""


def _as_bound(kind: sa.types.TypeEngine[Any], dialect: Dialect) -> Column:
    """As the column's type has them bound to a statement."""
    convert = kind.dialect_impl(dialect).bind_processor(dialect)
    return _same if convert is None else _each(convert, None)


def _as_text(kind: sa.types.TypeEngine[Any], dialect: Dialect) -> Column:
    """As COPY's text, in less time than the driver takes to write it."""
    if isinstance(kind, sa.types.TypeDecorator):
        kind = kind.load_dialect_impl(dialect)
    if isinstance(kind, sa.String):
        return _escaped
    if isinstance(kind, sa.JSON):
        write = _each(dialect._json_serializer or json.dumps, None)
        return lambda values: _escaped(write(values))
    if isinstance(kind, sa.DateTime):
        return _moments
    if isinstance(kind, sa.Date):
        return _each(date.isoformat, _NULL)
    if isinstance(kind, sa.LargeBinary):
        return _each(lambda value: rf"\\x{value.hex()}", _NULL)
    if isinstance(kind, sa.Boolean):
        return _each({True: "t", False: "f"}.__getitem__, _NULL)
    return _each(str, _NULL)


def _same(values: Sequence[Any]) -> Sequence[Any]:
    return values


def _each(convert: Convert, null: str | None) -> Column:
    return lambda values: [null if value is None else convert(value) for value in values]


def _moments(values: Sequence[datetime | None]) -> list[str]:
    """Of many rows it is the same moment: when they were received."""
    found: list[str] = []
    before, text = None, _NULL
    for value in values:
        if value is not before:
            before, text = value, _NULL if value is None else value.isoformat()
        found.append(text)
    return found


def _escaped(values: Sequence[str | None]) -> Sequence[str]:
    """Texts, of which the fewest hold anything that COPY would take for its own."""
    known = cast("Sequence[str]", values)
    try:
        joined = "".join(known)
        nulls = False
    except TypeError:
        joined = "".join([value for value in values if value is not None])
        nulls = True
    if any(mark in joined for mark in _ESCAPES):
        return [_NULL if value is None else _escape(value) for value in values]
    return [_NULL if value is None else value for value in values] if nulls else known


def _escape(text: str) -> str:
    for mark, written in _ESCAPES.items():
        text = text.replace(mark, written)
    return text


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
            yield column == sa.any_(sa.cast(listed, sa.ARRAY(sa.String)))
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
    insert_columns(db, table, {c.name: [row[c.name] for row in rows] for c in table.columns})


def insert_columns(db: Connection, table: sa.Table, columns: Columns) -> None:
    """The same of rows by column."""
    if not any(map(len, columns.values())):
        return
    dialect = db.dialect
    prepared = table.info.get(dialect.name)
    if prepared is None:
        prepared = table.info[dialect.name] = _Prepared(table, dialect)
    if not prepared.copy:
        db.exec_driver_sql(prepared.sql, list(prepared.rows(columns)))
        return
    driver = db.connection.driver_connection
    assert driver is not None
    try:
        with driver.cursor() as cursor, cursor.copy(prepared.sql) as copy:
            for text in prepared.texts(columns):
                copy.write(text)
    except dialect.loaded_dbapi.Error as error:
        raise exc.DBAPIError.instance(
            prepared.sql,
            None,
            error,
            dialect.loaded_dbapi.Error,
            hide_parameters=True,
            dialect=dialect,
        ) from error
