"""Ed25519 signatures over typed bytes.

What is signed is always the DSSE pre-authentication encoding (PAE) of a payload
type and a body:

    "DSSEv1" SP len(type) SP type SP len(body) SP body

so a signature made for one purpose never verifies for another. Bodies are
signed and verified as the bytes they are; nothing here decodes or re-encodes.

Promises
- `verify` returns only for a signature by exactly that key; everything else is
  `SignatureError`, whose text holds no input.
- A key of small order, an encoding that is not canonical, or bytes that are no
  point of the curve are refused, both on registration (`check_public`) and on
  every use. OpenSSL accepts such keys, and a fixed signature then verifies for
  any message.

Absent on purpose: mixed-order keys are not refused. They give their owner no
power beyond signing; the one verifier everywhere is the cofactorless one of
RFC 8032 §5.1.7, which also refuses S >= L.

References: RFC 8032; DSSE v1 (secure-systems-lab/dsse, protocol.md);
Chalkias, Garillot, Nikolaenko, "Taming the many EdDSAs" (2020).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

BATCH: Final = "application/vnd.nrm.batch.v1+avro"
OUTCOMES: Final = "application/vnd.nrm.outcomes.v1"
DELIVERIES: Final = "application/vnd.nrm.deliveries.v1"
RECEIPT: Final = "application/vnd.nrm.receipt.v1+avro"
REGISTRY: Final = "application/vnd.nrm.registry.v1+avro"
COMPARISON: Final = "application/vnd.nrm.comparison.v1+json"
BACKUP: Final = "application/vnd.nrm.backup.v1+json"
EVIDENCE: Final = "application/vnd.nrm.evidence.v1+json"
ABSENCE: Final = "application/vnd.nrm.absence.v1+json"

PUBLIC_BYTES: Final = 32
PRIVATE_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64
KEY_ID_BYTES: Final = 16

_P: Final = 2**255 - 19
_D: Final = (-121665 * pow(121666, _P - 2, _P)) % _P
_SIGN_BIT: Final = 1 << 255

# Both y coordinates of the four points of order eight (they are negatives of
# each other); with 0 (order four), 1 and p - 1 (orders one and two) these are
# all y of the eight torsion points.
_ORDER_EIGHT: Final = bytes.fromhex(
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
)
_Y8: Final = int.from_bytes(_ORDER_EIGHT, "little")


def _small_order_encodings() -> frozenset[bytes]:
    """Every 32-byte string that some decoder reads as a point of small order.

    Each y, and y + p where that still fits in 255 bits, with either sign bit:
    that includes the non-canonical ones and "negative zero" x.
    """
    ys = (0, 1, _P - 1, _Y8, _P - _Y8)
    fitting = [y + k for y in ys for k in (0, _P) if y + k < _SIGN_BIT]
    return frozenset(
        (y | sign).to_bytes(PUBLIC_BYTES, "little") for y in fitting for sign in (0, _SIGN_BIT)
    )


SMALL_ORDER: Final = _small_order_encodings()


class SignatureError(Exception):
    """The signature is not one by this key over this payload: refuse the message."""


class WeakKeyError(SignatureError):
    """The public key cannot be trusted to identify anyone: refuse the key."""


def pae(payload_type: str, body: bytes) -> bytes:
    """DSSE pre-authentication encoding; lengths are decimal counts of bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(body), body)


def key_id(public: bytes) -> bytes:
    """First 16 bytes of SHA-256 of the raw public key."""
    return hashlib.sha256(public).digest()[:KEY_ID_BYTES]


def check_public(raw: bytes) -> None:
    """Raise WeakKeyError unless `raw` is the canonical encoding of a usable point."""
    if len(raw) != PUBLIC_BYTES:
        raise WeakKeyError("an Ed25519 public key has 32 bytes")
    if bytes(raw) in SMALL_ORDER:
        raise WeakKeyError("the public key is a point of small order")
    y = int.from_bytes(raw, "little") & (_SIGN_BIT - 1)
    if y >= _P:
        raise WeakKeyError("the public key is not canonically encoded")
    # On the curve iff x^2 = (y^2 - 1) / (d y^2 + 1) has a root (RFC 8032 §5.1.3);
    # a quotient is a square exactly when the product is (Euler's criterion).
    square = y * y % _P
    if pow((square - 1) * (_D * square + 1) % _P, (_P - 1) // 2, _P) != 1:
        raise WeakKeyError("the public key is not a point of the curve")


@lru_cache(maxsize=4096)
def _load(public: bytes) -> Ed25519PublicKey:
    # Checking and loading cost about as much as a verification; agencies sign
    # many batches with one key. Refusals raise and so are not cached.
    check_public(public)
    return Ed25519PublicKey.from_public_bytes(public)


def verify(public: bytes, payload_type: str, body: bytes, signature: bytes) -> None:
    """Raise SignatureError unless `signature` is by `public` over (type, body).

    The caller chooses `payload_type` from what it expects, never from the message.
    """
    if len(signature) != SIGNATURE_BYTES:
        raise SignatureError("an Ed25519 signature has 64 bytes")
    try:
        _load(bytes(public)).verify(signature, pae(payload_type, body))
    except InvalidSignature:
        raise SignatureError("the signature does not verify") from None


class SigningKey:
    """An Ed25519 private key: 32 bytes (RFC 8032 seed), never printed."""

    __slots__ = ("_key", "key_id", "private", "public")

    private: bytes
    public: bytes
    key_id: bytes

    def __init__(self, private: bytes) -> None:
        if len(private) != PRIVATE_BYTES:
            raise ValueError("an Ed25519 private key has 32 bytes")
        self._key = Ed25519PrivateKey.from_private_bytes(private)
        self.private = bytes(private)
        self.public = self._key.public_key().public_bytes_raw()
        self.key_id = key_id(self.public)

    @classmethod
    def generate(cls, randomness: Callable[[int], bytes] = secrets.token_bytes) -> SigningKey:
        return cls(randomness(PRIVATE_BYTES))

    @classmethod
    def from_private(cls, private: bytes) -> SigningKey:
        return cls(private)

    def sign(self, payload_type: str, body: bytes) -> bytes:
        """64 bytes; the same key and payload always give the same signature."""
        return self._key.sign(pae(payload_type, body))

    def sign_raw(self, message: bytes) -> bytes:
        """Without PAE, only for formats that bring their own domain separation
        (signed notes and cosignatures, hub/tlog/note.py)."""
        return self._key.sign(message)

    def __repr__(self) -> str:
        return f"SigningKey({self.key_id.hex()})"


def verify_raw(public: bytes, message: bytes, signature: bytes) -> None:
    """As `verify`, without PAE; the counterpart of `SigningKey.sign_raw`."""
    if len(signature) != SIGNATURE_BYTES:
        raise SignatureError("an Ed25519 signature has 64 bytes")
    try:
        _load(bytes(public)).verify(signature, message)
    except InvalidSignature:
        raise SignatureError("the signature does not verify") from None
