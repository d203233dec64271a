"""Small stories for tests: events written shortly, a minute apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from hub.scenario.story import Scenario, read

AGENCIES = {
    "NGO-1": "ngo_support",
    "NGO-2": "ngo_support",
    "SH-1": "shelter",
    "POL-1": "police",
    "CPS-1": "child_protection",
    "AUD-1": "auditor",
    "HUB": "hub",
}
START = datetime(2026, 3, 2, 9, tzinfo=UTC)

Line = tuple[str, str, dict[str, Any]]


def document(name: str, *lines: Line, **more: Any) -> dict[str, Any]:
    """A scenario's JSON from (agency, type, data) lines about case C1."""
    return {
        "id": name,
        "agencies": dict(AGENCIES),
        "events": [
            {
                "id": f"e{number}",
                "t": (START + timedelta(minutes=number)).isoformat(),
                "case": "C1",
                "agency": agency,
                "type": kind,
                "data": data,
            }
            for number, (agency, kind, data) in enumerate(lines, 1)
        ],
        **more,
    }


def story(name: str, *lines: Line, **more: Any) -> Scenario:
    return read(document(name, *lines, **more))


def opened(agency: str = "NGO-1", age: str = "adult") -> Line:
    data = {"jurisdiction": "XX", "channel": "outreach", "age_status": age}
    return agency, "CaseOpened", data


def consent(scope: dict[str, list[str]], *, name: str = "c1", history: bool = True) -> Line:
    data = {
        "consent_id": name,
        "given_by": "self",
        "purposes": ["assistance"],
        "scope": scope,
        "covers_history": history,
        "valid_until": "2027-03-01",
        "method": "written",
        "notice_version": "n1",
        "withdrawal_channel": "any agency",
    }
    return "NGO-1", "ConsentGiven", data


def referral(to: str, name: str = "r1") -> tuple[Line, Line]:
    data = {
        "referral_id": name,
        "to_agency": to,
        "services": ["accommodation"],
        "urgency": "routine",
        "respond_by": "2026-03-04T09:00:00Z",
        "basis": "c1",
    }
    return ("NGO-1", "ReferralMade", data), (to, "ReferralAccepted", {"referral_id": name})


def identity(**fields: Any) -> Line:
    data = {"gender": "F", "family_name": "Person", **fields}
    return "NGO-1", "IdentityRecorded", data


def corrected(event: str, field: str, value: Any, agency: str = "NGO-1") -> Line:
    data = {"corrects_event": event, "field": field, "new_value": value}
    return agency, "RecordCorrected", data


def erased(agency: str = "NGO-1") -> Line:
    data = {
        "request_id": "q1",
        "outcome": "granted",
        "exemption": "none",
        "action": "key_destroyed",
    }
    return agency, "SubjectRequestDecided", data
