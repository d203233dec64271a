"""Mapped tables: deliveries go into tables the partner has already, by its mapping file.

`nrm_mapped` remembers which event filled which columns of which row, because only then can a
recall take back exactly its own values, and a late event not overwrite a later one. A row may be
the partner's own: columns that no map names are never touched.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, exc

from connectors.columns import to_text
from connectors.database.definitions import named
from connectors.database.partner_tables import Partner, fitted, partners
from connectors.errors import SettingsError, SinkRefusedError
from connectors.findings import Finding
from connectors.landing import Database
from connectors.ledger import instant
from connectors.ledger_tables import TABLE, TEXT
from connectors.mapping import EventMap
from connectors.mapping import Mapping as MappingFile
from connectors.mapping.checking import misfits
from connectors.mapping.source import CodeMissing, Source
from connectors.sink import Addition, Correction, Removal
from connectors.workbench.lookups import read_named
from schemas.registry import Schemas

_CHUNK = 200
_NOTHING = "[]"  # columns of an empty row that other rows still refer to

Order = tuple[str, int]
"""(occurred_at, sequence): which of two events was later."""


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
        self.flat = False  # a copy's tables have no schemas
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
        with self._database.reading() as db:
            found = named(db, (one.table for one in self._mapping.maps), flat=self.flat)
            told = [] if self.flat else misfits(self._mapping, found, self._schemas, codes=False)
            wrong = [one for one in told if one.level == "wrong"]
            if wrong:
                raise SettingsError(
                    f"{self._mapping.path} does not fit the database:\n"
                    + "\n".join(f"  {one.subject}: {one.text}: {one.fix}" for one in wrong)
                )
            self._partners = partners(db, self._mapping.maps, found, flat=self.flat)

    def findings(self) -> list[Finding]:
        """How the mapping fits the partner's tables and lists of codes, for who checks it."""
        with self._database.reading() as db:
            found = read_named(db, (one.table for one in self._mapping.maps))
        return misfits(self._mapping, found, self._schemas, codes=True)

    def ready(self, schemas: Iterable[tuple[str, bytes]]) -> None:  # noqa: ARG002
        self.tables()

    def tables(self) -> Mapping[str, Partner]:
        """The partner's tables by name, parents first."""
        if not self._partners:
            self.check()
        return self._partners

    def columns(self, name: str) -> list[str]:
        """Columns of a table that the mapping fills, those of the key first."""
        maps = [one for one in self._mapping.maps if one.table == name]
        return list(dict.fromkeys(c for one in maps for c in (*one.key, *one.columns)))

    # -- adding ----------------------------------------------------------------------------

    def add(self, db: Connection, additions: Sequence[Addition]) -> None:
        work: dict[str, list[tuple[EventMap, Addition]]] = defaultdict(list)
        for addition in additions:
            for one in self._mapping.of(addition.event.event_type):
                work[one.table].append((one, addition))
        for name, partner in self.tables().items():  # parents first
            if name in work:
                self._fill(db, partner, name, work[name])

    def _fill(
        self,
        db: Connection,
        partner: Partner,
        name: str,
        entries: Sequence[tuple[EventMap, Addition]],
    ) -> None:
        keys = [_key(one, addition) for one, addition in entries]
        writers = self.writers(db, name, keys)
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
                        row[column] = fitted(partner, column, value, event.sequence)
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
                column: fitted(partner, column, value, None)
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
                    fitted(partner, name, value, None)
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

    def writers(
        self, db: Connection, name: str, keys: Iterable[str]
    ) -> defaultdict[str, list[Writer]]:
        found: defaultdict[str, list[Writer]] = defaultdict(list)
        m = self.mapped.c
        wanted = sorted(set(keys))
        for at in range(0, len(wanted), _CHUNK):
            query = sa.select(self.mapped).where(
                m.table_name == name,
                m.row_key.in_(wanted[at : at + _CHUNK]),
                m.columns != _NOTHING,
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
        partner = self.partner(place[0])
        names = dict.fromkeys(
            column for one in self.maps if one.table == place[0] for column in one.columns
        )
        query = sa.select(*(partner.table.c[name] for name in names))
        found = db.execute(query.where(*partner.row(place[1]))).mappings().first()
        return None if found is None else dict(found)

    def delete(self, db: Connection, place: tuple[str, str]) -> None:
        """The whole row; only for what was invented."""
        partner = self.partner(place[0])
        db.execute(partner.table.delete().where(*partner.row(place[1])))

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
        places = list(self.tables())
        for (name, key), (columns, order) in sorted(
            touched.items(), key=lambda one: places.index(self._known(one[0][0])), reverse=True
        ):  # children first
            partner = self.partner(name)
            writers = self.writers(db, name, [key])[key]
            empty = not writers and partner.when_empty == "delete"
            if empty and _deleted(db, partner, key):
                continue
            gone = {
                column: None
                for column in columns
                if not _overtaken(writers, column, order, removal.event_ref)
                and partner.table.c[column].nullable
            }
            if gone:
                db.execute(partner.table.update().where(*partner.row(key)).values(gone))
            if empty:
                self._keep_for_later(db, removal.event_ref, name, key, order)
        self._delete_what_was_kept(db)

    def _keep_for_later(
        self, db: Connection, event_ref: str, name: str, key: str, order: Order
    ) -> None:
        """A row that is empty and that other rows still refer to: it goes when they have gone."""
        db.execute(
            self.mapped.insert().values(
                event_ref=event_ref,
                table_name=name,
                category="",
                row_key=key,
                columns=_NOTHING,
                occurred_at=order[0],
                sequence=order[1],
            )
        )

    def _delete_what_was_kept(self, db: Connection) -> None:
        m = self.mapped.c
        query = sa.select(self.mapped).where(m.columns == _NOTHING).limit(_CHUNK)
        for row in db.execute(query).all():
            filled = bool(self.writers(db, row.table_name, [row.row_key])[row.row_key])
            if filled or _deleted(db, self.partner(row.table_name), row.row_key):
                db.execute(
                    self.mapped.delete().where(
                        m.event_ref == row.event_ref,
                        m.table_name == row.table_name,
                        m.category == "",
                        m.columns == _NOTHING,
                    )
                )

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
                partner = self.partner(one.table)
                order = (row.occurred_at, int(row.sequence))
                writers = self.writers(db, one.table, [row.row_key])[row.row_key]
                values = {
                    column: fitted(
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
                    place = partner.row(row.row_key)
                    db.execute(partner.table.update().where(*place).values(values))

    def partner(self, name: str) -> Partner:
        return self.tables()[self._known(name)]

    def _known(self, name: str) -> str:
        if name not in self.tables():
            raise SettingsError(
                f"{self._mapping.path} no longer names the table {name}, but rows of it were "
                "filled from deliveries: put its [[map]] back, so that recalls reach them"
            )
        return name


def _key(one: EventMap, addition: Addition) -> str:
    event = addition.event
    return json.dumps([getattr(event, source) or "" for source in one.key.values()])


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


def _deleted(db: Connection, partner: Partner, key: str) -> bool:
    """Delete a row; False, and nothing is changed, if other rows refer to it."""
    try:
        with db.begin_nested():
            if db.dialect.name == "postgresql":  # a deferred foreign key speaks now, not at commit
                db.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))
            db.execute(partner.table.delete().where(*partner.row(key)))
    except exc.IntegrityError:
        return False
    return True


def _overtaken(writers: Sequence[Writer], column: str, order: Order, event_ref: str) -> bool:
    """Whether another event that happened later filled this column."""
    return any(
        column in writer.columns and writer.order > order and writer.event_ref != event_ref
        for writer in writers
    )
