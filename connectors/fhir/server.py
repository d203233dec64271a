"""Server: the few interactions with a FHIR server that the sink needs, each answer checked.

    capability()   GET metadata
    read(keys)     a batch of reads: what is there now, with its version
    write(changes) one transaction: PUT by id under If-Match, DELETE; wholly or not at all
    purge(key)     POST Type/id/$expunge: earlier versions, and what was deleted

What a server says in an OperationOutcome may repeat what was sent. It is never read into a message:
errors tell status, interaction and resource type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from connectors.errors import SinkDownError
from connectors.fhir.names import Resource
from connectors.fhir.proper import proper
from connectors.remote.outbound import Answer, Outbound

FHIR_JSON: Final = "application/fhir+json"
_HEADERS: Final = {
    "accept": FHIR_JSON,
    "content-type": FHIR_JSON,
    "prefer": "return=minimal",
    # HAPI: the labels sent are all there are. Elsewhere labels once given may stay.
    "x-meta-snapshot-mode": "TAG,PROFILE,SECURITY_LABEL",
}
_REFUSED: Final = frozenset({400, 413, 422})
_CONFLICT: Final = frozenset({409, 412})
_PURGE_AT_ONCE: Final = 1000
_PURGE_ROUNDS: Final = 100


class ConflictError(Exception):
    """Another version is there than was read, or something there refers to what was deleted."""


class RefusedError(Exception):
    """The server will not take this. status: of HTTP."""

    def __init__(self, status: int) -> None:
        super().__init__(str(status))
        self.status = status


@dataclass(frozen=True, slots=True)
class Found:
    """What a read said. resource: as it is there; None if not. deleted: it was there once."""

    resource: Resource | None = field(default=None, repr=False)
    deleted: bool = False


class FhirServer:
    """One FHIR endpoint."""

    def __init__(self, outbound: Outbound) -> None:
        self._outbound = outbound

    def close(self) -> None:
        self._outbound.close()

    def capability(self) -> Resource:
        answer = self._request("GET", "metadata")
        if not answer.good:
            raise _unfit(f"answered {answer.status} to GET metadata: set url to its FHIR base")
        return _resource(answer, "CapabilityStatement")

    def read(self, keys: Sequence[str]) -> dict[str, Found]:
        """What is there under each `Type/id`."""
        if not keys:
            return {}
        asked = [{"request": {"method": "GET", "url": key}} for key in keys]
        answers = self._bundle("batch", asked)
        return {key: _found(key, one) for key, one in zip(keys, answers, strict=True)}

    def write(self, puts: Sequence[tuple[Resource, str | None]], deletes: Sequence[str]) -> None:
        """puts: resource, and the version it was made from. ConflictError, RefusedError."""
        asked: list[dict[str, Any]] = []
        for resource, version in puts:
            request = {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}
            if version is not None:
                request["ifMatch"] = f'W/"{version}"'
            asked.append({"resource": resource, "request": request})
        asked += [{"request": {"method": "DELETE", "url": key}} for key in deletes]
        for one in self._bundle("transaction", asked):
            if not str(_response(one).get("status", "")).startswith("2"):
                raise _unfit("said that a transaction was done, and that a part of it was not")

    def purge(self, key: str) -> None:
        """Earlier versions of it are gone, and if it is deleted, all of it. Waits until it is."""
        asked = {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "limit", "valueInteger": _PURGE_AT_ONCE},
                {"name": "expungeDeletedResources", "valueBoolean": True},
                {"name": "expungePreviousVersions", "valueBoolean": True},
            ],
        }
        for _ in range(_PURGE_ROUNDS):
            answer = self._request("POST", f"{key}/$expunge", asked)
            if answer.status in (404, 410):
                return
            if not answer.good:
                raise _unfit(
                    f"answered {answer.status} to $expunge, so earlier versions of what was "
                    "recalled are still there: allow it to this client"
                )
            if _count(_resource(answer, "Parameters")) < _PURGE_AT_ONCE:
                return
        raise _unfit("has purged again and again and still not all: look at its log")

    def can_purge(self) -> int:
        """The status of $expunge of something that does not exist: 404 where it is allowed."""
        asked = {"resourceType": "Parameters", "parameter": [
            {"name": "expungePreviousVersions", "valueBoolean": True}]}  # fmt: skip
        return self._request("POST", "Basic/nrm-hub-check/$expunge", asked).status

    # -- exchanges -------------------------------------------------------------------------

    def _bundle(self, kind: str, entries: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        bundle = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
        answer = self._request("POST", "", bundle)
        if answer.status in _CONFLICT and kind == "transaction":
            raise ConflictError
        if answer.status in _REFUSED and kind == "transaction":
            raise RefusedError(answer.status)
        if not answer.good:
            raise _unfit(f"answered {answer.status} to a {kind}: set url to its FHIR base")
        found = _resource(answer, "Bundle").get("entry")
        if not isinstance(found, list) or len(found) != len(entries):
            raise _unfit(f"answered a {kind} of {len(entries)} entries with another number")
        if not all(isinstance(one, dict) for one in found):
            raise _unfit(f"answered a {kind} with entries that are none")
        return found

    def _request(self, method: str, path: str, body: Any = None) -> Answer:
        return self._outbound.request(method, path, json_body=body, headers=_HEADERS)


def _resource(answer: Answer, kind: str) -> Resource:
    found = answer.json()
    if not isinstance(found, dict) or found.get("resourceType") != kind:
        raise _unfit(f"answered with something else than a {kind}: set url to its FHIR base")
    return found


def _response(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    found = entry.get("response")
    return found if isinstance(found, dict) else {}


def _found(key: str, entry: Mapping[str, Any]) -> Found:
    status = str(_response(entry).get("status", ""))[:3]
    if status in ("404", "410"):
        return Found(deleted=status == "410")
    resource = entry.get("resource")
    if status != "200" or not isinstance(resource, dict):
        kind = key.partition("/")[0]
        status = status if status.isdecimal() and status.isascii() else "nothing"
        raise _unfit(f"answered {status} to a read of a {kind}: see its log")
    if f"{resource.get('resourceType')}/{resource.get('id')}" != key or not proper(resource):
        raise _unfit("answered a read with another resource, without its version, or with none")
    return Found(resource)


def _count(parameters: Mapping[str, Any]) -> int:
    told = parameters.get("parameter")
    listed = told if isinstance(told, list) else []
    values = [one.get("valueInteger") for one in listed if isinstance(one, dict)]
    return next((value for value in values if isinstance(value, int)), 0)


def _unfit(what: str) -> SinkDownError:
    return SinkDownError(f"the FHIR server {what}")
