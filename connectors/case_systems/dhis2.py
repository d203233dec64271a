"""Into DHIS2: one tracked entity per case, one event per event, by the tracker API.

    read the entity → fill and empty its fields, its enrolment, its events (an import of some
    cases, all or nothing) → delete the events that are gone → delete cases with nothing left

A deletion in DHIS2 marks rows; they go when somebody runs its maintenance. A recall is therefore
answered "restricted", unless `purge = "maintenance"`: then this connector runs it, and the change
logs of program and entity type have to be off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import model_validator

from connectors.case_systems.dhis2_api import Dhis2Api
from connectors.case_systems.dhis2_case import TrackedCase, Tracker, names
from connectors.case_systems.dhis2_objects import ABSENT, DELETED, PROGRAM, RIGHTS, Trouble
from connectors.case_systems.dhis2_program import FORM, Program, mismatches
from connectors.case_systems.mapping import CaseMapping
from connectors.case_systems.options import CaseOptions, fits, opened
from connectors.case_systems.places import Places
from connectors.case_systems.sink import CaseSink, agreed
from connectors.errors import ConnectorError, SinkDownError, SinkRefusedError
from connectors.findings import Finding
from connectors.kinds import Place
from connectors.landed import Landed
from connectors.remote.copies import CaseChange
from connectors.remote.outbound import basic
from connectors.secret import Secret

_MOST_RENEWALS: Final = 20
MOST_EVENTS: Final = 200
"""In one import, about: it has to be answered within the settings' seconds."""


class Options(CaseOptions):
    """[sink.options] of kind dhis2."""

    url: str
    """Address of the instance, without /api: https://dhis2.example/nrm"""

    token: Secret | None = None
    """A personal access token; or else username and password."""

    username: str | None = None
    """The account, if there is no token."""

    password: Secret | None = None
    """Its password."""

    program: str
    """Uid of the tracker program."""

    org_unit: str
    """Uid of the organisation unit all cases belong to."""

    state: Path = Path("dhis2.state.db")
    """The connector's books."""

    purge: Literal["server", "maintenance"] = "server"
    """Who removes deleted rows for good: the server's own people, or this connector."""

    @model_validator(mode="after")
    def one_credential(self) -> Options:
        if (self.token is None) == (self.username is None or self.password is None):
            raise ValueError("give a token, or username and password")
        return self

    def credential(self, folder: Path) -> str:
        if self.token is not None:
            return f"ApiToken {self.token.read(folder)}"
        assert self.username is not None
        assert self.password is not None
        return basic(self.username, self.password.read(folder))


def open_sink(options: Options, place: Place) -> CaseSink:
    return opened(
        options,
        place,
        FORM,
        lambda: options.credential(place.folder),
        lambda http, mapping, places: Dhis2(options, place, Dhis2Api(http), mapping, places),
    )


class Dhis2:
    """One instance, one program."""

    name: Final = "dhis2"

    def __init__(
        self,
        options: Options,
        place: Place,
        api: Dhis2Api,
        mapping: CaseMapping,
        places: Places,
    ) -> None:
        self._options = options
        self._place = place
        self._api = api
        self._mapping = mapping
        self._places = places
        self._tracker: Tracker | None = None

    @property
    def purges(self) -> bool:
        return self._options.purge == "maintenance"

    def prepare(self) -> None:
        """Read the program; SettingsError if the mapping does not fit it."""
        agreed("DHIS2", self.look())

    def close(self) -> None:
        self._api.close()

    # -- check -----------------------------------------------------------------------------

    def look(self) -> list[Finding]:
        authorities = self._api.authorities()
        found = [Finding("ok", "dhis2", "the account is accepted")]
        if "ALL" in authorities:
            text = "the account may do everything on this instance"
            fix = "give the connector an account of its own, with the rights the tutorial lists"
            found.append(Finding("warning", "account", text, fix))
        if self.purges and not authorities & {"ALL", "F_PERFORM_MAINTENANCE"}:
            text = "purge is maintenance and the account may not run it"
            fix = 'give it F_PERFORM_MAINTENANCE, or set purge = "server"'
            found.append(Finding("wrong", "account", text, fix))
        program = self._api.program(self._options.program)
        fits_it = self._fits(program)
        if not any(one.level == "wrong" for one in fits_it):
            self._tracker = Tracker(
                self._place.hub,
                self._place.agency,
                self._options.org_unit,
                program,
                self._mapping,
                self._places,
            )
        return found + fits_it

    def _fits(self, program: Program) -> list[Finding]:
        found = []
        if self._options.org_unit not in program.org_units:
            text = f"org_unit {self._options.org_unit} does not offer the program"
            found.append(Finding("wrong", "program", text, "assign the program to it"))
        if program.keeps_history:
            text = "the change log is on: former values stay readable there after a recall"
            fix = "turn it off for program and tracked entity type, if the law allows"
            found.append(Finding("wrong" if self.purges else "warning", "program", text, fix))
        return found + fits(self._mapping, mismatches(self._mapping, program), "program")

    def landed(self, case_ref: str) -> list[Landed]:
        """Attributes and data elements by their uids."""
        assert self._tracker is not None  # prepare() comes first
        entity, enrollment = names(self._tracker, case_ref)
        found = self._api.entity(entity, self._options.program, enrollment)
        if found is None:
            return []
        events = found.events.items()
        return [
            Landed(f"tracked entity {entity}", "case", dict(found.attributes)),
            *(Landed(f"event {uid}", "event", dict(values)) for uid, (_, values) in events),
        ]

    # -- changing --------------------------------------------------------------------------

    def put(self, changes: Sequence[CaseChange]) -> None:
        purge = False
        for part in parts(changes, MOST_EVENTS):
            purge = self._put(part) or purge
        if purge and self.purges:
            self._api.purge()
        if self.purges:  # only now is nothing of them left
            for change in changes:
                for one in change.gone:
                    filled = self._places.filled(one.event_ref)
                    self._places.empty((one.event_ref, place) for place in filled)

    def _put(self, changes: Sequence[CaseChange]) -> bool:
        """One import, and what is to be deleted; returns whether there is something to purge."""
        for _ in range(_MOST_RENEWALS):
            cases = [self._case(change) for change in changes]
            done = [filling for case in cases for filling in case.fillings()]
            self._places.fill((record, place, "") for record, place, _ in done)
            spent = self._import(cases)
            if not spent:
                break
            for record in spent:
                self._places.renew(record)
        else:
            raise SinkDownError("DHIS2 says again and again that new uids are deleted ones")
        deleted = self._delete(cases)
        self._places.fill(done)
        self._places.empty(place for case in cases for place in case.emptied())
        return deleted or any(change.gone for change in changes)

    def _case(self, change: CaseChange) -> TrackedCase:
        assert self._tracker is not None  # prepare() comes first
        entity, enrollment = names(self._tracker, change.case_ref)
        found = self._api.entity(entity, self._options.program, enrollment)
        return TrackedCase.of(self._tracker, change, found)

    def _import(self, cases: Sequence[TrackedCase]) -> set[str]:
        """Make the objects; returns the records whose uids turned out to be spent."""
        body: dict[str, list[dict[str, Any]]] = {}
        for case in cases:
            for kind, one in case.objects():
                body.setdefault(kind, []).append(one)
            for uid in case.left_to_partner():
                body.setdefault("events", []).append(case.emptied_event(uid, *self._api.event(uid)))
        if not body:
            return set()
        wrong = self._send(body, "CREATE_AND_UPDATE", "ALL")
        records = {uid: record for case in cases for uid, record in case.records.items()}
        spent = {records[one.uid] for one in wrong if one.code in DELETED and one.uid in records}
        if wrong and not spent:
            raise self._meant(cases, wrong[0])
        return spent

    def _delete(self, cases: Sequence[TrackedCase]) -> bool:
        """Delete events that are gone and cases with nothing left. Events before what holds them,
        so that the account needs no right to delete what hangs on something."""
        there = [case for case in cases if case.found is not None]
        over = [case for case in there if case.over]
        events = [{"event": uid} for case in there for uid in case.gone()]
        enrollments = [{"enrollment": case.enrollment} for case in over if case.enrolled]
        entities = [{"trackedEntity": case.entity} for case in over if case.bare]
        for kind, objects in (
            ("events", events),
            ("enrollments", enrollments),
            ("trackedEntities", entities),
        ):
            wrong = self._send({kind: objects}, "DELETE", "OBJECT") if objects else []
            real = [one for one in wrong if one.code not in DELETED | ABSENT]
            if real:
                raise self._meant(cases, real[0])
        return bool(events or enrollments or entities)

    def _send(self, body: dict[str, Any], strategy: str, atomic: str) -> list[Trouble]:
        assert self._tracker is not None  # prepare() comes first
        return self._api.send(body, strategy, atomic, self._tracker.program.fields)

    def _meant(self, cases: Sequence[TrackedCase], wrong: Trouble) -> ConnectorError:
        """An error of the import, as what the runner should do."""
        if wrong.code in RIGHTS:
            return SinkDownError(
                f"the account may not do this in DHIS2 ({wrong.told()}): see the rights in "
                "docs/connect-dhis2.md"
            )
        if wrong.code in PROGRAM:
            return SinkDownError(
                f"the program has changed in DHIS2 ({wrong.told()}): run nrm-hub connector check"
            )
        return SinkRefusedError("sink_refused", wrong.told(), _at_fault(cases, wrong))


def parts(changes: Sequence[CaseChange], most: int) -> Iterator[list[CaseChange]]:
    """The cases in parts of at most so many events; a case is never cut in two."""
    part: list[CaseChange] = []
    size = 0
    for change in changes:
        events = len(change.changed) + len(change.gone)
        if part and size + events > most:
            yield part
            part, size = [], 0
        part.append(change)
        size += events
    if part:
        yield part


def _at_fault(cases: Sequence[TrackedCase], wrong: Trouble) -> int | None:
    """The delivery an error is about. None if that is not certain: the runner finds it out."""
    for case in cases:
        record = case.records.get(wrong.uid)
        for event in case.staged:
            if event.event_ref == record:
                return event.sequence
        if record is not None:
            named = [case.attributes[name] for name in wrong.fields if name in case.attributes]
            if named:
                return named[0].event.sequence
            return case.change.changed[0].sequence if len(case.change.changed) == 1 else None
    return None
