"""An agency's PostgreSQL whose log a source follows: tables, a slot, a user with the least rights.

Everything that following needs is made by the SQL that `nrm-hub source ddl` prints.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from connectors.sources.captured import CapturedSource
from connectors.sources.changes.capture import ChangesCapture
from connectors.sources.changes.mapping import ChangesMapping, load_changes_mapping
from connectors.sources.database import SourceDatabase
from connectors.sources.slot.ddl import slot_ddl
from connectors.sources.slot.log import ChangeLog

_NUMBERS = count(1)
PASSWORD = "of-the-tests"


@dataclass
class Followed:
    """admin: URL as the agency's own software and its administrator. url: as the source."""

    admin: str
    folder: Path
    user: str = ""
    slot: str = ""
    now: float = 1_000_000.0
    opened: list[CapturedSource] = field(default_factory=list)
    _session: psycopg.Connection[Any] | None = None

    def __post_init__(self) -> None:
        number = next(_NUMBERS)
        self.user, self.slot = f"nrm_source_{number}", f"nrm_changes_{number}"
        self.do(f"CREATE ROLE {self.user} LOGIN PASSWORD '{PASSWORD}'")

    @property
    def url(self) -> str:
        rest = self.admin.partition("@")[2]
        return f"postgresql://{self.user}:{PASSWORD}@{rest}"

    @property
    def session(self) -> psycopg.Connection[Any]:
        """The administrator's, kept open: each new one costs a password's hashing."""
        if self._session is None or self._session.closed:
            self._session = psycopg.connect(self.admin, autocommit=True)
        return self._session

    def do(self, *statements: str) -> None:
        for one in statements:
            self.session.execute(one.encode())

    def mend(self, told: str) -> None:
        """Run the SQL that a message says to run."""
        self.do(*re.findall(r"(?:ALTER|CREATE|GRANT|SELECT)[^;]*;", told))

    def ask(self, query: str) -> Any:
        row = self.session.execute(query.encode()).fetchone()
        return row[0] if row else None

    def mapping(self, text: str) -> ChangesMapping:
        path = self.folder / "changes.toml"
        path.write_text(text, encoding="utf-8")
        return load_changes_mapping(path)

    def follow(self, mapping: str) -> None:
        """What the administrator does once."""
        with psycopg.connect(self.admin, autocommit=True) as db:
            db.execute(slot_ddl(self.mapping(mapping), self.slot, self.user).encode())

    def open(self, mapping: str, secret: bytes, **options: Any) -> CapturedSource:
        """A source over the same state file, as a new process would."""
        database, read = SourceDatabase(self.url), self.mapping(mapping)
        capture = ChangesCapture(
            database,
            read,
            secret,
            sweep_seconds=1000,
            log=ChangeLog(database, read, self.slot, **options),
            clock=lambda: self.now,
        )
        source = CapturedSource(capture, self.folder / "changes.state.db", name="casework")
        self.opened.append(source)
        source.prepare()
        return source

    def position(self) -> Mapping[str, Any]:
        """How the server says the slot stands."""
        query = f"SELECT to_jsonb(s) FROM pg_replication_slots s WHERE slot_name = '{self.slot}'"
        found: Mapping[str, Any] = self.ask(query)
        return found

    @contextmanager
    def away(self) -> Any:
        """Nobody gets a session in this database."""
        server, _, name = self.admin.rpartition("/")
        self.session.close()
        with psycopg.connect(f"{server}/postgres", autocommit=True) as db:
            db.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false".encode())
            db.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )
            yield
            db.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true".encode())

    def close(self) -> None:
        for one in self.opened:
            one.close()
        self.do(
            f"SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots "
            f"WHERE slot_name = '{self.slot}'"
        )
        self.session.close()
