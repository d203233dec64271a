"""The outbox source passes the source suite; sources with one planted bug each do not."""

from __future__ import annotations

import inspect
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.conformance.sources import OPENED, SourceConformance
from connectors.errors import ConnectorError
from connectors.source import Source
from connectors.sources.database import SourceDatabase
from connectors.sources.outbox.source import OutboxSource
from tests.sources.site import make_outbox, outbox
from tests.sources.test_outbox import put


class OutboxBench:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "casework.db"
        self._opened: list[SourceDatabase] = [make_outbox(f"sqlite:///{self.file}")]

    def open(self) -> Source:
        self._opened.append(SourceDatabase(f"sqlite:///{self.file}"))
        return outbox(self._opened[-1])

    def put(self, case: str, data: Mapping[str, Any] = OPENED) -> None:
        with self._opened[0].writing() as db:
            put(db, case, **data)

    def mend(self, case: str) -> None:
        with self._opened[0].writing() as db:
            db.execute(
                sa.text("UPDATE nrm_outbox SET status = 'ready', data = :data "
                        "WHERE case_ref = :case AND status = 'refused'"),
                {"case": case, "data": json.dumps(dict(OPENED))},
            )  # fmt: skip

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Something else stands in the file's place."""
        self.close()
        away = self.file.with_name("away.db")
        self.file.rename(away)
        self.file.mkdir()
        yield
        self.file.rmdir()
        away.rename(self.file)

    def close(self) -> None:
        for one in self._opened:
            one.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[OutboxBench]:
    bench = OutboxBench(tmp_path)
    yield bench
    bench.close()


class TestOutbox(SourceConformance):
    pass


# -- planted bugs ------------------------------------------------------------------------------


def _read(patch: pytest.MonkeyPatch, wrong: Callable[[Any, Any, int], Any]) -> None:
    right = OutboxSource.read
    patch.setattr(OutboxSource, "read", lambda self, limit: wrong(right, self, limit))


def marks_when_it_reads(patch: pytest.MonkeyPatch) -> None:
    def wrong(right: Any, self: Any, limit: int) -> Any:
        rows = right(self, limit)
        with self._database.writing() as db:
            db.execute(sa.text("UPDATE nrm_outbox SET status = 'accepted' WHERE status = 'ready'"))
        return rows

    _read(patch, wrong)


def forgets_answers(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OutboxSource, "answered", lambda self, outcomes: None)


def names_rows_anew(patch: pytest.MonkeyPatch) -> None:
    count = iter(range(10_000))
    _read(patch, lambda right, self, limit: [
        replace(row, key=f"{row.key}-{next(count)}") for row in right(self, limit)])  # fmt: skip


def offers_the_refused_under_the_same_id(patch: pytest.MonkeyPatch) -> None:
    _read(patch, lambda right, self, limit: [
        replace(row, attempt=0) for row in right(self, limit)])  # fmt: skip


def takes_the_newest_first(patch: pytest.MonkeyPatch) -> None:
    _read(patch, lambda right, self, limit: right(self, 1000)[::-1][:limit])


def takes_more_than_asked(patch: pytest.MonkeyPatch) -> None:
    _read(patch, lambda right, self, limit: right(self, limit + 5))


def holds_no_case_though_it_says_so(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OutboxSource, "_behind", lambda self: sa.false())


def puts_content_into_places(patch: pytest.MonkeyPatch) -> None:
    _read(patch, lambda right, self, limit: [
        replace(row, place=str(row.event)) for row in right(self, limit)])  # fmt: skip


def logs_what_it_reads(patch: pytest.MonkeyPatch) -> None:
    def wrong(right: Any, self: Any, limit: int) -> Any:
        rows = right(self, limit)
        logging.getLogger("partner").info("read %s", rows)
        return rows

    _read(patch, wrong)


def empty_when_it_is_away(patch: pytest.MonkeyPatch) -> None:
    def wrong(right: Any, self: Any, limit: int) -> Any:
        try:
            return right(self, limit)
        except ConnectorError:
            return []

    _read(patch, wrong)


BUGS: list[tuple[Callable[[pytest.MonkeyPatch], None], str]] = [
    (marks_when_it_reads, "test_until_it_is_answered_it_comes_again_the_same"),
    (forgets_answers, "test_once_accepted_it_never_comes_again"),
    (names_rows_anew, "test_until_it_is_answered_it_comes_again_the_same"),
    (offers_the_refused_under_the_same_id, "test_a_refused_row_waits_until_somebody_acts"),
    (takes_the_newest_first, "test_rows_of_a_case_come_in_order"),
    (takes_more_than_asked, "test_every_row_comes_however_few_are_asked_for"),
    (holds_no_case_though_it_says_so, "test_what_is_refused_holds_its_case_and_no_other"),
    (puts_content_into_places, "test_nothing_a_row_says_is_in_what_is_told_of_it"),
    (logs_what_it_reads, "test_nothing_a_row_says_is_logged_or_printed"),
    (empty_when_it_is_away, "test_an_outage_loses_nothing"),
]


@pytest.mark.parametrize(("bug", "test"), BUGS, ids=[one.__name__ for one, _ in BUGS])
def test_a_planted_bug_is_caught(
    bug: Callable[[pytest.MonkeyPatch], None],
    test: str,
    bench: OutboxBench,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    bug(monkeypatch)
    asked = getattr(SourceConformance(), test)
    listening = (caplog, capfd) if "capfd" in inspect.signature(asked).parameters else ()
    with pytest.raises((AssertionError, pytest.fail.Exception, ValueError, LookupError)):
        asked(bench, *listening)
