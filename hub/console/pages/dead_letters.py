"""Dead letters: deliveries that partners set aside, and submissions the hub refused.

Sent again: the operator orders it, the hub's publisher does it (`hub/sending/redrives.py`), and the
partner's connector tries it anew. Followed up no further: the item on the work list is closed with
a reason code. That discards nothing at the partner's: what lies in its quarantine is the partner's
to discard, and the hub goes on counting it as set aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from connectors.delivery import REASONS
from consumers.items import loose_id
from consumers.raising import close_item
from hub.console import asked
from hub.console.books import SetAside
from hub.console.desk import Console
from hub.console.form import Sent
from hub.console.pages.work import Followed
from hub.domain.work import BECAUSE, OPEN, WorkItem
from hub.errors import Refused
from hub.exchange import Exchange
from hub.publisher import delivery_stream
from hub.sending import redrives
from hub.store import events as stored

SHOWN: Final = 50
MOST: Final = 1_000_000
RECALL: Final = "recall"  # in place of an event type


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead letter as shown. item: on the work list, if it stands there open."""

    aside: SetAside
    role: str
    type: str
    age: float
    item: WorkItem | None
    late: bool


def dead_letters_pages(console: Console) -> APIRouter:
    """What is set aside, what was refused, and the two things to do about the former."""
    pages = APIRouter(prefix="/dead-letters")
    followed = Followed()

    @pages.get("")
    def letters(request: Request) -> Response:
        viewer = console.admit(request, "auditor", "operator", "agency_officer")
        console.look(viewer, "dead_letters", viewer.agency or "")
        return _shown(console, request, viewer.agency)

    @pages.get("/refused")
    def refused(request: Request) -> Response:
        viewer = console.admit(request, "auditor", "operator", "agency_officer")
        console.look(viewer, "refused_submissions", viewer.agency or "")
        now = console.exchange.clock.now()
        with console.books.look(now) as books:
            senders = books.senders_refused
            agency = viewer.agency or asked.word(request, "agency", senders)
            found = books.refused(agency)
            total, behind = books.refusals, books.behind
        after = asked.number(request, "after", MOST)
        return console.page(
            request,
            "dead_letters_refused",
            found=found[after : after + SHOWN],
            more=after + SHOWN if len(found) > after + SHOWN else None,
            senders=senders if viewer.agency is None else [],
            agency=agency,
            total=total if viewer.agency is None else None,
            kept=len(found),
            behind=behind,
            may_act=False,
        )

    @pages.post("/{agency}/{sequence}")
    def act(request: Request, agency: str, sequence: str, sent: Sent) -> Response:
        viewer = console.admit_change(request, sent.get("token"), "operator")
        exchange = console.exchange
        number = _number(sequence)
        console.look(
            viewer,
            "dead_letter_" + _done(sent.get("do")),
            agency if agency in exchange.agencies else "",
        )
        with console.books.look(exchange.clock.now()) as books:
            aside = books.find(agency, number)
        try:
            if aside is None:
                raise Refused(
                    0, "not_set_aside", "no receipt says that this delivery is set aside; reload"
                )
            if sent.get("do") == "redrive":
                redrives.order(exchange, agency, number, by=viewer.name)
            else:
                followed.step(exchange, far=True)
                item = exchange.log.work.item(loose_id("dead_letter", f"{agency}/{number}"))
                if item is None:
                    raise Refused(0, "unknown_item", "it is on the list no more; reload")
                close_item(exchange, item, by=viewer.name, because=sent.get("because"))
                followed.step(exchange, far=True)
        except Refused as wrong:
            return _shown(console, request, None, status=409, wrong=wrong)
        return RedirectResponse("/dead-letters", 303)

    return pages


def _number(text: str) -> int:
    """A sequence as an address gives it; 0, which no delivery has, for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 16 else 0


def _done(what: str) -> str:
    return "redrive" if what == "redrive" else "close"


def _shown(
    console: Console,
    request: Request,
    own: str | None,
    *,
    status: int = 200,
    wrong: Refused | None = None,
) -> Response:
    exchange = console.exchange
    now = exchange.clock.now()
    agencies = [one.agency for one in exchange.agencies if one.role != "hub"]
    agency = own or asked.word(request, "agency", agencies)
    with console.books.look(now) as books:
        aside = books.set_aside(agency)
        behind = books.behind
    after = asked.number(request, "after", MOST)
    page: dict[str, Any] = {
        "letters": [_letter(exchange, one, own) for one in aside[after : after + SHOWN]],
        "count": len(aside),
        "more": after + SHOWN if len(aside) > after + SHOWN else None,
        "agencies": agencies if own is None else [],
        "agency": agency,
        "behind": behind,
        "because": tuple(BECAUSE),
        "known_reasons": REASONS,
        "wrong": wrong,
    }
    return console.page(request, "dead_letters", status=status, **page)


def _letter(exchange: Exchange, aside: SetAside, own: str | None) -> Letter:
    now = exchange.clock.now()
    known = exchange.agencies.get(aside.agency)
    ref = f"{aside.agency}/{aside.sequence}"
    item = None if own else exchange.log.work.item(loose_id("dead_letter", ref))
    if item is not None and item.state != OPEN:
        item = None
    return Letter(
        aside,
        known.role if known is not None else "",
        _type(exchange, aside),
        max((now - aside.since).total_seconds(), 0.0),
        item,
        item is not None and item.overdue(now),
    )


def _type(exchange: Exchange, aside: SetAside) -> str:
    """The event's type, or that it is a recall; empty if the delivery is not on record."""
    rows = exchange.log.stream(delivery_stream(aside.agency), aside.sequence - 1, 1)
    sending = rows[0].event if rows else None
    if not isinstance(sending, stored.Sending):
        return ""
    if sending.kind == "recall":
        return RECALL
    [about] = exchange.log.read(sending.event_position - 1, 1)
    return about.event.event_type if isinstance(about.event, stored.EventAccepted) else ""
