"""Guards: may this event be recorded in this case at all? (admission step 7; docs/release.md 8)

Asked before the event changes anything. What is refused is what the catalogue's emitters, the
lifecycle of referrals and consents, or a legal guard clearly forbids. Recording is not releasing:
a guard never stands in for a release rule, and none refuses a person's withdrawal or leaving.

A child here is a child in procedure: a dispute by an enforcement agency counts (2.6a).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from hub.domain import consent as consents
from hub.domain.case import Case, CaseEvent
from hub.domain.catalogue import emitters_of
from hub.domain.dates import day, instant
from hub.domain.parties import HUB_ROLE, Parties
from hub.domain.policy import PolicyProfile
from hub.domain.reasons import REFUSED
from hub.domain.referral import MESSAGES, Referral
from hub.domain.timers import recovery_minimum


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an event is not recorded. guard: the legal guard, e.g. "G01", if one refused."""

    reason: str
    guard: str | None = None

    @property
    def detail(self) -> str:
        """What it means and what to do; never content."""
        return REFUSED[self.reason]


@dataclass(frozen=True, slots=True)
class _Ask:
    case: Case
    event: CaseEvent
    parties: Parties
    profile: PolicyProfile
    now: datetime

    @property
    def today(self) -> date:
        return self.now.date()

    @property
    def child(self) -> bool:
        return self.case.age.view(self.now, self.profile.enforcement_roles).in_procedure

    def fact(self, name: str) -> object:
        return self.event.facts.get(name)


# Types that concern no person; they need no opened case.
WITHOUT_CASE = frozenset({"StatisticsPublished", "EmergencyModeDeclared"})

# 8: what may be published into a case without a part in it.
UNINVOLVED = frozenset(
    {
        "CaseOpened",
        "ProceedingLinked",
        "ConsentWithdrawn",
        "FeedbackRecorded",
        "SubjectRequestReceived",
        "AgeDisputed",
        "BreakGlassInvoked",
        "BreakGlassReviewed",
        "RecallAnswered",
        "DeliveryAcknowledged",
        "EmergencyModeDeclared",
        "StatisticsPublished",
    }
)
HUB_DESK = "HUB"  # the hub's own name as an agency
BY_THE_LEFT_AUTHORITY = frozenset({"RecoveryPeriodChanged", "RemovalHoldLifted", "CaseClosed"})


def refuse(
    case: Case | None, event: CaseEvent, parties: Parties, profile: PolicyProfile, now: datetime
) -> Refusal | None:
    """The first reason to refuse `event`, or None. Changes nothing."""
    sender = parties.get(event.emitter)
    if event.role != HUB_ROLE and (sender is None or sender.role != event.role):
        return Refusal("unknown_agency")
    emitters = emitters_of(event.type)
    if event.role not in emitters and "any_authorised" not in emitters:
        return Refusal("role_may_not_emit")
    opened = case is not None and case.involvement.opener is not None
    if event.type == "CaseOpened":
        return Refusal("group_case_refused", "G19") if opened else None
    if not opened and event.type not in WITHOUT_CASE:
        return Refusal("unknown_case")
    ask = _Ask(case or Case(), event, parties, profile, now)
    if not _may_emit(ask):
        return Refusal("not_involved_emitter")
    guard = _GUARDS.get(event.type)
    return None if guard is None else guard(ask)


def _may_emit(ask: _Ask) -> bool:
    """8: involved, or one of those who may emit without being involved."""
    case, event = ask.case, ask.event
    if event.role == HUB_ROLE or event.type in UNINVOLVED or case.involved(event.emitter):
        return True
    if event.type in MESSAGES:
        if event.type in ("ReferralMade", "TransferOffered"):
            return False
        referral = case.involvement.referral_of(event)
        if referral is None:
            return False
        # 2.3: a sender may take its referral back, also after its own part in the case ended.
        taken_back = event.type == "ReferralEnded" and referral.sender == event.emitter
        return taken_back or referral.recipient == event.emitter
    if event.type == "AsylumClaimRecorded":
        return event.role == "immigration_status"
    return event.type in BY_THE_LEFT_AUTHORITY and event.emitter in case.involvement.left


# -- referrals and transfers (2.3) -----------------------------------------------------------


def _offer(ask: _Ask) -> Refusal | None:
    existing = ask.case.involvement.referral_of(ask.event)
    if existing is not None and existing.open:
        return Refusal("referral_exists")
    to = ask.parties.get(str(ask.fact("to_agency")))
    if to is None or to.role == HUB_ROLE:
        return Refusal("unknown_agency")
    if ask.child or ask.case.consents.names_actively(to.agency, ask.today):
        return None
    if ask.event.type == "TransferOffered":
        return Refusal("return_blocked", "G10")
    if ask.fact("basis") == "break_glass" and any(
        window.agency == ask.event.emitter and window.open(ask.now) for window in ask.case.windows
    ):
        return None
    return Refusal("consent_required", "G01")


def _own_referral(ask: _Ask) -> Referral | None:
    """The referral meant, if the asker is its sender or recipient, or the hub.

    For anybody else it is as if there were none: who tries ids must not learn that others are in
    touch about the person (4.7).
    """
    referral, event = ask.case.involvement.referral_of(ask.event), ask.event
    if referral is None or event.role == HUB_ROLE:
        return referral
    return referral if event.emitter in (referral.sender, referral.recipient) else None


def _answer(ask: _Ask) -> Refusal | None:
    referral = _own_referral(ask)
    if referral is None:
        return Refusal("unknown_referral")
    if referral.recipient != ask.event.emitter:
        return Refusal("not_the_recipient")
    return None if referral.pending else Refusal("referral_not_pending")


def _end(ask: _Ask) -> Refusal | None:
    referral = _own_referral(ask)
    if referral is None:
        return Refusal("unknown_referral")
    if not referral.open:
        return Refusal("referral_not_open")
    lapsed = referral.respond_by is None or ask.now > referral.respond_by
    if ask.fact("outcome") == "expired" and not lapsed:
        return Refusal("not_lapsed")
    return None


# -- consent ---------------------------------------------------------------------------------


def _give(ask: _Ask) -> Refusal | None:
    consent = ask.case.consent_of(ask.event)
    if consent is not None and consent.state == consents.GIVEN and consent.active(ask.today):
        return Refusal("consent_state")
    if ask.fact("interpreter_lapsed") is True:
        return Refusal("interpreter_lapsed")
    return _scope(ask)


def _scope(ask: _Ask) -> Refusal | None:
    """Whom the record names must be registered: a misspelt agency would wait for nothing."""
    scope = ask.fact("scope")
    named = scope if isinstance(scope, Mapping) else {}
    return None if all(_registered(ask, agency) for agency in named) else _UNKNOWN


def _registered(ask: _Ask, agency: str) -> bool:
    party = ask.parties.get(agency)
    return party is not None and party.role != HUB_ROLE


_UNKNOWN = Refusal("unknown_agency")


def _amend(ask: _Ask) -> Refusal | None:
    consent = ask.case.consent_of(ask.event)
    if consent is None:
        return Refusal("unknown_consent")
    return _scope(ask) if consent.state == consents.GIVEN else Refusal("consent_state")


def _withdraw(ask: _Ask) -> Refusal | None:
    """An unknown record is no hindrance to leaving: that needs no consent (G04).

    A withdrawal from nobody registered would be acknowledged and change nothing; one that names
    somebody registered is taken, whether the record names it or not: that is not for all to learn.
    """
    if ask.case.consent_of(ask.event) is None and ask.fact("leave_nrm") is not True:
        return Refusal("unknown_consent")
    extent = ask.fact("extent")
    if extent in ("recipients", "categories") and not ask.fact(str(extent)):
        return Refusal("empty_withdrawal")
    recipients = ask.fact("recipients")
    if extent == "recipients" and isinstance(recipients, Sequence) and not ask.fact("leave_nrm"):
        return None if any(_registered(ask, str(one)) for one in recipients) else _UNKNOWN
    return None


def _expire(ask: _Ask) -> Refusal | None:
    return Refusal("unknown_consent") if ask.case.consent_of(ask.event) is None else None


# -- law -------------------------------------------------------------------------------------


def _notify(ask: _Ask) -> Refusal | None:
    if {"identity", "contact"} & set(ask.event.categories):
        return Refusal("identity_in_notification", "G02")
    return Refusal("child_must_be_referred", "G03") if ask.child else None


def _conclude(ask: _Ask) -> Refusal | None:
    """G06: a negative decision, unless combined by a panel, not before the recovery minimum."""
    if ask.fact("outcome") == "positive" or ask.fact("combined_with_rg") is True:
        return None
    earliest = ask.case.progress.minimum_ends(_recovery_minimum(ask))
    decided = min(day(ask.fact("decided_on")) or ask.today, ask.today)
    if earliest is not None and decided < earliest:
        return Refusal("too_early", "G06")
    return None


def _recovery_minimum(ask: _Ask) -> int:
    """By the case's jurisdiction and the day the period starts, as the timers have it."""
    starts = ask.case.progress.recovery_start or ask.case.progress.positive_on or ask.today
    return recovery_minimum(ask.profile.timers, ask.case.jurisdiction, starts)


def _change_recovery(ask: _Ask) -> Refusal | None:
    """Ends earlier than its minimum only by disqualification, or because an adult leaves."""
    progress, reason = ask.case.progress, ask.fact("reason")
    if reason == "disqualified":
        return None if progress.disqualified else Refusal("no_disqualification", "G08")
    if reason == "withdrawn":
        return Refusal("adult_only", "G04") if ask.child else None
    earliest = progress.minimum_ends(_recovery_minimum(ask))
    ends = day(ask.fact("ends_on"))
    if earliest is not None and ends is not None and ends < earliest:
        return Refusal("too_early", "G05")
    return None


def _lift_hold(ask: _Ask) -> Refusal | None:
    progress = ask.case.progress
    if (
        progress.recovery_running(ask.today)
        or progress.appeal_open
        or (ask.child and not progress.best_interests)
    ):
        return Refusal("hold_stays", "G07")
    return None


def _agree_return(ask: _Ask) -> Refusal | None:
    progress = ask.case.progress
    if (
        ask.fact("voluntary") is not True
        or progress.return_risk in (None, "high")
        or (ask.child and "return" not in progress.best_interests)
    ):
        return Refusal("return_blocked", "G10")
    return None


def _break_glass(ask: _Ask) -> Refusal | None:
    expires = instant(ask.fact("expires_at"))
    if ask.fact("two_persons") is not True or expires is None or expires <= ask.now:
        return Refusal("break_glass_refused", "G12")
    return None


# -- the rest --------------------------------------------------------------------------------


def _appoint(ask: _Ask) -> Refusal | None:
    guardian = ask.parties.get(str(ask.fact("guardian_agency")))
    if guardian is None or guardian.role == HUB_ROLE:
        return Refusal("unknown_agency")
    return None


def _correct(ask: _Ask) -> Refusal | None:
    """The correction is sealed in the category of the field it corrects, and in no other."""
    if ask.case.find(str(ask.fact("corrects_event"))) is None:
        return Refusal("unknown_event")
    category = ask.case.category_corrected_by(ask.event.facts)
    if category is None:
        return Refusal("unknown_field")
    if set(ask.event.categories) - {"case_management", category}:
        return Refusal("wrong_category")
    return None


def _feedback(ask: _Ask) -> Refusal | None:
    """A misspelt agency would itself be shown the complaint about it (4.11 would not match)."""
    about = str(ask.fact("about_agency"))
    if about == HUB_DESK or ask.parties.get(about) is not None:
        return None
    return Refusal("unknown_agency")


def _reopen(ask: _Ask) -> Refusal | None:
    return None if ask.case.progress.closed else Refusal("wrong_state")


def _publish(ask: _Ask) -> Refusal | None:
    return Refusal("small_cell", "G18") if ask.fact("small_cells") is True else None


_GUARDS: Mapping[str, Callable[[_Ask], Refusal | None]] = {
    "ReferralMade": _offer,
    "TransferOffered": _offer,
    "ReferralAccepted": _answer,
    "ReferralDeclined": _answer,
    "TransferAnswered": _answer,
    "ReferralEnded": _end,
    "ConsentGiven": _give,
    "ConsentAmended": _amend,
    "ConsentWithdrawn": _withdraw,
    "ConsentExpired": _expire,
    "DutyNotificationSubmitted": _notify,
    "ConclusiveGroundsDecided": _conclude,
    "RecoveryPeriodChanged": _change_recovery,
    "RemovalHoldLifted": _lift_hold,
    "ReturnAgreed": _agree_return,
    "BreakGlassInvoked": _break_glass,
    "GuardianAppointed": _appoint,
    "RecordCorrected": _correct,
    "FeedbackRecorded": _feedback,
    "CaseReopened": _reopen,
    "StatisticsPublished": _publish,
}
