"""The offline auditor: a copy of the log checked with nothing but files and keys.

Numbered as it is done:

    1  the newest checkpoint is signed by the log, and cosigned by as many witnesses as asked
    2  every entry, every tile and the root are recomputed
    3  every earlier checkpoint that was ever kept is signed by the log, and its root is the one the
       first entries still have (I5)
    4  partial tiles left from earlier exports are beginnings of what stands there now

What is wrong is named by a stable code, the file and the first entry. Rows are not here: whether an
entry is the hash of the row it stands for is `nrm-hub audit verify`'s question, at the hub.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from hub.tlog.checkpoint import (
    Checkpoint,
    CheckpointError,
    VerifiedCheckpoint,
    open_checkpoint,
)
from hub.tlog.note import ED25519, Note, NoteError, VerifierKey
from hub.tlog.proof import HEADING, TlogProof, TlogProofError
from hub.tlog.recompute import LogFlaw, Recomputation
from hub.tlog.tiles import WIDTH, Tile, TileError, tile_bytes
from hub.transparency.folder import (
    CHECKPOINT,
    EARLIER,
    ENTRY_BYTES,
    VKEY,
    WITNESS_VKEYS,
    LogFolder,
)

CODES: Final[dict[str, str]] = {
    "checkpoint_missing": "There is no checkpoint: the copy proves nothing.",
    "checkpoint_malformed": "The checkpoint is cut short or is none.",
    "checkpoint_unsigned": "The log's key has not signed the checkpoint, or a signature is false.",
    "checkpoint_other_origin": "The checkpoint is of another log.",
    "checkpoint_uncosigned": "Too few of the known witnesses have cosigned the checkpoint.",
    "key_unusable": "A key to check with is missing or malformed.",
    "tile_missing": "A tile or entry bundle is missing.",
    "tile_damaged": "A tile or entry bundle has not the form it must have.",
    "tile_differs": "A tile is not what the entries make it.",
    "entry_malformed": "An entry has not the form of a hub's entry.",
    "root_differs": "The entries make another root than the log signed.",
    "earlier_differs": "FORK: an earlier checkpoint's entries are not those that stand here now.",
    "earlier_longer": "ROLLBACK: an earlier checkpoint covers more entries than there are now.",
    "unexpected_file": "Below tile/ is a file that is no tile, or no beginning of one.",
    "not_a_file": "There is a link, a folder or a device where a plain file belongs.",
    "too_large": "A file is larger than such a file can be.",
}
"""Every code, and what it means."""


@dataclass(frozen=True)
class Problem:
    """One thing that does not stand."""

    code: str
    where: str
    says: str
    entry: int | None = None

    def __str__(self) -> str:
        at = f"{self.where}, entry {self.entry}" if self.entry is not None else self.where
        return f"{self.code}: {at}: {self.says}"


@dataclass
class LogVerdict:
    """What was found. `problems` is empty when the copy stands."""

    origin: str = ""
    size: int = 0
    root: str = ""
    checked: int = 0
    earlier: int = 0
    witnesses: list[str] = field(default_factory=list)
    unchecked_files: int = 0
    problems: list[Problem] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return {
            **{name: value for name, value in vars(self).items() if name != "problems"},
            "problems": [vars(one) for one in self.problems],
        }


@dataclass(frozen=True)
class Trust:
    """Whom the auditor believes: keys of the log, of its witnesses, and how many must cosign."""

    log_keys: tuple[VerifierKey, ...]
    witnesses: tuple[VerifierKey, ...] = ()
    quorum: int = 0

    @classmethod
    def of(cls, vkeys: Iterable[str], quorum: int = 0) -> Trust:
        """From vkey texts; a key's type says whose it is. LogFlaw if they are of no one log."""
        try:
            keys = [VerifierKey.parse(text.strip()) for text in vkeys if text.strip()]
        except NoteError as wrong:
            raise LogFlaw("key_unusable", VKEY, str(wrong)) from None
        logs = tuple(key for key in keys if key.type == ED25519)
        if len({key.name for key in logs}) != 1:
            raise LogFlaw("key_unusable", VKEY, "give the vkey of one log")
        return cls(logs, tuple(key for key in keys if key.type != ED25519), quorum)

    @classmethod
    def in_folder(cls, folder: LogFolder, quorum: int = 0) -> Trust:
        """The keys that lie in the folder itself: they say whose log it claims to be, no more."""
        texts = [folder.read(VKEY), folder.read(WITNESS_VKEYS)]
        lines = b"\n".join(text or b"" for text in texts).decode("ascii", "replace")
        return cls.of(lines.split("\n"), quorum)

    @property
    def origin(self) -> str:
        return self.log_keys[0].name


def check_log(
    folder: LogFolder, trust: Trust, earlier: Iterable[tuple[str, bytes]] = ()
) -> Iterator[LogVerdict]:
    """Check everything; yields the verdict so far, the last one is the answer.

    earlier: name and bytes of checkpoints kept elsewhere, or of proofs, which hold one.
    """
    verdict = LogVerdict(trust.origin)
    try:
        yield from _check(folder, trust, earlier, verdict)
    except LogFlaw as flaw:
        verdict.problems.append(Problem(flaw.reason, flaw.where, flaw.says, flaw.entry))
    yield verdict


def _check(
    folder: LogFolder, trust: Trust, earlier: Iterable[tuple[str, bytes]], verdict: LogVerdict
) -> Iterator[LogVerdict]:
    # (1)
    note = folder.read(CHECKPOINT)
    if note is None:
        raise LogFlaw("checkpoint_missing", CHECKPOINT, "export the log again")
    opened = opened_checkpoint(note, CHECKPOINT, trust)
    newest = opened.checkpoint
    verdict.size, verdict.root = newest.size, newest.root.hex()
    verdict.witnesses = sorted({one.key.name for one in opened.cosignatures})
    if len(verdict.witnesses) < trust.quorum:
        raise LogFlaw(
            "checkpoint_uncosigned",
            CHECKPOINT,
            f"{len(verdict.witnesses)} of {trust.quorum} witnesses",
        )
    known = list(_earlier(folder, trust, earlier, verdict))
    # (2)
    sizes = {one.size for _, one in known if one.size <= newest.size}
    pass_ = Recomputation(folder.read, newest.size, sizes, _is_entry)
    try:
        for verdict.checked in pass_.run():
            yield verdict
    finally:
        # (3) also after a flaw: what was read until then tells of every earlier checkpoint in it
        _compare(known, newest, pass_.roots, verdict)
    if pass_.roots[newest.size] != newest.root:
        raise LogFlaw("root_differs", CHECKPOINT, "the entries make another root")
    # (4)
    _remains(folder, newest.size, verdict)


def _earlier(
    folder: LogFolder, trust: Trust, given: Iterable[tuple[str, bytes]], verdict: LogVerdict
) -> Iterator[tuple[str, Checkpoint]]:
    """Every earlier checkpoint that is one; each that is not becomes a problem."""
    kept = ((name, folder.read) for name in folder.names(EARLIER))
    for name, read in (*kept, *((name, _given(data)) for name, data in given)):
        try:
            data = read(name) or b""
            if data.startswith(HEADING.encode()):
                data = TlogProof.parse(data).checkpoint
            yield name, opened_checkpoint(data, name, trust).checkpoint
        except LogFlaw as flaw:
            verdict.problems.append(Problem(flaw.reason, flaw.where, flaw.says))
        except TlogProofError as wrong:
            verdict.problems.append(Problem("checkpoint_malformed", name, str(wrong)))
        verdict.earlier += 1


def _given(data: bytes) -> Any:
    return lambda _: data


def opened_checkpoint(note: bytes, where: str, trust: Trust) -> VerifiedCheckpoint:
    """The checkpoint with its signatures verified; LogFlaw says what is wrong with it."""
    try:
        head = Checkpoint.parse(Note.parse(note).text)
    except (CheckpointError, NoteError) as wrong:
        raise LogFlaw("checkpoint_malformed", where, str(wrong)) from None
    if head.origin != trust.origin:
        raise LogFlaw("checkpoint_other_origin", where, f"not {trust.origin}")
    try:
        return open_checkpoint(
            note, origin=trust.origin, log_keys=trust.log_keys, witnesses=trust.witnesses
        )
    except (CheckpointError, NoteError) as wrong:
        raise LogFlaw("checkpoint_unsigned", where, str(wrong)) from None


def _compare(
    known: list[tuple[str, Checkpoint]],
    newest: Checkpoint,
    roots: dict[int, bytes],
    verdict: LogVerdict,
) -> None:
    for name, one in known:
        if one.size > newest.size:
            says = f"{one.size} entries, now {newest.size}"
            verdict.problems.append(Problem("earlier_longer", name, says))
        elif one.size in roots and roots[one.size] != one.root:
            says = f"the first {one.size} entries are others than the log signed then"
            verdict.problems.append(Problem("earlier_differs", name, says))


def _is_entry(entry: bytes) -> bool:
    return len(entry) == ENTRY_BYTES and entry[0] == 1


def _remains(folder: LogFolder, size: int, verdict: LogVerdict) -> None:
    """Every further file below tile/: a beginning of a tile that was checked, or beyond the log."""
    for name in folder.names("tile"):
        if name.rpartition("/")[2].startswith("."):
            verdict.unchecked_files += 1  # what an interrupted export left behind
            continue
        try:
            tile = Tile.parse(name)
        except TileError:
            raise LogFlaw("unexpected_file", name, "not the path of a tile") from None
        there = folder.read(name)
        level = max(tile.level, 0)
        stored = min(WIDTH, (size >> 8 * level) - tile.index * WIDTH)
        if stored < tile.width:
            verdict.unchecked_files += 1  # beyond the checkpoint: an export that was interrupted
            continue
        if tile_bytes(_whole(folder, tile.level, tile.index, stored), tile) != there:
            raise LogFlaw("unexpected_file", name, "not the beginning of the tile that stands here")


def _whole(folder: LogFolder, level: int, index: int, width: int) -> Any:
    """Answers for the full tile with what is checked of it, so that any beginning can be cut."""
    data = folder.read(Tile(level, index, width).path)
    if data is None:
        data = tile_bytes(folder.read, Tile(level, index, width))
    full = Tile(level, index).path
    return lambda path: data if path == full else None


__all__ = ["CODES", "LogVerdict", "Problem", "Trust", "check_log", "opened_checkpoint"]
