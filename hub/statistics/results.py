"""Results: the levels about what was decided, how long it took, and what people said.

Codes are those of the events' own enumerations. `parts.py` has the levels about who and how far.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hub.statistics.counts import Level
from hub.statistics.lives import Feedback, Life, Referral
from hub.statistics.parts import ON_THE_DAY, ROLES, adulthood, labels, level

# -- decisions and delays --------------------------------------------------------------------------

RG_OUTCOME: Level[Life] = level(
    "Outcome",
    lambda life: life.rg.first if life.rg else "not_known",
    labels(positive="Positive", negative="Negative", suspended="Suspended"),
    "As first decided; reconsideration does not change it. A decision after a suspension is the"
    " decision, on its own day.",
)


def _rg_detail(life: Life) -> str:
    if life.rg is not None and life.rg.first == "negative":
        return _reason(life.rg.reasons)
    if life.recovery_change in ("disqualified", "withdrawn") or life.disqualified:
        return "recovery_ended_early"
    if life.recovery is None:
        return "recovery_not_recorded"
    extended = life.recovery_change in ("extended", "needs", "decision_pending", "emergency_mode")
    return "recovery_extended" if extended else "recovery_granted"


def _reason(reasons: tuple[str, ...]) -> str:
    if len(reasons) != 1:
        return "several" if reasons else "not_known"
    return reasons[0]


RG_DETAIL: Level[Life] = level(
    "Recovery period, or reason",
    _rg_detail,
    labels(
        recovery_granted="Recovery period",
        recovery_extended="Recovery period, extended",
        recovery_ended_early="Recovery period ended early",
        recovery_not_recorded="No recovery period recorded",
        several="Several reasons",
    ),
    "Negative: the reason code, if it is one. Positive: no RecoveryPeriodStarted; ended early by"
    " disqualification or withdrawal; the last change an extension; else granted.",
    open_=True,
    only=frozenset({"positive", "negative"}),
)
CG_OUTCOME: Level[Life] = level(
    "Outcome",
    lambda life: life.cg.first if life.cg else "not_known",
    labels(positive="Positive", negative="Negative"),
    "As first decided; reconsideration does not change it.",
)
CG_REASON: Level[Life] = level(
    "Reason",
    lambda life: _reason(life.cg.reasons) if life.cg else "not_known",
    labels(several="Several reasons"),
    "The reason code, if it is one.",
    open_=True,
    only=frozenset({"negative"}),
)

_DELAYS = {
    "0-5": (5, "Up to 5 days"),
    "6-30": (30, "6 to 30 days"),
    "31-45": (45, "31 to 45 days"),
    "46-90": (90, "46 to 90 days"),
    "91-180": (180, "91 to 180 days"),
    "181-365": (365, "181 to 365 days"),
}


def delays(days: Callable[[Any], int | None]) -> Level[Any]:
    """By length of time."""

    def part(one: Any) -> str:
        length = days(one)
        if length is None:
            return "not_known"
        return next((name for name, (most, _) in _DELAYS.items() if length <= most), "366+")

    labels = {name: label for name, (_, label) in _DELAYS.items()}
    every = {**labels, "366+": "More than a year"}
    return level("Time taken", part, every, "In whole days; not known if a day is missing.")


WAITING_FOR: Level[Any] = Level(
    "Waiting for",
    lambda one: str(one.kind),
    {
        "reasonable_grounds": "Reasonable-grounds decision",
        "conclusive_grounds": "Conclusive-grounds decision",
    },
    means="Accepted by a competent authority and not decided (or suspended) on the last day; or"
    " reasonable grounds positive and no conclusive decision. Closed cases do not wait.",
)
MODE: Level[Any] = Level(
    "Referral accepted",
    lambda one: str(one.kind),
    {"ordinary": "In ordinary times", "emergency": "While an emergency mode was in force"},
    means="On a day from an EmergencyModeDeclared to its ends_on, or not.",
)
ADULT_OR_CHILD: Level[Any] = level(
    "Child or adult",
    lambda one: adulthood(one.life),
    labels(child="Child", adult="Adult"),
    ON_THE_DAY,
)

# -- services, justice, return ---------------------------------------------------------------------

REFERRED_TO: Level[Referral] = level(
    "Receiving organisation",
    lambda one: one.to_role or "not_known",
    ROLES,
    "Role of the agency the referral names.",
)
ANSWER: Level[Referral] = level(
    "Answer",
    lambda one: one.answer,
    labels(
        accepted="Accepted",
        pending="Not answered yet",
        expired="Lapsed without an answer",
        revoked="Revoked",
        ended="Ended before an answer",
        declined_no_capacity="Declined: no capacity",
        declined_out_of_scope="Declined: out of scope",
        declined_safety="Declined: safety",
        declined_client_choice="Declined: the person's choice",
        declined_other="Declined: other",
    ),
    "The first answer; without one, how the referral ended; else pending.",
)
PERMIT: Level[Life] = level(
    "Outcome",
    lambda life: life.permit.outcome if life.permit else "not_known",
    labels(granted="Granted", refused="Refused", renewed="Renewed", revoked="Revoked"),
    "Of the person's first ResidencePermitDecided.",
)
COMPENSATION: Level[Life] = level(
    "Result",
    lambda life: life.compensation,
    labels(
        open="Not decided yet",
        awarded="Awarded, not paid yet",
        settled="Settled",
        paid="Paid",
        refused="Refused",
    ),
    "Of the last CompensationDecided.",
)
NON_PUNISHMENT: Level[Life] = level(
    "Outcome",
    lambda life: life.offence,
    labels(
        open="Not decided yet",
        pending_nrm="Waits for the identification",
        discontinued="Discontinued",
        not_charged="Not charged",
        conviction_quashed="Conviction quashed",
        proceeded="Proceeded with",
    ),
    "Of the last NonPunishmentDecided.",
)
STAGE: Level[Life] = level(
    "Stage",
    lambda life: life.proceeding_stage,
    labels(
        reported="Reported",
        investigation="Investigation",
        charged="Charged",
        trial="Trial",
        judgment="Judgment",
        closed="Closed",
    ),
    "Of the last ProceedingLinked.",
)
RETURN_RISK: Level[Life] = level(
    "Risk assessed before return",
    lambda life: life.return_risk,
    labels(low="Low", medium="Medium", high="High"),
    "Of the last ReturnRiskAssessed.",
)
REOPENED: Level[str] = level(
    "Reason",
    lambda reason: reason,
    labels(
        retrafficked="Trafficked again",
        new_information="New information",
        overturned="Decision overturned",
        returned_to_support="Came back for support",
    ),
    "Of the reopening in the period: trafficked again if any of them was, else the last.",
)

# -- what people said ------------------------------------------------------------------------------

KIND: Level[Feedback] = level(
    "Kind",
    lambda one: one.kind,
    labels(feedback="Feedback", complaint="Complaint", safeguarding_concern="Safeguarding concern"),
    "Field kind of FeedbackRecorded.",
)
RESULT: Level[Feedback] = level(
    "Result",
    lambda one: one.result,
    labels(
        open="Open",
        upheld="Upheld",
        partly="Partly upheld",
        not_upheld="Not upheld",
        withdrawn="Withdrawn",
    ),
    "A ComplaintResolved is taken to answer the oldest open complaint or concern of the person.",
    only=frozenset({"complaint", "safeguarding_concern"}),
)
ABOUT: Level[Feedback] = level(
    "About",
    lambda one: one.about_role or "not_known",
    ROLES,
    "Role of the agency it is about.",
)
