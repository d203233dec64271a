"""Sealing one compartment of one event, at rest and on its way to a recipient.

    key        = HMAC-SHA-256(subject secret, context ‖ name)
    ciphertext = AES-256-GCM(key, nonce = 12 zero bytes, salt ‖ body, associated data)
    associated data = event id ‖ u8 length of name ‖ name ‖ schema id

A key seals one plaintext only, so the nonce can be constant: nothing to store
and nothing to repeat. Whoever holds the key of one compartment can open no
other; whoever destroys the subject secret closes all of them. A ciphertext moved
to another event, compartment or schema does not open.

The caller's duty: one 16-byte context is sealed with one content only. The hub
uses the first half of the signed header's SHA-256, which binds the content, so
that even two agencies that chose the same event id never share a key.

A hub-attested delivery must not carry the agency's event id: it is sealed under
a random key with `ATTESTED_ID` in the event id's place.
"""

from __future__ import annotations

import hmac
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
EVENT_ID_BYTES: Final = 16
SCHEMA_ID_BYTES: Final = 32
SALT_BYTES: Final = 16
ATTESTED_ID: Final = bytes(EVENT_ID_BYTES)

_NONCE: Final = bytes(12)


class CompartmentError(Exception):
    """The compartment does not open under this key for this event: quarantine it."""


def compartment_key(subject_secret: bytes, context: bytes, name: str) -> bytes:
    """The 32-byte key of one compartment of one event; `context`: 16 bytes unique to it."""
    if len(subject_secret) != KEY_BYTES or len(context) != EVENT_ID_BYTES:
        raise ValueError("a subject secret has 32 bytes and a context 16")
    return hmac.digest(subject_secret, context + name.encode(), "sha256")


def _associated(event_id: bytes, name: str, schema_id: bytes) -> bytes:
    label = name.encode()
    if len(event_id) != EVENT_ID_BYTES or len(schema_id) != SCHEMA_ID_BYTES:
        raise ValueError("an event id has 16 bytes and a schema id 32")
    if not 0 < len(label) < 256:
        raise ValueError("a compartment name has 1 to 255 bytes")
    return b"%b%c%b%b" % (event_id, len(label), label, schema_id)


def seal_compartment(
    key: bytes, *, event_id: bytes, name: str, schema_id: bytes, salt: bytes, body: bytes
) -> bytes:
    """Ciphertext, 32 bytes longer than the body (salt and tag)."""
    if len(key) != KEY_BYTES or len(salt) != SALT_BYTES:
        raise ValueError("a compartment key has 32 bytes and a salt 16")
    return AESGCM(key).encrypt(_NONCE, salt + body, _associated(event_id, name, schema_id))


def open_compartment(
    key: bytes, ciphertext: bytes, *, event_id: bytes, name: str, schema_id: bytes
) -> tuple[bytes, bytes]:
    """(salt, body), or CompartmentError if anything at all does not match."""
    try:
        if len(key) != KEY_BYTES:
            raise ValueError
        plain = AESGCM(key).decrypt(_NONCE, ciphertext, _associated(event_id, name, schema_id))
    except (InvalidTag, ValueError):
        raise CompartmentError("the compartment does not open") from None
    if len(plain) < SALT_BYTES:
        raise CompartmentError("the compartment does not open")
    return plain[:SALT_BYTES], plain[SALT_BYTES:]
