"""The edge: what every request passes, whatever it asks for.

Nothing leaves without the security headers; no error leaves or is logged with its text (an
exception may quote what was sent); every request is counted and logged by route, never by path,
query, header or address. A body that nobody read is drained for a moment before the connection is
closed, or the caller would see a broken connection in place of the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
import traceback
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.api.limits import Limits
from hub.api.problems import Problem

log = structlog.get_logger("hub.api")

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
DRAIN_SECONDS: Final = 1.0
SECURITY_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"interest-cohort=()"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)
HSTS: Final = (b"strict-transport-security", b"max-age=31536000")

Observe = Callable[[str, str, int, float], None]
"""(route, method, status, seconds) of one answered request."""


class _Exchange:
    """One request and its response, as far as the edge looks at them."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, limits: Limits) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._limits = limits
        self.id = secrets.token_hex(8)
        self.status = 0
        self.finished = False
        self._body_left = any(
            name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
            for name, value in scope["headers"]
        )
        self._drained = 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body"):
            self._body_left = False
        self._drained += len(message.get("body", b""))
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message = {**message, "headers": self._headers(message["headers"])}
            await self._send(message)
        elif message.get("more_body"):
            await self._send(message)
        elif self._body_left:
            await self._send({**message, "more_body": True})
            await self._drain()
            await self._send({"type": "http.response.body", "body": b""})
            self.finished = True
        else:
            await self._send(message)
            self.finished = True

    def _headers(self, given: Any) -> list[tuple[bytes, bytes]]:
        headers = [(bytes(name).lower(), bytes(value)) for name, value in given]
        names = {name for name, _ in headers}
        headers += [header for header in SECURITY_HEADERS if header[0] not in names]
        headers.append((b"x-request-id", self.id.encode()))
        if self._scope.get("scheme") == "https":
            headers.append(HSTS)
        if self._body_left:
            headers.append((b"connection", b"close"))
        return headers

    async def _drain(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_SECONDS):
                while self._body_left and self._drained < 2 * self._limits.body:
                    await self.receive()


class Edge:
    """ASGI middleware, outermost of ours."""

    def __init__(self, app: ASGIApp, limits: Limits, observe: Observe) -> None:
        self._app = app
        self._limits = limits
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        exchange = _Exchange(scope, receive, send, self._limits)
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as failure:
            where = traceback.extract_tb(failure.__traceback__)[-1]
            log.error(
                "request_failed",
                request=exchange.id,
                route=route_of(scope),
                error=type(failure).__name__,
                at=f"{where.filename.rpartition('/')[2]}:{where.lineno}",
            )
            if not exchange.status:
                await Problem("failed").response()(scope, exchange.receive, exchange.send)
            # Else the answer stays unfinished and the server closes the connection.
        seconds = time.perf_counter() - started
        method = scope["method"] if scope["method"] in METHODS else "other"
        route = route_of(scope)
        self._observe(route, method, exchange.status, seconds)
        say = log.info if exchange.status >= 400 else log.debug
        say(
            "request",
            request=exchange.id,
            route=route,
            method=method,
            status=exchange.status,
            ms=round(seconds * 1000, 1),
            problem=scope.get("nrm.problem"),
            caller=scope.get("nrm.caller"),
        )


def route_of(scope: MutableMapping[str, Any]) -> str:
    """The route's template, never the path asked for."""
    return str(getattr(scope.get("route"), "path", "other"))
