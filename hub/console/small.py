"""Small bodies: no form of the console is large or slow, so nothing larger is even read."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hub.api.limits import Limits

MOST_BYTES: Final = 256 * 1024


class _NotTaken(Exception):
    """A body that is too large or too slow."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class SmallBodies:
    """ASGI middleware: 413 for a larger body, 408 for one that does not come."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._seconds = limits.body_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        taken, whole, begun = 0, False, False
        ends = asyncio.get_running_loop().time() + self._seconds

        async def small() -> Message:
            nonlocal taken, whole
            if whole:
                return await receive()
            try:
                async with asyncio.timeout_at(ends):
                    message = await receive()
            except TimeoutError:
                raise _NotTaken(408) from None
            taken += len(message.get("body", b""))
            whole = not message.get("more_body")
            if taken > MOST_BYTES:
                raise _NotTaken(413)
            return message

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, small, sending)
        except _NotTaken as wrong:
            if begun:
                raise
            headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
            await send({"type": "http.response.start", "status": wrong.status, "headers": headers})
            await send({"type": "http.response.body", "body": b"body_too_large\n"})
