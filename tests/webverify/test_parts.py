"""Parts of the page against frozen vectors, the product and reference implementations."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.crypto.signing import BATCH, SMALL_ORDER, SigningKey, WeakKeyError, check_public, pae
from hub.store.events import EVENTS
from schemas.avro import AvroError, Codec
from tests.tlog.reference import audit_path, consistency, tree_hash
from tests.vectors import vectors
from tests.webverify.asked import answer, answers, refused
from tests.webverify.corpus import STORE

pytestmark = pytest.mark.browser

slow = settings(max_examples=4, deadline=None)


def values(name: str) -> list[dict[str, Any]]:
    return [one.values[0] for one in vectors(name)]  # type: ignore[misc]


# -- notes and trees -----------------------------------------------------------------------------


def test_frozen_notes() -> None:
    notes = values("signed_note")
    asked = [{"ask": "note", "note": one["note"], "keys": one["keys"]} for one in notes]
    wrong = []
    for one, told in zip(notes, answers(asked), strict=True):
        signers = told.get("answer", [])
        # Whether a signature by a known key is needed is asked where a note is used.
        good = "answer" in told and len(signers) == len(one["keys"])
        if good != (one["expect"] == "ok"):
            wrong.append((one["name"], one["expect"], told))
    assert wrong == []


def test_base64_and_checkpoints_have_one_spelling() -> None:
    texts = ["", "AA==", "AAA=", "AAAA", "AB==", "AA", "AA=", "A A=", "AAAA\n", "_-==", "é"]
    spelled = [one["answer"] for one in answers([{"ask": "base64", "text": t} for t in texts])]
    assert spelled == ["", "00", "0000", "000000", *[None] * 7]
    root = "A" * 43 + "="
    good = f"log\n7\n{root}\n"
    bad = ["", f"log\n07\n{root}\n", f"log\n-1\n{root}\n", f"log\n7\n{root}", f"\n7\n{root}\n",
           f"log\n7\n{root}x\n", f"log\n{2**60}\n{root}\n", f"log\n7\n{root}\n\n"]  # fmt: skip
    assert answer("checkpoint", body=good)["size"] == 7
    assert all(refused([{"ask": "checkpoint", "body": body} for body in bad]))


def test_proofs_of_every_small_tree() -> None:
    entries = [f"entry {n}".encode() for n in range(19)]
    leaves = [sha256(b"\0" + one).hexdigest() for one in entries]
    asked, expected = [], []
    for size in range(1, len(entries) + 1):
        root = tree_hash(entries[:size]).hex()
        for index in range(size):
            path = [one.hex() for one in audit_path(index, entries[:size])]
            one = {"ask": "included", "leaf": leaves[index], "size": size, "root": root}
            for at, hashes in ((index, path), (index ^ 1, path), (index, path[1:])):
                asked.append({**one, "index": at, "path": hashes})
                expected.append((at, hashes) == (index, path))
            asked.append({**one, "index": index, "path": [*path, "00" * 32]})
            expected.append(False)
        for first in range(1, size + 1):
            proof = [one.hex() for one in consistency(first, entries[:size])]
            both = {
                "ask": "consistent",
                "first": first,
                "firstRoot": tree_hash(entries[:first]).hex(),
                "second": size,
                "secondRoot": root,
            }
            asked.append({**both, "proof": proof})
            expected.append(True)
            asked.append({**both, "proof": [*proof, "00" * 32]})
            expected.append(False)
            if proof:
                asked.append({**both, "proof": ["00" * 32, *proof[1:]]})
                expected.append(False)
    told = [one["answer"] for one in answers(asked)]
    assert told == expected


def test_a_frozen_disclosure_tree() -> None:
    built = [one for one in values("disclosure") if one.get("leaves") and one["expect"] == "ok"]
    assert built
    for one in built:
        assert answer("root", leaves=one["leaves"]) == one["root"]


# -- signatures ----------------------------------------------------------------------------------


def test_frozen_signatures() -> None:
    asked, expected = [], []
    for one in values("batch_signature"):
        if "signature" not in one:
            continue
        public = one.get("public") or SigningKey(bytes.fromhex(one["private"])).public.hex()
        asked.append(
            {
                "ask": "signed",
                "key": public,
                "type": one["payload_type"],
                "body": one["body"],
                "signature": one["signature"],
            }
        )
        expected.append(one["expect"] == "ok")
    assert True in expected
    assert False in expected
    assert [one["answer"] for one in answers(asked)] == expected


@slow
@given(st.lists(st.binary(max_size=300), min_size=20, max_size=20))
def test_what_is_signed_is_typed_and_counted(bodies: list[bytes]) -> None:
    asked = [{"ask": "pae", "type": BATCH, "body": body.hex()} for body in bodies]
    assert [one["answer"] for one in answers(asked)] == [pae(BATCH, body).hex() for body in bodies]


@slow
@given(st.lists(st.binary(min_size=32, max_size=32), min_size=60, max_size=60))
def test_usable_keys_are_those_the_hub_takes(keys: list[bytes]) -> None:
    edges = [(2**255 - 19 + n).to_bytes(32, "little") for n in range(-3, 19)]
    every = [*keys, *SMALL_ORDER, *edges, SigningKey(keys[0]).public]
    told = [one["answer"] for one in answers([{"ask": "usable", "key": k.hex()} for k in every])]
    assert told == [usable(key) for key in every]
    assert True in told


def usable(key: bytes) -> bool:
    try:
        check_public(key)
    except WeakKeyError:
        return False
    return True


# -- Avro and JSON -------------------------------------------------------------------------------


def test_every_stored_schema_is_known_by_its_fingerprint() -> None:
    known = answer("known")
    assert {topic for _, topic, _ in known} == {one.TOPIC for one in EVENTS}
    for name, topic, own in known:
        assert name == own, topic


def test_rows_are_read_as_written_and_in_no_other_way() -> None:
    """What the hub writes is read; of bytes bent at random, just those it would write."""
    chance = random.Random(1)
    asked, expected = [], []
    for file in sorted(STORE.glob("*.avsc")):
        schema = json.loads(file.read_text("utf-8"))
        codec = Codec(schema)
        for _ in range(12):
            body = codec.encode(drawn(chance, schema, {}))
            at, bit = chance.randrange(len(body)), 1 << chance.randrange(8)
            bent = bytes([*body[:at], body[at] ^ bit, *body[at + 1 :]])
            for one in (body, bent, body + b"\0", body[:-1]):
                asked.append(
                    {"ask": "row", "fingerprint": codec.fingerprint.hex(), "body": one.hex()}
                )
                expected.append(reads(codec, one))
    told = ["answer" in one for one in answers(asked)]
    wrong = [
        (one, mine) for one, mine, right in zip(asked, told, expected, strict=True) if mine != right
    ]
    assert wrong == []
    assert 0.3 < sum(told) / len(told) < 0.7


def drawn(chance: random.Random, kind: Any, known: dict[str, Any]) -> Any:
    """A value of a type as store schemas have them."""
    if isinstance(kind, list):
        return drawn(chance, chance.choice(kind), known)
    if isinstance(kind, str):
        plain: dict[str, Callable[[], Any]] = {
            "null": lambda: None,
            "string": lambda: chance.choice(["", "a", "é", "\U0001f600", "NGO-1", "x" * 90]),
            "bytes": lambda: chance.randbytes(chance.randrange(90)),
            "long": lambda: chance.choice([0, -1, 63, 64, -65, 2**53, -(2**63), 2**63 - 1]),
            "int": lambda: chance.choice([0, -1, 2**31 - 1, -(2**31)]),
            "boolean": lambda: chance.random() < 0.5,
        }
        return plain[kind]() if kind in plain else drawn(chance, known[kind], known)
    if "name" in kind:
        known[kind["name"]] = kind
    if kind["type"] == "fixed":
        return chance.randbytes(kind["size"])
    if kind["type"] == "enum":
        return chance.choice(kind["symbols"])
    if kind["type"] == "array":
        return [drawn(chance, kind["items"], known) for _ in range(chance.randrange(4))]
    if kind["type"] == "record":
        return {one["name"]: drawn(chance, one["type"], known) for one in kind["fields"]}
    assert kind["logicalType"] == "timestamp-micros"
    seconds = chance.choice([0, 1_775_000_000, -62_135_596_800, 253_402_300_799])
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds, microseconds=1)


def reads(codec: Codec, body: bytes) -> bool:
    try:
        codec.decode(body)
    except AvroError:
        return False
    return True


def test_a_few_bytes_cannot_cost_much() -> None:
    wide = {"type": "array", "items": "null"}
    asked = [
        {"ask": "avro", "schema": wide, "body": "feffffff0f00"},
        {
            "ask": "avro",
            "schema": {"type": "array", "items": "long"},
            "body": "0802040600",
            "items": 3,
        },
        {"ask": "avro", "schema": "bytes", "body": "feffffff0f"},
        {"ask": "avro", "schema": "long", "body": "8000"},
        {"ask": "avro", "schema": "long", "body": "ff" * 11},
    ]
    assert all(refused(asked))


def test_json_is_read_strictly() -> None:
    good = [b"[]", b'{"a": [1, -2, 0.5, 1e3, true, null, "\\u00e9"]}', b" 5 ", '"é"'.encode()]
    bad = [b"", b"[1,]", b"{'a': 1}", b'{"a": 1, "a": 2}', b'{"a":1,"\\u0061":2}', b"NaN", b"01",
           b"[1] 2", b'"\xff"', b'"\x01"', b"\xef\xbb\xbf[]", b"[[[[[[[[[1]]]]]]]]]", b"1.", b"+1",
           b'{"__proto__": 1}', b"[" * 100_000]  # fmt: skip
    asked = [{"ask": "json", "data": one.hex(), "deepest": 8} for one in (*good, *bad)]
    assert refused(asked) == [False] * len(good) + [True] * len(bad)
    numbers = [one["answer"] for one in answers(asked[:2])]
    assert numbers[1] == {"a": [1, -2, 0.5, 1000, True, None, "é"]}
    assert not math.isnan(numbers[1]["a"][2])
