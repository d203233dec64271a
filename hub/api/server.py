"""The server: the API beside the hub's loops, in threads of the same process.

`serve_api` returns once requests are answered. `stop` ends it in order: waiting calls are
answered, calls in hand finish (up to `GRACE`), then the listeners close; stop the hub after that.

Who reaches what: on a loopback address one listener serves everything. On any other address the
operator's metrics move to a second listener, on loopback only, so that binding the API to the
world never publishes them. Behind a reverse proxy on the same machine, forward `/v1/`, `/log/`,
`/schema-registry/`, `/healthz`, `/readyz`, `/docs` and `/openapi.json` and nothing else, or set
`operator_port`.

Client addresses are taken from the connection. With `trusted_proxies` they are taken from
X-Forwarded-For of those proxies instead; without it, all callers behind one proxy share the
allowance of unproven calls (docs/api.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import structlog
from fastapi import FastAPI

from hub.api.app import create_app, create_operator_app
from hub.api.limits import Limits
from hub.api.listening import Listener, loopback
from hub.hub import Hub

log = structlog.get_logger("hub.api")


@dataclass
class ApiServer:
    """A running API. `url` is where it answers; port 0 was replaced by the one it got."""

    host: str
    port: int
    operator_port: int
    tls: bool
    _apps: Sequence[FastAPI] = ()
    _listeners: Sequence[Listener] = ()

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
        for listener in self._listeners:
            listener.end()
        for listener in self._listeners:
            listener.join()


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
    apart = operator_port is not None or not loopback(host)
    app = create_app(hub, limits, metrics=not apart)
    listeners = [
        Listener(app, host, port, limits, certificate=certificate, trusted_proxies=trusted_proxies)
    ]
    if apart:
        if operator_port is None:
            operator_port = port + 1 if port else 0
        private = create_operator_app(hub, app, limits)
        listeners.append(
            Listener(private, "127.0.0.1", operator_port, limits, trusted_proxies=trusted_proxies)
        )
    ports = [listener.port for listener in listeners]
    running = ApiServer(
        host, ports[0], ports[-1], certificate is not None, (app,), tuple(listeners)
    )
    try:
        for listener in listeners:
            listener.start()
    except BaseException:
        running.stop()
        raise
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
    listener = Listener(app, host, port, limits, certificate=certificate)
    running = ApiServer(
        host, listener.port, listener.port, certificate is not None, (), (listener,)
    )
    listener.start()
    return running
