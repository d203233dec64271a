"""Names that let nobody join what was told to different parties.

Everything here derives from one 32-byte master secret of the hub, so nothing
needs a table, and a name can be taken back to what it stands for.

- The hub's own id of a case or person: HMAC of the reference agencies use, in
  the form of a UUID of version 8 (RFC 9562 §5.8). Not reversible.
- A recipient's pseudonym of a case, person, event, consent or work item: AES-256 of the id, one
  block, under a key of that recipient and kind. A permutation: two ids never
  share a pseudonym, and the hub can resolve what a recipient sends back.
- Topic names and recipient references: opaque, fixed per agency.

Promise: without the master secret, pseudonyms given to two recipients cannot be
matched, nor told from random. `resolve` says only what id a well-formed text
would stand for; whether there is such a case is for the caller to look up.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Literal
from uuid import UUID, uuid5

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB

MASTER_BYTES: Final = 32

CanonicalKind = Literal["case", "subject"]
PseudonymKind = Literal["case", "subject", "event", "consent", "work"]

_PREFIX: Final[dict[str, str]] = {
    "case": "nc-",
    "subject": "ns-",
    "event": "ne-",
    "consent": "nk-",
    "work": "nw-",
}
_HEX: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_TOPIC_HEX: Final = 20


class Pseudonyms:
    """All pseudonyms of one hub. Keep the master secret as carefully as the key store."""

    __slots__ = ("_block", "_master", "canonical", "pseudonym")

    canonical: Callable[[CanonicalKind, str], UUID]
    """The hub's id of the case or person that agencies call by a reference: (kind, ref) → id."""

    pseudonym: Callable[[str, PseudonymKind, UUID], str]
    """What a recipient calls this case, person or event: (recipient, kind, id) → text."""

    def __init__(self, master: bytes) -> None:
        if len(master) != MASTER_BYTES:
            raise ValueError("the master secret has 32 bytes")
        self._master = bytes(master)
        # One instance's own cache; a cipher is about 1 µs to make, its key another.
        self._block = lru_cache(maxsize=8192)(self._cipher)
        # Events and deliveries of one case ask for the same names again and again.
        self.canonical = lru_cache(maxsize=65536)(self._canonical)
        self.pseudonym = lru_cache(maxsize=65536)(self._pseudonym)

    def _derive(self, *parts: str) -> bytes:
        """HMAC over length-prefixed parts: no two lists of parts meet."""
        encoded = [part.encode() for part in parts]
        message = b"".join(len(part).to_bytes(4, "big") + part for part in encoded)
        return hmac.digest(self._master, message, "sha256")

    def _cipher(self, recipient: str, kind: str) -> Cipher[ECB]:
        # ECB of exactly one block is the bare AES permutation; never of more.
        return Cipher(AES(self._derive("pseudonym", kind, recipient)), ECB())  # noqa: S305 - one block

    def _canonical(self, kind: CanonicalKind, ref: str) -> UUID:
        if kind not in ("case", "subject"):
            raise ValueError("only cases and persons have a canonical id")
        value = int.from_bytes(self._derive("canonical", kind, ref)[:16], "big")
        value = value & ~(0xF << 76) | 8 << 76  # version 8
        value = value & ~(0x3 << 62) | 2 << 62  # variant of RFC 9562
        return UUID(int=value)

    def _pseudonym(self, recipient: str, kind: PseudonymKind, id: UUID) -> str:
        prefix = _PREFIX[kind]
        return prefix + self._block(recipient, kind).encryptor().update(id.bytes).hex()

    def consent(self, recipient: str, case: UUID, consent_id: str) -> str:
        """What a recipient that is told the hub's word only calls a consent of this case."""
        return self.pseudonym(recipient, "consent", uuid5(case, consent_id))

    def resolve(self, recipient: str, kind: PseudonymKind, text: str) -> UUID | None:
        """The id behind a pseudonym of `recipient`; None if it has not that shape."""
        prefix = _PREFIX[kind]
        if not text.startswith(prefix):
            return None
        digits = text[len(prefix) :]
        if _HEX.fullmatch(digits) is None:
            return None
        block = bytes.fromhex(digits)
        return UUID(bytes=self._block(recipient, kind).decryptor().update(block))

    def event_for(self, recipient: str, stated_by: str, stated: str) -> str:
        """What a recipient calls an event that another agency refers to, by id or by pseudonym."""
        event_id = self.resolve(stated_by, "event", stated)
        if event_id is None:
            try:
                event_id = UUID(stated)
            except ValueError:
                return "unknown"
        return self.pseudonym(recipient, "event", event_id)

    def topic(self, prefix: str, agency: str) -> str:
        """The agency's topic under `prefix`, e.g. "nrm.d.3f…" (20 hexadecimal digits).

        The prefix is part of the derivation, so that an agency's delivery and
        outcome topics cannot be matched by name.
        """
        return f"{prefix}.{self._derive('topic', prefix, agency).hex()[:_TOPIC_HEX]}"

    def recipient_ref(self, agency: str) -> str:
        """How messages name a recipient where others may see it."""
        return "nr-" + self._derive("recipient", agency).hex()[:32]

    def comparison_key(self, recipient: str, sequence: int) -> bytes:
        """32 bytes under which a recipient's tables, as after one delivery, are told as digests."""
        return self._derive("comparison", recipient, str(sequence))

    def lot(self, *parts: str) -> float:
        """Above 0 and at most 1, always the same for these parts; nobody else can foretell it."""
        return (int.from_bytes(self._derive("lot", *parts)[:6], "big") + 1) / (1 << 48)

    def __repr__(self) -> str:
        return "Pseudonyms(…)"
