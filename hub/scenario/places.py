"""Where a run keeps things: by default all in its home, or on real servers.

    sqlite, embedded     files in the home
    postgres, kafka      servers started for this run on this machine, and stopped after it
    postgresql://…       a server: the hub's log, its keys and every partner get databases of
                         their own there, made for this run and dropped after it
    kafka://…            a cluster: this run's topics have a prefix of their own

Nothing that was there before is read or changed.
"""

from __future__ import annotations

import re
import secrets
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit, urlunsplit

from hub.errors import HubError
from hub.scenario.local_postgres import LocalPostgres


class PlaceError(HubError):
    """A server named for a run cannot be used; the message says what to do."""


@dataclass(frozen=True)
class Places:
    """Addresses for one hub and its partners."""

    store: str = "sqlite:///events.db"
    keys: str = "sqlite:///secrets.db"
    topics: str = "embedded:///topics.db"
    partners: Mapping[str, str] = field(default_factory=dict)

    def partner(self, agency: str) -> str:
        """The agency's database; by default a file beside its settings."""
        return self.partners.get(agency, "sqlite:///partner.db")


class Servers:
    """The servers of one command. Use as a context: what was started or made is taken away."""

    def __init__(
        self, store: str = "sqlite", topics: str = "embedded", *, keep: bool = False
    ) -> None:
        """keep: databases on a server that was not started here are left for later."""
        if store not in ("sqlite", "postgres") and not store.startswith(("postgresql://",)):
            raise PlaceError(
                f"--store {store}: give sqlite, postgres (started for this run), or the address "
                "of a server: postgresql://user:password@host:port/postgres"
            )
        if topics not in ("embedded", "kafka") and not topics.startswith("kafka://"):
            raise PlaceError(
                f"--topics {topics}: give embedded, kafka (started for this run), or the address "
                "of a cluster: kafka://host:port"
            )
        self._store = store
        self._topics = topics
        self._keep = keep
        self._stack = ExitStack()
        self._server = ""
        self._cluster = ""
        self._made: list[str] = []

    def __enter__(self) -> Self:
        try:
            if self._store == "postgres":
                scratch = self._scratch("nrm-postgres-")
                self._server = self._stack.enter_context(LocalPostgres(scratch)).url("postgres")
                self._keep = False
            elif self._store != "sqlite":
                self._server = self._store
            if self._topics == "kafka":
                from hub.topics.broker import LocalBroker

                scratch = self._scratch("nrm-kafka-")
                self._cluster = self._stack.enter_context(LocalBroker(scratch)).url
            elif self._topics != "embedded":
                self._cluster = self._topics
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if not self._keep and self._store != "postgres":
                for name in self._made:
                    self._on_server(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        finally:
            self._stack.close()

    def places(self, home: Path, agencies: tuple[str, ...]) -> Places:
        """Fresh places for one hub in `home` and these partners."""
        run = secrets.token_hex(4)
        places = {}
        if self._server:
            epoch = (home / "hub" / "epoch.key").resolve()
            places = {
                "store": self._database(f"nrm_{run}_hub"),
                "keys": _with_option(self._database(f"nrm_{run}_keys"), f"epoch_key={epoch}"),
            }
        partners = {}
        if self._server:
            for number, agency in enumerate(agencies, 1):
                plain = re.sub(r"[^a-z0-9]+", "_", agency.lower())[:30]
                partners[agency] = self._database(f"nrm_{run}_{number}_{plain}")
        if self._cluster:
            places["topics"] = _with_option(self._cluster, f"prefix=run-{run}.")
        return Places(**places, partners=partners)

    def _scratch(self, prefix: str) -> Path:
        folder = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
        return Path(self._stack.enter_context(folder))

    def _database(self, name: str) -> str:
        self._on_server(f"CREATE DATABASE {name}")
        self._made.append(name)
        parts = urlsplit(self._server)
        return urlunsplit(parts._replace(path=f"/{name}"))

    def _on_server(self, statement: str) -> None:
        import psycopg

        try:
            with psycopg.connect(self._server, autocommit=True, connect_timeout=10) as connection:
                connection.execute(statement.encode())
        except psycopg.Error as wrong:
            host = urlsplit(self._server).hostname
            code = f" ({wrong.sqlstate})" if wrong.sqlstate else ""
            raise PlaceError(
                f"the PostgreSQL server at {host} cannot be used{code}: check the address, and "
                "that its user may create databases"
            ) from None


def _with_option(url: str, option: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}{option}"
