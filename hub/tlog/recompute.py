"""A whole log recomputed from its entries: every tile, and the root at any size it ever had.

    entry bundles → leaf hashes → tiles of level 0 → tiles of level 1 → … → root

Nothing is believed but the entries: every tile must be what they make it. The caller compares the
roots with checkpoints it trusts, and so learns whether the entries are the ones once signed for.
O(n) hashes, constant memory; a million leaves take seconds on one core.

Absent: where tiles lie, signatures, and what an entry means.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from hub.tlog.merkle import EMPTY_ROOT, HASH_BYTES, Frontier, fold, leaf_hash, root
from hub.tlog.tiles import ENTRIES, WIDTH, ReadTile, Tile, TileError, decode_bundle, tile_bytes


class LogFlaw(Exception):
    """The first thing that is wrong in a copy of a log.

    reason: a stable code. where: the file, relative to the log's root. entry: index of the first
    entry concerned, if one is.
    """

    def __init__(self, reason: str, where: str, says: str, entry: int | None = None) -> None:
        at = f"{where}, entry {entry}" if entry is not None else where
        super().__init__(f"{reason}: {at}: {says}")
        self.reason = reason
        self.where = where
        self.says = says
        self.entry = entry


class Recomputation:
    """One pass over the log of `size` leaves. After it, `roots` has the root at each size asked."""

    def __init__(
        self,
        read: ReadTile,
        size: int,
        sizes: Iterable[int] = (),
        entry_stands: Callable[[bytes], bool] = lambda _: True,
    ) -> None:
        """sizes: earlier sizes of interest, none above `size`. entry_stands: form of an entry."""
        self._read = read
        self._entry_stands = entry_stands
        self.size = size
        self.roots: dict[int, bytes] = {0: EMPTY_ROOT}
        self._wanted = sorted({size, *sizes} - {0}, reverse=True)
        self._rows: list[list[bytes]] = []  # roots of full tiles not yet in a tile, by level
        self._counts: list[int] = []
        self._whole = Frontier()  # over the full tiles of level 0

    def run(self) -> Iterator[int]:
        """Yields how many leaves are done; raises LogFlaw at the first that is wrong."""
        bundles = -(-self.size // WIDTH)
        for index in range(bundles):
            width = min(WIDTH, self.size - index * WIDTH)
            self._bundle(index, width)
            yield index * WIDTH + width
        for level, row in enumerate(self._rows, start=1):
            if row:
                self._tile(Tile(level, self._counts[level - 1], len(row)), row)

    def _bundle(self, index: int, width: int) -> None:
        entries = self._entries(Tile(ENTRIES, index, width))
        hashes = [leaf_hash(entry) for entry in entries]
        self._tile(Tile(0, index, width), hashes)
        self._note_roots(index * WIDTH, hashes)
        if width == WIDTH:
            whole = root(hashes)
            self._whole.append(whole)
            self._raise(1, whole)

    def _entries(self, tile: Tile) -> list[bytes]:
        data = self._bytes(tile)
        try:
            entries = decode_bundle(data)
        except TileError as wrong:
            raise LogFlaw("tile_damaged", tile.path, str(wrong)) from None
        if len(entries) != tile.width:
            raise LogFlaw("tile_damaged", tile.path, f"{len(entries)} entries, not {tile.width}")
        for at, entry in enumerate(entries):
            if not self._entry_stands(entry):
                raise LogFlaw(
                    "entry_malformed",
                    tile.path,
                    "not an entry of a hub's log",
                    tile.index * WIDTH + at,
                )
        return entries

    def _tile(self, tile: Tile, hashes: list[bytes]) -> None:
        data = self._bytes(tile)
        if data == b"".join(hashes):
            return
        if len(data) != len(hashes) * HASH_BYTES:
            raise LogFlaw("tile_damaged", tile.path, f"{len(data)} bytes")
        first = next(
            at
            for at, one in enumerate(hashes)
            if data[at * HASH_BYTES : (at + 1) * HASH_BYTES] != one
        )
        entry = (tile.index * WIDTH + first) * WIDTH**tile.level
        raise LogFlaw("tile_differs", tile.path, "the entries make another tile", entry)

    def _bytes(self, tile: Tile) -> bytes:
        try:
            data = tile_bytes(self._read, tile)
        except TileError as wrong:
            raise LogFlaw("tile_damaged", tile.path, str(wrong)) from None
        if data is None:
            raise LogFlaw("tile_missing", tile.path, "the checkpoint's size needs this file")
        return data

    def _note_roots(self, before: int, hashes: list[bytes]) -> None:
        """The root at every size of interest that ends within, or with, this bundle."""
        if not self._wanted or self._wanted[-1] > before + len(hashes):
            return
        part = Frontier()
        for leaf in hashes:
            part.append(leaf)
            if self._wanted and self._wanted[-1] == before + part.size:
                self.roots[self._wanted.pop()] = fold((*self._whole.edge, *part.edge))

    def _raise(self, level: int, node: bytes) -> None:
        while len(self._rows) < level:
            self._rows.append([])
            self._counts.append(0)
        row = self._rows[level - 1]
        row.append(node)
        if len(row) == WIDTH:
            self._tile(Tile(level, self._counts[level - 1]), row)
            self._rows[level - 1] = []
            self._counts[level - 1] += 1
            self._raise(level + 1, root(row))
