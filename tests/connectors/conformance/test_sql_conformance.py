"""The SQL sink passes the conformance suite, on SQLite and on a real PostgreSQL and MariaDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.conformance import OutageConformance, SinkConformance
from connectors.sink import RecallPolicy
from connectors.sql import SqlSink, open_engine
from schemas.registry import Schemas
from tests.mariadb import MariadbServer


class SqlBench:
    def __init__(
        self, url: str, stored: Callable[[], bytes] = lambda: b"", files: Path | None = None
    ) -> None:
        self.url = url
        self.files = files
        self.stored = stored if files is None else lambda: _bytes(files)
        self.schemas = Schemas(
            s.document for s in map(Schemas.load().by_type, Schemas.load().types())
        )
        self._engine = open_engine(url)
        self._sinks: list[SqlSink] = []

    def open(self, recalls: RecallPolicy | None = None) -> SqlSink:
        sink = SqlSink(self.url, "POL-1", "test-hub", schemas=self.schemas, recalls=recalls)
        self._sinks.append(sink)
        sink.prepare()
        return sink

    def close(self) -> None:
        self._engine.dispose()
        for sink in self._sinks:
            sink.close()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """SQLite: something else stands in the file's place. PostgreSQL: nobody is let in."""
        self.close()
        if self.files is not None:
            file, away = self.files / "partner.db", self.files / "away.db"
            file.rename(away)
            file.mkdir()
            yield
            file.rmdir()
            away.rename(file)
            return
        name = sa.make_url(self.url).database
        with closing_access(self.url, str(name)):
            yield

    def shown(self, event_ref: str) -> dict[str, Any] | None:
        with self._engine.connect() as db:
            kind = db.execute(
                sa.text("SELECT event_type FROM nrm_timeline WHERE event_ref = :ref"),
                {"ref": event_ref},
            ).scalar()
            if kind is None:
                return None
            from connectors.tables.layout import table_name

            row = (
                db.execute(
                    sa.text(f"SELECT * FROM {table_name(kind)} WHERE event_ref = :ref"),
                    {"ref": event_ref},
                )
                .mappings()
                .one()
            )
        return {name: _plain(name, value) for name, value in row.items()}


@contextmanager
def closing_access(url: str, name: str) -> Iterator[None]:
    """Ends every session of a PostgreSQL database and lets no new one begin."""
    server = sa.create_engine(
        sa.make_url(url).set(drivername="postgresql+psycopg", database="postgres"),
        isolation_level="AUTOCOMMIT",
        poolclass=sa.NullPool,
    )
    allow = f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS '
    with server.connect() as db:
        db.execute(sa.text(allow + "false"))
        db.execute(
            sa.text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :n"),
            {"n": name},
        )
        yield
        db.execute(sa.text(allow + "true"))
    server.dispose()


def _plain(name: str, value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return value.isoformat()
    if name == "new_value" and isinstance(value, str) and value.startswith('"'):
        return value.strip('"')  # JSON, as SQLite shows it
    return value


def _bytes(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.glob("partner.db*")))


class TestSqlite(SinkConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[SqlBench]:
        bench = SqlBench(f"sqlite:///{tmp_path}/partner.db", files=tmp_path)
        yield bench
        bench.close()


class TestSqliteOutages(OutageConformance):
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Iterator[SqlBench]:
        bench = SqlBench(f"sqlite:///{tmp_path}/partner.db", files=tmp_path)
        yield bench
        bench.close()


class TestPostgres(SinkConformance):
    @pytest.fixture
    def bench(self, new_postgres_database: Callable[[], str]) -> Iterator[SqlBench]:
        bench = SqlBench(new_postgres_database())
        yield bench
        bench.close()


class TestMariadb(SinkConformance):
    @pytest.fixture
    def bench(self, mariadb: MariadbServer) -> Iterator[SqlBench]:
        url = mariadb.new_database()
        name = url.rpartition("/")[2]
        bench = SqlBench(url, lambda: mariadb.table_files(name))
        yield bench
        bench.close()


class TestPostgresOutages(OutageConformance):
    @pytest.fixture
    def bench(self, new_postgres_database: Callable[[], str]) -> Iterator[SqlBench]:
        bench = SqlBench(new_postgres_database())
        yield bench
        bench.close()
