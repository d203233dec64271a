"""Identification, recovery and hold, reconsideration, prosecution (T01–T04, T12; G05, G11)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta

from hub.domain.agenda.look import Look
from hub.domain.dates import day
from hub.domain.progress import ENDS_RECOVERY
from hub.domain.timers import (
    HOLIDAYS,
    end_of,
    recovery_minimum,
    start_of,
    working_days_after,
)
from hub.domain.work_kinds import AUTHORITY

DECISION = "rg"
_UNTIL_DECIDED = ("reasonable_grounds_due", "child_panel_due")
_IDENTIFICATION = (
    *_UNTIL_DECIDED,
    "recovery_start_due",
    "conclusive_possible",
    "reconsideration_window",
)
# What a closed case no longer asks of anybody. Consents and referrals still lapse, and what was
# recalled, asked for or looked at under break-glass still waits for its answer.
_CLOSED = (
    *_IDENTIFICATION,
    "recovery_end_due",
    "referral_lapsed",
    "consent_expired",
    "guardian_missing",
    "coming_of_age",
    "age_appeal_over",
    "age_dispute_contestable",
    "proceeding_contestable",
    "permit_renewal",
    "prosecutor_to_be_told",
    "withheld",
)


def referral_accepted(look: Look) -> None:
    """T01 and, for a child, T04: from the day the competent authority took the referral."""
    referral = look.case.involvement.referral_of(look.event)
    if look.event.role != AUTHORITY or referral is None or not referral.involves:
        return
    working = look.days("T01_reasonable_grounds_working_days")
    last = working_days_after(look.day, working, look.length(HOLIDAYS) or ())
    mine = {AUTHORITY: look.event.emitter}
    look.open("reasonable_grounds_due", DECISION, due=end_of(last), named=mine)
    _tell_prosecutor(look)
    if look.child:
        panel = look.days("T04_child_panel_days")
        look.open(
            "child_panel_due", DECISION, due=end_of(look.day + timedelta(days=panel)), named=mine
        )


def reasonable_grounds(look: Look) -> None:
    outcome = look.fact("outcome")
    if outcome == "suspended":
        return
    for kind in _UNTIL_DECIDED:
        look.settle(kind)
    if outcome == "positive":
        _positive(look)
    else:
        _reconsider(look, "rg")


def _positive(look: Look) -> None:
    """G05: recovery starts; T03: a conclusive decision is possible after the minimum."""
    decided = day(look.fact("decided_on")) or look.day
    mine = {AUTHORITY: look.event.emitter}
    if look.case.progress.recovery_start is None:
        last = working_days_after(look.day, 1, look.length(HOLIDAYS) or ())
        look.open("recovery_start_due", DECISION, due=end_of(last), named=mine)
    earliest = max(
        recovery_minimum(look.profile.timers, look.case.jurisdiction, decided),
        look.days("T03_conclusive_grounds_earliest_days", decided),
    )
    look.open(
        "conclusive_possible",
        "cg",
        opens=start_of(decided + timedelta(days=earliest)),
        named=mine,
    )
    _tell_prosecutor(look)


def recovery_started(look: Look) -> None:
    look.settle("recovery_start_due")
    progress = look.case.progress
    start = progress.recovery_start or look.day
    minimum = max(
        progress.minimum_days,
        recovery_minimum(look.profile.timers, look.case.jurisdiction, start),
    )
    ends = progress.recovery_ends or start + timedelta(days=minimum)
    mine = {AUTHORITY: look.event.emitter}
    look.open("recovery_end_due", "recovery", due=end_of(ends), named=mine)
    earliest = max(minimum, look.days("T03_conclusive_grounds_earliest_days", start))
    if look.standing("conclusive_possible"):
        look.open(
            "conclusive_possible",
            "cg",
            opens=start_of(start + timedelta(days=earliest)),
            named=mine,
        )
    _hold(look)


def recovery_changed(look: Look) -> None:
    if look.fact("reason") in ENDS_RECOVERY:
        look.settle("recovery_end_due")
        look.settle("removal_hold_due")
        return
    ends = look.case.progress.recovery_ends
    if ends is not None:
        look.open(
            "recovery_end_due",
            "recovery",
            due=end_of(ends),
            named={AUTHORITY: look.event.emitter},
        )
        _hold(look)


def _hold(look: Look) -> None:
    """T02: no day of the recovery period without a hold. The hub places one if nobody did."""
    ends = look.case.progress.recovery_ends
    covered = look.case.progress.held_until
    if ends is None or (covered is not None and covered >= ends):
        return
    look.open(
        "removal_hold_due",
        "hold",
        due=look.event.at,
        detail={"until": ends.isoformat()},
        named={AUTHORITY: look.event.emitter},
    )


def hold_placed(look: Look) -> None:
    for item in look.standing("removal_hold_due"):
        covered = look.case.progress.held_until
        if covered is not None and covered.isoformat() >= item.detail.get("until", ""):
            look.settle("removal_hold_due", item.ref)


def conclusive_grounds(look: Look) -> None:
    for kind in (*_UNTIL_DECIDED, "conclusive_possible"):
        look.settle(kind)
    if look.fact("outcome") == "negative":
        _reconsider(look, "cg")


def _reconsider(look: Look, decision: str) -> None:
    """T12: told to the case holder if the decision was released to it, else left to the decider."""
    _within_t12(look, "reconsideration_window", decision)


def _within_t12(look: Look, kind: str, decision: str) -> None:
    window = look.days("T12_reconsideration_days")
    look.open(
        kind,
        decision,
        due=end_of(look.day + timedelta(days=window)),
        detail={"decision": decision},
    )


def reconsideration_asked(look: Look) -> None:
    about = str(look.fact("decision_ref"))
    look.settle("reconsideration_window", about)
    _within_t12(look, "reconsideration_undecided", about)


def reconsideration_decided(look: Look) -> None:
    """What a positive decision starts, starts as well when a negative one is overturned."""
    about = str(look.fact("decision_ref"))
    look.settle("reconsideration_undecided", about)
    if look.fact("outcome") != "overturned":
        return
    if about == "rg":
        _positive(look)
    elif about == "cg":
        _tell_prosecutor(look)


# -- G11 -------------------------------------------------------------------------------------------


def non_punishment(look: Look) -> None:
    """A suspect in the procedure: the prosecutor must hear of a pending or positive decision."""
    progress = look.case.progress
    if not progress.closed and (look.authority() or progress.positive_on is not None):
        _tell_prosecutor(look)


def _tell_prosecutor(look: Look) -> None:
    """Somebody who knows of the claim and of the identification, and never the prosecutor, whom a
    list must not tell what consent withholds. Else the auditor."""
    if look.standing("prosecutor_to_be_told"):
        return
    raised = [one for one in look.case.events if one.type == "NonPunishmentRaised"]
    if not raised:
        return
    raiser = raised[-1]
    owner = ""
    for agency in (look.authority(), raiser.emitter):
        held = look.case.holdings.get(agency, {})
        claim = agency == raiser.emitter or (raiser.event_id, "alleged_offence") in held
        if agency and claim and look.knows(agency) and look.role_of(agency) != "prosecutor":
            owner = agency
            break
    look.open("prosecutor_to_be_told", "identification", named={AUTHORITY: owner})


def non_punishment_decided(look: Look) -> None:
    look.settle("prosecutor_to_be_told")


# -- endings ---------------------------------------------------------------------------------------


def left(look: Look) -> None:
    """2.4: whoever was left has nothing more to decide."""
    if look.settlement.left:
        for kind in _IDENTIFICATION:
            look.settle(kind)


def closed(look: Look) -> None:
    for kind in _CLOSED:
        look.settle(kind)


RULES: Mapping[str, tuple[Callable[[Look], None], ...]] = {
    "ReferralAccepted": (referral_accepted,),
    "ReasonableGroundsDecided": (reasonable_grounds,),
    "ConclusiveGroundsDecided": (conclusive_grounds,),
    "ReconsiderationRequested": (reconsideration_asked,),
    "ReconsiderationDecided": (reconsideration_decided,),
    "RecoveryPeriodStarted": (recovery_started,),
    "RecoveryPeriodChanged": (recovery_changed,),
    "RemovalHoldPlaced": (hold_placed,),
    "NonPunishmentRaised": (non_punishment,),
    "NonPunishmentDecided": (non_punishment_decided,),
    "ConsentWithdrawn": (left,),
    "CaseClosed": (closed,),
}
