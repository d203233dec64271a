"""What BALP asks of an AuditEvent, as tables read off its profiles, and a check against them.

Source: IHE/ITI.BasicAudit, version 1.1.5-current, commit 09fe729351676ffe440f7b522d902eac2ea2b95e
(2025-11-03), files input/fsh/AuthZ.fsh and input/fsh/Disclose.fsh; FHIR R4 4.0.1. Written by hand,
apart from the code under test; it shares no constant with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

DCM = "http://dicom.nema.org/resources/ontology/DCM"
SCT = "http://snomed.info/sct"
T = "http://terminology.hl7.org/CodeSystem/"
BALP = "https://profiles.ihe.net/ITI/BALP/"
URL = f"{BALP}StructureDefinition/IHE.BasicAudit."

# FHIR R4: elements of AuditEvent that must be there, and required bindings.
R4_REQUIRED = ("type", "recorded", "agent", "source")
R4_CODES = {"action": set("CRUDE"), "outcome": {"0", "4", "8", "12"}}
NETWORK_TYPES = {"1", "2", "3", "4", "5"}


@dataclass(frozen=True)
class Slice:
    """One slice of agent or entity, found by its type. most: None for any number."""

    system: str
    code: str
    least: int
    most: int | None
    needs: tuple[str, ...] = ("type", "who")
    without: tuple[str, ...] = ()
    is_: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Profile:
    """One profile: fixed codes, slices, and whether other entities are allowed."""

    type: tuple[str, str]
    action: str
    subtype: tuple[str, frozenset[str]]
    agents: Sequence[Slice]
    observer: str  # code of the agent that must be source.observer (val-audit-source)
    entities: Sequence[Slice]
    closed: bool


PATIENT = Slice(f"{T}audit-entity-type", "1", 1, 1, ("type", "role", "what"))
PROFILES = {
    f"{URL}AuthZconsent": Profile(
        type=(DCM, "110113"),
        action="E",
        subtype=(f"{BALP}CodeSystem/AuthZsubType", frozenset({"AuthZ-Consent", "AuthZ-Role"})),
        agents=(
            Slice(DCM, "110150", 1, 1, ("type", "who", "network"),
                  ("role", "altId", "name", "location", "media", "purposeOfUse")),
            Slice(f"{T}v3-ParticipationType", "IRCP", 1, 1, ("type", "who"),
                  ("altId", "location", "media", "network"), {"requestor": True}),
            Slice(f"{T}v3-RoleClass", "PROV", 1, 1, ("type", "who"),
                  ("role", "altId", "name", "location", "policy", "media", "network"),
                  {"requestor": False}),
            Slice(f"{T}extra-security-role-type", "authserver", 1, 1, ("type", "who"),
                  ("role", "altId", "name", "location", "policy", "media", "network",
                   "purposeOfUse"), {"requestor": False}),
        ),
        observer="authserver",
        entities=(
            PATIENT,
            Slice("http://hl7.org/fhir/resource-types", "Consent", 1, None, ("type", "what")),
            Slice(f"{BALP}CodeSystem/UserAgentTypes", "UserOauthAgent", 0, 1, ("type", "what")),
        ),
        closed=True,
    ),
    f"{URL}PrivacyDisclosure.Source": Profile(
        type=(DCM, "110106"),
        action="R",
        subtype=(f"{T}iso-21089-lifecycle", frozenset({"disclose"})),
        agents=(
            Slice(DCM, "110153", 1, 1, ("type", "who", "network")),
            Slice(DCM, "110152", 1, 1, ("type", "who", "network")),
            Slice(SCT, "159541003", 0, 1),
            Slice(SCT, "429577009", 0, 1),
        ),
        observer="110153",
        entities=(PATIENT,),
        closed=False,
    ),
}  # fmt: skip


def faults(event: Mapping[str, Any]) -> Iterator[str]:
    """Everything in which an AuditEvent is not as R4 and the profile it claims ask."""
    yield from (f"{name} is missing" for name in R4_REQUIRED if not event.get(name))
    for name, codes in R4_CODES.items():
        if event.get(name) not in codes:
            yield f"{name} is {event.get(name)}"
    for agent in event.get("agent", ()):
        if not isinstance(agent.get("requestor"), bool):
            yield "agent.requestor is missing"
        network = agent.get("network")
        if network and network["type"] not in NETWORK_TYPES:
            yield "agent.network.type"
    for claimed in event.get("meta", {}).get("profile", ()):
        if claimed not in PROFILES:
            yield f"claims {claimed}"
        else:
            yield from _against(event, PROFILES[claimed])


def _against(event: Mapping[str, Any], profile: Profile) -> Iterator[str]:
    if "modifierExtension" in event:
        yield "modifierExtension"
    if (event["type"]["system"], event["type"]["code"]) != profile.type:
        yield "type"
    if event["action"] != profile.action:
        yield "action"
    system, codes = profile.subtype
    of_system = [one for one in event.get("subtype", ()) if one["system"] == system]
    if len([one for one in of_system if one["code"] in codes]) != 1:
        yield "subtype"
    agents = [(_concept(one.get("type")), one) for one in event["agent"]]
    yield from _slices("agent", agents, profile.agents)
    if len(agents) < 2:
        yield "agent 2..*"
    for (_, code), agent in agents:
        if code == profile.observer and agent["who"] != event["source"]["observer"]:
            yield "val-audit-source"
    entities = [((one["type"]["system"], one["type"]["code"]), one) for one in event["entity"]]
    yield from _slices("entity", entities, profile.entities)
    if len(entities) < 2:
        yield "entity 2..*"
    if profile.closed:
        known = {(one.system, one.code) for one in profile.entities}
        yield from (
            f"entity {kind} in a closed slicing" for kind, _ in entities if kind not in known
        )
    for kind, entity in entities:
        if kind == (PATIENT.system, PATIENT.code):
            role, what = entity["role"], entity["what"]
            if (role["system"], role["code"]) != (f"{T}object-role", "1"):
                yield "entity[patient].role"
            if what.get("type", "Patient") != "Patient":
                yield "entity[patient].what only Reference(Patient)"


def _slices(
    what: str, found: Sequence[tuple[tuple[str, str], Any]], slices: Sequence[Slice]
) -> Iterator[str]:
    for one in slices:
        here = [element for kind, element in found if kind == (one.system, one.code)]
        if len(here) < one.least or (one.most is not None and len(here) > one.most):
            yield f"{what} {one.code}: {len(here)} of them"
        for element in here:
            yield from (f"{what} {one.code} needs {n}" for n in one.needs if not element.get(n))
            yield from (f"{what} {one.code} with {n}" for n in one.without if n in element)
            yield from (
                f"{what} {one.code}: {name}"
                for name, value in one.is_.items()
                if element.get(name) != value
            )


def _concept(concept: Mapping[str, Any] | None) -> tuple[str, str]:
    coding = concept["coding"][0] if concept else {"system": "", "code": ""}
    return coding["system"], coding["code"]
