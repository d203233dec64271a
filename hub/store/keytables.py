"""The tables of the key store, on SQLite and on PostgreSQL.

    secrets   subject id → secret, wrapped under the epoch key
    erased    subject id, whether its secret is gone already (done) or about to go
    state     one row: store id, epoch, generation (grows with every erasure begun or done)

Nothing here is of use without the epoch key, which is never in this database.
"""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import cast

import psycopg
from psycopg.rows import dict_row

from hub.store.errors import StoreBusy, StoreFailed, StoreRefused, StoreUnavailable
from hub.store.postgres import LOCK_SECONDS, ONE_MAKER, PostgresCursor, probe
from hub.store.sqlite import is_busy, make_file
from hub.store.tables import Cursor, Row

TABLES = (
    "CREATE TABLE IF NOT EXISTS secrets (subject_id {bytes} PRIMARY KEY, wrapped {bytes} NOT NULL)",
    "CREATE TABLE IF NOT EXISTS erased (subject_id {bytes} PRIMARY KEY, done integer NOT NULL)",
    "CREATE TABLE IF NOT EXISTS state (one integer PRIMARY KEY CHECK (one = 1),"
    " store {bytes} NOT NULL, epoch {long} NOT NULL, generation {long} NOT NULL)",
)


class KeyTables(ABC):
    """Two kinds of transaction. Not safe to share between threads: the key store holds a lock."""

    failed: str | None = None

    @abstractmethod
    def read(self) -> AbstractContextManager[Cursor]:
        """One snapshot."""

    @abstractmethod
    def query(self, sql: str) -> Sequence[Row]:
        """One SELECT, a snapshot of its own."""

    @abstractmethod
    def write(self) -> AbstractContextManager[Cursor]:
        """One durable transaction that excludes every other writer."""

    @abstractmethod
    def scrub(self) -> None:
        """Drop former row contents from the database's own files, as far as it offers that."""

    @abstractmethod
    def close(self) -> None: ...

    def check_open(self) -> None:
        if self.failed is not None:
            raise StoreFailed(f"the key store failed before ({self.failed}): reopen it")

    def give_up(self, why: str) -> StoreFailed:
        self.failed = why
        return StoreFailed(f"writing to the key store failed ({why}): reopen it")


class SQLiteKeyTables(KeyTables):
    """One connection: WAL, synchronous=FULL, deleted content zeroed in its pages."""

    def __init__(self, path: Path) -> None:
        make_file(path)
        self._connection = sqlite3.connect(
            path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
        )
        try:
            self._connection.row_factory = sqlite3.Row
            for name, value, expected in (
                ("journal_mode", "WAL", "wal"),
                ("synchronous", "FULL", 2),
                ("secure_delete", "ON", 1),
            ):
                self._connection.execute(f"PRAGMA {name}={value}")
                found = self._connection.execute(f"PRAGMA {name}").fetchone()[0]
                if found != expected:
                    raise StoreRefused(f"SQLite gave {name}={found} for the key store")
            for statement in TABLES:
                self._connection.execute(statement.format(bytes="BLOB", long="INTEGER"))
        except sqlite3.Error as error:
            self._connection.close()
            raise StoreRefused(f"the key store cannot be opened: {error}") from error
        except StoreRefused:
            self._connection.close()
            raise

    @contextmanager
    def read(self) -> Iterator[Cursor]:
        self._connection.execute("BEGIN")
        try:
            yield cast(Cursor, self._connection.cursor())
        finally:
            self._connection.rollback()

    def query(self, sql: str) -> Sequence[Row]:
        return cast(Sequence[Row], self._connection.execute(sql).fetchall())

    @contextmanager
    def write(self) -> Iterator[Cursor]:
        self.check_open()
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            yield cast(Cursor, self._connection.cursor())
            self._connection.commit()
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):
                self._connection.rollback()
            if is_busy(error):
                raise StoreBusy("another process is writing secrets; nothing changed") from error
            raise self.give_up(f"{type(error).__name__}: {error}") from error
        except BaseException:
            self._connection.rollback()
            raise

    def scrub(self) -> None:
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        self._connection.close()


class PostgresKeyTables(KeyTables):
    """One connection, made again after it was lost."""

    def __init__(self, address: str, schema: str) -> None:
        self._params = {
            **probe(address, schema),
            "options": f"-c search_path={schema} -c lock_timeout={LOCK_SECONDS}s"
            " -c idle_in_transaction_session_timeout=30s",
        }
        self._connection = self._connect()
        with self.write_unlocked() as c:
            c.execute(ONE_MAKER.decode())
            for statement in TABLES:
                c.execute(statement.format(bytes="bytea", long="bigint"))

    def _connect(self) -> psycopg.Connection[dict[str, object]]:
        try:
            connection = psycopg.connect(**self._params, autocommit=True, row_factory=dict_row)
            connection.execute(
                "SELECT set_config('synchronous_commit', 'on', false)"
                " WHERE current_setting('synchronous_commit') = 'off'"
            )
        except psycopg.OperationalError as error:
            raise StoreUnavailable("the key store cannot be reached") from error
        return connection

    @contextmanager
    def _transaction(self) -> Iterator[PostgresCursor]:
        with self._connected() as connection, connection.transaction():
            yield PostgresCursor(connection.cursor())

    def query(self, sql: str) -> Sequence[Row]:
        with self._connected() as connection:
            return connection.execute(sql.encode()).fetchall()

    @contextmanager
    def _connected(self) -> Iterator[psycopg.Connection[dict[str, object]]]:
        if self._connection.closed:
            self._connection = self._connect()
        try:
            yield self._connection
        except psycopg.errors.LockNotAvailable as error:
            raise StoreBusy("another process is writing secrets; nothing changed") from error
        except psycopg.OperationalError as error:
            if error.sqlstate is None or error.sqlstate.startswith("57P"):
                self._connection.close()
                raise StoreUnavailable("the connection to the key store was lost") from error
            raise self.give_up(f"{type(error).__name__} {error.sqlstate}") from error

    @contextmanager
    def read(self) -> Iterator[Cursor]:
        with self._transaction() as c:
            c.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield c

    @contextmanager
    def write_unlocked(self) -> Iterator[Cursor]:
        self.check_open()
        with self._transaction() as c:
            yield c

    @contextmanager
    def write(self) -> Iterator[Cursor]:
        with self.write_unlocked() as c:
            c.execute("LOCK TABLE state IN EXCLUSIVE MODE")
            yield c

    def scrub(self) -> None:
        """Nothing: what vacuuming and WAL recycling leave behind unwraps to nothing."""

    def close(self) -> None:
        self._connection.close()
