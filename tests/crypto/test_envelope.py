"""Signed documents: what was signed is what is read, and nothing else passes for it."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.crypto.envelope import MAX_BYTES, EnvelopeError, opened, text, written
from hub.crypto.signing import SigningKey

KIND = "application/vnd.nrm.test.v1+json"
KEY, OTHER = SigningKey.from_private(bytes(32)), SigningKey.from_private(b"\1" * 32)
DOCUMENT = written(KIND, {"name": "Žltá", "key": text(b"\0\1")}, [KEY])


def test_what_was_signed_is_read_back() -> None:
    found = opened(DOCUMENT, KIND)
    found.require(KEY.public, "its key")
    assert (found.text("name"), found.octets("key")) == ("Žltá", b"\0\1")


def test_it_is_a_dsse_envelope() -> None:
    envelope = json.loads(DOCUMENT)
    body = base64.b64decode(envelope["payload"])
    [signature] = envelope["signatures"]
    assert envelope["payloadType"] == KIND
    assert bytes.fromhex(signature["keyid"]) == KEY.key_id
    assert base64.b64decode(signature["sig"]) == KEY.sign(KIND, body)


def test_several_sign_and_each_can_be_required() -> None:
    both = opened(written(KIND, {}, [KEY, OTHER]), KIND)
    both.require(KEY.public, "the one")
    both.require(OTHER.public, "the other")
    with pytest.raises(EnvelopeError, match="not signed by the other"):
        opened(DOCUMENT, KIND).require(OTHER.public, "the other")


def test_one_kind_is_not_taken_for_another() -> None:
    with pytest.raises(EnvelopeError, match="not of type"):
        opened(DOCUMENT, "application/vnd.nrm.other.v1+json")
    renamed = json.dumps({**json.loads(DOCUMENT), "payloadType": "other"}).encode()
    with pytest.raises(EnvelopeError, match="not signed by its key"):
        opened(renamed, "other").require(KEY.public, "its key")


@given(st.integers(0, len(base64.b64decode(json.loads(DOCUMENT)["payload"])) * 8 - 1))
def test_one_flipped_bit_is_noticed(bit: int) -> None:
    envelope = json.loads(DOCUMENT)
    body = bytearray(base64.b64decode(envelope["payload"]))
    body[bit // 8] ^= 1 << bit % 8
    envelope["payload"] = text(bytes(body))
    with pytest.raises(EnvelopeError):
        opened(json.dumps(envelope).encode(), KIND).require(KEY.public, "its key")


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 50_000,
        b" " * (MAX_BYTES + 1),
        json.dumps({**json.loads(DOCUMENT), "payload": "%%"}).encode(),
        json.dumps({**json.loads(DOCUMENT), "payload": text(b"[]")}).encode(),
        json.dumps({**json.loads(DOCUMENT), "signatures": [{"keyid": "x"}]}).encode(),
    ],
)
def test_what_is_no_envelope(document: bytes) -> None:
    with pytest.raises(EnvelopeError):
        opened(document, KIND)


@pytest.mark.parametrize("value", [None, "", 7, "x" * 501])
def test_texts_have_a_length(value: object) -> None:
    with pytest.raises(ValueError, match="name is not a text"):
        opened(written(KIND, {"name": value}, [KEY]), KIND).text("name")
