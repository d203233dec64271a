"""A proof in one small file that an entry is in the log (C2SP tlog-proof@v1).

    c2sp.org/tlog-proof@v1
    extra <base64>                 optional, and not authenticated
    index <decimal>                place of the entry, from 0
    <base64>                       inclusion path, one hash a line, lowest first
    …
    <empty line>
    <the signed checkpoint, as published>

Whoever knows the log's key, the witnesses they trust and the entry can check it
with no network and without trusting the hub; files are named *.tlog-proof.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hub.tlog.checkpoint import (
    CheckpointError,
    VerifiedCheckpoint,
    open_checkpoint,
    parse_decimal,
)
from hub.tlog.merkle import HASH_BYTES, verify_inclusion
from hub.tlog.note import MOST_BYTES, NoteError, VerifierKey, decode_base64, encode_base64

HEADING: Final = "c2sp.org/tlog-proof@v1"
LONGEST_PATH: Final = 63
MEDIA_TYPE: Final = "text/plain; charset=utf-8"


class TlogProofError(Exception):
    """The proof is malformed or does not prove what it should: treat the entry as not logged."""


@dataclass(frozen=True, slots=True)
class TlogProof:
    """Index, inclusion path and the signed checkpoint, not yet checked."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __bytes__(self) -> bytes:
        lines = [HEADING]
        if self.extra is not None:
            lines.append(f"extra {encode_base64(self.extra)}")
        lines.append(f"index {self.index}")
        lines.extend(encode_base64(one) for one in self.path)
        return "\n".join([*lines, "", ""]).encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> TlogProof:
        if len(data) > 2 * MOST_BYTES:
            raise TlogProofError("the proof is too long")
        head, _, checkpoint = data.partition(b"\n\n")
        if not head.startswith(HEADING.encode() + b"\n") or not checkpoint:
            raise TlogProofError("not a proof of this format")
        try:
            lines = head.decode("ascii").split("\n")[1:]
            extra = None
            if lines and lines[0].startswith("extra "):
                extra = decode_base64(lines.pop(0).removeprefix("extra "))
            if not lines or not lines[0].startswith("index "):
                raise TlogProofError("the proof has no index")
            index = parse_decimal(lines.pop(0).removeprefix("index "))
            path = tuple(decode_base64(line) for line in lines)
        except (UnicodeDecodeError, NoteError, CheckpointError):
            raise TlogProofError("the proof is malformed") from None
        if len(path) > LONGEST_PATH or any(len(one) != HASH_BYTES for one in path):
            raise TlogProofError("the inclusion path is malformed")
        return cls(index, path, checkpoint, extra)

    def verify(
        self,
        leaf: bytes,
        *,
        origin: str,
        log_keys: Iterable[VerifierKey],
        witnesses: Iterable[VerifierKey] = (),
        quorum: int = 0,
    ) -> VerifiedCheckpoint:
        """Check that `leaf` (a leaf hash) was logged; the checkpoint it rests on.

        (1) The caller computed the leaf hash. (2) A log key of this origin signed
        the checkpoint. (3) At least `quorum` of the known witnesses cosigned it.
        (4) The inclusion path binds the leaf to the checkpoint's root.
        """
        try:
            opened = open_checkpoint(
                self.checkpoint, origin=origin, log_keys=log_keys, witnesses=witnesses
            )
        except (CheckpointError, NoteError) as error:
            raise TlogProofError(f"the checkpoint does not hold: {error}") from None
        # One witness may have several keys; it counts once.
        if len({one.key.name for one in opened.cosignatures}) < quorum:
            raise TlogProofError("too few known witnesses have cosigned")
        head = opened.checkpoint
        if not verify_inclusion(leaf, self.index, head.size, self.path, head.root):
            raise TlogProofError("the entry is not in the tree of the checkpoint")
        return opened
