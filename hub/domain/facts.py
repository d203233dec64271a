"""Facts: the few values of an event that later decisions need, kept apart from its content.

Plain facts are references, codes, scopes and dates of the procedure; they stay readable after a
person's content was erased, so that a decision can be made again years later. Personal facts are
dates of birth and nothing else; the hub keeps them sealed under the person's secret, so they are
erased with it. Names, accounts, addresses and free text are never facts.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from hub.domain.dates import day

# Field names kept per type, in the words of the event's own schema.
PLAIN: Mapping[str, tuple[str, ...]] = {
    "CaseOpened": ("age_status", "jurisdiction"),
    "CaseLinkDecided": ("agreed_by_person",),
    "ConsentRequested": ("consent_id",),
    "ConsentGiven": (
        "consent_id",
        "given_by",
        "scope",
        "covers_history",
        "valid_until",
        "coercion_risk",
    ),
    "ConsentRefused": ("consent_id",),
    "ConsentAmended": ("consent_id", "scope", "valid_until", "reason"),
    "ConsentWithdrawn": ("consent_id", "extent", "recipients", "categories", "leave_nrm"),
    "ConsentExpired": ("consent_id",),
    "ReferralMade": ("referral_id", "to_agency", "respond_by", "urgency", "basis"),
    "ReferralAccepted": ("referral_id",),
    "ReferralDeclined": ("referral_id",),
    "ReferralEnded": ("referral_id", "outcome"),
    "AccommodationEnded": ("reason",),
    "ReasonableGroundsDecided": ("outcome", "decided_on"),
    "ConclusiveGroundsDecided": ("outcome", "decided_on", "combined_with_rg"),
    "ReconsiderationRequested": ("decision_ref",),
    "ReconsiderationDecided": ("decision_ref", "outcome"),
    "RecoveryPeriodStarted": ("start", "minimum_days", "ends_on"),
    "RecoveryPeriodChanged": ("ends_on", "reason"),
    "RemovalHoldPlaced": ("until",),
    "DisqualificationDecided": ("outcome",),
    "ResidencePermitDecided": ("outcome", "valid_until"),
    "AsylumClaimRecorded": ("status",),
    "AgeAssessed": ("outcome", "appeal_open_until"),
    "ProceedingLinked": ("stage",),
    "NonPunishmentDecided": ("outcome",),
    "GuardianAppointed": ("guardian_agency",),
    "BestInterestsDetermined": ("question",),
    "ReturnRiskAssessed": ("level",),
    "ReturnAgreed": ("voluntary",),
    "ReturnCompleted": ("follow_up_due",),
    "TransferOffered": ("transfer_id", "to_agency"),
    "TransferAnswered": ("transfer_id", "outcome"),
    "CaseClosed": ("reason", "retention_until"),
    "FeedbackRecorded": ("kind", "about_agency"),
    "SubjectRequestReceived": ("request_id", "right", "due_on"),
    "SubjectRequestDecided": ("request_id", "outcome", "exemption", "action"),
    "RecordCorrected": ("corrects_event", "field"),
    "BreakGlassInvoked": ("reason", "requested_categories", "expires_at"),
    "BreakGlassReviewed": ("invocation_event_id", "outcome", "person_informed"),
    "EmergencyModeDeclared": ("measures", "ends_on"),
    "RecallAnswered": ("recall_ref", "outcome"),
    "StatisticsPublished": ("period",),
}

# Dates of birth per type, and the name of the personal fact they become.
PERSONAL: Mapping[str, tuple[str, ...]] = {
    "IdentityRecorded": ("date_of_birth",),
    "AgeAssessed": ("assessed_dob",),
}

# Plain facts that name an event. Whoever calls `facts_of` with an agency's own event references
# must put the canonical event id in their place before a case enters the event.
EVENT_REFERENCES: Mapping[str, str] = {
    "RecordCorrected": "corrects_event",
    "BreakGlassReviewed": "invocation_event_id",
}


def facts_of(
    event_type: str, data: Mapping[str, Any], occurred_on: date | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(plain, personal) of an event's JSON-ready data; both JSON-ready, nulls left out.

    occurred_on: the day it happened, as the agency says, where that is known.
    """
    plain = {name: data[name] for name in PLAIN.get(event_type, ()) if data.get(name) is not None}
    personal = {
        name: data[name] for name in PERSONAL.get(event_type, ()) if data.get(name) is not None
    }
    if event_type == "RecordCorrected" and data.get("field") == "date_of_birth":
        if data.get("new_value") is not None:
            personal["date_of_birth"] = data["new_value"]
    elif event_type == "BreakGlassInvoked":
        plain["two_persons"] = bool(str(data.get("two_person_ref") or "").strip())
    elif event_type == "ConsentGiven" and occurred_on is not None:
        last = day(data.get("interpreter_accredited_until"))
        if last is not None and last < occurred_on:
            plain["interpreter_lapsed"] = True
    elif event_type == "StatisticsPublished":
        plain["small_cells"] = has_small_cells(data.get("cells"), str(data.get("suppression")))
    if personal:
        # Survives erasure: says that a date was stated, not which.
        plain["birth_date_stated"] = True
    return plain, personal


SMALLEST_CELL = {"lt5": 5, "k10": 10}  # differential privacy ("dp") has no smallest cell


def has_small_cells(cells: object, suppression: str) -> bool:
    """Whether a table shows a count from 1 to below its own suppression limit."""
    limit = SMALLEST_CELL.get(suppression)
    if limit is None:
        return False
    if isinstance(cells, Mapping):
        return any(has_small_cells(cell, suppression) for cell in cells.values())
    if isinstance(cells, list | tuple):
        return any(has_small_cells(cell, suppression) for cell in cells)
    return isinstance(cells, int | float) and not isinstance(cells, bool) and 0 < cells < limit
