"""A consent record as a FHIR R4 `Consent`, for partners in health care.

Pure; plain dictionaries. The root provision denies and each recipient is a nested `permit`, so a
reader that knows nothing of the nesting shares nothing. Categories are codes of this project
(`urn:nrm:category`), for FHIR has none. A consent that does not cover history permits data from the
moment each pair was granted (`dataPeriod`), one provision per moment.

Not told here: what a resource cannot say without inventing (addresses, a patient's name). After an
erasure the resource is `inactive`, with an identifier and nothing else of the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hub.consent.parties import Named, Names
from hub.consent.records import ConsentRecord

TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
STATUS: Final[Mapping[str, str]] = {
    "requested": "proposed",
    "given": "active",
    "refused": "rejected",
    "withdrawn": "inactive",
    "expired": "inactive",
}
# Purposes of FHIR's v3-ActReason that mean the same; others are told by our own code alone.
REASONS: Final[Mapping[str, str]] = {
    "health": "TREAT",
    "research": "HRESCH",
}


def resource(consent: ConsentRecord, names: Names, *, hub: str) -> dict[str, Any]:
    """The resource as a JSON document."""
    system = f"urn:nrm:{hub}"
    found: dict[str, Any] = {
        "resourceType": "Consent",
        "identifier": [
            {"system": f"{system}:consent", "value": f"{consent.case_ref}/{consent.consent_id}"}
        ],
        "status": "inactive" if consent.erased else STATUS[consent.state],
        "scope": _concept(f"{TERMINOLOGY}/consentscope", "patient-privacy", "Privacy Consent"),
        "category": [_concept("http://loinc.org", "59284-0", "Patient Consent")],
        "policyRule": _concept(f"{TERMINOLOGY}/v3-ActCode", "OPTIN", "opt-in"),
    }
    if consent.erased:
        return found
    last = consent.statements[-1]
    spoke = consent.given or last
    found["patient"] = {
        "type": "Patient",
        "identifier": {"system": f"{system}:case", "value": consent.case_ref},
    }
    found["dateTime"] = last.occurred_at.isoformat()
    found["organization"] = [_organization(names(spoke.agency), system)]
    found["performer"] = [_performer(consent, system)]
    if consent.given is not None:
        found["verification"] = [
            {"verified": True, "verificationDate": consent.given.occurred_at.isoformat()}
        ]
    permits = _permits(consent, names, system)
    found["provision"] = {"type": "deny", **({"provision": permits} if permits else {})}
    return found


def _performer(consent: ConsentRecord, system: str) -> dict[str, Any]:
    by = consent.describing.get("given_by", "self")
    if by == "self":
        return {"identifier": {"system": f"{system}:case", "value": consent.case_ref}}
    return {"display": str(by)}


def _permits(consent: ConsentRecord, names: Names, system: str) -> list[dict[str, Any]]:
    if consent.state != "given":
        return []
    when = {one.position: one.recorded_at for one in consent.statements}
    purposes = [_purpose(code) for code in consent.describing.get("purposes", ())]
    found = []
    for agency, pairs in sorted(consent.scope.items()):
        moments = [None] if consent.covers_history else sorted(set(pairs.values()))
        for moment in moments:
            codes = sorted(code for code, at in pairs.items() if moment in (None, at))
            permit: dict[str, Any] = {
                "type": "permit",
                "actor": [
                    {
                        "role": _concept(
                            f"{TERMINOLOGY}/v3-ParticipationType", "IRCP", "information recipient"
                        ),
                        "reference": _organization(names(agency), system),
                    }
                ],
                "code": [_concept("urn:nrm:category", code, code) for code in codes],
            }
            if consent.valid_until is not None and _given_on(consent):
                permit["period"] = {
                    "start": _given_on(consent),
                    "end": consent.valid_until.isoformat(),
                }
            if purposes:
                permit["purpose"] = purposes
            if moment is not None:
                permit["dataPeriod"] = {"start": when[moment].isoformat()}
            found.append(permit)
    return found


def _given_on(consent: ConsentRecord) -> str | None:
    """The day it was given, as FHIR writes days."""
    return consent.given.occurred_at.date().isoformat() if consent.given else None


def _purpose(code: str) -> dict[str, str]:
    known = REASONS.get(code)
    if known is not None:
        return {"system": f"{TERMINOLOGY}/v3-ActReason", "code": known, "display": code}
    return {"system": "urn:nrm:purpose", "code": code}


def _organization(one: Named, system: str) -> dict[str, Any]:
    return {
        "type": "Organization",
        "identifier": {"system": f"{system}:agency", "value": one.agency},
        "display": one.name,
    }


def _concept(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}]}
