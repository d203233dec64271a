"""Shapes: which resource an event becomes, and which of its fields have an element there.

Every event is one resource, which holds all its fields as extensions (`connectors/fhir/stated.py`).
What FHIR has an element for stands there too, for readers who know nothing of the hub.
Persons and cases are told by several events: theirs are `Basic`, and what they say together is a
Patient and an EpisodeOfCare (`connectors/fhir/person.py`). A type that is not listed is a `Basic`.

`docs/connect-fhir.md` has the table field by field; it is generated from this one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from connectors.fhir.names import Resource, code_system, concept
from connectors.fhir.stated import CODE, blank, field_of

TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
Told = Callable[[Any], dict[str, Any]]
"""A value of the field as a CodeableConcept."""
Native = Callable[[Resource, Any, Told], None]
"""Writes an element: (resource, value, how the field's values are told as concepts)."""


@dataclass(frozen=True, slots=True)
class Shape:
    """resource: the type. fixed: elements that R4 requires or that never vary. native: by field."""

    resource: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    native: Mapping[str, Native] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a resource type keeps whom it is about, what it is, when and by whom it was said.

    many: authors are a list. device: the hub itself may be the author. rest: where fields without
    an element of their own go, if there is a place.
    """

    subject: str
    code: str = ""
    when: str = ""
    author: str = ""
    many: bool = False
    device: bool = False
    rest: str = ""


LAYOUTS: Final[Mapping[str, Layout]] = {
    "Basic": Layout("subject", "code", "created", "author"),
    "CarePlan": Layout("subject", "category", "created", "author", device=True),
    "Communication": Layout("subject", "category", "sent", "sender", device=True),
    "Condition": Layout("subject", "code", "recordedDate"),
    "Consent": Layout("patient", "", "dateTime", "organization", many=True),
    "Encounter": Layout("subject", "type", "period.start", "serviceProvider"),
    "Flag": Layout("subject", "code", "period.start", "author", device=True),
    "Observation": Layout(
        "subject", "code", "effectiveDateTime", "performer", many=True, rest="component"
    ),
    "QuestionnaireResponse": Layout("subject", "", "authored", "author", device=True, rest="item"),
    "RelatedPerson": Layout("patient"),
    "RiskAssessment": Layout("subject", "code", "occurrenceDateTime"),
    "ServiceRequest": Layout("subject", "code", "authoredOn", "requester", device=True),
    "Task": Layout("for", "code", "authoredOn", "requester", device=True, rest="input"),
}
LISTS: Final = frozenset({("CarePlan", "category"), ("Communication", "category"),
                          ("Encounter", "type")})  # fmt: skip
"""Elements of `code` that are lists."""


# -- elements ----------------------------------------------------------------------------------


def said(event_type: str, name: str, value: Any) -> dict[str, Any]:
    """A value as a CodeableConcept: a code of its list, or of the field's own."""
    about = field_of(event_type, name)
    if not isinstance(value, str):
        return {"text": str(value).lower() if isinstance(value, bool) else str(value)}
    if not CODE.fullmatch(value):
        return {"text": value}
    if about is not None and about.codelist and not about.ref:
        return concept(code_system(about.codelist), value)
    if about is not None and "enum" in str(about.avro):
        return concept(f"urn:nrm:code:{event_type}.{name}", value)
    return {"text": value}


def _concept(path: str) -> Native:
    def write(resource: Resource, value: Any, told: Told) -> None:
        resource[path] = told(value)

    return write


def _concepts(path: str) -> Native:
    def write(resource: Resource, value: Any, told: Told) -> None:
        values = value if isinstance(value, list) else [value]
        resource.setdefault(path, []).extend(told(one) for one in values if not blank(one))

    return write


def _plain(path: str, codes: Mapping[Any, Any] | None = None) -> Native:
    """path: `element` or `element.part`. codes: a value that is none of them is not written."""

    def write(resource: Resource, value: Any, _told: Told) -> None:
        if codes is not None:
            value = codes.get(value)
        if value is None or value == "":
            return
        element, _, part = path.partition(".")
        if part:
            resource.setdefault(element, {})[part] = value
        else:
            resource[element] = value

    return write


def _inside(path: str, part: str, *more: tuple[str, Any]) -> Native:
    """An entry of a list with the text in one part of it."""

    def write(resource: Resource, value: Any, _told: Told) -> None:
        values = value if isinstance(value, list) else [value]
        for one in values:
            if isinstance(one, str) and one.strip():
                resource.setdefault(path, []).append({part: one, **dict(more)})

    return write


def _agencies(path: str, *, many: bool = False) -> Native:
    def write(resource: Resource, value: Any, _told: Told) -> None:
        found = {"type": "Organization", "display": value}
        resource[path] = [found] if many else found

    return write


def _scope(resource: Resource, value: Any, _told: Told) -> None:
    """Who may be told which categories: nested permits under a root that denies."""
    permits = [
        {
            "type": "permit",
            "actor": [
                {
                    "role": concept(f"{TERMINOLOGY}/v3-ParticipationType", "IRCP"),
                    "reference": {"type": "Organization", "display": agency},
                }
            ],
            "code": [concept("urn:nrm:category", one) for one in sorted(categories)],
        }
        for agency, categories in sorted(value.items())
        if categories
    ]
    provision = resource.setdefault("provision", {"type": "deny"})
    if permits:
        provision["provision"] = permits


def _until(resource: Resource, value: Any, _told: Told) -> None:
    resource.setdefault("provision", {"type": "deny"})["period"] = {"end": value}


def _purposes(resource: Resource, value: Any, told: Told) -> None:
    codings = [one["coding"][0] for one in map(told, value) if "coding" in one]
    if codings:
        resource.setdefault("provision", {"type": "deny"})["purpose"] = codings


def _verified(resource: Resource, value: Any, _told: Told) -> None:
    resource["verification"] = [{"verified": True, "verifiedWith": {"display": str(value)}}]


def _predicted(resource: Resource, value: Any, told: Told) -> None:
    resource["prediction"] = [{"qualitativeRisk": told(value)}]


def _due(resource: Resource, value: Any, _told: Told) -> None:
    resource["restriction"] = {"period": {"end": value}}


# -- shapes ------------------------------------------------------------------------------------

_FINAL: Final = {"status": "final"}
_FACT: Final = Shape("Observation", _FINAL, {"outcome": _concept("valueCodeableConcept")})
_FORM: Final = Shape("QuestionnaireResponse", {"status": "completed"})
_CONSENT: Final = {
    "scope": concept(f"{TERMINOLOGY}/consentscope", "patient-privacy", "Privacy Consent"),
    "category": [concept("http://loinc.org", "59284-0")],
    "policyRule": concept(f"{TERMINOLOGY}/v3-ActCode", "OPTIN"),
}
_PERMITS: Final[Mapping[str, Native]] = {"scope": _scope, "valid_until": _until}


def _consent(status: str, native: Mapping[str, Native] | None = None) -> Shape:
    return Shape("Consent", {"status": status, **_CONSENT}, native or {})


def _task(status: str, native: Mapping[str, Native] | None = None) -> Shape:
    return Shape("Task", {"status": status, "intent": "order"}, native or {})


def _encounter(native: Mapping[str, Native]) -> Shape:
    ambulatory = {"system": f"{TERMINOLOGY}/v3-ActCode", "code": "FLD", "display": "field"}
    return Shape("Encounter", {"status": "in-progress", "class": ambulatory}, native)


def _flag(category: str, native: Mapping[str, Native]) -> Shape:
    fixed = {
        "status": "active",
        "category": [concept(f"{TERMINOLOGY}/flag-category", category)],
    }
    return Shape("Flag", fixed, native)


_URGENCY: Final = {
    "1_hour": "stat",
    "3_hours": "asap",
    "1_day": "urgent",
    "3_days": "urgent",
    "routine": "routine",
}
_DECISIONS: Final = (
    "AccommodationEnded", "AgeAssessed", "AgeDisputed", "AsylumClaimRecorded",
    "BestInterestsDetermined", "CompensationClaimed", "CompensationDecided",
    "ConclusiveGroundsDecided", "DisqualificationDecided", "NonPunishmentDecided",
    "NonPunishmentRaised", "ProceedingLinked", "ReasonableGroundsDecided",
    "ReconsiderationDecided", "RecoveryPeriodChanged", "RemovalHoldLifted",
    "ResidencePermitDecided", "ReturnCompleted", "ServiceEpisodeEnded",
)  # fmt: skip

SHAPES: Final[Mapping[str, Shape]] = {
    **dict.fromkeys(_DECISIONS, _FACT),
    "IndicatorsScreened": _FORM,
    "NeedsAssessed": _FORM,
    "DutyNotificationSubmitted": _FORM,
    "PresumptionRecorded": Shape(
        "Condition",
        {
            "clinicalStatus": concept(f"{TERMINOLOGY}/condition-clinical", "active"),
            "verificationStatus": concept(f"{TERMINOLOGY}/condition-ver-status", "provisional"),
            "category": [concept(f"{TERMINOLOGY}/condition-category", "problem-list-item")],
        },
        {"level": _concept("severity"), "immediate_needs": _inside("note", "text")},
    ),
    "RiskAssessed": _flag("safety", {"reviewed_by": _plain("period.end")}),
    "RemovalHoldPlaced": _flag("admin", {"until": _plain("period.end")}),
    "WitnessProtectionApplied": _flag("safety", {"valid_until": _plain("period.end")}),
    "ReturnRiskAssessed": Shape(
        "RiskAssessment",
        _FINAL,
        {"level": _predicted},
    ),
    "RecoveryPeriodStarted": Shape(
        "Observation",
        _FINAL,
        {"start": _plain("effectivePeriod.start"), "ends_on": _plain("effectivePeriod.end")},
    ),
    "ReferralMade": Shape(
        "ServiceRequest",
        {"status": "active", "intent": "order"},
        {
            "to_agency": _agencies("performer", many=True),
            "services": _concepts("orderDetail"),
            "urgency": _plain("priority", _URGENCY),
            "respond_by": _plain("occurrencePeriod.end"),
            "summary": _inside("note", "text"),
        },
    ),
    "TransferOffered": Shape(
        "ServiceRequest",
        {"status": "active", "intent": "proposal"},
        {
            "to_agency": _agencies("performer", many=True),
            "country": _concepts("locationCode"),
            "summary": _inside("note", "text"),
        },
    ),
    "ReferralAccepted": _task("accepted", {"start_on": _plain("executionPeriod.start")}),
    "ReferralDeclined": _task("rejected", {"reason": _concept("statusReason")}),
    "ReferralEnded": _task("completed", {"outcome": _concept("statusReason")}),
    "TransferAnswered": _task("completed", {"outcome": _concept("statusReason")}),
    "SubjectRequestReceived": _task("requested", {"due_on": _due}),
    "SubjectRequestDecided": _task("completed", {"outcome": _concept("statusReason")}),
    "ReconsiderationRequested": _task("requested", {"grounds": _inside("note", "text")}),
    "ServiceEpisodeStarted": _encounter({"service": _concept("serviceType")}),
    "AccommodationPlaced": _encounter({"type": _concepts("reasonCode")}),
    "SupportPlanAgreed": Shape(
        "CarePlan",
        {"status": "active", "intent": "plan"},
        {
            "goals": _inside("note", "text"),
            "details": _plain("description"),
            "review_on": _plain("period.end"),
        },
    ),
    "ReturnAgreed": Shape(
        "CarePlan",
        {"status": "active", "intent": "plan"},
        {"planned_on": _plain("period.start"), "destination": _inside("note", "text")},
    ),
    "GuardianAppointed": Shape(
        "RelatedPerson",
        {"active": True, "relationship": [concept(f"{TERMINOLOGY}/v3-RoleCode", "GUARD")]},
        {"from": _plain("period.start"), "guardian_agency": _inside("name", "text")},
    ),
    "FeedbackRecorded": Shape(
        "Communication",
        {"status": "completed"},
        {
            "kind": _concepts("reasonCode"),
            "text": _inside("payload", "contentString"),
            "about_agency": _concept("topic"),
        },
    ),
    "ComplaintResolved": Shape(
        "Communication",
        {"status": "completed"},
        {"outcome": _concepts("reasonCode"), "learning": _inside("payload", "contentString")},
    ),
    "ConsentRequested": _consent("proposed"),
    "ConsentGiven": _consent("active", {**_PERMITS, "given_by": _verified, "purposes": _purposes}),
    "ConsentAmended": _consent("active", _PERMITS),
    "ConsentRefused": _consent("rejected"),
    "ConsentWithdrawn": _consent("inactive"),
    "ConsentExpired": _consent("inactive"),
}
BASIC: Final = Shape("Basic")


def shape_of(event_type: str) -> Shape:
    return SHAPES.get(event_type, BASIC)
