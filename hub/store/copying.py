"""A log in one file, and back: the same for SQLite and PostgreSQL.

`copy_out` reads all tables of a log in one snapshot, beside a running hub that goes on writing, and
writes them into one SQLite file; `copy_in` fills an empty log, on either database, from such a
file in one transaction. Rows are copied as they are: positions, leaves and bytes are the same, so
checkpoints made before verify after. A log may move from one database to the other this way.

Deliberately absent: any judgement of what is copied (`hub/backup/` verifies it).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import psycopg
from eventsourcing.persistence import StoredEvent
from psycopg import sql

from hub.store.errors import StoreCorrupt, StoreRefused, StoreUnavailable
from hub.store.location import split_schema, sqlite_path
from hub.store.log import HubLog
from hub.store.postgres import probe
from hub.store.sqlite import LOCK_SECONDS, TABLES
from hub.store.work import COLUMNS as WORK_COLUMNS
from hub.store.work import WORK_TABLES

PAGE = 2_000
Rows = Iterator[tuple[Any, ...]]
Progress = Callable[[int, int], None]  # rows done, rows there are

_ROWS = ("originator_id", "originator_version", "topic", "state")
COLUMNS: dict[str, tuple[str, ...]] = {
    "leaves": ("position", "entry", "recorded_at"),
    "admissions": ("agency", "event_id", "digest", "position"),
    "followers": ("name", "position"),
    "topics": ("topic", "events"),
    "checkpoints": ("size", "note"),
    "tiles": ("path", "data"),
    "work": tuple(WORK_COLUMNS.replace(" ", "").split(",")),
    "work_cases": ("case_id", "subject", "open"),
    "notices": ("item", "phase", "receiver", "sent_at"),
}
OF_A_LIFE = ("checkpoints", "tiles")
"""Tables that are left out when a log begins another life: they are made anew from the leaves."""


def in_silence(_done: int, _of: int) -> None:
    """No progress is shown."""


def copy_out(url: str, file: Path, progress: Progress = in_silence) -> dict[str, int]:
    """The log at `url`, as it stands now, into a new file; rows by table."""
    with _snapshot(url) as read, closing(sqlite3.connect(file, isolation_level=None)) as target:
        target.execute("PRAGMA journal_mode=DELETE")
        target.execute("PRAGMA synchronous=FULL")
        for statement in (*TABLES.split(";"), *WORK_TABLES):
            target.execute(statement)
        target.execute("BEGIN")
        [(head,)] = read("SELECT coalesce(max(position), 0) FROM leaves")
        counts = {"stored_events": 0}
        position = _position(url)
        names = ", ".join(_ROWS)
        rows = read(f"SELECT {position}, {names} FROM stored_events ORDER BY {position}")  # noqa: S608
        while page := list(islice(rows, PAGE)):
            target.executemany("INSERT INTO stored_events VALUES (?, ?, ?, ?, ?)", map(_raw, page))
            counts["stored_events"] += len(page)
            progress(counts["stored_events"], head)
        for table, columns in COLUMNS.items():
            names, marks = ", ".join(columns), ", ".join("?" * len(columns))
            rows = read(f"SELECT {names} FROM {table} ORDER BY {columns[0]}")  # noqa: S608
            counts[table] = 0
            while page := list(islice(rows, PAGE)):
                target.executemany(
                    f"INSERT INTO {table} ({names}) VALUES ({marks})",  # noqa: S608
                    map(_raw, page),
                )
                counts[table] += len(page)
        target.executemany(
            "INSERT INTO about (name, value) VALUES (?, ?)",
            list(read("SELECT name, value FROM about")),
        )
        target.execute("COMMIT")
    return counts


def copy_in(
    file: Path,
    log: HubLog,
    *,
    another_life: bool = False,
    progress: Progress = in_silence,
) -> None:
    """Fill this empty log from such a file: all of it or nothing.

    another_life: without checkpoints and tiles. Raises StoreRefused if the log holds anything.
    """
    with (
        closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as source,
        log.filling() as (
            tables,
            c,
        ),
    ):
        c.execute("SELECT count(*) AS n FROM leaves")
        if c.fetchall()[0]["n"]:
            raise StoreRefused("there is a log in this store already: choose an empty one")
        [(head,)] = source.execute("SELECT coalesce(max(position), 0) FROM leaves")
        first = 1
        rows = source.execute(f"SELECT rowid, {', '.join(_ROWS)} FROM stored_events ORDER BY rowid")  # noqa: S608
        while page := rows.fetchmany(PAGE):
            if [row[0] for row in page] != list(range(first, first + len(page))):
                raise StoreCorrupt(f"the backup's rows are not contiguous from position {first} on")
            tables.insert_rows(c, first, [_stored(row) for row in page])
            first += len(page)
            progress(first - 1, head)
        leaves = source.execute("SELECT position, entry, recorded_at FROM leaves ORDER BY position")
        while some := leaves.fetchmany(PAGE):
            tables.insert_leaves(c, some)
        for table, columns in COLUMNS.items():
            if table == "leaves" or (another_life and table in OF_A_LIFE):
                continue
            names, marks = ", ".join(columns), ", ".join("?" * len(columns))
            others = source.execute(f"SELECT {names} FROM {table}")  # noqa: S608
            while some := others.fetchmany(PAGE):
                c.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", some)  # noqa: S608


def _stored(row: Sequence[Any]) -> StoredEvent:
    return StoredEvent(UUID(bytes=row[1]), row[2], row[3], row[4])


def _raw(row: Iterable[Any]) -> tuple[Any, ...]:
    """As SQLite keeps it: streams are 16 bytes."""
    return tuple(value.bytes if isinstance(value, UUID) else value for value in row)


def _position(url: str) -> str:
    return "rowid" if urlsplit(url).scheme == "sqlite" else "notification_id"


@contextmanager
def _snapshot(url: str) -> Iterator[Callable[[str], Rows]]:
    """A function from a SELECT to its rows; all of them see the log as it was at the first."""
    if urlsplit(url).scheme == "sqlite":
        path = sqlite_path(url).absolute()
        if not path.exists():
            raise StoreRefused(f"there is no log at {path}")
        with closing(
            sqlite3.connect(
                f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None, timeout=LOCK_SECONDS
            )
        ) as db:
            db.execute("BEGIN")
            yield lambda query: iter(db.execute(query))
        return
    address, schema = split_schema(url)
    params = probe(address, schema)
    params["options"] = f"{params.get('options') or ''} -c search_path={schema}"
    try:
        with psycopg.connect(**params) as connection:
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            number = 0

            def read(query: str) -> Rows:
                nonlocal number
                number += 1
                with connection.cursor(name=f"copy_{number}") as cursor:
                    cursor.itersize = PAGE
                    yield from cursor.execute(sql.SQL(query))

            yield read
    except psycopg.Error as error:
        raise StoreUnavailable(f"the log cannot be read: {type(error).__name__}") from error
