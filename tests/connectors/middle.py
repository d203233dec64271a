"""Something between a client and its server: it cuts, stalls, or lets through."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator


class Middle:
    """Forwards connections to a port. cut_after: bytes from the client, then the line is cut;
    stall_after: then nothing is forwarded any more. None: never. away: as if nobody were there."""

    def __init__(self, to: int) -> None:
        self._to = to
        self.cut_after: int | None = None
        self.stall_after: int | None = None
        self.away = False
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self.connections += 1
                if self.away:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._to))
                self._open += [client, server]
                for pair in ((client, server, True), (server, client, False)):
                    threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, one: socket.socket, other: socket.socket, counted: bool) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while (data := one.recv(16384)) and not self.away:
                passed += len(data)
                if counted and self.stall_after is not None and passed > self.stall_after:
                    time.sleep(5)
                    break
                if counted and self.cut_after is not None and passed > self.cut_after:
                    break
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            one.close()
        self._thread.join(5)


@contextlib.contextmanager
def middle(to: int) -> Iterator[Middle]:
    made = Middle(to)
    try:
        yield made
    finally:
        made.close()
