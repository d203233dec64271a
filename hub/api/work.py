"""The work list over HTTP: what the calling agency has to do, under its own names for cases.

Which items it is shown is decided in `hub/domain/agenda/sight.py` on the case as it is now. There
is no total and no count of what is not shown. An agency closes what is its own, with a reason code.
"""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from consumers.raising import close_item
from hub.api import examples
from hub.api.desk import Desk
from hub.api.models import WorkItems
from hub.api.problems import Problem
from hub.domain.agenda.sight import sees
from hub.domain.parties import Party
from hub.domain.work import MOOT, OPEN, WorkItem
from hub.domain.work_kinds import KINDS
from hub.errors import Refused
from hub.exchange import Exchange
from hub.hub import Hub
from hub.recording.draft import Draft

MOST: Final = 500  # items in one answer
LOOKED_AT: Final = 1_000  # items of an owner looked at for one answer


def work_calls(desk: Desk) -> APIRouter:
    """The calls about work items; they need a signed request."""
    calls = APIRouter(prefix="/v1", tags=["agencies"])
    hub = desk.hub

    @calls.get("/work", response_model=WorkItems, **examples.WORK)
    async def work(
        request: Request,
        kind: Annotated[
            str | None, Query(max_length=40, description="Only this kind; docs/work.md.")
        ] = None,
        overdue: Annotated[bool, Query(description="Only what is overdue.")] = False,
        limit: Annotated[int, Query(ge=1, le=MOST, description="Most items to return.")] = 100,
    ) -> Any:
        """The caller's open work items, what is due first coming first.

        Items of the caller itself, and of its role in cases in which it has a part. Nothing in it
        tells of events that were withheld from the caller.
        """
        signed = await desk.signed(request)
        return await desk.working(
            lambda: {"items": own_work(hub.exchange, signed.agency, kind, overdue, limit)}
        )

    @calls.post("/work/{item}", **examples.CLOSE_WORK)
    async def close(
        request: Request,
        item: Annotated[str, Path(max_length=40, description="The caller's name of it, nw-….")],
        because: Annotated[str, Query(max_length=40, description="Reason code, docs/work.md.")],
        contested: Annotated[bool, Query(description="Contest what the item is about.")] = False,
    ) -> Response:
        """Close or contest an item on the caller's list; recorded when this answers 204.

        Contested, it ends and the auditor has another item to examine it.
        """
        signed = await desk.signed(request)
        await desk.working(lambda: close_own(hub, signed.agency, item, because, contested))
        return Response(status_code=204)

    return calls


def close_own(hub: Hub, agency: str, name: str, because: str, contested: bool) -> None:
    """Close an item the agency is shown as its own. Raises Problem."""
    exchange = hub.exchange
    item_id = exchange.pseudonyms.resolve(agency, "work", name)
    item = exchange.log.work.item(item_id) if item_id is not None else None
    party = exchange.agencies.parties().get(agency)
    if item is None or party is None or item.agency != agency:
        raise Problem("not_found")

    def look(draft: Draft) -> bool:
        case = exchange.case(item.case_id) if item.case_id else None
        return sees(item, party, case, exchange.policy(), draft.now)

    if not exchange.commit(look):
        raise Problem("not_found")
    try:
        close_item(exchange, item, by=agency, because=because, contested=contested)
    except Refused as wrong:
        raise Problem("work_refused", reason=wrong.reason) from None


def own_work(
    exchange: Exchange, agency: str, kind: str | None, overdue: bool, limit: int
) -> list[dict[str, Any]]:
    """What `GET /v1/work` answers to this agency."""
    rows = exchange.log.work

    def look(draft: Draft) -> list[dict[str, Any]]:
        """Inside the writer's turn: cases are no business of two threads at once."""
        party = exchange.agencies.parties().get(agency)
        if party is None:
            return []
        now = draft.now
        mine = rows.standing(agency=agency, kind=kind, states=(OPEN, MOOT), limit=LOOKED_AT)
        of_role = rows.standing(role=party.role, agency="", kind=kind, limit=LOOKED_AT)
        others = [
            one
            for one in rows.escalated(party.role, now, LOOKED_AT)
            if kind in (None, one.kind) and one.agency != agency
        ]
        found = [
            item
            for item in {one.item: one for one in (*mine, *of_role, *others)}.values()
            if (not overdue or _overdue(item, now))
            and sees(
                item,
                party,
                exchange.case(item.case_id) if item.case_id else None,
                exchange.policy(),
                now,
            )
        ]
        found.sort(key=lambda one: (one.due is None, one.due or one.since, one.position))
        return [_said(exchange, party, item, now) for item in found[:limit]]

    return exchange.commit(look)


def _overdue(item: WorkItem, now: Any) -> bool:
    return item.due is not None and now >= item.due


def _said(exchange: Exchange, party: Party, item: WorkItem, now: Any) -> dict[str, Any]:
    names = exchange.pseudonyms
    detail = dict(item.detail)
    if item.kind == "withheld":
        event_id = UUID(item.ref.partition("/")[0])
        attested = exchange.policy().evidence_for(party.role) == "hub"
        detail["event"] = (
            names.pseudonym(party.agency, "event", event_id) if attested else str(event_id)
        )
    return {
        "item": names.pseudonym(party.agency, "work", item.item),
        "kind": item.kind,
        "says": KINDS[item.kind].says,
        "urgency": KINDS[item.kind].urgency,
        "state": "overdue" if _overdue(item, now) else "open",
        "case_ref": names.pseudonym(party.agency, "case", item.case_id) if item.case_id else None,
        "since": item.since.date().isoformat(),
        "due": item.due.replace(microsecond=0).isoformat() if item.due else None,
        "detail": detail,
    }
