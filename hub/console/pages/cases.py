"""Cases: find one by its reference, and which ones moved last.

What is typed travels in a form; the address carries the hub's own id of the case and nothing else.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from hub.audit.course import UNKNOWN_CASE
from hub.audit.replay import case_named
from hub.console.desk import Console
from hub.console.form import Sent
from hub.console.lanes import words
from hub.store import events as stored
from hub.store.log import HubLog

RECENT: Final = 50_000  # rows of the log that are looked through at most
WINDOW: Final = 2_000  # rows at once
SHOWN: Final = 30
_CASE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Recent:
    """A case that moved lately. events: how many of its events were met on the way."""

    case_id: str
    events: int
    position: int
    at: datetime
    last: str
    emitter: str


def case_id_of(text: str) -> UUID:
    """The case an address names. Raises Refused for anything else, there or not."""
    if not _CASE_ID.fullmatch(text):
        raise UNKNOWN_CASE
    return UUID(hex=text)


def kept(as_of: str | None) -> str:
    """The query by which a link keeps the position or time that is looked at."""
    return f"as_of={quote(as_of)}" if as_of else ""


def recent_cases(log: HubLog) -> list[Recent]:
    """Cases with an event among the log's last rows, the latest first.

    The log is read in windows from its end backwards, because rows of other kinds (deliveries,
    receipts, looks) may stand between; no further than `RECENT` rows, or than needed.
    """
    found: dict[UUID, Recent] = {}
    topics = frozenset({stored.EventAccepted.TOPIC})
    end, first = log.head, max(log.head - RECENT, 0)
    while end > first and len(found) < SHOWN:
        start = max(end - WINDOW, first)
        for one in reversed(log.read(start, WINDOW, topics)):
            event = one.event
            if one.position > end or not isinstance(event, stored.EventAccepted):
                continue
            latest = found.get(event.originator_id)
            if latest is None:
                found[event.originator_id] = Recent(
                    event.originator_id.hex,
                    1,
                    one.position,
                    event.timestamp,
                    words(event.event_type),
                    event.emitter,
                )
            else:
                found[event.originator_id] = replace(latest, events=latest.events + 1)
        end = start
    return list(found.values())[:SHOWN]


def cases_pages(console: Console) -> APIRouter:
    """Finding a case."""
    pages = APIRouter()

    @pages.get("/cases")
    def cases(request: Request) -> Response:
        viewer = console.admit(request, "auditor", "operator")
        console.look(viewer, "cases")
        recent = recent_cases(console.exchange.log)
        return console.page(request, "cases", recent=recent, unknown=False)

    @pages.post("/cases")
    def find(request: Request, form: Sent) -> Response:
        viewer = console.admit_form(request, form.get("token"), "auditor", "operator")
        exchange = console.exchange
        case_id = case_named(exchange, form.get("case"))
        if exchange.log.stream(case_id, limit=1):
            console.look(viewer, "cases", case_id.hex)
            return RedirectResponse(f"/cases/{case_id.hex}", 303)
        console.look(viewer, "cases")
        recent = recent_cases(exchange.log)
        return console.page(request, "cases", status=404, recent=recent, unknown=True)

    return pages
