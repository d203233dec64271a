"""A partner's Kafka under test: a relay into topics of its own, and what a stranger reads there.

The reader is librdkafka, as most partners' programs use it, and knows of us the wire format alone.
"""

from __future__ import annotations

import copy
import io
import json
import secrets
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any

import fastavro
from confluent_kafka import Consumer, KafkaError, TopicPartition

from connectors.kinds import Place
from connectors.relay.sink import Options, RelaySink
from connectors.sink import RecallPolicy
from hub.topics.broker import LocalBroker
from hub.topics.local_ports import free_port
from schemas.partner import PartnerSchemas, snake
from schemas.registry import Schemas

Read = tuple[str, bytes | None, dict[str, bytes]]


class Reader:
    """Reads whole topics."""

    def __init__(self, address: str) -> None:
        self._consumer = Consumer(
            {
                "bootstrap.servers": address,
                "group.id": "reader",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 20,
                "log_level": 0,
            }
        )

    def topics(self, prefix: str) -> list[str]:
        known = self._consumer.list_topics(timeout=10).topics
        return sorted(name for name in known if name.startswith(prefix))

    def all(self, *topics: str) -> list[Read]:
        """(key, value, headers) of every message that is there, in each partition's order."""
        known = self._consumer.list_topics(timeout=10).topics
        places = [TopicPartition(one, n, 0) for one in topics for n in known[one].partitions]
        self._consumer.assign(places)
        found: list[Read] = []
        ended: set[tuple[str, int]] = set()
        while len(ended) < len(places):
            message = self._consumer.poll(10)
            assert message is not None, f"{topics} are not delivered"
            error = message.error()
            if error is None:
                headers = dict(message.headers() or ())
                found.append((message.key().decode(), message.value(), headers))
            else:
                assert error.code() == KafkaError._PARTITION_EOF, error
                ended.add((message.topic(), message.partition()))
        return found

    def close(self) -> None:
        self._consumer.close()


class RelayBench:
    """For the conformance suite: topics compacted at once, on a broker the whole run shares."""

    atomic = False

    def __init__(self, folder: Path, broker: LocalBroker, reader: Reader, **options: Any) -> None:
        self.folder = folder
        self.broker = broker
        self.reader = reader
        self.prefix = f"p{secrets.token_hex(4)}"
        self.options = {
            "servers": [broker.address],
            "security": "plaintext",
            "prefix": self.prefix,
            "compaction_lag_seconds": 0.01,
            "recall_seconds": 30,
            **options,
        }
        self.schemas = own_schemas()
        self.partner = PartnerSchemas(self.schemas)
        self._sinks: list[RelaySink] = []

    def place(self, recalls: RecallPolicy | None = None) -> Place:
        return Place("POL-1", "test-hub", self.folder, self.folder, recalls or RecallPolicy())

    def made(self, recalls: RecallPolicy | None = None, **options: Any) -> RelaySink:
        checked = Options.model_validate({**self.options, **options})
        sink = RelaySink(checked, self.place(recalls), self.schemas)
        self._sinks.append(sink)
        return sink

    def open(self, recalls: RecallPolicy | None = None) -> RelaySink:
        sink = self.made(recalls)
        sink.prepare()
        return sink

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()

    @contextmanager
    def outage(self) -> Iterator[None]:
        """Nobody is where the cluster was. test_relay.py has a broker that hangs."""
        known = self.options["servers"]
        self._turn([f"127.0.0.1:{free_port()}"])
        yield
        self._turn(known)

    def _turn(self, servers: list[str]) -> None:
        self.options["servers"] = servers
        for sink in self._sinks:
            sink.relay.close()
            sink.relay._settings = Options.model_validate(self.options).kafka(self.place())

    def topic(self, event_type: str) -> str:
        return f"{self.prefix}.{snake(event_type)}"

    def messages(self, event_ref: str) -> list[Read]:
        """Every message of this event that is still there."""
        topics = self.reader.topics(f"{self.prefix}.")
        return [one for one in self.reader.all(*topics) if one[0] == event_ref]

    def shown(self, event_ref: str) -> dict[str, Any] | None:
        found = self.messages(event_ref)
        if not found or found[-1][1] is None:
            return None
        return decoded(found[-1][1], self.partner)

    def stored(self) -> bytes:
        """Every file of the topics, and of the connector's own books."""
        logs = [
            path
            for folder in (self.broker.home / "data").glob(f"{self.prefix}.*")
            for path in folder.iterdir()
        ]
        return b"".join(_bytes([*logs, *self.folder.glob("relay.state.db*")]))


def _bytes(paths: Iterable[Path]) -> Iterable[bytes]:
    for path in sorted(paths):
        try:
            yield path.read_bytes()
        except FileNotFoundError:  # a segment the cleaner removed meanwhile
            continue


def own_schemas() -> Schemas:
    """Those shipped, to add to; made again for every test they would take most of its time."""
    own = copy.copy(Schemas.load())
    own._by_type, own._by_id = dict(own._by_type), dict(own._by_id)
    own._versions = {kind: list(versions) for kind, versions in own._versions.items()}
    return own


def decoded(value: bytes, schemas: PartnerSchemas) -> dict[str, Any]:
    """By the wire format alone; JSON-ready, structures of money put together again."""
    magic, number = struct.unpack(">bI", value[:5])
    assert magic == 0
    schema = schemas.by_id(number)
    assert schema is not None, "an id nobody knows"
    stream = io.BytesIO(value[5:])
    record: Any = fastavro.schemaless_reader(stream, json.loads(schema.text), None)
    assert stream.read() == b"", "bytes are left over"
    return {name: _plain(name, one) for name, one in record.items()}


def _plain(name: str, value: Any) -> Any:
    if isinstance(value, date | datetime):
        return value.isoformat()
    return json.loads(value) if name == "new_value" and value is not None else value
