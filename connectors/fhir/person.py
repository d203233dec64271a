"""The person and the case, as all events held tell them together: Patient, EpisodeOfCare. Pure.

A later statement replaces what it states again. A way of contact stands as Patient.telecom or
.address only where the person said it is safe: elsewhere a phone number that must not be called is
kept with its event, and does not stand where somebody may use it. A date of birth is as long as it
is known (`2001`, `2001-02`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from connectors.fhir.events import meta, moment
from connectors.fhir.names import OURS, Names, Resource, code_system, concept
from connectors.remote.copies import Kept

PERSON: Final = frozenset({"IdentityRecorded", "ContactPreferenceRecorded"})
CASE: Final = frozenset({"CaseOpened", "CaseClosed", "CaseReopened"})
_CORE: Final = "http://hl7.org/fhir/StructureDefinition"
_GENDER: Final = {"F": "female", "M": "male", "X": "other", "U": "unknown"}
_DIGITS: Final = {"day": 10, "month": 7, "year": 4, "estimated": 4}


def patient(case_ref: str, subject_ref: str, case: Sequence[Kept], names: Names) -> Resource:
    """The person of one case; with nothing said about them, an identifier only."""
    about = [one for one in case if one.event_type in PERSON]
    told = _latest(about)
    found: Resource = {
        "resourceType": "Patient",
        "id": names.id("Patient", case_ref),
        "meta": meta(names, about or case[:1]) | ({} if about else {"security": _plain()}),
        "identifier": _identifiers(case_ref, subject_ref, told, names),
    }
    for element, value in (
        ("name", _names(told)),
        ("telecom", _telecom(told)),
        ("address", _address(told)),
        ("contact", _contact(told)),
        ("communication", _communication(told)),
        ("extension", _extensions(told)),
    ):
        if value:
            found[element] = _numbered(element, value)
    gender = _GENDER.get(str(told.get("gender", "")).upper()[:1])
    if gender:
        found["gender"] = gender
    if told.get("date_of_birth"):
        found["birthDate"] = _born(told)
    return found


def episode(case_ref: str, case: Sequence[Kept], names: Names) -> Resource | None:
    """The case; None where nothing is held that tells of it."""
    about = [one for one in case if one.event_type in CASE]
    if not about:
        return None
    last = about[-1]
    period = {"start": moment(about[0].occurred_at or about[0].received_at)}
    if last.event_type == "CaseClosed":
        period["end"] = moment(last.occurred_at or last.received_at)
    return {
        "resourceType": "EpisodeOfCare",
        "id": names.id("EpisodeOfCare", case_ref),
        "meta": meta(names, about),
        "identifier": [names.identifier("case", case_ref)],
        "status": "finished" if last.event_type == "CaseClosed" else "active",
        "patient": names.patient(case_ref),
        "period": period,
    }


def _plain() -> list[dict[str, str]]:
    return [{"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R"}]


def _latest(events: Sequence[Kept]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in events:
        found.update({name: value for name, value in one.values.items() if value is not None})
    return found


def _texts(value: Any) -> list[str]:
    found = value if isinstance(value, list) else [value]
    return [one.strip() for one in found if isinstance(one, str) and one.strip()]


def _numbered(element: str, entries: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each entry of a list marked as the hub's, so that the partner's own beside it are known."""
    return [{"id": f"{OURS}{element}-{number}", **one} for number, one in enumerate(entries)]


def _identifiers(
    case_ref: str, subject_ref: str, told: Mapping[str, Any], names: Names
) -> list[dict[str, Any]]:
    found = [names.identifier("case", case_ref), names.identifier("subject", subject_ref, 1)]
    for system, field in (("official", "official_refs"), ("document", "document_refs")):
        for value in _texts(told.get(field)):
            found.append(names.identifier(system, value, len(found)))
    return [one for one in found if one["value"]]


def _names(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    given, family = _texts(told.get("given_name")), _texts(told.get("family_name"))
    found: list[dict[str, Any]] = []
    if given or family:
        name: dict[str, Any] = {"use": "usual"}
        if family:
            name["family"] = family[0]
        if given:
            name["given"] = given
        found.append(name)
    found += [{"use": "nickname", "text": one} for one in _texts(told.get("aliases"))]
    return found


def _born(told: Mapping[str, Any]) -> str:
    return str(told["date_of_birth"])[: _DIGITS.get(told.get("dob_precision", "day"), 10)]


def _telecom(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    found = []
    for system, field, safe in (
        ("phone", "phone", "safe_to_call"),
        ("email", "email", "safe_to_email"),
    ):
        if told.get(safe) is True:
            found += [{"system": system, "value": one} for one in _texts(told.get(field))]
    return found


def _address(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    if told.get("safe_to_post") is not True:
        return []
    return [{"type": "postal", "text": one} for one in _texts(told.get("post_address"))]


def _contact(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: dict[str, Any] = {}
    for text in _texts(told.get("alternative_contact")):
        found["name"] = {"text": text}
    for text in _texts(told.get("alternative_relation")):
        found["relationship"] = [{"text": text}]
    return [found] if found else []


def _communication(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"language": concept("urn:ietf:bcp:47", one)} for one in _texts(told.get("language"))]


def _extensions(told: Mapping[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "url": f"{_CORE}/patient-citizenship",
            "extension": [
                {"url": "code", "valueCodeableConcept": concept(code_system("iso3166"), one)}
            ],
        }
        for one in _texts(told.get("citizenships"))
    ]
    for text in _texts(told.get("birth_place")):
        found.append({"url": f"{_CORE}/patient-birthPlace", "valueAddress": {"text": text}})
    if told.get("interpreter_needed") is not None:
        needed = bool(told["interpreter_needed"])
        found.append({"url": f"{_CORE}/patient-interpreterRequired", "valueBoolean": needed})
    return found
