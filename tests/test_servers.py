"""The servers that other tests rely on are real, durable, ours, and missed loudly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from hub.scenario import local_postgres
from hub.scenario.local_postgres import LocalPostgresError
from tests.servers import PostgresServer


def test_postgres_keeps_what_it_acknowledges(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            assert connection.execute(f"SHOW {setting}".encode()).fetchone() == ("on",)


def test_each_database_asked_for_is_empty_and_apart(
    new_postgres_database: Callable[[], str],
) -> None:
    one, other = new_postgres_database(), new_postgres_database()
    with psycopg.connect(one) as connection:
        connection.execute("CREATE TABLE t (x int)")
    with psycopg.connect(other) as connection:
        assert connection.execute("SELECT to_regclass('t')").fetchone() == (None,)


def test_a_missing_postgres_fails_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setattr(local_postgres, "Path", lambda *parts: tmp_path)
    with pytest.raises(LocalPostgresError, match="initdb"):
        PostgresServer(tmp_path).start()


def test_a_postgres_that_does_not_start_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_postgres, "free_port", lambda: 0)  # no port a server accepts
    monkeypatch.setattr(local_postgres, "other_user", lambda: "nobody")
    tmp_path.chmod(0o755)
    server = PostgresServer(tmp_path)
    try:
        with pytest.raises(LocalPostgresError):
            server.start()
    finally:
        server.stop()
