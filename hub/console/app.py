"""The console put together. Pages are in `pages/`, what they share in `desk.py`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

from hub.api.app import NO_TELEMETRY
from hub.api.edge import Edge
from hub.api.limits import Limits
from hub.console.desk import CallerUnknown, Console, NotForYou, SignInNeeded
from hub.console.entrance import Entrance, NotLetIn
from hub.console.looking import TOO_MANY, TooManyLooks
from hub.console.pages.cases import cases_pages
from hub.console.pages.dead_letters import dead_letters_pages
from hub.console.pages.deliveries import deliveries_pages
from hub.console.pages.held import held_pages
from hub.console.pages.language import language_pages
from hub.console.pages.looks import looks_pages
from hub.console.pages.overview import overview_pages
from hub.console.pages.policy import policy_pages
from hub.console.pages.preview import preview_pages
from hub.console.pages.questions import questions_pages
from hub.console.pages.registry import registry_pages
from hub.console.pages.sign_in import sign_in_pages
from hub.console.pages.timeline import timeline_pages
from hub.console.pages.verify import verify_pages
from hub.console.pages.withdrawals import withdrawals_pages
from hub.console.pages.work import work_pages
from hub.console.small import SmallBodies
from hub.errors import Refused

PAGES: Final[tuple[Callable[[Console], APIRouter], ...]] = (
    overview_pages,
    work_pages,
    withdrawals_pages,
    dead_letters_pages,
    policy_pages,
    questions_pages,
    registry_pages,
    cases_pages,
    timeline_pages,
    held_pages,
    preview_pages,
    deliveries_pages,
    verify_pages,
    looks_pages,
    language_pages,
)


def create_console(
    console: Console, limits: Limits | None = None, entrance: Entrance | None = None
) -> FastAPI:
    """The console over an opened home. entrance: none for tests of pages alone."""
    limits = limits or Limits()
    app = FastAPI(
        title="NRM Hub console",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )
    for pages in PAGES:
        app.include_router(pages(console))
    if entrance is not None:
        app.include_router(sign_in_pages(console, entrance))
    static = str(resources.files("hub.console") / "static")
    app.mount("/static", StaticFiles(directory=static), name="static")
    _refuse(app, console)
    app.add_middleware(SmallBodies, limits=limits)
    app.add_middleware(Edge, limits=limits, observe=lambda *_: None)
    return app


def _refuse(app: FastAPI, console: Console) -> None:
    """Every refusal is a page that says what to do, and repeats nothing of the request. Programs
    get the same as problem details (RFC 9457)."""

    def sign_in(_: Request, needed: Exception) -> Response:
        assert isinstance(needed, SignInNeeded)
        return RedirectResponse(needed.location, 303)

    def not_let_in(request: Request, wrong: Exception) -> Response:
        assert isinstance(wrong, NotLetIn)
        return console.page(
            request,
            "sign_in_failed",
            status=wrong.status,
            code=wrong.code,
            account=wrong.account,
        )

    def refused(request: Request, wrong: Exception) -> Response:
        code, status, headers = "failed", 500, {}
        detail = wrong.detail if isinstance(wrong, Refused) else ""
        if isinstance(wrong, NotForYou):
            code, status = wrong.code, 403
        elif isinstance(wrong, TooManyLooks):
            code, status = TOO_MANY, 429
            headers["retry-after"] = str(wrong.retry_after)
        elif isinstance(wrong, CallerUnknown):
            code, status = wrong.code, wrong.status
            if status == 401:
                headers["www-authenticate"] = 'Bearer realm="nrm-hub console"'
        elif isinstance(wrong, Refused):
            code, status = wrong.reason, 404
        elif isinstance(wrong, RequestValidationError):
            code, status = "no_such_page", 404
        elif isinstance(wrong, HTTPException):
            code, status = "no_such_page", wrong.status_code
        if request.scope.get("nrm.program"):
            problem = {"title": code.replace("_", " "), "status": status, "code": code}
            if detail:
                problem["next"] = detail
            return JSONResponse(problem, status, headers, "application/problem+json")
        why = detail or console.text(request, f"refused.{code}")
        page = console.page(request, "refused", status=status, code=code, why=why)
        page.headers.update(headers)
        return page

    app.add_exception_handler(SignInNeeded, sign_in)
    app.add_exception_handler(NotLetIn, not_let_in)
    for kind in (
        NotForYou,
        CallerUnknown,
        TooManyLooks,
        Refused,
        RequestValidationError,
        HTTPException,
    ):
        app.add_exception_handler(kind, refused)
