"""The JSON Lines sink passes the conformance suite; and its file and state never part."""

from __future__ import annotations

import json
import resource
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

import pytest

from connectors.conformance import (
    OutageConformance,
    SinkConformance,
    batch,
    claimed,
    identity,
    opened_case,
    recalled,
)
from connectors.counted import Counted
from connectors.errors import SinkDownError
from connectors.jsonl import JsonlSink
from connectors.sink import RecallPolicy
from schemas.registry import Schemas


class JsonlBench:
    def __init__(self, folder: Path) -> None:
        self.path = folder / "deliveries.jsonl"
        self._sinks: list[JsonlSink] = []
        self.schemas = Schemas(
            s.document for s in map(Schemas.load().by_type, Schemas.load().types())
        )

    def open(self, recalls: RecallPolicy | None = None) -> JsonlSink:
        sink = JsonlSink(self.path, "POL-1", "test-hub", recalls=recalls)
        self._sinks.append(sink)
        sink.prepare()
        return sink

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """The folder is not mounted."""
        self.close()
        folder, away = self.path.parent, self.path.parent.with_name("unmounted")
        folder.rename(away)
        yield
        away.rename(folder)

    def shown(self, event_ref: str) -> dict[str, Any] | None:
        lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        mine = [line for line in lines if line["event_ref"] == event_ref]
        if not mine:
            return None
        schema = self.schemas.by_type(mine[0]["event_type"])
        shown: dict[str, Any] = {field.name: None for field in schema.fields}
        for line in mine:
            for values in line["fields"].values():
                shown.update(values)
        return shown

    def stored(self) -> bytes:
        return b"".join(p.read_bytes() for p in sorted(self.path.parent.glob("deliveries*")))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[JsonlBench]:
    bench = JsonlBench(tmp_path)
    yield bench
    bench.close()


class TestJsonl(SinkConformance):
    pass


class TestJsonlOutages(OutageConformance):
    pass


def test_what_no_transaction_wrote_is_cut_off(bench: JsonlBench) -> None:
    claimed(bench).apply(batch(opened_case(1)))
    with bench.path.open("ab") as file:
        file.write(b'{"torn": tru')
    bench.open()
    assert len(bench.path.read_text().splitlines()) == 1
    assert bench.path.read_bytes().endswith(b"}\n")


def test_an_unfinished_rewrite_is_dropped(bench: JsonlBench) -> None:
    claimed(bench).apply(batch(identity(1)))
    (bench.path.parent / "deliveries.jsonl.next").write_text("half")
    bench.open()
    assert bench.shown("e-1") is not None
    assert not (bench.path.parent / "deliveries.jsonl.next").exists()


def test_a_line_says_where_it_comes_from(bench: JsonlBench) -> None:
    claimed(bench).apply(batch(identity(1)))
    [line] = [json.loads(text) for text in bench.path.read_text().splitlines()]
    assert line["categories"] == ["identity"]
    assert line["bases"] == {"identity": "public_task"}
    assert (line["agency"], line["case_ref"]) == ("SH-1", "nc-1")
    assert bench.path.stat().st_mode & 0o077 == 0


def test_additions_after_a_recall_in_the_same_batch(bench: JsonlBench) -> None:
    claimed(bench).apply(
        batch(identity(1), recalled(2, ("e-1", ["identity"])), identity(3, "e-2"), opened_case(4))
    )
    assert bench.shown("e-1") is None
    assert bench.shown("e-2") is not None
    assert bench.shown("e-0") is not None


def test_an_older_file_beside_newer_books_is_refused(bench: JsonlBench) -> None:
    """It is no shorter than what counts, and holds what was recalled since."""
    sink = claimed(bench)
    sink.apply(batch(identity(1), opened_case(2)))
    older = bench.path.read_bytes()
    sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    sink.close()
    bench.path.write_bytes(older)
    with pytest.raises(SinkDownError, match="a copy of the same moment"):
        bench.open()


def test_what_counts_is_known_without_being_read(
    bench: JsonlBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a start, after a kill in the middle of a line too; a file touched by others is read."""
    claimed(bench).apply(batch(identity(1), opened_case(2)))
    good = bench.path.read_bytes()

    def read(*_: Any) -> NoReturn:
        raise AssertionError("the whole file was read")

    with monkeypatch.context() as patched:
        patched.setattr(Counted, "blocks", read)
        bench.open()
        with bench.path.open("ab") as file:
            file.write(b'{"torn": tru')
        bench.open()
        assert bench.path.read_bytes() == good
        bench.path.touch()
        with pytest.raises(AssertionError, match="whole"):
            bench.open()
    bench.open()
    bench.path.rename(bench.path.with_suffix(".1"))  # as logrotate does, and again by copying
    bench.path.write_bytes(b"")
    with pytest.raises(SinkDownError, match="has 0 bytes of"):
        bench.open()
    bench.path.write_bytes(good)
    bench.open()
    bench.path.write_bytes(good.replace(b"CaseOpened", b"CaseClosed"))
    with pytest.raises(SinkDownError, match="not as these books left it"):
        bench.open()


def test_books_of_before_there_were_digests_get_them(bench: JsonlBench) -> None:
    claimed(bench).apply(batch(identity(1), opened_case(2)))
    good = bench.path.read_bytes()
    with sqlite3.connect(bench.path.with_name("deliveries.jsonl.state.db")) as books:
        books.execute("DROP TABLE nrm_jsonl_block")
        books.execute("DROP TABLE nrm_jsonl_look")
    books.close()
    claimed(bench).apply(batch(identity(3, "e-3")))
    assert bench.path.read_bytes().startswith(good)
    bench.path.write_bytes(good.replace(b"CaseOpened", b"CaseClosed") + b" " * len(good))
    with pytest.raises(SinkDownError, match="not as these books left it"):
        bench.open()


def test_lines_over_many_blocks(bench: JsonlBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rewritten, appended to and cut, wherever a block begins; what is torn is not believed."""
    monkeypatch.setattr("connectors.counted.BLOCK", 64)
    sink = claimed(bench)
    sink.apply(batch(identity(1), identity(2, "e-2"), opened_case(3)))
    older = bench.path.read_bytes()
    sink.apply(batch(recalled(4, ("e-1", ["identity"])), identity(5, "e-5")))
    assert [bench.shown(ref) is None for ref in ("e-1", "e-2", "e-0", "e-5")] == [
        True, False, False, False,
    ]  # fmt: skip
    newer = bench.path.read_bytes()
    with bench.path.open("ab") as file:
        file.write(b'{"torn": tru')
    bench.open()
    assert bench.path.read_bytes() == newer
    with bench.path.open("r+b") as file:  # an older copy, longer, into the same file
        file.write(older + b" " * len(newer))
    with pytest.raises(SinkDownError, match="not as these books left it"):
        bench.open()


@contextmanager
def no_room_behind(size: int) -> Iterator[None]:
    """No file of this process grows beyond: stands for a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_waited_out_and_not_kept_full(bench: JsonlBench) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1)))
    good = bench.path.read_bytes()
    more = batch(identity(2, "e-2", family_name="x" * 30_000))
    with no_room_behind(20_000), pytest.raises(SinkDownError):
        sink.apply(more)
    assert bench.path.read_bytes() == good
    with no_room_behind(4096), pytest.raises(SinkDownError, match="does not work"):
        sink.database.wipe(True)  # the books' own
    sink.apply(more)
    assert len(bench.path.read_text().splitlines()) == 2
