"""The agency's own database, as a source reads it: SQLite, PostgreSQL or MariaDB.

Nothing is made or changed here but what a source says. MariaDB's sessions are in UTC. An outage is
SourceDownError; what an operator has to put right is SettingsError and says how. Messages carry the
database's error code, never its text, which may quote values.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, event, exc

from connectors.database.as_there import read_as_there
from connectors.database.engines import LOCK_SECONDS, error_code, open_engine, read_url
from connectors.errors import SettingsError, SourceDownError

SETTING: Final = "database.url"
_MISSING: Final = {
    "42P01": "a table is missing",
    "42703": "a column is missing",
    "3F000": "a schema is missing",
    "1146": "a table is missing",
    "1054": "a column is missing",
    "1049": "the database is missing",
    "42883": "a function is missing",
}
_WAITS: Final = {
    "55006": "another session reads the slot: does a second source run on it?",
    "57014": "statement_timeout ends what the source asks: raise it for its user",
    "53400": "temp_file_limit ends what the source asks: raise it for its user",
}
_FORBIDDEN: Final = ("42501", "1142", "1143", "1044")


class SourceDatabase:
    """Transactions on the agency's database."""

    def __init__(self, url: str, *, ours: bool = False) -> None:
        """ours: an SQLite file of our own, made when it is not there and overwritten when emptied.
        SettingsError if the URL names no database we know."""
        self.engine = _engine(url, ours)
        self.url = sa.make_url(url)
        self.dialect = self.engine.dialect.name
        self._ours = ours

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with _errors(), self.engine.begin() as db:
            yield db

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One view of everything, however many statements read it."""
        options: dict[str, Any] = {"nrm_reading": True}
        if self.dialect != "sqlite":
            options["isolation_level"] = "REPEATABLE READ"
        with _errors(), self.engine.connect().execution_options(**options) as db:
            yield db

    def wipe(self) -> None:
        """Of a file of our own: what was emptied does not stay in its write-ahead log."""
        if self._ours:
            with _errors(), self.engine.connect() as db:
                db.connection.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        self.engine.dispose()


def _engine(url: str, ours: bool) -> sa.Engine:
    parsed = read_url(url, SETTING)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(parsed, ours)
    try:
        engine = open_engine(url)
    except SettingsError as wrong:
        raise SettingsError(str(wrong).replace("sink.url", SETTING)) from None
    if engine.dialect.name == "mariadb":
        from pymysql.constants import FIELD_TYPE

        @event.listens_for(engine, "connect")
        def connected(connection: Any, record: Any) -> None:  # noqa: ARG001
            connection.decoders[FIELD_TYPE.BIT] = lambda bits: int.from_bytes(bits, "big")

    return engine


def _sqlite(url: sa.URL, ours: bool) -> sa.Engine:
    path = url.database
    if path in (None, "", ":memory:"):
        raise SettingsError("an SQLite database needs a file: sqlite:////path/casework.db")
    if not ours and not Path(str(path)).exists():
        raise SettingsError("the SQLite file that database.url names is not there: check its path")
    engine = sa.create_engine(url, connect_args={"timeout": LOCK_SECONDS}, hide_parameters=True)
    read_as_there(engine)

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:  # noqa: ARG001
        connection.isolation_level = None  # the driver must not begin behind our back
        connection.text_factory = _text
        if ours:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")  # content that is blanked is overwritten

    @event.listens_for(engine, "begin")
    def begun(db: Connection) -> None:
        reading = db.get_execution_options().get("nrm_reading")
        db.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


def _text(stored: bytes) -> str | bytes:
    """SQLite takes any bytes as text: what is none is a cell that does not do, and no outage."""
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return stored


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except exc.NoSuchTableError:
        raise SettingsError("a table that the settings name is not in the database") from None
    except (exc.StatementError, exc.TimeoutError) as wrong:
        code = _code(wrong)
        said = str(getattr(wrong, "orig", "")) if code.startswith("SQLITE") else ""
        missing = _MISSING.get(code)
        if missing is None and said.startswith("no such "):  # "no such table: …": names only
            missing = f"a {said.split()[2].rstrip(':')} is missing"
        if missing is not None:
            raise SettingsError(
                f"the agency's database says {code}: {missing}; compare the settings with the "
                "database, and make the outbox with nrm-hub source ddl"
            ) from None
        if code in _FORBIDDEN:
            raise SettingsError(
                f"the agency's database says {code}: its user may not read or write a table; "
                "docs/publish-outbox.md lists the rights it needs"
            ) from None
        if code in _WAITS:
            raise SourceDownError(f"the agency's database says {code}: {_WAITS[code]}") from None
        raise SourceDownError(
            f"the agency's database does not work ({code}): does it run, and are database.url, "
            "user and password right?"
        ) from None


def _code(wrong: Exception) -> str:
    return error_code(wrong) or type(getattr(wrong, "orig", None) or wrong).__name__
