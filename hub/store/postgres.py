"""The log on PostgreSQL: same tables, same bytes, one writer at a time by table lock.

Positions are computed under the lock and given, so they have no gaps and appear in commit order.
The library's retry of a write is replaced: when a connection is lost the lock is taken again,
which waits until the lost transaction has ended, and what is stored decides. Statements are not
logged with values by this code, and no notification is sent: followers poll.

Refused at opening: a server that cannot be reached, fsync=off, full_page_writes=off. A session's
synchronous_commit=off is set back to on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from time import monotonic, sleep
from typing import Any, TypeVar, cast
from uuid import UUID

import psycopg
from eventsourcing.persistence import (
    ApplicationRecorder,
    InfrastructureFactory,
    Notification,
    PersistenceError,
    StoredEvent,
)
from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore, PostgresFactory
from eventsourcing.utils import Environment
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict
from psycopg.rows import DictRow

from hub.crash import point
from hub.store.errors import StoreBusy, StoreConflict, StoreRefused, StoreUnavailable
from hub.store.location import split_schema
from hub.store.tables import Append, Cursor, LogTables, Row
from hub.store.work import WORK_TABLES

T = TypeVar("T")

LOCK_SECONDS = 10
CONNECT_SECONDS = 5
READ_BACK_SECONDS = 15
ONE_MAKER = b"SELECT pg_advisory_xact_lock(7209081)"
"""CREATE … IF NOT EXISTS fails when two do it at once; whoever makes tables takes this lock."""

TABLES = (
    "CREATE TABLE IF NOT EXISTS stored_events ("
    " originator_id uuid NOT NULL, originator_version bigint NOT NULL, topic text NOT NULL,"
    " state bytea NOT NULL, notification_id bigint NOT NULL PRIMARY KEY,"
    " UNIQUE (originator_id, originator_version))",
    "CREATE TABLE IF NOT EXISTS leaves ("
    " position bigint PRIMARY KEY, entry bytea NOT NULL, recorded_at bigint NOT NULL)",
    "CREATE TABLE IF NOT EXISTS admissions ("
    " agency text NOT NULL, event_id bytea NOT NULL, digest bytea NOT NULL,"
    " position bigint NOT NULL, PRIMARY KEY (agency, event_id))",
    "CREATE TABLE IF NOT EXISTS followers (name text PRIMARY KEY, position bigint NOT NULL)",
    "CREATE TABLE IF NOT EXISTS topics (topic text PRIMARY KEY, events bigint NOT NULL)",
    "CREATE TABLE IF NOT EXISTS checkpoints (size bigint PRIMARY KEY, note text NOT NULL)",
    "CREATE TABLE IF NOT EXISTS tiles (path text PRIMARY KEY, data bytea NOT NULL)",
    "CREATE TABLE IF NOT EXISTS about (name text PRIMARY KEY, value text NOT NULL)",
)


def probe(url: str, schema: str) -> dict[str, Any]:
    """Connect once, refuse what would lose data, make the schema; connection parameters back."""
    try:
        params: dict[str, Any] = dict(conninfo_to_dict(url))
    except psycopg.ProgrammingError as error:
        raise StoreRefused("the PostgreSQL address cannot be read: check its form") from error
    params.setdefault("connect_timeout", CONNECT_SECONDS)
    params["client_encoding"] = "UTF8"
    where = "{host}:{port}/{dbname}".format_map(
        {"host": "", "port": "", "dbname": "", **{k: v or "" for k, v in params.items()}}
    )
    try:
        with psycopg.connect(**params, autocommit=True) as connection:
            for name in ("fsync", "full_page_writes"):
                row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
                if row is None or row[0] != "on":
                    raise StoreRefused(f"PostgreSQL at {where} has {name} off: turn it on")
            with connection.transaction():
                connection.execute(ONE_MAKER)
                there = connection.execute(
                    "SELECT 1 FROM pg_namespace WHERE nspname = %s", (schema,)
                ).fetchone()
                if there is None:  # asking with IF NOT EXISTS would need the right to create
                    connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    except psycopg.Error as error:
        reason = " ".join(str(error).split())
        raise StoreRefused(f"PostgreSQL at {where} cannot be used: {reason}") from error
    return params


class PostgresCursor:
    """A psycopg cursor that reads `?` as the parameter mark."""

    def __init__(self, cursor: psycopg.Cursor[DictRow]) -> None:
        self.raw = cursor

    def execute(self, query: str, params: Sequence[Any] = ()) -> None:
        self.raw.execute(query.replace("?", "%s").encode(), params)

    def executemany(self, query: str, rows: Iterable[Sequence[Any]]) -> None:
        self.raw.executemany(query.replace("?", "%s").encode(), rows)

    def fetchall(self) -> Sequence[Row]:
        return self.raw.fetchall()


class _Datastore(PostgresDatastore):
    """The library's pool, with every connection parameter and our session settings."""

    def __init__(self, params: dict[str, Any], schema: str) -> None:
        super().__init__(
            "",
            "",
            "",
            "",
            "",
            connect_timeout=CONNECT_SECONDS,
            pool_size=1,
            max_overflow=9,
        )
        self.schema = schema
        self.pool.kwargs = {
            **params,
            "row_factory": psycopg.rows.dict_row,
            "options": f"{params.get('options') or ''} -c search_path={schema}"
            f" -c idle_in_transaction_session_timeout=30s -c lock_timeout={LOCK_SECONDS}s",
        }

    def after_connect_func(self) -> Any:
        def after_connect(connection: psycopg.Connection[Any]) -> None:
            connection.autocommit = True
            row = connection.execute(
                "SELECT current_setting('synchronous_commit') AS setting"
            ).fetchone()
            if row is None or row["setting"] == "off":
                connection.execute("SET synchronous_commit = on")

        return after_connect


def _lost(error: PersistenceError) -> bool:
    """Whether the connection is gone, or the server about to be."""
    cause = error.__cause__
    if isinstance(cause, psycopg.errors.AdminShutdown | psycopg.errors.CrashShutdown):
        return True
    return isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None


class PostgresLogTables(LogTables, PostgresApplicationRecorder):
    """The recorder. The library's own reads run unchanged over the same table."""

    numbering = "notification_id"
    contains = "position(? in state) > 0"

    def __init__(self, datastore: PostgresDatastore) -> None:
        super().__init__(datastore)
        # Neither the library's types nor its function, which inserts without the lock.
        self.sql_create_statements = [sql.SQL(one).format() for one in (*TABLES, *WORK_TABLES)]

    def _create_table(self, curs: psycopg.Cursor[DictRow]) -> None:
        curs.execute(ONE_MAKER)
        super()._create_table(curs)

    @contextmanager
    def write(self) -> Iterator[Cursor]:
        self.check_open()
        try:
            with ExitStack() as stack:
                raw = self._alive(lambda: self._locked(stack))
                self.check_open()
                yield PostgresCursor(raw)
                point("store_before_commit")
            point("store_after_commit")
        except PersistenceError as error:
            raise self._meaning(error) from error

    def _locked(self, stack: ExitStack) -> psycopg.Cursor[DictRow]:
        """A transaction that has the lock; ended with the stack."""
        with ExitStack() as begun:
            connection = begun.enter_context(self.datastore.get_connection())
            begun.enter_context(connection.transaction())
            raw = connection.cursor()
            raw.execute("LOCK TABLE stored_events IN EXCLUSIVE MODE")
            stack.enter_context(begun.pop_all())
            return raw

    def _alive(self, work: Callable[[], T]) -> T:
        """`work`, which has changed nothing if its connection is lost: done again then, once.

        A server that restarted leaves dead connections behind. Asking each whether it lives, before
        every use, would cost as much again as most of what is asked.
        """
        try:
            return work()
        except PersistenceError as error:
            if not _lost(error):
                raise
        self.datastore.pool.check()
        return work()

    def _meaning(self, error: PersistenceError) -> Exception:
        cause = error.__cause__
        state = getattr(cause, "sqlstate", None)
        if isinstance(cause, psycopg.IntegrityError):
            return StoreConflict(f"already stored: {type(cause).__name__}")
        if isinstance(cause, psycopg.errors.LockNotAvailable):
            return StoreBusy("another process is writing; nothing was written")
        if _lost(error):
            return _ConnectionLost(f"connection lost: {type(cause).__name__}")
        return self.give_up(f"{type(cause).__name__} {state or ''}".strip())

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        try:
            return LogTables.insert_events(self, stored_events, **kwargs)
        except _ConnectionLost as lost:
            append = cast(Append, kwargs["append"])
            if self._is_stored(append.expected_head + 1, stored_events):
                return range(
                    append.expected_head + 1, append.expected_head + 1 + len(stored_events)
                )
            raise StoreUnavailable("the connection was lost; nothing was written") from lost

    def _is_stored(self, first: int, stored: Sequence[StoredEvent]) -> bool:
        """Whether exactly these rows stand there. Waits for the lost transaction to end."""
        deadline = monotonic() + READ_BACK_SECONDS
        while True:
            try:
                return bool(stored) and self._locked_rows(first, len(stored)) == list(stored)
            except (StoreBusy, _ConnectionLost) as error:
                if monotonic() > deadline:
                    raise self.give_up("connection lost, and it cannot be read back") from error
                sleep(0.2)

    def _locked_rows(self, first: int, count: int) -> list[StoredEvent]:
        with self.write() as c:
            c.execute(
                "SELECT * FROM stored_events WHERE notification_id >= ?"
                " ORDER BY notification_id LIMIT ?",
                (first, count),
            )
            return [
                StoredEvent(
                    row["originator_id"],
                    row["originator_version"],
                    row["topic"],
                    bytes(row["state"]),
                )
                for row in c.fetchall()
            ]

    def query(self, query: str, params: Sequence[Any] = ()) -> Sequence[Row]:
        def ask() -> Sequence[Row]:
            with self.datastore.get_connection() as connection, connection.cursor() as raw:
                raw.execute(query.replace("?", "%s").encode(), params)
                return raw.fetchall()

        try:
            return self._alive(ask)
        except PersistenceError as error:
            raise StoreUnavailable(f"the log cannot be read: {type(error).__name__}") from error

    def select_notifications(self, *args: Any, **kwargs: Any) -> Sequence[Notification]:
        ask = super().select_notifications
        return self._alive(lambda: ask(*args, **kwargs))

    def select_events(self, *args: Any, **kwargs: Any) -> Sequence[StoredEvent]:
        ask = super().select_events
        return self._alive(lambda: ask(*args, **kwargs))

    def insert_rows(self, c: Cursor, first: int, stored: Sequence[StoredEvent]) -> None:
        cast(PostgresCursor, c).raw.execute(
            "INSERT INTO stored_events SELECT * FROM"
            " unnest(%b::uuid[], %b::int8[], %b::text[], %b::bytea[], %b::int8[])",
            (
                [one.originator_id for one in stored],
                [one.originator_version for one in stored],
                [one.topic for one in stored],
                [one.state for one in stored],
                list(range(first, first + len(stored))),
            ),
        )

    def insert_leaves(self, c: Cursor, leaves: Iterable[tuple[int, bytes, int]]) -> None:
        positions, entries, times = zip(*leaves, strict=True)
        cast(PostgresCursor, c).raw.execute(
            "INSERT INTO leaves SELECT * FROM unnest(%b::int8[], %b::bytea[], %b::int8[])",
            (list(positions), list(entries), list(times)),
        )

    def together(self, c: Cursor) -> AbstractContextManager[object]:
        """In one round trip to the server."""
        return cast(PostgresCursor, c).raw.connection.pipeline()

    def select_stream(self, stream: UUID, after_version: int, limit: int) -> Sequence[Notification]:
        return [
            Notification(
                stream,
                row["originator_version"],
                row["topic"],
                bytes(row["state"]),
                row["notification_id"],
            )
            for row in self.query(
                "SELECT * FROM stored_events WHERE originator_id = ? AND originator_version > ?"
                " ORDER BY originator_version LIMIT ?",
                (stream, after_version, limit),
            )
        ]

    @staticmethod
    def stream_of(row: Row) -> UUID:
        return cast(UUID, row["originator_id"])


class _ConnectionLost(StoreUnavailable):
    """Inside this module: the transaction may or may not have been committed."""


class PostgresLogFactory(PostgresFactory):
    """Builds the recorder for one database and schema; reads nothing from the environment."""

    def __init__(self, env: Environment, url: str) -> None:
        InfrastructureFactory.__init__(self, env)
        address, schema = split_schema(url)
        self.datastore = _Datastore(probe(address, schema), schema)

    def application_recorder(self) -> ApplicationRecorder:
        try:
            recorder = PostgresLogTables(self.datastore)
            recorder.create_table()
        except PersistenceError as error:
            self.datastore.close()
            raise StoreRefused(f"the log's tables cannot be made: {error}") from error
        except BaseException:
            self.datastore.close()
            raise
        return recorder
