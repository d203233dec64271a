"""Signed notes and checkpoints: published examples, strict parsing, known keys only."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.crypto.signing import SigningKey
from hub.tlog.checkpoint import Checkpoint, CheckpointError, open_checkpoint
from hub.tlog.merkle import EMPTY_ROOT
from hub.tlog.note import (
    COSIGNATURE_V1,
    ED25519,
    LATEST_TIME,
    MOST_SIGNATURES,
    Cosigner,
    Note,
    NoteError,
    NoteSignature,
    NoteSigner,
    VerifierKey,
    decode_base64,
    sign,
)
from tests.vectors import vectors

ORIGIN = "example.org/nrm-hub"
LOG = NoteSigner(ORIGIN, SigningKey(bytes(range(32))))
WITNESS = Cosigner("witness.example/w1", SigningKey(bytes(range(32, 64))))
ROOT = bytes(range(32))
CHECKPOINT = Checkpoint(ORIGIN, 20852163, ROOT)

# From the documentation of Go's note package: Ed25519 is deterministic, so the
# same key must give the same note.
PETER_PRIVATE = decode_base64("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]


@pytest.mark.parametrize("vector", vectors("signed_note"))
def test_signed_note_vectors(vector: dict[str, Any]) -> None:
    data = vector["note"].encode()
    if vector["expect"] == "ok":
        note = Note.parse(data)
        verified = note.verify([VerifierKey.parse(key) for key in vector["keys"]])
        assert [str(one.key) for one in verified] == vector["keys"]
        assert bytes(note) == data
    else:
        with pytest.raises(NoteError) as caught:
            Note.parse(data).verify([VerifierKey.parse(key) for key in vector["keys"]])
        assert vector["expect"] in str(caught.value)


def test_signing_gives_the_note_go_gives() -> None:
    published = vectors("signed_note")[0].values[0]
    assert isinstance(published, dict)
    text = published["note"].partition("\n\n")[0] + "\n"
    signer = NoteSigner("PeterNeumann", SigningKey(PETER_PRIVATE))
    assert sign(text, [signer]) == published["note"].encode()
    assert str(signer.verifier) == published["keys"][0]


@given(st.integers(min_value=0))
def test_any_flipped_bit_is_refused_or_leaves_no_known_signature(bit: int) -> None:
    data = bytearray(CHECKPOINT.sign([LOG]))
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    with pytest.raises((NoteError, CheckpointError)):
        open_checkpoint(bytes(data), origin=ORIGIN, log_keys=[LOG.verifier])


@given(st.text(max_size=60), st.text(max_size=10))
def test_what_can_be_signed_parses_to_itself(text: str, name: str) -> None:
    try:
        data = sign(text + "\n", [NoteSigner(name, LOG.key)])
    except NoteError:
        return
    note = Note.parse(data)
    assert note.text == text + "\n"
    assert bytes(note) == data
    assert note.verify([VerifierKey(name, LOG.key.public)])


@given(st.binary(max_size=120))
def test_parsing_never_fails_otherwise(data: bytes) -> None:
    with suppress(NoteError):
        assert bytes(Note.parse(data)) == data


def test_the_number_of_signatures_is_bounded() -> None:
    line = LOG.line("text\n")
    bytes_ = bytes(Note("text\n", (line,) * MOST_SIGNATURES))
    assert Note.parse(bytes_).verify([LOG.verifier])
    with pytest.raises(NoteError, match="too many"):
        Note.parse(bytes_ + str(line).encode())
    with pytest.raises(NoteError, match="too long"):
        Note.parse(b"a" * 1_000_001)
    with pytest.raises(NoteError, match="at least one"):
        bytes(Note("text\n"))


def test_one_failing_known_signature_refuses_the_note() -> None:
    # Even beside a good one by another known key (C2SP signed-note, Signatures).
    bad = NoteSignature(WITNESS.name, WITNESS.verifier.id, bytes(72))
    note = Note.parse(sign(str(CHECKPOINT), [LOG])).adding(bad)
    assert note.verify([LOG.verifier])
    with pytest.raises(NoteError, match="does not verify"):
        note.verify([LOG.verifier, WITNESS.verifier])


def test_a_known_signature_that_fails_counts_even_behind_a_good_one() -> None:
    bad = NoteSignature(LOG.name, LOG.verifier.id, bytes(64))
    with pytest.raises(NoteError, match="does not verify"):
        Note.parse(sign(str(CHECKPOINT), [LOG])).adding(bad).verify([LOG.verifier])


def test_verifier_keys_print_as_they_parse() -> None:
    for key in (LOG.verifier, WITNESS.verifier):
        assert VerifierKey.parse(str(key)) == key
    assert (LOG.verifier.type, WITNESS.verifier.type) == (ED25519, COSIGNATURE_V1)
    for text in ("", "a", "a+b", "a+00000000+", f"{LOG.verifier}+", f" {LOG.verifier}"):
        with pytest.raises(NoteError):
            VerifierKey.parse(text)


# --- cosignatures ----------------------------------------------------------------


def test_a_witness_cosigns_with_its_time() -> None:
    note = Note.parse(CHECKPOINT.sign([LOG])).adding(WITNESS.line(str(CHECKPOINT), 1679315147))
    opened = open_checkpoint(
        bytes(note), origin=ORIGIN, log_keys=[LOG.verifier], witnesses=[WITNESS.verifier]
    )
    assert opened.checkpoint == CHECKPOINT
    assert opened.log_keys == (LOG.verifier,)
    assert [(one.key, one.time) for one in opened.cosignatures] == [(WITNESS.verifier, 1679315147)]


def test_a_witness_that_cosigned_twice_counts_once_with_its_first_time() -> None:
    text = str(CHECKPOINT)
    note = Note(text, (WITNESS.line(text, 5), WITNESS.line(text, 6)))
    assert [one.time for one in note.verify([WITNESS.verifier])] == [5]


def test_the_cosigned_message_is_the_specified_one() -> None:
    line = WITNESS.line(str(CHECKPOINT), 1679315147)
    message = f"cosignature/v1\ntime 1679315147\n{CHECKPOINT}".encode()
    assert line.signature == (1679315147).to_bytes(8, "big") + WITNESS.key.sign_raw(message)


def test_a_cosignature_is_bound_to_time_type_and_length() -> None:
    text = str(CHECKPOINT)
    line = WITNESS.line(text, 1679315147)
    key = WITNESS.verifier
    plain = WITNESS.key.sign_raw(text.encode())
    for signature in (
        (1679315148).to_bytes(8, "big") + line.signature[8:],
        line.signature[:8] + plain,
        plain,
        line.signature + b"\x00",
        (LATEST_TIME + 1).to_bytes(8, "big") + line.signature[8:],
    ):
        with pytest.raises(NoteError):
            Note(text, (NoteSignature(key.name, key.id, signature),)).verify([key])
    late = LATEST_TIME + 1  # properly signed, yet beyond what a time may be
    signed = WITNESS.key.sign_raw(f"cosignature/v1\ntime {late}\n{text}".encode())
    with pytest.raises(NoteError, match="out of range"):
        Note(text, (NoteSignature(key.name, key.id, late.to_bytes(8, "big") + signed),)).verify(
            [key]
        )
    for time in (-1, LATEST_TIME + 1):
        with pytest.raises(NoteError, match="out of range"):
            WITNESS.line(text, time)


# --- checkpoints -----------------------------------------------------------------


def test_the_body_is_the_one_in_the_specification() -> None:
    body = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    checkpoint = Checkpoint.parse(body)
    assert checkpoint.origin == "example.com/behind-the-sofa"
    assert checkpoint.size == 20852163
    assert str(checkpoint) == body


@given(
    st.text(min_size=1, max_size=20),
    st.integers(1, 2**63 - 1),
    st.binary(min_size=32, max_size=32),
    st.lists(st.text(min_size=1, max_size=10), max_size=3),
)
def test_checkpoints_print_as_they_parse(
    origin: str, size: int, root: bytes, extensions: list[str]
) -> None:
    try:
        checkpoint = Checkpoint(origin, size, root, tuple(extensions))
    except CheckpointError:
        return
    assert Checkpoint.parse(str(checkpoint)) == checkpoint


GOOD = str(CHECKPOINT)
ROOT_LINE = GOOD.split("\n")[2]


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\n\n\n",
        GOOD[:-1],
        GOOD + "\n",
        GOOD + "\nextension\n",
        GOOD.replace("20852163", "020852163"),
        GOOD.replace("20852163", "+20852163"),
        GOOD.replace("20852163", " 20852163"),
        GOOD.replace("20852163", "-1"),
        GOOD.replace("20852163", "0"),  # the root of an empty log is another
        GOOD.replace("20852163", str(2**63)),
        GOOD.replace("20852163", "2085216³"),
        GOOD.replace(ROOT_LINE, ROOT_LINE[:-1]),
        GOOD.replace(ROOT_LINE, ROOT_LINE[:-4]),
        GOOD.replace(ROOT_LINE, ROOT_LINE[:-2] + "9="),  # stray bits
        GOOD.replace(ROOT_LINE, ROOT_LINE.replace("/", "_") + "="),
        GOOD.replace(ORIGIN, ""),
        f"{ORIGIN}\n20852163\n",
    ],
)
def test_what_is_no_checkpoint(body: str) -> None:
    assert body != GOOD
    with pytest.raises(CheckpointError):
        Checkpoint.parse(body)


def test_extensions_are_kept_and_an_empty_log_has_its_root() -> None:
    extended = Checkpoint(ORIGIN, 0, EMPTY_ROOT, ("one", "two"))
    assert Checkpoint.parse(str(extended)) == extended


def test_a_checkpoint_needs_the_signature_of_its_own_log() -> None:
    other = NoteSigner("example.org/other", SigningKey(bytes(32)))
    signed = CHECKPOINT.sign([other])
    with pytest.raises(NoteError, match="no signature by a known key"):
        open_checkpoint(signed, origin=ORIGIN, log_keys=[LOG.verifier])
    cosigned = bytes(Note(str(CHECKPOINT), (WITNESS.line(str(CHECKPOINT), 1),)))
    with pytest.raises(CheckpointError, match="has not signed"):
        open_checkpoint(
            cosigned, origin=ORIGIN, log_keys=[LOG.verifier], witnesses=[WITNESS.verifier]
        )
    with pytest.raises(CheckpointError, match="another log"):
        open_checkpoint(CHECKPOINT.sign([LOG]), origin="example.org", log_keys=[LOG.verifier])
    both = [LOG.verifier]
    with pytest.raises(CheckpointError, match="of its own"):
        open_checkpoint(CHECKPOINT.sign([LOG]), origin=ORIGIN, log_keys=both, witnesses=both)
    with pytest.raises(CheckpointError, match="of its own"):
        open_checkpoint(cosigned, origin=ORIGIN, log_keys=[WITNESS.verifier])


def test_a_log_rotates_its_key_by_signing_with_both() -> None:
    new = NoteSigner(ORIGIN, SigningKey(b"\x09" * 32))
    signed = CHECKPOINT.sign([LOG, new])
    for known in ([LOG.verifier], [new.verifier], [LOG.verifier, new.verifier]):
        opened = open_checkpoint(signed, origin=ORIGIN, log_keys=known)
        assert set(opened.log_keys) == set(known)
