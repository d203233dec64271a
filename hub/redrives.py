"""Redrives: a delivery its recipient set aside is sent once more, sealed anew.

Ordered by a row of the log, so that any process may order it and the publisher does it, once it is
back if it is away. What is sent is what stands in the recipient's delivery log under that sequence:
the sequence stays the same, and what was recalled or erased since is not sealed
(`hub/recalled.py`). What a withdrawal just ended waits until its recall is marked; a basis that
ended without a recall, as a break-glass window does, is not sent on again. The recipient's
connector applies it in place of what it set aside, or leaves it where it is; a sequence it has
applied is never applied again (docs/adr/0035).

A recipient that asks over HTTP asks for what comes next only; it redrives at its own side.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson

from hub.draft import Draft, stream_id
from hub.errors import Refused
from hub.exchange import Exchange
from hub.recalled import Item, Recalled, left_of
from hub.release import standing
from hub.store import events as stored

STREAM: Final = stream_id("redrives", "all")
FOLLOWER: Final = "redrives"  # how many of the stream's orders were carried out
MOST_BY: Final = 100  # characters that say who ordered it


def order(exchange: Exchange, agency: str, sequence: int, *, by: str) -> int:
    """Record the order; returns its log position. Raises Refused, with what to do."""
    if not by.strip() or len(by) > MOST_BY or not by.isprintable():
        raise Refused(0, "who", f"say who orders it, in at most {MOST_BY} characters")

    def work(draft: Draft) -> int:
        known = exchange.agencies.get(agency)
        if known is None:
            raise Refused(0, "unknown_agency", "no agency of this name takes part; check it")
        if known.shut_out:
            raise Refused(0, "shut_out", "its keys are revoked; it gets all it lacks once back")
        if not 1 <= sequence <= exchange.log.tracking(f"sent/{agency}"):
            raise Refused(0, "never_sent", "no delivery of this sequence was sent; check it")
        recalled = Recalled(exchange.log).since(agency, sequence)
        if ended(exchange, delivery(exchange, agency, sequence), recalled, draft.now):
            raise Refused(
                0,
                "no_longer_stands",
                "what it was released on has ended; a recall follows, or it stays set aside",
            )
        return draft.add(
            stored.RedriveOrdered(
                originator_id=STREAM,
                originator_version=exchange.version_of(draft, STREAM) + 1,
                timestamp=draft.now,
                agency=agency,
                sequence=sequence,
                by=by.strip(),
            )
        )

    return exchange.commit(work)


def delivery(exchange: Exchange, agency: str, sequence: int) -> stored.Sending:
    """What stands in the recipient's delivery log under this sequence."""
    [found] = exchange.log.stream(stream_id("deliveries", agency), sequence - 1, 1)
    assert isinstance(found.event, stored.Sending)
    return found.event


def ended(
    exchange: Exchange, sending: stored.Sending, recalled: Mapping[Item, int], now: datetime
) -> frozenset[str]:
    """Categories of a delivery that were not recalled, and whose basis counts no more.

    Call it in a transaction: asked of the case as it is then.
    """
    if sending.kind == "recall":
        return frozenset()
    [about] = exchange.log.read(sending.event_position - 1, 1)
    case = exchange.case(UUID(bytes=sending.case_id))
    assert isinstance(about.event, stored.EventAccepted)
    assert case is not None
    event_id = str(UUID(bytes=about.event.event_id))
    bases = orjson.loads(sending.items)["bases"]
    left = left_of(bases, event_id, sending.originator_version, recalled)
    parties, profile = exchange.agencies.parties(), exchange.policy()
    stands = standing(case, sending.agency, event_id, left, parties, profile, now)
    return frozenset(left) - frozenset(stands)
