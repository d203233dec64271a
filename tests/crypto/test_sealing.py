"""Sealed boxes: the right key and the right info, or nothing."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.crypto.sealing import (
    OVERHEAD,
    PUBLIC_BYTES,
    SealError,
    SealingKey,
    check_sealing_public,
    padme,
    seal,
    sealing_key_id,
)

KEY = SealingKey(bytes(range(96)))
OTHER = SealingKey(bytes(96))
INFO = b"nrm.submission.v1\nhub"


@settings(max_examples=25)
@given(st.binary(max_size=500), st.binary(max_size=50))
def test_a_box_opens_with_its_key_and_info(plaintext: bytes, info: bytes) -> None:
    box = seal(KEY.public, info, plaintext)
    assert len(box) == len(plaintext) + OVERHEAD
    assert KEY.open(box, info) == plaintext


@settings(max_examples=60)
@given(st.integers(min_value=0))
def test_any_flipped_bit_closes_the_box(bit: int) -> None:
    box = bytearray(seal(KEY.public, INFO, b"a name"))
    box[bit // 8 % len(box)] ^= 1 << bit % 8
    with pytest.raises(SealError):
        KEY.open(bytes(box), INFO)


def test_another_key_another_info_or_a_cut_box_do_not_open() -> None:
    box = seal(KEY.public, INFO, b"a name")
    reasons = set()
    for key, candidate, info in [
        (OTHER, box, INFO),
        (KEY, box, INFO + b"!"),
        (KEY, box, b""),
        (KEY, box[:-1], INFO),
        (KEY, box[:100], INFO),
        (KEY, b"", INFO),
        (KEY, bytes(len(box)), INFO),
        (KEY, b"\xff" * len(box), INFO),
    ]:
        with pytest.raises(SealError) as caught:
            key.open(candidate, info)
        reasons.add(str(caught.value))
    assert len(reasons) == 1  # the sender of a bad box learns nothing from the text


def test_two_boxes_of_one_plaintext_differ() -> None:
    assert seal(KEY.public, INFO, b"x") != seal(KEY.public, INFO, b"x")


@pytest.mark.parametrize(
    "public",
    [
        b"",
        KEY.public[:-1],
        KEY.public + b"\x00",
        KEY.public[:-32] + bytes(32),  # X25519 share of small order
        b"\xff" * 1184 + KEY.public[-32:],  # ML-KEM coefficients out of range
    ],
)
def test_unusable_public_keys_are_refused(public: bytes) -> None:
    with pytest.raises(SealError):
        seal(public, INFO, b"x")
    with pytest.raises(SealError):
        check_sealing_public(public)


def test_keys_come_from_the_randomness_given_and_survive_storage() -> None:
    key = SealingKey.generate(lambda size: b"\x05" * size)
    again = SealingKey.from_private(key.private)
    assert again.public == key.public
    assert len(key.public) == PUBLIC_BYTES
    assert again.key_id == sealing_key_id(key.public)
    assert again.open(seal(key.public, b"", b"x"), b"") == b"x"
    assert key.private.hex() not in repr(key)
    with pytest.raises(ValueError, match="96 bytes"):
        SealingKey(bytes(95))


# Padmé as its authors define it, with floating-point logarithms.
def _padme_by_the_paper(length: int) -> int:
    if length < 2:
        return length
    exponent = math.floor(math.log2(length))
    bits = math.floor(math.log2(exponent)) + 1 if exponent else 0
    mask = (1 << max(exponent - bits, 0)) - 1
    return (length + mask) & ~mask


@given(st.integers(min_value=0, max_value=2**40))
def test_padme_is_a_small_bucket_above(length: int) -> None:
    padded = padme(length)
    assert length <= padded <= length * 1.12 + 1
    assert padme(padded) == padded
    assert padme(length + 1) >= padded


def test_padme_agrees_with_its_definition() -> None:
    for length in range(2000):
        assert padme(length) == _padme_by_the_paper(length)
    assert [padme(n) for n in (9, 100, 1000, 1025)] == [10, 104, 1024, 1088]
    assert padme(10, least=256) == padme(255, least=256) == 256
    with pytest.raises(ValueError, match="negative"):
        padme(-1)
