"""Cases in a FHIR server: a batch's changes are merged and written, what went is purged.

    CaseChange → resources wanted and gone → read what is there → merge → transactions → purge

A transaction holds whole events and at most `most` resources. Each resource is written under the
version that was read (If-Match); if the partner has changed it in between, it is read and merged
again. Where something was taken away, a tag says so in the same version, and earlier versions are
purged then and after every later write: also when the process dies in between.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from connectors.errors import SinkDownError, SinkRefusedError
from connectors.fhir.events import event_resource, provenance, told_by_later
from connectors.fhir.names import EVENT_TYPE, Names, Resource, concept, key
from connectors.fhir.ownership import emptied, first, merged, purged, shell
from connectors.fhir.person import CASE, PERSON, episode, patient
from connectors.fhir.server import ConflictError, FhirServer, Found, RefusedError
from connectors.fhir.shapes import LAYOUTS, shape_of
from connectors.remote.copies import CaseChange, Kept

log = logging.getLogger(__name__)

TRIES: Final = 5
_ENTERED: Final = {"status": "entered-in-error"}
_RECALLED: Final = concept(EVENT_TYPE, "recalled")
_FRAMES: Final[dict[str, dict[str, Any]]] = {
    "Basic": {"code": _RECALLED},
    "CarePlan": {**_ENTERED, "intent": "plan"},
    "Communication": _ENTERED,
    "Condition": {
        "verificationStatus": concept(
            "http://terminology.hl7.org/CodeSystem/condition-ver-status", "entered-in-error"
        )
    },
    "Consent": {**_ENTERED, **{k: v for k, v in shape_of("ConsentGiven").fixed.items()
                               if k != "status"}},
    "Encounter": {**_ENTERED, "class": shape_of("AccommodationPlaced").fixed["class"]},
    "EpisodeOfCare": _ENTERED,
    "Flag": {**_ENTERED, "code": _RECALLED},
    "Observation": {**_ENTERED, "code": _RECALLED},
    "QuestionnaireResponse": _ENTERED,
    "RiskAssessment": _ENTERED,
    "ServiceRequest": {**_ENTERED, "intent": "order"},
    "Task": {**_ENTERED, "intent": "order"},
}  # fmt: skip
"""What R4 requires of an emptied resource, beside whom it is about."""
_ABOUT: Final = frozenset(
    {"CarePlan", "Condition", "EpisodeOfCare", "Flag", "RelatedPerson", "RiskAssessment",
     "ServiceRequest"}
)  # fmt: skip
"""Types that R4 does not let be about nobody."""


@dataclass(slots=True)
class Unit:
    """Resources that are written together. sequence: the event's, for a refusal."""

    sequence: int | None
    wanted: list[Resource] = field(default_factory=list)
    gone: dict[str, dict[str, Any]] = field(default_factory=dict)  # key → frame of its shell

    @property
    def size(self) -> int:
        return len(self.wanted) + len(self.gone)


class FhirCases:
    """A `CaseSystem` over a FHIR server."""

    def __init__(
        self,
        server: FhirServer,
        names: Names,
        *,
        most: int,
        purges: bool,
        prepare: Callable[[], None],
    ) -> None:
        """most: resources in one transaction. purges: whether earlier versions are purged; if not,
        what is deleted is emptied before. prepare: raises what keeps the server from serving."""
        self._server = server
        self._names = names
        self._purges = purges
        self._most = most
        self._prepare = prepare

    def prepare(self) -> None:
        self._prepare()

    def close(self) -> None:
        self._server.close()

    def put(self, changes: Sequence[CaseChange]) -> None:
        shared: list[Unit] = []
        events: list[Unit] = []
        last: list[Unit] = []
        for change in changes:
            case = change.events()
            people = self._people(change, case)
            (shared if case else last).append(people)
            events += self._events(change, case)
        for units in ([*shared, *events], last):
            for some in self._chunks(units):
                self._send(some)

    # -- what is wanted --------------------------------------------------------------------

    def _people(self, change: CaseChange, case: Sequence[Kept]) -> Unit:
        """The person and the case."""
        unit, names = Unit(None), self._names
        told = episode(change.case_ref, case, names)
        if case:
            subject = next((e.subject_ref for e in reversed(case) if e.subject_ref), "")
            unit.wanted.append(patient(change.case_ref, subject, case, names))
        if told is not None:
            unit.wanted.append(told)
        else:
            self._goes(unit, "EpisodeOfCare", change.case_ref, change.case_ref)
        if not case:
            self._goes(unit, "Patient", change.case_ref, change.case_ref)
        return unit

    def _events(self, change: CaseChange, case: Sequence[Kept]) -> Iterator[Unit]:
        names = self._names
        changed = {one.event_ref for one in change.changed}
        types = {one.event_type for one in change.changed}
        types |= {one.event_type for one in change.gone}
        earlier = told_by_later(frozenset(types))
        for event in case:
            if event.event_ref in changed or event.event_type in earlier:
                own = event_resource(event, case, names)
                targets = [{"reference": key(own)}]
                if event.event_type in PERSON:
                    targets.append(names.patient(change.case_ref))
                if event.event_type in CASE:
                    targets.append(names.reference("EpisodeOfCare", change.case_ref))
                yield Unit(event.sequence, [own, provenance(event, names, targets)])
        for gone in change.gone:
            unit = Unit(None)
            provenance_id = names.id("Provenance", gone.event_ref)
            unit.gone[f"Provenance/{provenance_id}"] = {}
            for kind in [shape_of(gone.event_type).resource] if gone.event_type else LAYOUTS:
                self._goes(unit, kind, gone.event_ref, change.case_ref)
            yield unit

    def _goes(self, unit: Unit, kind: str, ref: str, case_ref: str) -> None:
        found = self._names.id(kind, ref)
        what = "case" if kind in ("Patient", "EpisodeOfCare") else "event"
        identifier = self._names.identifier(what, ref)
        frame: dict[str, Any] = {"resourceType": kind, "id": found, **_FRAMES.get(kind, {})}
        frame["identifier"] = identifier if kind == "QuestionnaireResponse" else [identifier]
        if kind in _ABOUT:
            about = "patient" if kind == "EpisodeOfCare" else LAYOUTS[kind].subject
            frame[about] = self._names.patient(case_ref)
        unit.gone[f"{kind}/{found}"] = frame

    def _chunks(self, units: Sequence[Unit]) -> Iterator[list[Unit]]:
        some: list[Unit] = []
        for unit in units:
            if some and sum(one.size for one in some) + unit.size > self._most:
                yield some
                some = []
            some.append(unit)
        if some:
            yield some

    # -- sending ---------------------------------------------------------------------------

    def _send(self, units: Sequence[Unit]) -> None:
        """All of it in one transaction; if that is refused, each by itself, to name which."""
        try:
            self._settle(units)
        except RefusedError as refused:
            if len(units) == 1:
                raise SinkRefusedError(
                    "sink_refused",
                    f"the FHIR server answered {refused.status} to a transaction of "
                    + ", ".join(sorted({one["resourceType"] for one in units[0].wanted})),
                    units[0].sequence,
                ) from None
            for unit in units:
                self._send([unit])

    def _settle(self, units: Sequence[Unit]) -> None:
        """Read, merge and write until nothing has changed in between; then purge."""
        alone = len(units) == 1
        for attempt in range(TRIES):
            wanted = {key(one): one for unit in units for one in unit.wanted}
            gone = {name: frame for unit in units for name, frame in unit.gone.items()}
            there = self._server.read([*wanted, *gone])
            plan = _Plan(there)
            for name, resource in wanted.items():
                plan.put(name, resource)
            for name, frame in gone.items():
                plan.remove(name, frame, referred=alone and attempt >= TRIES - 2)
            try:
                if plan.deletes and not self._purges:
                    self._server.write(plan.emptied(gone), ())
                    plan.puts = []
                if plan.puts or plan.deletes:
                    self._server.write(plan.puts, plan.deletes)
            except ConflictError:
                if alone or not plan.deletes or attempt == 0:
                    continue
                for unit in units:  # something there refers to one of them: keep that one's frame
                    self._settle([unit])
                return
            if self._purges:
                for name in plan.purges:
                    self._server.purge(name)
            return
        raise SinkDownError(
            "the FHIR server reports a version conflict every time: something there writes the "
            "hub's resources all the time"
        )


class _Plan:
    """What to do about some resources, given what is there."""

    def __init__(self, there: dict[str, Found]) -> None:
        self._there = there
        self.puts: list[tuple[Resource, str | None]] = []
        self.deletes: list[str] = []
        self.purges: list[str] = []

    def emptied(self, gone: Mapping[str, dict[str, Any]]) -> list[tuple[Resource, str | None]]:
        """What is written, and what is to be deleted without its content."""
        found = list(self.puts)
        for name in self.deletes:
            current = self._there[name].resource
            if gone[name] and current is not None:
                found.append((emptied(current, gone[name]), current["meta"]["versionId"]))
        return found

    def put(self, name: str, resource: Resource) -> None:
        current = self._there[name].resource
        if current is None:
            self.puts.append((first(resource), None))
            if self._there[name].deleted:
                self.purges.append(name)
            return
        result = merged(resource, current)
        if result.edited:
            log.info("%s: left as edited there: %s", name, ", ".join(result.edited))
        if result.replaced:
            log.warning(
                "%s: the hub's new statement replaces what was edited there: %s (version %s)",
                name,
                ", ".join(result.replaced),
                current["meta"]["versionId"],
            )
        if not result.same:
            self.puts.append((result.resource, current["meta"]["versionId"]))
        if result.lessened or purged(current):
            self.purges.append(name)

    def remove(self, name: str, frame: dict[str, Any], *, referred: bool) -> None:
        """referred: deleting was refused again and again, so something there refers to it."""
        current = self._there[name].resource
        if current is None:
            if self._there[name].deleted:
                self.purges.append(name)
            return
        left = shell(current, frame) if frame else None
        if left is None and frame and referred:
            left = emptied(current, frame)
        if left is None:
            self.deletes.append(name)
        else:
            self.puts.append((left, current["meta"]["versionId"]))
        self.purges.append(name)
