"""The SQL sink: deliveries become rows of the partner's database, in its own transaction.

The last stop but one on the road of an event. What happens in the transaction is told in
`connectors/landing.py`; what the rows look like in `connectors/tables.py` (nothing configured) and
`connectors/mapped.py` (a mapping file); this file brings the database.

Works on SQLite and PostgreSQL. Outages are SinkDownError and are waited out; a row the database
will never take (constraint, type, length) is SinkRefusedError and is quarantined. Messages carry
the database's error code, never its text, which may quote values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, event, exc

from connectors.columns import json_text
from connectors.errors import SettingsError, SinkDownError, SinkRefusedError
from connectors.landing import LandingSink, Projection
from connectors.ledger import Ledger
from connectors.mapped import MappedTables
from connectors.mapping import Mapping
from connectors.sink import RecallPolicy
from connectors.tables import DefaultTables
from schemas.registry import Schemas

_LOCK_SECONDS = 10
_PAGE_BYTES = 16384  # rows of a kilobyte under random keys: half the cost of 4096
_CACHE_KIB = 65536
_CHECKPOINT_PAGES = 2000  # of write-ahead log, before it is moved into the database file


class SqlDatabase:
    """Transactions on one partner database."""

    def __init__(self, url: str) -> None:
        """SettingsError if the URL is not one of a database we know."""
        self.engine = open_engine(url)
        self._to_wipe = False

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with _errors(), self.engine.begin() as db:
            yield db

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with _errors(), self.engine.connect().execution_options(nrm_reading=True) as db:
            yield db

    def wipe(self, removed: bool) -> None:
        """After content was removed: it must not stay readable in SQLite's write-ahead log.

        A reader can hold the log; then it is tried again at the next call, whatever that is for.
        PostgreSQL's own log is its operator's to retain or not.
        """
        self._to_wipe = self._to_wipe or removed
        if not self._to_wipe or self.engine.dialect.name != "sqlite":
            return
        with _errors():
            raw = self.engine.raw_connection()
            try:
                row = raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                self._to_wipe = bool(row and row[0])  # 1: somebody was in the way
            finally:
                raw.close()

    def close(self) -> None:
        self.engine.dispose()


class SqlSink(LandingSink):
    """Sink over an SQL database: default tables, mapped tables, or both."""

    def __init__(
        self,
        url: str,
        agency: str,
        hub: str,
        *,
        schemas: Schemas | None = None,
        mapping: Mapping | None = None,
        recalls: RecallPolicy | None = None,
        db_schema: str | None = None,
    ) -> None:
        """db_schema: where our own tables go on PostgreSQL; the database's default if None."""
        self.database = SqlDatabase(url)
        self.db_schema = db_schema
        self._metadata = sa.MetaData(schema=db_schema)
        schemas = schemas or Schemas.load()
        projections: list[Projection] = []
        self.tables = DefaultTables(
            self.database,
            self._metadata,
            schemas,
            leave_out=mapping.without_default_table(schemas.types()) if mapping else (),
        )
        projections.append(self.tables)
        self.mapped: MappedTables | None = None
        if mapping is not None:
            self.mapped = MappedTables(self.database, self._metadata, mapping, schemas)
            projections.append(self.mapped)
        self.ledger = Ledger(agency, hub, self._metadata)
        super().__init__(self.database, self.ledger, projections, recalls)

    def prepare(self) -> None:
        """Make our tables; check the mapping against the partner's."""
        try:
            with self.database.writing() as db:
                self._metadata.create_all(db)
        except SinkRefusedError:  # PostgreSQL, when two make the same table at the same moment
            raise SinkDownError("another process makes the tables just now: wait for it") from None
        self.database.wipe(True)  # a process may have died between a recall's commit and this
        if self.mapped is not None:
            self.mapped.check()

    def own_tables(self) -> list[sa.Table]:
        """Books, timeline and cases: everything of ours but the tables of event types."""
        return list(self._metadata.sorted_tables)

    def close(self) -> None:
        self.database.close()

    def _committed(self, recalled: bool) -> None:
        self.database.wipe(recalled)


def open_engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except exc.ArgumentError:
        raise SettingsError(
            "the sink's url is not a database URL; examples: sqlite:////var/lib/nrm/partner.db, "
            "postgresql://user@host/database"
        ) from None
    kind = parsed.get_backend_name()
    if kind == "sqlite":
        return _sqlite(parsed)
    if kind == "postgresql":
        return sa.create_engine(
            parsed.set(drivername="postgresql+psycopg"),
            pool_pre_ping=True,
            pool_size=2,
            json_serializer=json_text,
            connect_args={
                "connect_timeout": _LOCK_SECONDS,
                "application_name": "nrm-connector",
                # A server that is gone without a word is noticed in a minute, not in hours.
                "keepalives": 1,
                "keepalives_idle": 30,
                "keepalives_interval": 10,
                "keepalives_count": 3,
                "tcp_user_timeout": 60_000,
                # A stopped runner holding the lock must not hold this one for ever.
                "options": f"-c lock_timeout={_LOCK_SECONDS * 1000}",
            },
        )
    raise SettingsError(f"no support for {kind} databases yet: use sqlite or postgresql")


def _sqlite(url: sa.URL) -> sa.Engine:
    path = url.database
    if path in (None, "", ":memory:"):
        raise SettingsError("the sink's SQLite database needs a file: sqlite:////path/partner.db")
    ours = not Path(str(path)).exists()
    engine = sa.create_engine(
        url, connect_args={"timeout": _LOCK_SECONDS}, json_serializer=json_text
    )

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:  # noqa: ARG001
        connection.isolation_level = None  # the driver must not begin behind our back
        if ours:  # page size and journal mode stay with the file: only chosen for one we made
            connection.execute(f"PRAGMA page_size={_PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode=WAL")
            Path(str(path)).chmod(0o600)  # and so its log, which SQLite makes alike
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")  # what is recalled is overwritten
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint={_CHECKPOINT_PAGES}")

    @event.listens_for(engine, "begin")
    def begun(db: Connection) -> None:
        # IMMEDIATE: the sequence is read under the lock it is written under.
        reading = db.get_execution_options().get("nrm_reading")
        db.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def _errors() -> Iterator[None]:
    """What the database says, as what the runner should do."""
    try:
        yield
    except (exc.IntegrityError, exc.DataError) as refused:
        raise SinkRefusedError("sink_refused", _code(refused)) from None
    except (exc.DBAPIError, exc.TimeoutError) as down:
        raise SinkDownError(f"the partner's database does not work: {_said(down)}") from None
    except exc.StatementError as refused:  # a value the driver cannot send
        raise SinkRefusedError("value_unsuitable", _code(refused)) from None
    except OverflowError:
        raise SinkRefusedError("value_unsuitable", "a number is too large") from None


_NOT_THERE: Final = (
    "a table or column is not there: put it back, or correct the mapping "
    "(nrm-hub connector map --check)"
)
# What an operator may look at, by the database's own code; its texts can hold values.
_REMEDIES: Final = {
    "SQLITE_CANTOPEN": "the file cannot be opened: does its folder exist, and may we write there?",
    "SQLITE_NOTADB": "the file is no SQLite database: check sink.url",
    "SQLITE_READONLY": "the file cannot be written: check its rights",
    "SQLITE_FULL": "the disk is full",
    "42501": "this user may not: let it make tables, and read and write them",
    "3F000": "the schema that sink.db_schema names is not there: make it",
    "SQLITE_ERROR": _NOT_THERE,
    "42P01": _NOT_THERE,
    "42703": _NOT_THERE,
    "42804": "a column is of another type now: change it back, or start the connector anew",
    "53100": "the server's disk is full",
}


def _said(wrong: Exception) -> str:
    """The code and what to do about it."""
    code = _code(wrong)
    remedy = _REMEDIES.get(code.rpartition(" ")[2])
    if remedy is None and code == "OperationalError":  # PostgreSQL, before there is a session
        remedy = "no session: check sink.url, that the server runs, and its user and password"
    return f"{code} ({remedy})" if remedy else code


def _code(wrong: Exception) -> str:
    original = getattr(wrong, "orig", None) or wrong
    state = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", "")
    return f"{type(original).__name__} {state}".strip()
