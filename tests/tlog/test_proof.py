"""Offline proofs: accepted with the right keys, refused for each thing that is wrong."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.tlog.merkle import leaf_hash
from hub.tlog.note import VerifierKey
from hub.tlog.proof import TlogProof, TlogProofError
from tests.vectors import vectors

GOOD: dict[str, Any] = next(one.values[0] for one in vectors("tlog_proof"))


def check(vector: dict[str, Any], data: bytes, quorum: int = 1) -> None:
    proof = TlogProof.parse(data)
    assert bytes(proof) == data
    opened = proof.verify(
        leaf_hash(vector["entry"].encode()),
        origin=vector["origin"],
        log_keys=[VerifierKey.parse(vector["log_key"])],
        witnesses=[VerifierKey.parse(vector["witness_key"])],
        quorum=quorum,
    )
    assert opened.checkpoint.origin == vector["origin"]


@pytest.mark.parametrize("vector", vectors("tlog_proof"))
def test_tlog_proof_vectors(vector: dict[str, Any]) -> None:
    if vector["expect"] == "ok":
        check(vector, vector["proof"].encode())
    else:
        with pytest.raises(TlogProofError) as caught:
            check(vector, vector["proof"].encode())
        assert vector["expect"] in str(caught.value)


@given(st.integers(min_value=0))
def test_any_flipped_bit_is_refused_but_in_the_extra_line(bit: int) -> None:
    # The extra line is not authenticated: that is the format's own promise.
    proof = TlogProof.parse(GOOD["proof"].encode())
    data = bytearray(bytes(TlogProof(proof.index, proof.path, proof.checkpoint)))
    data[bit // 8 % len(data)] ^= 1 << bit % 8
    with pytest.raises(TlogProofError):
        check(GOOD, bytes(data))


@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=8),
    st.none() | st.binary(max_size=30),
)
def test_proofs_print_as_they_parse(index: int, path: list[bytes], extra: bytes | None) -> None:
    proof = TlogProof(index, tuple(path), b"the checkpoint, verbatim\n", extra)
    assert TlogProof.parse(bytes(proof)) == proof


@given(st.binary(max_size=200))
def test_parsing_never_fails_otherwise(data: bytes) -> None:
    heading = b"c2sp.org/tlog-proof@v1\n"
    for candidate in (data, heading + data, heading + b"index 1\n" + data):
        with suppress(TlogProofError):
            assert bytes(TlogProof.parse(candidate)) == candidate


def test_a_witness_counts_once() -> None:
    with pytest.raises(TlogProofError, match="too few"):
        check(GOOD, GOOD["proof"].encode(), quorum=2)
    check(GOOD, GOOD["proof"].encode(), quorum=0)


def test_the_index_is_bounded() -> None:
    for index in (2**63, 10**19):
        with pytest.raises(TlogProofError, match="malformed"):
            TlogProof.parse(bytes(TlogProof(index, (), b"x\n")))


def test_paths_are_bounded() -> None:
    for path in ((bytes(32),) * 64, (bytes(31),)):
        with pytest.raises(TlogProofError, match="path"):
            TlogProof.parse(bytes(TlogProof(0, path, b"x\n")))
