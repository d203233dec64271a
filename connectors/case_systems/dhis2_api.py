"""The few requests to DHIS2 that the connector makes, and what their answers mean.

    GET  /api/me                               the account and its authorities
    GET  /api/programs/{uid}                   the program's fields
    GET  /api/tracker/trackedEntities/{uid}    a case as it is
    GET  /api/tracker/events/{uid}             an event the partner added to
    POST /api/tracker?async=false&…            an import, or a deletion, with its report
    POST /api/maintenance?softDeleted…         removal of deleted rows for good, if asked for

An answer that is not DHIS2's is an outage: it says nothing about a delivery.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connectors.case_systems.dhis2_objects import Found, Trouble, read_entity, troubles
from connectors.case_systems.dhis2_program import PROGRAM_FIELDS, Program, read_program
from connectors.errors import SinkDownError
from connectors.remote.outbound import Answer, Outbound

_ENTITY: Final = (
    "trackedEntity,attributes[attribute,value],"
    "enrollments[enrollment,status,events[event,status,dataValues[dataElement,value]]]"
)
_PURGE: Final = {
    "softDeletedEventRemoval": "true",
    "softDeletedEnrollmentRemoval": "true",
    "softDeletedTrackedEntityRemoval": "true",
}
_BROKEN: Final = (KeyError, TypeError, AttributeError, ValueError, RecursionError)


class Dhis2Api:
    """One instance. Every method: SinkDownError when it is away or answers nonsense."""

    def __init__(self, http: Outbound) -> None:
        self._http = http

    def close(self) -> None:
        self._http.close()

    def authorities(self) -> frozenset[str]:
        said = self._get("/api/me", {"fields": "id,authorities"}, "account")
        try:
            return frozenset(map(str, said["authorities"]))
        except _BROKEN:
            raise _not_dhis2("account") from None

    def program(self, uid: str) -> Program:
        said = self._get(f"/api/programs/{uid}", {"fields": PROGRAM_FIELDS}, f"program {uid}")
        try:
            return read_program(said)
        except _BROKEN:
            raise SinkDownError(
                f"{uid} is no tracker program, or the answer is not DHIS2's: check sink.options"
            ) from None

    def entity(self, uid: str, program: str, enrollment: str) -> Found | None:
        """The tracked entity as it is; None if there is none, or it is deleted."""
        params = {"program": program, "fields": _ENTITY}
        answer = self._http.request("GET", f"/api/tracker/trackedEntities/{uid}", params=params)
        if answer.status == 404:
            return None
        try:
            return read_entity(_good(answer, "tracked entity"), enrollment)
        except _BROKEN:
            raise _not_dhis2("tracked entity") from None

    def event(self, uid: str) -> tuple[str, str]:
        """Stage and date of an event."""
        said = self._get(f"/api/tracker/events/{uid}", {}, "event")
        try:
            return str(said["programStage"]), str(said["occurredAt"])
        except _BROKEN:
            raise _not_dhis2("event") from None

    def send(
        self,
        body: Mapping[str, Any],
        strategy: str,
        atomic: str,
        fields: Mapping[str, tuple[str, ...]],
    ) -> list[Trouble]:
        """Import or delete; returns what was refused. fields: Program.fields."""
        params = {
            "async": "false",
            "importStrategy": strategy,
            "atomicMode": atomic,
            "reportMode": "ERRORS",
        }
        answer = self._http.request("POST", "/api/tracker", json_body=body, params=params)
        if answer.status not in (200, 409):
            raise SinkDownError(
                f"DHIS2 answered {answer.status} to an import: check the address, and whether "
                "its version has this API"
            )
        try:
            report = answer.json()
            wrong = troubles(report, fields)
            failed = report["status"] == "ERROR"
        except _BROKEN:
            raise _not_dhis2("import report") from None
        if failed and not wrong:
            raise SinkDownError("DHIS2 refused an import and does not say why: see its log")
        return wrong

    def purge(self) -> None:
        """Have everything that is marked as deleted removed, also what others deleted."""
        answer = self._http.request("POST", "/api/maintenance", params=_PURGE)
        if not answer.good:
            raise SinkDownError(f"DHIS2 answered {answer.status} when asked for its maintenance")

    def _get(self, path: str, params: Mapping[str, str], what: str) -> Mapping[str, Any]:
        return _good(self._http.request("GET", path, params=params), what)


def _good(answer: Answer, what: str) -> Mapping[str, Any]:
    if answer.status == 404:
        raise SinkDownError(
            f"DHIS2 has no such {what}: check sink.options, and that the account may see it"
        )
    if not answer.good:
        raise SinkDownError(f"DHIS2 answered {answer.status} when asked for the {what}")
    said = answer.json()
    if not isinstance(said, dict):
        raise _not_dhis2(what)
    return said


def _not_dhis2(what: str) -> SinkDownError:
    return SinkDownError(
        f"the answer about the {what} is not DHIS2's: check the address, and that nothing stands "
        "between"
    )
