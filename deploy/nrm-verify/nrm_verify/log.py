"""Steps 3 and 4: the signed checkpoint, who cosigned it, and whether history was rewritten.

Formats: C2SP signed-note, tlog-checkpoint, tlog-cosignature.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from nrm_verify import signature, tree
from nrm_verify.failure import Failure
from nrm_verify.manifest import Manifest

LOG, WITNESS = 1, 4
_LONGEST: Final = 1_000_000
_MOST_LINES: Final = 100
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}", re.ASCII)
_DASH: Final = "\u2014 "


class Malformed(Exception):
    """A key or note is not one."""


@dataclass(frozen=True)
class Key:
    """A verifier key: name, kind (1 log, 4 witness), 32 bytes."""

    name: str
    kind: int
    public: bytes
    text: str

    @property
    def id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    @classmethod
    def parse(cls, text: str) -> Key:
        name, plus, rest = text.strip().partition("+")
        digits, second, material = rest.partition("+")
        raw = _base64(material)
        if not (plus and second and _named(name)) or len(raw) != 33:
            raise Malformed("not a verifier key: NAME+8 DIGITS+BASE64")
        key = cls(name, raw[0], raw[1:], text.strip())
        if key.kind not in (LOG, WITNESS) or key.id.hex() != digits:
            raise Malformed("the verifier key does not match its own id")
        if not signature.usable(key.public):
            raise Malformed("the verifier key is no usable key")
        return key


@dataclass(frozen=True)
class Checkpoint:
    """A signed tree head; nothing of it is checked."""

    origin: str
    size: int
    root: bytes
    text: str
    lines: tuple[tuple[str, bytes, bytes], ...]  # name, key id, signature

    @classmethod
    def parse(cls, raw: bytes) -> Checkpoint:
        if len(raw) > _LONGEST:
            raise Malformed("it is too long")
        try:
            body, blank, below = raw.decode().rpartition("\n\n")
        except UnicodeDecodeError:
            raise Malformed("it is not text") from None
        lines = below.split("\n")
        if not blank or lines[-1] or not 1 < len(lines) <= _MOST_LINES + 1:
            raise Malformed("it has no signatures below")
        told = body.split("\n")
        if any(one < " " and one != "\n" for one in body):
            raise Malformed("it has control characters")
        if len(told) < 3 or not all(told) or not _SIZE.fullmatch(told[1]):
            raise Malformed("it has not origin, size and root")
        root = _base64(told[2])
        if len(root) != tree.HASH or not told[0].isprintable():
            raise Malformed("it has not origin, size and root")
        return cls(
            told[0], int(told[1]), root, body + "\n", tuple(_line(one) for one in lines[:-1])
        )

    def signed_by(self, key: Key) -> bool | None:
        """None if the key has no line here; else whether its line holds. One line must."""
        found = [sign for name, id_, sign in self.lines if (name, id_) == (key.name, key.id)]
        if not found:
            return None
        return all(self._holds(key, sign) for sign in found)

    def _holds(self, key: Key, sign: bytes) -> bool:
        message = self.text.encode()
        if key.kind == WITNESS:
            time, sign = int.from_bytes(sign[:8], "big"), sign[8:]
            message = f"cosignature/v1\ntime {time}\n".encode() + message
        return signature.stands(key.public, message, sign)


@dataclass
class Trust:
    """What the verifier was given from outside, and what it rests on in the end."""

    log_key: Key | None = None
    witnesses: Sequence[Key] = ()
    quorum: int = 0
    earlier: Checkpoint | None = None
    key: Key | None = None
    cosigned: list[str] = field(default_factory=list)
    history: str = ""


def checkpoint(members: Mapping[str, memoryview], manifest: Manifest, trust: Trust) -> Checkpoint:
    """Step 3."""
    head = _parsed(3, members["log/checkpoint"])
    try:
        inside = Key.parse(bytes(members["log/vkey"]).decode())
    except (Malformed, UnicodeDecodeError) as wrong:
        raise Failure(3, "bad_checkpoint", f"log/vkey: {_told(wrong)}") from None
    key = trust.log_key or inside
    if key.kind != LOG:
        raise Failure(3, "wrong_log", "the key given is a witness's, not a log's")
    if head.origin != manifest.origin or head.size != manifest.tree_size:
        raise Failure(3, "bad_checkpoint", "it has not the origin and size the manifest names")
    if key.name != head.origin or key != inside:
        raise Failure(
            3,
            "wrong_log",
            f"the bundle is of log {inside.text}, the key given is {key.text}: ask the operator",
        )
    _signed(3, head, key)
    trust.key = key
    for witness in trust.witnesses:
        held = head.signed_by(witness)
        if held is False:
            raise Failure(3, "bad_log_signature", f"the cosignature of {witness.name} fails")
        if held and witness.name not in trust.cosigned:
            trust.cosigned.append(witness.name)
    if len(trust.cosigned) < trust.quorum:
        raise Failure(
            3, "few_witnesses", f"{len(trust.cosigned)} known witnesses, {trust.quorum} asked for"
        )
    return head


def history(members: Mapping[str, memoryview], head: Checkpoint, trust: Trust) -> None:
    """Step 4. Fills `trust.history` with what became of a checkpoint given from outside."""
    assert trust.key is not None
    shown = None
    if "log/earlier" in members:
        shown = _parsed(4, members["log/earlier"])
        _signed(4, shown, trust.key)
        if shown.origin != head.origin:
            raise Failure(4, "bad_checkpoint", "log/earlier is of another log")
        proof = tree.cut(members["log/consistency"])
        if proof is None:
            raise Failure(4, "bad_checkpoint", "log/consistency is not a list of hashes")
        if not tree.consistent(shown.size, head.size, shown.root, head.root, proof):
            raise Failure(4, "fork", "log/earlier and log/checkpoint have no common history")
    known = trust.earlier
    if known is None:
        return
    if known.origin != head.origin:
        raise Failure(4, "bad_checkpoint", "the earlier checkpoint given is of another log")
    _signed(4, known, trust.key)
    for one in (head, shown):
        if one is not None and one.size == known.size:
            if one.root != known.root:
                raise Failure(4, "fork", f"two signed roots for size {known.size} of one log")
            trust.history = f"nothing up to entry {known.size} was rewritten since"
            return
    trust.history = (
        f"not provable by this file: ask for the bundle again with that checkpoint, "
        f"audit bundle --earlier (sizes {known.size} and {head.size})"
    )


def _signed(step: int, head: Checkpoint, key: Key) -> None:
    held = head.signed_by(key)
    if held is None:
        raise Failure(step, "wrong_log", f"the checkpoint is not signed by {key.text}")
    if not held:
        raise Failure(step, "bad_log_signature", "the log's signature does not hold")


def _parsed(step: int, raw: bytes | memoryview) -> Checkpoint:
    try:
        return Checkpoint.parse(bytes(raw))
    except Malformed as wrong:
        raise Failure(step, "bad_checkpoint", str(wrong)) from None


def _line(line: str) -> tuple[str, bytes, bytes]:
    name, space, text = line.removeprefix(_DASH).partition(" ")
    blob = _base64(text)
    if not line.startswith(_DASH) or not space or not _named(name) or len(blob) < 5:
        raise Malformed("a signature line is not one")
    return name, blob[:4], blob[4:]


def _named(name: str) -> bool:
    """Whether it can be the name of a key (C2SP signed-note)."""
    return bool(name) and not any(one.isspace() or one < " " or one == "+" for one in name)


def _base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise Malformed("not base64") from None
    if base64.b64encode(raw).decode() != text:
        raise Malformed("not base64 as it is written")
    return raw


def _told(wrong: Exception) -> str:
    return str(wrong) if isinstance(wrong, Malformed) else "not text"


def witness_keys(texts: Iterable[str]) -> list[Key]:
    """Witnesses' keys. Malformed for others: the log must not count as its own witness."""
    keys = [Key.parse(text) for text in texts]
    if any(one.kind != WITNESS for one in keys):
        raise Malformed("a log's key where a witness's is asked for")
    return keys
