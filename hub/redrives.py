"""Redrives: a delivery its recipient set aside is sent once more, sealed anew.

Ordered by a row of the log, so that any process may order it and the publisher does it, once it is
back if it is away. What is sent is what stands in the recipient's delivery log under that sequence:
the sequence stays the same, and what was recalled or erased since is not sealed
(`hub/recalled.py`). The recipient's connector applies it in place of what it set aside, or leaves
it where it is; a sequence it has applied is never applied again (docs/adr/0035).

A recipient that asks over HTTP asks for what comes next only; it redrives at its own side.
"""

from __future__ import annotations

from typing import Final

from hub.draft import Draft, stream_id
from hub.errors import Refused
from hub.exchange import Exchange
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
