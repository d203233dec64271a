"""Topics: ordered, durable logs of opaque messages between the hub and its partners.

One topic has one partition, so an offset says everything about order. Messages
are sealed before they come here: a topic knows their size and nothing else.

Two implementations promise the same and pass the same tests
(`tests/topics/test_contract.py`): `hub.topics.embedded` (one SQLite file, for
one machine) and `hub.topics.kafka` (Apache Kafka 4). Topics are transport, not
the record: the hub's store can publish everything again after a loss.

Deliberately absent: consumer groups, committed offsets and transactions. A
reader keeps its own offset, in the same transaction as its effect.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal, Protocol

MAX_MESSAGE_BYTES: Final = 8 * 1024 * 1024
"""The largest message (value and headers together) any topic accepts."""

READ_BYTES: Final = 32 * 1024 * 1024
"""One read() stops after about this many bytes, however large its limit."""

Operation = Literal["read", "write"]

_NAME = re.compile(r"[A-Za-z0-9._-]{1,200}")
_NO_HEADERS: Final[Mapping[str, bytes]] = MappingProxyType({})


class TopicError(Exception):
    """The topic log refused or failed; read the message, it says what to do."""


class TopicUnavailable(TopicError):
    """The log cannot be reached: try again later. What was appended may or may not be stored."""


class UnknownTopicError(TopicUnavailable):
    """The topic does not exist, or no longer does: ensure() it, then try again."""


class TopicStoppedError(TopicUnavailable):
    """The disk under the embedded log failed: free or repair it, then restart this process."""


class MessageTooLargeError(TopicError):
    """A message is larger than a topic takes: nothing was stored and a retry cannot help."""


class TopicDeniedError(TopicError):
    """The broker's access rules forbid this: ask its operator for a grant."""


@dataclass(frozen=True, slots=True)
class Message:
    """What is appended. Header names are ASCII, and hold nothing about a person."""

    value: bytes
    headers: Mapping[str, bytes] = field(default_factory=lambda: _NO_HEADERS)

    @property
    def size(self) -> int:
        return len(self.value) + sum(len(k) + len(v) for k, v in self.headers.items())


@dataclass(frozen=True, slots=True)
class Received:
    """What is read: a message and its place in the topic."""

    offset: int
    value: bytes
    headers: Mapping[str, bytes] = field(default_factory=lambda: _NO_HEADERS)


Appended = int | TopicUnavailable
"""What became of an append: the offset behind the last message, or why that is unknown."""


class Topics(Protocol):
    """A set of single-partition topics. Every method may be called from any thread.

    Offsets start at 0 and rise by one per message. A topic that was lost and made
    again starts at 0 again: then end() is smaller than a reader's offset, and
    identity() has changed (which also tells when the new topic has grown past it).
    """

    def ensure(self, names: Iterable[str]) -> None:
        """Create the topics that do not exist. Existing ones keep their messages."""

    def append(self, topic: str, messages: Sequence[Message]) -> None:
        """Append in order; all are durable when this returns.

        TopicUnavailable means unknown: any part may be stored, so the caller sends
        all of it again, and the reader drops what it has already applied.
        MessageTooLargeError is raised before anything is sent.
        """
        if not messages:
            return
        done = self.append_each({topic: messages})[topic]
        if isinstance(done, TopicUnavailable):
            raise done

    def append_each(self, batches: Mapping[str, Sequence[Message]]) -> dict[str, Appended]:
        """Append to several topics at once, to each as append() does; one wait for all.

        Answers per topic: one that is missing keeps no other from being appended to.
        """

    def read(self, topic: str, offset: int | None, limit: int, timeout: float) -> list[Received]:
        """Up to `limit` messages from `offset` on (None: the earliest kept), oldest first.

        An offset that was trimmed away reads from the earliest kept. With nothing
        there, waits up to `timeout` seconds and returns an empty list; so does an
        offset past end(), which a caller tells from quiet by asking end().
        """

    def end(self, topic: str) -> int:
        """The offset the next message will get. Never falls while the topic lives."""

    def trim(self, topic: str, before: int) -> None:
        """Remove every message with an offset below `before` (at most to end())."""

    def trim_each(self, before: Mapping[str, int]) -> None:
        """trim() of several topics (topic → offset) at once. Repeating it is harmless."""

    def identity(self, topic: str) -> str:
        """An opaque name of this life of the topic; a topic made again has another."""

    def grant(self, principal: str, topic: str, operation: Operation) -> None:
        """Let `principal` read or write the topic, where the log has access rules."""

    def close(self) -> None:
        """Release everything held. Later calls raise TopicUnavailable."""


def check_name(name: str) -> str:
    """A name both implementations accept (Kafka's alphabet and a safe length)."""
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise TopicError(f"not a topic name: {name[:80]!r} (letters, digits, '.', '_', '-')")
    return name


def check_messages(messages: Sequence[Message]) -> None:
    """Refuse what no topic takes, before any of it is sent."""
    for message in messages:
        if message.size > MAX_MESSAGE_BYTES:
            raise MessageTooLargeError(
                f"a message of {message.size} bytes; a topic takes {MAX_MESSAGE_BYTES}"
            )
        if not all(name.isascii() for name in message.headers):
            raise TopicError("header names are ASCII")
