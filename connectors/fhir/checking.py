"""Checking: whether a FHIR server can do what the sink needs, from what it says of itself.

What is missing and would lose or keep something against the promises is `wrong`, with what to do;
what the server leaves open is a `warning`. CapabilityStatements are not always complete: whether
$expunge is allowed is asked by purging a resource that does not exist.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from connectors.errors import ConnectorError
from connectors.fhir.names import Resource
from connectors.fhir.server import FhirServer
from connectors.fhir.shapes import LAYOUTS
from connectors.findings import Finding

TYPES: Final = ("Patient", "EpisodeOfCare", *sorted(LAYOUTS), "Provenance")
"""Every resource type the sink writes."""
_NEEDED: Final = ("read", "update", "delete")


def check(server: FhirServer, *, purges: bool, purged_by: str) -> list[Finding]:
    """What was found at the server. Changes nothing."""
    try:
        return look(server, purges=purges, purged_by=purged_by)
    except ConnectorError as wrong:
        fix = "mend what it says, then check again"
        return [Finding("wrong", "FHIR server", str(wrong), fix)]


def look(server: FhirServer, *, purges: bool, purged_by: str) -> list[Finding]:
    """The same; SinkDownError if it is away or does not let us in."""
    capability = server.capability()
    findings = [*_version(capability), *_interactions(_rest(capability))]
    if not purges:
        findings.append(_kept(capability, purged_by))
    elif not unfit(findings):
        findings.append(_purging(server.can_purge()))
    return findings


def _version(capability: Resource) -> Iterable[Finding]:
    version = capability.get("fhirVersion")
    told = str(version)[:20] if isinstance(version, str) else "none"
    if told.startswith("4.0."):
        yield Finding("ok", "FHIR version", f"{told} (R4)")
    else:
        yield Finding(
            "wrong",
            "FHIR version",
            f"{told}; the sink writes R4 (4.0.1)",
            "set url to the server's R4 endpoint",
        )


def _interactions(rest: Mapping[str, Any]) -> Iterable[Finding]:
    if "transaction" in _codes(rest):
        yield Finding("ok", "transaction", "supported")
    else:
        yield Finding(
            "wrong", "transaction", "not supported", "allow transactions of this client there"
        )
    told = {
        kind: one
        for one in _dicts(rest.get("resource"))
        if isinstance(kind := one.get("type"), str)
    }
    missing = [kind for kind in TYPES if kind not in told]
    short = [
        f"{kind}: {', '.join(absent)}"
        for kind in TYPES
        if kind in told and (absent := [one for one in _NEEDED if one not in _codes(told[kind])])
    ]
    if missing or short:
        text = "; ".join(([f"no {', '.join(missing)}"] if missing else []) + short)
        fix = "allow read, update and delete of these resource types to this client"
        yield Finding("wrong", "resource types", text, fix)
    else:
        yield Finding("ok", "resource types", f"{len(TYPES)} can be read, updated and deleted")
    used = [told[kind] for kind in TYPES if kind in told]
    if any(one.get("updateCreate") is False for one in used):
        fix = "allow update as create: ids are derived from the hub's references"
        yield Finding("wrong", "update as create", "not supported", fix)
    elif used and all(one.get("updateCreate") for one in used):
        yield Finding("ok", "update as create", "supported")
    else:
        text = "the server does not say; the first delivery will tell"
        yield Finding("warning", "update as create", text, "look into its settings")
    if all(one.get("versioning") == "versioned-update" for one in used):
        yield Finding("ok", "versions", "an update can name the version it was made from")
    else:
        text = "an edit made there at the same moment as a delivery could be lost"
        yield Finding("warning", "versions", text, "turn on versioned updates (If-Match)")


def _purging(status: int) -> Finding:
    if status in (200, 404, 410):
        return Finding("ok", "$expunge", "allowed: recalled content leaves the history too")
    return Finding(
        "wrong",
        "$expunge",
        f"not allowed ({status}): recalled content would stay in the server's history",
        'enable it there (HAPI: expunge_enabled), or set purge = "redact" and purged_by',
    )


def _kept(capability: Resource, purged_by: str) -> Finding:
    used = [one for one in _dicts(_rest(capability).get("resource")) if one.get("type") in TYPES]
    if used and all(one.get("versioning") == "no-version" for one in used):
        return Finding("ok", "history", "the server says that it keeps no earlier versions")
    return Finding(
        "warning",
        "history",
        f"earlier versions of what is recalled stay until purged by: {purged_by}",
        "see to it that this is done before a recall is due",
    )


def unfit(findings: Iterable[Finding]) -> str:
    """What is wrong, for the error that stops the connector; "" if nothing is."""
    wrong = [f"{one.subject}: {one.text}; {one.fix}" for one in findings if one.level == "wrong"]
    return " | ".join(wrong)


Check = Callable[[], list[Finding]]


def _rest(capability: Resource) -> Mapping[str, Any]:
    return next(iter(_dicts(capability.get("rest"))), {})


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _codes(part: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(str(one.get("code")) for one in _dicts(part.get("interaction")))
