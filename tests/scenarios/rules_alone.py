"""Play a scenario through the rules alone: no store, no topics, no keys.

What comes out has the shape of a scenario's expectations, so that the two can be compared as they
are. Time is the events' own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hub.deliveries import settle
from hub.domain.case import Case, CaseEvent
from hub.domain.facts import facts_of
from hub.domain.guards import Refusal, refuse
from hub.domain.parties import HUB_ROLE, Parties, Party
from hub.domain.policy import PolicyProfile
from hub.domain.settlement import Released, Settlement, Withheld


@dataclass(frozen=True, slots=True)
class Played:
    """What one event of a scenario led to; a refused event has no settlement."""

    event: CaseEvent
    case: Case
    refusal: Refusal | None
    settlement: Settlement | None


def parties_of(scenario: Mapping[str, Any]) -> Parties:
    """The scenario's agencies; all of them have a data-sharing agreement."""
    return Parties(Party(agency, role) for agency, role in scenario["agencies"].items())


def event_of(scenario: Mapping[str, Any], position: int, event: Mapping[str, Any]) -> CaseEvent:
    at = datetime.fromisoformat(event["t"]).astimezone(UTC)  # dates are UTC days (1.5)
    plain, personal = facts_of(event["type"], event["data"], at.date())
    return CaseEvent(
        position=position,
        event_id=event["id"],
        type=event["type"],
        emitter=event["agency"],
        role=scenario["agencies"].get(event["agency"], HUB_ROLE),
        at=at,
        categories=tuple(event["categories"]),
        facts={**plain, **personal},
    )


def play(
    scenario: Mapping[str, Any], profile: PolicyProfile, *, guarded: bool = True
) -> Iterator[Played]:
    """Every event in order. A refused event changes nothing."""
    parties = parties_of(scenario)
    cases: dict[str, Case] = {}
    for position, written in enumerate(scenario["events"], start=1):
        event = event_of(scenario, position, written)
        case = cases.get(written["case"])
        refusal = refuse(case, event, parties, profile, event.at) if guarded else None
        if case is None:
            case = Case()
        if refusal is not None:
            yield Played(event, case, refusal, None)
            continue
        cases[written["case"]] = case
        yield Played(event, case, None, settle(case, event, parties, profile, event.at))


def shape(settlement: Settlement) -> dict[str, Any]:
    """A settlement in the shape of `expected`, lists sorted."""
    withheld: dict[str, dict[str, str]] = {}
    for agency in settlement.concerned:
        reasons = {
            category: outcome.reason
            for category, outcome in settlement.decided.get(agency, {}).items()
            if isinstance(outcome, Withheld) and outcome.reason != "not_involved"
        }
        if reasons:
            withheld[agency] = reasons
    return {
        "releases": {
            agency: {"categories": sorted(bases), "basis": sorted(set(bases.values()))}
            for agency, bases in settlement.released()
        },
        "withheld": withheld,
        "backfill": [
            {"to": agency, "events": {event: sorted(bases) for event, bases in events.items()}}
            for agency, events in sorted(settlement.backfill.items())
        ],
        "recalls": [
            {"to": one.to, "categories": list(one.categories), "action": one.action}
            for one in settlement.recalls
        ],
    }


def canonical(expected: Mapping[str, Any]) -> dict[str, Any]:
    """A scenario's `expected` with its sets sorted, to be compared with `shape`."""
    return {
        "releases": {
            agency: {
                "categories": sorted(released["categories"]),
                "basis": sorted(released["basis"]),
            }
            for agency, released in expected["releases"].items()
        },
        "withheld": expected["withheld"],
        "backfill": [
            {
                "to": one["to"],
                "events": {event: sorted(names) for event, names in one["events"].items()},
            }
            for one in sorted(expected["backfill"], key=lambda one: str(one["to"]))
        ],
        "recalls": [
            {
                "to": one["to"],
                "categories": sorted(one["categories"]),
                "action": one["action"],
            }
            for one in sorted(expected["recalls"], key=lambda one: str(one["to"]))
        ],
    }


def holdings(cases: Iterable[tuple[str, Case]]) -> dict[str, dict[str, dict[str, list[str]]]]:
    """`final_holdings` of these cases, cases without any left out."""
    return {name: held for name, case in cases if (held := case.holdings.final())}


def released_in(played: Played, agency: str, category: str) -> bool:
    """Whether the event itself was released to the agency in this category."""
    if played.settlement is None:
        return False
    outcome = played.settlement.decided.get(agency, {}).get(category)
    return isinstance(outcome, Released)
