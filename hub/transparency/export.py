"""The log written out as files, so that others can hold and check it: nothing personal is in it.

An entry is 33 bytes: a version and a hash of a whole row, whose content is sealed. Run again, an
export adds what is new. A folder that holds a checkpoint this log does not continue is refused as a
fork and left as it is. The checkpoint is written last: after an interruption, run it again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hub.errors import HubError
from hub.store.log import HubLog
from hub.tlog.checkpoint import Checkpoint, CheckpointError, open_checkpoint
from hub.tlog.note import Note, NoteError, VerifierKey
from hub.tlog.published import LOOKED_AT, published
from hub.tlog.recompute import LogFlaw
from hub.tlog.tiles import WIDTH, Tile, TileReader, tile_bytes, tiles_of
from hub.transparency.folder import CHECKPOINT, EARLIER, VKEY, WITNESS_VKEYS, LogFolder


class ExportRefused(HubError):
    """The folder cannot be exported into; the message says what is there and what to do."""


class ForkFound(ExportRefused):
    """The folder holds a checkpoint of this log, signed by its key, that this log does not
    continue: keep both, call the auditors."""


@dataclass
class Exported:
    """How far an export is. `written`: files that were new."""

    size: int
    files: int
    done: int = 0
    written: int = 0


def published_checkpoint(
    log: HubLog, witnesses: Iterable[VerifierKey], now: float
) -> tuple[int, str] | None:
    """Size and note of the checkpoint this hub shows (hub/tlog/published.py)."""
    keys = tuple(witnesses)
    return published(log.newest_checkpoints(LOOKED_AT if keys else 1), keys, now)


def export_log(
    log: HubLog,
    folder: Path,
    *,
    key: VerifierKey,
    witnesses: Iterable[VerifierKey] = (),
    now: float,
) -> Iterator[Exported]:
    """Export; yields how far it is. Raises ExportRefused or ForkFound before anything is changed.

    now: POSIX seconds, to choose among checkpoints that are being cosigned.
    """
    witnesses = tuple(witnesses)
    shown = published_checkpoint(log, witnesses, now)
    if shown is None:
        raise ExportRefused("this log has no checkpoint yet; run: nrm-hub serve")
    folder.mkdir(parents=True, exist_ok=True)
    target = LogFolder(folder)
    held, held_note = _held(target, key)
    if held is not None and held.size > shown[0]:
        shown = log.latest_checkpoint() or shown
    size, note = shown
    reader = TileReader(log.read_tile, size)
    if reader.root() != Checkpoint.parse(Note.parse(note.encode()).text).root:
        raise ExportRefused("tiles differ from the checkpoint; run: nrm-hub audit verify")
    _refuse_fork(held, size, reader)
    before = held.size if held is not None else 0
    tiles = list(tiles_of(size))
    progress = Exported(size, len(tiles))
    try:
        for tile in tiles:
            progress.written += _write_tile(log, target, tile, before)
            progress.done += 1
            if progress.done % WIDTH == 0:
                yield progress
        target.write(VKEY, f"{key}\n".encode())
        if witnesses:
            target.write(WITNESS_VKEYS, "".join(f"{one}\n" for one in witnesses).encode())
        if held is not None and held.size < size:
            target.write(f"{EARLIER}/{held.size}", held_note)
        target.write_last(CHECKPOINT, note.encode())
    except LogFlaw as wrong:
        raise ExportRefused(f"{wrong}; remove it, or export into another folder") from None
    yield progress


def _held(target: LogFolder, key: VerifierKey) -> tuple[Checkpoint | None, bytes]:
    """The checkpoint the folder holds by now."""
    try:
        note = target.read(CHECKPOINT)
        if note is None:
            return None, b""
        return open_checkpoint(note, origin=key.name, log_keys=[key]).checkpoint, note
    except (LogFlaw, CheckpointError, NoteError) as wrong:
        raise ExportRefused(
            f"the folder holds no export of this log ({wrong}); choose another"
        ) from None


def _refuse_fork(held: Checkpoint | None, size: int, reader: TileReader) -> None:
    if held is None:
        return
    if held.size > size:
        raise ForkFound(
            f"FORK or rollback: the folder holds a checkpoint of {held.size} entries signed by this"
            f" log's key, and the log has {size}. Nothing was changed; keep both, call the auditors"
        )
    if reader.root(held.size) != held.root:
        raise ForkFound(
            f"FORK: the folder holds a checkpoint of {held.size} entries signed by this log's key, "
            "and the log's first entries are others. Nothing was changed; keep both, call the "
            "auditors"
        )


def _write_tile(log: HubLog, target: LogFolder, tile: Tile, before: int) -> bool:
    """Whether it was new. A full tile that stood under the held checkpoint is not read again."""
    there = target.read(tile.path)
    covered = (tile.index + 1) * WIDTH ** (max(tile.level, 0) + 1) <= before
    if there is not None and covered and tile.width == WIDTH:
        return False
    data = tile_bytes(log.read_tile, tile)
    if data is None:
        raise ExportRefused(f"{tile.path} is missing in the store; run: nrm-hub audit verify")
    if there == data:
        return False
    if there is not None:
        raise ExportRefused(
            f"{tile.path} is in the folder with other bytes; check it: nrm-hub audit check-log"
        )
    target.write(tile.path, data)
    return True
