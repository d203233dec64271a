"""Topics under a prefix: two hubs on one cluster never meet."""

from __future__ import annotations

from pathlib import Path

import pytest

from hub.topics import Message, TopicError, UnknownTopicError, open_topics
from hub.topics.prefixed import PrefixedTopics


def test_same_name_under_two_prefixes_is_two_topics(tmp_path: Path) -> None:
    inner = open_topics(f"embedded:///{tmp_path}/topics.db")
    one, other = PrefixedTopics(inner, "one."), PrefixedTopics(inner, "other.")
    one.ensure(["nrm.ingest"])
    one.append("nrm.ingest", [Message(b"a"), Message(b"b")])

    with pytest.raises(UnknownTopicError):
        other.end("nrm.ingest")
    other.ensure(["nrm.ingest"])

    assert other.end("nrm.ingest") == 0
    assert [m.value for m in one.read("nrm.ingest", None, 10, 0.0)] == [b"a", b"b"]
    one.trim("nrm.ingest", 1)
    assert [m.value for m in one.read("nrm.ingest", 0, 10, 0.0)] == [b"b"]
    assert one.identity("nrm.ingest") != other.identity("nrm.ingest")
    assert inner.end("one.nrm.ingest") == 2
    one.close()


def test_a_prefix_is_part_of_a_topic_name(tmp_path: Path) -> None:
    inner = open_topics(f"embedded:///{tmp_path}/topics.db")
    with pytest.raises(TopicError):
        PrefixedTopics(inner, "not a name")
    inner.close()


@pytest.mark.kafka
def test_an_address_names_the_prefix(kafka_url: str) -> None:
    plain, prefixed = open_topics(kafka_url), open_topics(f"{kafka_url}?prefix=pre-&replication=1")
    prefixed.ensure(["prefix.test"])
    prefixed.append("prefix.test", [Message(b"x")])
    assert plain.end("pre-prefix.test") == 1
    prefixed.close()
    plain.close()
