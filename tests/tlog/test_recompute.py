"""A log recomputed: the same roots as the definition gives, at every size, and the first flaw."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.tlog import merkle
from hub.tlog.recompute import LogFlaw, Recomputation
from hub.tlog.tiles import ENTRIES, Tile, TileWriter, encode_bundle, tile_bytes


def written(size: int) -> dict[str, bytes]:
    tiles: dict[str, bytes] = {}
    TileWriter(tiles.get, tiles.__setitem__).append_entries([b"%d" % n for n in range(size)])
    return tiles


def run(
    tiles: dict[str, bytes],
    size: int,
    sizes: tuple[int, ...] = (),
    stands: Callable[[bytes], bool] = lambda _: True,
) -> dict[int, bytes]:
    made = Recomputation(tiles.get, size, sizes, stands)
    done = list(made.run())
    assert done == sorted(done)
    assert not done or done[-1] == size
    return made.roots


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 1_200), st.data())
def test_roots_at_any_sizes(size: int, data: st.DataObject) -> None:
    sizes = tuple(data.draw(st.lists(st.integers(0, size), max_size=6)))
    leaves = [merkle.leaf_hash(b"%d" % n) for n in range(size)]
    roots = run(written(size), size, sizes)
    assert roots.keys() == {0, size, *sizes}
    for one in roots:
        assert roots[one] == merkle.root(leaves[:one])


def test_three_levels() -> None:
    size = 65_536 + 257
    roots = run(written(size), size, (65_535, 65_536, 65_537))
    leaves = [merkle.leaf_hash(b"%d" % n) for n in range(size)]
    for one in roots:
        assert roots[one] == merkle.root(leaves[:one])


def test_an_empty_log() -> None:
    assert run({}, 0) == {0: merkle.EMPTY_ROOT}


@pytest.mark.parametrize("path", sorted(written(600)))
def test_every_missing_or_damaged_file_is_named(path: str) -> None:
    for damage in (None, b"", b"\0", b"\xff" * 40):
        tiles = written(600)
        del tiles[path]
        if damage is not None:
            tiles[path] = damage
        with pytest.raises(LogFlaw) as flaw:
            run(tiles, 600)
        assert flaw.value.where == path
        assert flaw.value.reason == ("tile_missing" if damage is None else "tile_damaged")


def test_the_form_of_an_entry_is_the_callers() -> None:
    with pytest.raises(LogFlaw) as flaw:
        run(written(600), 600, stands=lambda entry: entry != b"300")
    assert (flaw.value.reason, flaw.value.where) == ("entry_malformed", "tile/entries/001")
    assert flaw.value.entry == 300


def test_a_longer_bundle_than_its_name_says() -> None:
    tiles = written(3)
    tiles["tile/entries/000.p/3"] = encode_bundle([b"0", b"1", b"2", b"3"])
    with pytest.raises(LogFlaw, match="4 entries, not 3"):
        run(tiles, 3)


def test_a_partial_tile_is_cut_from_the_full_one() -> None:
    tiles = written(256)
    for width in (1, 255):
        assert tile_bytes(tiles.get, Tile(0, 0, width)) == tiles["tile/0/000"][: width * 32]
        cut = tile_bytes(tiles.get, Tile(ENTRIES, 0, width))
        assert cut == encode_bundle([b"%d" % n for n in range(width)])
    assert tile_bytes(tiles.get, Tile(0, 1, 5)) is None
    assert run(tiles, 255)[255] == merkle.root([merkle.leaf_hash(b"%d" % n) for n in range(255)])
