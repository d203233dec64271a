"""Mapped tables: deliveries go into tables the partner has already, by its mapping file.

A row may be the partner's own: columns that no map names are never touched. Which event filled what
is kept beside (`connectors/tables/writers.py`).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, exc

from connectors.database.definitions import named
from connectors.database.engines import forbidden
from connectors.database.partner_tables import Partner, fitted, partners
from connectors.errors import SettingsError, SinkDownError, SinkRefusedError
from connectors.findings import Finding
from connectors.landing import Database
from connectors.mapping import EventMap
from connectors.mapping import Mapping as MappingFile
from connectors.mapping.checking import misfits
from connectors.sink import Addition, Correction, Removal
from connectors.tables.columns import to_text
from connectors.tables.ledger_tables import instant
from connectors.tables.writers import CHUNK, Order, Writer, Writers, overtaken
from connectors.workbench.lookups import read_named
from schemas.registry import Schemas


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
        self.writers = Writers(metadata)
        self.mapped = self.writers.table

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

    @property
    def names(self) -> list[str]:
        """The tables that the file names, once each, perhaps with their schema."""
        return list(dict.fromkeys(one.table for one in self._mapping.maps))

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
        writers = self.writers.of_rows(db, name, keys)
        rows: dict[str, dict[str, Any]] = defaultdict(dict)
        told: dict[tuple[str, str], Writer] = {}
        for (one, addition), key in zip(entries, keys, strict=True):
            event = addition.event
            assert event.occurred_at is not None
            order = (instant(event.occurred_at), event.sequence)
            row = rows[key]
            for category, values in _values(one, addition).items():
                for column, value in values.items():
                    if not overtaken(writers[key], column, order, event.event_ref):
                        row[column] = fitted(partner, column, value, event.sequence)
                writer = Writer(event.event_ref, name, key, category, frozenset(values), order)
                writers[key].append(writer)
                told[event.event_ref, category] = writer
        self._upsert(db, partner, rows)
        self.writers.put(db, list(told.values()))

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
            # inline: a row's number, which the partner's database draws, is not asked back: to
            # read it would need a right.
            db.execute(table.insert().inline(), values)
        for columns, values in updates.items():
            done = db.execute(
                table.update()
                .where(*(table.c[k] == sa.bindparam(f"_k_{k}") for k in partner.keys))
                .values({c: sa.bindparam(f"_v_{c}", type_=table.c[c].type) for c in columns}),
                values,
            )
            if 0 <= done.rowcount < len(values):
                raise _kept_away(partner)
        new = [key for key in rows if key not in there]
        if new and set(new) - self._existing(db, partner, new):
            raise _kept_away(partner)

    @staticmethod
    def _existing(db: Connection, partner: Partner, keys: Sequence[str]) -> set[str]:
        columns = [partner.table.c[k] for k in partner.keys]
        there: set[str] = set()
        for at in range(0, len(keys), CHUNK):
            chunk = [
                tuple(
                    fitted(partner, name, value, None)
                    for name, value in zip(partner.keys, json.loads(key), strict=True)
                )
                for key in keys[at : at + CHUNK]
            ]
            wanted = (
                columns[0].in_([one[0] for one in chunk])
                if len(columns) == 1
                else sa.tuple_(*columns).in_(chunk)
            )
            for row in db.execute(sa.select(*columns).where(wanted)):
                there.add(json.dumps([to_text(value) for value in row]))
        return there

    # -- what a partner sees, for somebody who tries it ------------------------------------

    @property
    def maps(self) -> tuple[EventMap, ...]:
        return self._mapping.maps

    def filled(self, db: Connection) -> dict[tuple[str, str], set[str]]:
        """(table, row key) of every row that deliveries have filled → the columns they filled."""
        return self.writers.rows(db)

    def row(
        self, db: Connection, place: tuple[str, str], columns: Collection[str]
    ) -> dict[str, Any] | None:
        """These columns of such a row as they are now, in the file's order; None if it is not
        there. What a table's own default put beside them is not asked for."""
        partner = self.partner(place[0])
        names = dict.fromkeys(
            column
            for one in self.maps
            if one.table == place[0]
            for column in one.columns
            if column in columns
        )
        there = sa.literal(1).label("nrm_there")  # also where no column is left to be asked for
        query = sa.select(there, *(partner.table.c[name] for name in names))
        query = query.select_from(partner.table)
        found = db.execute(query.where(*partner.row(place[1]))).mappings().first()
        return None if found is None else {name: found[name] for name in names}

    def delete(self, db: Connection, place: tuple[str, str]) -> None:
        """The whole row; only for what was invented."""
        partner = self.partner(place[0])
        db.execute(partner.table.delete().where(*partner.row(place[1])))

    def deletable(self, name: str) -> bool:
        """Whether this user may delete rows of that table; none is."""
        none = self.partner(name).table.delete().where(sa.false())
        try:
            with self._database.writing() as db:
                db.execute(none)
        except SinkDownError as wrong:
            if isinstance(wrong.__context__, Exception) and forbidden(wrong.__context__):
                return False
            raise
        return True

    # -- removing and correcting -----------------------------------------------------------

    def read(self, db: Connection, removal: Removal) -> Mapping[str, Mapping[str, Any]]:  # noqa: ARG002
        """Nothing: what the partner's own columns hold may have come from elsewhere."""
        return {}

    def remove(self, db: Connection, removal: Removal) -> None:
        categories = [*removal.categories, *([] if removal.left else [""])]
        touched: dict[tuple[str, str], tuple[set[str], Order]] = {}
        for one in self.writers.forget(db, removal.event_ref, categories):
            columns, _ = touched.setdefault((one.table, one.key), (set(), one.order))
            columns.update(one.columns)
        places = list(self.tables())
        for (name, key), (columns, order) in sorted(
            touched.items(), key=lambda one: places.index(self._known(one[0][0])), reverse=True
        ):  # children first
            partner = self.partner(name)
            writers = self.writers.of_rows(db, name, [key])[key]
            empty = not writers and partner.when_empty == "delete"
            if empty and _deleted(db, partner, key):
                continue
            gone = {
                column: None
                for column in columns
                if column in partner.table.c  # else the partner has dropped it since
                and not overtaken(writers, column, order, removal.event_ref)
                and partner.table.c[column].nullable
            }
            if gone:
                db.execute(partner.table.update().where(*partner.row(key)).values(gone))
                held = sa.or_(*(partner.table.c[column].is_not(None) for column in gone))
                _must_be_gone(db, partner, key, held)
            if empty:
                left = Writer(removal.event_ref, name, key, "", frozenset(), order)
                self.writers.keep_empty(db, left)
        for left in self.writers.kept_empty(db):
            filled = self.writers.of_rows(db, left.table, [left.key])[left.key]
            if filled or _deleted(db, self.partner(left.table), left.key):
                self.writers.forget_empty(db, left)

    def correct(self, db: Connection, correction: Correction) -> None:
        for one in self._mapping.of(correction.event_type):
            sources = {
                column: source
                for column, source in one.columns.items()
                if source.kind == "field" and source.name == correction.field
            }
            if not sources:
                continue
            sequence = correction.sequence or None
            for written in self.writers.of_event(db, correction.event_ref, one.table):
                partner = self.partner(one.table)
                writers = self.writers.of_rows(db, one.table, [written.key])[written.key]
                values = {}
                for column, source in sources.items():
                    late = overtaken(writers, column, written.order, correction.event_ref)
                    if column in written.columns and not late:
                        told = f"{one.event}.{source.name}"
                        value = source.fill(correction.value, told, sequence)
                        values[column] = fitted(partner, column, value, sequence)
                if values:
                    place = partner.row(written.key)
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
            if source.category not in addition.categories:
                continue
            value = event.fields[source.category].get(source.name)
        elif source.kind == "constant":
            value = source.value
        elif source.name == "received_at":
            value = addition.received_at
        else:
            value = getattr(event, source.name)
        told = f"{one.event}.{source.name}"
        values[source.category][column] = source.fill(value, told, event.sequence)
    return values


def _kept_away(partner: Partner) -> SinkRefusedError:
    """A row that no recall would find must not be answered as applied."""
    return SinkRefusedError(
        "sink_refused",
        f"{partner.table.name} does not hold the row after it was written: a trigger, a rule or "
        "row security of yours keeps it away or changes its key",
    )


def _deleted(db: Connection, partner: Partner, key: str) -> bool:
    """Delete a row; False, and nothing is changed, if other rows refer to it."""
    try:
        with db.begin_nested():
            if db.dialect.name == "postgresql":  # a deferred foreign key speaks now, not at commit
                db.execute(sa.text("SET CONSTRAINTS ALL IMMEDIATE"))
            db.execute(partner.table.delete().where(*partner.row(key)))
    except exc.IntegrityError:
        return False
    _must_be_gone(db, partner, key, sa.true())
    return True


def _must_be_gone(db: Connection, partner: Partner, key: str, held: sa.ColumnElement[bool]) -> None:
    """A recall is not answered as done while the row holds what it took. held: how that shows."""
    left = sa.select(sa.literal(1)).select_from(partner.table).where(*partner.row(key), held)
    if db.execute(left.limit(1)).first() is not None:
        raise SinkRefusedError(
            "sink_refused",
            f"{partner.table.name} still holds what was taken out of it: a trigger, a rule or row "
            "security of yours keeps it there",
        )
