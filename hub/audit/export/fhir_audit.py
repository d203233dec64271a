"""Decisions and deliveries as FHIR R4 AuditEvents, after IHE Basic Audit Log Patterns (BALP).

Pure; plain dictionaries. Written from the profiles of ITI.BasicAudit 1.1.5 (commit 09fe729):

    permit, deny   IHE.BasicAudit.AuthZconsent, where the person's consent decided. Where the law or
                   the role did, there is no consent to refer to and no profile for it: the same
                   shape with BALP's subtype AuthZ-Role and the consent left out, claiming none.
    disclosure     IHE.BasicAudit.PrivacyDisclosure.Source, for each delivery of content.

References are identifiers only: hub, agencies, and the hub's pseudonyms of person, case, event and
consent. Categories and bases stand as details of an entity, for the profile takes no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from uuid import UUID, uuid5

from hub.audit.export.decided import Decision

PROFILES: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
AUTHZ_CONSENT: Final = f"{PROFILES}AuthZconsent"
DISCLOSURE_SOURCE: Final = f"{PROFILES}PrivacyDisclosure.Source"
AUTHZ_SUBTYPE: Final = "https://profiles.ihe.net/ITI/BALP/CodeSystem/AuthZsubType"
DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
SCT: Final = "http://snomed.info/sct"
TERMINOLOGY: Final = "http://terminology.hl7.org/CodeSystem"
RESOURCES: Final = "http://hl7.org/fhir/resource-types"
URI: Final = "5"  # of AuditEvent.agent.network.type
SUCCESS, FAILURE = "0", "8"
ON_CONSENT: Final = frozenset({"consent", "no_consent", "expired", "withdrawn"})
_EVENTS: Final = UUID("5b0b6f7e-4a77-5a0e-8f0d-0a6a5be0c3a1")  # namespace of AuditEvent ids


class AuditEvents:
    """Writes the AuditEvents of one hub."""

    def __init__(self, hub: str) -> None:
        self._hub = hub
        self._system = f"urn:nrm:{hub}"

    def of(self, decisions: Iterable[Decision]) -> Iterator[dict[str, Any]]:
        """The AuditEvents of one row's decisions: for each recipient and event, one a permit, one a
        deny, as far as there are any, and one a disclosure."""
        groups: dict[tuple[str, str, str, bool, bool], list[Decision]] = {}
        for one in decisions:
            if one.outcome in ("released", "withheld"):
                permit, on_consent = one.outcome == "released", one.code in ON_CONSENT
                key = (one.agency, one.about.event, one.kind, permit, on_consent)
                groups.setdefault(key, []).append(one)
        for (_, _, _, permit, on_consent), group in groups.items():
            yield self._authorization(group, permit, on_consent)
        sent: dict[tuple[str, int], list[Decision]] = {}
        for group in groups.values():
            for one in group:
                if one.fate.sequence is not None:
                    sent.setdefault((one.agency, one.fate.sequence), []).append(one)
        for group in sent.values():
            yield self._disclosure(group)

    def _authorization(
        self, group: list[Decision], permit: bool, on_consent: bool
    ) -> dict[str, Any]:
        first = group[0]
        entities = [self._patient(first)]
        if on_consent:
            entities += self._consents(group)
        else:
            entities.append(self._event(group))
        found = self._resource(
            f"{first.at}/{first.agency}/{first.about.event}/{first.kind}/{permit}/{on_consent}",
            AUTHZ_CONSENT if on_consent else None,
            _coding(DCM, "110113", "Security Alert"),
            first,
        )
        found["subtype"] = [_coding(AUTHZ_SUBTYPE, "AuthZ-Consent" if on_consent else "AuthZ-Role")]
        found["action"] = "E"
        found["outcome"] = SUCCESS if permit else FAILURE
        if not permit:
            reasons = sorted({reason for one in group for reason in one.reasons[:1]})
            found["outcomeDesc"] = f"withheld: {', '.join(reasons)}"
        organization = self._agency(first.agency)
        found["agent"] = [
            {
                "type": _concept(f"{TERMINOLOGY}/extra-security-role-type", "authserver"),
                "who": self._device(),
                "requestor": False,
            },
            {
                "type": _concept(DCM, "110150", "Application"),
                "who": self._connector(first.agency),
                "requestor": False,
                "network": self._network(first.agency),
            },
            {
                "type": _concept(f"{TERMINOLOGY}/v3-ParticipationType", "IRCP"),
                "who": organization,
                "requestor": True,
                "role": [_concept("urn:nrm:role", first.role)],
            },
            {
                "type": _concept(f"{TERMINOLOGY}/v3-RoleClass", "PROV"),
                "who": organization,
                "requestor": False,
            },
        ]
        found["entity"] = entities
        return found

    def _disclosure(self, group: list[Decision]) -> dict[str, Any]:
        first = group[0]
        found = self._resource(
            f"sent/{first.agency}/{first.fate.sequence}/{first.at}",
            DISCLOSURE_SOURCE,
            _coding(DCM, "110106", "Export"),
            first,
        )
        found["subtype"] = [
            _coding(f"{TERMINOLOGY}/iso-21089-lifecycle", "disclose", "Disclose Record Lifecycle")
        ]
        found["action"] = "R"
        found["outcome"] = SUCCESS
        found["agent"] = [
            {
                "type": _concept(DCM, "110153", "Source Role ID"),
                "who": self._device(),
                "requestor": False,
                "network": {"address": self._system, "type": URI},
            },
            {
                "type": _concept(DCM, "110152", "Destination Role ID"),
                "who": self._agency(first.agency),
                "requestor": False,
                "network": self._network(first.agency),
            },
            {
                "type": _concept(SCT, "159541003", "Record keeping/library clerk"),
                "who": self._agency(first.about.emitter),
                "requestor": False,
            },
        ]
        consents = [one for one in group if one.consent is not None]
        if consents:  # the person agreed: it is they who authorized it
            found["agent"].append(
                {
                    "type": _concept(SCT, "429577009", "Patient Advocate"),
                    "who": self._person(first),
                    "requestor": False,
                }
            )
        found["entity"] = [self._patient(first), self._event(group)]
        if consents:
            found["entity"] += self._consents(consents)
        return found

    def _resource(
        self, name: str, profile: str | None, kind: Mapping[str, str], about: Decision
    ) -> dict[str, Any]:
        return {
            "resourceType": "AuditEvent",
            "id": str(uuid5(_EVENTS, f"{self._hub}/{name}")),
            **({"meta": {"profile": [profile]}} if profile else {}),
            "type": kind,
            "recorded": about.recorded.isoformat(),
            "source": {
                "observer": self._device(),
                "type": [_coding(f"{TERMINOLOGY}/security-source-type", "4")],
            },
        }

    # -- whom and what -------------------------------------------------------------------------

    def _device(self) -> dict[str, Any]:
        return {"type": "Device", "identifier": {"system": "urn:nrm:hub", "value": self._hub}}

    def _agency(self, agency: str) -> dict[str, Any]:
        return _reference("Organization", f"{self._system}:agency", agency)

    def _connector(self, agency: str) -> dict[str, Any]:
        return _reference("Device", f"{self._system}:connector", agency)

    def _network(self, agency: str) -> dict[str, str]:
        return {"address": f"{self._system}:deliveries:{agency}", "type": URI}

    def _person(self, about: Decision) -> dict[str, Any]:
        return _reference("Patient", f"{self._system}:subject", about.about.subject.hex)

    def _patient(self, about: Decision) -> dict[str, Any]:
        return {
            "what": self._person(about),
            "type": _coding(f"{TERMINOLOGY}/audit-entity-type", "1", "Person"),
            "role": _coding(f"{TERMINOLOGY}/object-role", "1", "Patient"),
        }

    def _event(self, group: list[Decision]) -> dict[str, Any]:
        about = group[0].about
        return {
            "what": {"identifier": {"system": f"{self._system}:event", "value": about.event}},
            "type": _coding(f"{TERMINOLOGY}/audit-entity-type", "2", "System Object"),
            "role": _coding(f"{TERMINOLOGY}/object-role", "3", "Report"),
            "detail": [_detail("event_type", about.type), *_details(group)],
        }

    def _consents(self, group: list[Decision]) -> list[dict[str, Any]]:
        """One entity for each consent; where none is on file, one that says so."""
        by_consent: dict[str | None, list[Decision]] = {}
        for one in group:
            by_consent.setdefault(one.consent, []).append(one)
        found = []
        for consent, some in by_consent.items():
            about = some[0].about
            what: dict[str, Any] = {"type": "Consent", "display": "no consent covers it"}
            if consent is not None:
                value = f"{about.case.hex}/{consent}"
                what = _reference("Consent", f"{self._system}:consent", value)
            found.append(
                {
                    "what": what,
                    "type": _coding(RESOURCES, "Consent"),
                    "detail": [_detail("event", about.event), *_details(some)],
                }
            )
        return found


def bundled(events: Iterable[Mapping[str, Any]], dump: Any) -> Iterator[bytes]:
    """The text of one Bundle of them, piece by piece. dump: a resource as JSON bytes."""
    yield b'{"resourceType":"Bundle","type":"collection","entry":['
    for number, event in enumerate(events):
        entry = {"fullUrl": f"urn:uuid:{event['id']}", "resource": event}
        yield (b",\n" if number else b"\n") + dump(entry)
    yield b"\n]}\n"


def _details(group: list[Decision]) -> list[dict[str, str]]:
    return [
        _detail("category", f"{one.category}: {one.basis or ', '.join(one.reasons)}")
        for one in group
    ] + [_detail("decision", str(group[0].at)), _detail("policy", group[0].policy)]


def _detail(name: str, value: str) -> dict[str, str]:
    return {"type": name, "valueString": value}


def _reference(kind: str, system: str, value: str) -> dict[str, Any]:
    return {"type": kind, "identifier": {"system": system, "value": value}}


def _coding(system: str, code: str, display: str = "") -> dict[str, str]:
    return {"system": system, "code": code, **({"display": display} if display else {})}


def _concept(system: str, code: str, display: str = "") -> dict[str, Any]:
    return {"coding": [_coding(system, code, display)]}
