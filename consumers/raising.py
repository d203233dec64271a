"""Raising and closing items that rest on no event of a case: stalls, the calendar, people.

Each call is one transaction on the log; the list shows it once its follower has been there.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from consumers.items import loose_id
from hub.domain.work import BECAUSE, CONTESTABLE, CONTESTED, DONE, WorkItem
from hub.errors import Refused
from hub.exchange import Exchange
from hub.recording.draft import Draft, stream_id
from hub.store import events as stored

MOST_BY = 100  # characters that say who closed an item


def raise_item(
    exchange: Exchange, kind: str, ref: str, *, agency: str = "", due: datetime | None = None
) -> int:
    """Put an item on the list, once for this ref. 1 if that is news."""
    item = loose_id(kind, ref)
    stream = stream_id("work", item.hex)

    def work(draft: Draft) -> int:
        if exchange.version_of(draft, stream):
            return 0
        draft.add(
            stored.WorkRaised(
                originator_id=stream,
                originator_version=1,
                timestamp=draft.now,
                item=item.bytes,
                kind=kind,
                ref=ref,
                agency=agency,
                due=due,
            )
        )
        return 1

    return exchange.commit(work)


def close_item(
    exchange: Exchange, item: WorkItem, *, by: str, because: str, contested: bool = False
) -> int:
    """Record that an item is closed; returns the log position. Raises Refused, with what to do."""
    codes = CONTESTED if contested else BECAUSE
    if item.state == DONE:
        raise Refused(0, "closed_before", "the item is done; see: nrm-hub work show")
    if contested and item.kind not in CONTESTABLE:
        raise Refused(0, "not_contestable", "only these are: " + ", ".join(sorted(CONTESTABLE)))
    if because not in codes:
        raise Refused(0, "unknown_reason", f"give one of: {', '.join(codes)} (docs/work.md)")
    if not by.strip() or len(by) > MOST_BY or not by.isprintable():
        raise Refused(0, "who", f"say who closes it, in at most {MOST_BY} characters")
    return _close(exchange, item.item, by.strip(), because, contested)


def stall_ended(exchange: Exchange, item: WorkItem) -> int:
    """Close an item of a stall that is over; 1."""
    _close(exchange, item.item, "hub", "stall_ended", False)
    return 1


def _close(exchange: Exchange, item: UUID, by: str, because: str, contested: bool) -> int:
    stream = stream_id("work", item.hex)

    def work(draft: Draft) -> int:
        return draft.add(
            stored.WorkClosed(
                originator_id=stream,
                originator_version=exchange.version_of(draft, stream) + 1,
                timestamp=draft.now,
                item=item.bytes,
                by=by,
                because=because,
                contested=contested,
            )
        )

    return exchange.commit(work)
