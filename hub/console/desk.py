"""The console's desk: who is looking, that the look is recorded, and the page they get.

Order of every request: the session's cookie, the role, the form's token if something is changed,
the record of the look; then the page. A look that cannot be recorded shows nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, Protocol
from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse

from consumers.witnesses.settings import WitnessSettings
from hub.api.edge import route_of
from hub.console import render
from hub.console.attempts import own_path
from hub.console.books import Books
from hub.console.grants import EverybodyGranted, Grants
from hub.console.navigation import menu
from hub.console.sessions import Session, Sessions
from hub.console.viewer import Role, Viewer
from hub.exchange import Exchange
from hub.hub import Deciding
from hub.tlog.note import VerifierKey

COOKIE: Final = "nrm-console"
SECURE: Final = "__Host-"
"""Before a cookie's name: browsers take it over TLS only, and from this very host."""
LANGUAGE: Final = "nrm-language"


class SignInNeeded(Exception):
    """Nobody is signed in; `then` is where they wanted to go.

    again: somebody is, but too long ago for what they want to change.
    """

    def __init__(self, then: str, *, again: bool = False) -> None:
        super().__init__(then)
        self.then = then
        self.again = again

    @property
    def location(self) -> str:
        return f"/sign-in?then={quote(self.then, safe='')}" + ("&again=yes" if self.again else "")


class NotForYou(Exception):
    """Signed in, but this page is for another role, or the form was not ours."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class CallerUnknown(Exception):
    """A program did not say who it is, or could not prove it."""

    def __init__(self, code: str, status: int = 401) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


class Programs(Protocol):
    """Who a program's access token stands for."""

    def viewer(self, token: str, address: str) -> Viewer:
        """Raises CallerUnknown."""


class Looks(Protocol):
    """Where looks are recorded."""

    def record(self, viewer: Viewer, page: str, about: str = "") -> None:
        """page: name of the page or question. about: id of the case or agency looked at; never
        content. Raises what the store raises, or that it is too much: then nothing is shown."""

    def refused(self, viewer: Viewer, page: str, why: str) -> None:
        """That a viewer asked for what is not for them. page: the route, never the path."""


class LooksUnrecorded:
    """For tests of pages alone."""

    def __init__(self) -> None:
        self.seen: list[tuple[Viewer, str, str]] = []
        self.refusals: list[tuple[Viewer, str, str]] = []

    def record(self, viewer: Viewer, page: str, about: str = "") -> None:
        self.seen.append((viewer, page, about))

    def refused(self, viewer: Viewer, page: str, why: str) -> None:
        self.refusals.append((viewer, page, why))


@dataclass
class Console:
    """What every page is given."""

    deciding: Deciding
    looks: Looks
    sessions: Sessions = field(default_factory=Sessions)
    grants: Grants = field(default_factory=EverybodyGranted)
    programs: Programs | None = None
    secure: bool = False
    """Browsers reach the console by TLS only."""

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

    @property
    def cookie(self) -> str:
        """Name of the session's cookie."""
        return SECURE + COOKIE if self.secure else COOKIE

    def session(self, request: Request) -> Session | None:
        """The session, while the grant it rests on stands: another process may have ended it."""
        if "nrm.session" not in request.scope:
            name = request.cookies.get(self.cookie)
            session = self.sessions.find(name)
            if session is not None and not self.grants.stand(session.viewer, session.granted):
                self.sessions.end(name)
                session = None
            request.scope["nrm.session"] = session
        found: Session | None = request.scope["nrm.session"]
        return found

    def admit(self, request: Request, *roles: Role) -> Viewer:
        """The viewer, if signed in with one of these roles (none given: any).

        Raises SignInNeeded or NotForYou; the application answers both.
        """
        session = self.session(request)
        if session is None:
            query = f"?{request.url.query}" if request.url.query else ""
            raise SignInNeeded(request.url.path + query)
        return self._of_role(request, session.viewer, roles)

    def admit_form(self, request: Request, token: str, *roles: Role) -> Viewer:
        """As `admit`, for a form: it must be one that this session was shown."""
        viewer = self.admit(request, *roles)
        session = self.session(request)
        if session is None or not session.same(token):
            raise NotForYou("form_not_ours")
        return viewer

    def admit_change(self, request: Request, token: str, *roles: Role) -> Viewer:
        """As `admit_form`, for what changes something: the person must have signed in lately, or
        does so again and repeats it."""
        viewer = self.admit_form(request, token, *roles)
        session = self.session(request)
        if session is None or not self.sessions.fresh(session):
            raise SignInNeeded(_page_of(request), again=True)
        return viewer

    def admit_caller(self, request: Request, *roles: Role) -> Viewer:
        """As `admit`, for what programs ask: an access token of the OpenID provider, or a session.

        A session that sends anything but GET shows its form token in `x-console-token`. Raises
        CallerUnknown or NotForYou; the application answers both as problem details.
        """
        request.scope["nrm.program"] = True
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme:
            if scheme.lower() != "bearer" or self.programs is None:
                raise CallerUnknown("no_such_scheme")
            address = request.client.host if request.client else ""
            return self._of_role(request, self.programs.viewer(token.strip(), address), roles)
        session = self.session(request)
        if session is None:
            raise CallerUnknown("sign_in_needed")
        if request.method not in ("GET", "HEAD") and not session.same(
            request.headers.get("x-console-token", "")
        ):
            raise NotForYou("form_not_ours")
        return self._of_role(request, session.viewer, roles)

    def _of_role(self, request: Request, viewer: Viewer, roles: tuple[Role, ...]) -> Viewer:
        if roles and viewer.role not in roles:
            self.looks.refused(viewer, route_of(request.scope), "not_for_this_role")
            raise NotForYou("not_for_this_role")
        return viewer

    def look(self, viewer: Viewer, page: str, about: str = "") -> None:
        """Record the look. Call it before reading what is shown."""
        self.looks.record(viewer, page, about)

    # -- what they get ----------------------------------------------------------------------

    def language(self, request: Request) -> str:
        return render.language_of(
            request.headers.get("accept-language", ""), request.cookies.get(LANGUAGE)
        )

    def text(self, request: Request, key: str) -> str:
        """One text in the language of whoever is looking; empty if there is none."""
        return render.texts(self.language(request)).get(key, "")

    def page(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        scripts: bool = False,
        **names: Any,
    ) -> HTMLResponse:
        """Render a template for whoever is looking. In the template: `viewer`, `menu`, `here`
        (the path), `there` (path and query), `token` (for forms), `hub_id` and `names`."""
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
            there=_shown_at(request, status),
            token=session.token if session else "",
            hub_id=self.hub_id,
            **names,
        )


def _shown_at(request: Request, status: int) -> str:
    """Path and query of a page, to come back to. Of an answered form the path alone; of a refusal
    the first page, since what was asked for (a provider's answer too) is repeated nowhere."""
    if status != 200:
        return "/"
    query = f"?{request.url.query}" if request.url.query and request.method == "GET" else ""
    return request.url.path + query


def _page_of(request: Request) -> str:
    """The page a form was on, as the browser says (Referer, this console's own only)."""
    try:
        told = urlsplit(request.headers.get("referer", ""))
    except ValueError:
        return "/"
    if told.netloc != request.url.netloc:
        return "/"
    return own_path(told.path + (f"?{told.query}" if told.query else ""))
