"""Folders that others write to as well: a link or a pipe of theirs leads to nothing of ours.

Who may write to the folder that files are put into, or dropped into, knows how we name what is
half written. A link of that name would have us overwrite, or hand over, what the connector's user
may reach: its keys.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.agency.identity import made_anew, write_whole
from connectors.conformance import batch, claimed, identity, opened_case, recalled
from connectors.errors import SettingsError, SinkDownError
from connectors.files.drop import LocalDrop, held_name, part_name
from connectors.jsonl import JsonlSink
from tests.connectors.files.file_bench import FileBench
from tests.connectors.files.test_folder_conformance import folder_bench
from tests.sources.conftest import site as site  # noqa: PLC0414 - a fixture
from tests.sources.test_folder import HEADER, Drop, row
from tests.sources.test_folder import drop as drop  # noqa: PLC0414 - a fixture

SPAN = "0000000001-0000000002"
SECRET = b"what only the connector may read"


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "signing.key"
    path.write_bytes(SECRET)
    return path


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[FileBench]:
    bench = folder_bench(tmp_path, "csv")
    yield bench
    bench.close()


def test_a_file_that_is_put_follows_no_link(bench: FileBench, secret: Path) -> None:
    named = (f"case_opened-{SPAN}.csv", f"batch-{SPAN}.manifest.json",
             f"batch-{SPAN}.manifest.json.sig")  # fmt: skip
    for name in named:
        (bench.folder / part_name(name)).symlink_to(secret)
    claimed(bench).apply(batch(opened_case(1), identity(2)))
    assert secret.read_bytes() == SECRET
    for name in named:
        assert not (bench.folder / name).is_symlink()
        assert SECRET not in (bench.folder / name).read_bytes()


def test_nobody_reads_along_in_a_file_that_was_there_before(bench: FileBench) -> None:
    name = f"identity_recorded-{SPAN}.csv"
    mine = bench.folder / part_name(name)
    mine.touch(mode=0o666)
    with mine.open("rb") as kept_open:
        claimed(bench).apply(batch(opened_case(1), identity(2)))
        assert kept_open.read() == b""
    assert (bench.folder / name).stat().st_mode & 0o007 == 0


@pytest.mark.parametrize("what", ["link", "pipe", "folder", "terabyte"])
def test_what_is_put_in_a_files_place_is_not_read(
    bench: FileBench, secret: Path, what: str
) -> None:
    """Read again for a recall. Whoever waits at a pipe waits for ever."""
    sink = claimed(bench)
    sink.apply(batch(opened_case(1), identity(2)))
    place = bench.folder / f"identity_recorded-{SPAN}.csv"
    place.unlink()
    if what == "link":
        place.symlink_to(secret)
    elif what == "pipe":
        os.mkfifo(place)
    elif what == "folder":
        place.mkdir()
    else:
        with place.open("wb") as file:
            file.truncate(1 << 40)
    with pytest.raises(SinkDownError) as caught:
        sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    assert place.name in str(caught.value)
    assert sink.position().sequence == 2, "the recall is not answered"


def test_what_lies_under_a_held_name_is_not_read(tmp_path: Path, secret: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    (folder / held_name("a.csv")).symlink_to(secret)
    with pytest.raises(SinkDownError, match="no plain file"):
        LocalDrop(folder).get("a.csv")


def test_json_lines_follow_no_link(tmp_path: Path, secret: Path) -> None:
    sink = JsonlSink(tmp_path / "deliveries.jsonl", "POL-1", "test-hub")
    sink.prepare()
    sink.claim()
    sink.apply(batch(opened_case(1), identity(2)))
    (tmp_path / "deliveries.jsonl.next.draft").symlink_to(secret)
    sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    sink.close()
    assert secret.read_bytes() == SECRET
    assert not (tmp_path / "deliveries.jsonl").is_symlink()


def test_files_of_our_own_follow_no_link_and_keep_no_mode_of_others(
    tmp_path: Path, secret: Path
) -> None:
    (tmp_path / "state.json.new").symlink_to(secret)
    write_whole(tmp_path / "state.json", b"{}")
    assert secret.read_bytes() == SECRET
    (tmp_path / "key.new").touch(mode=0o666)
    write_whole(tmp_path / "key", b"x")
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0
    with made_anew(tmp_path / "key") as file:
        file.write(b"y")
    assert (tmp_path / "key").read_bytes() == b"y"


def test_books_that_came_back_from_a_backup_are_their_owners_again(
    bench: FileBench, tmp_path: Path
) -> None:
    claimed(bench).close()
    [state] = bench.folder.parent.glob("*.state.db")
    state.chmod(0o644)
    claimed(bench)
    assert state.stat().st_mode & 0o077 == 0
    lines = tmp_path / "deliveries.jsonl.state.db"
    for _ in range(2):
        sink = JsonlSink(tmp_path / "deliveries.jsonl", "POL-1", "test-hub")
        sink.prepare()
        sink.close()
        assert lines.stat().st_mode & 0o077 == 0
        lines.chmod(0o644)


def test_rows_that_wait_are_their_owners_again(drop: Drop, tmp_path: Path) -> None:
    drop.open().close()
    state = tmp_path / "folder.state.db"
    state.chmod(0o644)
    drop.open()
    assert state.stat().st_mode & 0o077 == 0


# -- the folder that files are dropped into ----------------------------------------------------


@pytest.mark.parametrize("name", ["work", "done", "refused"])
def test_files_are_moved_to_no_place_of_others(drop: Drop, tmp_path: Path, name: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    drop.path.mkdir()
    (drop.path / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SettingsError, match=f"{name} is a link"):
        drop.open()


def test_a_link_made_while_the_file_was_looked_at_is_not_read(
    drop: Drop, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = drop.open()
    drop.put("a.csv", HEADER + row("C1"))
    moved = os.rename

    def swapped(here: Path, there: Path) -> None:
        if Path(here).name == "a.csv" and Path(there).parent.name == "work":
            Path(here).unlink()
            Path(here).symlink_to(secret)
        moved(here, there)

    monkeypatch.setattr("connectors.sources.folder.dropped.os.rename", swapped)
    assert source.read(10) == []
    assert secret.read_bytes() == SECRET
    assert drop.lies() == set(), "neither read, nor reported, nor put back for somebody to take"


def test_rows_to_put_right_are_for_their_owner_alone(drop: Drop) -> None:
    source = drop.open()
    before = os.umask(0o022)
    try:
        drop.put("a.csv", HEADER + "C1,never,XX,outreach,adult,\n")
        source.read(10)
        source.read(10)
    finally:
        os.umask(before)
    left = [one for one in (drop.path / "refused").iterdir() if "." in one.stem]
    assert {one.name for one in left} == {"a.csv.report.csv", "a.rest.csv"}
    assert [one.name for one in left if one.stat().st_mode & 0o077] == []
