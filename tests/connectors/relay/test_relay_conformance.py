"""The relay passes the conformance suite on a real Kafka, its log files searched after a recall."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.conformance import OutageConformance, SinkConformance
from hub.topics.broker import LocalBroker
from tests.connectors.relay.relayed import Reader, RelayBench


@pytest.fixture(scope="module")
def reader(kafka_broker: LocalBroker) -> Iterator[Reader]:
    reader = Reader(kafka_broker.address)
    yield reader
    reader.close()


@pytest.fixture
def bench(kafka_broker: LocalBroker, reader: Reader, tmp_path: Path) -> Iterator[RelayBench]:
    bench = RelayBench(tmp_path, kafka_broker, reader)
    yield bench
    bench.close()


class TestRelay(SinkConformance):
    pass


class TestRelayOutages(OutageConformance):
    @pytest.fixture
    def bench(
        self, kafka_broker: LocalBroker, reader: Reader, tmp_path: Path
    ) -> Iterator[RelayBench]:
        bench = RelayBench(tmp_path, kafka_broker, reader, timeout_seconds=1)
        yield bench
        bench.close()
