"""Partner tables: those a mapping file names, as found in the database, and whether it fits them.

Everything is looked at before anything flows: tables, columns, types, keys, what may be NULL, and
in which order rows must be written so that foreign keys hold (parents first). Every mistake comes
with its line in the mapping file and what to do.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, exc

from connectors.columns import to_boolean, to_date, to_integer, to_text, to_timestamp
from connectors.errors import SinkRefusedError
from connectors.ledger import instant
from connectors.mapping import EventMap, Source

REF_LETTERS: Final = 36  # a UUID; a pseudonym has 35


@dataclass(frozen=True)
class Partner:
    """One table of the partner. parents: tables of the mapping that its rows refer to."""

    table: sa.Table
    keys: tuple[str, ...]
    fit: Mapping[str, Callable[[Any], Any]]
    when_empty: str
    parents: frozenset[str] = frozenset()

    def place(self, key: str) -> tuple[Any, ...]:
        """The values of the key columns in a `row_key`."""
        return tuple(
            fitted(self, column, value, None)
            for column, value in zip(self.keys, json.loads(key), strict=True)
        )

    def row(self, key: str) -> list[sa.ColumnElement[bool]]:
        """The condition that finds one row."""
        return [self.table.c[c] == v for c, v in zip(self.keys, self.place(key), strict=True)]


def find(
    db: Connection, maps: Sequence[EventMap], *, flat: bool = False
) -> tuple[dict[str, Partner], list[str]]:
    """The tables by name, parents first, and everything that is wrong.

    flat: a table's name is whole, without a schema (in a copy).
    """
    found: dict[str, Partner] = {}
    mistakes: list[str] = []
    for name in dict.fromkeys(one.table for one in maps):
        mine = [one for one in maps if one.table == name]
        try:
            table = _reflect(db, name, flat)
        except exc.NoSuchTableError:
            mistakes.append(
                f"line {mine[0].line}: the database has no table {name!r} that this user may read"
            )
            continue
        mistakes += _check(table, mine)
        found[name] = _partner(db, table, mine)
        mistakes += _constants(found[name], mine)
    if flat:
        return found, mistakes
    for name, partner in found.items():
        parents = _parents(db, partner.table, found)
        found[name] = Partner(
            partner.table, partner.keys, partner.fit, partner.when_empty, parents - {name}
        )
    return _parents_first(found), mistakes


def fitted(partner: Partner, column: str, value: Any, sequence: int | None) -> Any:
    """A mapped value as one of the column's type. SinkRefusedError if it is of another."""
    if value is None:
        return None
    try:
        return partner.fit[column](value)
    except (ValueError, TypeError):
        raise SinkRefusedError(
            "value_unsuitable", f"{partner.table.name}.{column} is of another type", sequence
        ) from None


# -- what fits -----------------------------------------------------------------------------------

# What a source gives → families of columns that take it, and how to make it fit another.
_TAKEN: Final[Mapping[str, tuple[tuple[type, ...], str]]] = {
    "text": (
        (),
        "make the column text, translate it with codes = …, or say what it is with type = …",
    ),
    "integer": ((sa.Numeric, sa.Float, sa.Integer), "make the column a number"),
    "number": ((sa.Numeric, sa.Float), "make the column NUMERIC or DOUBLE PRECISION"),
    "boolean": ((sa.Boolean, sa.Integer), "make the column BOOLEAN"),
    "date": ((sa.Date, sa.DateTime), "make the column DATE"),
    "timestamp": ((sa.DateTime, sa.Date), 'make the column TIMESTAMP, or add type = "date"'),
    "json": ((), 'make the column JSON, or text with type = "text"'),
}


def _check(table: sa.Table, maps: Sequence[EventMap]) -> list[str]:
    mistakes = []
    for one in maps:
        if tuple(one.key) != tuple(maps[0].key) or one.when_empty != maps[0].when_empty:
            mistakes.append(
                f"line {one.line}: all maps into {one.table} need the same key and when_empty"
            )
        for name in (*one.key, *one.columns):
            if name not in table.c:
                there = ", ".join(c.name for c in table.columns)
                mistakes.append(
                    f"line {one.line}: {one.table} has no column {name!r}; it has {there}"
                )
        for name in one.key:
            if name in table.c:
                mistakes += _check_key(table, name, one)
        for name, source in one.columns.items():
            column = table.c.get(name)
            if column is None:
                continue
            if not column.nullable and source.kind == "field":
                mistakes.append(
                    f"line {one.line}: {one.table}.{name} is NOT NULL, but a category may be "
                    "withheld or recalled: allow NULL there"
                )
            wrong = _misfit(column, source)
            if wrong:
                mistakes.append(f"line {one.line}: {one.table}.{name} {wrong}")
    if maps and not mistakes:
        mistakes += _unfilled(table, maps)
    return mistakes


def _check_key(table: sa.Table, name: str, one: EventMap) -> list[str]:
    kind = table.c[name].type
    where = f"line {one.line}: {one.table}.{name}"
    if isinstance(kind, sa.CHAR) or (
        isinstance(kind, sa.String) and kind.length is not None and kind.length < REF_LETTERS
    ):
        return [f"{where} is {_said(kind)}, too narrow for a reference: make it VARCHAR(100)"]
    uuid = isinstance(kind, sa.Uuid) and one.key[name] == "event_ref"
    if not isinstance(kind, sa.String) and not uuid and not isinstance(kind, sa.types.NullType):
        return [f"{where} is {_said(kind)}, but a reference is text: make it VARCHAR(100)"]
    return []


def _misfit(column: sa.Column[Any], source: Source) -> str:
    """Why this column cannot take what the source gives; "" if it can."""
    kind, gives = column.type, source.gives
    if isinstance(kind, sa.Enum):
        return _longest(source, kind)
    if isinstance(kind, sa.String):
        return _longest(source, kind)
    known = (sa.Numeric, sa.Float, sa.Integer, sa.Boolean, sa.Date, sa.DateTime)
    if isinstance(kind, sa.JSON) or not isinstance(kind, known) or not gives:
        return ""
    taken, fix = _TAKEN[gives]
    if isinstance(kind, taken):
        return ""
    told = source.name or "a constant"
    return f"is {_said(kind)}, but {told} gives {gives}: {fix}"


def _constants(partner: Partner, maps: Sequence[EventMap]) -> list[str]:
    """Constants that their column does not take: known without a delivery."""
    mistakes = []
    for one in maps:
        for name, source in one.columns.items():
            if source.kind == "constant" and name in partner.fit:
                try:
                    fitted(partner, name, source.take(source.value), None)
                except (SinkRefusedError, ValueError, TypeError):
                    mistakes.append(
                        f"line {one.line}: {one.table}.{name} does not take this constant: it is "
                        f"{_said(partner.table.c[name].type)}"
                    )
    return mistakes


def _longest(source: Source, kind: sa.String) -> str:
    """Codes that are known and longer than the column."""
    if kind.length is None or isinstance(kind, sa.Enum):
        return ""
    longest = max((len(one) for one in source.texts), default=0)
    if longest > kind.length:
        return (
            f"is {_said(kind)}, but {source.name or 'a constant'} can have {longest} letters: "
            "widen the column, or translate with codes = …"
        )
    return ""


def _unfilled(table: sa.Table, maps: Sequence[EventMap]) -> list[str]:
    """Columns that a new row needs and no map fills."""
    filled = {name for one in maps for name in (*one.key, *one.columns)}
    needed = [
        c.name
        for c in table.columns
        if not c.nullable
        and c.name not in filled
        and c.server_default is None
        and c.identity is None
        and c.computed is None
        and not (c.primary_key and c.autoincrement in (True, "auto") and _is_serial(c))
    ]
    return [
        f"line {maps[0].line}: {maps[0].table}.{name} is NOT NULL without a default, and nothing "
        "fills it: give it a default, or a constant in the mapping"
        for name in needed
    ]


def _is_serial(column: sa.Column[Any]) -> bool:
    return isinstance(column.type, sa.Integer)


def _said(kind: Any) -> str:
    try:
        return str(kind)
    except (exc.CompileError, NotImplementedError):
        return type(kind).__name__


# -- foreign keys --------------------------------------------------------------------------------


def _parents(db: Connection, table: sa.Table, among: Mapping[str, Partner]) -> frozenset[str]:
    default = db.dialect.default_schema_name
    places = {(one.table.schema or default, one.table.name): name for name, one in among.items()}
    found = set()
    for key in sa.inspect(db).get_foreign_keys(table.name, schema=table.schema):
        schema = key.get("referred_schema") or table.schema or default
        named = places.get((schema, key["referred_table"]))
        if named is not None:
            found.add(named)
    return frozenset(found)


def _parents_first(found: Mapping[str, Partner]) -> dict[str, Partner]:
    """Tables in an order in which rows can be inserted; of a circle, as the file has them."""
    order: dict[str, Partner] = {}
    waiting = dict(found)
    while waiting:
        free = [name for name, one in waiting.items() if not one.parents & set(waiting)]
        for name in free or [next(iter(waiting))]:
            order[name] = waiting.pop(name)
    return order


# -- values --------------------------------------------------------------------------------------


def _reflect(db: Connection, name: str, flat: bool) -> sa.Table:
    schema, _, table = ("", "", name) if flat else name.rpartition(".")
    return sa.Table(
        table, sa.MetaData(), schema=schema or None, autoload_with=db, resolve_fks=False
    )


def _partner(db: Connection, table: sa.Table, maps: Sequence[EventMap]) -> Partner:
    fit: dict[str, Callable[[Any], Any]] = {}
    for name in _json_columns(db, table):
        table.c[name].type = sa.JSON(none_as_null=True)
    for column in table.columns:
        fit[column.name] = _fitting(column.type)
        if db.dialect.name == "sqlite" and not isinstance(column.type, sa.String | sa.JSON):
            # SQLite keeps what it is given: exact text for decimals, ISO 8601 for dates.
            column.type = sa.types.NullType()
            fit[column.name] = _plain(fit[column.name])
    return Partner(table, tuple(maps[0].key), fit, maps[0].when_empty)


def _json_columns(db: Connection, table: sa.Table) -> list[str]:
    """MariaDB's JSON is text with a check; nothing else tells it from text."""
    if db.dialect.name != "mariadb":
        return []
    checks = sa.inspect(db).get_check_constraints(table.name, schema=table.schema)
    texts = [str(one["sqltext"]).replace("`", "").lower() for one in checks]
    return [c.name for c in table.columns if f"json_valid({c.name.lower()})" in texts]


def _fitting(kind: Any) -> Callable[[Any], Any]:
    """From a mapped value to one of the column's type."""
    if isinstance(kind, sa.JSON):
        return lambda value: value
    if isinstance(kind, sa.Boolean):
        return to_boolean
    if isinstance(kind, sa.Integer):
        return lambda value: int(value) if isinstance(value, bool) else to_integer(value)
    if isinstance(kind, sa.Numeric):
        return lambda value: value if isinstance(value, int | float) else to_text(value)
    if isinstance(kind, sa.DateTime):
        zoned = bool(kind.timezone)
        return lambda value: _moment(value, zoned)
    if isinstance(kind, sa.Date):
        return to_date
    if isinstance(kind, sa.String):
        return _text
    return lambda value: value


def _moment(value: Any, zoned: bool) -> datetime:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    moment = to_timestamp(value).astimezone(UTC)
    return moment if zoned else moment.replace(tzinfo=None)


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return instant(value) if value.tzinfo else value.isoformat()
    return value.isoformat() if isinstance(value, date) else to_text(value)


def _plain(fit: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def plain(value: Any) -> Any:
        fitted = fit(value)
        if isinstance(fitted, date | datetime):
            return _text(fitted)
        return int(fitted) if isinstance(fitted, bool) else fitted

    return plain
