"""What a log and a witness say to each other (C2SP tlog-witness): one request, one answer.

POST <prefix>/add-checkpoint            200  — <witness> <base64 cosignature>
old <size the witness last cosigned>    409  <that size>, if it is another
<base64>   consistency proof, lowest    400 malformed, 403 not signed by the log,
…                                       404 unknown log, 422 not consistent
<empty line>
<the signed checkpoint>
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hub.tlog.checkpoint import CheckpointError, parse_decimal
from hub.tlog.note import (
    Note,
    NoteError,
    NoteSignature,
    Verified,
    VerifierKey,
    decode_base64,
    encode_base64,
)
from hub.tlog.proof import LONGEST_PATH

MOST_BYTES: Final = 512 * 1024
"""Of a request: 63 proof lines and a note with many signatures are far below."""
SIZE_MEDIA_TYPE: Final = "text/x.tlog.size"


class WitnessError(Exception):
    """A request or an answer that is not of this protocol: refuse it."""


@dataclass(frozen=True, slots=True)
class AddCheckpoint:
    """Size the witness is believed to hold, proof from there, and the checkpoint as signed."""

    old: int
    proof: tuple[bytes, ...]
    checkpoint: bytes

    def __bytes__(self) -> bytes:
        lines = [f"old {self.old}", *map(encode_base64, self.proof), "", ""]
        return "\n".join(lines).encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> AddCheckpoint:
        if len(data) > MOST_BYTES:
            raise WitnessError("the request is too long")
        head, _, checkpoint = data.partition(b"\n\n")
        try:
            first, *proof = head.decode("ascii").split("\n")
            if not first.startswith("old ") or not checkpoint:
                raise WitnessError("the request does not begin with an old size")
            if len(proof) > LONGEST_PATH:
                raise WitnessError("the consistency proof is too long")
            old = parse_decimal(first.removeprefix("old "))
            return cls(old, tuple(decode_base64(line) for line in proof), checkpoint)
        except (UnicodeDecodeError, NoteError, CheckpointError):
            raise WitnessError("the request is malformed") from None


def size_told(body: bytes) -> int:
    """The size in a 409 answer."""
    try:
        return parse_decimal(body.decode("ascii").removesuffix("\n"))
    except (UnicodeDecodeError, CheckpointError):
        raise WitnessError("the size in the answer is not a number") from None


def cosignature_in(
    body: bytes, text: str, known: Iterable[VerifierKey]
) -> tuple[NoteSignature, Verified]:
    """The first line of an answer that is a known witness's valid cosignature over `text`.

    Lines of unknown keys are ignored. WitnessError if there is none, or one of a known key fails.
    """
    keys = tuple(known)
    try:
        lines = body.decode().removesuffix("\n").split("\n")
        for line in map(NoteSignature.parse, lines):
            if any((line.name, line.key_id) == (key.name, key.id) for key in keys):
                [verified] = Note(text, (line,)).verify(keys)
                if not verified.time:
                    raise WitnessError("the cosignature says no time")
                return line, verified
    except (UnicodeDecodeError, NoteError):
        raise WitnessError("the answer is not a valid cosignature") from None
    raise WitnessError("the answer has no cosignature of the witness")


def cosigned_by(note: str, witnesses: Iterable[VerifierKey]) -> dict[VerifierKey, int]:
    """Witness → time (POSIX seconds) of its cosignature on a stored note; none if none is valid."""
    try:
        verified = Note.parse(note.encode()).verify(witnesses)
    except NoteError:
        return {}
    return {one.key: one.time for one in verified if one.time is not None}
