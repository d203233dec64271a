"""The guard: only a browser of this machine that was given the address gets a page.

In order: the request is to a loopback name (`Host`), so that no other site's name can be made to
lead here; it comes from our own pages or from nowhere (`Origin`, `Sec-Fetch-Site`), so that no
other site can send a form; its path begins with the secret of this run. Then its body is read,
within a limit. Every answer forbids scripts, frames, caches and anything from elsewhere.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MOST_BODY: Final = 512 * 1024
_HEADERS: Final = (
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        b"base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"cache-control", b"no-store"),
    (b"referrer-policy", b"same-origin"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Guard:
    """ASGI middleware before all pages. Strips the secret off the path."""

    def __init__(self, app: ASGIApp, secret: str, port: int) -> None:
        self._app = app
        self._secret = secret
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        refusal = self._refusal(scope)
        if refusal:
            await PlainTextResponse(refusal, 404 if refusal == _NOTHING else 403)(
                scope, receive, guarded
            )
            return
        prefix = f"/{self._secret}"
        await self._app(
            {**scope, "path": scope["path"][len(prefix) :] or "/", "root_path": ""},
            receive,
            guarded,
        )

    def _refusal(self, scope: Scope) -> str:
        headers = _all(scope["headers"])
        hosts = headers.get("host", [])
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return "This address leads to a program on this machine only.\n"
        origins = headers.get("origin", [])
        if any(one.removeprefix("http://") != hosts[0] for one in origins):
            return "Another site has sent this. Nothing was done.\n"
        sites = headers.get("sec-fetch-site", [])
        if scope["method"] != "GET" and (not origins or any(one != "same-origin" for one in sites)):
            return "Another site has sent this. Nothing was done.\n"
        first = scope["path"].split("/", 2)[1] if "/" in scope["path"] else ""
        if not hmac.compare_digest(first.encode(), self._secret.encode()):
            return _NOTHING
        return ""


_NOTHING: Final = "There is nothing here. Use the address that nrm-hub agency form printed.\n"


def _all(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in headers:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found
