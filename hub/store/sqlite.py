"""The log on SQLite: one file, WAL, every commit on disk before it returns.

Set and asserted on each connection: journal_mode=WAL, synchronous=FULL. The default of SQLite's
build is not relied on. A write begins IMMEDIATE, so that the head it reads is still the head when
it writes. The position is the table's INTEGER PRIMARY KEY, so VACUUM cannot renumber it.

After an I/O error (or a full disk) on write the store stops: the operating system may have
dropped the unwritten pages and will report success next time. Reopening moves what the
write-ahead log holds into the database file, which writes and syncs it anew.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast
from uuid import UUID

from eventsourcing.persistence import (
    ApplicationRecorder,
    ConnectionUnavailableError,
    Notification,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.sqlite import (
    SQLiteApplicationRecorder,
    SQLiteConnection,
    SQLiteConnectionPool,
    SQLiteDatastore,
    SQLiteFactory,
)
from eventsourcing.utils import Environment

from hub.crash import point
from hub.store.errors import StoreBusy, StoreConflict, StoreRefused, StoreUnavailable
from hub.store.tables import Cursor, LogTables, Row
from hub.store.work import WORK_TABLES

LOCK_SECONDS = 10
PAGE_BYTES = 16384  # rows of 1 to 3 kB and random ids: half as many pages per commit as 4096
MOST = 2**62
TABLES = """
CREATE TABLE IF NOT EXISTS stored_events (
    rowid INTEGER PRIMARY KEY,
    originator_id BLOB NOT NULL,
    originator_version INTEGER NOT NULL,
    topic TEXT NOT NULL,
    state BLOB NOT NULL,
    UNIQUE (originator_id, originator_version));
CREATE TABLE IF NOT EXISTS leaves (
    position INTEGER PRIMARY KEY, entry BLOB NOT NULL, recorded_at INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS admissions (
    agency TEXT NOT NULL, event_id BLOB NOT NULL, digest BLOB NOT NULL,
    position INTEGER NOT NULL, PRIMARY KEY (agency, event_id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS followers (
    name TEXT PRIMARY KEY, position INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS topics (
    topic TEXT PRIMARY KEY, events INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoints (size INTEGER PRIMARY KEY, note TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS tiles (path TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS about (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID
"""


def make_file(path: Path) -> None:
    """An empty database file only its owner can read, with our page size; nothing if it exists."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        if path.stat().st_size:
            return
    except OSError as error:
        raise StoreRefused(f"the log cannot be made: {error}") from error
    until = time.monotonic() + LOCK_SECONDS
    while True:
        connection = sqlite3.connect(path, timeout=LOCK_SECONDS)
        try:
            connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.Error as error:
            # Two who make it at once: SQLite does not wait here, and one of them is refused.
            if not is_busy(error) or time.monotonic() > until:
                raise StoreRefused(f"the log cannot be made: {error}") from error
        finally:
            connection.close()
        time.sleep(0.02)


def is_busy(error: sqlite3.Error) -> bool:
    """Whether somebody else has the file, in whichever way SQLite puts it (recovery, snapshot)."""
    code: int = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == sqlite3.SQLITE_BUSY


class _Pool(SQLiteConnectionPool):
    """The library's pool, with connections that are durable and say so."""

    def _create_connection(self) -> SQLiteConnection:
        connection = super()._create_connection()
        cursor = connection.cursor()
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA wal_autocheckpoint=1000")
        cursor.execute("PRAGMA synchronous")
        synchronous = cursor.fetchone()[0]
        cursor.execute("PRAGMA journal_mode")
        journal = cursor.fetchone()[0]
        if (synchronous, journal) != (2, "wal"):
            connection.close()
            raise StoreRefused(f"SQLite gave synchronous={synchronous}, journal_mode={journal}")
        return connection


class _Datastore(SQLiteDatastore):
    def __init__(self, path: str) -> None:
        super().__init__(path, lock_timeout=LOCK_SECONDS)
        self.pool = _Pool(
            db_name=path, lock_timeout=LOCK_SECONDS, pool_timeout=LOCK_SECONDS, max_overflow=60
        )


class SQLiteLogTables(LogTables, SQLiteApplicationRecorder):
    """The recorder. The library's own reads run unchanged over the same table."""

    numbering = "rowid"
    contains = "instr(state, ?) > 0"

    def construct_create_table_statements(self) -> list[str]:
        return [*TABLES.split(";"), *WORK_TABLES]

    def convert_originator_id(self, originator_id: Any) -> UUID | str:
        """Streams are stored as 16 bytes: half the index of the library's hexadecimal."""
        return UUID(bytes=originator_id)

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        stream = cast(UUID, originator_id)
        order = "DESC" if desc else "ASC"
        rows = self.query(
            "SELECT * FROM stored_events WHERE originator_id = ?"  # noqa: S608 - only the order
            " AND originator_version > ? AND originator_version <= ?"
            f" ORDER BY originator_version {order} LIMIT ?",
            (
                stream.bytes,
                0 if gt is None else gt,
                MOST if lte is None else lte,
                MOST if limit is None else limit,
            ),
        )
        return [
            StoredEvent(stream, row["originator_version"], row["topic"], row["state"])
            for row in rows
        ]

    @contextmanager
    def write(self) -> Iterator[Cursor]:
        with self._writer() as connection:
            self.check_open()
            cursor = connection.cursor()
            try:
                cursor.execute("BEGIN IMMEDIATE")
                yield cast(Cursor, cursor)
                point("store_before_commit")
                connection.commit()
                point("store_after_commit")
            except sqlite3.IntegrityError as error:
                connection.rollback()
                raise StoreConflict(f"already stored: {error}") from error
            except sqlite3.OperationalError as error:
                self._roll_back(connection)
                if is_busy(error):
                    raise StoreBusy("another process is writing; nothing was written") from error
                raise self.give_up(f"{error.sqlite_errorname}: {error}") from error
            except sqlite3.DatabaseError as error:
                self._roll_back(connection)
                raise self.give_up(f"{type(error).__name__}: {error}") from error
            except BaseException:
                self._roll_back(connection)
                raise

    @contextmanager
    def _writer(self) -> Iterator[SQLiteConnection]:
        """The connection for writing; one thread at a time has it."""
        try:
            connection = self.datastore.pool.get_connection(is_writer=True)
        except ConnectionUnavailableError as error:
            raise StoreBusy("another thread is writing; nothing was written") from error
        except PersistenceError as error:
            raise StoreUnavailable(f"no connection: {error}; nothing was written") from error
        try:
            yield connection
        finally:
            self.datastore.pool.put_connection(connection)

    @staticmethod
    def _roll_back(connection: SQLiteConnection) -> None:
        try:
            connection.rollback()
        except sqlite3.Error:
            connection.close()

    def query(self, sql: str, params: Sequence[Any] = ()) -> Sequence[Row]:
        try:
            with self.datastore.transaction(commit=False) as c:
                c.execute(sql, params)
                return cast(Sequence[Row], c.fetchall())
        except (sqlite3.Error, PersistenceError) as error:
            raise StoreUnavailable(f"the log cannot be read: {type(error).__name__}") from error

    def insert_rows(self, c: Cursor, first: int, stored: Sequence[StoredEvent]) -> None:
        c.executemany(
            "INSERT INTO stored_events VALUES (?, ?, ?, ?, ?)",
            (
                (
                    position,
                    cast(UUID, one.originator_id).bytes,
                    one.originator_version,
                    one.topic,
                    one.state,
                )
                for position, one in enumerate(stored, first)
            ),
        )

    def insert_leaves(self, c: Cursor, leaves: Iterable[tuple[int, bytes, int]]) -> None:
        c.executemany("INSERT INTO leaves VALUES (?, ?, ?)", leaves)

    def select_stream(self, stream: UUID, after_version: int, limit: int) -> Sequence[Notification]:
        return [
            Notification(
                stream, row["originator_version"], row["topic"], row["state"], row["rowid"]
            )
            for row in self.query(
                "SELECT * FROM stored_events WHERE originator_id = ? AND originator_version > ?"
                " ORDER BY originator_version LIMIT ?",
                (stream.bytes, after_version, limit),
            )
        ]

    @staticmethod
    def stream_of(row: Row) -> UUID:
        return UUID(bytes=row["originator_id"])

    def move_log(self) -> None:
        """Write what the write-ahead log holds into the database file, as far as readers allow."""
        with self._writer() as connection:
            cursor = connection.cursor()
            cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
            cursor.fetchall()


class SQLiteLogFactory(SQLiteFactory):
    """Builds the recorder for one file; reads nothing from the process environment."""

    def __init__(self, env: Environment, path: Path) -> None:
        make_file(path)
        super().__init__(Environment(env.name, {**env, self.SQLITE_DBNAME: str(path)}))
        self.datastore.close()
        self.datastore = _Datastore(str(path))

    def application_recorder(self) -> ApplicationRecorder:
        try:
            recorder = SQLiteLogTables(datastore=self.datastore)
            recorder.create_table()
            recorder.move_log()
        except Exception as error:
            self.datastore.close()
            if isinstance(error, StoreRefused):
                raise
            raise StoreRefused(f"the log cannot be opened: {error}") from error
        return recorder
