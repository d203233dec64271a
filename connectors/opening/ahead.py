"""Ahead: the next messages are verified and opened in a second process, while the partner's
database takes what was opened before.

    inbox → sender thread → [ process: opener ] → receiver thread → runner → sink

The runner stays as it is: this stands in its inbox's and its opener's place, hands out the same
messages in the same order, and what it says of each is what the opener says. What the process
cannot decide (a key that is not known: the hub would have to be asked) or decided under an older
registry than is held now, the runner's own opener decides. So it is when the process is gone.

Bounded: at most MESSAGES are read ahead and RESULTS of them opened; then the process waits. While
the partner is down nothing more is read.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import queue
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from connectors.agency.inbox import Inbox, Sealed
from connectors.agency.inbox import last_sequence as _last
from connectors.agency.registry_cache import RegistryCache
from connectors.delivery import BadMessage, Opened
from connectors.errors import ConnectorError, TransportDownError
from connectors.opening.handing_over import Result, taken_over
from connectors.opening.opener import Opener

log = logging.getLogger(__name__)
MESSAGES: Final = 24
RESULTS: Final = 12
_MORE: Final = MESSAGES // 2  # read at once, as soon as there is room for them
_POLL: Final = 0.2  # seconds; how soon a stop is noticed
_PIPE: Final = 1 << 20  # bytes a pipe holds; what anybody may ask of Linux
_KEPT: Final = re.compile(r"PATH|LANG|LC_\w+|TZ|PYTHON\w+|LD_LIBRARY_PATH|NRM_CRASH_AT")
_TURN: Final = 0.001  # seconds; how long one of our threads may make the others wait


class Ahead:
    """An inbox that has its messages opened ahead; `opener` goes with it.

    Not for several threads at once. close() ends the process, and closes the inbox.
    """

    def __init__(
        self,
        inbox: Inbox,
        home: Path,
        registry: RegistryCache,
        documents: Sequence[Mapping[str, Any]] | None = None,
    ) -> None:
        """documents: event schemas, if not those shipped."""
        self._inbox = inbox
        self._registry = registry
        self._turn = sys.getswitchinterval()
        sys.setswitchinterval(_TURN)  # else a message waits for its reader at every part of it
        coming, self._to_it = _pipe()
        self._from_it, going = _pipe()
        fds = (coming.fileno(), going.fileno())
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "connectors.opening.process", str(home), *map(str, fds)],
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            env=_environment(),
        )
        coming.close()
        going.close()
        self._ready = threading.Event()
        with contextlib.suppress(OSError):
            self._to_it.send_bytes(json.dumps(documents).encode())
        self._results: queue.Queue[bytes | None] = queue.Queue(RESULTS)
        self._gone = False
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._receiver = threading.Thread(target=self._receive, daemon=True)
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._receiver.start()
        self._sender.start()
        self._read: deque[Sealed] = deque()  # read and not handed out, or taken back
        self._handed: deque[Sealed] = deque()  # handed out, not opened yet
        self._pending: deque[Sealed] = deque()  # sent to the process, result not taken yet
        self._last: Sealed | None = None  # opened last
        self._reading: threading.Thread | None = None
        self._wrong: ConnectorError | None = None

    # -- as an inbox ---------------------------------------------------------------------------

    def start(self, cursor: str, sequence: int) -> None:
        self._join()
        last = self._last
        if last is not None and last.cursor == cursor and _last(last.value) == sequence:
            # The runner did not take all it was handed: it goes on right behind what it took.
            self._read.extendleft(reversed(self._handed))
            self._handed.clear()
            return
        self._forget()
        self._inbox.start(cursor, sequence)

    def read(self, limit: int, timeout: float) -> list[Sealed]:
        self._join()
        self._read.extendleft(reversed(self._handed))  # those it did not open
        self._handed.clear()
        if self._wrong is not None:
            wrong, self._wrong = self._wrong, None
            raise wrong
        if not self._read:
            self._take_in(self._inbox.read(min(limit, MESSAGES), timeout))
        found = [self._read.popleft() for _ in range(min(limit, len(self._read)))]
        self._handed.extend(found)
        return found

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

    @property
    def process(self) -> int:
        """The id of the process that opens."""
        return self._process.pid

    def wait_ready(self, timeout: float) -> None:
        """Wait until the process is up, at most so many seconds. It need not be: what is read
        before waits for it."""
        self._ready.wait(timeout)

    def close(self) -> None:
        self._join()
        self._outgoing.put(None)
        self._drain()
        self._sender.join()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._to_it.close()
        self._from_it.close()
        sys.setswitchinterval(self._turn)
        self._inbox.close()

    # -- as an opener --------------------------------------------------------------------------

    def opened(self, raw: bytes, opener: Opener, expected: int | None) -> Opened | BadMessage:
        """What the process says of the next message handed out, or the opener of any other."""
        if not self._handed or self._handed[0].value is not raw:
            return opener.open(raw, expected)
        self._last = self._handed.popleft()
        result = self._result()
        if self._reading is None and len(self._handed) + len(self._read) <= MESSAGES - _MORE:
            self._reading = threading.Thread(target=self._ahead, daemon=True)
            self._reading.start()
        if result is None:
            return opener.open(raw, expected)
        if isinstance(result, BadMessage) or expected is None:
            return result
        if result.first <= expected <= result.last:
            return result
        return Opened(result.first, result.last, ())

    def _result(self) -> Result:
        if not self._pending or self._pending[0] is not self._last:
            return None
        self._pending.popleft()
        if self._gone and self._results.empty():
            return None
        answer = self._results.get()
        if answer is None:
            return None
        position, result = taken_over(answer)
        return result if position == self._registry.position else None

    # -- threads -------------------------------------------------------------------------------

    def _take_in(self, messages: Sequence[Sealed]) -> None:
        """Queue messages, and send them to the process."""
        self._read.extend(messages)
        self._pending.extend(messages)
        for one in messages:
            self._outgoing.put(one.value)

    def _send(self) -> None:
        with contextlib.suppress(OSError):
            while (value := self._outgoing.get()) is not None:
                position = self._registry.position.to_bytes(8, "big", signed=True)
                self._to_it.send_bytes(position + value)
            self._to_it.send_bytes(b"")  # the process ends

    def _ahead(self) -> None:
        """Read more, while those before are opened and taken: the process always has its work."""
        try:
            messages = self._inbox.read(_MORE, 0.0)
        except ConnectorError as wrong:
            if not isinstance(wrong, TransportDownError):
                self._wrong = wrong
            return
        self._take_in(messages)

    def _join(self) -> None:
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.join()

    def _receive(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            self._from_it.recv_bytes()
            self._ready.set()
            while True:
                self._results.put(self._from_it.recv_bytes())
        self._gone = True
        self._ready.set()
        self._results.put(None)
        log.debug("the process that opens ahead has ended")

    def _forget(self) -> None:
        """Drop all that was read ahead, and the process's answers to it."""
        self._join()
        while self._pending:
            self._last = self._pending[0]
            self._result()
        self._read.clear()
        self._handed.clear()
        self._last = None

    def _drain(self) -> None:
        while self._receiver.is_alive():
            with contextlib.suppress(queue.Empty):
                self._results.get(timeout=_POLL)


def _environment() -> dict[str, str]:
    """What the process needs to start. Settings have secrets in the environment (`${NAME}`), and
    what reads bytes of others is given none of them."""
    kept = {name: told for name, told in os.environ.items() if _KEPT.fullmatch(name)}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _pipe() -> tuple[Connection, Connection]:
    """Where to read and where to write, with room for a message or two."""
    reads, writes = os.pipe()
    with contextlib.suppress(OSError, AttributeError):  # not on every system; it is only slower
        fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, _PIPE)
    return Connection(reads, writable=False), Connection(writes, readable=False)
