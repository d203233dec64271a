"""Names: the ids, identifiers and systems under which the hub's statements stand in a FHIR server.

    Patient/<UUID of hub, agency, "Patient", case_ref>      identifier urn:nrm:HUB:case | nc-…
    Observation/<UUID of …, "Observation", event_ref>       identifier urn:nrm:HUB:event | …

Ids are derived, so the same event is the same resource however often it comes, and two agencies
that share a server never meet in one resource. A Patient is one per case: what arrived for a case
goes with its recall. Two cases of one person share the identifier `subject`; whether to link the
two Patients is for the partner to decide.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID, uuid5

Resource = dict[str, Any]
"""A FHIR resource as a JSON document."""

CATEGORY: Final = "urn:nrm:category"
EVENT_TYPE: Final = "urn:nrm:event-type"
FIELD: Final = "urn:nrm:field:"
WRITTEN: Final = "urn:nrm:written"
OURS: Final = "nrm-"
"""Begins the element id of what the hub has put into a list; no two in a resource are alike."""

_IDS: Final = UUID("0d5b6a0e-6f0b-5a55-9a0f-2f1f0a4a7c44")
_KNOWN_LISTS: Final = {"iso3166": "urn:iso:std:iso:3166", "iso639": "urn:ietf:bcp:47"}


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one hub's statements to one agency."""

    hub: str
    agency: str

    def system(self, what: str) -> str:
        return f"urn:nrm:{self.hub}:{what}"

    def id(self, resource_type: str, ref: str) -> str:
        return str(uuid5(_IDS, f"{self.hub}/{self.agency}/{resource_type}/{ref}"))

    def identifier(self, what: str, ref: str, number: int = 0) -> dict[str, Any]:
        return {"id": f"{OURS}identifier-{number}", "system": self.system(what), "value": ref}

    def reference(self, resource_type: str, ref: str) -> dict[str, str]:
        return {"reference": f"{resource_type}/{self.id(resource_type, ref)}"}

    def patient(self, case_ref: str) -> dict[str, str]:
        return self.reference("Patient", case_ref)

    def organization(self, agency: str | None) -> dict[str, Any]:
        """Who stated it: an agency, or the hub itself. By identifier: no resource need be there."""
        if agency is None:
            return {
                "type": "Device",
                "identifier": {"system": "urn:nrm:hub", "value": self.hub},
                "display": self.hub,
            }
        return {
            "type": "Organization",
            "identifier": {"system": self.system("agency"), "value": agency},
            "display": agency,
        }


def code_system(codelist: str) -> str:
    """The system of a code list's codes."""
    return _KNOWN_LISTS.get(codelist, f"urn:nrm:codelist:{codelist.replace('|', '_or_')}")


def concept(system: str, code: str, display: str = "") -> dict[str, Any]:
    coding = {"system": system, "code": code, **({"display": display} if display else {})}
    return {"coding": [coding]}


def key(resource: Resource) -> str:
    """`Type/id`."""
    return f"{resource['resourceType']}/{resource['id']}"
