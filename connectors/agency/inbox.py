"""Inbox: where sealed messages of the hub come from, and where receipts go back.

Topics and HTTP carry the same bytes. Nothing here verifies or opens anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from connectors.agency.http import AGAIN, AGAIN_MARK, ANSWERED, HubCalls, split_messages
from connectors.agency.identity import AgencyIdentity
from connectors.delivery import BadMessage, Opened
from connectors.errors import StopError, TransportDownError
from hub.topics import Message, TopicError, Topics, TopicUnavailable
from schemas import wire
from schemas.avro import AvroError

if TYPE_CHECKING:
    import httpx2

DELIVERIES_PATH = "/v1/deliveries"
RECEIPTS_PATH = "/v1/receipts"
REGISTRY_PATH = "/v1/registry"
_LOOK_BACK = 5  # messages
_LONGEST_MARK = 64


class Opens(Protocol):
    """What opens messages: connectors/opening/opener.py."""

    def open(self, raw: bytes, expected: int | None = None) -> Opened | BadMessage: ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message as it lay there. `cursor`: where to go on after it; opaque to everyone else."""

    value: bytes
    cursor: str

    def opened(self, opener: Opens, expected: int | None) -> Opened | BadMessage:
        """What the opener says of it. An inbox that had it opened already knows."""
        return opener.open(self.value, expected)


class Inbox(Protocol):
    """Sealed messages in the hub's order, and the way back.

    start() says where to go on: a cursor kept with the last applied sequence ("" at first), and
    that sequence, which wins where the two disagree; receipts up to it are sent before read() is
    called. read() waits up to `timeout` seconds and returns messages in order; some may come
    twice, and what the hub sends once more comes under its old sequence. rewind() goes back to
    where the message with `sequence` should be; False if this inbox cannot. emptied(): nothing is
    here to be read; whether the message with `sequence`, which should come next, lay here once and
    was taken away, because a receipt for it was had. All raise TransportDownError while the hub is
    away. send_receipts() is durable on return; a receipt may be sent twice.
    """

    def start(self, cursor: str, sequence: int) -> None: ...

    def read(self, limit: int, timeout: float) -> list[Sealed]: ...

    def rewind(self, sequence: int) -> bool: ...

    def emptied(self, sequence: int) -> bool: ...

    def send_receipts(self, receipts: Sequence[bytes]) -> None: ...

    def registry(self) -> bytes | None:
        """The newest SignedRegistry the hub has published; None if there is none yet."""

    def close(self) -> None: ...


class TopicInbox:
    """This agency's delivery topic. The cursor is "topic life:offset to read next"."""

    def __init__(self, topics: Topics, identity: AgencyIdentity) -> None:
        names = identity.hub.topics
        self._topics = topics
        self._deliveries = names["deliveries"]
        self._receipts = names["receipts"]
        self._registry = names["registry"]
        self._offset: int | None = None
        self._life = ""

    def start(self, cursor: str, sequence: int) -> None:  # noqa: ARG002 - runner skips what it has
        life, _, offset = cursor.rpartition(":")
        with _topics_up():
            self._life = self._topics.identity(self._deliveries)
        # A topic that was made again starts anew: read all of it, sequences tell what is new.
        self._offset = int(offset) if offset.isdigit() and life == self._life else None

    def read(self, limit: int, timeout: float) -> list[Sealed]:
        with _topics_up():
            messages = self._topics.read(self._deliveries, self._offset, limit, timeout)
            if not messages:
                life = self._topics.identity(self._deliveries)
                if life != self._life:
                    self._life, self._offset = life, None
                return []
        self._offset = messages[-1].offset + 1
        return [Sealed(m.value, f"{self._life}:{m.offset + 1}") for m in messages]

    def rewind(self, sequence: int) -> bool:  # noqa: ARG002 - only the messages know sequences
        self._offset = None
        return True

    def emptied(self, sequence: int) -> bool:
        if self._offset is None and sequence > 1:
            return False  # its books were kept with another inbox: the topic cannot tell
        with _topics_up():
            end = self._topics.end(self._deliveries)
            # Read after the end was asked for: what comes in between is there to be read.
            return end > (self._offset or 0) and not self._topics.read(
                self._deliveries, self._offset, 1, 0.0
            )

    def newest(self, after: int) -> int:
        """The last sequence on the topic, or `after`; see connectors/telling/lag.py."""
        with _topics_up():
            end = self._topics.end(self._deliveries)
            # What is sent again bears an old sequence, so the very last may not be the newest.
            messages = self._topics.read(self._deliveries, max(0, end - _LOOK_BACK), _LOOK_BACK, 0)
        return max([after, *(last_sequence(message.value) for message in messages)])

    def send_receipts(self, receipts: Sequence[bytes]) -> None:
        with _topics_up():
            self._topics.append(self._receipts, [Message(receipt) for receipt in receipts])

    def registry(self) -> bytes | None:
        with _topics_up():
            end = self._topics.end(self._registry)
            if end == 0:
                return None
            messages = self._topics.read(self._registry, end - 1, 1, 0.0)
        return messages[-1].value if messages else None

    def close(self) -> None:
        self._topics.close()


class HttpInbox(HubCalls):
    """The hub's HTTP API, which answers from its log. The cursor is "again:", how many orders to
    send something again were seen, and ":" with the hub's mark of them; where to go on in the
    sequence the sink itself knows.
    """

    _after = 0
    _again = 0
    _mark = ""
    _started: int | None = None  # the sequence it was started at; None: compared with the hub's

    def start(self, cursor: str, sequence: int) -> None:
        kind, _, seen = cursor.partition(":")
        count, _, mark = seen.partition(":")
        known = kind == "again" and count.isdigit()
        self._again, self._mark = (int(count), mark) if known else (0, "")
        self._after = self._started = sequence

    def read(self, limit: int, timeout: float) -> list[Sealed]:
        wait = min(timeout, self._timeout / 2)
        path = f"{DELIVERIES_PATH}?after={self._after}&limit={limit}&wait={wait:g}"
        mark = f"&again_mark={self._mark}" if self._mark else ""
        response = self._request("GET", f"{path}&again={self._again}{mark}")
        if self._unanswered(response):
            return self.read(limit, timeout)
        values = _messages(response)
        for value in values:
            # A hint only: if it lies, the runner sees a gap and comes back with rewind(). What is
            # sent again comes first, under sequences of before.
            self._after = max(self._after, last_sequence(value))
        self._again = _count(response, AGAIN, self._again)
        self._mark = _mark(response)
        cursor = f"again:{self._again}:{self._mark}" if self._mark else f"again:{self._again}"
        return [Sealed(value, cursor) for value in values]

    def _unanswered(self, response: httpx2.Response) -> bool:
        """Once after each start: whether the hub lacks receipts that were sent before; then the
        messages they were for are read once more, as a topic would have brought them again."""
        started, self._started = self._started, None
        if started is None:
            return False
        answered = _count(response, ANSWERED, started)
        self._after = min(started, answered)
        return answered < started

    def rewind(self, sequence: int) -> bool:
        self._after = sequence - 1
        return True

    def emptied(self, sequence: int) -> bool:  # noqa: ARG002 - the hub's log has everything
        return False

    def newest(self, after: int) -> int:
        """The last sequence in the hub's log, or `after`: steps that double, then halve."""
        known, step = after, 1
        beyond: int | None = None
        while True:
            asked = known + step - 1 if beyond is None else (known + beyond) // 2
            found = self._first_after(asked)
            if found is None:
                if asked == known:
                    return known
                beyond = asked
            else:
                known, step = max(known, found), step * 2

    def _first_after(self, sequence: int) -> int | None:
        """The last sequence of the first message behind this one; None if there is none."""
        path = f"{DELIVERIES_PATH}?after={sequence}&limit=1&wait=0"
        return max(map(last_sequence, _messages(self._request("GET", path))), default=None)

    def send_receipts(self, receipts: Sequence[bytes]) -> None:
        for receipt in receipts:
            self._request("POST", RECEIPTS_PATH, receipt)

    def registry(self) -> bytes | None:
        response = self._request("GET", REGISTRY_PATH)
        return response.content if response.status_code == 200 else None


def _messages(response: httpx2.Response) -> list[bytes]:
    """Those of an answer; none of one that has nothing."""
    try:
        return [] if response.status_code == 204 else split_messages(response.content)
    except ValueError as cut:
        raise TransportDownError(str(cut)) from None


def _count(response: httpx2.Response, header: str, unknown: int) -> int:
    """A header of an answer; an older hub does not tell it."""
    told = str(response.headers.get(header, ""))
    return int(told) if told.isascii() and told.isdigit() else unknown


def _mark(response: httpx2.Response) -> str:
    """The hub's mark of the orders seen; "" of an older hub, or before the first."""
    told = str(response.headers.get(AGAIN_MARK, ""))
    return told if len(told) <= _LONGEST_MARK and told.isascii() and told.isalnum() else ""


def last_sequence(value: bytes) -> int:
    """The last sequence a message says it holds; 0 if it is none."""
    try:
        return int(wire.SEALED_DELIVERIES.unsingle(value)["last_sequence"])
    except AvroError:
        return 0


class _topics_up:
    """Turns what topics raise into what a runner knows: wait, or stop."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, wrong: BaseException | None, trace: object) -> None:
        if isinstance(wrong, TopicUnavailable):
            raise TransportDownError(f"the hub's topics cannot be reached: {wrong}") from wrong
        if isinstance(wrong, TopicError):
            raise StopError(str(wrong)) from wrong
