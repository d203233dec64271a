"""Partner tables: those a mapping file names, ready to be written.

In which order rows must be written so that foreign keys hold (parents first), how a row is found,
and how a mapped value becomes one of the column's type. Whether the file fits the tables is told by
`connectors/mapping/checking.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.database.definitions import Found, Table
from connectors.errors import SinkRefusedError
from connectors.mapping import EventMap
from connectors.tables.columns import to_boolean, to_date, to_integer, to_text, to_timestamp
from connectors.tables.ledger_tables import instant


@dataclass(frozen=True)
class Partner:
    """One table of the partner. parents: tables of the mapping that its rows refer to.

    holds: letters at most, of columns that the database holds to it.
    """

    table: sa.Table
    keys: tuple[str, ...]
    fit: Mapping[str, Callable[[Any], Any]]
    when_empty: str
    parents: frozenset[str] = frozenset()
    holds: Mapping[str, int] = field(default_factory=dict)

    def place(self, key: str) -> tuple[Any, ...]:
        """The values of the key columns in a `row_key`."""
        return tuple(
            fitted(self, column, value, None)
            for column, value in zip(self.keys, json.loads(key), strict=True)
        )

    def row(self, key: str) -> list[sa.ColumnElement[bool]]:
        """The condition that finds one row."""
        return [self.table.c[c] == v for c, v in zip(self.keys, self.place(key), strict=True)]


def partners(
    db: Connection, maps: Sequence[EventMap], found: Found, *, flat: bool = False
) -> dict[str, Partner]:
    """The tables by name, parents first. found: their definitions.

    flat: a table's name is whole, without a schema (in a copy).
    """
    made = {
        name: _partner(db, _reflect(db, name, flat), table, [m for m in maps if m.table == name])
        for name, table in found.tables.items()
    }
    if flat:
        return made
    for name, one in made.items():
        made[name] = replace(one, parents=_parents(db, one.table, made) - {name})
    return _parents_first(made)


def fitted(partner: Partner, column: str, value: Any, sequence: int | None) -> Any:
    """A mapped value as one of the column's type. SinkRefusedError if it is of another, or longer
    than the column: the database would refuse it without saying which."""
    if value is None:
        return None
    place = f"{partner.table.name}.{column}"
    try:
        made = partner.fit[column](value)
    except (ValueError, TypeError):
        raise SinkRefusedError(
            "value_unsuitable", f"{place} is of another type", sequence
        ) from None
    most = partner.holds.get(column)
    if most is not None and isinstance(made, str) and len(made) > most:
        told = f"{place} holds {most} letters, and this has more"
        raise SinkRefusedError("value_unsuitable", told, sequence)
    return made


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


def _partner(db: Connection, table: sa.Table, told: Table, maps: Sequence[EventMap]) -> Partner:
    fit: dict[str, Callable[[Any], Any]] = {}
    for one in told.columns:
        column = table.c[one.name]
        if one.kind == "json":
            own = type(column.type) if isinstance(column.type, sa.JSON) else sa.JSON
            column.type = own(none_as_null=True)
        fit[one.name] = fitting(one.kind, zoned=bool(getattr(column.type, "timezone", False)))
        if db.dialect.name == "sqlite" and one.kind not in ("text", "json"):
            # SQLite keeps what it is given: exact text for decimals, ISO 8601 for dates.
            column.type = sa.types.NullType()
            fit[one.name] = _plain(fit[one.name])
    lengths = {one.name: one.length for one in told.columns if one.kind == "text" and one.length}
    holds = {} if db.dialect.name == "sqlite" else lengths  # which takes any length
    return Partner(table, tuple(maps[0].key), fit, maps[0].when_empty, holds=holds)


def fitting(kind: str, *, zoned: bool = True) -> Callable[[Any], Any]:
    """From a mapped value to one of a column's kind. The function raises ValueError, TypeError."""
    if kind == "timestamp":
        return lambda value: _moment(value, zoned)
    return _FITTING.get(kind, lambda value: value)


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


_FITTING: Final[Mapping[str, Callable[[Any], Any]]] = {
    "boolean": to_boolean,
    "integer": lambda value: int(value) if isinstance(value, bool) else to_integer(value),
    "number": lambda value: value if isinstance(value, int | float) else to_text(value),
    "date": to_date,
    "text": _text,
}
