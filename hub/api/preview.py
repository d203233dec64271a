"""Preview over HTTP: who would receive what of an event, if the agency stated it now.

The event comes sealed and signed as in a submission, passes the same admission, and is decided on
the case as this agency knows it (`hub/audit/known.py`): the answer tells it nothing about others
that it was not told already (decision record 36). Nothing is recorded, and the event is forgotten
with the answer. For others what the hub decides can differ; the event itself may be refused though
the preview was not.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request

from connectors.agency.http import HUB_MESSAGE
from hub.api import examples
from hub.api.desk import Desk
from hub.api.models import PreviewAnswer
from hub.api.problems import Problem
from hub.audit.known import known_case
from hub.domain.reasons import WITHHELD
from hub.domain.settlement import Outcome, Outcomes, Released, Settlement
from hub.errors import Refused
from hub.hub import Hub
from hub.preview import Preview, Supposed, preview
from hub.recording.draft import Draft
from hub.submission import AdmittedEvent
from schemas import wire
from schemas.avro import AvroError
from schemas.registry import Schemas


def preview_calls(desk: Desk) -> APIRouter:
    """The call; it needs a signed request."""
    calls = APIRouter(prefix="/v1", tags=["agencies"])
    hub = desk.hub

    @calls.post("/preview", response_model=PreviewAnswer, **examples.PREVIEW)
    async def ask(request: Request) -> Any:
        """Send a sealed batch of one event and learn who would receive what of it, and why.

        Decided on the case as the caller knows it. Nothing is recorded.
        """
        signed = await desk.signed(request, HUB_MESSAGE)
        if _sender(signed.body) not in (None, signed.agency):
            raise Problem("not_yours")
        return await desk.working(lambda: previewed(hub, signed.agency, signed.body))

    return calls


def previewed(hub: Hub, agency: str, sealed: bytes) -> dict[str, Any]:
    """What `POST /v1/preview` answers."""
    events = hub.ingest.admit(sealed).events
    if len(events) != 1:
        raise Problem("bad_parameter")
    [event] = events
    if not isinstance(event, AdmittedEvent):
        return _answer(refused=event.refusal)
    schema = Schemas.load().by_id(event.schema_id)
    assert schema is not None
    data = schema.join({name: body for name, _, _, body in event.compartments})
    supposed = Supposed(
        UUID(bytes=event.event_id), event.event_type, data, frozenset(event.categories)
    )
    exchange = hub.exchange
    names = exchange.pseudonyms
    case_id = names.resolve(agency, "case", event.routing.case) or names.canonical(
        "case", event.routing.case
    )

    def look(_: Draft) -> Preview | None:
        """Inside the writer's turn: cases are no business of two threads at once."""
        party = exchange.agencies.parties().get(agency)
        if party is None:
            return None
        case = known_case(exchange, exchange.log.stream(case_id), agency)
        return preview(exchange, case, party, supposed)

    found = exchange.commit(look)
    if found is None:
        raise Problem("unauthenticated")
    if isinstance(found.outcome, Refused):
        return _answer(refused=found.outcome)
    return _answer(found)


def _answer(found: Preview | None = None, *, refused: Refused | None = None) -> dict[str, Any]:
    no = None
    if refused is not None:
        no = {
            "step": refused.step,
            "reason": refused.reason,
            "guard": refused.guard,
            "detail": refused.detail,
        }
    settlement = found.outcome if found is not None else None
    if not isinstance(settlement, Settlement):
        return {"refused": no, "agencies": []}
    return {
        "refused": None,
        "agencies": [
            {"agency": agency, "categories": _said(outcomes)}
            for agency, outcomes in sorted(settlement.decided.items())
        ],
    }


def _said(outcomes: Outcomes) -> list[dict[str, Any]]:
    return [{"category": name, **_one(outcome)} for name, outcome in sorted(outcomes.items())]


def _one(outcome: Outcome) -> dict[str, Any]:
    if isinstance(outcome, Released):
        return {"released": True, "basis": outcome.basis, "reason": None, "says": None}
    return {
        "released": False,
        "basis": None,
        "reason": outcome.reason,
        "says": WITHHELD.get(outcome.reason),
    }


def _sender(sealed: bytes) -> str | None:
    try:
        return str(wire.SEALED_SUBMISSION.unsingle(sealed)["sender_hint"])
    except AvroError:
        return None
