"""The console's desk: who is looking, that the look is recorded, and the page they get.

Order of every request: the session's cookie, the role, the form's token if something is changed,
the record of the look; then the page. A look that cannot be recorded shows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse

from consumers.witnesses.settings import WitnessSettings
from hub.console import render
from hub.console.books import Books
from hub.console.navigation import menu
from hub.console.sessions import Session, Sessions
from hub.console.viewer import Role, Viewer
from hub.exchange import Exchange
from hub.hub import Deciding
from hub.tlog.note import VerifierKey

COOKIE: Final = "nrm-console"
LANGUAGE: Final = "nrm-language"


class SignInNeeded(Exception):
    """Nobody is signed in; `then` is where they wanted to go."""

    def __init__(self, then: str) -> None:
        super().__init__(then)
        self.then = then

    @property
    def location(self) -> str:
        return f"/sign-in?then={quote(self.then, safe='')}"


class NotForYou(Exception):
    """Signed in, but this page is for another role, or the form was not ours."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Looks(Protocol):
    """Where looks are recorded."""

    def record(self, viewer: Viewer, page: str, about: str = "") -> None:
        """page: name of the page or question. about: id of the case or agency looked at; never
        content. Raises what the store raises: then nothing is shown."""


class LooksUnrecorded:
    """For tests of pages alone."""

    def __init__(self) -> None:
        self.seen: list[tuple[Viewer, str, str]] = []

    def record(self, viewer: Viewer, page: str, about: str = "") -> None:
        self.seen.append((viewer, page, about))


@dataclass
class Console:
    """What every page is given."""

    deciding: Deciding
    looks: Looks
    sessions: Sessions = field(default_factory=Sessions)

    @property
    def exchange(self) -> Exchange:
        """The hub's state, with everything other processes recorded until now."""
        exchange = self.deciding.reading.exchange
        exchange.catch_up()
        return exchange

    @cached_property
    def books(self) -> Books:
        """What pages need of the whole log."""
        return Books(self.deciding.reading.exchange.log)

    @property
    def hub_id(self) -> str:
        return self.deciding.reading.settings.hub_id

    @property
    def witnesses(self) -> tuple[WitnessSettings, ...]:
        """The witnesses that hub.toml names."""
        return tuple(self.deciding.reading.transparency.witnesses)

    @property
    def log_verifier(self) -> VerifierKey:
        return self.deciding.reading.log_verifier

    # -- who is looking ---------------------------------------------------------------------

    def session(self, request: Request) -> Session | None:
        return self.sessions.find(request.cookies.get(COOKIE))

    def admit(self, request: Request, *roles: Role) -> Viewer:
        """The viewer, if signed in with one of these roles (none given: any).

        Raises SignInNeeded or NotForYou; the application answers both.
        """
        session = self.session(request)
        if session is None:
            query = f"?{request.url.query}" if request.url.query else ""
            raise SignInNeeded(request.url.path + query)
        if roles and session.viewer.role not in roles:
            raise NotForYou("not_for_this_role")
        return session.viewer

    def admit_form(self, request: Request, token: str, *roles: Role) -> Viewer:
        """As `admit`, for what changes something: the form must be one this session was shown."""
        viewer = self.admit(request, *roles)
        session = self.session(request)
        if session is None or not session.same(token):
            raise NotForYou("form_not_ours")
        return viewer

    def look(self, viewer: Viewer, page: str, about: str = "") -> None:
        """Record the look. Call it before reading what is shown."""
        self.looks.record(viewer, page, about)

    # -- what they get ----------------------------------------------------------------------

    def language(self, request: Request) -> str:
        return render.language_of(
            request.headers.get("accept-language", ""), request.cookies.get(LANGUAGE)
        )

    def page(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        scripts: bool = False,
        **names: Any,
    ) -> HTMLResponse:
        """Render a template for whoever is looking. In the template: `viewer`, `menu`, `here`,
        `token` (for forms), `hub_id` and `names`."""
        session = self.session(request)
        viewer = session.viewer if session else None
        return render.page(
            template,
            self.language(request),
            status=status,
            scripts=scripts,
            viewer=viewer,
            menu=menu(viewer),
            here=request.url.path,
            token=session.token if session else "",
            hub_id=self.hub_id,
            **names,
        )
