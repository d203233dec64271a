"""The console put together. Pages are in `pages/`, what they share in `desk.py`."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from typing import Final

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse
from starlette.staticfiles import StaticFiles

from hub.api.app import NO_TELEMETRY
from hub.api.edge import Edge
from hub.api.limits import Limits
from hub.console.desk import Console, NotForYou, SignInNeeded
from hub.console.pages.dead_letters import dead_letters_pages
from hub.console.pages.overview import overview_pages
from hub.console.pages.policy import policy_pages
from hub.console.pages.questions import questions_pages
from hub.console.pages.registry import registry_pages
from hub.console.pages.withdrawals import withdrawals_pages
from hub.console.pages.work import work_pages
from hub.errors import Refused

PAGES: Final[tuple[Callable[[Console], APIRouter], ...]] = (
    overview_pages,
    work_pages,
    withdrawals_pages,
    dead_letters_pages,
    policy_pages,
    questions_pages,
    registry_pages,
)


def create_console(console: Console, limits: Limits | None = None) -> FastAPI:
    """The console over an opened home."""
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
    static = str(resources.files("hub.console") / "static")
    app.mount("/static", StaticFiles(directory=static), name="static")
    _refuse(app, console)
    app.add_middleware(Edge, limits=limits, observe=lambda *_: None)
    return app


def _refuse(app: FastAPI, console: Console) -> None:
    """Every refusal is a page that says what to do, and repeats nothing of the request."""

    def sign_in(_: Request, needed: Exception) -> Response:
        assert isinstance(needed, SignInNeeded)
        return RedirectResponse(needed.location, 303)

    def refused(request: Request, wrong: Exception) -> Response:
        code, status = "failed", 500
        if isinstance(wrong, NotForYou):
            code, status = wrong.code, 403
        elif isinstance(wrong, Refused):
            code, status = wrong.reason, 404
        elif isinstance(wrong, HTTPException):
            code, status = "no_such_page", wrong.status_code
        detail = wrong.detail if isinstance(wrong, Refused) else ""
        return console.page(request, "refused", status=status, code=code, detail=detail)

    app.add_exception_handler(SignInNeeded, sign_in)
    for kind in (NotForYou, Refused, HTTPException):
        app.add_exception_handler(kind, refused)
