"""Sealed compartments: bound to their event, name and schema; one key each."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.crypto.compartment import (
    ATTESTED_ID,
    CompartmentError,
    compartment_key,
    open_compartment,
    seal_compartment,
)
from tests.vectors import vectors

EVENT, SCHEMA, SALT = bytes(range(16)), bytes(range(32)), bytes(range(50, 66))


@pytest.mark.parametrize("vector", vectors("compartments"))
def test_compartment_vectors(vector: dict[str, Any]) -> None:
    event_id, schema_id, key, ciphertext = (
        bytes.fromhex(vector[name]) for name in ("event_id", "schema_id", "key", "ciphertext")
    )
    name = vector["label"]
    if vector["subject_secret"] is not None:
        secret = bytes.fromhex(vector["subject_secret"])
        assert compartment_key(secret, event_id, name) == key
    if vector["expect"] == "CompartmentError":
        with pytest.raises(CompartmentError):
            open_compartment(key, ciphertext, event_id=event_id, name=name, schema_id=schema_id)
        return
    salt, body = bytes.fromhex(vector["salt"]), bytes.fromhex(vector["body"])
    sealed = seal_compartment(
        key, event_id=event_id, name=name, schema_id=schema_id, salt=salt, body=body
    )
    assert sealed == ciphertext
    opened = open_compartment(key, ciphertext, event_id=event_id, name=name, schema_id=schema_id)
    assert opened == (salt, body)


@given(st.binary(max_size=200), st.integers(min_value=0))
def test_any_flipped_bit_is_refused(body: bytes, bit: int) -> None:
    key = compartment_key(bytes(32), EVENT, "health")
    sealed = bytearray(
        seal_compartment(key, event_id=EVENT, name="health", schema_id=SCHEMA, salt=SALT, body=body)
    )
    opened = open_compartment(key, bytes(sealed), event_id=EVENT, name="health", schema_id=SCHEMA)
    assert opened == (SALT, body)
    sealed[bit // 8 % len(sealed)] ^= 1 << bit % 8
    with pytest.raises(CompartmentError):
        open_compartment(key, bytes(sealed), event_id=EVENT, name="health", schema_id=SCHEMA)


def test_keys_never_repeat_across_events_names_and_persons() -> None:
    keys = {
        compartment_key(secret, event_id, name)
        for secret in (bytes(32), b"\x01" * 32)
        for event_id in (EVENT, ATTESTED_ID, b"\x01" * 16)
        for name in ("health", "healt", "consent", "consent/AG-1", "consent/AG-11")
    }
    assert len(keys) == 2 * 3 * 5


def test_sizes_that_would_blur_the_framing_are_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        compartment_key(bytes(31), EVENT, "health")
    with pytest.raises(ValueError, match="16"):
        compartment_key(bytes(32), EVENT + b"h", "ealth")
    good = {"event_id": EVENT, "name": "health", "schema_id": SCHEMA, "salt": SALT, "body": b""}
    for wrong in (
        {"event_id": bytes(15)},
        {"schema_id": bytes(31)},
        {"salt": bytes(15)},
        {"name": ""},
        {"name": "n" * 256},
    ):
        with pytest.raises(ValueError, match="bytes"):
            seal_compartment(bytes(32), **{**good, **wrong})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="32 bytes"):
        seal_compartment(bytes(16), event_id=EVENT, name="a", schema_id=SCHEMA, salt=SALT, body=b"")
