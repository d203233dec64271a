"""Withdrawals told: what was released last before each, what was on its way, what came back.

Reads the streams of the cases asked about and nothing else of the log. No content is opened: which
consent was withdrawn stands in an event's facts, beside its sealed compartments.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from uuid import UUID

from hub.deliveries import Settlement
from hub.recalling.book import KEPT, QUARANTINED, RecallRecord
from hub.recalling.in_flight import Flight, read
from hub.recording.writer import WithdrawalNoted
from hub.release import CONSENT
from hub.store import events as stored
from hub.store.log import HubLog


@dataclass(frozen=True, slots=True)
class LastRelease:
    """The last decision that released something on the consent before it was withdrawn."""

    position: int
    at: datetime
    to: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """One withdrawal and what followed. flight: what was marked as sending before it."""

    position: int
    case_id: UUID
    by: str
    at: datetime
    consent: str
    last: LastRelease | None
    flight: Flight
    recalls: tuple[RecallRecord, ...]

    @property
    def since_last(self) -> float | None:
        """Seconds from the last release to the withdrawal."""
        return None if self.last is None else (self.at - self.last.at).total_seconds()


@dataclass(frozen=True, slots=True)
class PartnerRecalls:
    """All recalls to one partner: how they stand, and the times to purge in seconds."""

    agency: str
    count: int
    open: int
    overdue: int
    kept: int
    typical: float | None
    longest: float | None


def told(log: HubLog, noted: WithdrawalNoted, recalls: Iterable[RecallRecord]) -> Withdrawal:
    """Everything about one withdrawal."""
    rows = log.stream(noted.case_id)
    consent = ""
    flight: Flight = []
    for one in rows:
        event = one.event
        if isinstance(event, stored.EventAccepted) and one.position == noted.position:
            consent = str(json.loads(event.facts).get("consent_id", ""))
        elif isinstance(event, stored.InFlight) and event.position == noted.position:
            flight = read(json.loads(event.items))
    last: LastRelease | None = None
    basis = CONSENT + consent
    for one in rows:
        event = one.event
        if one.position >= noted.position:
            break
        if isinstance(event, stored.Settled):
            settlement = Settlement.from_record(json.loads(event.settlement))
            to = {owed.agency for owed in settlement.owed() if basis in owed.bases.values()}
            if to:
                last = LastRelease(event.position, event.timestamp, tuple(sorted(to)))
    return Withdrawal(
        noted.position,
        noted.case_id,
        noted.agency,
        noted.at,
        consent,
        last,
        flight,
        tuple(recalls),
    )


def by_partner(recalls: Iterable[RecallRecord], now: datetime) -> list[PartnerRecalls]:
    """One line per partner that anything was ever called back from."""
    of: dict[str, list[RecallRecord]] = {}
    for recall in recalls:
        of.setdefault(recall.agency, []).append(recall)
    return [_partner(agency, of[agency], now) for agency in sorted(of)]


def _partner(agency: str, recalls: list[RecallRecord], now: datetime) -> PartnerRecalls:
    took = [_seconds(p) for one in recalls if (p := one.time_to_purge) is not None]
    return PartnerRecalls(
        agency,
        len(recalls),
        sum(one.open for one in recalls),
        sum(one.overdue(now) for one in recalls),
        sum(KEPT in one.outcomes for one in recalls),
        median(took) if took else None,
        max(took, default=None),
    )


def _seconds(length: timedelta) -> float:
    return max(length.total_seconds(), 0.0)


def standing(recall: RecallRecord, now: datetime) -> tuple[str, str]:
    """(kind of state, key of its word)."""
    if recall.open:
        if recall.overdue(now):
            return "bad", "overdue"
        return "warn", "set_aside" if recall.state == QUARANTINED else recall.state
    if KEPT in recall.outcomes:
        return "warn", "kept" if len(recall.outcomes) == 1 else "kept_in_part"
    return "good", recall.outcomes[0]
