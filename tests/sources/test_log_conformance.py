"""A changes source that follows PostgreSQL's log passes the source suite."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from psycopg import sql

from connectors.conformance.sources import OPENED, SECRET, SourceConformance
from connectors.source import Source, SourceRow
from tests.sources.followed import Followed

MAPPING = """
version = 1
[[map]]
event = "CaseOpened"
table = "client"
key = ["id"]
case = "case_no"
[map.fields]
jurisdiction = "jurisdiction"
channel = "channel"
age_status = "age_status"
local_case_ref = "note"
"""
TABLE = (
    "CREATE TABLE client (id SERIAL PRIMARY KEY, case_no TEXT, jurisdiction TEXT, channel TEXT, "
    "age_status TEXT, note TEXT)"
)


class LogBench:
    def __init__(self, followed: Followed) -> None:
        self.followed = followed

    def open(self) -> Source:
        """A mapping names fields that the event has: what the suite calls note is another here."""
        source = self.followed.open(MAPPING, SECRET)
        read = source.read
        source.read = lambda limit: [_noted(row) for row in read(limit)]  # type: ignore[method-assign]
        return source

    def put(self, case: str, data: Mapping[str, Any] = OPENED) -> None:
        cells = {"case_no": case, **data}
        query = sql.SQL("INSERT INTO client ({}) VALUES ({})").format(
            sql.SQL(", ").join(map(sql.Identifier, cells)),
            sql.SQL(", ").join(sql.Placeholder() * len(cells)),
        )
        self.followed.session.execute(query, list(cells.values()))

    def mend(self, case: str) -> None:
        self.followed.do(f"UPDATE client SET channel = 'helpline' WHERE case_no = '{case}'")

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Neither the database nor the source's own file."""
        for one in self.followed.opened:
            one.close()
        file = self.followed.folder / "changes.state.db"
        away = file.with_name("away.db")
        file.rename(away)
        file.mkdir()
        with self.followed.away():
            yield
        file.rmdir()
        away.rename(file)


def _noted(row: SourceRow) -> SourceRow:
    assert row.event is not None
    data = {{"local_case_ref": "note"}.get(k, k): v for k, v in row.event.data.items()}
    return replace(row, event=replace(row.event, data=data))


@pytest.fixture(scope="module")
def database(new_postgres_database: Callable[[], str]) -> str:
    return new_postgres_database()


@pytest.fixture
def bench(database: str, tmp_path: Path) -> Iterator[LogBench]:
    followed = Followed(database, tmp_path)
    followed.do("DROP TABLE IF EXISTS client", TABLE)
    followed.follow(MAPPING)
    yield LogBench(followed)
    followed.close()


class TestLog(SourceConformance):
    pass
