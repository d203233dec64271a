"""What a log and a witness say to each other: every request reads back, nothing else is taken."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.crypto.signing import SigningKey
from hub.tlog.cosigning import (
    MOST_BYTES,
    AddCheckpoint,
    WitnessError,
    cosignature_in,
    cosigned_by,
    size_told,
)
from hub.tlog.note import Cosigner, Note, NoteSigner
from hub.tlog.published import FRESH, published

TEXT = "log.example\n3\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
LOG = NoteSigner("log.example", SigningKey.from_private(bytes(32)))
FIRST, SECOND = (Cosigner(f"w{n}", SigningKey.from_private(bytes([n]) * 32)) for n in (1, 2))
KEYS = (FIRST.verifier, SECOND.verifier)
SIGNED = Note(TEXT, (LOG.line(TEXT),))


@given(st.integers(0, 2**63 - 1), st.lists(st.binary(min_size=32, max_size=32), max_size=63))
def test_a_request_reads_back(old: int, proof: list[bytes]) -> None:
    asked = AddCheckpoint(old, tuple(proof), bytes(SIGNED))
    assert AddCheckpoint.parse(bytes(asked)) == asked


@given(st.binary(max_size=300))
def test_whatever_else_is_sent_is_refused_or_reads_back(data: bytes) -> None:
    for sent in (data, b"old " + data, b"old 0\n" + data + b"\n\n" + bytes(SIGNED)):
        with contextlib.suppress(WitnessError):
            assert bytes(AddCheckpoint.parse(sent)) == sent


def test_what_is_too_much() -> None:
    with pytest.raises(WitnessError, match="too long"):
        AddCheckpoint.parse(b"old 0\n\n" + b"x" * MOST_BYTES)
    with pytest.raises(WitnessError, match="too long"):
        AddCheckpoint.parse(bytes(AddCheckpoint(0, (bytes(32),) * 64, bytes(SIGNED))))


@given(st.binary(max_size=40))
def test_a_size_is_a_plain_number(body: bytes) -> None:
    try:
        size = size_told(body)
    except WitnessError:
        return
    assert body in (b"%d" % size, b"%d\n" % size)


def test_cosignatures() -> None:
    body = f"{SECOND.line(TEXT, 7)}{FIRST.line(TEXT, 8)}".encode()
    line, verified = cosignature_in(body, TEXT, [FIRST.verifier])
    assert (line.name, verified.time) == ("w1", 8)
    for wrong in (
        b"",
        b"\n",
        str(SECOND.line(TEXT, 7)).encode(),
        str(FIRST.line(TEXT, 0)).encode(),
    ):
        with pytest.raises(WitnessError):
            cosignature_in(wrong, TEXT, [FIRST.verifier])
    with pytest.raises(WitnessError, match="not a valid"):
        cosignature_in(body, TEXT.replace("3", "4", 1), [FIRST.verifier])


def test_a_newer_cosignature_takes_the_place_of_the_older() -> None:
    note = SIGNED
    for time in (5, 6):
        for witness in (FIRST, SECOND):
            note = note.cosigned(witness.line(TEXT, time))
    assert len(note.signatures) == 3
    assert note.signatures[0] == SIGNED.signatures[0]
    assert cosigned_by(bytes(note).decode(), KEYS) == {FIRST.verifier: 6, SECOND.verifier: 6}
    assert cosigned_by(bytes(SIGNED).decode(), KEYS) == {}
    assert cosigned_by("nonsense", KEYS) == {}


@given(
    st.lists(
        st.tuples(st.sampled_from([(), (FIRST,), (SECOND,), (FIRST, SECOND)]), st.integers(0, 200)),
        min_size=1,
        max_size=8,
    ),
    st.integers(0, 300),
)
def test_what_is_shown(cosigned: list[tuple[tuple[Cosigner, ...], int]], now: int) -> None:
    """One of those there are; no other has fresher or more cosignatures in the last minute."""
    notes = []
    for size, (by, time) in enumerate(cosigned, start=1):
        text = TEXT.replace("3", str(size), 1)
        note = Note(text, (LOG.line(text), *(one.line(text, time + 1) for one in by)))
        notes.append((size, bytes(note).decode()))
    found = published(reversed(notes), KEYS, now)
    assert found in notes
    newest = len(notes)

    def worth(size: int) -> int:
        by, time = cosigned[size - 1]
        return len(by) if size == newest or now - (time + 1) <= FRESH else 0

    best = max(range(1, newest + 1), key=lambda size: (worth(size), size))
    assert found[0] == (best if worth(best) else newest)
    assert published(reversed(notes), (), now) == notes[-1]
    assert published([], KEYS, now) is None
