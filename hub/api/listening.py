"""Listening: one HTTP listener of ours, in a thread, for the API and for the console.

A connection whose request does not come, or whose answer is not taken, is dropped (`Limits`).
`stop` ends in order: calls in hand finish, up to `GRACE`, then the listener closes.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from typing import Any, Final

import h11
import structlog
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from hub.api.limits import Limits
from hub.errors import NotReady

log = structlog.get_logger("hub.api")

GRACE: Final = 30  # seconds calls in hand may take when stopping
START: Final = 20.0  # seconds the server may take to answer


def hasty(limits: Limits) -> type[H11Protocol]:
    """HTTP/1.1 that drops a connection whose headers do not come, or whose answer is not taken."""

    class Hasty(H11Protocol):
        _late: asyncio.TimerHandle | None = None
        _stuck: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._hurry()

        def handle_events(self) -> None:
            super().handle_events()
            begun = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
            if not begun:
                self._calm()
            elif self._late is None:
                self._hurry()

        def connection_lost(self, exc: Exception | None) -> None:
            self._calm()
            self._unstick()
            super().connection_lost(exc)

        def pause_writing(self) -> None:
            super().pause_writing()
            self._unstick()
            self._stuck = self.loop.call_later(limits.answer_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            self._unstick()
            super().resume_writing()

        def _unstick(self) -> None:
            if self._stuck is not None:
                self._stuck.cancel()
                self._stuck = None

        def _hurry(self) -> None:
            self._late = self.loop.call_later(limits.head_seconds, self._give_up)

        def _calm(self) -> None:
            if self._late is not None:
                self._late.cancel()
                self._late = None

        def _give_up(self) -> None:
            if self.conn.their_state is h11.IDLE:
                self.transport.abort()

    return Hasty


class Listener:
    """One address that is being served. Bound at once, so that `port` is the one it got."""

    def __init__(
        self,
        app: ASGIApp,
        host: str,
        port: int,
        limits: Limits,
        *,
        certificate: tuple[str, str] | None = None,
        trusted_proxies: str | None = None,
        name: str = "api",
    ) -> None:
        """Raises NotReady if the address cannot be bound."""
        self._bound = _bind(host, port)
        self._name = name
        self.port: int = self._bound.getsockname()[1]
        self._server = uvicorn.Server(_config(app, limits, certificate, trusted_proxies))
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Answer requests from when this returns. Raises NotReady."""
        up = threading.Event()
        failure: list[BaseException] = []

        def run() -> None:
            try:
                asyncio.run(_serve(self._server, self._bound, up))
            except BaseException as wrong:  # told to the caller of start, or logged
                failure.append(wrong)
                log.error("api_stopped", error=type(wrong).__name__)
            finally:
                up.set()

        self._thread = threading.Thread(target=run, name=self._name, daemon=True)
        self._thread.start()
        if not up.wait(START) or failure or not self._server.started:
            cause = failure[0] if failure else None
            raise NotReady(f"the {self._name} did not start; see the log") from cause

    def end(self) -> None:
        """Take nothing new; what is in hand goes on."""
        self._server.should_exit = True

    def join(self) -> None:
        """Wait until it has ended. Safe to call twice."""
        if self._thread is not None:
            self._thread.join(timeout=GRACE + 5)
            self._thread = None


async def _serve(server: uvicorn.Server, bound: socket.socket, up: threading.Event) -> None:
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    up.set()
    await serving


def _config(
    app: ASGIApp, limits: Limits, certificate: tuple[str, str] | None, proxies: str | None
) -> uvicorn.Config:
    files: dict[str, Any] = {}
    if certificate is not None:
        files = {"ssl_certfile": certificate[0], "ssl_keyfile": certificate[1]}
    return uvicorn.Config(
        app,
        http=hasty(limits),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=proxies is not None,
        forwarded_allow_ips=proxies or "",
        limit_concurrency=limits.connections,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=GRACE,
        backlog=1_024,
        h11_max_incomplete_event_size=16 * 1024,
        **files,
    )


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, not left to the system: asyncio sets TCP_NODELAY only on sockets that say TCP, and
    # without it every answer waits 40 ms for the other side's delayed acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as taken:
        bound.close()
        raise NotReady(f"cannot listen on {host}:{port}: {taken.strerror}") from None
    bound.listen(1_024)
    return bound


def loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
