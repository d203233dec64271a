"""Topics: the durable logs between hub and partners, embedded or on Kafka.

`open_topics(url)` is the only door; which broker stands behind it is a setting:

    embedded:///var/lib/nrm-hub/topics.db
    kafka://broker-1:9092,broker-2:9092?replication=3
    kafka://broker-1:9092?prefix=test-          several hubs on one cluster, one prefix each
"""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from hub.topics.port import (
    MAX_MESSAGE_BYTES,
    Message,
    MessageTooLargeError,
    Operation,
    Received,
    TopicDeniedError,
    TopicError,
    Topics,
    TopicStoppedError,
    TopicUnavailable,
    UnknownTopicError,
    check_name,
)

__all__ = [
    "MAX_MESSAGE_BYTES",
    "Message",
    "MessageTooLargeError",
    "Operation",
    "Received",
    "TopicDeniedError",
    "TopicError",
    "TopicStoppedError",
    "TopicUnavailable",
    "Topics",
    "UnknownTopicError",
    "open_topics",
]


def open_topics(url: str) -> Topics:
    """The topics at `url`. Fails within seconds, in words, when nothing answers there."""
    scheme, found, rest = url.partition("://")
    if found and scheme == "embedded":
        if not rest.startswith("/"):
            raise TopicError("embedded topics need an absolute path: embedded:///path/topics.db")
        from hub.topics.embedded import EmbeddedTopics

        return EmbeddedTopics(rest)
    if found and scheme == "kafka":
        from hub.topics.kafka import KafkaTopics  # slow to import, and not always wanted

        servers, _, query = rest.partition("?")
        options = parse_qsl(query, keep_blank_values=True)
        prefix = dict(options).get("prefix")
        if prefix is None:
            return KafkaTopics.open(rest)
        from hub.topics.prefixed import PrefixedTopics

        others = urlencode([one for one in options if one[0] != "prefix"])
        return PrefixedTopics(KafkaTopics.open(f"{servers}?{others}"), check_name(prefix))
    raise TopicError("topics are at embedded:///path/topics.db or kafka://host:port[,host:port]")
