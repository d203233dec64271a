"""Compacted topics: what is replaced leaves, and is not said to have left before it has."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator

import pytest

from hub.topics.broker import LocalBroker
from hub.topics.compacted import CompactedTopics, Keyed, NotForgottenError
from hub.topics.kafka_settings import KafkaSettings
from hub.topics.port import UnknownTopicError

pytestmark = pytest.mark.kafka


@pytest.fixture(scope="module")
def topics(kafka_broker: LocalBroker) -> Iterator[CompactedTopics]:
    topics = CompactedTopics(KafkaSettings.parse(kafka_broker.address))
    yield topics
    topics.close()


@pytest.fixture
def name(topics: CompactedTopics) -> str:
    name = f"c{secrets.token_hex(4)}.topic"
    topics.make([name], 1, None, 10)
    return name


def on_disk(broker: LocalBroker, name: str) -> bytes:
    folder = broker.home / "data" / f"{name}-0"
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()))


def test_the_last_value_stays_and_the_rest_leaves(
    topics: CompactedTopics, kafka_broker: LocalBroker, name: str
) -> None:
    topics.write([Keyed(name, b"a", b"FIRST"), Keyed(name, b"b", b"OTHER")])
    assert topics.holding([name, "none"], [b"a", b"c"]) == [(name, b"a")]
    assert b"FIRST" in on_disk(kafka_broker, name)
    topics.forget(topics.write([Keyed(name, b"a", b"SECOND")]), 20)
    kept = on_disk(kafka_broker, name)
    assert b"FIRST" not in kept
    assert b"SECOND" in kept
    assert b"OTHER" in kept
    topics.forget(topics.write([Keyed(name, b"a", None)]), 20)
    assert b"SECOND" not in on_disk(kafka_broker, name)
    assert topics.holding([name], [b"a", b"b"]) == [(name, b"b")]


def test_what_a_killed_sender_left_is_written_over(
    topics: CompactedTopics, kafka_broker: LocalBroker, name: str
) -> None:
    topics.write([Keyed(name, b"a", b"FIRST")])
    removed = topics.write([Keyed(name, b"a", None)])
    topics.write([Keyed(name, b"a", b"FIRST")])  # it arrives only now
    topics.forget(removed, 20)
    assert b"FIRST" not in on_disk(kafka_broker, name)
    assert topics.holding([name], [b"a"]) == []


def test_not_forgotten_in_time(topics: CompactedTopics) -> None:
    name = f"c{secrets.token_hex(4)}.slow"
    topics.make([name], 1, None, 3_600_000)
    topics.write([Keyed(name, b"a", b"FIRST")])
    with pytest.raises(NotForgottenError, match="has not compacted"):
        topics.forget(topics.write([Keyed(name, b"a", None)]), 0.1)


def test_while_others_write(topics: CompactedTopics, kafka_broker: LocalBroker, name: str) -> None:
    topics.write([Keyed(name, b"a", b"FIRST")])
    other = CompactedTopics(KafkaSettings.parse(kafka_broker.address))
    stop = threading.Event()

    def write() -> None:
        n = 0
        while not stop.wait(0.005):
            n += 1
            other.write([Keyed(name, b"b%d" % (n % 5), b"%d" % n)])

    thread = threading.Thread(target=write)
    thread.start()
    try:
        topics.forget(topics.write([Keyed(name, b"a", None)]), 20)
        assert b"FIRST" not in on_disk(kafka_broker, name)
    finally:
        stop.set()
        thread.join()
        other.close()


def test_a_topic_that_is_gone(topics: CompactedTopics, name: str) -> None:
    written = topics.write([Keyed(name, b"a", b"FIRST")])
    topics._cluster.ask(lambda admin: admin.delete_topics([name]))
    with pytest.raises(UnknownTopicError):
        topics.forget(written, 20)
    assert topics.describe([name]) == {}
