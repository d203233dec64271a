"""Kafka alone: rights, settings of a topic, and brokers that stop, crash or are wiped."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.topics import (
    Message,
    TopicDeniedError,
    TopicError,
    Topics,
    TopicUnavailable,
    UnknownTopicError,
    open_topics,
)
from hub.topics.broker import LocalBroker

pytestmark = pytest.mark.kafka


@pytest.fixture
def topic() -> str:
    return f"nrm.test.{uuid.uuid4().hex}"


@pytest.fixture
def hub(kafka_url: str) -> Iterator[Topics]:
    opened = open_topics(kafka_url)
    yield opened
    opened.close()


@pytest.fixture
def shelter(kafka_broker: LocalBroker) -> Iterator[Topics]:
    """The hub's broker as a partner reaches it: with a password, under access rules."""
    opened = open_topics(kafka_broker.user_url("shelter") + "&timeout=10")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def own_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalBroker]:
    """A broker these tests may break."""
    with LocalBroker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
def topics(own_broker: LocalBroker) -> Iterator[Topics]:
    opened = open_topics(own_broker.url)
    yield opened
    opened.close()


def test_a_partner_reads_its_own_topic_and_no_other(
    hub: Topics, shelter: Topics, topic: str
) -> None:
    police = f"{topic}.police"
    hub.ensure([topic, police])
    hub.append(topic, [Message(b"for the shelter")])
    hub.append(police, [Message(b"for the police")])
    hub.grant("shelter", topic, "read")
    hub.grant("police", police, "read")

    assert [one.value for one in shelter.read(topic, None, 10, 10)] == [b"for the shelter"]
    with pytest.raises(TopicError):
        shelter.read(police, None, 10, 1)
    with pytest.raises(TopicError):
        shelter.read(police, 0, 10, 1)


def test_a_reader_may_not_write_trim_or_grant(hub: Topics, shelter: Topics, topic: str) -> None:
    hub.ensure([topic])
    hub.append(topic, [Message(b"x")])
    hub.grant("shelter", topic, "read")
    with pytest.raises(TopicDeniedError):
        shelter.append(topic, [Message(b"forged")])
    with pytest.raises(TopicDeniedError):
        shelter.trim(topic, 1)
    with pytest.raises(TopicError):
        shelter.grant("shelter", f"{topic}.police", "read")
    assert [one.value for one in hub.read(topic, None, 10, 10)] == [b"x"]


def test_a_writer_may_write_and_not_read(hub: Topics, shelter: Topics, topic: str) -> None:
    hub.ensure([topic])
    hub.grant("shelter", topic, "write")
    shelter.append(topic, [Message(b"submission")])
    with pytest.raises(TopicDeniedError):
        shelter.read(topic, 0, 10, 1)
    assert [one.value for one in hub.read(topic, None, 10, 10)] == [b"submission"]


def test_a_wrong_password_is_refused(kafka_broker: LocalBroker, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("guess")
    address, _, _ = kafka_broker.user_url("shelter").partition("&password_file=")
    with pytest.raises(TopicError):
        open_topics(f"{address}&password_file={wrong}")


def test_messages_have_no_expiry_and_a_topic_made_by_hand_loses_its_own(
    kafka_url: str, topic: str
) -> None:
    from kafka.admin import ConfigResource, ConfigResourceType, NewTopic

    from hub.topics.kafka import KafkaTopics

    topics = KafkaTopics.open(kafka_url.removeprefix("kafka://"))
    try:
        by_hand = [NewTopic(topic, 1, 1, topic_configs={"retention.ms": "60000"})]
        topics.cluster.ask(lambda admin: admin.create_topics(by_hand, wait_for_metadata=True))
        made = f"{topic}.made"
        topics.ensure([topic, made])
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in (topic, made)]
        told = topics.cluster.ask(lambda admin: admin.describe_configs(asked))["topic"]
        for config in (told[topic], told[made]):
            assert config["retention.ms"]["value"] == "-1"
            assert config["max.message.bytes"]["value"] == str(9 * 1024 * 1024)
    finally:
        topics.close()


def test_a_topic_with_several_partitions_is_refused(kafka_url: str, topic: str) -> None:
    from kafka.admin import NewTopic

    from hub.topics.kafka import KafkaTopics

    topics = KafkaTopics.open(kafka_url.removeprefix("kafka://"))
    try:
        by_hand = [NewTopic(topic, 3, 1)]
        topics.cluster.ask(lambda admin: admin.create_topics(by_hand, wait_for_metadata=True))
        with pytest.raises(TopicError, match="3 partitions"):
            topics.ensure([topic])
    finally:
        topics.close()


def test_acknowledged_messages_survive_a_killed_broker_and_clients_go_on(
    own_broker: LocalBroker, topics: Topics, topic: str
) -> None:
    topics.ensure([topic])
    topics.append(topic, [Message(b"%d" % n) for n in range(500)])
    life = topics.identity(topic)
    own_broker.kill()
    waiting = threading.Thread(target=own_broker.start)
    waiting.start()
    try:
        topics.append(topic, [Message(b"while it was down")])  # waited out, not failed
    finally:
        waiting.join()
    received = topics.read(topic, 499, 10, 10)
    assert [one.value for one in received] == [b"499", b"while it was down"]
    assert topics.identity(topic) == life


def test_a_dead_broker_is_said_to_be_dead_and_not_taken_for_a_quiet_one(
    own_broker: LocalBroker, topic: str
) -> None:
    topics = open_topics(f"{own_broker.url}?timeout=3")
    try:
        topics.ensure([topic])
        topics.append(topic, [Message(b"before")])
        assert topics.read(topic, 1, 10, 0) == []
        own_broker.stop()
        with pytest.raises(TopicUnavailable):
            topics.read(topic, 1, 10, 0.2)
        with pytest.raises(TopicUnavailable):
            topics.append(topic, [Message(b"lost?")])
        own_broker.start()
        topics.append(topic, [Message(b"after")])
        # The failed one was given up, not kept to be sent behind our back.
        assert [one.value for one in topics.read(topic, 0, 10, 10)] == [b"before", b"after"]
    finally:
        topics.close()


def test_a_wiped_broker_shows_in_end_and_identity_and_can_be_filled_again(
    own_broker: LocalBroker, topics: Topics, topic: str
) -> None:
    topics.ensure([topic])
    topics.append(topic, [Message(b"%d" % n) for n in range(5)])
    offset = topics.read(topic, 0, 10, 10)[-1].offset + 1
    life = topics.identity(topic)

    own_broker.wipe()

    with pytest.raises(UnknownTopicError):
        topics.append(topic, [Message(b"x")])
    with pytest.raises(UnknownTopicError):
        topics.read(topic, offset, 10, 0)
    topics.ensure([topic])
    assert topics.end(topic) == 0 < offset
    assert topics.identity(topic) != life
    topics.append(topic, [Message(b"published again")])
    assert topics.read(topic, offset, 10, 0.2) == []
    assert [one.value for one in topics.read(topic, None, 10, 10)] == [b"published again"]
