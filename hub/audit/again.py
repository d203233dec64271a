"""Again: what differs between a settlement as recorded and the same one made again.

Pure. A divergence is one decision: one party (an agency, or a role for all agencies that are not
concerned), one event, one category. What belongs to no such pair (age, register, profile) is listed
under its part alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from hub.audit.compared import told
from hub.domain.case import CaseEvent
from hub.domain.parties import Parties
from hub.domain.settlement import Settlement


@dataclass(frozen=True, slots=True)
class Divergence:
    """One decision that comes out differently.

    at: log position of the row that recorded it. part: first, outsiders, recall, rebased, backfill,
    windows, left, concerned, age, policy, parties, categories; sending, held_back. party: an
    agency's id, or `role:police` for all of a role that are not concerned; empty if it concerns
    nobody in particular. event: the event it is about.
    """

    at: int
    part: str
    event: str
    party: str
    category: str
    recorded: str
    again: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


Item = tuple[str, str, str, str]  # part, event, party, category
NOTHING = "nothing"


def settlement_divergences(
    at: int, event: CaseEvent, recorded: Settlement, again: Settlement, parties: Parties
) -> Sequence[Divergence]:
    """Every decision of one settlement that differs. Something always does: if no decision, then
    the bytes of the record."""
    named = {*recorded.decided, *again.decided}
    before = _items(recorded, named, parties, event.emitter)
    after = _items(again, named, parties, event.emitter)
    found = [
        Divergence(at, *item, before.get(item, NOTHING), after.get(item, NOTHING))
        for item in sorted({*before, *after})
        if before.get(item) != after.get(item)
    ]
    return found or [Divergence(at, "record", event.event_id, "", "", "as written", "other bytes")]


def _items(
    settlement: Settlement, named: set[str], parties: Parties, emitter: str
) -> dict[Item, str]:
    event = settlement.event_id
    found: dict[Item, str] = {
        ("age", event, "", ""): f"child {settlement.age.child}, disputed {settlement.age.disputed}",
        ("policy", event, "", ""): settlement.policy,
        ("parties", event, "", ""): str(settlement.parties),
        ("categories", event, "", ""): ", ".join(settlement.categories),
        ("concerned", event, "", ""): ", ".join(settlement.concerned),
        ("left", event, "", ""): ", ".join(settlement.left),
    }
    for agency in named - {emitter}:
        party = parties.get(agency)
        role = party.role if party is not None else ""
        for category in settlement.categories:
            outcome = settlement.outcome(agency, role, category)
            found["first", event, agency, category] = told(outcome)
    for role, outcomes in settlement.outsiders.by_role.items():
        for category, outcome in outcomes.items():
            found["outsiders", event, f"role:{role}", category] = told(outcome)
    for recall in settlement.recalls:
        for about, names in recall.items:
            for category in names:
                found["recall", about, recall.to, category] = recall.action
    for part, bases in (("rebased", settlement.rebased), ("backfill", settlement.backfill)):
        for agency, events in bases.items():
            for about, by_category in events.items():
                for category, basis in by_category.items():
                    found[part, about, agency, category] = basis
    for (agency, about, category), window in settlement.windows.items():
        found["windows", about, agency, category] = window
    return found
