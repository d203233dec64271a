"""Ahead: while there is much to read, a second process verifies and opens the next messages and the
partner's database takes what was opened before.

    inbox → read ahead → [ connectors/opening/beside.py ] → runner → sink

An inbox like any other: the same messages in the same order, and what they say of themselves is
what the opener says. What the process cannot decide (a key that is not known: the hub would have
to be asked) or decided under an older registry than is held now, the runner's own opener decides.
So it is before the process is up, and when it is gone.

It is started when BACKLOG bytes were taken without a pause and there are more, and ended when
nothing came for IDLE seconds or a batch was not applied: a connector that waits is small. At most
MESSAGES, or about AHEAD bytes, are read ahead; while the partner is down nothing more is read.
"""

from __future__ import annotations

import itertools
import logging
import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from connectors.agency.inbox import Inbox, Opens, Sealed
from connectors.agency.registry_cache import RegistryCache
from connectors.delivery import BadMessage, Opened
from connectors.errors import ConnectorError, TransportDownError
from connectors.opening.beside import Beside
from connectors.opening.handing_over import Result, taken_over

log = logging.getLogger(__name__)
MESSAGES: Final = 24
AHEAD: Final = 8 << 20  # bytes
BACKLOG: Final = 1 << 20  # bytes, about a thousand deliveries: to start it costs as much as those
IDLE: Final = 5.0  # seconds
AGAIN: Final = 60.0  # seconds before it is started again after it ended by itself
_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


@dataclass(frozen=True, slots=True, eq=False)
class _Message(Sealed):
    """A message that `ahead` may have had opened already. key: no other ever has it."""

    ahead: Ahead
    key: int

    def opened(self, opener: Opens, expected: int | None) -> Opened | BadMessage:
        return self.ahead.opened(self, opener, expected)


class Ahead:
    """An inbox that has its messages opened ahead. Not for several threads at once.

    close() ends the process, and closes the inbox.
    """

    def __init__(
        self,
        inbox: Inbox,
        home: Path,
        registry: RegistryCache,
        documents: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """home: of the identity. registry: the runner's. documents: event schemas, if not those
        shipped."""
        self._inbox = inbox
        self._home = home
        self._registry = registry
        self._documents = documents
        self._beside: Beside | None = None
        self._not_before = 0.0  # when the process may be started
        self._came = 0.0  # when a message came last
        self._taken = 0  # bytes since there was nothing to read, or a batch was not applied
        self._read: deque[_Message] = deque()  # read and not handed out, or taken back
        self._handed: deque[_Message] = deque()  # handed out, not opened yet
        self._unasked: deque[_Message] = deque()  # of both: not sent to the process yet
        self._asking = threading.Lock()
        self._keys = itertools.count()
        self._size = 0  # bytes of a message, about
        self._place: tuple[str, int] | None = None  # cursor and sequence behind what was opened
        self._reading: threading.Thread | None = None
        self._wrong: ConnectorError | None = None

    # -- as an inbox ---------------------------------------------------------------------------

    def start(self, cursor: str, sequence: int) -> None:
        self._join()
        if self._place == (cursor, sequence):
            # The runner did not take all it was handed: it goes on right behind what it took.
            self._take_back()
            return
        self._forget()
        self._end()
        self._inbox.start(cursor, sequence)

    def read(self, limit: int, timeout: float) -> list[Sealed]:
        self._join()
        self._take_back()
        if self._wrong is not None:
            wrong, self._wrong = self._wrong, None
            raise wrong
        if not self._read:
            self._take_in(self._inbox.read(min(limit, self._most()), timeout))
        self._start_or_end()
        found = [self._read.popleft() for _ in range(min(limit, len(self._read)))]
        self._handed.extend(found)
        return [*found]

    def rewind(self, sequence: int) -> bool:
        self._forget()
        return self._inbox.rewind(sequence)

    def emptied(self, sequence: int) -> bool:
        self._join()
        return self._inbox.emptied(sequence)

    def newest(self, after: int) -> int:
        newest: int = self._inbox.newest(after)  # type: ignore[attr-defined]
        return newest

    def send_receipts(self, receipts: Sequence[bytes]) -> None:
        self._inbox.send_receipts(receipts)

    def registry(self) -> bytes | None:
        return self._inbox.registry()

    def close(self) -> None:
        self._join()
        self._end()
        self._inbox.close()

    @property
    def process(self) -> int | None:
        """The id of the process that opens, while there is one."""
        return None if self._beside is None else self._beside.pid

    # -- opening -------------------------------------------------------------------------------

    def opened(self, message: _Message, opener: Opens, expected: int | None) -> Opened | BadMessage:
        """What the process says of a message handed out, or the opener."""
        if self._handed and self._handed[0] is message:
            self._handed.popleft()
            self._taken += len(message.value)
        with self._asking:
            if self._unasked and self._unasked[0] is message:
                self._unasked.popleft()
        left = len(self._handed) + len(self._read)
        if self._reading is None and 2 * left <= self._most():
            self._reading = threading.Thread(target=self._read_more, daemon=True)
            self._reading.start()
        result = self._answer(message) or opener.open(message.value, expected)
        self._ask()
        self._place = _behind(message.cursor, result, expected)
        if isinstance(result, BadMessage) or expected is None:
            return result
        if result.first <= expected <= result.last:
            return result
        return Opened(result.first, result.last, ())

    def _answer(self, message: _Message) -> Result:
        """The process's, if it was asked and could say."""
        beside = self._beside
        if beside is None or not beside.asked(message.key):
            return None
        answer = beside.result(message.key)
        if answer is None:
            self._lost()
            return None
        position, result = taken_over(answer)
        return result if position == self._registry.position else None

    def _ask(self) -> None:
        """Have as many as the process may have at once opened by it, in their order."""
        with self._asking:
            beside = self._beside
            position = self._registry.position.to_bytes(8, "big", signed=True)
            while self._unasked:
                one = self._unasked[0]
                if beside is None or not beside.send(one.key, position + one.value):
                    return
                self._unasked.popleft()

    def _take_in(self, messages: Sequence[Sealed]) -> None:
        if messages:
            self._came = time.monotonic()
            self._size = sum(len(one.value) for one in messages) // len(messages)
        made = [_Message(one.value, one.cursor, self, next(self._keys)) for one in messages]
        self._read.extend(made)
        with self._asking:
            self._unasked.extend(made)
        self._ask()

    # -- the process ---------------------------------------------------------------------------

    def _start_or_end(self) -> None:
        now = time.monotonic()
        if self._beside is not None and self._beside.gone:
            self._lost()
        if self._read:
            if self._beside is None and self._taken >= BACKLOG and now >= self._not_before:
                self._beside = Beside(self._home, self._documents)
                log.debug("process %d opens ahead", self._beside.pid)
            return
        self._taken = 0
        if now - self._came >= IDLE:
            self._end()

    def _lost(self) -> None:
        """It ended, or does nothing. What it was asked is opened here."""
        told = self._end()
        self._not_before = time.monotonic() + AGAIN
        log.warning(
            "the process that opens ahead ended (%s); messages are opened here, and by another one "
            "in %d s at the earliest",
            told,
            AGAIN,
        )

    def _end(self) -> str:
        self._taken = 0
        beside, self._beside = self._beside, None
        return "" if beside is None else beside.end()

    # -- reading -------------------------------------------------------------------------------

    def _read_more(self) -> None:
        """While those before are opened and taken: the process always has its work."""
        try:
            messages = self._inbox.read(max(1, self._most() // 2), 0.0)
        except ConnectorError as wrong:
            if not isinstance(wrong, TransportDownError):
                self._wrong = wrong
            return
        self._take_in(messages)

    def _most(self) -> int:
        """How many messages of the size they have may be read ahead."""
        return max(1, min(MESSAGES, AHEAD // max(1, self._size)))

    def _join(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.join()

    def _take_back(self) -> None:
        """Those the runner was handed and did not open come first the next time."""
        self._read.extendleft(reversed(self._handed))
        self._handed.clear()

    def _forget(self) -> None:
        """Drop all that was read ahead."""
        self._join()
        self._read.clear()
        self._handed.clear()
        self._unasked.clear()
        self._place = None


def _behind(
    cursor: str, result: Opened | BadMessage, expected: int | None
) -> tuple[str, int] | None:
    """Where the runner is that was told this; None if one is missing before it."""
    before = 0 if expected is None else expected - 1
    if isinstance(result, BadMessage):
        return cursor, before
    if expected is not None and result.first > expected:
        return None
    return cursor, max(before, result.last)


def processors() -> int:
    """How many this process may use, by its affinity and by its control group's quota."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    try:
        quota, period = map(int, _QUOTA.read_text().split())
    except (OSError, ValueError):  # none is set
        return usable or 1
    return max(1, min(usable or 1, quota // period))
