"""The state machine of a case: eleven regions beside one another, as data.

    region   what runs through it
    case     from opening to closing, and back
    consent, referral, break_glass    one of each per record, referral and invocation
    recovery, removal, age, guardian, proceeding, return, asylum    one of each per case

A transition says what an event does to a region that stands in one of `frm`. The table is what the
fold (`states.py`) runs on and what the documents draw; it refuses nothing. What state or law
forbids is refused by `guards.py`, named here where a transition has one. Agencies see different
parts of a case and do not all record every step, so `frm` is as wide as practice is: an authority
may decide on a case nobody screened. An event that no transition takes is recorded and changes no
state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

ANY_OPEN = "any open"  # every state of the case region but closed
BACK = "as before"  # the state before the one the region is in now

BEFORE_REFERRAL = ("opened", "screened", "presumed", "notified_anonymously", "withdrawn")
UNDECIDED = (*BEFORE_REFERRAL, "identification_pending", "suspended", "rg_negative", "transferred")


@dataclass(frozen=True, slots=True)
class Transition:
    """In `region`, from one of `frm`, `event` leads to `to`.

    when: facts of the event that must have these values (any of them). by: roles that must have
    published it. adult: only if the person is no child in procedure. guard: the legal guard that
    may refuse the event, or that acts with it; `after`: it comes with time, not with an event.
    usual: those of `frm` that the picture shows, where practice is wider than the handbook.
    """

    region: str
    frm: tuple[str, ...]
    event: str
    to: str
    when: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    by: frozenset[str] = frozenset()
    adult: bool = False
    guard: str = ""
    after: str = ""
    usual: tuple[str, ...] = ()

    @property
    def drawn(self) -> tuple[str, ...]:
        """The states it is drawn from: those it usually starts in."""
        return self.usual or self.frm


# What a region that has several standings in one case tells them apart by: a fact of the event,
# or for a break-glass window the id of its invocation.
KEYS: Mapping[str, tuple[str, ...]] = {
    "consent": ("consent_id",),
    "referral": ("referral_id", "transfer_id"),
    "break_glass": ("invocation_event_id",),
}

# What a region is in before anything happened. "" means: there is none yet.
INITIAL: Mapping[str, str] = {
    "case": "",
    "consent": "",
    "referral": "",
    "recovery": "",
    "removal": "clear",
    "age": "",
    "guardian": "none",
    "proceeding": "none",
    "return": "none",
    "break_glass": "closed",
    "asylum": "none",
}


def _t(
    region: str,
    frm: tuple[str, ...] | str,
    event: str,
    to: str,
    *,
    by: str = "",
    adult: bool = False,
    guard: str = "",
    after: str = "",
    usual: tuple[str, ...] = (),
    **when: object,
) -> Transition:
    return Transition(
        region,
        (frm,) if isinstance(frm, str) else frm,
        event,
        to,
        {
            name: value if isinstance(value, tuple) else (value,)
            for name, value in sorted(when.items())
        },
        frozenset({by} if by else ()),
        adult,
        guard,
        after,
        usual,
    )


_CLOSED_BY = ("disqualified", "withdrawn", "completed")
_KEPT_BY = ("extended", "emergency_mode", "needs", "decision_pending")

TRANSITIONS: tuple[Transition, ...] = (
    # -- case
    _t("case", "", "CaseOpened", "opened", guard="G19"),
    _t("case", "opened", "IndicatorsScreened", "screened"),
    _t("case", ("opened", "screened"), "PresumptionRecorded", "presumed"),
    _t(
        "case",
        ("opened", "screened", "presumed"),
        "DutyNotificationSubmitted",
        "notified_anonymously",
        guard="G02",
    ),
    _t("case", ("notified_anonymously", "withdrawn"), "ConsentGiven", "presumed", guard="G20"),
    _t(
        "case",
        BEFORE_REFERRAL,
        "ReferralAccepted",
        "identification_pending",
        by="competent_authority",
        guard="G01",
        usual=("screened", "presumed"),
    ),
    _t(
        "case",
        UNDECIDED,
        "ReasonableGroundsDecided",
        "rg_positive",
        outcome="positive",
        guard="G05",
        usual=("identification_pending", "suspended"),
    ),
    _t(
        "case",
        UNDECIDED,
        "ReasonableGroundsDecided",
        "rg_negative",
        outcome="negative",
        usual=("identification_pending", "suspended"),
    ),
    _t(
        "case",
        UNDECIDED,
        "ReasonableGroundsDecided",
        "suspended",
        outcome="suspended",
        usual=("identification_pending",),
    ),
    _t(
        "case",
        (*UNDECIDED, "rg_positive", "cg_negative"),
        "ConclusiveGroundsDecided",
        "cg_positive",
        outcome="positive",
        guard="G06",
        usual=("rg_positive", "identification_pending"),
    ),
    _t(
        "case",
        (*UNDECIDED, "rg_positive", "cg_positive"),
        "ConclusiveGroundsDecided",
        "cg_negative",
        outcome="negative",
        guard="G06",
        usual=("rg_positive", "identification_pending"),
    ),
    _t(
        "case",
        ("rg_negative", "cg_negative"),
        "ReconsiderationRequested",
        "reconsideration",
        guard="G13",
        decision_ref=("rg", "cg"),
    ),
    _t(
        "case",
        ("reconsideration", "rg_negative"),
        "ReconsiderationDecided",
        "rg_positive",
        outcome="overturned",
        decision_ref="rg",
    ),
    _t(
        "case",
        ("reconsideration", "cg_negative"),
        "ReconsiderationDecided",
        "cg_positive",
        outcome="overturned",
        decision_ref="cg",
    ),
    _t(
        "case",
        "reconsideration",
        "ReconsiderationDecided",
        BACK,
        outcome=("upheld", "refused"),
        decision_ref=("rg", "cg"),
    ),
    _t(
        "case",
        ANY_OPEN,
        "ConsentWithdrawn",
        "withdrawn",
        adult=True,
        guard="G04",
        leave_nrm=True,
    ),
    _t("case", ANY_OPEN, "TransferAnswered", "transferred", guard="G10", outcome="accepted"),
    _t("case", ANY_OPEN, "CaseClosed", "closed", guard="G14"),
    _t("case", "closed", "CaseReopened", BACK),
    # -- consent, one per record
    _t("consent", ("", "refused", "withdrawn", "expired"), "ConsentRequested", "requested"),
    _t(
        "consent",
        ("", "requested", "refused", "withdrawn", "expired", "given"),
        "ConsentGiven",
        "given",
        guard="G01",
    ),
    _t("consent", ("", "requested"), "ConsentRefused", "refused"),
    _t("consent", "given", "ConsentAmended", "given"),
    _t("consent", "given", "ConsentWithdrawn", "withdrawn", extent="all"),
    _t("consent", "given", "ConsentExpired", "expired"),
    # -- referral, one per referral or transfer
    _t(
        "referral",
        ("", "declined", "ended"),
        "ReferralMade",
        "pending",
        guard="G01",
    ),
    _t("referral", ("", "declined", "ended"), "TransferOffered", "pending", guard="G10"),
    _t("referral", "pending", "ReferralAccepted", "accepted"),
    _t("referral", "pending", "TransferAnswered", "accepted", outcome="accepted"),
    _t("referral", "pending", "ReferralDeclined", "declined"),
    _t("referral", "pending", "TransferAnswered", "declined", outcome="declined"),
    _t("referral", ("pending", "accepted"), "ReferralEnded", "ended"),
    # -- recovery and removal
    _t("recovery", ("", "ended", "running"), "RecoveryPeriodStarted", "running", guard="G05"),
    _t("recovery", "running", "RecoveryPeriodChanged", "running", reason=_KEPT_BY),
    _t("recovery", "running", "RecoveryPeriodChanged", "ended", reason=_CLOSED_BY, guard="G08"),
    _t("removal", ("clear", "held"), "RemovalHoldPlaced", "held"),
    _t("removal", "held", "RemovalHoldLifted", "clear", guard="G07"),
    # -- child
    _t("age", "", "CaseOpened", "adult", age_status="adult"),
    _t("age", "", "CaseOpened", "child", age_status="child", guard="G03"),
    _t("age", "", "CaseOpened", "unknown", age_status="unknown", guard="G09"),
    _t("age", "", "CaseOpened", "age_disputed", age_status="age_disputed", guard="G09"),
    _t("age", ("adult", "child", "unknown"), "AgeDisputed", "age_disputed", guard="G09"),
    _t(
        "age",
        ("unknown", "age_disputed", "adult", "child"),
        "AgeAssessed",
        "child",
        outcome="child",
    ),
    _t(
        "age",
        ("unknown", "age_disputed", "adult", "child"),
        "AgeAssessed",
        "adult",
        outcome="adult",
    ),
    _t(
        "age",
        ("unknown", "adult", "child"),
        "AgeAssessed",
        "age_disputed",
        outcome="inconclusive",
    ),
    _t("age", "child", "", "adult", after="the 18th birthday", guard="G15"),
    _t("guardian", ("none", "appointed"), "GuardianAppointed", "appointed", guard="G09"),
    # -- justice
    _t("proceeding", "none", "ProceedingLinked", "linked"),
    _t(
        "proceeding",
        ("none", "linked", "decided"),
        "NonPunishmentRaised",
        "claim_open",
        guard="G11",
    ),
    _t(
        "proceeding",
        ("none", "linked", "claim_open"),
        "NonPunishmentDecided",
        "stayed",
        outcome="pending_nrm",
    ),
    _t(
        "proceeding",
        ("none", "linked", "claim_open", "stayed"),
        "NonPunishmentDecided",
        "decided",
        outcome=("discontinued", "not_charged", "conviction_quashed", "proceeded"),
    ),
    # -- return
    _t("return", ("none", "assessed"), "ReturnRiskAssessed", "assessed"),
    _t("return", "assessed", "ReturnAgreed", "agreed", guard="G10"),
    _t("return", "agreed", "ReturnCompleted", "returned"),
    _t("return", "agreed", "ConsentWithdrawn", "none", extent="all"),
    # -- emergency, one per invocation
    _t("break_glass", "closed", "BreakGlassInvoked", "open", guard="G12"),
    _t("break_glass", "open", "", "awaiting_review", after="the end of the window"),
    _t("break_glass", ("open", "awaiting_review"), "BreakGlassReviewed", "closed"),
    # -- asylum
    _t("asylum", ("none", "closed"), "AsylumClaimRecorded", "open", status="open", guard="G10"),
    _t("asylum", ("none", "open"), "AsylumClaimRecorded", "closed", status="closed"),
)

REGIONS = tuple(INITIAL)

# Events that follow from an earlier one. Where that is missing, readers of the case are told.
FOLLOWING = frozenset(
    {
        "ConclusiveGroundsDecided",
        "ReconsiderationDecided",
        "RecoveryPeriodChanged",
        "RemovalHoldLifted",
        "ReturnCompleted",
        "BreakGlassReviewed",
    }
)
