"""Break-glass in the audit: every invocation in the log, open, unreviewed and overdue ones first.

Also after a person was erased: who, when, why (a code) and what categories came through is kept;
what it said is gone.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from hub.audit.replay import case_named
from hub.authority.profiles import versions
from hub.deliveries import Settlement
from hub.domain.breakglass import Declaration, Invocation, Invocations
from hub.domain.case import CaseEvent
from hub.domain.policy import PolicyProfile
from hub.exchange import Exchange
from hub.recording.accepted import case_event
from hub.store import events as stored


@dataclass
class BreakGlass:
    """All of it, as of `now`."""

    now: datetime
    invocations: list[Invocation]
    declared: list[Declaration]

    @property
    def open(self) -> int:
        return sum(one.open(self.now) for one in self.invocations)

    @property
    def unreviewed(self) -> int:
        return sum(not one.reviews for one in self.invocations)

    @property
    def overdue(self) -> int:
        return sum(one.overdue(self.now) for one in self.invocations)

    @property
    def emergency(self) -> list[Declaration]:
        """Declarations that are running."""
        return [one for one in self.declared if one.running(self.now)]

    def counts(self) -> dict[str, Any]:
        return {
            "open": self.open,
            "unreviewed": self.unreviewed,
            "overdue": self.overdue,
            "all": len(self.invocations),
        }


def break_glass(
    exchange: Exchange,
    case_ref: str | None = None,
    *,
    among: Collection[UUID] | None = None,
    end: int | None = None,
    now: datetime | None = None,
) -> BreakGlass:
    """Every invocation in the log, or in one case, in log order; as of position `end`, at `now`.

    among: only in these cases.
    """
    found: list[Invocation] = []
    profiles = _profiles(exchange)
    wanted = case_named(exchange, case_ref) if case_ref else None
    last = exchange.log.head if end is None else end
    for case_id in list(exchange.emergencies.cases):
        if wanted in (None, case_id) and (among is None or case_id in among):
            found += _of_case(exchange, case_id, profiles, last)
    found.sort(key=lambda one: one.position)
    declared = [one for one in exchange.emergencies.declared if one.position <= last]
    return BreakGlass(now or exchange.clock.now(), found, declared)


def _of_case(
    exchange: Exchange, case_id: UUID, profiles: dict[str, PolicyProfile], last: int
) -> list[Invocation]:
    folded = Invocations(case_id)
    happened: CaseEvent | None = None
    for one in exchange.log.stream(case_id):
        event = one.event
        if one.position > last:
            break
        if isinstance(event, stored.EventAccepted):
            happened = case_event(event, exchange.secrets, one.position)
        elif isinstance(event, stored.Settled) and happened is not None:
            settlement = Settlement.from_record(json.loads(event.settlement))
            folded.apply(happened, settlement, profiles[event.policy])
        elif isinstance(event, stored.HeldBack):
            folded.hold_back(event.agency, json.loads(event.items))
    return list(folded.by_event.values())


def _profiles(exchange: Exchange) -> dict[str, PolicyProfile]:
    """Every profile ever in force, by version."""
    return {
        one.version: PolicyProfile.as_recorded(json.loads(one.document))
        for one in versions(exchange.log)
    }
