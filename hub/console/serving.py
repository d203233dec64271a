"""Serving the console: settings, grants, looks and the ways to sign in, put together and listening.

Plain HTTP is for this machine alone. Elsewhere the console does TLS itself or says that a proxy
does; then cookies are for TLS only and carry the host they belong to.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog
from starlette.middleware.trustedhost import TrustedHostMiddleware

from hub.api.limits import Limits
from hub.api.listening import Listener, loopback
from hub.authority.granting import Granting
from hub.console.app import create_console
from hub.console.desk import Console
from hub.console.entrance import Entrance
from hub.console.grants import GrantsOnRecord
from hub.console.looking import RecordedLooks
from hub.console.programs import ProgramTokens
from hub.console.provider import Provider
from hub.console.sessions import Sessions
from hub.console.settings import ConsoleSettings, read_console
from hub.hub import Deciding

log = structlog.get_logger("hub.console")

LIMITS = Limits(body_seconds=15.0, connections=500)


@dataclass
class ConsoleServer:
    """A running console. `url` is where browsers find it."""

    url: str
    console: Console
    entrance: Entrance
    _listener: Listener

    def stop(self) -> None:
        """Answer what is in hand, then close. Safe to call twice."""
        self._listener.end()
        self._listener.join()
        if self.entrance.provider is not None:
            self.entrance.provider.close()


def serve_console(
    deciding: Deciding,
    *,
    host: str | None = None,
    port: int | None = None,
    given: Mapping[str, Any] | None = None,
) -> ConsoleServer:
    """Serve the console of an opened home; port 0 takes any free one.

    given: `[console]` in place of what hub.toml says. Raises NotReady for settings that are wrong
    or would let strangers read along, and for an address that cannot be bound.
    """
    told = deciding.reading.settings.console if given is None else given
    settings = read_console({**told, **_given(host=host, port=port)})
    settings.check_reach()
    late = _Late()
    files = (settings.certificate, settings.private_key) if settings.tls else None
    listener = Listener(
        late,
        settings.host,
        settings.port,
        LIMITS,
        certificate=files,
        trusted_proxies=settings.trusted_proxies or None,
        name="console",
    )
    url = settings.base(listener.port)
    console, entrance = put_together(deciding, settings, url)
    app = create_console(console, LIMITS, entrance)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_hosts(settings, url))
    late.app = app
    listener.start()
    log.info("console_serving", host=settings.host, port=listener.port)
    return ConsoleServer(url, console, entrance, listener)


def put_together(
    deciding: Deciding, settings: ConsoleSettings, url: str
) -> tuple[Console, Entrance]:
    """The console and its entrance, over an opened home; nothing listens yet."""
    exchange, hub_id = deciding.reading.exchange, deciding.reading.settings.hub_id
    grants = GrantsOnRecord(exchange.log, hub_id)
    provider = programs = None
    if settings.oidc is not None:
        provider = Provider(settings.oidc)
        programs = ProgramTokens(provider, grants) if settings.oidc.audience else None
    console = Console(
        deciding,
        RecordedLooks(exchange, grants, settings.browsing),
        Sessions(
            idle=settings.idle_minutes * 60.0,
            longest=settings.longest_hours * 3600.0,
            fresh=settings.fresh_minutes * 60.0,
        ),
        grants,
        programs,
        settings.secure,
    )
    entrance = Entrance(console, settings, url, Granting(exchange, hub_id), grants, provider)
    return console, entrance


class _Late:
    """The application, known once the port is."""

    app: Any = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(scope, receive, send)


def _hosts(settings: ConsoleSettings, url: str) -> list[str]:
    """Names browsers may use: others are somebody else's page that points at us."""
    name = urlsplit(url).hostname or ""
    own = ["localhost", "127.0.0.1", "[::1]"] if loopback(settings.host) else []
    return [name, *own]


def _given(**options: Any) -> dict[str, Any]:
    return {name: value for name, value in options.items() if value is not None}
