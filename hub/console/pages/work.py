"""Work list: what somebody has to do, whose it is, and since when; closed or contested here.

Auditor and operator see the whole list and may close, as `nrm-hub work close` does. An agency
officer sees what the agency itself is shown over HTTP, under the agency's own names, and closes
there: with the agency's key, not with a password of the hub's.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import Any, Final
from uuid import UUID

from fastapi import APIRouter, Request, Response
from starlette.responses import RedirectResponse

from consumers.raising import close_item
from consumers.work import WorkList
from hub.api.work import own_work
from hub.console import asked
from hub.console.desk import Console
from hub.console.form import Sent
from hub.domain.work import BECAUSE, CONTESTABLE, CONTESTED, DONE, OPEN, WAITING, WorkItem
from hub.domain.work_kinds import KINDS
from hub.errors import Refused
from hub.exchange import Exchange
from hub.store.errors import StoreConflict

SHOWN: Final = 50  # items on one page
MOST: Final = 5_000  # items a page goes forward at most
STATES: Final = ("open", "waiting", "done")
NEAR: Final = 2_000  # log rows the list is brought forward by a page; more is the hub's to follow


class Followed:
    """The list brought to the log's head where that is near, as the command does."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._list: WorkList | None = None

    def step(self, exchange: Exchange, *, far: bool = False) -> int:
        """Rows the list is still behind. far: however far it is."""
        with self._lock:
            behind = exchange.log.head - exchange.log.work.position()
            if behind and (far or behind <= NEAR):
                self._list = WorkList(exchange)
                with suppress(StoreConflict):  # the hub follows too, and was quicker
                    self._list.catch_up()
            return exchange.log.head - exchange.log.work.position()


def work_pages(console: Console) -> APIRouter:
    """The list, one item, and closing it."""
    pages = APIRouter(prefix="/work")
    followed = Followed()

    @pages.get("")
    def work(request: Request) -> Response:
        viewer = console.admit(request, "auditor", "operator", "agency_officer")
        console.look(viewer, "work", viewer.agency or "")
        exchange = console.exchange
        kind = asked.word(request, "kind", KINDS)
        overdue = asked.ticked(request, "overdue")
        if viewer.agency is not None:
            own = own_work(exchange, viewer.agency, kind, overdue, SHOWN)
            return console.page(
                request, "work", own=own, kind=kind, overdue=overdue, kinds=KINDS, most=SHOWN
            )
        behind = followed.step(exchange)
        return console.page(
            request, "work", **_list(request, exchange, kind, overdue), behind_rows=behind
        )

    @pages.get("/{item}")
    def one(request: Request, item: str) -> Response:
        viewer = console.admit(request, "auditor", "operator")
        found = _find(console.exchange, item)
        console.look(viewer, "work_item", found.case_id.hex if found.case_id else "")
        followed.step(console.exchange)
        return _shown(console, request, item)

    @pages.post("/{item}")
    def close(request: Request, item: str, sent: Sent) -> Response:
        viewer = console.admit_change(request, sent.get("token"), "auditor", "operator")
        exchange = console.exchange
        found = _find(exchange, item)
        console.look(viewer, "work_close", found.case_id.hex if found.case_id else "")
        contested = sent.get("do") == "contest"
        try:
            because = sent.get("contest_because" if contested else "because")
            close_item(exchange, found, by=viewer.name, because=because, contested=contested)
        except Refused as wrong:
            return _shown(console, request, item, status=409, wrong=wrong)
        followed.step(exchange, far=True)
        return RedirectResponse(f"/work/{found.item.hex}", 303)

    return pages


def _list(request: Request, exchange: Exchange, kind: str | None, overdue: bool) -> dict[str, Any]:
    now = exchange.clock.now()
    rows = exchange.log.work
    roles = sorted({one.role for one in exchange.agencies} | {k.owner for k in KINDS.values()})
    agencies = [one.agency for one in exchange.agencies if one.role != "hub"]
    role = asked.word(request, "role", roles)
    agency = asked.word(request, "agency", agencies)
    state = asked.word(request, "state", STATES) or "open"
    after = asked.number(request, "after", MOST)
    states = {"open": (OPEN,), "waiting": (WAITING,), "done": (DONE,)}[state]
    found = rows.standing(
        kind=kind,
        role=role,
        agency=agency,
        states=states,
        due_by=now if overdue else None,
        limit=after + SHOWN + 1,
    )
    if role is not None and state == "open" and not after:
        known = {one.item for one in found}
        found = [
            one
            for one in rows.escalated(role, now, SHOWN)
            if one.item not in known and kind in (None, one.kind) and agency in (None, one.agency)
        ] + found
    standing, late = rows.counts(now)
    return {
        "items": [(one, one.overdue(now)) for one in found[after : after + SHOWN]],
        "more": after + SHOWN if len(found) > after + SHOWN else None,
        "before": max(after - SHOWN, 0) if after else None,
        "standing": standing,
        "late": late,
        "kinds": KINDS,
        "roles": roles,
        "agencies": agencies,
        "states": STATES,
        "kind": kind,
        "role": role,
        "agency": agency,
        "state": state,
        "overdue": overdue,
    }


def _find(exchange: Exchange, item: str) -> WorkItem:
    try:
        found = exchange.log.work.item(UUID(hex=item))
    except ValueError:
        found = None
    if found is None:
        raise Refused(0, "unknown_item", "there is no such item; look at the work list")
    return found


def _shown(
    console: Console,
    request: Request,
    item: str,
    *,
    status: int = 200,
    wrong: Refused | None = None,
) -> Response:
    exchange = console.exchange
    found = _find(exchange, item)
    now = exchange.clock.now()
    return console.page(
        request,
        "work_item",
        status=status,
        item=found,
        late=found.overdue(now),
        about=KINDS[found.kind],
        detail=sorted(found.detail.items()),
        closable=found.state != DONE,
        contestable=found.kind in CONTESTABLE and found.state != DONE,
        because=tuple(BECAUSE),
        contested=tuple(CONTESTED),
        wrong=wrong,
    )
