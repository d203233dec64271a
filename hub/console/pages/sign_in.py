"""Signing in and out. The provider's way needs no script; a passkey needs ours (`passkey.js`)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request, Response
from starlette.responses import JSONResponse, RedirectResponse

from hub.authority.granting import code_ends
from hub.console.attempts import Attempt, own_path
from hub.console.desk import Console, NotForYou
from hub.console.entrance import ANSWER, Entrance, NotLetIn
from hub.console.form import Sent
from hub.errors import Refused

MOST_BYTES: Final = 32 * 1024  # of what an authenticator answers


async def _json(request: Request) -> Any:
    """The body as JSON; None for anything else. Only our own pages can send it (see `_ours`)."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return None
    body = await request.body()
    try:
        return json.loads(body) if len(body) <= MOST_BYTES else None
    except (ValueError, RecursionError):
        return None


Told = Annotated[Any, Depends(_json)]


def sign_in_pages(console: Console, entrance: Entrance) -> APIRouter:
    """Everything under /sign-in, and the way out."""
    pages = APIRouter()

    @pages.get("/sign-in")
    def sign_in(request: Request) -> Response:
        then, again = _wanted(request)
        if console.session(request) is not None and not again:
            return RedirectResponse(then, 303)
        settings = entrance.settings
        return console.page(
            request,
            "sign_in",
            scripts=entrance.passkeys is not None,
            provider=(settings.oidc.name or "") if settings.oidc else None,
            passkeys=entrance.passkeys is not None,
            query=urlencode({"then": then} | ({"again": "yes"} if again else {})),
            then=then,
            again=again,
            minutes=settings.fresh_minutes,
            nobody=not len(entrance.grants.viewers().standing),
            registered=request.query_params.get("registered") == "yes",
        )

    @pages.get("/sign-in/provider")
    def to_provider(request: Request) -> Response:
        then, again = _wanted(request)
        attempt = Attempt("oidc", then, again)
        response = RedirectResponse("/sign-in", 303)
        entrance.begin(request, response, attempt)
        response.headers["location"] = entrance.provider_url(attempt)
        return response

    @pages.get(ANSWER)
    def from_provider(request: Request) -> Response:
        attempt = entrance.take(request, "oidc")
        granted = entrance.from_provider(request, attempt)
        response = RedirectResponse(attempt.then, 303)
        entrance.let_in(request, response, granted)
        return response

    @pages.get("/sign-in/new")
    def new_passkey(request: Request) -> Response:
        if entrance.passkeys is None:
            raise NotLetIn("no_passkeys", 404)
        return console.page(request, "sign_in_new", scripts=True)

    @pages.post("/sign-in/new/ask")
    def ask_to_register(request: Request, told: Told) -> Response:
        def work(response: JSONResponse) -> str:
            assert entrance.passkeys is not None
            code = told.get("code") if isinstance(told, dict) else None
            attempt = Attempt("register", code=str(code or "")[:100])
            entrance.begin(request, response, attempt)
            granted = entrance.by_code(attempt.code)
            options = json.loads(entrance.passkeys.ask_to_register(granted, attempt.challenge))
            return json.dumps({"options": options, "ends": code_ends(granted).isoformat()})

        return _answered(entrance, request, work)

    @pages.post("/sign-in/new")
    def register(request: Request, told: Told) -> Response:
        def work(_: JSONResponse) -> str:
            assert entrance.passkeys is not None
            attempt = entrance.take(request, "register")
            entrance.passkeys.register(told, attempt.challenge, attempt.code, entrance.granting)
            return json.dumps({"then": "/sign-in?registered=yes"})

        return _answered(entrance, request, work)

    @pages.post("/sign-in/passkey/ask")
    def ask(request: Request, told: Told) -> Response:
        def work(response: JSONResponse) -> str:
            assert entrance.passkeys is not None
            then = told.get("then") if isinstance(told, dict) else None
            attempt = Attempt("passkey", own_path(then if isinstance(then, str) else None))
            entrance.begin(request, response, attempt)
            return json.dumps({"options": json.loads(entrance.passkeys.ask(attempt.challenge))})

        return _answered(entrance, request, work)

    @pages.post("/sign-in/passkey")
    def from_passkey(request: Request, told: Told) -> Response:
        def work(response: JSONResponse) -> str:
            attempt = entrance.take(request, "passkey")
            granted, credential, counter = entrance.from_passkey(told, attempt)
            entrance.let_in(request, response, granted, credential, counter)
            return json.dumps({"then": attempt.then})

        return _answered(entrance, request, work)

    @pages.post("/sign-out")
    def sign_out(request: Request, sent: Sent) -> Response:
        session = console.session(request)
        if session is not None and not session.same(sent.get("token")):
            raise NotForYou("form_not_ours")
        how = session.viewer.how if session is not None else ""
        response = RedirectResponse("/signed-out" + ("?how=oidc" if how == "oidc" else ""), 303)
        entrance.let_out(request, response)
        return response

    @pages.get("/signed-out")
    def signed_out(request: Request) -> Response:
        elsewhere = ""
        if request.query_params.get("how") == "oidc" and entrance.provider is not None:
            elsewhere = entrance.provider.sign_out_url()
        return console.page(request, "signed_out", elsewhere=elsewhere)

    return pages


def _wanted(request: Request) -> tuple[str, bool]:
    """Where to go on to, and whether the person signs in anew for it."""
    asked = request.query_params
    return own_path(asked.get("then")), asked.get("again") == "yes"


def _answered(
    entrance: Entrance, request: Request, work: Callable[[JSONResponse], str]
) -> Response:
    """What our script asked, as JSON; refusals as {code, text}. Raises NotForYou for a stranger."""
    if entrance.passkeys is None:
        raise NotLetIn("no_passkeys", 404)
    _ours(entrance, request)
    response = JSONResponse({})
    try:
        body = work(response)
    except Refused as wrong:
        entrance.count(request)
        text = entrance.console.text(request, f"refused.{wrong.reason}") or wrong.detail
        return JSONResponse({"code": wrong.reason, "text": text}, 403)
    except NotLetIn as wrong:
        text = entrance.console.text(request, f"sign_in.why_{wrong.code}")
        return JSONResponse({"code": wrong.code, "text": text}, wrong.status)
    response.body = body.encode()
    response.headers["content-length"] = str(len(response.body))
    return response


def _ours(entrance: Entrance, request: Request) -> None:
    """Sent by a script of this console: browsers say where a script's request comes from."""
    if request.headers.get("origin") != entrance.url:
        raise NotForYou("form_not_ours")
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise NotForYou("form_not_ours")
