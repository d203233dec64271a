"""Databases a partner may have: SQLite, PostgreSQL, MariaDB, and how each is opened and read.

What they differ in stands here and in `connectors/tables/columns.py`: sessions, locks, encryption,
and what their errors mean. Off this machine a connection is encrypted and the server's certificate
verified, unless the URL says otherwise in so many words.

Messages carry the database's error code, never its text, which may quote values.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection, event, exc

from connectors.database.as_there import read_as_there
from connectors.errors import SettingsError, SinkDownError, SinkRefusedError
from connectors.loopback import is_here
from connectors.tables.columns import json_text

LOCK_SECONDS: Final = 10
_PAGE_BYTES = 16384  # rows of a kilobyte under random keys: half the cost of 4096
_CACHE_KIB = 65536
_CHECKPOINT_PAGES = 2000  # of write-ahead log, before it is moved into the database file
_KNOWN: Final = "sqlite, postgresql or mariadb"


def open_engine(url: str) -> sa.Engine:
    """SettingsError if the URL is not one of a database we know."""
    parsed = read_url(url, "sink.url")
    opening = {"sqlite": _sqlite, "postgresql": _postgresql, "mariadb": _mariadb}
    kind = parsed.get_backend_name()
    if kind not in opening:
        raise SettingsError(f"no support for {kind[:40]} databases yet: use {_KNOWN}")
    return opening[kind](parsed)


def read_url(url: str, setting: str) -> sa.URL:
    """The parts of a database URL. SettingsError without any of it: it may hold a password."""
    try:
        parsed = sa.make_url(url)
        # Two slashes make a host of the file's name.
        good = parsed.get_backend_name() != "sqlite" or parsed.host is None
    except (exc.ArgumentError, ValueError):
        good = False
    if not good:
        raise SettingsError(
            f"{setting} is not a database URL; examples: sqlite:////var/lib/nrm/partner.db, "
            "postgresql://user@host/database, mariadb://user@host/database. In a password, "
            "write : / @ and % as %3A, %2F, %40, %25"
        )
    return parsed


def is_local(url: sa.URL) -> bool:
    """Whether what is sent never leaves this machine: a file, a socket, or loopback."""
    if url.get_backend_name() == "sqlite" or "unix_socket" in url.query:
        return True
    if url.get_backend_name() == "mariadb":
        return not url.host or is_here(url.host)
    if "service" in url.query or "PGSERVICE" in os.environ:
        return False  # a file of libpq's says where; verified, unless it says otherwise
    host = url.query.get("host") or url.host or os.environ.get("PGHOST", "")
    address = url.query.get("hostaddr") or os.environ.get("PGHOSTADDR", "")
    places = [one for text in (host, address) for one in _listed(text)]
    return all(one.startswith("/") or is_here(one) for one in places)


def _listed(told: str | tuple[str, ...]) -> list[str]:
    """Several hosts as libpq takes them: with commas, or said more than once."""
    text = told if isinstance(told, str) else ",".join(told)
    return [one.strip().partition(":")[0] if one.count(":") == 1 else one.strip()
            for one in text.split(",") if one.strip()]  # fmt: skip


# -- PostgreSQL ----------------------------------------------------------------------------------


def _postgresql(url: sa.URL) -> sa.Engine:
    from connectors.database.as_there_postgresql import read_postgresql_as_there

    engine = sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_pre_ping=True,
        pool_size=2,
        json_serializer=json_text,
        hide_parameters=True,
        connect_args={
            "connect_timeout": LOCK_SECONDS,
            "application_name": "nrm-connector",
            # A server that is gone without a word is noticed in a minute, not in hours.
            "keepalives": 1,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            "tcp_user_timeout": 60_000,
            # A stopped runner holding the lock must not hold this one for ever.
            "options": f"-c lock_timeout={LOCK_SECONDS * 1000}",
            **postgresql_tls(url),
        },
    )
    read_postgresql_as_there(engine)
    return engine


def postgresql_tls(url: sa.URL) -> dict[str, str]:
    """What is added to the URL: off this machine the certificate is verified, name and all."""
    if is_local(url) or "sslmode" in url.query or "PGSSLMODE" in os.environ:
        return {}
    added = {"sslmode": "verify-full"}
    own = Path("~/.postgresql/root.crt").expanduser()
    if "sslrootcert" not in url.query and "PGSSLROOTCERT" not in os.environ and not own.exists():
        added["sslrootcert"] = "system"
    return added


# -- MariaDB -------------------------------------------------------------------------------------

_SESSION: Final = ", ".join(
    (
        # Whatever the server's default is: a value that does not fit is refused, never cut.
        "sql_mode='STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
        "NO_ENGINE_SUBSTITUTION'",
        "time_zone='+00:00'",
        f"innodb_lock_wait_timeout={LOCK_SECONDS}",  # rows
        f"lock_wait_timeout={LOCK_SECONDS}",  # tables, as while one is altered
    )
)
_OURS: Final = ("ssl_ca", "ssl_cert", "ssl_key", "ssl_disabled", "unix_socket")


def _mariadb(url: sa.URL) -> sa.Engine:
    unknown = sorted(set(url.query) - set(_OURS))
    if unknown:
        raise SettingsError(
            f"sink.url: a mariadb URL has no option {unknown[0]!r}; it has {', '.join(_OURS)}"
        )
    arguments: dict[str, Any] = {
        "connect_timeout": LOCK_SECONDS,
        "charset": "utf8mb4",
        "program_name": "nrm-connector",
        "init_command": f"SET SESSION {_SESSION}",
    }
    if "unix_socket" in url.query:
        arguments["unix_socket"] = url.query["unix_socket"]
    trusted = mariadb_tls(url)
    if trusted is not None:
        arguments["ssl"] = trusted
    else:  # the driver would take any certificate, which is worth nothing
        arguments["ssl_disabled"] = True
    return sa.create_engine(
        url.set(drivername="mariadb+pymysql", query={}),
        pool_pre_ping=True,
        pool_size=2,
        json_serializer=json_text,
        hide_parameters=True,
        # As PostgreSQL does it: every statement sees what is committed, and no gap is locked.
        isolation_level="READ COMMITTED",
        connect_args=arguments,
    )


def mariadb_tls(url: sa.URL) -> ssl.SSLContext | None:
    """Off this machine, or where an authority is named: encrypted, certificate and name verified.

    None: not encrypted. SettingsError if a file is not there or holds no certificate.
    """
    named = url.query.get("ssl_ca")
    off = str(url.query.get("ssl_disabled", "false")).lower() in ("1", "true", "yes")
    if off or (named is None and is_local(url)):
        return None
    try:
        context = ssl.create_default_context(cafile=None if named is None else str(named))
        if "ssl_cert" in url.query:
            key = url.query.get("ssl_key")
            context.load_cert_chain(str(url.query["ssl_cert"]), None if key is None else str(key))
    except (OSError, ssl.SSLError) as wrong:
        raise SettingsError(
            f"sink.url: ssl_ca, ssl_cert or ssl_key cannot be read ({type(wrong).__name__}): name "
            "files in PEM format that this user may read"
        ) from None
    return context


# -- SQLite --------------------------------------------------------------------------------------


def _sqlite(url: sa.URL) -> sa.Engine:
    path = url.database
    if path in (None, "", ":memory:"):
        raise SettingsError("the sink's SQLite database needs a file: sqlite:////path/partner.db")
    try:
        ours = not Path(str(path)).exists()
    except (OSError, ValueError):
        raise SettingsError("sink.url: no SQLite file can have that name: check the path") from None
    engine = sa.create_engine(
        url, connect_args={"timeout": LOCK_SECONDS}, json_serializer=json_text
    )
    read_as_there(engine)

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


# -- what a database says ------------------------------------------------------------------------

# Refused for good, though the drivers count them among what may pass.
_REFUSALS: Final = {
    "1153": "the value is larger than max_allowed_packet",
    "1292": "a value is not of the column's type",
    "1364": "a column without default gets no value",
    "1366": "a value is not of the column's type",
    "1369": "the view it is written through does not show such a row",
    "1526": "no partition of the table takes it",
    "1644": "a trigger refused it",
    "3819": "a check constraint refused it",
    "4025": "a check constraint refused it",
    "P0001": "a trigger refused it",
}
# PostgreSQL: classes of errors (SQLSTATE) that are about the row; P0 and those of nobody's but the
# partner's own are what triggers raise. SQL gives everybody the classes from I to Z and from 5 on.
_OF_THE_ROW: Final = ("21", "22", "23", "27", "38", "39", "44", "54")
_OWN_CLASS: Final = re.compile(r"(?!XX)[I-Z689][0-9A-Z]{4}$")
_OWN_NUMBERS: Final = 10_000  # MariaDB's own errors have lower ones
_NOT_THERE: Final = (
    "a table or column is not there: put it back, or correct the mapping "
    "(nrm-hub connector map --check)"
)
_MAY_NOT: Final = (
    "this user may not: see the GRANTs that `nrm-hub connector ddl` prints, and `check`; a trigger "
    "of yours may need more"
)
# A foreign key: the row that this one refers to is not there.
_NO_PARENT: Final = ("23503", "1452", "1216", "SQLITE_CONSTRAINT_FOREIGNKEY")
_GENERATED: Final = (
    "the database computes a column that the mapping fills: take it out of the mapping "
    "(nrm-hub connector map --check)"
)
# What an operator may look at, by the database's own code; its texts can hold values.
_REMEDIES: Final = {
    "SQLITE_CANTOPEN": "the file cannot be opened: does its folder exist, and may we write there?",
    "SQLITE_BUSY": (
        "another program holds the file: a connector that waits for its recall to be done, or "
        "somebody's editor; try again in a minute"
    ),
    "SQLITE_NOTADB": "the file is no SQLite database: check its path, or put it back from a copy",
    "SQLITE_CORRUPT": "the file is damaged: stop the connector and put it back from a copy",
    "SQLITE_READONLY": "the file cannot be written: check its rights",
    "SQLITE_FULL": "the disk is full",
    "42501": _MAY_NOT,
    "SQLITE_ERROR": _NOT_THERE,
    "42P01": _NOT_THERE,
    "42703": _NOT_THERE,
    "1054": _NOT_THERE,
    "1146": _NOT_THERE,
    "42804": "a column is of another type now: change it back, or start the connector anew",
    "3F000": "the schema that sink.db_schema names is not there: make it",
    "428C9": _GENERATED,
    "1906": _GENERATED,
    "40001": "another transaction was in the way; this one is tried again",
    "40P01": "two transactions waited for each other; this one is tried again",
    "55P03": "a lock was not had in time: who holds it? pg_stat_activity tells",
    "57014": "statement_timeout ends what the connector does: raise it for its user",
    "25006": "the server only reads: is it a standby? sink.url has to lead to the primary",
    "53100": "the server's disk is full",
    "1044": "this user may not use that database: check sink.url and its GRANTs",
    "1045": (
        "user or password is wrong: check sink.url (an anonymous user @localhost, if there is one, "
        "stands before yours @'%')"
    ),
    "1049": "there is no such database: check sink.url",
    "1142": _MAY_NOT,
    "1143": _MAY_NOT,
    "1205": "a lock was not had in time: who holds it? SHOW PROCESSLIST tells",
    "1213": "two transactions waited for each other; this one is tried again",
    "1040": "the server has no connection left: raise max_connections",
    "1021": "the server's disk is full",
    "1114": "the table or the disk is full",
    "2002": "no server there: check sink.url, and that the server runs",
    "2003": "no server there: check sink.url, and that the server runs",
    "2006": "the server has gone away",
    "2013": "the server went away during a statement",
}
_TLS: Final = (
    "the server's certificate is refused; check sink.url: give the authority that signed it "
    "(PostgreSQL: ?sslrootcert=FILE, MariaDB: ?ssl_ca=FILE in sink.url), and connect by the name "
    "the certificate is for"
)
_NO_TLS: Final = (
    "the server does not offer TLS: turn it on there (docs/connect-{}.md), or check sink.url"
)


_FORBIDDEN: Final = ("42501", "1142", "1143", "1044", "1227", "1370", "SQLITE_READONLY")


def forbidden(wrong: Exception) -> bool:
    """Whether this user may not do that, as the database says."""
    return error_code(wrong) in _FORBIDDEN


@contextmanager
def translated() -> Iterator[None]:
    """What the database says, as what the runner should do."""
    try:
        yield
    except (exc.IntegrityError, exc.DataError) as refused:
        if error_code(refused) in _NO_PARENT:
            raise SinkRefusedError("parent_missing", _constraint(refused)) from None
        raise SinkRefusedError("sink_refused", _code(refused)) from None
    except exc.DBAPIError as wrong:
        why = _REFUSALS.get(error_code(wrong)) or _about_the_row(wrong)
        if why:
            raise SinkRefusedError("sink_refused", f"{_code(wrong)} ({why})") from None
        raise SinkDownError(f"the partner's database does not work: {_said(wrong)}") from None
    except exc.TimeoutError as down:
        raise SinkDownError(f"the partner's database does not work: {_said(down)}") from None
    except exc.StatementError as refused:  # a value the driver cannot send
        raise SinkRefusedError("value_unsuitable", _code(refused)) from None
    except OverflowError:
        raise SinkRefusedError("value_unsuitable", "a number is too large") from None


def _about_the_row(wrong: exc.DBAPIError) -> str:
    """Why this row is refused, where no code of `_REFUSALS` says it; "" if it is not about it."""
    code, original = error_code(wrong), wrong.orig
    if type(original).__module__.startswith("pymysql"):
        own = code.isdigit() and int(code) >= _OWN_NUMBERS
        return "a trigger refused it" if own else ""
    told = getattr(original, "diag", None)
    if told is None:
        return ""
    if code == "42501":  # of the table's owner, as it is for the user's rights: told by where from
        policy = told.source_function == "ExecWithCheckOptions"
        return "a policy of row security refused it" if policy else ""
    if _OWN_CLASS.match(code):
        return "a trigger refused it"
    return "the database does not take it" if code[:2] in _OF_THE_ROW else ""


def _said(wrong: Exception) -> str:
    """The code and what to do about it."""
    code = _code(wrong)
    remedy = _tls(wrong) or _REMEDIES.get(error_code(wrong))
    if remedy is _NOT_THERE and (name := _missing(wrong)):
        remedy = f"{name}: {remedy}"
    if forbidden(wrong) and (what := _DENIED.search(str(getattr(wrong, "orig", None) or wrong))):
        remedy = f"{' '.join(one for one in what.groups() if one)}: {remedy}"
    if remedy is None and code == "OperationalError":  # PostgreSQL, before there is a session
        remedy = "no session: check sink.url, that the server runs, and its user and password"
    return f"{code} ({remedy})" if remedy else code


def _missing(wrong: Exception) -> str:
    """What is not there, by name: these texts hold names, and no value."""
    told = _ABSENT.match(str(getattr(wrong, "orig", None) or wrong))
    return next((one for one in told.groups() if one), "") if told else ""


# SQLite, PostgreSQL, MariaDB; a name of ours or of a mapping has no other letters.
_ABSENT: Final = re.compile(
    r"no such (?:table|column): ([\w.]+)|table \w+ has no column named (\w+)"
    r"|(?:relation|column) \"?([\w.]+)\"?|\(\d+, [\"'](?:Table|Unknown column) '([\w.]+)'"
)


# PostgreSQL ("permission denied for table client"), MariaDB; of both no more than kind and name.
_DENIED: Final = re.compile(
    r"^permission denied for (table|sequence|schema|view|function|database) \"?([\w.]+)\"?"
    r"|\b([A-Z]+) command denied to user .* for table ([`.\w]+)"
)


def _tls(wrong: Exception) -> str | None:
    """Before there is a session nothing was sent, so the text holds nothing but the reason."""
    original = getattr(wrong, "orig", None) or wrong
    code, text = error_code(wrong), str(original).lower()
    if code not in ("", "2003", "2026"):
        return None
    if "certificate" in text:
        return _TLS
    if "does not support ssl" in text:
        return _NO_TLS.format("postgresql")
    if code == "2026":
        return _NO_TLS.format("mariadb")
    return None


def _constraint(wrong: Exception) -> str:
    """The foreign key by name, and its table: names only, as far as the database tells them."""
    original: Any = getattr(wrong, "orig", None) or wrong
    told = getattr(original, "diag", None)
    if told is not None:
        return f"{told.table_name}: foreign key {told.constraint_name}"
    named = re.search(r"CONSTRAINT `([^`]*)` FOREIGN KEY", str(original))
    return f"foreign key {named.group(1)}" if named else "a foreign key of the row"


def error_code(wrong: Exception) -> str:
    """The database's own code, "" if there is none."""
    original = getattr(wrong, "orig", None) or wrong
    if type(original).__module__.startswith("pymysql"):  # its number says more than its state
        return str(original.args[0]) if getattr(original, "args", ()) else ""
    state = getattr(original, "sqlstate", None) or getattr(original, "sqlite_errorname", None)
    return str(state or "")


def _code(wrong: Exception) -> str:
    original = getattr(wrong, "orig", None) or wrong
    said = f"{type(original).__name__} {error_code(wrong)}".strip()
    where = _where(original)
    return f"{said}: {where}" if where else said


_NAMED: Final = re.compile(
    r"(?:^Column '(?P<column>\w+)' cannot be null"
    r"|(?:for|in) column [`'](?P<of>[\w`.]+)[`'] at row \d+"
    r"|for key [`'](?P<key>[\w.]+)[`']"
    r"|^CONSTRAINT `(?P<check>\w+)` failed for `[\w`.]+`"
    r"|^(?:NOT NULL|UNIQUE|CHECK) constraint failed: (?P<sqlite>[\w., ]+))$"
)
"""Where MariaDB and SQLite name what refused: at the end or whole, where no value can stand."""


def _where(original: Any) -> str:
    """Table, column or constraint that refused: names, and never what a row holds."""
    told = getattr(original, "diag", None)
    if told is not None:
        names = (told.table_name, told.column_name, told.constraint_name)
        return ".".join(name for name in names if name)
    text = original.args[1] if len(getattr(original, "args", ())) > 1 else original
    found = _NAMED.search(str(text))
    return next((one.replace("`", "") for one in found.groups() if one), "") if found else ""
