"""Beside: a second process with an opener of its own, and the two pipes to it.

    send() → sender thread → [ connectors/opening/process.py ] → receiver thread → result()

Answers come in the order of sending. The process ends when its pipe does, so it outlives nobody.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from connectors.opening.pipes import pipe, receive, send

WINDOW: Final = 4 << 20  # bytes of messages that wait for their answer
STUCK: Final = 30.0  # seconds without the next answer; a message takes thousandths of one
_TURN: Final = 0.001  # seconds; how long one of our threads may make the others wait
_KEPT: Final = re.compile(
    r"PATH|LANG|LC_\w+|TZ|TMPDIR|SYSTEMROOT|PYTHON\w+|LD_LIBRARY_PATH|OPENSSL_\w+|NRM_CRASH_AT"
)


class Beside:
    """The process. One thread may send while another takes results."""

    def __init__(self, home: Path, documents: Sequence[Mapping[str, Any]] | None = None) -> None:
        """home: of the identity. documents: event schemas, if not those shipped."""
        self._turn = sys.getswitchinterval()
        sys.setswitchinterval(_TURN)  # else a message waits for its reader at every part of it
        coming, self._to_it = pipe()
        self._from_it, going = pipe()
        fds = (coming.fileno(), going.fileno())
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "connectors.opening.process", str(home), *map(str, fds)],
            pass_fds=fds,
            stdin=subprocess.DEVNULL,
            env=_environment(),
        )
        coming.close()
        going.close()
        self.ready = False  # whether it has loaded what it needs
        self.gone = False  # whether it has ended, by itself or by somebody's hand
        self._lock = threading.Lock()
        self._sent: deque[tuple[int, int]] = deque()  # key and size, no answer taken yet
        self._keys: set[int] = set()
        self._waiting = 0  # bytes of them
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._outgoing.put(json.dumps(documents).encode())
        self._results: queue.SimpleQueue[bytearray | None] = queue.SimpleQueue()
        self._receiver = threading.Thread(target=self._receive, daemon=True)
        self._sender = threading.Thread(target=self._send, daemon=True)
        self._receiver.start()
        self._sender.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, key: int, value: bytes) -> bool:
        """Have this opened; False if it is not ready, or has enough to do. key: to ask by."""
        with self._lock:
            if not self.ready or (self._sent and self._waiting + len(value) > WINDOW):
                return False
            self._sent.append((key, len(value)))
            self._keys.add(key)
            self._waiting += len(value)
            self._outgoing.put(value)
        return True

    def asked(self, key: int) -> bool:
        """Whether this was sent and its answer not taken."""
        return key in self._keys

    def result(self, key: int) -> bytearray | None:
        """The answer to this, which was sent; those to what was sent before it and not taken go.

        None if the process is gone, or stuck: end it.
        """
        while self.asked(key):
            try:
                answer = self._results.get(timeout=STUCK)
            except queue.Empty:
                return None
            if answer is None:
                return None
            with self._lock:
                answered, size = self._sent.popleft()
                self._keys.discard(answered)
                self._waiting -= size
            if answered == key:
                return answer
        return None

    def end(self) -> str:
        """End it, whatever it does; tells how it ended."""
        self._outgoing.put(None)
        if self.gone:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(1)
        self._process.kill()  # it keeps nothing
        status = self._process.wait()
        self._receiver.join()
        self._sender.join()
        self._to_it.close()
        self._from_it.close()
        sys.setswitchinterval(self._turn)
        return f"signal {-status}" if status < 0 else f"exit status {status}"

    def _send(self) -> None:
        with contextlib.suppress(OSError):
            while (value := self._outgoing.get()) is not None:
                send(self._to_it, value)

    def _receive(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            receive(self._from_it)
            self.ready = True
            while True:
                self._results.put(receive(self._from_it))
        self.gone = True
        self._results.put(None)


def _environment() -> dict[str, str]:
    """What the process needs to start. Settings have secrets in the environment (`${NAME}`), and
    what reads bytes of others is given none of them."""
    kept = {name: told for name, told in os.environ.items() if _KEPT.fullmatch(name)}
    return {**kept, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
