"""One case on its way into DHIS2: what is there, what is to be there, and the objects that do it.

What the partner added stays: fields that no map names, enrolments of others, the state of an event
or enrolment. An event that is gone but holds data of theirs is emptied of ours, not deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.case_systems.dhis2_objects import Found, moment, uid, values
from connectors.case_systems.dhis2_program import (
    MOST_ATTRIBUTE,
    MOST_DATA,
    Program,
    Taker,
    shown_as,
)
from connectors.case_systems.filling import ours_of, ours_of_case, written
from connectors.case_systems.mapping import CaseMapping, Filling
from connectors.case_systems.places import Places
from connectors.errors import SinkRefusedError
from connectors.remote.copies import CaseChange, Kept
from connectors.remote.sink import Intent


@dataclass(frozen=True)
class Tracker:
    """Where cases go. hub, agency: what their uids are derived from."""

    hub: str
    agency: str
    org_unit: str
    program: Program
    mapping: CaseMapping
    places: Places

    def uid(self, record: str) -> str:
        return uid(self.hub, self.agency, record, self.places.generation(record))

    def ours(self, event_ref: str, event_type: str) -> Mapping[str, str]:
        """Data elements of an event that hold ours, with their fillers."""
        return ours_of(self.places.filled(event_ref), self.mapping, event_type, "data")

    def stage(self, event_type: str) -> str | None:
        one = self.mapping.of(event_type)
        return one.settings.get("stage") if one else None


@dataclass
class TrackedCase:
    """found: the tracked entity as it is, None if there is none. records: uid → what it is of."""

    tracker: Tracker
    change: CaseChange
    entity: str
    enrollment: str
    found: Found | None
    attributes: Mapping[str, Filling]
    staged: list[Kept]
    stated: set[tuple[str, str]] = field(default_factory=set)
    ours: Mapping[str, str] = field(default_factory=dict)
    records: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, tracker: Tracker, change: CaseChange, found: Found | None) -> TrackedCase:
        """found: from Dhis2Api.entity, for the uids of `names()`."""
        events = change.events()
        entity, enrollment = names(tracker, change.case_ref)
        staged = [one for one in events if tracker.stage(one.event_type)]
        case = cls(
            tracker,
            change,
            entity,
            enrollment,
            found,
            tracker.mapping.filled(events, "attributes"),
            staged,
        )
        case.stated = {
            (one.event_ref, name)
            for one in events
            for name in tracker.mapping.filled([one], "attributes")
        }
        case.ours = ours_of_case(
            tracker.places.filled(case.record),
            tracker.mapping,
            "attributes",
            there=found is not None,
        )
        case.records = {tracker.uid(one.event_ref): one.event_ref for one in staged}
        case.records |= {entity: case.record, enrollment: f"enrollment {change.case_ref}"}
        return case

    @property
    def record(self) -> str:
        return f"entity {self.change.case_ref}"

    @property
    def enrolled(self) -> bool:
        return self.found is not None and self.enrollment in self.found.enrollments

    @property
    def wanted(self) -> bool:
        return bool(self.attributes or self.staged)

    @property
    def events(self) -> list[Kept]:
        """The events to send: those that changed; all, into a new enrolment."""
        if not self.enrolled:
            return self.staged
        changed = {one.event_ref for one in self.change.changed}
        return [one for one in self.staged if one.event_ref in changed]

    # -- to be there -----------------------------------------------------------------------

    def objects(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """(kind, object) of all that is created or updated."""
        if self.wanted or self.found is not None:
            yield "trackedEntities", self._entity_object()
        if self.wanted:
            if not self.enrolled:
                yield "enrollments", self._enrollment_object()
            for event in self.events:
                yield "events", self._event_object(event)

    def fillings(self) -> Iterator[tuple[str, str, str]]:
        """(record, place, event) of all that objects() fills."""
        there = self.found.attributes if self.found else {}
        if self.wanted:
            yield self.record, "*", ""
        for name, filling in written(self.attributes, self.ours, there, self.stated).fill.items():
            yield self.record, name, filling.event.event_ref
        for event in (*self.change.changed, *self.events):
            if self.tracker.mapping.of(event.event_type):
                yield event.event_ref, "*", event.event_ref
        for event in self.events:
            for name in self._data(event)[0]:
                yield event.event_ref, name, event.event_ref

    def emptied(self) -> Iterator[tuple[str, str]]:
        """(record, place) of all that is empty afterwards."""
        kept = {"*", *self.attributes}
        return ((self.record, name) for name in self.ours if name not in kept)

    def _entity_object(self) -> dict[str, Any]:
        there = self.found.attributes if self.found else {}
        done = written(self.attributes, self.ours, there, self.stated)
        return {
            "trackedEntity": self.entity,
            "trackedEntityType": self.tracker.program.tracked_entity_type,
            "orgUnit": self.tracker.org_unit,
            "attributes": values(
                _shown(done.fill, self.tracker.program.attributes, MOST_ATTRIBUTE),
                done.empty,
                "attribute",
            ),
        }

    def _enrollment_object(self) -> dict[str, Any]:
        first = moment(min(one.occurred_at or one.received_at for one in self.change.events()))
        return {
            "enrollment": self.enrollment,
            "trackedEntity": self.entity,
            "program": self.tracker.program.uid,
            "orgUnit": self.tracker.org_unit,
            "status": "ACTIVE",
            "enrolledAt": first,
            "occurredAt": first,
        }

    def _event_object(self, event: Kept) -> dict[str, Any]:
        stage = self.tracker.stage(event.event_type) or ""
        fill, empty = self._data(event)
        shown = _shown(fill, self.tracker.program.stages[stage].elements, MOST_DATA)
        return self._event(self.tracker.uid(event.event_ref), stage) | {
            "occurredAt": moment(event.occurred_at or event.received_at),
            "dataValues": values(shown, empty, "dataElement"),
        }

    def _data(self, event: Kept) -> tuple[Mapping[str, Filling], frozenset[str]]:
        there = self._there(self.tracker.uid(event.event_ref))[1]
        wanted = self.tracker.mapping.filled([event], "data")
        ours = self.tracker.ours(event.event_ref, event.event_type)
        done = written(wanted, ours, there, {(event.event_ref, name) for name in wanted})
        return done.fill, done.empty

    def _event(self, one: str, stage: str) -> dict[str, Any]:
        return {
            "event": one,
            "enrollment": self.enrollment,
            "program": self.tracker.program.uid,
            "programStage": stage,
            "orgUnit": self.tracker.org_unit,
            "status": self._there(one)[0],
        }

    def _there(self, one: str) -> tuple[str, Mapping[str, str]]:
        return (self.found.events if self.found else {}).get(one, ("ACTIVE", {}))

    # -- to be gone ------------------------------------------------------------------------

    def gone(self) -> list[str]:
        """Uids of events to delete."""
        return [one for one in self._gone() if not self._foreign(one)]

    def left_to_partner(self) -> list[str]:
        """Uids of events that are gone but hold what the partner added."""
        return [one for one in self._gone() if self._foreign(one)]

    def emptied_event(self, one: str, stage: str, occurred_at: str) -> dict[str, Any]:
        """Such an event, emptied of ours."""
        empty = set(self._ours(one)) & set(self._there(one)[1])
        told = {"occurredAt": occurred_at, "dataValues": values({}, empty, "dataElement")}
        return self._event(one, stage) | told

    @property
    def over(self) -> bool:
        """Nothing of the case is left, nor of the partner's in its enrolment."""
        assert self.found is not None  # asked of what is there
        return not self.wanted and set(self.found.events) <= set(self.gone())

    @property
    def bare(self) -> bool:
        """Nor does the tracked entity hold anything of the partner's."""
        assert self.found is not None  # asked of what is there
        theirs = set(self.found.attributes) - set(self.ours)
        return not theirs and not self.found.other_enrollments

    def _gone(self) -> dict[str, Intent]:
        """Uid → event of those that are gone here and still there."""
        there = self.found.events if self.found else {}
        gone = {self.tracker.uid(one.event_ref): one for one in self.change.gone}
        return {uid: one for uid, one in gone.items() if uid in there}

    def _foreign(self, one: str) -> bool:
        return bool(set(self._there(one)[1]) - set(self._ours(one)))

    def _ours(self, one: str) -> Mapping[str, str]:
        gone = self._gone()[one]
        return self.tracker.ours(gone.event_ref, gone.event_type)


def names(tracker: Tracker, case_ref: str) -> tuple[str, str]:
    """Uids of a case's tracked entity and enrolment."""
    return tracker.uid(f"entity {case_ref}"), tracker.uid(f"enrollment {case_ref}")


def _shown(
    fill: Mapping[str, Filling], takers: Mapping[str, Taker], most: int
) -> dict[str, str | None]:
    shown: dict[str, str | None] = {}
    for name, filling in fill.items():
        told = f"{filling.event.event_type}.{filling.target.source.name}"
        try:
            value = shown_as(filling.value, takers[name].value_type)
        except (ValueError, TypeError):
            wrong = f"{told} does not fit {name}"
            raise SinkRefusedError("value_unsuitable", wrong, filling.event.sequence) from None
        if value is not None and len(value) > most:
            wrong = f"{told} has more than {most} letters, too many for {name}"
            raise SinkRefusedError("value_unsuitable", wrong, filling.event.sequence)
        shown[name] = value
    return shown
