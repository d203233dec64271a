"""A consent record in the terms of ISO/IEC TS 27560, as JSON-LD with the W3C's DPV vocabulary.

Pure. Field and term of each entry follow the table of the W3C guide on 27560
(https://w3id.org/dpv/guides/consent-27560; docs/consent.md lists them); purposes and categories are
the project's own codes under `urn:nrm:`. What 27560 requires and this hub is not told (addresses,
e-mail of agencies) stands as `nrm:NotRecorded` with where to ask: never left out, never made up.
After an erasure the record is a tombstone: ids, positions and times, and that it was erased.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hub.consent.parties import Named, Names
from hub.consent.records import ConsentRecord, Statement
from schemas import codelists

CONFORMS_TO: Final = "ISO/IEC TS 27560:2023"
CONTEXT: Final[Mapping[str, str]] = {
    "dpv": "https://w3id.org/dpv#",
    "dct": "http://purl.org/dc/terms/",
    "nrm": "urn:nrm:",
}
STATUS: Final[Mapping[str, str]] = {
    "requested": "dpv:ConsentRequested",
    "given": "dpv:ConsentGiven",
    "refused": "dpv:ConsentRefused",
    "withdrawn": "dpv:ConsentWithdrawn",
    "expired": "dpv:ConsentExpired",
}
EVENTS: Final[Mapping[str, str]] = {
    "ConsentRequested": "dpv:ConsentRequested",
    "ConsentGiven": "dpv:ConsentGiven",
    "ConsentAmended": "dpv:ConsentGiven",
    "ConsentRefused": "dpv:ConsentRefused",
    "ConsentWithdrawn": "dpv:ConsentWithdrawn",
    "ConsentExpired": "dpv:ConsentExpired",
}
SPECIAL: Final = frozenset({"health"})  # GDPR Art 9


def record(consent: ConsentRecord, names: Names, *, hub: str) -> dict[str, Any]:
    """The record as a JSON-LD document."""
    document: dict[str, Any] = {
        "@context": dict(CONTEXT),
        "@type": "dpv:ConsentRecord",
        "@id": f"urn:nrm:{hub}:consent:{consent.case_ref}:{consent.consent_id}",
        "dct:conformsTo": CONFORMS_TO,
        "dct:identifier": consent.consent_id,
    }
    if consent.erased:
        return document | _tombstone(consent)
    said = consent.describing
    given = consent.given
    by = names((given or consent.statements[0]).agency)
    renewed = consent.state == "given" and consent.renewed
    status = "dpv:RenewedConsentGiven" if renewed else STATUS[consent.state]
    return document | {
        "nrm:receiptId": receipt_id(consent),
        "dpv:hasDataSubject": {
            "@type": "dpv:DataSubject",
            "dct:identifier": f"urn:nrm:{hub}:case:{consent.case_ref}",
        },
        "dpv:hasConsentStatus": {"@id": status},
        "dpv:hasLegalBasis": {"@id": "dpv:ExplicitlyExpressedConsent"},
        "dpv:hasNotice": {
            "@type": "dpv:ConsentNotice",
            "dct:identifier": _or(said.get("notice_version"), "notice"),
        },
        "dct:language": _or(said.get("language"), "language"),
        "nrm:interpreterUsed": _or(said.get("interpreter_used"), "interpreter"),
        "nrm:method": _or(said.get("method"), "method"),
        "nrm:givenBy": _or(said.get("given_by"), "given_by"),
        "dpv:hasPurpose": [_purpose(code) for code in said.get("purposes", ())],
        "dpv:hasPersonalData": [_category(code) for code in _categories(consent)],
        "dpv:hasDataController": _party(by, "dpv:DataController"),
        "dpv:hasDataSource": {"@id": "dpv:DataSubjectDataSource"},
        "dpv:hasProcess": [
            {
                "@type": "dpv:Process",
                "dpv:hasRecipient": _party(names(agency), "dpv:Recipient"),
                "dpv:hasPersonalData": [_category(code) for code in sorted(pairs)],
                "nrm:grantedAtPosition": pairs,
            }
            for agency, pairs in sorted(consent.scope.items())
        ],
        "dpv:hasRecipient": [
            _party(names(agency), "dpv:Recipient") for agency in sorted(consent.scope)
        ],
        "nrm:coversHistory": consent.covers_history,
        "dpv:hasStorageCondition": [
            {
                "@type": "dpv:StorageLocation",
                "dct:description": "the hub's own store, and the system of each recipient",
            },
            {
                "@type": "dpv:StorageDuration",
                "dct:valid": consent.retention_until
                or "until the retention date set when the case is closed, or an erasure is granted",
            },
        ],
        "dpv:hasJurisdiction": _or(consent.jurisdiction, "jurisdiction"),
        "dpv:hasConsentControl": {
            "@type": "dpv:WithdrawConsent",
            "dct:description": _or(said.get("withdrawal_channel"), "withdrawal"),
        },
        "dpv:hasRight": [
            {"@id": f"dpv:{right}"}
            for right in ("DataSubjectRight", "WithdrawConsent", "RightExerciseNotice")
        ],
        "dct:valid": consent.valid_until.isoformat() if consent.valid_until else None,
        "nrm:history": [_event(one, names) for one in consent.statements],
        "nrm:differences": [
            {
                "nrm:about": one.about,
                "nrm:said": [
                    {"nrm:agency": who, "nrm:position": at, "nrm:value": value}
                    for who, at, value in one.said
                ],
            }
            for one in consent.differences
        ],
    }


def receipt_id(consent: ConsentRecord) -> str:
    """A receipt is of one moment of the record: its last statement."""
    return f"{consent.consent_id}/{consent.statements[-1].position}"


def _tombstone(consent: ConsentRecord) -> dict[str, Any]:
    return {
        "nrm:erased": True,
        "dct:description": "The person's content was erased; what remains proves that it was said.",
        "nrm:history": [
            {"nrm:position": one.position, "dct:date": one.recorded_at.isoformat()}
            for one in consent.statements
        ],
    }


def _event(one: Statement, names: Names) -> dict[str, Any]:
    return {
        "@type": EVENTS[one.type],
        "nrm:eventType": one.type,
        "dct:date": one.occurred_at.isoformat(),
        "nrm:recorded": one.recorded_at.isoformat(),
        "nrm:position": one.position,
        "dpv:isImplementedByEntity": _party(names(one.agency), "dpv:DataController"),
        "dpv:hasConsentStatus": {"@id": EVENTS[one.type]},
        "nrm:said": one.content if one.content is not None else {"nrm:erased": True},
    }


def _party(one: Named, kind: str) -> dict[str, Any]:
    return {
        "@type": [kind, "dpv:LegalEntity"],
        "dct:identifier": one.agency,
        "dpv:hasName": one.name,
        "nrm:role": one.role,
        "dpv:hasAddress": _not_recorded("the agency"),
        "dpv:hasContact": _not_recorded("the agency"),
    }


def _categories(consent: ConsentRecord) -> list[str]:
    return sorted({code for pairs in consent.scope.values() for code in pairs})


def _category(code: str) -> dict[str, Any]:
    label = codelists.load("nrm.category").labels.get(code, code)
    kinds = ["dpv:PersonalData"] + (["dpv:SpecialCategoryPersonalData"] if code in SPECIAL else [])
    return {"@id": f"nrm:category:{code}", "@type": kinds, "dct:title": label}


def _purpose(code: str) -> dict[str, Any]:
    return {"@id": f"nrm:purpose:{code}", "@type": "dpv:Purpose", "dct:title": code}


def _or(value: Any, ask: str) -> Any:
    return value if value is not None else _not_recorded(ask)


def _not_recorded(ask: str) -> dict[str, str]:
    where = "ask the agency that recorded the consent" if ask != "the agency" else "ask the agency"
    return {"@type": "nrm:NotRecorded", "dct:description": where}
