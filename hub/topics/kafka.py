"""Topics on Apache Kafka 4, over the clients of `cluster.py`.

Promises, beyond the port's: acks=all and an idempotent producer, each message's
future awaited before append() returns; topics with one partition, no time or size
limit on retention, and min.insync.replicas one below the replication factor. On a
single broker a message survives the process, not the machine: durability is
replication (docs/operations-kafka.md).

Offsets are the caller's: no group, no commit, no reset by the client. Kafka's own
transactions are not used; a failed send means unknown.
"""

from __future__ import annotations

import threading
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

from hub.topics.cluster import MAX_BATCH_BYTES, Cluster, OffsetGone
from hub.topics.kafka_settings import KafkaSettings
from hub.topics.port import (
    Appended,
    Message,
    Operation,
    Received,
    TopicDeniedError,
    TopicError,
    Topics,
    TopicUnavailable,
    UnknownTopicError,
    check_messages,
    check_name,
)

with warnings.catch_warnings():
    # As in hub/topics/cluster.py.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import KafkaProducer, OffsetSpec, TopicPartition
    from kafka.admin import (
        ACL,
        ACLOperation,
        ACLPermissionType,
        ConfigResource,
        ConfigResourceType,
        ResourcePattern,
        ResourceType,
    )

_IN_FLIGHT_BYTES: Final = 32 * 1024 * 1024  # the client bounds nothing itself
_IN_FLIGHT_MESSAGES: Final = 2_000
_APPENDS_AT_ONCE: Final = 8
_IDLE_CONSUMERS: Final = 8
_FETCH_SECONDS: Final = 0.05

_GRANTS: Final = {
    "read": (ACLOperation.READ, ACLOperation.DESCRIBE),
    "write": (ACLOperation.WRITE, ACLOperation.DESCRIBE),
}


class KafkaTopics(Topics):
    """Topics (hub.topics.port) on the Kafka cluster that `settings` names."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.cluster = Cluster(settings)
        self._lock = threading.Lock()
        self._consumers: deque[_Consumer] = deque()
        self._appends = threading.BoundedSemaphore(_APPENDS_AT_ONCE)

    @classmethod
    def open(cls, address: str) -> KafkaTopics:
        return cls(KafkaSettings.parse(address))

    def ensure(self, names: Iterable[str]) -> None:
        wanted = list(dict.fromkeys(check_name(name) for name in names))
        if not wanted:
            return
        held = {
            topic["name"]: topic
            for topic in self.cluster.ask(lambda admin: admin.describe_topics(wanted))
            if topic["error_code"] == 0
        }
        for name, topic in held.items():
            if len(topic["partitions"]) != 1:
                raise TopicError(f"topic {name} has {len(topic['partitions'])} partitions, not 1")
        replication, config = self._layout()
        self.cluster.create({name: config for name in wanted if name not in held}, 1, replication)
        if held:  # a topic made by hand with a time limit would lose what waits for a partner
            limits = [ConfigResource(ConfigResourceType.TOPIC, name, config) for name in held]
            self.cluster.ask(lambda admin: admin.alter_configs(limits))

    def append_each(self, batches: Mapping[str, Sequence[Message]]) -> dict[str, Appended]:
        for messages in batches.values():
            check_messages(messages)
        done: dict[str, Appended] = {}
        try:
            with self._appends, self.cluster.producing() as producer:
                self._send(producer, batches, done)
                for one in done.values():
                    if isinstance(one, TopicUnavailable):
                        raise one  # so that the producer is replaced
        except TopicUnavailable as away:
            done = {topic: done.get(topic, away) for topic in batches}
        return {topic: self._told(topic, done.get(topic, 0)) for topic in batches}

    def _told(self, topic: str, done: Appended) -> Appended:
        """The client reports a missing topic as a time-out, and tells no offset of what Kafka
        had already: ask."""
        if isinstance(done, int) and done > 0:
            return done
        try:
            end = self.cluster.end(topic)
        except TopicUnavailable as away:
            return away
        return end if isinstance(done, int) else done

    def read(self, topic: str, offset: int | None, limit: int, timeout: float) -> list[Received]:
        if limit <= 0:
            return []
        now = time.monotonic()
        quiet, stalled = now + timeout, now + max(timeout, self.cluster.settings.timeout)
        start = self.cluster.offset(topic, OffsetSpec.EARLIEST) if offset is None else offset
        with self._consuming(topic) as consumer:
            while time.monotonic() < stalled:
                found = self._poll(consumer, start, limit, quiet - time.monotonic())
                if found:
                    return found
                # Nothing came. Ask the broker: is it there, what does it hold? Without this
                # a dead broker, or an offset trimmed away, would look like a quiet topic.
                end = self.cluster.end(topic)
                if start != end:
                    start = max(start, self.cluster.offset(topic, OffsetSpec.EARLIEST))
                left = quiet - time.monotonic()
                if start < end:
                    # It is there and on its way: wait for it even if the caller would not.
                    quiet = max(quiet, time.monotonic() + _FETCH_SECONDS)
                elif left <= 0:
                    return []
                elif start > end:
                    time.sleep(min(left, _FETCH_SECONDS))
        raise TopicUnavailable(f"Kafka holds {topic} from {start} on but does not deliver it")

    def end(self, topic: str) -> int:
        return self.cluster.end(topic)

    def trim(self, topic: str, before: int) -> None:
        self.trim_each({topic: before})

    def trim_each(self, before: Mapping[str, int]) -> None:
        ends = self.cluster.ends(before)
        wanted = {
            TopicPartition(topic, 0): min(offset, ends[topic])
            for topic, offset in before.items()
            if offset > 0
        }
        if wanted:
            self.cluster.ask(lambda admin: admin.delete_records(wanted))

    def identity(self, topic: str) -> str:
        described = self.cluster.ask(lambda admin: admin.describe_topics([topic]))
        if not described or described[0]["error_code"] != 0:
            raise UnknownTopicError(f"there is no topic {topic}")
        return str(described[0]["topic_id"])

    def grant(self, principal: str, topic: str, operation: Operation) -> None:
        """`principal` is a user's name, or Kafka's own form such as "User:CN=shelter"."""
        pattern = ResourcePattern(ResourceType.TOPIC, check_name(topic))
        name = principal if ":" in principal else f"User:{principal}"
        rules = [
            ACL(name, "*", right, ACLPermissionType.ALLOW, pattern) for right in _GRANTS[operation]
        ]
        refused = self.cluster.ask(lambda admin: admin.create_acls(rules))["failed"]
        if refused:  # the client returns refusals instead of raising them
            raise TopicDeniedError(f"Kafka refused the grant on {topic}: {refused}")

    def close(self) -> None:
        self.cluster.close()  # first: no reader is kept from here on
        with self._lock:
            consumers, self._consumers = self._consumers, deque()
        for consumer in consumers:
            consumer.close()

    def _layout(self) -> tuple[int, dict[str, str]]:
        brokers = self.cluster.brokers()
        replication = self.cluster.settings.replication or min(3, brokers)
        min_insync = self.cluster.settings.min_insync or max(1, replication - 1)
        return replication, {
            "cleanup.policy": "delete",
            "retention.ms": "-1",
            "retention.bytes": "-1",
            "min.insync.replicas": str(min_insync),
            "unclean.leader.election.enable": "false",
            "max.message.bytes": str(MAX_BATCH_BYTES),
            # Short segments, removed soon after a trim: nothing outlives its delivery here.
            "segment.bytes": str(32 * 1024 * 1024),
            "segment.ms": "600000",
            "file.delete.delay.ms": "1000",
        }

    def _send(
        self,
        producer: KafkaProducer,
        batches: Mapping[str, Sequence[Message]],
        done: dict[str, Appended],
    ) -> None:
        """All of it on its way, then each acknowledged: one wait for all topics."""
        cluster, waiting, size = self.cluster, deque[tuple[str, Any, int]](), 0

        def acknowledged() -> int:
            deadline = time.monotonic() + cluster.settings.timeout  # a send may have waited long
            topic, future, its_size = waiting.popleft()
            if not isinstance(done.get(topic), TopicUnavailable):
                try:
                    done[topic] = cluster.acknowledged(future, topic, deadline) + 1
                except TopicUnavailable as away:
                    done[topic] = away
            return its_size

        for topic, messages in batches.items():
            for message in messages:
                try:
                    waiting.append((topic, cluster.sent(producer, topic, message), message.size))
                except TopicUnavailable as away:
                    done[topic] = away
                    break
                size += message.size
                while size > _IN_FLIGHT_BYTES or len(waiting) > _IN_FLIGHT_MESSAGES:
                    size -= acknowledged()
        while waiting:
            acknowledged()

    def _poll(self, consumer: _Consumer, offset: int, limit: int, timeout: float) -> list[Received]:
        try:
            return self.cluster.call(lambda: consumer.read(offset, limit, timeout))
        except OffsetGone:
            return []

    @contextmanager
    def _consuming(self, topic: str) -> Iterator[_Consumer]:
        """A consumer nobody else uses, by preference the one that last read this topic."""
        with self._lock:
            if self.cluster.closed:
                raise TopicUnavailable("the topics are closed")
            consumer = next((c for c in self._consumers if c.topic == topic), None)
            if consumer is not None:
                self._consumers.remove(consumer)
            elif len(self._consumers) >= _IDLE_CONSUMERS:
                consumer = self._consumers.popleft()
        if consumer is None:
            consumer = _Consumer(self.cluster.call(self.cluster.consumer))
        keep = False
        try:
            self.cluster.call(lambda: consumer.turn_to(topic))
            yield consumer
            keep = True
        finally:
            with self._lock:
                keep = keep and not self.cluster.closed and len(self._consumers) < _IDLE_CONSUMERS
                if keep:
                    self._consumers.append(consumer)
            if not keep:
                consumer.close()


class _Consumer:
    """One consumer, its topic and the offset it would deliver next."""

    def __init__(self, client: Any) -> None:
        self.topic: str | None = None
        self._next: int | None = None
        self._client = client

    def turn_to(self, topic: str) -> None:
        if self.topic != topic:
            self._client.assign([TopicPartition(topic, 0)])
            self.topic, self._next = topic, None

    def read(self, offset: int, limit: int, timeout: float) -> list[Received]:
        partition = TopicPartition(str(self.topic), 0)
        if self._next != offset:  # seeking drops what was fetched ahead
            self._next = None
            self._client.seek(partition, offset)
            self._next = offset
        try:
            wait = max(0, int(timeout * 1000))
            batches = self._client.poll(timeout_ms=wait, max_records=limit)
        except BaseException:
            self._next = None
            raise
        records = batches.get(partition, [])
        if records:
            self._next = records[-1].offset + 1
        return [Received(r.offset, r.value or b"", dict(r.headers)) for r in records]

    def close(self) -> None:
        Cluster.leave(self._client)


def cluster_id(address: str) -> str | None:
    """Which cluster answers at `address`; None when none does yet."""
    try:
        cluster = Cluster(KafkaSettings.parse(address))
    except TopicUnavailable:
        return None
    try:
        return str(cluster.ask(lambda admin: admin.describe_cluster())["cluster_id"])
    except TopicUnavailable:
        return None
    finally:
        cluster.close()
