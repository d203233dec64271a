"""Standing: where a case stands, now or at any position or time. Reads the log; shows no content.

Every region of the state machine with the event it rests on, who is involved and why, referrals
not yet answered, consents, the person's age as procedure sees it, open windows, and what several
agencies said about one matter, side by side. Timers and the work list are elsewhere: this says
what is so, not what is due.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hub.audit.replay import recorded_until
from hub.audit.why import as_of_position
from hub.domain.case import Case, CaseEvent
from hub.domain.policy import PolicyProfile
from hub.domain.settlement import Settlement
from hub.domain.statements import Matter, Statements
from hub.domain.states import States
from hub.exchange import Exchange
from hub.recording.accepted import case_event
from hub.recording.cases import fold
from hub.store import events as stored
from hub.store.log import Recorded


@dataclass
class CaseStanding:
    """One case as of a position. Lists are JSON-ready; times are ISO 8601 in UTC."""

    case: str
    position: int
    as_of: str
    events: int
    regions: list[dict[str, Any]] = field(default_factory=list)
    age: dict[str, Any] = field(default_factory=dict)
    involved: dict[str, list[str]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    guardian: str | None = None
    waiting: list[dict[str, Any]] = field(default_factory=list)
    consents: list[dict[str, Any]] = field(default_factory=list)
    windows: list[dict[str, Any]] = field(default_factory=list)
    matters: list[dict[str, Any]] = field(default_factory=list)
    out_of_order: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def standing_of(exchange: Exchange, case_ref: str, as_of: str | None = None) -> CaseStanding:
    """The case as it stood. Raises Refused if there was none, or `as_of` cannot be read."""
    end, recorded = recorded_until(exchange, case_ref, as_of)
    return standing_in(exchange, case_ref, as_of, end, recorded)


def standing_in(
    exchange: Exchange, case_ref: str, as_of: str | None, end: int, recorded: list[Recorded]
) -> CaseStanding:
    """The same, of rows that were read already: those of the case up to and with `end`."""
    now = _moment(exchange, as_of, end)
    _, profile = as_of_position(exchange.log, end + 1)
    case = fold([one.event for one in recorded], exchange.secrets)
    states, statements = _told(exchange, recorded)
    found = CaseStanding(case_ref, end, now.isoformat(), len(case.events))
    _fill_regions(found, case, states, now)
    _fill_parties(found, case)
    _fill_person(found, case, profile, now)
    found.matters = [_matter(one) for one in statements.matters()]
    found.out_of_order = [asdict(one) for one in states.out_of_order]
    return found


def _moment(exchange: Exchange, as_of: str | None, end: int) -> datetime:
    """What "now" is: the instant asked for, or that of the row at the position asked for."""
    if not as_of:
        return exchange.clock.now()
    if as_of.isdigit():
        last = exchange.log.read(end - 1, 1) if end else []
        return last[0].event.timestamp if last else exchange.clock.now()
    moment = datetime.fromisoformat(as_of)
    if len(as_of) == 10:
        moment = moment.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _told(exchange: Exchange, recorded: list[Recorded]) -> tuple[States, Statements]:
    """Every event with the age and the leaving its own decision recorded."""
    states, statements = States(), Statements()
    happened: CaseEvent | None = None
    for one in recorded:
        event = one.event
        if isinstance(event, stored.EventAccepted):
            happened = case_event(event, exchange.secrets, one.position)
        elif isinstance(event, stored.Settled):
            assert happened is not None
            settlement = Settlement.from_record(json.loads(event.settlement))
            states.take(happened, child=settlement.age.in_procedure, left=settlement.left)
            statements.take(happened)
    return states, statements


def _fill_regions(found: CaseStanding, case: Case, states: States, now: datetime) -> None:
    open_windows = {window.event_id for window in case.windows if window.open(now)}
    for one in states.standing(
        now,
        of_age=case.age.come_of_age(now),
        window_open=lambda invocation: invocation in open_windows,
    ):
        found.regions.append(
            {
                "region": one.region,
                "about": one.about,
                "state": one.state,
                "position": one.position or None,
                "since": one.since.isoformat() if one.position else None,
                "event": one.event_id or None,
            }
        )


def _fill_parties(found: CaseStanding, case: Case) -> None:
    found.involved = {agency: list(why) for agency, why in case.involvement.grounds().items()}
    found.left = sorted(case.involvement.left)
    found.guardian = case.involvement.guardian
    found.waiting = [
        {
            "kind": one.kind,
            "id": one.referral_id,
            "from": one.sender,
            "to": one.recipient,
            "respond_by": one.respond_by.isoformat() if one.respond_by else None,
        }
        for one in case.involvement.referrals.values()
        if one.pending
    ]


def _fill_person(found: CaseStanding, case: Case, profile: PolicyProfile, now: datetime) -> None:
    view = case.age.view(now, profile.enforcement_roles)
    found.age = {
        "child": view.child,
        "enforcement_dispute": view.disputed,
        "child_in_procedure": view.in_procedure,
    }
    found.consents = [
        {
            "id": one.consent_id,
            "state": one.state,
            "counts": one.active(now.date()) and bool(one.scope),
            "valid_until": one.valid_until.isoformat(),
            "covers_history": one.covers_history,
            "scope": {agency: list(names) for agency, names in one.scope.items()},
        }
        for one in case.consents
    ]
    found.windows = [
        {
            "invocation": one.event_id,
            "agency": one.agency,
            "closes": one.closes.isoformat(),
            "categories": sorted(one.requested),
        }
        for one in case.windows
        if one.open(now)
    ]


def _matter(one: Matter) -> dict[str, Any]:
    return {
        "about": one.about,
        "differ": one.differ,
        "statements": [
            {
                "agency": said.agency,
                "said": said.said,
                "position": said.position,
                "at": said.at.isoformat(),
                "event": str(UUID(said.event_id)),
            }
            for said in one.statements
        ],
    }
