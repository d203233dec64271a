"""Which language pages are in: chosen in the foot of every page, kept in a cookie of the browser.

Nobody needs to be signed in, and nothing is recorded: it is said on the sign-in page too.
"""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Response
from starlette.responses import RedirectResponse

from hub.console.attempts import LONGEST_PATH, own_path
from hub.console.desk import LANGUAGE, Console
from hub.console.form import Sent
from hub.console.render import languages

DOORS: Final = frozenset({"/sign-in", "/sign-in/new"})
KEPT: Final = 365 * 24 * 3600  # seconds


def language_pages(console: Console) -> APIRouter:
    """The form in the foot of the page, sent back to the page it stood on."""
    pages = APIRouter()

    @pages.post("/language")
    def choose(form: Sent) -> Response:
        response = RedirectResponse(_back(form.get("then")), 303)
        if form.get("to") in languages():
            response.set_cookie(
                LANGUAGE,
                form.get("to"),
                max_age=KEPT,
                httponly=True,
                secure=console.secure,
                samesite="lax",
            )
        return response

    return pages


def _back(told: str) -> str:
    """The page it stood on; signing in is one too, which `own_path` never leads to."""
    ours = told.isascii() and told.isprintable() and len(told) <= LONGEST_PATH
    return told if ours and told.partition("?")[0] in DOORS else own_path(told)
