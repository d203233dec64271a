"""Tiles: the same bytes however the leaves arrive, and proofs from few of them."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.tlog.merkle import consistency_proof, inclusion_path, leaf_hash, root
from hub.tlog.tiles import (
    ENTRIES,
    LONGEST_ENTRY,
    Staged,
    Tile,
    TileError,
    TileReader,
    TileWriter,
    decode_bundle,
    encode_bundle,
    tiles_of,
)
from tests.vectors import load


class Store:
    """Tiles in memory; counts reads and refuses to let a stored tile change."""

    def __init__(self) -> None:
        self.tiles: dict[str, bytes] = {}
        self.reads = 0
        self.writes: list[str] = []

    def read(self, path: str) -> bytes | None:
        self.reads += 1
        return self.tiles.get(path)

    def write(self, path: str, data: bytes) -> None:
        assert self.tiles.setdefault(path, data) == data, f"{path} changed"
        self.writes.append(path)


def entries(count: int) -> list[bytes]:
    return [b"entry %d" % at for at in range(count)]


def filled(count: int) -> Store:
    store = Store()
    TileWriter(store.read, store.write).append_entries(entries(count))
    return store


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0), "tile/0/000"),
        (Tile(0, 1234067), "tile/0/x001/x234/067"),
        (Tile(1, 999, 1), "tile/1/999.p/1"),
        (Tile(63, 1000, 255), "tile/63/x001/000.p/255"),
        (Tile(ENTRIES, 273, 112), "tile/entries/273.p/112"),
    ],
)
def test_paths(tile: Tile, path: str) -> None:
    assert tile.path == path
    assert Tile.parse(path) == tile


@given(st.integers(-1, 63), st.integers(0, 2**56), st.integers(1, 256))
def test_paths_parse_to_their_tile(level: int, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert Tile.parse(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        "",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/001/000",
        "tile/0/x000/001",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p",
        "tile/0/000/",
        "tile/0/../000",
        "tile/Entries/000",
        "/tile/0/000",
        "tile/0/000\n",
        "tile/0/٠٠٠",
    ],
)
def test_what_is_no_path_of_a_tile(path: str) -> None:
    with pytest.raises(TileError):
        Tile.parse(path)


def test_the_tiles_of_the_specifications_example() -> None:
    paths = [tile.path for tile in tiles_of(70_000)]
    hashes = [path for path in paths if "entries" not in path]
    assert hashes[273:] == ["tile/0/273.p/112", "tile/1/000", "tile/1/001.p/17", "tile/2/000.p/1"]
    assert len(hashes) == 277
    assert len(paths) == 277 + 274
    assert [tile.path for tile in tiles_of(256)] == [
        "tile/entries/000",
        "tile/0/000",
        "tile/1/000.p/1",
    ]
    assert list(tiles_of(0)) == []


def test_tiles_are_those_go_makes() -> None:
    made = load("go_tlog")["tiles"]
    store = filled(made["size"])
    digest, count = hashlib.sha256(), 0
    for tile in tiles_of(made["size"]):
        if tile.level != ENTRIES:
            digest.update(tile.path.encode() + store.tiles[tile.path])
            count += 1
    assert (count, digest.hexdigest()) == (made["count"], made["sha256"])


@settings(max_examples=30)
@given(st.lists(st.integers(0, 700), min_size=1, max_size=8))
def test_tiles_do_not_depend_on_how_leaves_arrive(steps: list[int]) -> None:
    store = Store()
    writer = TileWriter(store.read, store.write)
    everything = entries(sum(steps))
    for step in steps:
        completed = writer.append_entries(everything[writer.size : writer.size + step])
        for tile in completed:  # what the promise allows the caller to remove
            assert tile.path in store.tiles
            for path in tile.partials():
                store.tiles.pop(path, None)
        for tile in tiles_of(writer.size):
            assert tile.path in store.tiles
    at_once = filled(len(everything))
    assert {t.path: store.tiles[t.path] for t in tiles_of(writer.size)} == at_once.tiles
    full = [path for path in store.writes if ".p/" not in path]
    assert len(full) == len(set(full))  # none written twice


def test_appending_one_leaf_reads_and_writes_one_partial_tile_a_kind() -> None:
    store = filled(70_000)
    store.reads, store.writes = 0, []
    TileWriter(store.read, store.write, 70_000).append_entries([b"entry 70000"])
    assert store.writes == ["tile/entries/273.p/113", "tile/0/273.p/113"]
    assert store.reads == 2


def test_only_tiles_that_were_partial_are_reported_as_completed() -> None:
    store = Store()
    writer = TileWriter(store.read, store.write)
    assert writer.append_entries(entries(512)) == []
    assert writer.append_entries(entries(513)[512:]) == []
    assert writer.append_entries(entries(1024)[513:]) == [Tile(ENTRIES, 2), Tile(0, 2)]
    assert len(list(Tile(0, 2).partials())) == 255


def test_an_interrupted_append_is_repeated() -> None:
    store = filled(200)
    TileWriter(store.read, store.write, 200).append_entries(entries(700)[200:])
    for path in Tile(0, 0).partials():
        store.tiles.pop(path, None)
    # The writer never learnt that it had finished: again, from the full tile now there.
    TileWriter(store.read, store.write, 200).append_entries(entries(700)[200:])
    assert TileReader(store.read, 700).root() == root([leaf_hash(e) for e in entries(700)])


@settings(max_examples=40)
@given(st.integers(1, 1500), st.data())
def test_proofs_from_tiles_are_those_of_the_tree(size: int, draw: st.DataObject) -> None:
    store = filled(size)
    hashes = [leaf_hash(entry) for entry in entries(size)]
    reader = TileReader(store.read, size)
    older = draw.draw(st.integers(1, size))
    index = draw.draw(st.integers(0, older - 1))
    assert reader.root() == root(hashes)
    assert reader.root(older) == root(hashes[:older])
    assert reader.leaf(index) == hashes[index]
    assert reader.entry(index) == b"entry %d" % index
    assert reader.inclusion_path(index) == inclusion_path(hashes, index)
    assert reader.inclusion_path(index, older) == inclusion_path(hashes[:older], index)
    assert reader.consistency_proof(older) == consistency_proof(hashes, older)
    assert reader.consistency_proof(index, older) == consistency_proof(hashes[:older], index)


def test_a_proof_reads_few_tiles() -> None:
    store = filled(70_000)
    for index in (0, 255, 40_000, 69_999):
        store.reads = 0
        TileReader(store.read, 70_000).inclusion_path(index)
        assert store.reads <= 2 * 3  # two a level, three levels
    for first in (1, 255, 65_537, 69_999):
        store.reads = 0
        TileReader(store.read, 70_000).consistency_proof(first)
        assert store.reads <= 2 * 3


def test_missing_or_damaged_tiles_are_named() -> None:
    store = filled(300)
    store.tiles["tile/0/001.p/44"] = bytes(32)
    reader = TileReader(store.read, 300)
    with pytest.raises(TileError, match=r"tile/0/001\.p/44"):
        reader.root()
    del store.tiles["tile/entries/000"]
    with pytest.raises(TileError, match="tile/entries/000"):
        reader.entry(0)
    with pytest.raises(TileError, match="reach"):
        reader.leaf(300)
    with pytest.raises(TileError, match="reach"):
        reader.entry(-1)
    with pytest.raises(TileError, match="reach"):
        reader.root(301)


@given(st.lists(st.binary(max_size=40), max_size=256))
def test_bundles_decode_to_their_entries(some: list[bytes]) -> None:
    data = encode_bundle(some)
    assert decode_bundle(data) == some
    for cut in range(1, min(3, len(data))):
        with suppress(TileError):  # or shorter by whole entries that were empty
            assert decode_bundle(data[:-cut]) != some


def test_bundles_have_limits() -> None:
    assert encode_bundle([b"a", b""]) == b"\x00\x01a\x00\x00"
    longest = bytes(LONGEST_ENTRY)
    assert decode_bundle(encode_bundle([longest])) == [longest]
    with pytest.raises(TileError, match="longer"):
        encode_bundle([longest + b"\x00"])
    for data in (b"\x00", b"\x00\x01", b"\x00\x02a", b"\x00\x01a\x00"):
        with pytest.raises(TileError, match="short"):
            decode_bundle(data)
    with pytest.raises(TileError, match="256"):
        decode_bundle(bytes(2 * 257))


def test_staged_tiles_are_read_before_those_below() -> None:
    store = filled(300)
    staged = Staged(store.read)
    writer = TileWriter(staged.read, staged.write, 300)
    writer.append_entries(entries(400)[300:])
    writer.append_entries(entries(600)[400:])
    assert writer.size == 600
    assert TileReader(staged.read, 600).root() == root([leaf_hash(e) for e in entries(600)])
    assert "tile/0/001" in staged.tiles
    assert "tile/0/001" not in store.tiles


def test_what_is_no_hash_is_refused_before_anything_is_written() -> None:
    store = Store()
    with pytest.raises(TileError, match="32 bytes"):
        TileWriter(store.read, store.write).append([bytes(32), b"short"])
    assert store.tiles == {}
