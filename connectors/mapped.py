"""Mapped tables: deliveries go into tables the partner has already, by its mapping file.

`nrm_mapped` remembers which event filled which columns of which row, because only then can a
recall take back exactly its own values, and a late event not overwrite a later one. A row may be
the partner's own: columns that no map names are never touched.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, exc

from connectors.columns import to_boolean, to_date, to_integer, to_text, to_timestamp
from connectors.errors import SettingsError, SinkRefusedError
from connectors.landing import Database
from connectors.ledger import instant
from connectors.ledger_tables import TABLE, TEXT
from connectors.mapping import CodeMissing, EventMap, Source
from connectors.mapping import Mapping as MappingFile
from connectors.sink import Addition, Correction, Removal
from schemas.registry import Schemas

_CHUNK = 200

Order = tuple[str, int]
"""(occurred_at, sequence): which of two events was later."""


@dataclass(frozen=True)
class Partner:
    """One table of the partner, as found."""

    table: sa.Table
    keys: tuple[str, ...]
    fit: Mapping[str, Callable[[Any], Any]]
    when_empty: str


@dataclass(frozen=True)
class Writer:
    """An event that filled columns of a row."""

    event_ref: str
    category: str
    columns: frozenset[str]
    order: Order


class MappedTables:
    """Projection by a mapping file."""

    def __init__(
        self, database: Database, metadata: sa.MetaData, mapping: MappingFile, schemas: Schemas
    ) -> None:
        self._database = database
        self._mapping = mapping
        self._schemas = schemas
        self._partners: dict[str, Partner] = {}
        ref = sa.String(100)
        self.mapped = sa.Table(
            "nrm_mapped",
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

    # -- the partner's tables --------------------------------------------------------------

    def check(self) -> None:
        """Find the partner's tables. SettingsError lists every table and column that is wrong."""
        mistakes: list[str] = []
        with self._database.reading() as db:
            for name in dict.fromkeys(one.table for one in self._mapping.maps):
                maps = [one for one in self._mapping.maps if one.table == name]
                try:
                    table = _reflect(db, name)
                except exc.NoSuchTableError:
                    mistakes.append(f"line {maps[0].line}: the database has no table {name!r}")
                    continue
                mistakes += self._check_table(table, maps)
                self._partners[name] = _partner(db, table, maps)
        if mistakes:
            raise SettingsError(
                f"{self._mapping.path} does not fit the database:\n"
                + "\n".join(f"  {mistake}" for mistake in mistakes)
            )

    @staticmethod
    def _check_table(table: sa.Table, maps: Sequence[EventMap]) -> list[str]:
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
            for name, source in one.columns.items():
                column = table.c.get(name)
                if column is not None and not column.nullable and source.kind == "field":
                    mistakes.append(
                        f"line {one.line}: {one.table}.{name} is NOT NULL, but a category may be "
                        "withheld or recalled: allow NULL there"
                    )
        return mistakes

    def ready(self, schemas: Iterable[tuple[str, bytes]]) -> None:  # noqa: ARG002
        if not self._partners:
            self.check()

    # -- adding ----------------------------------------------------------------------------

    def add(self, db: Connection, additions: Sequence[Addition]) -> None:
        work: dict[str, list[tuple[EventMap, Addition]]] = defaultdict(list)
        for addition in additions:
            for one in self._mapping.of(addition.event.event_type):
                work[one.table].append((one, addition))
        for name, entries in work.items():
            self._fill(db, self._partners[name], name, entries)

    def _fill(
        self,
        db: Connection,
        partner: Partner,
        name: str,
        entries: Sequence[tuple[EventMap, Addition]],
    ) -> None:
        keys = [_key(one, addition) for one, addition in entries]
        writers = self._writers(db, name, keys)
        rows: dict[str, dict[str, Any]] = defaultdict(dict)
        told: dict[tuple[str, str], dict[str, Any]] = {}
        for (one, addition), key in zip(entries, keys, strict=True):
            event = addition.event
            assert event.occurred_at is not None
            order = (instant(event.occurred_at), event.sequence)
            row = rows[key]
            for category, values in _values(one, addition).items():
                for column, value in values.items():
                    if not _overtaken(writers[key], column, order, event.event_ref):
                        row[column] = _fit(partner, column, value, event.sequence)
                writers[key].append(Writer(event.event_ref, category, frozenset(values), order))
                told[event.event_ref, category] = {
                    "event_ref": event.event_ref,
                    "table_name": name,
                    "category": category,
                    "row_key": key,
                    "columns": json.dumps(sorted(values)),
                    "occurred_at": order[0],
                    "sequence": order[1],
                }
        self._upsert(db, partner, rows)
        m = self.mapped.c
        for ref, category in told:
            db.execute(
                self.mapped.delete().where(
                    m.event_ref == ref, m.table_name == name, m.category == category
                )
            )
        if told:
            db.execute(self.mapped.insert(), list(told.values()))

    def _upsert(
        self, db: Connection, partner: Partner, rows: Mapping[str, Mapping[str, Any]]
    ) -> None:
        """Update what is there, insert the rest: needs no unique constraint of the partner."""
        table = partner.table
        there = self._existing(db, partner, list(rows))
        inserts: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        updates: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for key, row in rows.items():
            place = {
                column: _fit(partner, column, value, None)
                for column, value in zip(partner.keys, json.loads(key), strict=True)
            }
            if key not in there:
                inserts[tuple(sorted(row))].append({**place, **row})
            elif row:
                marked = {f"_k_{c}": v for c, v in place.items()}
                updates[tuple(sorted(row))].append(
                    {**marked, **{f"_v_{c}": v for c, v in row.items()}}
                )
        for values in inserts.values():
            db.execute(table.insert(), values)
        for columns, values in updates.items():
            db.execute(
                table.update()
                .where(*(table.c[k] == sa.bindparam(f"_k_{k}") for k in partner.keys))
                .values({c: sa.bindparam(f"_v_{c}", type_=table.c[c].type) for c in columns}),
                values,
            )

    @staticmethod
    def _existing(db: Connection, partner: Partner, keys: Sequence[str]) -> set[str]:
        columns = [partner.table.c[k] for k in partner.keys]
        there: set[str] = set()
        for at in range(0, len(keys), _CHUNK):
            chunk = [
                tuple(
                    _fit(partner, name, value, None)
                    for name, value in zip(partner.keys, json.loads(key), strict=True)
                )
                for key in keys[at : at + _CHUNK]
            ]
            wanted = (
                columns[0].in_([one[0] for one in chunk])
                if len(columns) == 1
                else sa.tuple_(*columns).in_(chunk)
            )
            for row in db.execute(sa.select(*columns).where(wanted)):
                there.add(json.dumps([to_text(value) for value in row]))
        return there

    def _writers(
        self, db: Connection, name: str, keys: Iterable[str]
    ) -> defaultdict[str, list[Writer]]:
        found: defaultdict[str, list[Writer]] = defaultdict(list)
        m = self.mapped.c
        wanted = sorted(set(keys))
        for at in range(0, len(wanted), _CHUNK):
            query = sa.select(self.mapped).where(
                m.table_name == name, m.row_key.in_(wanted[at : at + _CHUNK])
            )
            for row in db.execute(query):
                found[row.row_key].append(
                    Writer(
                        row.event_ref,
                        row.category,
                        frozenset(json.loads(row.columns)),
                        (row.occurred_at, int(row.sequence)),
                    )
                )
        return found

    # -- what a partner sees, for somebody who tries it ------------------------------------

    @property
    def maps(self) -> tuple[EventMap, ...]:
        return self._mapping.maps

    def filled(self, db: Connection) -> list[tuple[str, str]]:
        """(table, row key) of every row that deliveries have filled."""
        m = self.mapped.c
        query = sa.select(m.table_name, m.row_key).distinct().order_by(m.table_name, m.row_key)
        return [(name, key) for name, key in db.execute(query)]

    def row(self, db: Connection, place: tuple[str, str]) -> dict[str, Any] | None:
        """The mapped columns of such a row as they are now; None if it is not there."""
        partner = self._partner(place[0])
        names = dict.fromkeys(
            column for one in self.maps if one.table == place[0] for column in one.columns
        )
        query = sa.select(*(partner.table.c[name] for name in names))
        found = db.execute(query.where(*_row(partner, place[1]))).mappings().first()
        return None if found is None else dict(found)

    def delete(self, db: Connection, place: tuple[str, str]) -> None:
        """The whole row; only for what was invented."""
        partner = self._partner(place[0])
        db.execute(partner.table.delete().where(*_row(partner, place[1])))

    # -- removing and correcting -----------------------------------------------------------

    def read(self, db: Connection, removal: Removal) -> Mapping[str, Mapping[str, Any]]:  # noqa: ARG002
        """Nothing: what the partner's own columns hold may have come from elsewhere."""
        return {}

    def remove(self, db: Connection, removal: Removal) -> None:
        categories = [*removal.categories, *([] if removal.left else [""])]
        m = self.mapped.c
        query = sa.select(self.mapped).where(
            m.event_ref == removal.event_ref, m.category.in_(categories)
        )
        touched: dict[tuple[str, str], tuple[set[str], Order]] = {}
        for row in db.execute(query).all():
            columns, _ = touched.setdefault(
                (row.table_name, row.row_key), (set(), (row.occurred_at, int(row.sequence)))
            )
            columns.update(json.loads(row.columns))
        db.execute(
            self.mapped.delete().where(m.event_ref == removal.event_ref, m.category.in_(categories))
        )
        for (name, key), (columns, order) in touched.items():
            partner = self._partner(name)
            writers = self._writers(db, name, [key])[key]
            if not writers and partner.when_empty == "delete":
                db.execute(partner.table.delete().where(*_row(partner, key)))
                continue
            gone = {
                column: None
                for column in columns
                if not _overtaken(writers, column, order, removal.event_ref)
                and partner.table.c[column].nullable
            }
            if gone:
                db.execute(partner.table.update().where(*_row(partner, key)).values(gone))

    def correct(self, db: Connection, correction: Correction) -> None:
        for one in self._mapping.of(correction.event_type):
            sources = {
                column: source
                for column, source in one.columns.items()
                if source.kind == "field" and source.name == correction.field
            }
            m = self.mapped.c
            query = sa.select(self.mapped).where(
                m.event_ref == correction.event_ref, m.table_name == one.table
            )
            for row in db.execute(query).all() if sources else ():
                partner = self._partner(one.table)
                order = (row.occurred_at, int(row.sequence))
                writers = self._writers(db, one.table, [row.row_key])[row.row_key]
                values = {
                    column: _fit(
                        partner,
                        column,
                        _take(source, correction.value, one, correction.sequence or None),
                        correction.sequence or None,
                    )
                    for column, source in sources.items()
                    if column in json.loads(row.columns)
                    and not _overtaken(writers, column, order, correction.event_ref)
                }
                if values:
                    place = _row(partner, row.row_key)
                    db.execute(partner.table.update().where(*place).values(values))

    def _partner(self, name: str) -> Partner:
        if name not in self._partners:
            self.check()
        return self._partners[name]


def _key(one: EventMap, addition: Addition) -> str:
    event = addition.event
    return json.dumps([getattr(event, source) or "" for source in one.key.values()])


def _row(partner: Partner, key: str) -> list[sa.ColumnElement[bool]]:
    return [
        partner.table.c[name] == _fit(partner, name, value, None)
        for name, value in zip(partner.keys, json.loads(key), strict=True)
    ]


def _values(one: EventMap, addition: Addition) -> dict[str, dict[str, Any]]:
    """Category → column → value; "" for what is of no category."""
    event = addition.event
    values: dict[str, dict[str, Any]] = defaultdict(dict)
    for column, source in one.columns.items():
        if source.kind == "field":
            if source.category in addition.categories:
                value = event.fields[source.category].get(source.name)
                values[source.category][column] = _take(source, value, one, event.sequence)
        elif source.kind == "constant":
            values[""][column] = _take(source, source.value, one, event.sequence)
        else:
            value = (
                addition.received_at
                if source.name == "received_at"
                else getattr(event, source.name)
            )
            values[""][column] = _take(source, value, one, event.sequence)
    return values


def _take(source: Source, value: Any, one: EventMap, sequence: int | None) -> Any:
    try:
        return source.take(value)
    except CodeMissing:
        reason, wrong = "code_not_translated", "has a code without translation"
    except (ValueError, TypeError, KeyError):
        reason, wrong = "value_unsuitable", "does not fit the type asked for"
    raise SinkRefusedError(reason, f"{one.event}.{source.name} {wrong}", sequence)


def _overtaken(writers: Sequence[Writer], column: str, order: Order, event_ref: str) -> bool:
    """Whether another event that happened later filled this column."""
    return any(
        column in writer.columns and writer.order > order and writer.event_ref != event_ref
        for writer in writers
    )


def _reflect(db: Connection, name: str) -> sa.Table:
    schema, _, table = name.rpartition(".")
    return sa.Table(table, sa.MetaData(), schema=schema or None, autoload_with=db)


def _partner(db: Connection, table: sa.Table, maps: Sequence[EventMap]) -> Partner:
    fit: dict[str, Callable[[Any], Any]] = {}
    for column in table.columns:
        fit[column.name] = _fitting(column.type)
        if db.dialect.name == "sqlite" and not isinstance(column.type, sa.String | sa.JSON):
            # SQLite keeps what it is given: exact text for decimals, ISO 8601 for dates.
            column.type = sa.types.NullType()
            fit[column.name] = _plain(fit[column.name])
    return Partner(table, tuple(maps[0].key), fit, maps[0].when_empty)


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


def _fit(partner: Partner, column: str, value: Any, sequence: int | None) -> Any:
    if value is None:
        return None
    try:
        return partner.fit[column](value)
    except (ValueError, TypeError):
        raise SinkRefusedError(
            "value_unsuitable", f"{partner.table.name}.{column} is of another type", sequence
        ) from None
