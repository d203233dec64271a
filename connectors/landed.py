"""What landed: a partner's system read back, for somebody who tries a connector out.

Rows of default and mapped tables, lines of a file. A sink of another kind may be `Showing`; where
it is not, only the books can be told.

Also how a try is undone: `undo` takes the books and what they say was filled away again, and has a
`Withdrawing` sink take away the rest. It does so only where all books are of practice hubs.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from glob import escape
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.errors import SettingsError, SinkDownError
from connectors.jsonl import JsonlSink
from connectors.sink import Sink
from connectors.sql import SqlDatabase, SqlSink
from connectors.tables.layout import PROVENANCE, table_name
from connectors.tables.mapped import MappedTables
from schemas.registry import Schemas

PRACTICE: Final = "practice-"
"""How names of practice hubs begin; no real hub's should."""

_STATE: Final = "nrm_connector_state"


@dataclass(frozen=True)
class Landed:
    """One row, line or document. place: table or file; about: an event type, or the row's key."""

    place: str
    about: str
    content: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Showing(Protocol):
    """A sink whose system can be asked. landed(): what is there of deliveries now; what was seen
    before a recall is looked for again after it."""

    def landed(self) -> Sequence[Landed]: ...


@runtime_checkable
class Leaving(Protocol):
    """A sink whose system keeps something of what was recalled. leaves: what, as a part of a
    sentence; "" if nothing."""

    @property
    def leaves(self) -> str: ...


@runtime_checkable
class Withdrawing(Protocol):
    """A sink that has put somewhere what no recall removes. withdraw() takes it away."""

    def withdraw(self) -> None: ...


@runtime_checkable
class _Booked(Protocol):
    database: SqlDatabase


def landed(sink: Sink, types: Collection[str] = ()) -> list[Landed] | None:
    """What is there of deliveries; None if this kind of sink cannot show its system.

    types: only of these event types, as far as a row is of one type; all if empty.
    """
    if isinstance(sink, SqlSink):
        with sink.database.reading() as db:
            return [*_default_rows(db, sink, types), *_mapped_rows(db, sink.mapped)]
    if isinstance(sink, JsonlSink):
        lines = sink.path.read_text("utf-8").splitlines() if sink.path.exists() else []
        return [
            Landed(sink.path.name, one["event_type"], flat(one["fields"]))
            for one in map(json.loads, lines)
            if not types or one["event_type"] in types
        ]
    return list(sink.landed()) if isinstance(sink, Showing) else None


def leaves(sink: Sink) -> str:
    """What the sink's system keeps of what was recalled, as a part of a sentence; "" if nothing."""
    return sink.leaves if isinstance(sink, Leaving) else ""


def holdings(sink: Sink) -> dict[tuple[str, str], dict[str, str]] | None:
    """(event type, event) → category → basis, by the books; None if they cannot be read."""
    database = _books(sink)
    if database is None:
        return None
    found: dict[tuple[str, str], dict[str, str]] = {}
    names = ("event_type", "event_ref", "category", "basis")
    held = sa.table("nrm_holding", *map(sa.column, names), schema=_schema(sink))
    with database.reading() as db:
        query = sa.select(held).order_by(held.c.event_type, held.c.event_ref)
        for kind, ref, category, basis in db.execute(query):
            found.setdefault((kind, ref), {})[category] = basis
    return found


def hubs(sink: Sink) -> set[str]:
    """Hubs whose deliveries the books of this sink hold. Nothing is made if there are none."""
    database = _books(sink)
    if database is None or not _there(database):
        return set()
    with database.reading() as db:
        if not sa.inspect(db).has_table(_STATE, _schema(sink)):
            return set()
        state = sa.table(_STATE, sa.column("hub"), schema=_schema(sink))
        return set(db.execute(sa.select(state.c.hub)).scalars())


def check_keys(sink: Sink) -> None:
    """SettingsError if a mapping finds rows by what is not of one case: they may be real ones."""
    if isinstance(sink, SqlSink) and sink.mapped is not None:
        for one in sink.mapped.maps:
            if set(one.key.values()) <= {"agency"}:
                raise SettingsError(
                    f"{one.event} fills rows of {one.table} that are found by agency alone, and "
                    "such a row may be there already: try it on a twin with --into"
                )


def check_rights(sink: Sink) -> None:
    """SettingsError if a row that the trial makes could not be taken away again."""
    if not isinstance(sink, SqlSink) or sink.mapped is None:
        return
    forbidden = [name for name in sink.mapped.names if not sink.mapped.deletable(name)]
    if forbidden:
        raise SettingsError(
            f"this user may not delete rows of {', '.join(forbidden)}, and the trial's own could "
            "not be taken away again: try it on a twin with --into, or with a sink.url whose user "
            "may"
        )


def undo(sink: Sink, rows: Collection[tuple[str, str]]) -> None:
    """Take away what deliveries of practice hubs left: rows, tables, files, and the books.

    rows: (table, row key) of mapped rows as `filled` told them before everything was recalled.
    """
    if any(not one.startswith(PRACTICE) for one in hubs(sink)):
        raise SettingsError("these books hold deliveries of a real hub: nothing was taken away")
    if isinstance(sink, SqlSink):
        sink.database.close()  # a reading that was interrupted may still hold a table
        with sink.database.writing() as db:
            if sink.mapped is not None:
                for place in rows:
                    sink.mapped.delete(db, place)
            ours = [sa.table(name, schema=sink.db_schema) for name in _own_tables(db, sink)]
            for one in ours:
                db.execute(one.delete())
        sink.database.wipe(True)
        # Tables that a DBA made for the connector stay, empty: it may not drop them.
        with contextlib.suppress(SinkDownError), sink.database.writing() as db:
            for one in ours:
                sa.Table(one.name, sa.MetaData(), schema=sink.db_schema).drop(db)
    elif (database := _books(sink)) is not None:
        books = Path(str(database.engine.url.database))
        if isinstance(sink, Withdrawing) and books.exists():
            sink.withdraw()
        sink.close()
        # Logs and journals lie beside the books under their name; the lines' file has none.
        files = [books, *books.parent.glob(f"{escape(books.name)}[.-]*")]
        if isinstance(sink, JsonlSink):
            files.append(sink.path)
        for path in files:
            path.unlink(missing_ok=True)


def filled(sink: Sink) -> Mapping[tuple[str, str], Collection[str]]:
    """(table, row key) of mapped rows that deliveries have filled → the columns they filled."""
    if not isinstance(sink, SqlSink) or sink.mapped is None:
        return {}
    with sink.database.reading() as db:
        return sink.mapped.filled(db)


def emptied(sink: Sink, rows: Mapping[tuple[str, str], Collection[str]]) -> list[Landed]:
    """These mapped rows as they are now, those that are gone left out."""
    if not isinstance(sink, SqlSink) or sink.mapped is None:
        return []
    with sink.database.reading() as db:
        found = [(place, sink.mapped.row(db, place, names)) for place, names in rows.items()]
    return [_row(place, values) for place, values in found if values is not None]


def _books(sink: Sink) -> SqlDatabase | None:
    if isinstance(sink, _Booked) and isinstance(sink.database, SqlDatabase):
        return sink.database
    return None


def _schema(sink: Sink) -> str | None:
    return sink.db_schema if isinstance(sink, SqlSink) else None


def _there(database: SqlDatabase) -> bool:
    url = database.engine.url
    return url.get_backend_name() != "sqlite" or Path(str(url.database)).exists()


def _default_rows(db: Connection, sink: SqlSink, types: Collection[str]) -> list[Landed]:
    found = []
    there = sa.inspect(db).get_table_names(sink.db_schema)
    for kind in Schemas.load().types():
        name = table_name(kind)
        if (types and kind not in types) or name not in there:
            continue
        table = sa.Table(name, sa.MetaData(), schema=sink.db_schema, autoload_with=db)
        if set(PROVENANCE) <= set(table.c.keys()):
            for row in db.execute(sa.select(table).order_by(table.c.sequence)).mappings():
                values = {column: row[column] for column in row if column not in PROVENANCE}
                found.append(Landed(name, kind, _told(values)))
    return found


def _mapped_rows(db: Connection, mapped: MappedTables | None) -> list[Landed]:
    if mapped is None:
        return []
    found = ((place, mapped.row(db, place, names)) for place, names in mapped.filled(db).items())
    return [_row(place, values) for place, values in found if values is not None]


def _row(place: tuple[str, str], values: Mapping[str, Any]) -> Landed:
    return Landed(place[0], ", ".join(json.loads(place[1])), _told(values))


def _told(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def flat(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Fields that say something, of all categories."""
    return _told({name: value for values in fields.values() for name, value in values.items()})


def _own_tables(db: Connection, sink: SqlSink) -> list[str]:
    """Ours; of default tables those whose every row is of a delivery these books hold."""
    inspector = sa.inspect(db)
    ours = {table.name for table in sink.own_tables()}
    there = inspector.get_table_names(sink.db_schema)  # MariaDB refuses to ask for each by name
    names = [name for name in there if name in ours]
    for name in map(table_name, Schemas.load().types()):
        if name not in there:
            continue
        columns = {one["name"] for one in inspector.get_columns(name, sink.db_schema)}
        if set(PROVENANCE) <= columns:
            table = sa.table(name, sa.column("event_ref"), schema=sink.db_schema)
            held = sa.table("nrm_holding", sa.column("event_ref"), schema=sink.db_schema)
            strangers = sa.select(sa.func.count()).where(
                table.c.event_ref.not_in(sa.select(held.c.event_ref))
            )
            if not db.execute(strangers.select_from(table)).scalar():
                names.insert(0, name)
    return names
