"""The bare cost of what the hub is made of, measured in the same run as the hub itself."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate

from hub.crypto import signing
from hub.crypto.compartment import open_compartment, seal_compartment
from hub.crypto.signing import SigningKey
from hub.tlog.merkle import Frontier, leaf_hash
from schemas.avro import Codec

TWENTY = Codec(
    {
        "type": "record",
        "name": "Twenty",
        "fields": [{"name": f"f{n}", "type": ["null", "string"]} for n in range(20)],
    }
)
VALUE = {f"f{n}": f"value {n}" for n in range(20)}


def per_second(work: Callable[[], object], seconds: float = 0.5) -> float:
    """How often `work` runs in a second, after a warm-up."""
    work()
    count, start = 0, time.perf_counter()
    while (spent := time.perf_counter() - start) < seconds:
        for _ in range(20):
            work()
        count += 20
    return count / spent


def primitives(folder: Path) -> Iterator[tuple[str, float]]:
    """(name, operations per second)."""
    key = SigningKey.generate()
    signature = key.sign(signing.BATCH, b"x" * 200)
    yield "ed25519_sign", per_second(lambda: key.sign(signing.BATCH, b"x" * 200))
    yield (
        "ed25519_verify",
        per_second(lambda: signing.verify(key.public, signing.BATCH, b"x" * 200, signature)),
    )
    secret, event_id, schema_id = os.urandom(32), os.urandom(16), os.urandom(32)
    about = {"event_id": event_id, "name": "protection", "schema_id": schema_id}
    sealed = seal_compartment(secret, salt=bytes(16), body=bytes(800), **about)
    yield (
        "aes_gcm_seal_800B",
        per_second(lambda: seal_compartment(secret, salt=bytes(16), body=bytes(800), **about)),
    )
    yield "aes_gcm_open_800B", per_second(lambda: open_compartment(secret, sealed, **about))
    encoded = TWENTY.encode(VALUE)
    yield "avro_encode_20_fields", per_second(lambda: TWENTY.encode(VALUE))
    yield "avro_decode_20_fields_strict", per_second(lambda: TWENTY.decode(encoded))
    frontier = Frontier()
    yield "merkle_append", per_second(lambda: frontier.append(leaf_hash(encoded)))
    yield "sqlite_durable_rows_500", _sqlite(folder)
    yield "eventsourcing_batched_save", _eventsourcing(folder)


def _sqlite(folder: Path) -> float:
    database = sqlite3.connect(folder / "bare.db")
    database.executescript(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE rows (data BLOB)"
    )
    batch = [(bytes(800),)] * 500
    start = time.perf_counter()
    for _ in range(20):
        with database:
            database.executemany("INSERT INTO rows VALUES (?)", batch)
    spent = time.perf_counter() - start
    database.close()
    return 20 * 500 / spent


class Bare(Aggregate):
    """What a bare event-sourced record costs: one created event of some 800 bytes."""

    def __init__(self, text: str) -> None:
        self.text = text


def _eventsourcing(folder: Path) -> float:
    app: Application = Application(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.sqlite",
            "SQLITE_DBNAME": str(folder / f"bare-{uuid4().hex}.db"),
        }
    )
    batches = [[Bare("x" * 700) for _ in range(500)] for _ in range(10)]
    start = time.perf_counter()
    for batch in batches:
        app.save(*batch)
    spent = time.perf_counter() - start
    app.close()
    return 10 * 500 / spent
