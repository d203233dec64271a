"""What each partner should hold in the end, worked out from the file and the recorded decisions.

A book follows one partner's deliveries in the hub's order: released categories come in, recalled
ones go out, corrections change the value of the field they name while both the correction and the
corrected event are held. It never looks at what a partner stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from hub.domain.settlement import Owed
from hub.scenario.recorded import Record
from hub.scenario.story import Scenario, ScriptEvent
from schemas.registry import INHERIT, EventSchema, Routing, SchemaError, Schemas

CORRECTION = "RecordCorrected"
_ABSENT: Any = object()


@dataclass(frozen=True)
class Stated:
    """One event of the file, its values as they travel: normalised by its schema."""

    event: ScriptEvent
    schema: EventSchema
    corrected_category: str | None

    @cached_property
    def values(self) -> Mapping[str, Any]:
        routing = Routing(self.event.case, self.event.subject)
        bodies = self.schema.split(
            self.event.data, routing=routing, corrected_category=self.corrected_category
        )
        return self.schema.join(bodies)

    def category(self, name: str) -> str:
        """The category a field's value is released in."""
        category = self.schema[name].category
        return self.corrected_category or "" if category == INHERIT else category

    def shown(self, name: str, agency: str) -> Any:
        """A field's value as this agency is shown it once it holds the category."""
        value, known = self.values.get(name), self.schema[name]
        if not known.per_party:
            return value
        if known.is_map:
            value = {one: part for one, part in (value or {}).items() if one == agency}
        else:
            value = [one for one in value or () if one == agency]
        return value if value or known.required else None


def stated(scenario: Scenario) -> dict[str, Stated]:
    """Every event of the file that fits a schema, by its id in the file."""
    schemas = Schemas.load()
    by_uuid = {str(event.uuid): event for event in scenario.events}
    found = {}
    for event in scenario.events:
        try:
            schema = schemas.by_type(event.type)
            corrected = None
            if event.type == CORRECTION:
                about = by_uuid[str(event.data.get("corrects_event"))]
                corrected = schemas.by_type(about.type)[str(event.data.get("field"))].category
            one = Stated(event, schema, corrected)
            assert one.values is not None  # it splits and joins
        except (KeyError, SchemaError):
            continue
        found[event.id] = one
    return found


@dataclass
class _Correction:
    """A correction as one partner knows it: which parts it holds, and since when."""

    about: str  # id of the corrected event in the file
    field: str
    value: Any
    order: int
    needs: frozenset[str]  # categories that must be held to know event, field and value
    category: str


@dataclass
class Book:
    """One partner. `held`: event → category → basis. `corrected`: (event, field) → value."""

    agency: str
    events: Mapping[str, Stated]
    held: dict[str, dict[str, str]] = field(default_factory=dict)
    corrected: dict[tuple[str, str], Any] = field(default_factory=dict)
    _corrections: dict[str, _Correction] = field(default_factory=dict)

    def released(self, event_id: str, bases: Mapping[str, str]) -> None:
        if not bases:
            return
        self.held.setdefault(event_id, {}).update(bases)
        for about, name in list(self.corrected):
            if about == event_id and self.events[about].category(name) in bases:
                del self.corrected[about, name]
        if self.events[event_id].event.type == CORRECTION:
            self._learn(event_id)
        changed = {event_id: set(bases)}
        correction = self._corrections.get(event_id)
        if correction is not None and correction.needs & set(bases):
            changed.setdefault(correction.about, set()).add(correction.category)
        for known in sorted(self._complete(), key=lambda one: one.order):
            touched = known.category in changed.get(known.about, ())
            if touched and known.category in self.held.get(known.about, ()):
                self.corrected[known.about, known.field] = known.value

    def recalled(self, event_id: str, categories: tuple[str, ...]) -> None:
        correction = self._corrections.get(event_id)
        known = correction is not None and correction in self._complete()
        bases = self.held.get(event_id, {})
        for category in categories:
            bases.pop(category, None)
        if not bases:
            self.held.pop(event_id, None)
        if correction is None or not correction.needs & set(categories):
            return
        if known and correction.category in self.held.get(correction.about, ()):
            # The stated value is not known to be right, the right one was taken back.
            self.corrected[correction.about, correction.field] = None
        if event_id not in self.held:
            del self._corrections[event_id]

    def value(self, event_id: str, name: str) -> Any:
        """What the partner should show in this field of an event; None if it may not know."""
        one = self.events[event_id]
        if one.category(name) not in self.held.get(event_id, ()):
            return None
        corrected = self.corrected.get((event_id, name), _ABSENT)
        return one.shown(name, self.agency) if corrected is _ABSENT else corrected

    def _learn(self, event_id: str) -> None:
        if event_id in self._corrections:
            return
        one = self.events[event_id]
        about = str(one.event.data["corrects_event"])
        target = next((n for n, s in self.events.items() if str(s.event.uuid) == about), None)
        if target is None:
            return
        needs = {one.category("new_value")}  # what it is of stands beside it
        self._corrections[event_id] = _Correction(
            target,
            str(one.values["field"]),
            one.values.get("new_value"),
            max((one.order for one in self._corrections.values()), default=0) + 1,
            frozenset(needs),
            one.category("new_value"),
        )

    def _complete(self) -> list[_Correction]:
        return [
            correction
            for event_id, correction in self._corrections.items()
            if correction.needs <= set(self.held.get(event_id, ()))
        ]


def books(scenario: Scenario, record: Record) -> dict[str, Book]:
    """Each partner's book after the whole run. A partner that knows events under references of
    its own is told by them what a correction is about, so its book is no other."""
    events = stated(scenario)
    made = {agency: Book(agency, events) for agency in scenario.recipients}
    overtaken = set(record.held_back)
    places = {event.id: number for number, event in enumerate(scenario.events, 1)}
    for event in scenario.events:
        decided = record.decided.get(event.id)
        if decided is None:
            continue

        def turn(owed: Owed, this: str = event.id) -> int:
            if owed.recall is not None:
                return -1
            return 0 if owed.event_id == this else places[owed.event_id]

        # Recalls, the event, then what is caught up on in the order it was recorded.
        for owed in sorted(decided.settlement.owed(), key=turn):
            book = made[owed.agency]
            if owed.recall is not None:
                for about, categories in owed.recall.items:
                    book.recalled(about, categories)
                continue
            book.released(
                owed.event_id,
                {
                    category: basis
                    for category, basis in owed.bases.items()
                    if (owed.agency, owed.event_id, category) not in overtaken
                },
            )
    return made
