"""Topics under a prefix: several hubs, or a test beside a production hub, on one Kafka cluster.

    kafka://broker-1:9092?prefix=test-

Every name is put behind the prefix and nothing else changes: names, access rules and offsets of
others are out of reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from hub.topics.port import Appended, Message, Operation, Received, Topics, check_name


class PrefixedTopics:
    """The topics of `inner` whose names begin with `prefix`, without it."""

    def __init__(self, inner: Topics, prefix: str) -> None:
        self._inner = inner
        self._prefix = check_name(prefix)

    def _full(self, topic: str) -> str:
        return self._prefix + topic

    def ensure(self, names: Iterable[str]) -> None:
        self._inner.ensure([self._full(name) for name in names])

    def append(self, topic: str, messages: Sequence[Message]) -> None:
        self._inner.append(self._full(topic), messages)

    def append_each(self, batches: Mapping[str, Sequence[Message]]) -> dict[str, Appended]:
        done = self._inner.append_each({self._full(name): some for name, some in batches.items()})
        return {name: done[self._full(name)] for name in batches}

    def read(self, topic: str, offset: int | None, limit: int, timeout: float) -> list[Received]:
        return self._inner.read(self._full(topic), offset, limit, timeout)

    def end(self, topic: str) -> int:
        return self._inner.end(self._full(topic))

    def trim(self, topic: str, before: int) -> None:
        self._inner.trim(self._full(topic), before)

    def trim_each(self, before: Mapping[str, int]) -> None:
        self._inner.trim_each({self._full(name): offset for name, offset in before.items()})

    def identity(self, topic: str) -> str:
        return self._inner.identity(self._full(topic))

    def grant(self, principal: str, topic: str, operation: Operation) -> None:
        self._inner.grant(principal, self._full(topic), operation)

    def close(self) -> None:
        self._inner.close()
