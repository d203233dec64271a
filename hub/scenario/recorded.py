"""What a hub recorded about a scenario, in the shape of a scenario's expectations.

Read from the store, row by row, as an auditor would: nothing is decided again and nothing is taken
from memory. One page of rows is held at a time.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from hub.domain.settlement import Settlement, Withheld
from hub.errors import Refused
from hub.scenario.story import Scenario
from hub.store import events as stored
from hub.store.log import HubLog

TOPICS = frozenset(
    one.TOPIC for one in (stored.EventAccepted, stored.Settled, stored.Refused, stored.HeldBack)
)


@dataclass(frozen=True)
class Decided:
    """One event that was accepted, with what followed. Event ids are those of the file."""

    id: str
    case_id: UUID
    subject_id: UUID
    categories: tuple[str, ...]
    settlement: Settlement


@dataclass
class Record:
    """Everything the hub decided about one scenario, in log order."""

    decided: dict[str, Decided] = field(default_factory=dict)
    refused: dict[str, Refused] = field(default_factory=dict)
    held_back: list[tuple[str, str, str]] = field(default_factory=list)  # agency, event, category
    rebased: list[tuple[str, str, str, str]] = field(default_factory=list)  # …, and basis sent on
    strangers: list[str] = field(default_factory=list)  # refusals of no event of the file

    def step(self, event_id: str) -> dict[str, Any]:
        """One event in the shape of `expected`; a refused one as {"refused": …}."""
        decided = self.decided.get(event_id)
        if decided is not None:
            return shape(decided.settlement)
        refused = self.refused.get(event_id)
        if refused is None:
            return {"refused": {"step": 0, "reason": "never_recorded"}}
        told: dict[str, Any] = {"step": refused.step, "reason": refused.reason}
        if refused.guard:
            told["guard"] = refused.guard
        return {"refused": {**told, "detail": refused.detail}}


def read(log: HubLog, scenario: Scenario) -> Record:
    """The record of this scenario, from a log that holds nothing else."""
    record = Record()
    names = {uuid.bytes: name for uuid, name in scenario.ids.items()}
    texts = {str(uuid): name for uuid, name in scenario.ids.items()}
    accepted: stored.EventAccepted | None = None
    for event in _rows(log):
        if isinstance(event, stored.EventAccepted):
            accepted = event
        elif isinstance(event, stored.Settled):
            assert accepted is not None
            name = names[accepted.event_id]
            written = _renamed(json.loads(event.settlement), texts)
            record.decided[name] = Decided(
                name,
                event.originator_id,
                UUID(bytes=accepted.subject_id),
                accepted.categories,
                Settlement.from_record(written),
            )
        elif isinstance(event, stored.Refused):
            name = names.get(event.event_id or b"", "")
            if name and name not in record.decided:
                why = Refused(event.step, event.reason, event.detail, event.guard)
                record.refused[name] = why
            elif not name:
                record.strangers.append(f"step {event.step}, {event.reason}")
        elif isinstance(event, stored.HeldBack):
            for event_id, categories in json.loads(event.items).items():
                about = texts.get(event_id, event_id)
                record.held_back += [(event.agency, about, one) for one in categories]
            for event_id, bases in json.loads(event.rebased or b"{}").items():
                about = texts.get(event_id, event_id)
                record.rebased += [(event.agency, about, *one) for one in bases.items()]
    return record


def _rows(log: HubLog) -> Iterator[stored.StoreEvent]:
    return (one.event for one in log.every(TOPICS))


def _renamed(written: Any, texts: Mapping[str, str]) -> Any:
    """A settlement's record with the file's event ids in place of those on the wire."""
    if isinstance(written, str):
        return texts.get(written, written)
    if isinstance(written, list):
        return [_renamed(one, texts) for one in written]
    if isinstance(written, dict):
        return {texts.get(name, name): _renamed(one, texts) for name, one in written.items()}
    return written


def shape(settlement: Settlement) -> dict[str, Any]:
    """A settlement in the shape of `expected` (docs/release.md 1.4), lists sorted."""
    withheld: dict[str, dict[str, str]] = {}
    for agency in sorted(settlement.concerned):
        reasons = {
            category: outcome.reason
            for category, outcome in sorted(settlement.decided.get(agency, {}).items())
            if isinstance(outcome, Withheld) and outcome.reason != "not_involved"
        }
        if reasons:
            withheld[agency] = reasons
    return {
        "releases": {
            agency: {"categories": sorted(bases), "basis": sorted(set(bases.values()))}
            for agency, bases in sorted(settlement.released())
        },
        "withheld": withheld,
        "backfill": [
            {
                "to": agency,
                "events": {event: sorted(bases) for event, bases in sorted(events.items())},
            }
            for agency, events in sorted(settlement.backfill.items())
        ],
        "recalls": [
            {"to": one.to, "categories": list(one.categories), "action": one.action}
            for one in sorted(settlement.recalls, key=lambda one: one.to)
        ],
    }


def holdings(scenario: Scenario, record: Record) -> dict[str, dict[str, dict[str, list[str]]]]:
    """`final_holdings`: what each agency was ever released, by case and category.

    Cumulative: a recall removes nothing here (docs/release.md 7).
    """
    ever: dict[str, dict[str, dict[str, set[str]]]] = {}

    def gain(case: str, agency: str, bases: Mapping[str, str]) -> None:
        categories = ever.setdefault(case, {}).setdefault(agency, {})
        for category, basis in bases.items():
            categories.setdefault(category, set()).add(basis)

    for event in scenario.events:
        decided = record.decided.get(event.id)
        if decided is None:
            continue
        for agency, bases in decided.settlement.released():
            gain(event.case, agency, bases)
        for agency, events in decided.settlement.backfill.items():
            for bases in events.values():
                gain(event.case, agency, bases)
    return {
        case: {
            agency: {category: sorted(found) for category, found in sorted(categories.items())}
            for agency, categories in sorted(agencies.items())
        }
        for case, agencies in sorted(ever.items())
    }
