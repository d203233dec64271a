"""Files that others have touched: the JSON Lines file and its books, half written, cut or gone."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.agency.identity import AgencyIdentity
from connectors.errors import ConnectorError, SettingsError
from connectors.jsonl import JsonlSink
from tests.connectors.bad_input.site import TO, Site
from tests.connectors.builder import MiniHub


@dataclass
class Place:
    lines: Path

    @property
    def books(self) -> Path:
        return self.lines.with_name(self.lines.name + ".state.db")

    def sequences(self) -> list[int]:
        return [json.loads(line)["sequence"] for line in self.lines.read_text("utf-8").splitlines()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    (tmp_path / "lines").mkdir()
    return Place(tmp_path / "lines" / "deliveries.jsonl")


@pytest.fixture
def site(
    hub: MiniHub, police: AgencyIdentity, shelter: AgencyIdentity, place: Place, tmp_path: Path
) -> Iterator[Site]:
    made = Site(hub, police, shelter, tmp_path, lambda: JsonlSink(place.lines, TO, "test-hub"))
    made.deliver(1)
    made.deliver(2)
    assert made.go() == ""
    yield made
    made.close()


def half_a_line_more(place: Place) -> None:
    with place.lines.open("ab") as file:
        file.write(b'{"sequence": 99, "event_')


def junk_behind(place: Place) -> None:
    with place.lines.open("ab") as file:
        file.write(b"\xff\x00not ours\n" * 1000)


@pytest.mark.parametrize("harm", [half_a_line_more, junk_behind])
@pytest.mark.parametrize("restarted", [True, False])
def test_what_is_behind_what_counts_is_cut_off(
    harm: Callable[[Place], None], restarted: bool, site: Site, place: Place
) -> None:
    harm(place)
    if restarted:
        site.stop()
    site.deliver(3)
    assert site.go() == ""
    assert place.sequences() == [1, 2, 3]
    assert site.answered() == {1, 2, 3}


def cut_short(place: Place) -> None:
    place.lines.write_bytes(place.lines.read_bytes()[:40])


def emptied(place: Place) -> None:
    place.lines.write_bytes(b"")


def gone(place: Place) -> None:
    place.lines.unlink()


def a_folder(place: Place) -> None:
    place.lines.unlink()
    place.lines.mkdir()


@pytest.mark.parametrize("harm", [cut_short, emptied, gone, a_folder])
@pytest.mark.parametrize("restarted", [True, False])
def test_a_file_that_lacks_what_was_answered_stops_everything_until_it_is_back(
    harm: Callable[[Place], None], restarted: bool, site: Site, place: Place, tmp_path: Path
) -> None:
    """Nothing is written into a file with a hole, and no receipt goes out for what is not there."""
    shutil.copy(place.lines, tmp_path / "kept")
    if restarted:
        site.stop()
    harm(place)
    site.deliver(3)
    said = site.go()
    assert str(place.lines.name) in said
    assert "put it back from a copy" in said
    assert site.answered() == {1, 2}
    if place.lines.is_dir():
        place.lines.rmdir()
    shutil.copy(tmp_path / "kept", place.lines)
    assert site.go() == ""
    assert place.sequences() == [1, 2, 3]
    assert site.answered() == {1, 2, 3}


def test_a_line_that_was_changed_by_hand_does_not_let_a_recall_pass(
    site: Site, place: Place, tmp_path: Path
) -> None:
    """A recall has to read the lines; what it cannot read it cannot promise to have removed."""
    shutil.copy(place.lines, tmp_path / "kept")
    text = place.lines.read_bytes()
    place.lines.write_bytes(text.replace(b'{"sequence": 2', b'?"sequence": 2'))
    [event] = site.hub.stated(site.shelter, *[case()])
    site._append("deliveries", site.hub.message(TO, [site.hub.release(TO, event)]))
    recall = site.hub.recall(TO, [(event, event.categories)])
    site._append("deliveries", site.hub.message(TO, [recall]))
    said = site.go()
    assert "is not as these books left it" in said
    assert 4 not in site.answered()
    place.lines.write_bytes(place.lines.read_bytes().replace(b'?"sequence": 2', b'{"sequence": 2'))
    assert site.go() == ""
    assert place.sequences() == [1, 2]


def case() -> object:
    from tests.connectors.builder import case_opened

    return case_opened("C-9")


@pytest.mark.parametrize(
    "harm",
    [
        lambda books: books.write_bytes(b"SQLite format 3\0" + bytes(4096)),
        lambda books: books.write_bytes(b"not a database at all" * 400),
        lambda books: books.write_bytes(books.read_bytes()[: len(books.read_bytes()) // 2]),
    ],
    ids=["zeros", "text", "half"],
)
def test_broken_books_are_named_and_nothing_is_written(
    harm: Callable[[Path], None], site: Site, place: Place, tmp_path: Path
) -> None:
    site.stop()
    shutil.copy(place.books, tmp_path / "books")
    before = place.lines.read_bytes()
    harm(place.books)
    site.deliver(3)
    try:
        said = site.go()
    except ConnectorError as stops:
        said = str(stops)
    assert "database" in said
    assert place.lines.read_bytes() == before
    site.stop()
    for suffix in ("-wal", "-shm"):
        place.books.with_name(place.books.name + suffix).unlink(missing_ok=True)
    shutil.copy(tmp_path / "books", place.books)
    assert site.go() == ""
    assert place.sequences() == [1, 2, 3]


def test_a_file_of_somebody_else_is_never_emptied(site: Site, place: Place) -> None:
    """Without books there is no telling whose it is."""
    site.stop()
    place.books.unlink()
    before = place.lines.read_bytes()
    site.deliver(3)
    with pytest.raises(SettingsError, match="name another file"):
        site.go()
    assert place.lines.read_bytes() == before
