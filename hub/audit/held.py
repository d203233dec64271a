"""Held: which agency holds what, by what was recorded.

An item (an event in one category) is held from its release, at once or by backfill, until it is
recalled or was held back before it was sent (docs/release.md 6 and 7). One pass over a case's rows
answers for every agency, one pass over the log for one agency in all cases. Nothing is opened.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from hub.release import CONSENT
from hub.store import events as stored
from hub.store.events import StoreEvent
from hub.store.log import HubLog

# The strongest basis first: what rests on law no withdrawal ends, a window ends within a day.
STRENGTH: Final = (
    "legal_obligation",
    "statutory_minimum",
    "public_task",
    "safeguarding",
    CONSENT,
    "vital_interests",
)

Item = tuple[str, str]  # event id, category


@dataclass(slots=True)
class Holding:
    """What one agency has of one case. held: item → basis; given: how often each item was given;
    recalled: items it had to give back and was not given again."""

    held: dict[Item, str] = field(default_factory=dict)
    given: Counter[Item] = field(default_factory=Counter)
    recalled: set[Item] = field(default_factory=set)

    def gain(self, item: Item, basis: str) -> None:
        self.held[item] = basis
        self.given[item] += 1
        self.recalled.discard(item)

    def give_back(self, item: Item) -> None:
        if self.held.pop(item, None) is not None:
            self.recalled.add(item)

    def never_sent(self, item: Item) -> None:
        """Decided, and stopped before it was sent: recalled or not, it was not there."""
        self.held.pop(item, None)
        self.given[item] -= 1
        if self.given[item] <= 0:
            self.recalled.discard(item)

    def rebase(self, item: Item, basis: str) -> None:
        if item in self.held:
            self.held[item] = basis


@dataclass(frozen=True, slots=True)
class Cell:
    """One agency and category. held, recalled: numbers of items; strongest: basis of the items
    held, or "" if there are none."""

    held: int
    recalled: int
    strongest: str

    @property
    def state(self) -> str:
        """`holds`, `recalled` or `never`."""
        return "holds" if self.held else "recalled" if self.recalled else "never"


class Holdings:
    """Holdings of every agency, or of one, in one case: a fold of its rows in their order."""

    def __init__(self, only: str | None = None) -> None:
        self._only = only
        self.by_agency: dict[str, Holding] = {}

    def take(self, event: StoreEvent) -> None:
        """One more row of the case."""
        if isinstance(event, stored.Settled):
            self._settled(json.loads(event.settlement))
        elif isinstance(event, stored.HeldBack):
            holding = self._of(event.agency)
            for event_id, names in json.loads(event.items).items():
                for category in names:
                    holding.never_sent((event_id, category))
            for item, basis in _items(json.loads(event.rebased)):
                holding.rebase(item, basis)

    def _settled(self, record: Mapping[str, Any]) -> None:
        for recall in record.get("recalls", ()):
            holding = self._of(recall["to"])
            for event_id, names in recall["items"].items():
                for category in names:
                    holding.give_back((event_id, category))
        for agency, bases in record.get("rebased", {}).items():
            for item, basis in _items(bases):
                self._of(agency).rebase(item, basis)
        for agency, outcomes in record.get("decided", {}).items():
            for category, basis in outcomes.items():
                if isinstance(basis, str):
                    self._of(agency).gain((record["event"], category), basis)
        for agency, bases in record.get("backfill", {}).items():
            for item, basis in _items(bases):
                self._of(agency).gain(item, basis)

    def _of(self, agency: str) -> Holding:
        if self._only not in (None, agency):
            return Holding()  # of no interest: forgotten again
        return self.by_agency.setdefault(agency, Holding())


def _items(events: Mapping[str, Mapping[str, str]]) -> Iterable[tuple[Item, str]]:
    for event_id, bases in events.items():
        for category, basis in bases.items():
            yield (event_id, category), basis


def cells(holding: Holding) -> dict[str, Cell]:
    """By category, those of which the agency ever had anything."""
    held = Counter(category for _, category in holding.held)
    recalled = Counter(category for _, category in holding.recalled)
    bases: dict[str, set[str]] = {}
    for (_, category), basis in holding.held.items():
        bases.setdefault(category, set()).add(basis)
    return {
        category: Cell(held[category], recalled[category], strongest(bases.get(category, ())))
        for category in sorted({*held, *recalled})
    }


def strongest(bases: Iterable[str]) -> str:
    """The first of `STRENGTH`; of several consents, the first by id."""
    return min(bases, key=lambda basis: (_strength(basis), basis), default="")


def _strength(basis: str) -> int:
    return STRENGTH.index(CONSENT if basis.startswith(CONSENT) else basis)


@dataclass(frozen=True, slots=True)
class Across:
    """One agency over all cases: numbers only. cases: in which it holds anything; categories:
    category → (cases, items)."""

    agency: str
    cases: int
    categories: dict[str, tuple[int, int]]


def across_cases(log: HubLog, agency: str) -> Across:
    """One pass over the decisions of all cases; only those that name the agency are read."""
    topics = frozenset({stored.Settled.TOPIC, stored.HeldBack.TOPIC})
    named = json.dumps(agency).encode()
    by_case: dict[UUID, Holdings] = {}
    for one in log.every(topics):
        event = one.event
        if isinstance(event, stored.Settled):
            concerned = named in event.settlement
        else:
            concerned = isinstance(event, stored.HeldBack) and event.agency == agency
        if concerned:
            by_case.setdefault(event.originator_id, Holdings(agency)).take(event)
    counted: dict[str, tuple[int, int]] = {}
    cases = 0
    for found in by_case.values():
        holding = found.by_agency.get(agency, Holding())
        cases += bool(holding.held)
        for category, items in Counter(category for _, category in holding.held).items():
            before = counted.get(category, (0, 0))
            counted[category] = (before[0] + 1, before[1] + items)
    return Across(agency, cases, dict(sorted(counted.items())))
