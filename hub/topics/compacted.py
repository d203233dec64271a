"""Topics that keep the last value of every key, on somebody's own Kafka: what is replaced, leaves.

Not a `Topics` (hub/topics/port.py): keys, any number of partitions, and values that may be None,
which is Kafka's tombstone. One key is in one partition, in order. Writing is acks=all through an
idempotent producer; a failed write means unknown, and written again it is the same last value.

How a value leaves. Kafka removes what a later value of its key replaced by rewriting closed
segments; the segment that is written to is never touched, and closes only on a write that comes
later than `max.compaction.lag.ms` after its first. `forget` therefore writes the last value once
more, which closes the segment with the first copy of it, and reads the partition until none of the
earlier values is there. After `file.delete.delay.ms` the files that held them are gone too. That is
seen on the partition's leader; its followers do the same by the same settings, each for itself.
"""

from __future__ import annotations

import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from hub.topics.cluster import Cluster
from hub.topics.kafka_settings import KafkaSettings
from hub.topics.port import (
    MessageTooLargeError,
    TopicDeniedError,
    TopicError,
    TopicUnavailable,
    UnknownTopicError,
    check_name,
)

with warnings.catch_warnings():
    # As in hub/topics/cluster.py.
    warnings.simplefilter("ignore", DeprecationWarning)
    from kafka import TopicPartition
    from kafka.admin import ConfigResource, ConfigResourceType

_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0
_MARGIN: Final = 0.05
_READ_SECONDS: Final = 30.0
_IN_FLIGHT_BYTES: Final = 32 * 1024 * 1024  # the client bounds nothing itself


@dataclass(frozen=True, slots=True)
class Keyed:
    """One message. value None: nothing is left of this key."""

    topic: str
    key: bytes
    value: bytes | None = field(repr=False)
    headers: tuple[tuple[str, bytes], ...] = ()

    @property
    def size(self) -> int:
        told = sum(len(name) + len(value) for name, value in self.headers)
        return len(self.key) + len(self.value or b"") + told


@dataclass(frozen=True, slots=True)
class Written:
    """A message and where it lies."""

    message: Keyed
    partition: int
    offset: int


@dataclass(frozen=True, slots=True)
class Described:
    """A topic as the cluster has it. rights: what this user may do with it, as Kafka names it."""

    name: str
    partitions: int
    replicas: int
    rights: frozenset[str]
    settings: Mapping[str, str]


class NotForgottenError(TopicUnavailable):
    """An earlier value is still in the log after the time given: the cluster did not compact it."""

    def __init__(self, topic: str, seconds: float) -> None:
        super().__init__(f"Kafka has not compacted {topic} within {seconds:.0f} seconds")
        self.topic = topic


class CompactedTopics:
    """Compacted topics on the cluster that `settings` names. Not for several threads at once."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Connects. TopicUnavailable when nobody answers, TopicDeniedError for a wrong password."""
        self._settings = settings
        self._cluster = Cluster(settings)
        self._reader: Any = None

    def close(self) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            self._cluster.leave(reader)
        self._cluster.close()

    # -- what is there ---------------------------------------------------------------------

    def names(self, prefix: str) -> list[str]:
        """Topics this user may see whose name starts so."""
        found = self._cluster.ask(lambda admin: admin.describe_topics(None))
        return sorted(
            one["name"]
            for one in found
            if one["error_code"] == 0 and one["name"].startswith(prefix)
        )

    def brokers(self) -> int:
        return self._cluster.brokers()

    def describe(self, names: Iterable[str]) -> dict[str, Described]:
        """Those of these topics that are there. TopicDeniedError without the right to look."""
        wanted = sorted(set(names))
        if not wanted:
            return {}
        topics = self._cluster.ask(lambda admin: admin.describe_topics(wanted))
        there = {one["name"]: one for one in topics if one["error_code"] == 0}
        if not there:
            return {}
        asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in there]
        answer = self._cluster.ask(
            lambda admin: admin.describe_configs(asked, config_filter="all")
        )["topic"]
        if hidden := [name for name in there if not answer[name]]:
            raise TopicDeniedError(f"Kafka does not let this user see the settings of {hidden[0]}")
        return {
            name: Described(
                name,
                len(one["partitions"]),
                min(len(part["replica_nodes"]) for part in one["partitions"]),
                frozenset(one.get("authorized_operations") or ()),
                {key: str(told["value"]) for key, told in answer[name].items()},
            )
            for name, one in there.items()
        }

    def make(
        self, names: Iterable[str], partitions: int, replication: int | None, lag_ms: int
    ) -> None:
        """Make these topics, so that what is replaced leaves within seconds."""
        brokers = self.brokers()
        copies = replication or min(3, brokers)
        config = layout(lag_ms) | {"min.insync.replicas": str(max(1, copies - 1))}
        self._cluster.create({check_name(name): config for name in names}, partitions, copies)

    def may_make(self, name: str) -> bool:
        """Whether this user could make this topic. Nothing is made."""
        try:
            self._cluster.create({check_name(name): layout(1000)}, 1, 1, only_asked=True)
        except TopicDeniedError:
            return False
        return True

    # -- writing ---------------------------------------------------------------------------

    def write(self, messages: Sequence[Keyed]) -> list[Written]:
        """Write in order; all are durable when this returns.

        TooLargeError names the message; nothing is then known of the others.
        """
        deadline = time.monotonic() + self._settings.timeout
        written: list[Written] = []
        waiting: deque[tuple[Keyed, Any]] = deque()
        size = 0

        def acknowledged() -> int:
            message, future = waiting.popleft()
            with _named(message):
                self._cluster.call(
                    lambda: self._cluster.acknowledged(future, message.topic, deadline)
                )
            told = future.get(0)
            written.append(Written(message, told.partition, told.offset))
            return message.size

        with self._cluster.producing() as producer:
            for message in messages:
                send = partial(
                    producer.send,
                    message.topic,
                    key=message.key,
                    value=message.value,
                    headers=list(message.headers),
                )
                with _named(message):
                    waiting.append((message, self._cluster.call(send)))
                size += message.size
                while size > _IN_FLIGHT_BYTES:
                    size -= acknowledged()
            while waiting:
                acknowledged()
        return written

    # -- leaving ---------------------------------------------------------------------------

    def holding(self, topics: Iterable[str], keys: Iterable[bytes]) -> list[tuple[str, bytes]]:
        """Where a value of these keys is still readable: (topic, key)."""
        return list(self.readable(topics, keys))

    def readable(
        self, topics: Iterable[str], keys: Iterable[bytes]
    ) -> dict[tuple[str, bytes], bytes]:
        """(topic, key) → the newest value of it that is still readable, also under a tombstone."""
        wanted = frozenset(keys)
        found: dict[tuple[str, bytes], bytes] = {}
        for name, topic in self.describe(topics).items():
            for number in range(topic.partitions):
                for key, value in self._read(TopicPartition(name, number)):
                    if key in wanted and value is not None:
                        found[name, key] = value
        return found

    def forget(self, written: Sequence[Written], seconds: float) -> None:
        """Return when no other value of these keys is in the log. NotForgottenError else."""
        deadline = time.monotonic() + seconds
        places: dict[Any, dict[bytes, Keyed]] = {}
        for one in written:
            place = TopicPartition(one.message.topic, one.partition)
            places.setdefault(place, {})[one.message.key] = one.message
        topics = self.describe({place.topic for place in places})
        if gone := sorted({place.topic for place in places} - set(topics)):
            raise UnknownTopicError(f"there is no topic {gone[0]} any more")
        lags, delays = (
            {name: int(one.settings[setting]) / 1000 for name, one in topics.items()}
            for setting in ("max.compaction.lag.ms", "file.delete.delay.ms")
        )
        closed = dict.fromkeys(places, time.monotonic())
        left = {place for place, mine in places.items() if self._stale(place, mine)}
        pause = _FIRST_PAUSE
        while left:
            if time.monotonic() >= deadline:
                raise NotForgottenError(min(left).topic, seconds)
            time.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)
            for place in sorted(left):
                stale = self._stale(place, places[place])
                if not stale:
                    left.discard(place)
                elif time.monotonic() - closed[place] > lags[place.topic]:
                    # The same once more: the segment that holds what replaces the rest closes.
                    # Of each key: a sender that was killed may have come in between.
                    self.write([places[place][key] for key in sorted(stale)])
                    closed[place] = time.monotonic()
        # The broker removes the files that held them after this time; an attempt before this one
        # may have ended while it did.
        time.sleep(max(delays.values(), default=0.0) + _MARGIN)

    def _stale(self, place: Any, mine: Mapping[bytes, Keyed]) -> set[bytes]:
        """Of which keys another value than their last can still be read."""
        return {
            key
            for key, value in self._read(place)
            if key in mine and value not in (None, mine[key].value)
        }

    def _offsets(self, place: Any) -> tuple[int, int]:
        consumer = self._consumer()
        return self._cluster.call(
            lambda: (
                int(consumer.beginning_offsets([place])[place]),
                int(consumer.end_offsets([place])[place]),
            )
        )

    def _read(self, place: Any) -> Iterable[tuple[bytes, bytes | None]]:
        """(key, value) of everything that is there now, oldest first."""
        first, end = self._offsets(place)
        if first >= end:
            return
        consumer = self._consumer()
        self._cluster.call(lambda: consumer.assign([place]))
        self._cluster.call(lambda: consumer.seek(place, first))
        quiet = time.monotonic() + _READ_SECONDS
        while self._cluster.call(lambda: consumer.position(place)) < end:
            records = self._cluster.call(lambda: consumer.poll(timeout_ms=500)).get(place, [])
            for record in records:
                if record.key is not None:
                    yield record.key, record.value
            if records:
                quiet = time.monotonic() + _READ_SECONDS
            elif time.monotonic() >= quiet:
                raise TopicUnavailable(f"Kafka holds {place.topic} but does not deliver it")

    def _consumer(self) -> Any:
        if self._reader is None:
            self._reader = self._cluster.call(self._cluster.consumer)
        return self._reader


@contextmanager
def _named(message: Keyed) -> Iterator[None]:
    try:
        yield
    except MessageTooLargeError as error:
        raise TooLargeError(message, str(error)) from error


class TooLargeError(TopicError):
    """This message is larger than the topic takes, now and later."""

    def __init__(self, message: Keyed, text: str) -> None:
        super().__init__(text)
        self.message = message


def layout(lag_ms: int) -> dict[str, str]:
    """Settings of a topic from which what is replaced leaves soon. lag_ms: milliseconds."""
    return {
        "cleanup.policy": "compact",
        "max.compaction.lag.ms": str(lag_ms),
        "min.compaction.lag.ms": "0",
        # A reader that was away for a week still learns what was taken back.
        "delete.retention.ms": str(7 * 24 * 3600 * 1000),
        "file.delete.delay.ms": str(min(1000, lag_ms)),
        # The broker's clock: a sender's that is ahead would put compaction off.
        "message.timestamp.type": "LogAppendTime",
        "unclean.leader.election.enable": "false",
    }
