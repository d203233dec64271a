"""The witness's decision: is this checkpoint a continuation of the last one?

Numbered as it is done (C2SP tlog-witness, add-checkpoint):

    1  the request can be read                                           400
    2  its log is known                                                  404
    3  the log's key has signed the checkpoint, and no signature of it   403
       is false
    4  the old size is not above the checkpoint's                        400
    5  the old size is the size last cosigned                            409, with that size
    6  the proof connects the two; an unchanged size has the same root   422
    7  the new head is on disk, with the cosignature that is now given   200

A log that signed two different heads of one size has forked: whichever step is reached, both are
kept as evidence. A proof that does not hold is kept too; it says less, for anybody may have sent a
true checkpoint with a false proof.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from hub import crash
from hub.tlog.checkpoint import (
    Checkpoint,
    CheckpointError,
    EmptyRootError,
    open_checkpoint,
)
from hub.tlog.cosigning import SIZE_MEDIA_TYPE, AddCheckpoint, WitnessError
from hub.tlog.merkle import EMPTY_ROOT, verify_consistency
from hub.tlog.note import Cosigner, Note, NoteError, VerifierKey
from hub.witness.book import Book, Head
from hub.witness.home import WitnessHome

log = structlog.get_logger("hub.witness")

TEXT: Final = "text/plain; charset=utf-8"
_SAYS: Final = {
    "fork": b"FORK: the log signed two different heads of one size.\n",
    "unproven": b"UNPROVEN: the log signed a head that was offered without a valid proof.\n",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """What is answered over HTTP."""

    status: int
    body: bytes = b""
    media_type: str = TEXT


def _no(status: int, says: str) -> Reply:
    return Reply(status, says.encode() + b"\n")


class Witness:
    """Cosigns for the logs it knows. Threads may share it."""

    def __init__(
        self,
        home: WitnessHome,
        book: Book,
        logs: Iterable[VerifierKey],
        clock: Callable[[], float],
    ) -> None:
        """clock: POSIX seconds."""
        self._home = home
        self._book = book
        self._clock = clock
        self.cosigner: Cosigner = home.cosigner()
        self._logs: dict[str, list[VerifierKey]] = {}
        for key in logs:  # a log's key is named as its origin
            self._logs.setdefault(key.name, []).append(key)
        self._origins = {hashlib.sha256(one.encode()).hexdigest(): one for one in self._logs}

    def add_checkpoint(self, body: bytes) -> Reply:
        """Answer one request. Raises BookError if the witness's own disk fails."""
        # (1)
        try:
            asked = AddCheckpoint.parse(body)
            note = Note.parse(asked.checkpoint)
            head = Checkpoint.parse(note.text)
        except EmptyRootError as wrong:
            return _no(422, str(wrong))
        except (WitnessError, NoteError, CheckpointError) as wrong:
            return _no(400, str(wrong))
        # (2)
        keys = self._logs.get(head.origin)
        if keys is None:
            return _no(404, "this log is not watched here")
        # (3)
        try:
            open_checkpoint(asked.checkpoint, origin=head.origin, log_keys=keys)
        except (CheckpointError, NoteError) as wrong:
            return _no(403, str(wrong))
        # (4)
        if asked.old > head.size:
            return _no(400, "the old size is above the checkpoint's")
        ids = {(key.name, key.id) for key in keys}
        own = Note(
            note.text, tuple(one for one in note.signatures if (one.name, one.key_id) in ids)
        )
        offered = AddCheckpoint(asked.old, asked.proof, bytes(own))
        with self._book.changing(head.origin) as (held, update):
            refusal = self._refuse(offered, head, held)
            if refusal is not None:
                return refusal
            # (7)
            line = self.cosigner.line(note.text, int(self._clock()))
            update(Head(head.size, head.root, bytes(own.adding(line))))
        crash.point("witness_after_persist")
        return Reply(200, str(line).encode())

    def _refuse(self, asked: AddCheckpoint, head: Checkpoint, held: Head | None) -> Reply | None:
        size, root = (held.size, held.root) if held else (0, EMPTY_ROOT)
        if held and head.size == size and head.root != root:
            self._keep("fork", head, asked, held)
        # (5)
        if asked.old != size:
            return Reply(409, f"{size}\n".encode(), SIZE_MEDIA_TYPE)
        # (6)
        if not verify_consistency(size, head.size, root, head.root, asked.proof):
            if held and head.size > size:
                self._keep("unproven", head, asked, held)
            return _no(422, "not a continuation of the checkpoint last cosigned")
        return None

    def _keep(self, kind: str, head: Checkpoint, asked: AddCheckpoint, held: Head) -> None:
        parts = (_SAYS[kind], b"--- cosigned before ---", held.note, b"--- offered now ---")
        text = b"\n".join((*parts, bytes(asked)))
        path = self._home.keep_evidence(kind, head.origin, head.size, head.root, text)
        if path is not None:
            say = log.critical if kind == "fork" else log.error
            say("log_forked" if kind == "fork" else "proof_does_not_hold", evidence=path.name)

    def checkpoint(self, origin_hash: str) -> bytes | None:
        """The last cosigned checkpoint of the log with this origin (SHA-256, hexadecimal)."""
        origin = self._origins.get(origin_hash)
        held = self._book.head(origin) if origin is not None else None
        return held.note if held else None
