"""Relayed topics read by others' programs: Confluent's client for Python, and Kafka Connect.

Confluent's AvroDeserializer asks our schema registry by Confluent's API. Connect is Apache's own
worker and file sink, with Apicurio's Avro converter (Confluent's is not published where Apache's
jars are), which asks by Apicurio's. Neither knows anything of this project.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.schema_registry import Schema, SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer
from confluent_kafka.schema_registry.error import SchemaRegistryError
from confluent_kafka.serialization import MessageField, SerializationContext

from connectors.conformance import CANARY, batch, claimed, identity, opened_case, recalled, released
from connectors.relay.registry import RegistryServer
from hub.topics import jars
from hub.topics.broker import LocalBroker, java
from schemas.partner import PartnerSchemas
from schemas.registry import Schemas
from tests.connectors.relay.relayed import Reader, RelayBench
from tests.patience import PATIENCE

pytestmark = pytest.mark.kafka
CONNECT = Path(__file__).parents[3] / "deploy" / "kafka" / "connect-jars.txt"
PAID = {"claim_ref": "c-1", "outcome": "paid", "amount": {"amount": "1250.5", "currency": "EUR"}}


@pytest.fixture(scope="module")
def reader(kafka_broker: LocalBroker) -> Iterator[Reader]:
    reader = Reader(kafka_broker.address)
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def bench(
    kafka_broker: LocalBroker, reader: Reader, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RelayBench]:
    """An identity, a case that was recalled, a payment."""
    bench = RelayBench(tmp_path_factory.mktemp("relay"), kafka_broker, reader)
    sink = claimed(bench)
    paid = released(3, "e-3", "CompensationDecided", {"financial": PAID})
    sink.apply(batch(opened_case(1), identity(2), paid))
    sink.apply(batch(recalled(4, ("e-0", ["case_management"]))))
    yield bench
    bench.close()


@pytest.fixture(scope="module")
def registry(bench: RelayBench) -> Iterator[RegistryServer]:
    server = RegistryServer("127.0.0.1", 0, bench.prefix).start()
    yield server
    server.stop()


def test_confluents_deserializer(bench: RelayBench, registry: RegistryServer) -> None:
    client = SchemaRegistryClient({"url": registry.url})
    read = AvroDeserializer(client)

    def shown(event_type: str) -> Any:
        topic = bench.topic(event_type)
        [(_, value, _)] = bench.reader.all(topic)
        return read(value, SerializationContext(topic, MessageField.VALUE))

    person: Any = shown("IdentityRecorded")
    assert person["given_name"] == CANARY
    assert person["date_of_birth"] == date(2001, 2, 3)
    assert person["occurred_at"] == datetime(2026, 11, 24, 9, 2, tzinfo=UTC)
    assert person["gender"] is None
    assert person["categories"] == ["identity"]
    paid = shown("CompensationDecided")
    assert (paid["amount_amount"], paid["amount_currency"]) == (Decimal("1250.5"), "EUR")
    topic = bench.topic("CaseOpened")
    for _, value, _ in bench.reader.all(topic):
        assert read(value, SerializationContext(topic, MessageField.VALUE)) is None


def test_confluents_registry_client(bench: RelayBench, registry: RegistryServer) -> None:
    client = SchemaRegistryClient({"url": registry.url})
    subject = f"{bench.topic('IdentityRecorded')}-value"
    assert subject in client.get_subjects()
    assert "nrm.partner.IdentityRecorded" in client.get_subjects()
    latest = client.get_latest_version(subject)
    ours = PartnerSchemas(Schemas.load()).current("IdentityRecorded")
    assert (latest.schema_id, latest.schema.schema_str) == (ours.id, ours.text)
    assert client.get_versions(subject) == [1]
    assert client.lookup_schema(subject, Schema(ours.text, "AVRO")).schema_id == ours.id
    assert client.register_schema(subject, Schema(ours.text, "AVRO")) == ours.id
    assert client.test_compatibility(subject, Schema(ours.text, "AVRO"))
    assert client.get_compatibility() == "BACKWARD_TRANSITIVE"
    with pytest.raises(SchemaRegistryError) as refused:
        client.register_schema(subject, Schema('{"type": "string"}', "AVRO"))
    assert (refused.value.http_status_code, refused.value.error_code) == (422, 42205)
    with pytest.raises(SchemaRegistryError) as refused:
        client.get_schema(1)
    assert refused.value.error_code == 40403
    with pytest.raises(SchemaRegistryError) as refused:
        client.delete_subject(subject)
    assert refused.value.http_status_code == 405


def test_check_asks_the_registry(bench: RelayBench, registry: RegistryServer) -> None:
    found = {one.subject: one for one in bench.made(registry=registry.url).check()}
    assert (found["registry"].level, found["registry"].text) == (
        "ok",
        f"{registry.url}: knows the schemas",
    )
    elsewhere = bench.made(registry=f"{registry.url}/elsewhere").check()
    assert [one.level for one in elsewhere if one.subject == "registry"] == ["wrong"]


def test_kafka_connect(bench: RelayBench, registry: RegistryServer, tmp_path: Path) -> None:
    out = tmp_path / "read.txt"
    worker = tmp_path / "worker.properties"
    worker.write_text(
        f"""bootstrap.servers={bench.broker.address}
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=io.apicurio.registry.utils.converter.AvroConverter
value.converter.apicurio.registry.url={registry.url}/apis/registry/v2
value.converter.apicurio.registry.as-confluent=true
offset.storage.file.filename={tmp_path}/offsets
listeners=http://127.0.0.1:0
plugin.discovery=service_load
"""
    )
    sink = tmp_path / "sink.properties"
    sink.write_text(
        f"""name=read
connector.class=org.apache.kafka.connect.file.FileStreamSinkConnector
topics.regex={bench.prefix}\\\\..*
file={out}
consumer.override.auto.offset.reset=earliest
"""
    )
    lines = _connected(tmp_path, worker, sink, out)
    [person] = [one for one in lines if "given_name" in one]
    assert f"given_name={CANARY}" in person
    assert "categories=[identity]" in person
    assert "gender" not in person, "a field of a category not given is null"
    [paid] = [one for one in lines if "amount_amount" in one]
    assert "amount_amount=1250.5000,amount_currency=EUR" in paid
    assert "null" in lines, "the recalled case is a tombstone"
    assert not any("channel" in one for one in lines)


def _connected(folder: Path, worker: Path, sink: Path, out: Path) -> list[str]:
    """What a standalone worker has written once it has read what there is."""
    locked = jars.read(CONNECT.read_text("ascii"))
    found = jars.fetch(jars.cache_folder().parents[1] / "kafka-connect", locked)
    log = folder / "connect.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [str(java()), "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
             "-cp", os.pathsep.join(map(str, found)),
             "org.apache.kafka.connect.cli.ConnectStandalone", str(worker), str(sink)],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT, cwd=folder,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline and process.poll() is None:
            lines = out.read_text("utf-8").splitlines() if out.exists() else []
            if "null" in lines and sum("Struct{" in one for one in lines) == 2:
                return lines
            time.sleep(0.1)
        pytest.fail(f"Kafka Connect did not read the topics: {log.read_text('utf-8')[-3000:]}")
    finally:
        process.terminate()
        process.wait(20)
