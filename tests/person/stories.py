"""A case with everything in it that a person may ask about, for tests; all people are made up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from connectors.agency.outcomes import Outcome
from connectors.submit import Event
from tests.road import CONSENT, Road

AGENCIES = {
    "NGO-1": "ngo_support",
    "POL-1": "police",
    "CA-1": "competent_authority",
    "SH-1": "shelter",
    "LEG-1": "legal_rep",
    "AUD-1": "auditor",
}
SCOPE: Mapping[str, list[str]] = {
    "POL-1": ["identity", "protection"],
    "CA-1": ["identity", "protection"],
    "SH-1": ["contact", "health"],
}
NAME, FAMILY, STREET = "Zorica-Sentinel", "Prvanova-Sentinel", "Shelterstreet-Sentinel 9"
PHONE = "+000111222"


def accepted(outcome: Outcome) -> str:
    """The event's id; the test fails if it was refused."""
    assert outcome.accepted, (outcome.reason, outcome.guard, outcome.detail)
    return str(outcome.event_id)


def says(road: Road, agency: str, type_: str, case: str = "C1", **data: Any) -> str:
    event_id = accepted(road.publish(agency, type_, case, **data))
    road.settle()
    return event_id


def referred(road: Road, agency: str, case: str = "C1") -> None:
    """NGO-1 refers the person to an agency, which accepts."""
    referral = f"r-{agency.lower()}"
    says(
        road, "NGO-1", "ReferralMade", case, referral_id=referral, to_agency=agency,
        services=["assistance"], urgency="1_day",
        respond_by=(road.time.at + timedelta(days=1)).isoformat(), basis="c1",
    )  # fmt: skip
    says(road, agency, "ReferralAccepted", case, referral_id=referral)


def opened(folder: Path, agencies: Mapping[str, str] | None = None) -> Road:
    """A hub in which NGO-1 has opened case C1 of an adult."""
    road = Road.open(folder, agencies or AGENCIES)
    says(road, "NGO-1", "CaseOpened", age_status="adult", channel="outreach", jurisdiction="XX")
    return road


def consented(road: Road, scope: Mapping[str, list[str]] = SCOPE, **other: Any) -> None:
    told = {agency: list(categories) for agency, categories in scope.items()}
    says(road, "NGO-1", "ConsentGiven", **{**CONSENT, "consent_id": "c1", "scope": told, **other})


def identified(road: Road) -> str:
    return says(
        road, "NGO-1", "IdentityRecorded", given_name=NAME, family_name=FAMILY,
        date_of_birth="1999-01-01", dob_precision="day", gender="F", citizenships=["YY"],
    )  # fmt: skip


def corrects(road: Road, event_id: str, type_: str, field: str, value: str | None) -> str:
    """NGO-1 puts a field of an earlier event right."""
    event = Event(
        "RecordCorrected", "C1",
        {"corrects_event": event_id, "field": field, "new_value": value},
        occurred_at=road.time.at, corrects_type=type_,
    )  # fmt: skip
    [outcome] = road.publish_all("NGO-1", [event])
    corrected = accepted(outcome)
    road.settle()
    return corrected


def everything(folder: Path) -> Road:
    """Consent, referrals, a break-glass found wrong, a withdrawal with recall, a request, a
    complaint about the shelter; POL-1, CA-1 and SH-1 have connectors."""
    road = opened(folder)
    for agency in ("POL-1", "CA-1", "SH-1"):
        road.partner(agency)
    consented(road)
    identified(road)
    for agency in ("POL-1", "CA-1", "SH-1"):
        referred(road, agency)
    road.time.at += timedelta(days=1)
    says(road, "SH-1", "AccommodationPlaced", placement_id="p1", type="safe_house",
         address=STREET)  # fmt: skip
    says(road, "NGO-1", "NeedsAssessed", domains=["medical"], health_needs="Insulin-Sentinel")
    says(
        road, "NGO-1", "ContactPreferenceRecorded", phone=PHONE, safe_to_call=True,
        safe_to_email=False, safe_to_post=False, language="uk", interpreter_needed=True,
    )  # fmt: skip
    says(road, "NGO-1", "FeedbackRecorded", kind="complaint", about_agency="SH-1",
         text="No lock on the door-Sentinel", anonymous=True)  # fmt: skip
    invoked = says(
        road, "POL-1", "BreakGlassInvoked", reason="threat_to_life",
        requested_categories=["contact", "location_safe"], two_person_ref="tp-Sentinel",
        expires_at=(road.time.at + timedelta(hours=6)).isoformat(),
    )  # fmt: skip
    road.time.at += timedelta(days=1)
    says(road, "AUD-1", "BreakGlassReviewed", invocation_event_id=invoked,
         outcome="not_justified", person_informed=True)  # fmt: skip
    road.time.at += timedelta(days=1)
    says(road, "NGO-1", "ConsentWithdrawn", consent_id="c1", extent="recipients",
         recipients=["POL-1"], leave_nrm=False)  # fmt: skip
    says(road, "NGO-1", "SubjectRequestReceived", request_id="q1", right="access",
         due_on="2026-04-03")  # fmt: skip
    return road
