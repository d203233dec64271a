"""Replay: a case as it stood at any position or time, each event with what was decided on it."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hub.audit.erased import destroyed
from hub.domain.breakglass import DECLARED, INVOKED, REVIEWED
from hub.errors import Refused
from hub.exchange import Exchange
from hub.store import events as stored
from hub.store.log import HubLog, Recorded

_CASE_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass
class Entry:
    """One event of a case as replay shows it. No content, only what was recorded about it.

    through: agency → event → category → the invocation through whose window it came. held_back:
    what was not sent after all, or on another basis, of whatever event, before the next one.
    erased: whether the person's content was destroyed by the position asked for.
    """

    position: int
    recorded_at: str
    occurred_at: str
    event_id: str
    type: str
    agency: str
    categories: list[str]
    erased: bool
    released: dict[str, dict[str, str]] = field(default_factory=dict)
    withheld: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    backfill: dict[str, Any] = field(default_factory=dict)
    recalls: list[dict[str, Any]] = field(default_factory=list)
    through: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    held_back: list[dict[str, Any]] = field(default_factory=list)
    loud: str = ""  # "break-glass" or "emergency mode", for what must not be read over
    policy: str = ""
    parties: int = 0


def position_of(log: HubLog, as_of: str | None) -> int:
    """A position from what an auditor typed: nothing (now), a number, a date or an instant.

    A date means its end, in UTC. Raises Refused with what to type.
    """
    if not as_of:
        return log.head
    if as_of.isascii() and as_of.isdigit() and len(as_of) < 19:
        return min(int(as_of), log.head)
    try:
        moment = datetime.fromisoformat(as_of)
    except ValueError:
        raise Refused(
            0, "bad_as_of", "give a log position, a date (2026-03-16) or an instant in UTC"
        ) from None
    if len(as_of) == 10:
        moment = moment.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return log.position_at(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def case_named(exchange: Exchange, case: str) -> UUID:
    """A case from what was typed: its common reference, or its id as the work list has it."""
    if _CASE_ID.fullmatch(case) and exchange.log.stream(UUID(hex=case), limit=1):
        return UUID(hex=case)
    return exchange.pseudonyms.canonical("case", case)


def replay_case(exchange: Exchange, case_ref: str, as_of: str | None = None) -> list[Entry]:
    """The case's events up to a position or time, each with what was decided on it then."""
    end, recorded = recorded_until(exchange, case_ref, as_of)
    return list(entries(recorded, destroyed(exchange.log, end)))


def recorded_until(
    exchange: Exchange, case_ref: str, as_of: str | None
) -> tuple[int, list[Recorded]]:
    """That position, and the case's rows up to it. Raises Refused if there are none."""
    end = position_of(exchange.log, as_of)
    case_id = case_named(exchange, case_ref)
    recorded = [one for one in exchange.log.stream(case_id) if one.position <= end]
    if not recorded:
        raise Refused(0, "unknown_case", "no such case at that position; check the reference")
    return end, recorded


def entries(recorded: list[Recorded], erased: Container[UUID]) -> Iterator[Entry]:
    """A case's rows as entries. erased: secrets destroyed up to where the rows end."""
    entry: Entry | None = None
    for one in recorded:
        event = one.event
        if isinstance(event, stored.EventAccepted):
            if entry is not None:
                yield entry
            entry = Entry(
                position=one.position,
                recorded_at=event.timestamp.isoformat(),
                occurred_at=event.occurred_at.isoformat(),
                event_id=str(UUID(bytes=event.event_id)),
                type=event.event_type,
                agency=event.emitter,
                categories=list(event.categories),
                erased=UUID(bytes=event.secret_id) in erased,
            )
        elif isinstance(event, stored.Settled) and entry is not None:
            _fill(entry, json.loads(event.settlement))
            entry.policy, entry.parties = event.policy, event.parties
        elif isinstance(event, stored.HeldBack) and entry is not None:
            items, rebased = json.loads(event.items), json.loads(event.rebased)
            entry.held_back.append(
                {
                    "position": one.position,
                    "agency": event.agency,
                    "items": items,
                    "rebased": rebased,
                }
            )
    if entry is not None:
        yield entry


def _fill(entry: Entry, settlement: dict[str, Any]) -> None:
    for agency, categories in settlement.get("decided", {}).items():
        for category, answer in categories.items():
            if isinstance(answer, str):
                entry.released.setdefault(agency, {})[category] = answer
            else:
                entry.withheld.setdefault(agency, {})[category] = answer
    entry.backfill = settlement.get("backfill", {})
    entry.recalls = settlement.get("recalls", [])
    entry.through = settlement.get("windows", {})
    if entry.through or entry.type in (INVOKED, REVIEWED):
        entry.loud = "break-glass"
    elif entry.type == DECLARED:
        entry.loud = "emergency mode"
