"""Checkpoints: the signed head of a log (C2SP tlog-checkpoint v1.0.0).

    example.org/nrm-hub                             origin: which log
    20852163                                        size: number of leaves
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=    RFC 6962 root of that size
    <extension lines, none as a rule>

That text is the body of a signed note (hub/tlog/note.py). Two checkpoints of one
origin that no consistency proof connects are evidence of a forked log: never
sign one without knowing the one before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from hub.tlog.merkle import EMPTY_ROOT, HASH_BYTES
from hub.tlog.note import (
    ED25519,
    Note,
    NoteError,
    NoteSigner,
    Verified,
    VerifierKey,
    decode_base64,
    encode_base64,
    sign,
)

LARGEST: Final = 2**63 - 1
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)


class CheckpointError(Exception):
    """Not a checkpoint of the log that was asked for: trust nothing it says."""


class EmptyRootError(CheckpointError):
    """A checkpoint of no leaves has a root that no empty tree has."""


def parse_decimal(text: str) -> int:
    """An ASCII decimal without sign or leading zeroes, at most 2**63 - 1."""
    if _DECIMAL.fullmatch(text) is None or int(text) > LARGEST:
        raise CheckpointError("not a plain decimal number")
    return int(text)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Origin, size and root of a log at one moment; signed or not yet."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= LARGEST or len(self.root) != HASH_BYTES:
            raise CheckpointError("the size or root of the checkpoint is out of range")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise EmptyRootError("an empty log has another root")
        for line in (self.origin, *self.extensions):
            if not line or any(c < " " for c in line):
                raise CheckpointError("origin and extensions are lines that are not empty")

    def __str__(self) -> str:
        """The body: text of the note to sign."""
        lines = (self.origin, str(self.size), encode_base64(self.root), *self.extensions)
        return "".join(line + "\n" for line in lines)

    @classmethod
    def parse(cls, body: str) -> Checkpoint:
        lines = body.split("\n")
        if len(lines) < 4 or lines[-1] != "":
            raise CheckpointError("a checkpoint has at least three lines")
        origin, size, root, *extensions = lines[:-1]
        try:
            return cls(origin, parse_decimal(size), decode_base64(root), tuple(extensions))
        except NoteError:
            raise CheckpointError("the root of the checkpoint is not base64") from None

    def sign(self, signers: Sequence[NoteSigner]) -> bytes:
        """The signed checkpoint as it is published."""
        return sign(str(self), signers)


@dataclass(frozen=True, slots=True)
class VerifiedCheckpoint:
    """A checkpoint that the log signed, and who cosigned it (each witness once)."""

    checkpoint: Checkpoint
    log_keys: tuple[VerifierKey, ...]
    cosignatures: tuple[Verified, ...]


def open_checkpoint(
    signed: bytes,
    *,
    origin: str,
    log_keys: Iterable[VerifierKey],
    witnesses: Iterable[VerifierKey] = (),
) -> VerifiedCheckpoint:
    """The checkpoint in a signed note, if the log of that origin signed it.

    At least one of `log_keys` must have signed. Cosignatures of known witnesses
    are checked and returned; how many are enough is the caller's policy, and so
    is what to make of their times. CheckpointError or NoteError otherwise.
    """
    logs, others = frozenset(log_keys), frozenset(witnesses)
    if any(key.type != ED25519 for key in logs) or logs & others:
        raise CheckpointError("a log key is an Ed25519 key of its own")
    note = Note.parse(signed)
    checkpoint = Checkpoint.parse(note.text)
    if checkpoint.origin != origin:
        raise CheckpointError("the checkpoint is of another log")
    verified = note.verify(logs | others)
    by_log = tuple(one.key for one in verified if one.key in logs)
    if not by_log:
        raise CheckpointError("the log has not signed the checkpoint")
    return VerifiedCheckpoint(
        checkpoint, by_log, tuple(one for one in verified if one.key in others)
    )
