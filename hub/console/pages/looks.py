"""Who looked: what viewers opened and asked, and what they were refused. For auditors."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from fastapi import APIRouter, Request, Response

from hub.audit.looks import Look, looks, position_before
from hub.audit.replay import case_named
from hub.console.desk import Console
from hub.console.looking import plain_id

SHOWN: Final = 200
DEFAULT_DAYS: Final = 7
MOST_DAYS: Final = 366


@dataclass(frozen=True, slots=True)
class _Asked:
    viewer: str
    about: str
    days: int


def looks_pages(console: Console) -> APIRouter:
    """The list, newest first."""
    pages = APIRouter()

    @pages.get("/looks")
    def who_looked(request: Request) -> Response:
        viewer = console.admit(request, "auditor")
        asked = _asked(request)
        about = _about(console, asked.about)
        console.look(viewer, "looks", about)
        found, more = _newest(console, asked, about)
        return console.page(
            request,
            "looks",
            looks=found,
            more=more,
            asked=asked,
            shown=SHOWN,
            days=(1, 7, 31, MOST_DAYS),
        )

    return pages


def _asked(request: Request) -> _Asked:
    told = request.query_params
    days = told.get("days", "")
    number = int(days) if days.isascii() and days.isdecimal() and len(days) < 4 else DEFAULT_DAYS
    return _Asked(
        told.get("viewer", "").strip()[:64],
        told.get("about", "").strip()[:100],
        min(max(number, 1), MOST_DAYS),
    )


def _about(console: Console, typed: str) -> str:
    """The id of what was typed: an agency's as it is, else of a case, by reference or id."""
    if not typed or console.exchange.agencies.get(typed) is not None:
        return typed
    return plain_id(case_named(console.exchange, typed).hex)


def _newest(console: Console, asked: _Asked, about: str) -> tuple[list[Look], bool]:
    exchange = console.exchange
    since = exchange.clock.now() - timedelta(days=asked.days)
    after = position_before(exchange.log, since.isoformat())
    found = deque(
        looks(exchange.log, viewer=asked.viewer, about=about, after=after), maxlen=SHOWN + 1
    )
    return list(reversed(found))[:SHOWN], len(found) > SHOWN
