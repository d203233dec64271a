"""Ed25519 (RFC 8032) over DSSE's pre-authentication encoding; weak public keys are refused.

OpenSSL takes points of small order and encodings that are not canonical, and then one signature may
fit any text. It refuses S >= L itself.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

MANIFEST: Final = "application/vnd.nrm.evidence.v1+json"
ABSENCE: Final = "application/vnd.nrm.absence.v1+json"
BATCH: Final = "application/vnd.nrm.batch.v1+avro"
RECEIPT: Final = "application/vnd.nrm.receipt.v1+avro"

_P: Final = 2**255 - 19
_D: Final = -121665 * pow(121666, -1, _P) % _P


def key_id(public: bytes) -> bytes:
    return sha256(public).digest()[:16]


def pae(kind: str, body: bytes) -> bytes:
    name = kind.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(body), body)


def stands(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether this key signed exactly these bytes."""
    key = _key(bytes(public))
    if key is None or len(signature) != 64:
        return False
    try:
        key.verify(bytes(signature), message)
    except InvalidSignature:
        return False
    return True


def stands_typed(public: bytes, kind: str, body: bytes, signature: bytes) -> bool:
    return stands(public, pae(kind, body), signature)


@lru_cache(maxsize=4096)
def _key(public: bytes) -> Ed25519PublicKey | None:
    if not usable(public):
        return None
    try:
        return Ed25519PublicKey.from_public_bytes(public)
    except ValueError:
        return None


def usable(public: bytes) -> bool:
    """A canonical point of the curve whose order is not small."""
    if len(public) != 32:
        return False
    number = int.from_bytes(public, "little")
    sign, y = number >> 255, number & ((1 << 255) - 1)
    if y >= _P:
        return False
    x = _x(y)
    if x is None or (x == 0 and sign):
        return False
    point: tuple[int, int] = (x, y)
    for _ in range(3):  # eight times the point is the neutral one exactly for a small order
        point = _add(point, point)
    return point != (0, 1)


def _x(y: int) -> int | None:
    """RFC 8032, 5.1.3: a root of (y² − 1) / (d y² + 1)."""
    square = (y * y - 1) * pow(_D * y * y + 1, -1, _P) % _P
    x = pow(square, (_P + 3) // 8, _P)
    if x * x % _P != square:
        x = x * pow(2, (_P - 1) // 4, _P) % _P
    return x if x * x % _P == square else None


def _add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """The affine addition law of the twisted Edwards curve, complete."""
    (x1, y1), (x2, y2) = a, b
    t = _D * x1 * x2 * y1 * y2 % _P
    x = (x1 * y2 + x2 * y1) * pow(1 + t, -1, _P) % _P
    y = (y1 * y2 + x1 * x2) * pow(1 - t, -1, _P) % _P
    return x, y
