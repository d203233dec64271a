"""What the events that partners keep are called, and their fields where the field's name alone does
not say it: in the concepts of `connectors/workbench/words.py`.

Events of the hub's own making (releases, recalls, audit) are no rows of anybody's case file and are
not proposed; a mapping file may name them all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

OCCURRED: Final = "occurred_at"


def _sets(text: str) -> tuple[frozenset[str], ...]:
    return tuple(frozenset(one.split("+")) for one in text.split())


ABOUT: Final[Mapping[str, frozenset[str]]] = {
    event: frozenset(words.split())
    for event, words in {
        "CaseOpened": "case opened person",
        "CaseClosed": "case closed closure_reason",
        "IdentityRecorded": "person case",
        "ContactPreferenceRecorded": "person contact case",
        "AccommodationPlaced": "accommodation",
        "AccommodationEnded": "accommodation departure exit_reason",
        "IndicatorsScreened": "screening",
        "NeedsAssessed": "needs",
        "RiskAssessed": "risk",
        "ReferralMade": "referral",
        "ServiceEpisodeStarted": "service services",
        "ServiceEpisodeEnded": "service services",
        "SupportPlanAgreed": "plan",
        "ReasonableGroundsDecided": "reasonable_grounds",
        "ConclusiveGroundsDecided": "conclusive_grounds",
        "RecoveryPeriodStarted": "recovery",
        "ProceedingLinked": "proceeding",
        "WitnessProtectionApplied": "witness_protection",
        "NonPunishmentRaised": "alleged",
        "CompensationClaimed": "compensation",
        "ConsentGiven": "consent",
        "ConsentWithdrawn": "consent withdrawn",
        "GuardianAppointed": "guardian",
        "AgeAssessed": "age_assessment",
        "AsylumClaimRecorded": "asylum",
        "ResidencePermitDecided": "permit",
        "ReturnAgreed": "return",
    }.items()
}
"""Event type → what a table or column about it is called."""

FIELDS: Final[Mapping[str, tuple[frozenset[str], ...]]] = {
    name: _sets(text)
    for name, text in {
        f"CaseOpened.{OCCURRED}": "opened case+opened case+date case+start",
        f"CaseClosed.{OCCURRED}": "closed case+closed case+end",
        "CaseClosed.reason": "closure_reason closed+reason",
        "CaseClosed.retention_until": "retention",
        "CaseOpened.age_status": "age_status",
        "ContactPreferenceRecorded.post_address": "post_address address person+address",
        f"AccommodationPlaced.{OCCURRED}": "admission accommodation+start accommodation+date",
        "AccommodationPlaced.type": "accommodation+type",
        "AccommodationPlaced.address": "accommodation+address",
        "AccommodationPlaced.region": "accommodation+region region",
        f"AccommodationEnded.{OCCURRED}": "departure accommodation+end",
        "AccommodationEnded.reason": "exit_reason accommodation+reason departure+reason",
        f"IndicatorsScreened.{OCCURRED}": "screening+date screening screening+start",
        "IndicatorsScreened.exploitation_types": "exploitation_type",
        "IndicatorsScreened.exploitation_places": "exploitation_place",
        "IndicatorsScreened.screened_by_role": "screener",
        f"NeedsAssessed.{OCCURRED}": "needs+date",
        "NeedsAssessed.domains": "need_domains needs",
        "NeedsAssessed.health_needs": "health health+needs",
        f"RiskAssessed.{OCCURRED}": "risk+date",
        "RiskAssessed.level": "risk_level risk+level",
        "RiskAssessed.threats": "threat",
        "RiskAssessed.reviewed_by": "review risk+review",
        f"ReferralMade.{OCCURRED}": "referral+date referral+start",
        "ReferralMade.services": "services service referral+services",
        "ReferralMade.referral_id": "referral_id",
        f"ServiceEpisodeStarted.{OCCURRED}": "service+start service+date",
        "ServiceEpisodeStarted.service": "service service+type",
        "ServiceEpisodeStarted.clinical_note": "clinical",
        f"ServiceEpisodeEnded.{OCCURRED}": "service+end",
        "ServiceEpisodeEnded.outcome": "service+outcome",
        "SupportPlanAgreed.review_on": "plan+review",
        "SupportPlanAgreed.details": "plan+note",
        f"SupportPlanAgreed.{OCCURRED}": "plan+date plan+start",
        "ReasonableGroundsDecided.outcome": "reasonable_grounds reasonable_grounds+outcome",
        "ReasonableGroundsDecided.decided_on": "reasonable_grounds+decided reasonable_grounds+date",
        "ReasonableGroundsDecided.reasons": "reasonable_grounds+reasons",
        "ConclusiveGroundsDecided.outcome": "conclusive_grounds conclusive_grounds+outcome",
        "ConclusiveGroundsDecided.decided_on": "conclusive_grounds+decided conclusive_grounds+date",
        "ConclusiveGroundsDecided.reasons": "conclusive_grounds+reasons",
        "RecoveryPeriodStarted.start": "recovery+start",
        "RecoveryPeriodStarted.ends_on": "recovery+end",
        "RecoveryPeriodStarted.minimum_days": "recovery+days",
        "ProceedingLinked.proceeding_ref": "proceeding",
        "ProceedingLinked.stage": "proceeding+stage",
        "ProceedingLinked.victim_role": "victim_role",
        "ProceedingLinked.offence_code": "offence",
        "WitnessProtectionApplied.measure": "witness_protection+measure witness_protection",
        "WitnessProtectionApplied.valid_until": "witness_protection+valid_until",
        "CompensationClaimed.claim_ref": "claim_ref compensation+claim_ref",
        "CompensationClaimed.amount": "amount compensation+amount",
        "CompensationClaimed.employer": "employer",
        f"CompensationClaimed.{OCCURRED}": "claim_date compensation+date",
        "ConsentGiven.consent_id": "consent_id",
        "ConsentGiven.valid_until": "consent+valid_until",
        "ConsentGiven.method": "consent+method",
        "ConsentGiven.given_by": "given_by",
        f"ConsentGiven.{OCCURRED}": "given consent+date consent+start consent+given",
        f"ConsentWithdrawn.{OCCURRED}": "withdrawn consent+withdrawn consent+end",
        "ConsentWithdrawn.extent": "consent+extent",
        "GuardianAppointed.guardian_agency": "guardian",
        "GuardianAppointed.from": "guardian+start guardian+date",
        "AsylumClaimRecorded.status": "asylum+status",
        "AsylumClaimRecorded.claim_date": "asylum+date asylum+claim_date",
        "ResidencePermitDecided.valid_until": "permit+valid_until permit+end",
        "ResidencePermitDecided.outcome": "permit+outcome permit+status",
        "ReturnAgreed.destination": "destination return+destination",
        "ReturnAgreed.planned_on": "return+date",
    }.items()
}
"""Fields with names of their own: sets of concepts, any of which is it."""

GENERIC: Final = frozenset(
    {
        "address", "agency", "amount", "currency", "date", "days", "decided", "end", "extent",
        "given", "language", "level", "measure", "method", "note", "outcome", "reason", "reasons",
        "region", "review", "room", "scope", "service", "services", "stage", "start", "status",
        "summary", "tool", "type", "valid_until"
    }
)  # fmt: skip
"""Words that many tables have: they need a table or column that says what they are of."""

OTHERS: Final = "others"
"""Concept of tables about staff, companies, suspects: nothing is proposed there."""

CHANGED: Final = "changed"
"""Concept of columns in which the partner's own system notes that it changed a row."""

KEYS: Final = frozenset(
    {
        "nrm", "mnr", "mno", "hub", "external", "extern", "externe", "externer", "externes",
        "externo", "externa", "ext", "exchange"
    }
)  # fmt: skip
"""A text column so called can hold our reference: `nrm_ref`, `ExternalID`, `ref_mnr`. NRM is MNR in
Spanish and French, MNO in some countries' French."""
