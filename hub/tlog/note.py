"""Signed notes: text that people and programs can read, with signatures under it.

Format (C2SP signed-note v1.0.0):

    text, every line ended by a newline
    <empty line>
    — <key name> <base64 of 4-byte key id ‖ signature>
    …

A verifier key ("vkey") is `<name>+<8 hex digits of key id>+<base64 of type ‖ key>`,
where key id = SHA-256(name ‖ newline ‖ type ‖ key)[:4]. Types used here:

    0x01  Ed25519 over the text
    0x04  cosignature/v1 (C2SP tlog-cosignature): u64 time ‖ Ed25519 over
          "cosignature/v1", "time <seconds>" and the text, each on its line

Promises
- Signatures by keys the verifier does not know are ignored, as the format wants:
  that is how keys rotate and witnesses join. A signature that names a known key
  and fails refuses the whole note. A note without any known signature is refused.
- Parsing is strict; what parses is written back as the same bytes.

Absent: ECDSA (0x02), RFC 6962 (0x05) and ML-DSA-44 (0x06) signatures. They are
ignored when they stand on a note, and refused as verifier keys.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from hub.crypto.signing import (
    SIGNATURE_BYTES,
    SignatureError,
    SigningKey,
    WeakKeyError,
    check_public,
    verify_raw,
)

ED25519: Final = 0x01
COSIGNATURE_V1: Final = 0x04

MOST_BYTES: Final = 1_000_000
MOST_SIGNATURES: Final = 100
LATEST_TIME: Final = 2**63 - 1

_DASH: Final = "— "
_KEY_ID: Final = re.compile(r"[0-9a-f]{8}", re.ASCII)


class NoteError(Exception):
    """The note, or a key to check it with, is malformed or not trustworthy: refuse it."""


def decode_base64(text: str) -> bytes:
    """Standard base64 with padding, in its one canonical spelling only."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise NoteError("not base64") from None
    if encode_base64(data) != text:
        raise NoteError("base64 with stray bits")
    return data


def encode_base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise NoteError("a key name is not empty and has neither spaces nor plus signs")


def _check_text(text: str) -> None:
    if not text.endswith("\n"):
        raise NoteError("the text of a note ends in a newline")
    if any(c < " " and c != "\n" for c in text):
        raise NoteError("a note has no control characters but newlines")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NoteError("a note is valid UTF-8") from None


def key_id(name: str, type_: int, public: bytes) -> bytes:
    """The 4 bytes by which a signature line names its key; no strong hash."""
    return sha256(name.encode() + b"\n" + bytes([type_]) + public).digest()[:4]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Who may sign notes: a name, a type and an Ed25519 public key."""

    name: str
    public: bytes
    type: int = ED25519

    def __post_init__(self) -> None:
        _check_name(self.name)
        if self.type not in (ED25519, COSIGNATURE_V1):
            raise NoteError("the type of the verifier key is not one used here")
        try:
            check_public(self.public)
        except WeakKeyError:
            raise NoteError("the verifier key is not a usable Ed25519 key") from None

    @property
    def id(self) -> bytes:
        return key_id(self.name, self.type, self.public)

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """From vkey text; the id in it must be the right one."""
        parts = text.split("+", 2)
        if len(parts) != 3 or _KEY_ID.fullmatch(parts[1]) is None:
            raise NoteError("not a verifier key")
        material = decode_base64(parts[2])
        if not material:
            raise NoteError("not a verifier key")
        key = cls(parts[0], material[1:], material[0])
        if key.id.hex() != parts[1]:
            raise NoteError("the verifier key does not match its own id")
        return key

    def __str__(self) -> str:
        material = bytes([self.type]) + self.public
        return f"{self.name}+{self.id.hex()}+{encode_base64(material)}"


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: `signature` is everything behind the 4-byte key id."""

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        return f"{_DASH}{self.name} {encode_base64(self.key_id + self.signature)}\n"

    @classmethod
    def parse(cls, line: str) -> NoteSignature:
        """From one line, without its newline."""
        if not line.startswith(_DASH):
            raise NoteError("not a signature line")
        name, space, encoded = line.removeprefix(_DASH).partition(" ")
        _check_name(name)
        blob = decode_base64(encoded)
        if not space or len(blob) < 5:
            raise NoteError("not a signature line")
        return cls(name, blob[:4], blob[4:])


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature that holds; `time` (POSIX seconds) for cosignatures only."""

    key: VerifierKey
    time: int | None


@dataclass(frozen=True, slots=True)
class Note:
    """A text and the signatures that stand under it, checked or not."""

    text: str
    signatures: tuple[NoteSignature, ...] = ()

    def __post_init__(self) -> None:
        _check_text(self.text)

    def __bytes__(self) -> bytes:
        if not self.signatures:
            raise NoteError("a note has at least one signature")
        return (self.text + "\n" + "".join(map(str, self.signatures))).encode()

    @classmethod
    def parse(cls, data: bytes) -> Note:
        if len(data) > MOST_BYTES:
            raise NoteError("the note is too long")
        try:
            whole = data.decode()
        except UnicodeDecodeError:
            raise NoteError("a note is valid UTF-8") from None
        body, blank, below = whole.rpartition("\n\n")
        if not blank or not below.endswith("\n"):
            raise NoteError("no signatures below the text")
        lines = below[:-1].split("\n")
        if len(lines) > MOST_SIGNATURES:
            raise NoteError("the note has too many signatures")
        return cls(body + "\n", tuple(NoteSignature.parse(line) for line in lines))

    def adding(self, *more: NoteSignature) -> Note:
        return Note(self.text, (*self.signatures, *more))

    def cosigned(self, line: NoteSignature) -> Note:
        """With this line, in place of an earlier one of the same key."""
        others = (
            one for one in self.signatures if (one.name, one.key_id) != (line.name, line.key_id)
        )
        return Note(self.text, (*others, line))

    def verify(self, known: Iterable[VerifierKey]) -> tuple[Verified, ...]:
        """The signatures of known keys, at least one, each key once; else NoteError."""
        keys: dict[tuple[str, bytes], VerifierKey] = {}
        for key in known:
            if keys.setdefault((key.name, key.id), key) != key:
                raise NoteError("two known keys share a name and id")
        verified: dict[VerifierKey, Verified] = {}
        for line in self.signatures:
            key_of_line = keys.get((line.name, line.key_id))
            if key_of_line is None:
                continue  # not ours to judge
            one = _verify_line(self.text, line, key_of_line)
            verified.setdefault(key_of_line, one)  # repeated: the first one counts
        if not verified:
            raise NoteError("the note has no signature by a known key")
        return tuple(verified.values())


def _cosigned(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def _verify_line(text: str, line: NoteSignature, key: VerifierKey) -> Verified:
    signature = line.signature
    message, time = text.encode(), None
    if key.type == COSIGNATURE_V1:
        if len(signature) != 8 + SIGNATURE_BYTES:
            raise NoteError("a cosignature has 72 bytes")
        time = int.from_bytes(signature[:8], "big")
        if time > LATEST_TIME:
            raise NoteError("the time of a cosignature is out of range")
        message, signature = _cosigned(text, time), signature[8:]
    try:
        verify_raw(key.public, message, signature)
    except SignatureError:
        raise NoteError("a signature by a known key does not verify") from None
    return Verified(key, time)


@dataclass(frozen=True, slots=True)
class NoteSigner:
    """Signs notes, e.g. checkpoints, under a name (for a log: its origin)."""

    name: str
    key: SigningKey

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self.key.public, ED25519)

    def line(self, text: str) -> NoteSignature:
        _check_text(text)
        _check_name(self.name)
        id_ = key_id(self.name, ED25519, self.key.public)
        return NoteSignature(self.name, id_, self.key.sign_raw(text.encode()))


@dataclass(frozen=True, slots=True)
class Cosigner:
    """Cosigns checkpoints as a witness, only ever with a key used for nothing else.

    The caller has checked before that the checkpoint is consistent with every
    earlier one of the same origin; that check is what a cosignature states.
    """

    name: str
    key: SigningKey

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, self.key.public, COSIGNATURE_V1)

    def line(self, text: str, time: int) -> NoteSignature:
        """`time` in POSIX seconds."""
        _check_text(text)
        if not 0 <= time <= LATEST_TIME:
            raise NoteError("the time of a cosignature is out of range")
        _check_name(self.name)
        id_ = key_id(self.name, COSIGNATURE_V1, self.key.public)
        signed = self.key.sign_raw(_cosigned(text, time))
        return NoteSignature(self.name, id_, time.to_bytes(8, "big") + signed)


def sign(text: str, signers: Sequence[NoteSigner]) -> bytes:
    """A note signed by all `signers`, as bytes."""
    return bytes(Note(text, tuple(signer.line(text) for signer in signers)))
