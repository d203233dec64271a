"""Exporting: whole, incremental, never half, never over another history."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hub.crypto.signing import SigningKey
from hub.store.mapper import leaf_entry
from hub.tlog.note import Cosigner, Note
from hub.tlog.tiles import Tile, decode_bundle, tiles_of
from hub.transparency.export import ExportRefused, ForkFound, export_log, published_checkpoint
from tests.transparency.logs import NOW, VKEY, Made, checked, codes, files

Make = Callable[..., Made]


def test_what_is_written(make: Make, tmp_path: Path) -> None:
    made = make()
    made.grow(600)
    made.export(tmp_path / "log")
    found = files(tmp_path / "log")
    tiles = {tile.path for tile in tiles_of(600)}
    assert set(found) == tiles | {"checkpoint", "vkey"}
    assert found["checkpoint"] == made.newest
    assert found["vkey"] == f"{VKEY}\n".encode()
    entries = [
        entry for index in range(2) for entry in decode_bundle(found[f"tile/entries/00{index}"])
    ]
    assert entries == [leaf_entry(row) for row in made.log.rows(0, 512)]
    assert {len(entry) for entry in entries} == {33}


def test_again_it_only_adds(make: Make, tmp_path: Path) -> None:
    made = make()
    made.grow(300)
    made.export(tmp_path / "log")
    before, first = files(tmp_path / "log"), made.newest
    assert made.export(tmp_path / "log") == 0
    made.grow(300)
    made.export(tmp_path / "log")
    after = files(tmp_path / "log")
    assert after.pop("earlier/300") == first
    assert {name: after[name] for name in before if name != "checkpoint"} == {
        name: data for name, data in before.items() if name != "checkpoint"
    }
    assert codes(checked(tmp_path / "log")) == []


def test_nothing_to_export(make: Make, tmp_path: Path) -> None:
    with pytest.raises(ExportRefused, match="no checkpoint"):
        make().export(tmp_path / "log")


@pytest.mark.parametrize("there", ["fork", "rollback"])
def test_a_folder_of_another_history_is_refused_and_left(
    make: Make, tmp_path: Path, there: str
) -> None:
    true, other = make("true"), make("other")
    true.grow(300)
    other.grow(200 if there == "rollback" else 400, "other")
    true.export(tmp_path / "log")
    before = files(tmp_path / "log")
    with pytest.raises(ForkFound, match="FORK"):
        other.export(tmp_path / "log")
    assert files(tmp_path / "log") == before


def test_a_folder_of_another_log_is_refused(make: Make, tmp_path: Path) -> None:
    made, other = make(), make("other", origin="other.example", key=SigningKey.generate())
    made.grow(3)
    other.grow(3)
    other.export(tmp_path / "log")
    with pytest.raises(ExportRefused, match="no export of this log"):
        made.export(tmp_path / "log")


def test_an_interrupted_export_is_run_again(make: Make, tmp_path: Path) -> None:
    made = make()
    made.grow(3_000)
    made.export(tmp_path / "log")
    made.grow(70_000 - 3_000)
    steps = export_log(made.log, tmp_path / "log", key=made.key, now=NOW)
    for _ in range(1):
        next(steps)
    steps.close()
    (tmp_path / "log" / "tile" / "0" / ".099.new").write_bytes(b"half")
    half = checked(tmp_path / "log")
    assert (codes(half), half.size) == ([], 3_000), "the former export still stands"
    assert half.unchecked_files > 100
    made.export(tmp_path / "log")
    whole = checked(tmp_path / "log")
    assert (codes(whole), whole.size, whole.earlier) == ([], 70_000, 1)


def test_the_store_and_the_checkpoint_disagree(make: Make, tmp_path: Path) -> None:
    made = make()
    made.grow(3)
    made.log._tables.datastore.close()  # type: ignore[attr-defined]
    import sqlite3

    with sqlite3.connect(made.path) as database:
        database.execute("UPDATE tiles SET data = zeroblob(96) WHERE path = 'tile/0/000.p/3'")
    database.close()
    again = make()
    with pytest.raises(ExportRefused, match="audit verify"):
        again.export(tmp_path / "log")
    assert not (tmp_path / "log" / "checkpoint").exists()


@pytest.mark.parametrize("link", ["tile", "tile/0", "tile/0/000.p/3", "checkpoint"])
def test_links_in_the_folder_are_not_followed(make: Make, tmp_path: Path, link: str) -> None:
    made = make()
    made.grow(3)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "log" / link).parent.mkdir(parents=True)
    (tmp_path / "log" / link).symlink_to(elsewhere)
    with pytest.raises(ExportRefused, match=r"not_a_file|no export"):
        made.export(tmp_path / "log")
    assert not list(elsewhere.iterdir())


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(st.integers(1, 400), min_size=2, max_size=6))
def test_history_is_never_rewritten(
    tmp_path_factory: pytest.TempPathFactory, growth: list[int]
) -> None:
    """Every full tile and bundle has the same bytes in every later export."""
    folder = tmp_path_factory.mktemp("growing")
    made = Made(folder / "hub")
    try:
        seen: dict[str, bytes] = {}
        for number, rows in enumerate(growth):
            made.grow(rows)
            made.export(folder / f"{number}")
            made.export(folder / "same")
            for place in (folder / f"{number}", folder / "same"):
                full = {
                    name: data
                    for name, data in files(place).items()
                    if name.startswith("tile/") and Tile.parse(name).width == 256
                }
                assert seen.items() <= full.items()
            seen = full
        verdict = checked(folder / "same")
        assert (codes(verdict), verdict.earlier) == ([], len(growth) - 1)
    finally:
        made.close()


# -- which checkpoint is shown -----------------------------------------------------------------

WITNESSES = [Cosigner(f"w{n}", SigningKey.from_private(bytes([n]) * 32)) for n in (1, 2)]
KEYS = tuple(one.verifier for one in WITNESSES)


def cosign(made: Made, size: int, *by: int, time: float = NOW) -> None:
    [(_, note)] = made.log.checkpoints(size - 1, 1)
    parsed = Note.parse(note.encode())
    for number in by:
        line = WITNESSES[number].line(parsed.text, int(time))
        parsed = parsed.cosigned(line)
    assert made.log.cosign(size, note, bytes(parsed).decode(), "witness/w")


def shown(made: Made, now: float = NOW) -> int:
    found = published_checkpoint(made.log, KEYS, now)
    assert found is not None
    return found[0]


def test_the_newest_that_most_witnesses_cosigned_is_shown(make: Make) -> None:
    made = make()
    for _ in range(4):
        made.grow(10)
    assert shown(made) == 40
    cosign(made, 30, 0)
    assert shown(made) == 30
    cosign(made, 20, 0, 1)
    assert shown(made) == 20
    cosign(made, 40, 0, 1)
    assert shown(made) == 40


def test_witnesses_hold_a_checkpoint_back_for_a_minute_and_no_longer(make: Make) -> None:
    made = make()
    made.grow(10)
    cosign(made, 10, 0, 1)
    made.grow(10)
    assert shown(made, NOW + 60) == 10
    assert shown(made, NOW + 61) == 20
    cosign(made, 20, 0, time=NOW + 61)
    assert shown(made, NOW + 3_600) == 20


def test_who_only_claims_to_be_a_witness_counts_for_nothing(make: Make) -> None:
    made = make()
    made.grow(10)
    made.grow(10)
    [(_, note)] = made.log.checkpoints(9, 1)
    parsed = Note.parse(note.encode())
    false = Cosigner("w1", SigningKey.generate()).line(parsed.text, int(NOW))
    made.log.cosign(10, note, bytes(parsed.cosigned(false)).decode(), "witness/w")
    assert shown(made) == 20


def test_a_partial_tile_is_cut_from_the_full_one(make: Make, tmp_path: Path) -> None:
    """The checkpoint shown may be older than the tiles stored by now."""
    made = make()
    made.grow(200)
    cosign(made, 200, 0, 1)
    made.grow(100)
    made.export(tmp_path / "log", KEYS)
    assert "tile/0/000.p/200" in files(tmp_path / "log")
    assert checked(tmp_path / "log").size == 200
    assert codes(checked(tmp_path / "log")) == []
