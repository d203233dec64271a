"""Overview: how the hub is now, at one glance, and for each role what concerns it.

auditor, operator   flow, partners, alarms, work, checkpoints, the hub's parts
agency officer      the own agency: deliveries, what is set aside, recalls, work
rapporteur          tables due; no agency, and no count of events: what may be published about
                    numbers is decided in `hub/statistics/`, not here
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request, Response

from consumers.witnesses.health import witness_health
from hub.api.work import own_work
from hub.console import asked, drawing, health
from hub.console.desk import Console
from hub.console.viewer import Viewer
from hub.exchange import Exchange

HEAD: Final = 8  # work items shown
UNFOLLOWED: Final = 50  # rows the work list may lag before its numbers are called old
ALWAYS: Final = datetime.min.replace(tzinfo=UTC)  # the console knows no start to wait from
RELOADS: Final = 30  # a page reloads so often, then stands still
STALLS: Final = (
    "publisher_lag",
    "checkpoint_late",
    "recipient_silent",
    "notices_undelivered",
    "own_event_refused",
    "not_followed",
)
SPANS: Final = {"hour": (60, 1), "day": (24 * 60, 30)}  # minutes, minutes in one column
RAPPORTEUR: Final = "national_rapporteur"


def overview_pages(console: Console) -> APIRouter:
    """The first page."""
    pages = APIRouter()

    @pages.get("/")
    def overview(request: Request) -> Response:
        viewer = console.admit(request)
        console.look(viewer, "overview", viewer.agency or "")
        exchange = console.exchange
        now = exchange.clock.now()
        shown: dict[str, Any] = {
            "now": now,
            "again": asked.number(request, "again", RELOADS),
            "reloads": RELOADS,
            "span": asked.word(request, "span", SPANS) or "hour",
            "policy": exchange.policy().version,
            "behind": None,
        }
        match viewer.role:
            case "auditor" | "operator":
                shown |= _whole(console, exchange, shown["span"], now)
            case "agency_officer":
                shown |= _own(console, exchange, viewer, now)
            case "rapporteur":
                rows = exchange.log.work.standing(role=RAPPORTEUR, limit=HEAD)
                shown["work"] = [(one, one.overdue(now)) for one in rows]
        return console.page(request, "overview", **shown)

    return pages


def _whole(console: Console, exchange: Exchange, span: str, now: datetime) -> dict[str, Any]:
    minutes, every = SPANS[span]
    with console.books.look(now) as books:
        flow = books.flow(now, minutes, every)
        aside = books.set_aside_by_agency()
        recalls = [one for one in books.recalls.open if one.overdue(now)]
        behind = books.behind
    log = exchange.log
    counts = log.counts()
    kinds = log.work.by_kind(now)
    standing, overdue = log.work.counts(now)
    seal = health.checkpoint(exchange, now)
    glass = kinds.get("break_glass_review", (0, 0))
    return {
        "behind": behind,
        "flow": drawing.columns(flow),
        "flow_sum": sum(flow),
        "flow_every": every,
        "partners": health.partners(exchange, counts, aside, now),
        "alarms": {
            "work": (standing, overdue),
            "stalls": sum(kinds.get(kind, (0, 0))[0] for kind in STALLS),
            "recalls": len(recalls),
            "glass": glass,
            "aside": sum(aside.values()),
        },
        "emergencies": [one for one in exchange.emergencies.declared if one.running(now)],
        "work": [(one, one.overdue(now)) for one in log.work.standing(limit=HEAD)],
        "unfollowed": log.head - log.work.position(),
        "lag": UNFOLLOWED,
        "seal": seal,
        "witnesses": [
            {"health": one, "silent": one.silent(now, ALWAYS)}
            for one in witness_health(log, console.witnesses)
        ],
        "hub_parts": health.parts(exchange, counts, seal, now),
    }


def _own(console: Console, exchange: Exchange, viewer: Viewer, now: datetime) -> dict[str, Any]:
    agency = viewer.agency
    assert agency is not None
    with console.books.look(now) as books:
        aside = len(books.set_aside(agency))
        recalls = [one for one in books.recalls.open if one.agency == agency]
        behind = books.behind
    own = own_work(exchange, agency, None, False, HEAD)
    return {
        "behind": behind,
        "own": health.partner(exchange, exchange.log.counts(), agency, aside, now),
        "recalls_open": len(recalls),
        "recalls_overdue": sum(one.overdue(now) for one in recalls),
        "own_work": own,
        "covered": health.checkpoint(exchange, now).state,
    }
