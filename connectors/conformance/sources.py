"""What every Source must do, as tests anyone can run on theirs; nothing here needs a hub.

    class TestMySource(SourceConformance):
        @pytest.fixture
        def bench(self, tmp_path): return MyBench(tmp_path)

The bench puts rows where the agency's people or programs would put them. The suite reads, answers,
kills and reads again, and asks whether each row comes until it is answered and never after.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import pytest

from connectors.conformance.contents import TEXTS
from connectors.conformance.telling import listen, overheard
from connectors.errors import SourceDownError
from connectors.source import RowOutcome, Source, SourceRow, event_id_of

SECRET = b"the identity's salt secret of the suite"
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
CANARY = "CANARY-41c7"
OPENED: Mapping[str, Any] = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}


class SourceBench(Protocol):
    """The source under test and the agency's system behind it. May have close()."""

    def open(self) -> Source:
        """A source on the same storage, prepared; as a new process would."""

    def put(self, case: str, data: Mapping[str, Any] = OPENED) -> None:
        """The agency commits one row: this case is opened, and this is what it says."""

    def mend(self, case: str) -> None:
        """Somebody puts the refused row of this case right, or offers it again."""

    def outage(self) -> AbstractContextManager[None]:
        """While it lasts the agency's system cannot be reached; nothing is lost."""


def outcome(row: SourceRow, state: Any = "accepted", reason: str | None = None) -> RowOutcome:
    """The hub's answer to a row."""
    event_id = event_id_of(SECRET, "source", row)
    told = RowOutcome(row.key, row.place, state, row.attempt, event_id)
    if state == "accepted":
        return replace(told, position=7, recorded_at=NOW)
    return replace(told, step=7, reason=reason or "already_open", fix="look at the case")


def ids(source: Source, rows: Sequence[SourceRow]) -> list[UUID]:
    return [event_id_of(SECRET, source.name, row) for row in rows]


def cases(rows: Sequence[SourceRow]) -> list[str | None]:
    return [row.event.case if row.event is not None else row.case for row in rows]


class SourceConformance:
    """The suite. Subclass it and give a `bench` fixture."""

    def test_a_committed_row_is_read_as_an_event(self, bench: SourceBench) -> None:
        bench.put("C-1")
        [row] = bench.open().read(10)
        assert row.event is not None
        assert (row.event.type, row.event.case) == ("CaseOpened", "C-1")
        assert {name: row.event.data.get(name) for name in OPENED} == OPENED
        assert row.event.occurred_at is not None
        assert row.event.occurred_at.tzinfo is not None
        assert row.place

    def test_nothing_there_is_nothing_to_do(self, bench: SourceBench) -> None:
        source = bench.open()
        assert list(source.read(10)) == []
        source.answered([])
        assert (source.status().ready, source.status().accepted) == (0, 0)

    def test_until_it_is_answered_it_comes_again_the_same(self, bench: SourceBench) -> None:
        bench.put("C-1")
        bench.put("C-2")
        first = bench.open()
        rows = list(first.read(10))
        assert list(first.read(10)) == rows, "in the same process"
        again = bench.open()
        rows_again = list(again.read(10))
        assert ids(again, rows_again) == ids(first, rows), "the same events for the hub"
        assert [row.event for row in rows_again] == [row.event for row in rows]

    def test_once_accepted_it_never_comes_again(self, bench: SourceBench) -> None:
        bench.put("C-1")
        bench.put("C-2")
        source = bench.open()
        [one, two] = source.read(10)
        source.answered([outcome(one)])
        assert ids(source, source.read(10)) == ids(source, [two])
        source.answered([outcome(one), outcome(two)])
        assert list(bench.open().read(10)) == []
        assert source.status().accepted in (0, 2), "0 where accepted rows are removed"

    def test_an_answer_given_twice_changes_nothing(self, bench: SourceBench) -> None:
        bench.put("C-1")
        bench.put("C-2")
        source = bench.open()
        [one, two] = source.read(10)
        for _ in range(2):
            source.answered([outcome(one), outcome(two, "refused")])
        assert list(source.read(10)) == []
        assert [row.reason for row in source.report(10)] == ["already_open"]

    def test_a_refused_row_waits_until_somebody_acts(self, bench: SourceBench) -> None:
        bench.put("C-1")
        source = bench.open()
        [row] = source.read(10)
        source.answered([outcome(row, "refused")])
        assert list(source.read(10)) == []
        assert list(bench.open().read(10)) == []
        [told] = source.report(10)
        assert (told.state, told.reason) == ("refused", "already_open")
        bench.mend("C-1")
        [again] = bench.open().read(10)
        assert ids(source, [again]) != ids(source, [row]), "the hub's no is final for an id"
        source = bench.open()
        source.answered([outcome(again)])
        assert list(source.read(10)) == []

    def test_a_late_answer_does_not_close_what_was_mended(self, bench: SourceBench) -> None:
        bench.put("C-1")
        source = bench.open()
        [row] = source.read(10)
        source.answered([outcome(row, "refused")])
        bench.mend("C-1")
        source = bench.open()
        source.answered([outcome(row, "refused")])
        assert cases(source.read(10)) == ["C-1"]

    def test_every_row_comes_however_few_are_asked_for(self, bench: SourceBench) -> None:
        wanted = [f"C-{n}" for n in range(7)]
        for case in wanted:
            bench.put(case)
        source, seen = bench.open(), list[str | None]()
        while rows := source.read(2):
            assert len(rows) <= 2
            seen += cases(rows)
            source.answered([outcome(row) for row in rows])
        assert sorted(map(str, seen)) == wanted, "each once"

    def test_rows_of_a_case_come_in_order(self, bench: SourceBench) -> None:
        for channel in ("outreach", "hotline", "police"):
            bench.put("C-1", {**OPENED, "channel": channel})
        source, said = bench.open(), []
        while rows := source.read(10):
            assert rows[0].event is not None
            said.append(rows[0].event.data["channel"])
            source.answered([outcome(rows[0])])
        assert said == ["outreach", "hotline", "police"]

    def test_what_is_refused_holds_its_case_and_no_other(self, bench: SourceBench) -> None:
        for case in ("C-1", "C-1", "C-2"):
            bench.put(case)
        source = bench.open()
        row = source.read(10)[0]
        assert cases([row]) == ["C-1"]
        source.answered([outcome(row, "refused")])
        left = cases(source.read(10))
        assert left == (["C-2"] if source.holds_cases else ["C-1", "C-2"])

    @pytest.mark.parametrize("answered", [False, True])
    def test_killed_after_reading_or_answering(self, bench: SourceBench, answered: bool) -> None:
        """As kill -9 would: no handler runs, nothing is closed."""
        bench.put("C-1")
        child = os.fork()
        if child == 0:
            status = 1
            try:
                source = bench.open()
                rows = source.read(10)
                if answered:
                    source.answered([outcome(row) for row in rows])
                status = 0
            finally:
                os._exit(status)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert cases(bench.open().read(10)) == ([] if answered else ["C-1"])

    def test_two_processes_state_the_same_events(self, bench: SourceBench) -> None:
        bench.put("C-1")
        first, second = bench.open(), bench.open()
        one, two = list(first.read(10)), list(second.read(10))
        assert ids(first, one) == ids(second, two)
        first.answered([outcome(row) for row in one])
        second.answered([outcome(row) for row in two])
        assert list(second.read(10)) == []

    def test_texts_come_as_they_are(self, bench: SourceBench) -> None:
        texts = {n: text for n, text in enumerate(TEXTS.values()) if text.strip() == text and text}
        for n, text in texts.items():
            bench.put(f"C-{n}", {**OPENED, "note": text})
        source = bench.open()
        said: dict[str | None, Any] = {}
        while rows := source.read(50):
            for row in rows:
                assert row.event is not None, row.fault
                said[row.event.case] = row.event.data.get("note")
            source.answered([outcome(row) for row in rows])
        assert said == {f"C-{n}": text for n, text in texts.items()}

    def test_nothing_a_row_says_is_in_what_is_told_of_it(self, bench: SourceBench) -> None:
        bench.put("C-1", {**OPENED, "note": CANARY})
        source = bench.open()
        [row] = source.read(10)
        source.answered([outcome(row, "refused")])
        told = f"{row.key} {row.place} {source.report(10)} {source.status()}"
        assert CANARY not in told

    def test_nothing_a_row_says_is_logged_or_printed(
        self,
        bench: SourceBench,
        caplog: pytest.LogCaptureFixture,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        listen(caplog)
        bench.put("C-1", {**OPENED, "note": CANARY})
        bench.put("C-2", {**OPENED, "note": CANARY})
        source = bench.open()
        one, two = source.read(10)
        source.answered([outcome(one, "refused"), outcome(two)])
        source.report(10)
        source.status()
        assert CANARY not in overheard(caplog, capfd), "logs and output are read by others"

    def test_an_outage_loses_nothing(self, bench: SourceBench) -> None:
        bench.put("C-1")
        source = bench.open()
        [row] = source.read(10)
        with bench.outage():
            for _ in range(2):
                with pytest.raises(SourceDownError) as down:
                    source.read(10)
                with pytest.raises(SourceDownError):
                    source.answered([outcome(row)])
            assert len(str(down.value).split()) > 2, "it says what to look at"
        assert cases(source.read(10)) == ["C-1"]
        source.answered([outcome(row)])
        assert list(source.read(10)) == []
