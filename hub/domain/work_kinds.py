"""The kinds of work there are: whose each is, what it waits for, what settles it.

Owners are roles: those of the policy profile, and `operator` (of the hub) and `data_controller`;
or words for whoever it is in the case at hand. Where one agency is meant it stands beside the
role. A profile may name other owners; `check` says which. docs/work.md lists every kind, held by
a test.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

NORMAL, LOW, HIGH = "normal", "low", "high"

AUDITOR, OPERATOR, CONTROLLER = "auditor", "operator", "data_controller"
OFFICES: Final = (OPERATOR, CONTROLLER)  # roles of people who are no agency

# Owners found in the case at hand. Who is meant must know of the event that opened the item.
HOLDER = "case_holder"  # the opener, else guardian, else another agency with a part in the case
RECIPIENT, SENDER, EMITTER, AUTHORITY = "recipient", "sender", "emitter", "competent_authority"
WORDS: Final = (HOLDER, RECIPIENT, SENDER, EMITTER)


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of item.

    owner, escalates: a role or a word above; `escalates` sees the item too once it is overdue.
    closes: what settles it. event: what the hub itself publishes when it falls due.
    told: whom the profile may put in the owner's place; empty: any role.
    regardless: shown to its owner even where the opening event was withheld from it.
    own: stays visible to its owner after the owner's part in the case has ended.
    rests_on: category of the opening event that the item gives away; its owner must hold it.
    """

    says: str
    owner: str
    closes: str
    escalates: str = AUDITOR
    timer: str = ""
    urgency: str = NORMAL
    event: str = ""
    told: tuple[str, ...] = ()
    regardless: bool = False
    own: bool = False
    rests_on: str = ""


_NARROW: Final = (HOLDER, AUDITOR, CONTROLLER, OPERATOR)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        # Referrals and transfers
        "referral_unanswered": Kind(
            "A referral waits for an answer.",
            RECIPIENT,
            "accepted, declined, ended",
            escalates="",
            timer="T06",
            urgency=HIGH,
            event="ReferralEnded",
            own=True,
        ),
        "referral_lapsed": Kind(
            "Nobody answered the referral in time; refer to another agency.",
            SENDER,
            "another ReferralMade of the sender, closure, a person",
            urgency=HIGH,
            own=True,
        ),
        "transfer_unanswered": Kind(
            "A transfer waits for an answer.", RECIPIENT, "answered", timer="T06", own=True
        ),
        # Identification, recovery, hold
        "reasonable_grounds_due": Kind(
            "The reasonable grounds decision is to be made.",
            AUTHORITY,
            "ReasonableGroundsDecided (not suspended), combined decision, closure, leaving",
            timer="T01",
        ),
        "child_panel_due": Kind(
            "The child panel's decision is to be made; when overdue, route the case back.",
            AUTHORITY,
            "as reasonable_grounds_due",
            timer="T04",
        ),
        "recovery_start_due": Kind(
            "Reasonable grounds are positive; the recovery period is to be started (G05).",
            AUTHORITY,
            "RecoveryPeriodStarted, closure, leaving",
            timer="T02",
            urgency=HIGH,
        ),
        "removal_hold_due": Kind(
            "No removal hold covers the recovery period.",
            AUTHORITY,
            "RemovalHoldPlaced",
            timer="T02",
            urgency=HIGH,
            event="RemovalHoldPlaced",
        ),
        "recovery_end_due": Kind(
            "The recovery period ends; until then removal is barred.",
            AUTHORITY,
            "RecoveryPeriodChanged (completed, disqualified, withdrawn), closure",
            timer="T02",
        ),
        "conclusive_possible": Kind(
            "The recovery minimum has passed; a conclusive decision is possible.",
            AUTHORITY,
            "ConclusiveGroundsDecided, closure, leaving",
            timer="T03",
        ),
        "reconsideration_window": Kind(
            "A negative decision can be reconsidered; tell the person before the window closes.",
            HOLDER,
            "ReconsiderationRequested about it, the window's end, closure",
            timer="T12",
            rests_on="decision",
        ),
        "reconsideration_undecided": Kind(
            "A reconsideration was asked for and is to be decided.",
            AUTHORITY,
            "ReconsiderationDecided about it",
            timer="T12",
        ),
        "prosecutor_to_be_told": Kind(
            "A prosecutor has to be told that identification is pending or positive (G11).",
            AUTHORITY,
            "NonPunishmentDecided, closure, a person",
            urgency=HIGH,
        ),
        # Consent
        "consent_expiring": Kind(
            "A consent ends soon; ask the person whether to renew it.",
            HOLDER,
            "amended, withdrawn, expired",
            timer="T05",
            event="ConsentExpired",
            escalates="",
        ),
        "consent_expired": Kind(
            "A consent has ended and nothing more is released on it.",
            HOLDER,
            "ConsentRequested or ConsentGiven, closure, a person",
        ),
        # The child
        "guardian_missing": Kind(
            "A child, or a person presumed to be one, has no guardian (G09).",
            "child_protection",
            "GuardianAppointed, AgeAssessed (adult), closure",
            urgency=HIGH,
        ),
        "coming_of_age": Kind(
            "The person comes of age; own consent is needed to stay (G15).",
            HOLDER,
            "consent by the person, ConsentAmended (reached_18), AgeAssessed (adult), closure",
            timer="T07",
        ),
        "age_appeal_over": Kind(
            "The window to appeal an age assessment is over.",
            EMITTER,
            "another AgeAssessed or AgeDisputed, closure, a person",
            timer="T14",
            own=True,
        ),
        "age_dispute_contestable": Kind(
            "Somebody declared the person's age disputed; it can be contested.",
            HOLDER,
            "AgeAssessed, closure, a person (contested: to the auditor)",
            told=_NARROW,
            regardless=True,
        ),
        "proceeding_contestable": Kind(
            "Somebody linked a proceeding and has a part in the case by it; it can be contested.",
            HOLDER,
            "closure, a person (contested: to the auditor)",
            told=_NARROW,
            regardless=True,
        ),
        "contested": Kind(
            "An age dispute or a linked proceeding was contested; examine it.",
            AUDITOR,
            "a person",
            escalates=CONTROLLER,
        ),
        # Permit, return
        "permit_renewal": Kind(
            "A residence permit ends soon; ask for its renewal.",
            HOLDER,
            "the next ResidencePermitDecided, closure, a person",
            timer="T13",
            rests_on="immigration",
        ),
        "return_follow_up": Kind(
            "A person who returned is to be followed up.",
            EMITTER,
            "a person",
            timer="T16",
            own=True,
        ),
        # Rights
        "subject_request_due": Kind(
            "A request of the person is to be decided.",
            EMITTER,
            "SubjectRequestDecided",
            escalates=CONTROLLER,
            timer="T08",
            own=True,
        ),
        "break_glass_review": Kind(
            "A break-glass access is to be reviewed (G12).",
            AUDITOR,
            "BreakGlassReviewed",
            escalates=CONTROLLER,
            timer="T10",
            urgency=HIGH,
        ),
        "break_glass_person_to_be_told": Kind(
            "The window is shut; the person is to be told that it was opened (G12).",
            EMITTER,
            "BreakGlassReviewed with person_informed, a person",
            timer="T09",
            own=True,
        ),
        "retention_due": Kind(
            "The file was kept as long as stated; decide whether to erase it.",
            CONTROLLER,
            "erasure, CaseReopened, a person",
            timer="T15",
        ),
        "statistics_due": Kind(
            "The table of a period that ended is to be published.",
            "national_rapporteur",
            "StatisticsPublished for it, a person",
            timer="T17",
        ),
        # Withheld, recalled, stalled
        "withheld": Kind(
            "Parts of an event were withheld from an agency with a part in the case.",
            HOLDER,
            "closure, a person",
            escalates="",
            urgency=LOW,
            told=_NARROW,
        ),
        "recall_open": Kind(
            "A recall waits for the answer of the agency that holds what is recalled.",
            RECIPIENT,
            "its signed receipt",
            timer="T11",
            urgency=HIGH,
            regardless=True,
            own=True,
        ),
        "dead_letter": Kind(
            "A delivery was set aside at the partner's site and not applied.",
            RECIPIENT,
            "a later receipt that says it was applied or discarded, a person",
            escalates=OPERATOR,
            own=True,
        ),
        "recipient_silent": Kind(
            "A recipient has not answered its deliveries.",
            OPERATOR,
            "its receipt",
            escalates="",
            urgency=HIGH,
        ),
        "publisher_lag": Kind(
            "What was decided waits to be sent.",
            OPERATOR,
            "the publisher has caught up",
            escalates="",
            urgency=HIGH,
        ),
        "checkpoint_late": Kind(
            "Events have waited over a minute for a signed checkpoint.",
            OPERATOR,
            "the next checkpoint",
            escalates="",
            urgency=HIGH,
        ),
        "witness_silent": Kind(
            "A witness has not cosigned a checkpoint for half an hour.",
            OPERATOR,
            "its next cosignature",
            escalates="",
            urgency=HIGH,
        ),
        "witness_disagrees": Kind(
            "A witness says that this log was rolled back or forked; call the auditors.",
            OPERATOR,
            "its next cosignature, a person",
            escalates=AUDITOR,
            urgency=HIGH,
        ),
        "sender_refused": Kind(
            "Submissions of a sender were refused; see: nrm-hub refusals.",
            OPERATOR,
            "a person",
            escalates="",
        ),
        "own_event_refused": Kind(
            "An event of the hub itself was refused; a person has to do what it was for.",
            OPERATOR,
            "a person",
            escalates=AUDITOR,
            urgency=HIGH,
        ),
        "not_followed": Kind(
            "An event could not be followed on this list; look at its case by hand.",
            OPERATOR,
            "a person",
            urgency=HIGH,
        ),
        "browsing_alarm": Kind(
            "A viewer of the console opened more than work asks for; see: nrm-hub audit looks.",
            AUDITOR,
            "a person",
            escalates=CONTROLLER,
            urgency=HIGH,
        ),
        "notices_undelivered": Kind(
            "Notices do not reach their receiver.",
            OPERATOR,
            "the receiver takes them again",
            escalates="",
            urgency=HIGH,
        ),
    }
)


def check(owners: Mapping[str, Any], roles: Mapping[str, object]) -> str | None:
    """What is wrong with a profile's `work`, as one sentence; None if nothing is."""
    for name, owner in owners.items():
        kind = KINDS.get(name)
        if kind is None:
            return f"{name} is no kind of work item; docs/work.md lists them"
        if owner not in roles and owner not in (*WORDS, *OFFICES):
            return f"{name}: {owner} is neither a role of the matrix nor one of docs/work.md"
        if kind.told and owner not in kind.told:
            return f"{name} may go to {', '.join(kind.told)} only: it speaks of what was withheld"
    return None


def owner_word(kind: str, owners: Mapping[str, str]) -> str:
    """The role or word that owns items of this kind under a profile's `work`."""
    return owners.get(kind) or KINDS[kind].owner
