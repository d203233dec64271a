"""The decision, docs/release.md 4, in one reading from top to bottom: first match wins.

A basis is a text that releases; `Withheld` holds the reason that withholds. Nothing else is told:
further reasons after the first are the hub's to record.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from nrm_verify.case import OFFER_MESSAGES, Case, Event
from nrm_verify.consents import Before
from nrm_verify.register import Profile

CONSENT = "consent:"


@dataclass(frozen=True, slots=True)
class Withheld:
    """Not released, for this reason."""

    reason: str


@dataclass(frozen=True, slots=True)
class Released:
    """Released on this basis; window: the invocation it came through."""

    basis: str
    window: str = ""


Answer = Released | Withheld


@dataclass(frozen=True, slots=True)
class Question:
    """This category of this event, for this agency, now.

    age: (child, disputed by enforcement). receives: has a data-sharing agreement. first: the event
    is being decided for the first time. glass: whether break-glass windows count (6.5).
    involved: everybody who is, by 2.1.
    """

    case: Case
    event: Event
    agency: str
    role: str
    receives: bool
    profile: Profile
    now: datetime
    age: tuple[bool, bool]
    involved: frozenset[str]
    category: str = ""
    first: bool = True
    glass: bool = True

    @property
    def child(self) -> bool:
        """2.6 and 2.6a, for the release to this agency."""
        child, disputed = self.age
        return child or (disputed and self.role in self.profile.served)


def answer(ask: Question) -> Answer:
    """2.12 comes last: without an agreement, what would be released is not."""
    found = _answer(ask)
    if isinstance(found, Released) and not ask.receives:
        return Withheld("no_agreement")
    return found


def _answer(ask: Question) -> Answer:
    case, event, profile, today = ask.case, ask.event, ask.profile, ask.now.date()
    consents = case.consents
    # 1
    if ask.role == "embassy" and (case.asylum or event.type == "AsylumClaimRecorded"):
        return Withheld("asylum_embassy")
    # 2
    if ask.glass and ask.category in profile.glass(ask.role):
        window = case.window(ask.agency, ask.category, ask.now)
        if window is not None:
            return Released("vital_interests", window.invocation)
    # 3
    if event.type == "DutyNotificationSubmitted":
        if ask.role in ("competent_authority", "police"):
            return Released("legal_obligation")
        return Withheld("not_involved")
    mode = profile.mode(ask.role, ask.category)
    # 4
    if mode == "N":
        return Withheld("never_rule")
    # 5
    if mode == "A":
        if ask.category != "deidentified_account":
            return Released("statutory_minimum")
        mode = "C"
    # 6
    involved = ask.agency in ask.involved
    if not involved and case.offered_to(event) != ask.agency:
        return Withheld("not_involved")
    # 7
    message = event.type in OFFER_MESSAGES
    if message and not _is_party(ask):
        return Withheld("not_party")
    # 8
    telling = event.group == "consent"
    just = consents.just_before if ask.first else None
    if just is not None and just.message != event.id:
        just = None
    if telling:
        record = consents.get(event.facts)
        named_now = record is not None and record.names(ask.agency)
        if not named_now and (just is None or ask.agency not in just.named):
            return Withheld("not_party")
    # 9
    if event.type == "CaseLinkDecided":
        if ask.category == "consent":
            return _answer(replace(ask, category="linkage"))
        if ask.category == "linkage" and event.facts.get("agreed_by_person") is not True:
            return Withheld(consents.why_not(ask.agency, "linkage", today))
    # 10
    passes = profile.passes(ask.role, event.group)
    if ask.category == "case_management" and not message and not passes:
        missing = event.type == "AccommodationEnded" and event.facts.get("reason") == "missing"
        if missing and ask.child and ask.role == "police" and involved:
            return Released("safeguarding")
        return Withheld("not_relevant")
    # 11
    if event.type == "FeedbackRecorded" and event.facts.get("about_agency") == ask.agency:
        mode = "C"
    if event.type == "ComplaintResolved" and (
        case.complaints.get(ask.agency, event.position) < event.position
    ):
        mode = "C"
    if mode == "D":
        # 12
        private = ask.role in profile.private and not ask.child and ask.agency != case.opener
        if private and not consents.some_active(ask.agency, today):
            still = telling and just is not None and _named_before(ask, just)
            if not still:
                return Withheld(consents.why_not(ask.agency, None, today))
        # 13
        return Released("public_task")
    # 14
    if mode in ("K", "X") and ask.child:
        return Released("safeguarding")
    if mode == "X":
        return Withheld("age_rule")
    # 15
    basis = consents.basis(ask.agency, ask.category, event.position, today)
    if basis is not None:
        return Released(CONSENT + basis)
    return Withheld(consents.why_not(ask.agency, ask.category, today))


def _is_party(ask: Question) -> bool:
    """7: its sender or recipient, the person's lawyer or guardian."""
    if ask.role in ("legal_rep", "guardian") or ask.agency == ask.case.guardian:
        return True
    offer = ask.case.about.get(ask.event.id)
    return offer is not None and ask.agency in (offer.sender, offer.recipient)


def _named_before(ask: Question, before: Before) -> bool:
    """12: an active consent just before this very message suffices."""
    today = ask.now.date()
    if ask.agency in before.named and not before.over and today <= before.until:
        return True
    return any(
        one.names(ask.agency) and one.active(today)
        for one in ask.case.consents.given.values()
        if one.id != before.consent
    )


def pair_of(event: Event, category: str) -> str:
    """Category of the consent's pair that a release rests on; a link's consent: `linkage` (9)."""
    linked = event.type == "CaseLinkDecided" and category == "consent"
    return "linkage" if linked else category
