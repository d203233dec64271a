"""Verifying a bundle: where to do it, and the key to do it with.

The check itself runs on the viewer's machine: in the verifier's own page, or in the program
`nrm-verify`. The verifier's page is a file (`static/verify/`); it is served here under a policy
that lets its scripts run and lets nothing leave it, which other files of the console do not get.
"""

from __future__ import annotations

from html import escape
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.responses import HTMLResponse

from hub.console.desk import Console

VERIFIER: Traversable = resources.files("hub.console") / "static" / "verify" / "verify.html"
BEFORE: Final = '<span data-say="kicker">'
"""Where the way back to the console stands; the file on its own has none."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def verify_pages(console: Console) -> APIRouter:
    """The way to both verifiers."""
    pages = APIRouter()

    @pages.get("/verify")
    def verify(request: Request) -> Response:
        viewer = console.admit(request)
        console.look(viewer, "verify")
        return console.page(request, "verify", key=str(console.log_verifier))

    @pages.get("/static/verify/verify.html")
    def verifier(request: Request) -> Response:
        viewer = console.admit(request)
        console.look(viewer, "verifier")
        if not VERIFIER.is_file():
            raise HTTPException(404)
        headers = {"Content-Security-Policy": POLICY}
        back = escape(console.text(request, "verify.back"))
        text = VERIFIER.read_text("utf-8").replace(
            BEFORE, f'<a href="/verify">{back}</a> · {BEFORE}', 1
        )
        return HTMLResponse(text, headers=headers)

    return pages
