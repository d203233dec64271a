"""Withdrawal tracker: every withdrawal of a consent, and how fast what rested on it came back."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request, Response

from hub.console import asked
from hub.console.desk import Console
from hub.console.drawing import share
from hub.console.withdrawn import by_partner, standing, told

SHOWN: Final = 10  # withdrawals on one page; each reads its case
OTHERS: Final = 20  # open recalls of other causes shown
MOST: Final = 10**9


def withdrawals_pages(console: Console) -> APIRouter:
    """Withdrawals, newest first."""
    pages = APIRouter()

    @pages.get("/withdrawals")
    def withdrawals(request: Request) -> Response:
        viewer = console.admit(request, "auditor", "operator")
        console.look(viewer, "withdrawals")
        exchange = console.exchange
        now = exchange.clock.now()
        before = asked.number(request, "before", MOST) or MOST
        known = list(exchange.withdrawals)
        wanted = [one for one in known if one.position < before]
        shown, rest = wanted[-SHOWN:][::-1], wanted[:-SHOWN]
        causes = {one.position for one in known}
        with console.books.look(now) as books:
            caused = {one.position: books.caused_by(one.position) for one in shown}
            recalls = list(books.recalls)
            waiting = [one for one in books.recalls.open if one.cause not in causes]
            behind = books.behind
        partners = by_partner(recalls, now)
        found = [told(exchange.log, one, caused[one.position]) for one in shown]
        longest = max((one.longest or 0.0 for one in partners), default=0.0)
        return console.page(
            request,
            "withdrawals",
            behind=behind,
            withdrawals=found,
            total=len(known),
            older=shown[-1].position if rest else None,
            newer=before != MOST,
            partners=partners,
            others=waiting[:OTHERS],
            others_count=len(waiting),
            roles={one.agency: one.role for one in exchange.agencies},
            standing=lambda recall: standing(recall, now),
            age=lambda recall: recall.age(now).total_seconds(),
            part=lambda seconds: share(seconds, longest),
            used=lambda recall: share(
                recall.age(now).total_seconds(), (recall.due - recall.recorded_at).total_seconds()
            ),
        )

    return pages
