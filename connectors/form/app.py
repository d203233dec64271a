"""The form's pages: choose an event, fill it in, see who would receive what, sign and send.

    /          which event                       GET
    /fill      its form                          GET; POST to change what was filled in
    /preview   what would follow                 POST
    /send      signed by the agency, published   POST

Between the pages what is typed travels in the form itself. The event's id is made before the
preview and sent along, so that a form sent twice is one event.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from importlib import resources
from typing import Any, Final
from uuid import UUID

import jinja2
from anyio import to_thread
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from connectors.agency.identity import AgencyIdentity
from connectors.errors import ConnectorError, InvalidEventError, TransportDownError
from connectors.form.answering import EMPTY, Answer, Sent, answered
from connectors.form.asking import asked_of, types_for
from connectors.form.guard import MOST_BODY, Guard
from connectors.form.words import LANGUAGES, foreign, label, language_of, translator
from connectors.submit import Event, Publisher
from schemas.described import described
from schemas.registry import Schemas

Publish = Callable[[Event], Any]
Foretell = Callable[[Event], dict[str, Any]]


class Desk:
    """What the pages work with."""

    def __init__(self, identity: AgencyIdentity, publish: Publish, foretell: Foretell) -> None:
        """publish: an event → the hub's Outcome; foretell: as `foretold`. Both may raise
        ConnectorError and may take long."""
        self.identity = identity
        self.publish = publish
        self.foretell = foretell
        self.types = {one.type: one for group in types_for(identity.role).values() for one in group}


def create_form(desk: Desk, secret: str, port: int) -> ASGIApp:
    """The guarded application."""
    folder = resources.files("connectors.form")
    pages = _Pages(desk, secret)
    routes = [
        Route("/", pages.choose, methods=["GET"]),
        Route("/fill", pages.fill, methods=["GET", "POST"]),
        Route("/preview", pages.preview, methods=["POST"]),
        Route("/send", pages.send, methods=["POST"]),
        Mount("/static", StaticFiles(directory=str(folder / "static"))),
    ]
    return Guard(Starlette(routes=routes), secret, port)


def publish_with(identity: AgencyIdentity, transport: Any, limits: Any) -> Publish:
    turn = threading.Lock()  # one transport, and answers are told apart by who waits

    def publish(event: Event) -> Any:
        with turn:
            [outcome] = Publisher(identity, transport, limits=limits).publish([event])
        return outcome

    return publish


class _Pages:
    def __init__(self, desk: Desk, secret: str) -> None:
        self._desk = desk
        self._base = f"/{secret}"
        self._environment = jinja2.Environment(
            loader=jinja2.PackageLoader("connectors.form", "templates"),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    async def choose(self, request: Request) -> Response:
        return self._page(request, "choose", groups=types_for(self._desk.identity.role))

    async def fill(self, request: Request) -> Response:
        sent = await _sent(request)
        kind = sent.get("e.type") or request.query_params.get("type", "")
        if kind not in self._desk.types:
            return self._page(request, "choose", groups=types_for(self._desk.identity.role))
        return self._form(request, kind, sent, Answer())

    async def preview(self, request: Request) -> Response:
        sent = await _sent(request)
        if sent.get("e.type") not in self._desk.types:
            return self._page(request, "choose", groups=types_for(self._desk.identity.role))
        answer = self._answered(sent)
        if answer.event is None:
            return self._form(request, sent.get("e.type"), sent, answer)
        event = replace(
            answer.event, event_id=UUID(bytes=secrets.token_bytes(16), version=4)
        ).settled(datetime.now(UTC))
        told: dict[str, Any] = {"refused": None, "agencies": []}
        trouble, away = "", False
        try:
            told = await to_thread.run_sync(self._desk.foretell, event)
        except InvalidEventError as wrong:
            answer.wrong[wrong.field or "e.type"] = wrong.reason
            return self._form(request, event.type, sent, answer)
        except TransportDownError as down:
            trouble, away = str(down), True
        except ConnectorError as wrong:
            trouble = str(wrong)
        return self._page(
            request, "preview", event=event, sent=sent, told=told, trouble=trouble, away=away,
            kept=_kept(sent, event), fields=asked_of(self._desk.types[event.type]),
        )  # fmt: skip

    async def send(self, request: Request) -> Response:
        sent = await _sent(request)
        answer = self._answered(sent) if sent.get("e.type") in self._desk.types else Answer()
        event = answer.event
        if event is None or event.event_id is None:
            return self._page(request, "choose", groups=types_for(self._desk.identity.role))
        outcome, trouble, away = None, "", False
        try:
            outcome = await to_thread.run_sync(self._desk.publish, event)
        except TransportDownError as down:
            trouble, away = str(down), True
        except ConnectorError as wrong:
            trouble = str(wrong)
        done = outcome is not None and outcome.accepted
        flight = sorted({one.recipient for one in outcome.in_flight}) if outcome else []
        return self._page(
            request, "sent", outcome=outcome, trouble=trouble, away=away, type=event.type,
            flight=flight, kept=[] if done else _kept(sent, event),
            status=200 if outcome is not None else 503,
        )  # fmt: skip

    def _answered(self, sent: Sent) -> Answer:
        return answered(sent, datetime.now(UTC), None)

    def _form(self, request: Request, kind: str, sent: Sent, answer: Answer) -> Response:
        schema = self._desk.types[kind]
        return self._page(
            request, "fill", schema=schema, fields=asked_of(schema), sent=sent, wrong=answer.wrong,
            types=Schemas.load().types(), status=422 if answer.wrong else 200,
        )  # fmt: skip

    def _page(self, request: Request, name: str, *, status: int = 200, **names: Any) -> Response:
        language = language_of(
            request.query_params.get("lang", ""), request.headers.get("accept-language", "")
        )
        text = self._environment.get_template(f"{name}.html.j2").render(
            t=translator(language),
            label=lambda kind, one, english="": label(language, kind, one, english),
            foreign=lambda kind, one, english: foreign(language, kind, one, english),
            described=lambda doc: described(doc, language),
            language=language,
            languages=LANGUAGES,
            base=self._base,
            identity=self._desk.identity,
            zone=datetime.now().astimezone().tzname(),
            here=name,
            **names,
        )
        return HTMLResponse(text, status)


async def _sent(request: Request) -> Sent:
    if request.method == "GET":
        return EMPTY
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BODY:
            return EMPTY
    try:
        return Sent(body)
    except ValueError:
        return EMPTY


_MADE: Final = ("e.event_id", "e.occurred_at")


def _kept(sent: Sent, event: Event) -> list[tuple[str, str]]:
    """The form again, for the next page: the same event, with its id and time for good."""
    assert event.occurred_at is not None
    pairs = [(name, value) for name, value in sent.pairs if name not in _MADE]
    return [
        *pairs,
        ("e.event_id", str(event.event_id)),
        ("e.occurred_at", event.occurred_at.astimezone().isoformat()),
    ]
