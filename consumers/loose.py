"""What rows outside a case's own events put on the work list, move and settle.

Recalls and what receipts say of deliveries, refusals, and what timers and people recorded about
items. A function per kind of row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from consumers.items import Items, loose_id
from hub.domain.case import CaseEvent
from hub.domain.parties import HUB_ROLE
from hub.domain.timers import end_of
from hub.domain.work import DONE, OPEN, WAITING
from hub.domain.work_kinds import KINDS
from hub.store import events as stored
from schemas import wire
from schemas.avro import AvroError

ANSWERED: Final = frozenset({"deleted", "restricted", "kept_own_basis"})
DEAD_LETTER_DUE: Final = timedelta(days=1)
_CODE = re.compile(r"[a-z][a-z_]{0,39}", re.ASCII)


def on_sending(items: Items, position: int, row: stored.Sending) -> None:
    if row.kind != "recall":
        return
    due = datetime.fromisoformat(json.loads(row.items)["due"])
    ref = f"{row.agency}/{row.originator_version}"
    items.put(
        items.fresh(
            "recall_open",
            ref,
            position,
            row.timestamp,
            agency=row.agency,
            due=due,
            case_id=UUID(bytes=row.case_id),
            subject=UUID(bytes=row.subject_id),
        )
    )


def on_received(items: Items, position: int, row: stored.Received) -> None:
    try:
        told = wire.RECEIPT.unsingle(row.receipt)["exceptions"]
    except AvroError:  # it was verified before it was recorded
        return
    lines: dict[int, list[tuple[str, str]]] = {}
    for one in told:
        line = (str(one["outcome"]), str(one["detail"] or ""))
        lines.setdefault(one["sequence"], []).append(line)
    for sequence, said in lines.items():
        _on_line(items, position, row, f"{row.agency}/{sequence}", dict(said))


def _on_line(
    items: Items, position: int, row: stored.Received, ref: str, outcomes: dict[str, str]
) -> None:
    """What a receipt says of one delivery: outcomes, each with a detail."""
    at = CaseEvent(position, "", "receipt", row.agency, "", row.timestamp, (), {})
    if "quarantined" in outcomes:
        code = outcomes["quarantined"]
        if code.startswith(wire.DISCARDED) and _CODE.fullmatch(code):
            items.settle(loose_id("dead_letter", ref), at, code)
            return  # a recall that was discarded stays open: nobody said what became of it
        items.put(
            items.fresh(
                "dead_letter",
                ref,
                position,
                row.timestamp,
                agency=row.agency,
                due=row.timestamp + DEAD_LETTER_DUE,
                detail={"reason": code if _CODE.fullmatch(code) else "other"},
            )
        )
        return
    items.settle(loose_id("dead_letter", ref), at, "receipt")
    answered = sorted(ANSWERED & set(outcomes))
    if answered:
        items.settle(loose_id("recall_open", ref), at, answered[0])


def on_refused(items: Items, position: int, row: stored.Refused) -> None:
    known = items.agencies.get(row.agency)
    sender = row.agency if known is not None and known.position < position else "unknown"
    if known is not None and known.role == HUB_ROLE:
        return  # told by the item it was for
    ref = f"{sender}/{row.timestamp.date().isoformat()}"
    standing = items.get(loose_id("sender_refused", ref))
    reasons = {row.reason, *(standing.detail["reasons"] if standing is not None else ())}
    detail = {"agency": sender, "reasons": sorted(reasons)}
    if standing is None:
        items.put(items.fresh("sender_refused", ref, position, row.timestamp, detail=detail))
    elif standing.detail != detail:
        items.put(replace(standing, detail=detail))


def published(items: Items, happened: CaseEvent) -> None:
    period = _plain(str(happened.facts.get("period")))
    for item in items.of_kind("statistics_due"):
        if _plain(item.ref) == period:
            items.settle(item.item, happened, happened.type)


def on_raised(items: Items, position: int, row: stored.WorkRaised) -> None:
    if row.kind not in KINDS:
        return  # of a later version of this program
    detail = {"agency": row.agency} if row.agency else {}
    item = items.fresh(row.kind, row.ref, position, row.timestamp, due=row.due, detail=detail)
    items.put(replace(item, item=UUID(bytes=row.item)))


def on_fired(items: Items, position: int, row: stored.WorkFired) -> None:
    item = items.get(UUID(bytes=row.item))
    if item is None:
        return
    if row.phase == "opens":
        item = item.begun()
        item = item if row.due is None else replace(item, due=row.due)
    else:
        item = item.fell_due(row.at)
    if item.kind == "reconsideration_window" and row.phase == "due":
        item = item.settled(row.timestamp, position, because="window_closed")
    items.put(item)
    if row.refused is not None:
        ref = item.item.hex
        detail = {"kind": item.kind, "reason": row.refused}
        items.put(
            items.fresh(
                "own_event_refused",
                ref,
                position,
                row.timestamp,
                detail=detail,
                case_id=item.case_id,
                subject=item.subject,
            )
        )


def on_closed(items: Items, position: int, row: stored.WorkClosed) -> None:
    item = items.get(UUID(bytes=row.item))
    if item is None or item.state == DONE:
        return
    items.put(item.settled(row.timestamp, position, by=row.by, because=row.because))
    if row.contested:
        items.put(
            items.fresh(
                "contested",
                item.item.hex,
                position,
                row.timestamp,
                detail={"kind": item.kind, "because": row.because},
                due=end_of(row.timestamp.date() + timedelta(days=7)),
                case_id=item.case_id,
                subject=item.subject,
            )
        )


def on_shredded(items: Items, position: int, row: stored.SubjectShredded) -> None:
    """No date that came from the person's own outlives them."""
    subject = UUID(bytes=row.subject_id)
    for item in items.of_subject(subject):
        if item.kind == "coming_of_age":
            open_ = item.state in (WAITING, OPEN)
            last = item.settled(row.timestamp, position, because="erased") if open_ else item
            items.put(replace(last, due=None, fired=None))


def _plain(period: str) -> str:
    return "".join(one for one in period if one.isalnum()).upper()


LOOSE: Final[Mapping[type, Callable[[Items, int, Any], None]]] = {
    stored.Sending: on_sending,
    stored.Received: on_received,
    stored.Refused: on_refused,
    stored.WorkRaised: on_raised,
    stored.WorkFired: on_fired,
    stored.WorkClosed: on_closed,
    stored.SubjectShredded: on_shredded,
}
