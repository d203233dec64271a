"""The server: the API beside the hub's loops, in threads of the same process.

`serve_api` returns once requests are answered. `stop` ends it in order: waiting calls are
answered, calls in hand finish (up to `GRACE`), then the listeners close; stop the hub after that.

Who reaches what: on a loopback address one listener serves everything. On any other address the
operator's metrics move to a second listener, on loopback only, so that binding the API to the
world never publishes them. Behind a reverse proxy on the same machine, forward `/v1/`, `/log/`,
`/healthz`, `/readyz`, `/docs` and `/openapi.json` and nothing else, or set `operator_port`.

Client addresses are taken from the connection. With `trusted_proxies` they are taken from
X-Forwarded-For of those proxies instead; without it, all callers behind one proxy share the
allowance of unproven calls (docs/api.md).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import h11
import structlog
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from hub.api.app import create_app, create_operator_app
from hub.api.limits import Limits
from hub.errors import NotReady
from hub.hub import Hub

log = structlog.get_logger("hub.api")

GRACE: Final = 30  # seconds calls in hand may take when stopping
START: Final = 20.0  # seconds the server may take to answer


def _hasty(limits: Limits) -> type[H11Protocol]:
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


@dataclass
class ApiServer:
    """A running API. `url` is where it answers; port 0 was replaced by the one it got."""

    host: str
    port: int
    operator_port: int
    tls: bool
    _apps: Sequence[FastAPI] = ()
    _servers: Sequence[uvicorn.Server] = ()
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls else 'http'}://{host}:{self.port}"

    @property
    def operator_url(self) -> str:
        """Where /metrics is."""
        if self.operator_port == self.port:
            return self.url
        return f"http://127.0.0.1:{self.operator_port}"

    def stop(self) -> None:
        """Answer what waits, finish what is in hand, close. Safe to call twice."""
        for app in self._apps:
            app.state.watch.close()
        for server in self._servers:
            server.should_exit = True
        for thread in self._threads:
            thread.join(timeout=GRACE + 5)
        self._threads.clear()


def serve_api(
    hub: Hub,
    host: str = "127.0.0.1",
    port: int = 8441,
    *,
    limits: Limits | None = None,
    operator_port: int | None = None,
    certificate: tuple[str, str] | None = None,
    trusted_proxies: str | None = None,
) -> ApiServer:
    """Serve the API; port 0 takes any free one. Start the hub's loops for submissions.

    operator_port: a loopback port of its own for /metrics; by default the next one, or any free
        one for port 0, if `host` is not a loopback address.
    certificate: (certificate file, key file) to serve TLS 1.2 and up without a proxy.
    trusted_proxies: addresses or networks, comma-separated, whose X-Forwarded-For is believed.
    Raises NotReady if an address cannot be bound.
    """
    limits = limits or Limits()
    apart = operator_port is not None or not _loopback(host)
    app = create_app(hub, limits, metrics=not apart)
    listeners = [(app, _bind(host, port), certificate)]
    if apart:
        if operator_port is None:
            operator_port = port + 1 if port else 0
        private = create_operator_app(hub, app, limits)
        listeners.append((private, _bind("127.0.0.1", operator_port), None))
    servers = [
        uvicorn.Server(_config(one, limits, files, trusted_proxies)) for one, _, files in listeners
    ]
    ports = [bound.getsockname()[1] for _, bound, _ in listeners]
    running = ApiServer(host, ports[0], ports[-1], certificate is not None, (app,), tuple(servers))
    for server, (_, bound, _) in zip(servers, listeners, strict=True):
        _start(running, server, bound)
    log.info("api_serving", host=host, port=ports[0], operator_port=ports[-1])
    return running


def serve_app(
    app: FastAPI,
    host: str,
    port: int,
    *,
    limits: Limits,
    certificate: tuple[str, str] | None = None,
) -> ApiServer:
    """Serve another application than the hub's API, on one listener, with the same defences."""
    bound = _bind(host, port)
    server = uvicorn.Server(_config(app, limits, certificate, None))
    at = bound.getsockname()[1]
    running = ApiServer(host, at, at, certificate is not None, (), (server,))
    _start(running, server, bound)
    return running


def _start(running: ApiServer, server: uvicorn.Server, bound: socket.socket) -> None:
    up = threading.Event()
    failure: list[BaseException] = []

    def run() -> None:
        try:
            asyncio.run(_serve(server, bound, up))
        except BaseException as wrong:  # told to the caller of serve_api, or logged
            failure.append(wrong)
            log.error("api_stopped", error=type(wrong).__name__)
        finally:
            up.set()

    thread = threading.Thread(target=run, name="api", daemon=True)
    running._threads.append(thread)
    thread.start()
    if not up.wait(START) or failure or not server.started:
        running.stop()
        cause = failure[0] if failure else None
        raise NotReady("the API did not start; see the log") from cause


async def _serve(server: uvicorn.Server, bound: socket.socket, up: threading.Event) -> None:
    serving = asyncio.create_task(server.serve(sockets=[bound]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    up.set()
    await serving


def _config(
    app: FastAPI, limits: Limits, certificate: tuple[str, str] | None, proxies: str | None
) -> uvicorn.Config:
    files: dict[str, Any] = {}
    if certificate is not None:
        files = {"ssl_certfile": certificate[0], "ssl_keyfile": certificate[1]}
    return uvicorn.Config(
        app,
        http=_hasty(limits),
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


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
