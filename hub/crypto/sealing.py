"""Sealed boxes: HPKE (RFC 9180) base mode to a hybrid post-quantum key.

Suite: KEM MLKEM768_X25519, KDF HKDF_SHA256, AEAD AES_256_GCM. Case data stays
dangerous for decades, so a box recorded today must resist both a classical and
a later quantum attacker; it stays closed while either ML-KEM-768 or X25519 holds.

    public   ML-KEM-768 encapsulation key (1184 bytes) + X25519 public key (32)
    private  ML-KEM-768 seed (64 bytes) + X25519 private key (32)
    box      encapsulated secret + ciphertext: 1136 bytes longer than the plaintext

Promises: a box opens only with the private key it was sealed to and with the
same `info`; anything else is `SealError`, with one text for every cause, so
that the sender of a bad box learns nothing.

Not promised: who sealed it. Base mode does not authenticate the sender; what
is inside, or beside, must be signed. Sealing draws its randomness inside the
cryptographic library, so two boxes of the same plaintext always differ.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)

_SUITE: Final = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
_MLKEM_PUBLIC: Final = 1184
_MLKEM_SEED: Final = 64
_X25519: Final = 32

PUBLIC_BYTES: Final = _MLKEM_PUBLIC + _X25519
PRIVATE_BYTES: Final = _MLKEM_SEED + _X25519
KEY_ID_BYTES: Final = 16
OVERHEAD: Final = 1136


class SealError(Exception):
    """The box does not open here, or the key to seal to is unusable: park the message."""


def sealing_key_id(public: bytes) -> bytes:
    """First 16 bytes of SHA-256 of the raw public key."""
    return hashlib.sha256(public).digest()[:KEY_ID_BYTES]


@lru_cache(maxsize=1024)
def _load(public: bytes) -> hpke.MLKEM768X25519PublicKey:
    if len(public) != PUBLIC_BYTES:
        raise SealError(f"a sealing key has {PUBLIC_BYTES} bytes")
    try:
        return hpke.MLKEM768X25519PublicKey(
            MLKEM768PublicKey.from_public_bytes(public[:_MLKEM_PUBLIC]),
            X25519PublicKey.from_public_bytes(public[_MLKEM_PUBLIC:]),
        )
    except ValueError:
        raise SealError("the sealing key is not a valid public key") from None


def check_sealing_public(public: bytes) -> None:
    """Raise SealError unless a box can be sealed to `public`; for key registration."""
    seal(public, b"", b"")


def seal(public: bytes, info: bytes, plaintext: bytes) -> bytes:
    """A box for the holder of `public`; `info` is bound to it but not carried in it."""
    try:
        return _SUITE.encrypt(plaintext, _load(bytes(public)), info=info)
    except ValueError:  # an X25519 share of small order
        raise SealError("the sealing key is not a valid public key") from None


class SealingKey:
    """The private half of a hybrid sealing key, never printed."""

    __slots__ = ("_key", "key_id", "private", "public")

    private: bytes
    public: bytes
    key_id: bytes

    def __init__(self, private: bytes) -> None:
        if len(private) != PRIVATE_BYTES:
            raise ValueError(f"a private sealing key has {PRIVATE_BYTES} bytes")
        mlkem = MLKEM768PrivateKey.from_seed_bytes(private[:_MLKEM_SEED])
        x25519 = X25519PrivateKey.from_private_bytes(private[_MLKEM_SEED:])
        self._key = hpke.MLKEM768X25519PrivateKey(mlkem, x25519)
        self.private = bytes(private)
        self.public = mlkem.public_key().public_bytes_raw() + x25519.public_key().public_bytes_raw()
        self.key_id = sealing_key_id(self.public)

    @classmethod
    def generate(cls, randomness: Callable[[int], bytes] = secrets.token_bytes) -> SealingKey:
        return cls(randomness(PRIVATE_BYTES))

    @classmethod
    def from_private(cls, private: bytes) -> SealingKey:
        return cls(private)

    def open(self, box: bytes, info: bytes) -> bytes:
        """The plaintext, or SealError for a box not sealed to this key under this info."""
        try:
            return _SUITE.decrypt(box, self._key, info=info)
        except (InvalidTag, ValueError):
            raise SealError("the box does not open") from None

    def __repr__(self) -> str:
        return f"SealingKey({self.key_id.hex()})"


def padme(length: int, *, least: int = 0) -> int:
    """The bucket, in bytes, that `length` is padded to: Padmé (Nikitin et al., 2019).

    A bucket's length has a mantissa no longer than its exponent, so an observer
    learns O(log log n) bits of the size and at most 12 % is added. `least` lifts
    small messages to one common size.
    """
    if length < 0:
        raise ValueError("a length is not negative")
    length = max(length, least)
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    dropped = exponent - exponent.bit_length()
    mask = (1 << dropped) - 1 if dropped > 0 else 0
    return (length + mask) & ~mask
