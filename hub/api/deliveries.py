"""Deliveries over HTTP: what comes next for the caller, and what it was sent again.

A topic holds both, one behind the other. Over HTTP a caller asks for what comes after a sequence;
so that it learns of what was sent again under a sequence it has passed, it also says how many such
orders it has seen, and is told how many there are now. Both are all the state there is, and the
caller keeps them: asked twice alike, the hub hands out the same. Everything is sealed at the moment
it is asked for, so what was recalled by then is not in it.
"""

from __future__ import annotations

from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Query, Request, Response

from connectors.agency.http import AGAIN, AGAIN_MARK, ANSWERED, HUB_MESSAGES, join_messages
from hub.api import examples
from hub.api.desk import Desk
from hub.api.problems import Problem
from hub.api.waiting import DeliveryWatch
from hub.hub import Hub
from hub.publisher import delivery_stream
from hub.sending import redrives
from schemas import wire

SLICE: Final = 100  # deliveries sealed together
MAX_MESSAGES: Final = 500
MOST_AGAIN: Final = 20  # orders asked about together: the hub decides nothing else meanwhile


class _Known(NamedTuple):
    """How far a caller was sent: last sequences sent, marked and answered; orders carried out."""

    sent: int
    marked: int
    answered: int
    ordered: int


class _Wanted(NamedTuple):
    """What a caller asks for. again: None from a client that does not know of it."""

    agency: str
    after: int
    again: int | None
    limit: int
    size: int


def delivery_calls(desk: Desk, watch: DeliveryWatch) -> APIRouter:
    """The call by which a recipient fetches what it is sent."""
    calls = APIRouter(prefix="/v1", tags=["agencies"])
    hub = desk.hub

    @calls.get("/deliveries", **examples.DELIVERIES)
    async def deliveries(
        request: Request,
        after: Annotated[
            int, Query(ge=0, le=2**53, description="Last sequence the caller has applied.")
        ] = 0,
        limit: Annotated[
            int, Query(ge=1, le=MAX_MESSAGES, description="Most messages to return.")
        ] = 100,
        wait: Annotated[
            float,
            Query(ge=0, le=3_600, description="Seconds to wait if there is nothing; 25 at most."),
        ] = 0.0,
        again: Annotated[
            int | None,
            Query(
                ge=0,
                le=2**53,
                description=(
                    f"{AGAIN} of the last answer whose messages the caller has applied; 0 at "
                    "first. Without it nothing is returned that was sent again under a sequence "
                    "up to `after`."
                ),
            ),
        ] = None,
        again_mark: Annotated[
            str | None,
            Query(
                max_length=64,
                description=(
                    f"{AGAIN_MARK} of the same answer, if it had one. Without it a hub that was "
                    "put back, and has given as many orders since, cannot tell them apart."
                ),
            ),
        ] = None,
    ) -> Response:
        """The caller's sealed deliveries after a sequence, oldest first; 204 if there are none.

        Sealed afresh from the hub's log at every call, so asking again is always possible. With
        `again` they come behind those that the hub sends once more under a sequence of before.
        """
        signed = await desk.signed(request)
        known = await desk.working(lambda: _known(hub, signed.agency))
        if after > known.marked:
            raise Problem("ahead_of_hub")
        if again is not None and _other_orders(hub, signed.agency, again, again_mark):
            again = 0  # this hub was put back to an older state: what it has since is sent again
        wanted = _Wanted(signed.agency, after, again, limit, desk.limits.deliveries_bytes)
        seconds = min(wait, desk.limits.wait_seconds)
        messages: list[bytes] = []
        if after < known.sent or (again is not None and again < known.ordered):
            messages, again = await desk.working(lambda: _messages(hub, wanted))
        if not messages and seconds:
            # Of orders that wait for a recall to be marked it hears when that is sent.
            seen = None if again is None else max(again, known.ordered)
            await watch.sent_beyond(signed.agency, after, seen, seconds)
            messages, again = await desk.working(lambda: _messages(hub, wanted))
        told = {}
        if again is not None:
            told = {AGAIN: str(again), ANSWERED: str(known.answered)}
            if mark := hub.publisher.carried_out.mark(signed.agency, again):
                told[AGAIN_MARK] = mark
        if not messages:
            return Response(status_code=204, headers=told)
        return Response(join_messages(messages), media_type=HUB_MESSAGES, headers=told)

    return calls


def _other_orders(hub: Hub, agency: str, again: int, mark: str | None) -> bool:
    """Whether the orders that the caller has seen are not this hub's first ones for it."""
    orders = hub.publisher.carried_out
    if again > orders.count(agency):
        return True
    return bool(mark) and mark != orders.mark(agency, again)


def _known(hub: Hub, agency: str) -> _Known:
    followers = hub.exchange.log.followers()
    hub.publisher.carried_out.look(followers.get(redrives.FOLLOWER, 0))
    return _Known(
        followers.get(f"sent/{agency}", 0),
        hub.exchange.last_version(delivery_stream(agency)),
        followers.get(f"acknowledged/{agency}", 0),
        hub.publisher.carried_out.count(agency),
    )


def _messages(hub: Hub, wanted: _Wanted) -> tuple[list[bytes], int | None]:
    """Sealed messages until there are `limit`, or one passes `size` bytes, or no more; and how
    many orders to send again the caller has seen with them."""
    agency, after, again, limit, size = wanted
    messages: list[bytes] = []
    if again is not None:
        messages, again = hub.publisher.sent_again(
            agency, again, after, min(limit, MOST_AGAIN), size
        )
        size -= sum(map(len, messages))
    while len(messages) < limit and size > 0:
        sealed = hub.publisher.sealed_after(agency, after, SLICE)
        if not sealed:
            break
        for message in sealed[: limit - len(messages)]:
            messages.append(message)
            size -= len(message)
            if size <= 0:
                break
        after = int(wire.SEALED_DELIVERIES.unsingle(messages[-1])["last_sequence"])
    return messages, again
