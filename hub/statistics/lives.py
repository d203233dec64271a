"""Lives: what is counted about each person, folded from coded facts; in memory, for one run.

A life holds codes, days and roles. No name, reference, place or text ever enters it, and no life
leaves this process: tables are counted from lives and what may be shown of them is in
`suppression.py`. Each fact keeps the day it happened (as the agency says); that it is in the fold
at all says it was recorded by then. So a table is about a period, as known at a log position.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from hub.domain.dates import day


@dataclass(frozen=True, slots=True)
class Fact:
    """One recorded event, as far as it is counted.

    on: the day it happened. plain: the facts kept beside the event. codes: the few coded fields
    opened for counting (`consumers/statistics.py` lists them). to_role: role of the agency a
    referral is addressed to, or feedback is about.
    """

    type: str
    event_id: str
    agency: str
    role: str
    on: date
    plain: Mapping[str, Any]
    codes: Mapping[str, Any]
    to_role: str = ""


@dataclass(slots=True)
class Decision:
    """The first decision of a kind, and how it stands after reconsideration."""

    on: date
    outcome: str
    reasons: tuple[str, ...] = ()
    first: str = ""
    event_id: str = ""


@dataclass(slots=True)
class Referral:
    """One referral: to which kind of agency, and what became of it."""

    made: date
    to_role: str
    answer: str = "pending"


@dataclass(slots=True)
class Feedback:
    """One statement about an agency, by its kind; never its text."""

    on: date
    kind: str
    about_role: str
    result: str = "open"


@dataclass(slots=True)
class Life:
    """One person's codes and days. Days are of the first such event unless said otherwise."""

    opened: date | None = None
    age_status: str = "unknown"
    agencies: dict[str, str] = field(default_factory=dict)  # role of each that recorded something
    sex: str = ""
    citizenships: tuple[str, ...] = ()
    born: date | None = None
    age_band: str = ""
    exploitation: frozenset[str] = frozenset()
    screened: date | None = None
    presumed: date | None = None
    notified: date | None = None
    registering_role: str = ""
    consent_refused: bool = False
    referrals: dict[str, Referral] = field(default_factory=dict)
    accepted: date | None = None  # referral accepted by a competent authority
    rg: Decision | None = None
    cg: Decision | None = None
    recovery: date | None = None
    recovery_change: str = ""  # latest
    disqualified: bool = False
    permit: Decision | None = None
    claimed: date | None = None
    compensation: str = "open"  # latest
    offence_raised: date | None = None
    offence: str = "open"  # latest
    proceeding: date | None = None
    proceeding_stage: str = ""  # latest
    return_risk: str = ""  # latest
    returned: date | None = None
    reopened: list[tuple[date, str]] = field(default_factory=list)
    withdrew: bool = False
    missing: bool = False  # the last placement ended with the person missing or gone
    closed: date | None = None
    close_reason: str = ""
    feedback: list[Feedback] = field(default_factory=list)

    def apply(self, fact: Fact) -> None:
        """Take one fact in."""
        self.agencies[fact.agency] = fact.role
        change = _CHANGES.get(fact.type)
        if change is not None:
            change(self, fact)

    # -- registration ----------------------------------------------------------------------------

    def _opened(self, fact: Fact) -> None:
        if self.opened is None:
            self.opened = fact.on
            self.age_status = str(fact.plain.get("age_status", "unknown"))

    def _registered(self, fact: Fact) -> None:
        if not self.registering_role:
            self.registering_role = fact.role

    def _screened(self, fact: Fact) -> None:
        self.screened = self.screened or fact.on
        self._exploited(fact.codes.get("exploitation_types"))

    def _exploited(self, types: object) -> None:
        if isinstance(types, list) and types:
            self.exploitation = frozenset(str(one) for one in types)

    def _presumed(self, fact: Fact) -> None:
        self.presumed = self.presumed or fact.on
        self._registered(fact)

    def _notified(self, fact: Fact) -> None:
        self.notified = self.notified or fact.on
        self._registered(fact)
        self._described(fact.codes)
        self._exploited(fact.codes.get("exploitation_types"))

    def _identity(self, fact: Fact) -> None:
        self._described(fact.codes)
        self.born = day(fact.plain.get("date_of_birth")) or self.born

    def _described(self, codes: Mapping[str, Any]) -> None:
        self.sex = str(codes.get("gender") or self.sex)
        self.age_band = str(codes.get("age_band") or self.age_band)
        stated = codes.get("citizenships") or codes.get("citizenship")
        if stated:
            self.citizenships = tuple(stated)

    def _corrected(self, fact: Fact) -> None:
        name, value = fact.plain.get("field"), fact.codes.get("new_value")
        if name == "gender":
            self.sex = str(value or "")
        elif name == "age_band":
            self.age_band = str(value or "")
        elif name in ("citizenships", "citizenship"):
            self.citizenships = tuple(value) if isinstance(value, list) else ()
        elif name == "exploitation_types":
            self.exploitation = frozenset(value) if isinstance(value, list) else frozenset()
        elif name == "date_of_birth":
            self.born = day(fact.plain.get("date_of_birth"))
        else:
            self._decision_corrected(fact, name, value)

    def _decision_corrected(self, fact: Fact, name: object, value: object) -> None:
        for decision in (self.rg, self.cg):
            if decision is None or decision.event_id != fact.plain.get("corrects_event"):
                continue
            if name == "decided_on":
                decision.on = day(value) or decision.on
            elif name == "outcome" and isinstance(value, str):
                decision.outcome = decision.first = value
            elif name == "reason_codes":
                decision.reasons = tuple(value) if isinstance(value, list) else ()

    def _assessed(self, fact: Fact) -> None:
        self.born = day(fact.plain.get("assessed_dob")) or self.born
        if fact.plain.get("outcome") in ("adult", "child"):
            self.age_status = str(fact.plain["outcome"])

    # -- referral and decision -------------------------------------------------------------------

    def _refused(self, _: Fact) -> None:
        self.consent_refused = True

    def _consented(self, _: Fact) -> None:
        self.consent_refused = self.withdrew = False

    def _left(self, fact: Fact) -> None:
        self.withdrew = self.withdrew or fact.plain.get("leave_nrm") is True

    def _referred(self, fact: Fact) -> None:
        self.referrals[str(fact.plain.get("referral_id"))] = Referral(fact.on, fact.to_role)

    def _accepted(self, fact: Fact) -> None:
        self._answered(fact, "accepted")
        if fact.role == "competent_authority":
            self.accepted = self.accepted or fact.on

    def _declined(self, fact: Fact) -> None:
        self._answered(fact, f"declined_{fact.codes.get('reason', 'other')}")

    def _ended(self, fact: Fact) -> None:
        outcome = str(fact.plain.get("outcome"))
        referral = self.referrals.get(str(fact.plain.get("referral_id")))
        if referral is not None and referral.answer == "pending":
            referral.answer = outcome if outcome in ("expired", "revoked") else "ended"

    def _answered(self, fact: Fact, answer: str) -> None:
        referral = self.referrals.get(str(fact.plain.get("referral_id")))
        if referral is not None and referral.answer == "pending":
            referral.answer = answer

    def _reasonable_grounds(self, fact: Fact) -> None:
        self.rg = _decided(self.rg, fact)

    def _conclusive_grounds(self, fact: Fact) -> None:
        self.cg = _decided(self.cg, fact)

    def _reconsidered(self, fact: Fact) -> None:
        decision = self.cg if fact.plain.get("decision_ref") == "cg" else self.rg
        if decision is not None and fact.plain.get("outcome") == "overturned":
            decision.outcome = "positive"

    # -- recovery, permit, justice, return -------------------------------------------------------

    def _recovery_started(self, fact: Fact) -> None:
        self.recovery = self.recovery or day(fact.plain.get("start")) or fact.on

    def _recovery_changed(self, fact: Fact) -> None:
        self.recovery_change = str(fact.plain.get("reason"))

    def _disqualified(self, fact: Fact) -> None:
        self.disqualified = fact.plain.get("outcome") == "disqualified"

    def _permit(self, fact: Fact) -> None:
        if self.permit is None:
            self.permit = Decision(fact.on, str(fact.plain.get("outcome")))

    def _claimed(self, fact: Fact) -> None:
        self.claimed = self.claimed or fact.on

    def _compensated(self, fact: Fact) -> None:
        self.compensation = str(fact.codes.get("outcome", self.compensation))

    def _offence_raised(self, fact: Fact) -> None:
        self.offence_raised = self.offence_raised or fact.on

    def _offence_decided(self, fact: Fact) -> None:
        self.offence = str(fact.codes.get("outcome", self.offence))

    def _proceeding(self, fact: Fact) -> None:
        self.proceeding = self.proceeding or fact.on
        self.proceeding_stage = str(fact.codes.get("stage", self.proceeding_stage))

    def _return_assessed(self, fact: Fact) -> None:
        self.return_risk = str(fact.plain.get("level"))

    def _returned(self, fact: Fact) -> None:
        self.returned = self.returned or fact.on

    # -- the end, and what people said -----------------------------------------------------------

    def _placed(self, _: Fact) -> None:
        self.missing = False

    def _moved_out(self, fact: Fact) -> None:
        self.missing = fact.plain.get("reason") in ("missing", "left_unplanned")

    def _closed(self, fact: Fact) -> None:
        self.closed, self.close_reason = fact.on, str(fact.plain.get("reason"))

    def _reopened(self, fact: Fact) -> None:
        self.closed, self.close_reason = None, ""
        self.reopened.append((fact.on, str(fact.codes.get("reason", "not_known"))))

    def _said(self, fact: Fact) -> None:
        kind = str(fact.plain.get("kind"))
        self.feedback.append(Feedback(fact.on, kind, fact.to_role))

    def _resolved(self, fact: Fact) -> None:
        """An answer names no complaint: it is taken for the oldest open one of the case."""
        for one in self.feedback:
            if one.kind != "feedback" and one.result == "open":
                one.result = str(fact.codes.get("outcome", "not_known"))
                return


def _decided(before: Decision | None, fact: Fact) -> Decision:
    """A decision after a suspension counts as made on its own day; a later one changes nothing."""
    if before is not None and before.outcome != "suspended":
        return before
    outcome = str(fact.plain.get("outcome"))
    on = day(fact.plain.get("decided_on")) or fact.on
    reasons = tuple(str(one) for one in fact.codes.get("reason_codes") or ())
    on = day(fact.plain.get("decided_on")) or fact.on
    return Decision(on, outcome, reasons, outcome, fact.event_id)


_CHANGES: Mapping[str, Callable[[Life, Fact], None]] = {
    "CaseOpened": Life._opened,
    "IndicatorsScreened": Life._screened,
    "PresumptionRecorded": Life._presumed,
    "DutyNotificationSubmitted": Life._notified,
    "IdentityRecorded": Life._identity,
    "RecordCorrected": Life._corrected,
    "AgeAssessed": Life._assessed,
    "ConsentRefused": Life._refused,
    "ConsentGiven": Life._consented,
    "ConsentWithdrawn": Life._left,
    "ReferralMade": Life._referred,
    "ReferralAccepted": Life._accepted,
    "ReferralDeclined": Life._declined,
    "ReferralEnded": Life._ended,
    "ReasonableGroundsDecided": Life._reasonable_grounds,
    "ConclusiveGroundsDecided": Life._conclusive_grounds,
    "ReconsiderationDecided": Life._reconsidered,
    "RecoveryPeriodStarted": Life._recovery_started,
    "RecoveryPeriodChanged": Life._recovery_changed,
    "DisqualificationDecided": Life._disqualified,
    "ResidencePermitDecided": Life._permit,
    "CompensationClaimed": Life._claimed,
    "CompensationDecided": Life._compensated,
    "NonPunishmentRaised": Life._offence_raised,
    "NonPunishmentDecided": Life._offence_decided,
    "ProceedingLinked": Life._proceeding,
    "ReturnRiskAssessed": Life._return_assessed,
    "ReturnCompleted": Life._returned,
    "AccommodationPlaced": Life._placed,
    "AccommodationEnded": Life._moved_out,
    "CaseClosed": Life._closed,
    "CaseReopened": Life._reopened,
    "FeedbackRecorded": Life._said,
    "ComplaintResolved": Life._resolved,
}
COUNTED = frozenset(_CHANGES)
