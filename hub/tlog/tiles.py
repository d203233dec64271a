"""The log cut into tiles, as C2SP tlog-tiles publishes it.

    tile/<level>/<index>[.p/<width>]     up to 256 hashes of 32 bytes; level 0 holds leaf
                                         hashes, each further level the roots of full tiles
    tile/entries/<index>[.p/<width>]     the log entries behind a level-0 tile, each behind
                                         its length as u16 big-endian

An index is written in groups of three digits, all but the last with an "x":
1234067 is x001/x234/067. A tile of fewer than 256 is partial and says its width.

Promises
- `TileWriter` makes n leaves into tiles in O(n) hashes; a full tile is written
  once and never again, and writing the same leaves twice writes the same bytes,
  so an interrupted append is simply repeated.
- `TileReader` makes any proof from O(log n) tiles. It does not trust them less
  or more than its caller does: check the proof against a signed checkpoint.

Absent: where tiles lie. Both are given two callables over tile paths, and
`Staged` collects tiles so that they can be stored together with a checkpoint.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from hub.tlog.merkle import (
    HASH_BYTES,
    Span,
    consistency_spans,
    inclusion_spans,
    leaf_hash,
    root,
    span_hash,
)

WIDTH: Final = 256
ENTRIES: Final = -1
"""The level that stands for entry bundles."""
HIGHEST_LEVEL: Final = 63
LONGEST_ENTRY: Final = 0xFFFF

_CACHED: Final = 64  # tiles a reader keeps: a proof needs about two per level
_PATH: Final = re.compile(
    r"tile/(?P<level>entries|0|[1-9][0-9]?)/(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})"
    r"(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)

ReadTile = Callable[[str], bytes | None]
"""The tile of that path as it was written, or None."""
WriteTile = Callable[[str, bytes], None]


class TileError(Exception):
    """A tile is missing or has not the form it must have: the log copy is not usable."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Which tile: level (ENTRIES for an entry bundle), index in the level, and width."""

    level: int
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if not (ENTRIES <= self.level <= HIGHEST_LEVEL and self.index >= 0):
            raise TileError("no such tile")
        if not 1 <= self.width <= WIDTH:
            raise TileError("a tile is 1 to 256 wide")

    @property
    def path(self) -> str:
        level = "entries" if self.level == ENTRIES else str(self.level)
        digits = str(self.index)
        digits = digits.zfill(len(digits) + -len(digits) % 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        index = "/".join([*("x" + group for group in groups[:-1]), groups[-1]])
        suffix = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{level}/{index}{suffix}"

    @classmethod
    def parse(cls, path: str) -> Tile:
        """From a path in its one canonical spelling; for answering requests."""
        match = _PATH.fullmatch(path)
        if match is None:
            raise TileError("not the path of a tile")
        level = ENTRIES if match["level"] == "entries" else int(match["level"])
        width = int(match["width"]) if match["width"] else WIDTH
        tile = cls(level, int(match["index"].replace("/", "").replace("x", "")), width)
        if tile.path != path:  # superfluous leading groups, or .p/256
            raise TileError("not the path of a tile")
        return tile

    def partials(self) -> Iterator[str]:
        """Paths of every partial tile this full one makes superfluous, stored or not."""
        for width in range(1, WIDTH):
            yield Tile(self.level, self.index, width).path


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile and entry bundle a log of `size` leaves consists of."""
    for level in (ENTRIES, *range(HIGHEST_LEVEL + 1)):
        hashes = size >> 8 * max(level, 0)
        if hashes == 0:
            return
        full, width = divmod(hashes, WIDTH)
        yield from (Tile(level, index) for index in range(full))
        if width:
            yield Tile(level, full, width)


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """An entry bundle, or a run of entries in one; longest entry 65,535 bytes."""
    if any(len(entry) > LONGEST_ENTRY for entry in entries):
        raise TileError("an entry is longer than a bundle can hold")
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def decode_bundle(data: bytes) -> list[bytes]:
    """The entries of a bundle, with nothing left over."""
    entries = []
    at = 0
    while at < len(data):
        start = at + 2
        at = start + int.from_bytes(data[start - 2 : start], "big")
        if start > len(data) or at > len(data):
            raise TileError("an entry bundle is cut short")
        entries.append(data[start:at])
    if len(entries) > WIDTH:
        raise TileError("an entry bundle has more than 256 entries")
    return entries


def _split_hashes(data: bytes) -> list[bytes]:
    return [data[at : at + HASH_BYTES] for at in range(0, len(data), HASH_BYTES)]


def _read_hashes(read: ReadTile, tile: Tile) -> list[bytes]:
    """The hashes of a tile; a partial one may since have been replaced by the full one."""
    data = read(tile.path)
    if data is None and tile.width < WIDTH:
        data = read(Tile(tile.level, tile.index).path)
        data = data and data[: tile.width * HASH_BYTES]
    if data is None or len(data) != tile.width * HASH_BYTES:
        raise TileError(f"{tile.path} is missing or damaged")
    return _split_hashes(data)


def _read_entries(read: ReadTile, tile: Tile) -> list[bytes]:
    data = read(tile.path)
    if data is None and tile.width < WIDTH:
        data = read(Tile(tile.level, tile.index).path)
    entries = [] if data is None else decode_bundle(data)[: tile.width]
    if len(entries) != tile.width:
        raise TileError(f"{tile.path} is missing or damaged")
    return entries


def tile_bytes(read: ReadTile, tile: Tile) -> bytes | None:
    """The bytes of exactly this tile: as stored, or cut from the full one; None without either."""
    data = read(tile.path)
    if data is not None or tile.width == WIDTH:
        return data
    data = read(Tile(tile.level, tile.index).path)
    if data is None:
        return None
    if tile.level == ENTRIES:
        return encode_bundle(decode_bundle(data)[: tile.width])
    return data[: tile.width * HASH_BYTES]


class Staged:
    """Tiles written over a store but not yet into it: read here first, then there."""

    def __init__(self, below: ReadTile) -> None:
        self._below = below
        self.tiles: dict[str, bytes] = {}

    def read(self, path: str) -> bytes | None:
        found = self.tiles.get(path)
        return self._below(path) if found is None else found

    def write(self, path: str, data: bytes) -> None:
        self.tiles[path] = data


class TileWriter:
    """Appends leaves to a tiled log. One writer at a time; `size` is what it has written.

    `read` must see what `write` wrote. After each call the tiles are complete for
    the new size; publish a checkpoint of it only once they are durable.
    """

    def __init__(self, read: ReadTile, write: WriteTile, size: int = 0) -> None:
        self._read = read
        self._write = write
        self.size = size

    def append(self, hashes: Sequence[bytes]) -> list[Tile]:
        """Add leaf hashes. Returns the tiles that were partial before and are full now:
        their `partials()` may be removed once the full ones are durable."""
        completed = self._append_hashes(hashes)
        self.size += len(hashes)
        return completed

    def append_entries(self, entries: Sequence[bytes]) -> list[Tile]:
        """Add log entries: their bundles and the tiles over their leaf hashes."""
        completed = self._append_bundles(entries)
        return completed + self.append([leaf_hash(entry) for entry in entries])

    def _append_hashes(self, hashes: Sequence[bytes]) -> list[Tile]:
        if any(len(one) != HASH_BYTES for one in hashes):
            raise TileError("a leaf hash has 32 bytes")
        completed = []
        fresh, before, level = list(hashes), self.size, 0
        while fresh:
            first, width = divmod(before, WIDTH)
            known = _read_hashes(self._read, Tile(level, first, width)) if width else []
            row = known + fresh
            fresh = []
            for tile, chunk in _cut(level, first, row):
                self._write(tile.path, b"".join(chunk))
                if tile.width == WIDTH:
                    fresh.append(root(chunk))
                    if width and tile.index == first:
                        completed.append(tile)
            before, level = first, level + 1
        return completed

    def _append_bundles(self, entries: Sequence[bytes]) -> list[Tile]:
        if not entries:
            return []
        first, width = divmod(self.size, WIDTH)
        known = _read_entries(self._read, Tile(ENTRIES, first, width)) if width else []
        for tile, chunk in _cut(ENTRIES, first, known + list(entries)):
            self._write(tile.path, encode_bundle(chunk))
        return [Tile(ENTRIES, first)] if width and width + len(entries) >= WIDTH else []


def _cut(level: int, first: int, row: Sequence[bytes]) -> Iterator[tuple[Tile, Sequence[bytes]]]:
    """A row of hashes or entries cut into tiles, the first one having index `first`."""
    for at in range(0, len(row), WIDTH):
        chunk = row[at : at + WIDTH]
        yield Tile(level, first + at // WIDTH, len(chunk)), chunk


class TileReader:
    """Reads a log of `size` leaves from its tiles: hashes, roots, proofs, entries."""

    def __init__(self, read: ReadTile, size: int) -> None:
        self._read = read
        self.size = size
        self._cache: dict[Tile, list[bytes]] = {}

    def _row(self, level: int, index: int) -> list[bytes]:
        stored = self.size >> 8 * level
        tile = Tile(level, index, min(WIDTH, stored - index * WIDTH))
        row = self._cache.get(tile)
        if row is None:
            if len(self._cache) >= _CACHED:
                self._cache.clear()
            row = self._cache[tile] = _read_hashes(self._read, tile)
        return row

    def _node(self, height: int, index: int) -> bytes:
        # A perfect subtree of height 8 L + r is 2**r neighbours in one tile of level L.
        level, above = divmod(height, 8)
        tile, at = divmod(index << above, WIDTH)
        return root(self._row(level, tile)[at : at + (1 << above)])

    def _hashes(self, spans: list[Span]) -> tuple[bytes, ...]:
        return tuple(span_hash(span, self._node) for span in spans)

    def _within(self, size: int | None) -> int:
        if size is None:
            return self.size
        if not 0 <= size <= self.size:
            raise TileError("the tiles do not reach that far")
        return size

    def root(self, size: int | None = None) -> bytes:
        """The root now, or when the log had `size` leaves."""
        return span_hash((0, self._within(size)), self._node)

    def leaf(self, index: int) -> bytes:
        """The leaf hash at `index`."""
        if not 0 <= index < self.size:
            raise TileError("the tiles do not reach that far")
        return self._row(0, index // WIDTH)[index % WIDTH]

    def entry(self, index: int) -> bytes:
        """The log entry at `index`, from its bundle."""
        if not 0 <= index < self.size:
            raise TileError("the tiles do not reach that far")
        bundle, at = divmod(index, WIDTH)
        width = min(WIDTH, self.size - bundle * WIDTH)
        return _read_entries(self._read, Tile(ENTRIES, bundle, width))[at]

    def inclusion_path(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """That the leaf at `index` is in the log of `size` leaves."""
        return self._hashes(inclusion_spans(index, self._within(size)))

    def consistency_proof(self, first: int, second: int | None = None) -> tuple[bytes, ...]:
        """That the log of `first` leaves is a prefix of the log of `second`."""
        return self._hashes(consistency_spans(first, self._within(second)))
