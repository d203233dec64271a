"""Signatures: only by that key, over those bytes, for that purpose."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from hub.crypto import signing
from hub.crypto.signing import SignatureError, SigningKey, WeakKeyError, check_public, verify
from hub.tlog.merkle import leaf_hash, root
from tests.vectors import vectors

P = 2**255 - 19
KEY = SigningKey(bytes(range(32)))


@pytest.mark.parametrize("vector", vectors("batch_signature"))
def test_batch_signature_vectors(vector: dict[str, Any]) -> None:
    public, body, signature = (bytes.fromhex(vector[k]) for k in ("public", "body", "signature"))
    if vector["expect"] == "ok":
        key = SigningKey.from_private(bytes.fromhex(vector["private"]))
        assert key.public == public
        assert key.key_id.hex() == vector["key_id"]
        headers = [bytes.fromhex(header) for header in vector["headers"]]
        assert root([leaf_hash(header) for header in headers]).hex() == vector["root"]
        assert signing.pae(vector["payload_type"], body).hex() == vector["pae"]
        assert key.sign(vector["payload_type"], body) == signature
        verify(public, vector["payload_type"], body, signature)
    else:
        with pytest.raises(SignatureError) as caught:
            verify(public, vector["payload_type"], body, signature)
        assert type(caught.value).__name__ == vector["expect"]


def test_pae_is_the_one_in_the_dsse_specification() -> None:
    encoded = signing.pae("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


def test_rfc_8032_section_7_1_test_3() -> None:
    private = "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7"
    key = SigningKey(bytes.fromhex(private))
    assert key.public.hex() == "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025"
    assert key.sign_raw(bytes.fromhex("af82")).hex() == (
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac"
        "18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"
    )


def _add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    """Point addition on edwards25519 as RFC 8032 §5.1.4 defines it, affine."""
    d = -121665 * pow(121666, -1, P)
    product = d * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + a[1] * b[0]) * pow(1 + product, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P)
    return x % P, y % P


def _decode_loosely(encoded: bytes) -> tuple[int, int] | None:
    """The point any decoder could read in these bytes, canonical or not."""
    y = int.from_bytes(encoded, "little") % 2**255 % P
    d = -121665 * pow(121666, -1, P)
    square = (y * y - 1) * pow(d * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    return (x, y) if x * x % P == square else None


def _order(point: tuple[int, int]) -> int:
    total, order = point, 1
    while total != (0, 1):
        total, order = _add(total, point), order + 1
        assert order <= 8
    return order


def test_the_table_is_exactly_the_torsion_points_in_every_encoding() -> None:
    orders: dict[int, set[tuple[int, int]]] = {}
    for encoded in signing.SMALL_ORDER:
        point = _decode_loosely(encoded)
        assert point is not None
        orders.setdefault(_order(point), set()).add(point)
    # x is known only up to its sign here: order 4 and 8 come in pairs.
    assert {order: len(points) for order, points in orders.items()} == {1: 1, 2: 1, 4: 1, 8: 2}
    assert len(signing.SMALL_ORDER) == 14


@pytest.mark.parametrize("encoded", sorted(signing.SMALL_ORDER), ids=lambda b: b.hex()[:8])
def test_small_order_keys_are_refused_everywhere(encoded: bytes) -> None:
    with pytest.raises(WeakKeyError):
        check_public(encoded)
    for signature in (encoded + bytes(32), bytes([1]) + bytes(63)):
        for message in (b"", b"one", b"two"):
            with pytest.raises(WeakKeyError):
                verify(encoded, signing.BATCH, message, signature)


def test_the_library_alone_would_accept_a_small_order_key() -> None:
    # The reason for the table. If this ever fails, the library has learnt better.
    identity = bytes([1]) + bytes(31)
    Ed25519PublicKey.from_public_bytes(identity).verify(identity + bytes(32), b"anything")


@pytest.mark.parametrize("y", [*range(P, P + 19)])
def test_encodings_that_are_not_canonical_are_refused(y: int) -> None:
    for sign in (0, 1 << 255):
        with pytest.raises(WeakKeyError):
            check_public((y | sign).to_bytes(32, "little"))


def test_bytes_that_are_no_point_are_refused() -> None:
    refused = 0
    for y in range(2, 42):
        encoded = y.to_bytes(32, "little")
        if _decode_loosely(encoded) is None:
            refused += 1
            with pytest.raises(WeakKeyError):
                check_public(encoded)
        else:
            check_public(encoded)
    assert refused > 10


@pytest.mark.parametrize("size", [0, 31, 33, 64])
def test_keys_of_another_length_are_refused(size: int) -> None:
    with pytest.raises(WeakKeyError):
        check_public(b"\x05" * size)
    with pytest.raises(WeakKeyError):
        verify(b"\x05" * size, signing.BATCH, b"", bytes(64))
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey(b"\x05" * size)


@given(st.binary(max_size=200), st.integers(min_value=0))
def test_any_flipped_bit_of_body_or_signature_is_refused(body: bytes, bit: int) -> None:
    signature = KEY.sign(signing.RECEIPT, body)
    verify(KEY.public, signing.RECEIPT, body, signature)
    message = bytearray(signature + body)
    message[bit // 8 % len(message)] ^= 1 << bit % 8
    with pytest.raises(SignatureError):
        verify(KEY.public, signing.RECEIPT, bytes(message[64:]), bytes(message[:64]))


def test_a_signature_serves_one_purpose_only() -> None:
    kinds = [
        signing.BATCH,
        signing.OUTCOMES,
        signing.DELIVERIES,
        signing.RECEIPT,
        signing.REGISTRY,
    ]
    assert len(set(kinds)) == 5
    for made_for in kinds:
        signature = KEY.sign(made_for, b"body")
        for used_for in kinds:
            if used_for == made_for:
                verify(KEY.public, used_for, b"body", signature)
            else:
                with pytest.raises(SignatureError):
                    verify(KEY.public, used_for, b"body", signature)


def test_generated_keys_come_from_the_randomness_given() -> None:
    key = SigningKey.generate(lambda size: b"\x07" * size)
    assert key.private == b"\x07" * 32
    assert key.key_id == hashlib.sha256(key.public).digest()[:16] == signing.key_id(key.public)
    assert SigningKey.generate().public != SigningKey.generate().public


def test_a_key_does_not_print_itself() -> None:
    assert KEY.private.hex() not in repr(KEY)
    assert str(KEY.private) not in repr(KEY)
