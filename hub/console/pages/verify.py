"""Bundles: making one, where to verify one, and the key to do it with.

The check itself runs on the viewer's machine: in the verifier's own page, or in the program
`nrm-verify`. The verifier's page is a file (`static/verify/`); it is served here under a policy
that lets its scripts run and lets nothing leave it, which other files of the console do not get.
"""

from __future__ import annotations

from hashlib import sha256
from html import escape
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from fastapi import APIRouter, HTTPException, Request, Response
from starlette.responses import HTMLResponse

from hub.console.bundles import Wanted, made
from hub.console.desk import Console
from hub.console.form import Sent
from hub.console.viewer import Role, Viewer
from hub.errors import Refused

VERIFIER: Traversable = resources.files("hub.console") / "static" / "verify" / "verify.html"
BEFORE: Final = '<span data-say="kicker">'
"""Where the way back to the console stands; the file on its own has none."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TOO_LARGE: Final = ("too_large_here", "bundle_too_large")
MAKERS: Final[tuple[Role, ...]] = ("auditor", "operator")


def verify_pages(console: Console) -> APIRouter:
    """The way to both verifiers, and a bundle for those who may see all metadata."""
    pages = APIRouter()

    def shown(
        request: Request, viewer: Viewer, refused: Refused | None = None, wanted: Wanted = Wanted()
    ) -> Response:
        may_make = viewer.role in MAKERS
        return console.page(
            request,
            "verify",
            status=409 if refused else 200,
            key=str(console.log_verifier),
            may_make=may_make,
            agencies=[one.agency for one in console.exchange.agencies] if may_make else [],
            refused=refused,
            wanted=wanted,
            command=wanted.command() if refused and refused.reason in TOO_LARGE else "",
        )

    @pages.get("/verify")
    def verify(request: Request) -> Response:
        viewer = console.admit(request)
        console.look(viewer, "verify")
        return shown(request, viewer)

    @pages.post("/verify/bundle")
    def make(request: Request, form: Sent) -> Response:
        viewer = console.admit_form(request, form.get("token"), *MAKERS)
        wanted = Wanted(*(form.get(name) for name in ("case", "event", "agency", "as_of")))
        exchange = console.exchange
        try:
            about = wanted.about(exchange)
        except Refused as wrong:
            console.look(viewer, "bundle")
            return shown(request, viewer, wrong, wanted)
        console.look(viewer, "bundle", about)
        try:
            bundle = made(exchange, wanted, console.deciding.signing)
        except Refused as wrong:
            return shown(request, viewer, wrong, wanted)
        name = f"bundle-{sha256(bundle.content).hexdigest()[:12]}.zip"
        return Response(
            bundle.content,
            media_type="application/zip",
            headers={
                "Content-Disposition": f'attachment; filename="{name}"',
                "Cache-Control": "no-store",
            },
        )

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
