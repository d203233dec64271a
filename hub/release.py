"""Release: may this agency see this category of this event, and why?

Pure and total. No clock, no I/O, no settings: everything the answer depends on is an argument, so
that an auditor can ask again years later and get the same answer. Default deny; a rule that raises
withholds.

The rules are a list, asked in order; each has the number it bears in docs/release.md 4. A rule
answers Released, Withheld or nothing. The first answer decides. If it withholds, later rules are
still asked, so that a refusal lists its further reasons too, up to the first that would release.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from functools import lru_cache

from hub.domain.age import AgeView
from hub.domain.case import Case, CaseEvent
from hub.domain.catalogue import CONSENT_GROUP, group_of
from hub.domain.parties import Parties, Party
from hub.domain.policy import PolicyProfile
from hub.domain.referral import MESSAGES
from hub.domain.settlement import Outcome, Released, Withheld

__all__ = [
    "RULES",
    "Ask",
    "Outcome",
    "Released",
    "Withheld",
    "decide",
    "redecide",
    "standing",
    "still_stands",
]

VITAL_INTERESTS = "vital_interests"
CONSENT = "consent:"  # basis of a release on consent: this and the record's id


class Ask:
    """One question: this category of this event, for this agency, in this state of the case.

    age: the person's age as of `now`. first: the event is being decided for the first time; False
    for backfill and for decisions made again. windows: whether break-glass windows count (6.5).
    child: a child for the release to this recipient (2.6, 2.6a). concerned: involved, or recipient
    of the pending referral this message is about (2.2). mode: matrix entry; rules 5 and 11 change
    how later rules read it.

    One Ask serves all categories of an event for one agency: set `category`, then decide.
    """

    __slots__ = (
        "age",
        "agency",
        "case",
        "category",
        "child",
        "concerned",
        "event",
        "first",
        "involved",
        "mode",
        "now",
        "party",
        "profile",
        "role",
        "today",
        "windows",
    )

    def __init__(
        self,
        case: Case,
        event: CaseEvent,
        party: Party,
        profile: PolicyProfile,
        now: datetime,
        *,
        age: AgeView,
        category: str = "",
        first: bool = True,
        windows: bool = True,
    ) -> None:
        self.case = case
        self.event = event
        self.party = party
        self.agency = party.agency
        self.role = party.role
        self.profile = profile
        self.now = now
        self.today = now.date()
        self.age = age
        self.category = category
        self.first = first
        self.windows = windows
        self.mode = "N"
        self.child = age.for_role(party.role, profile.enforcement_dispute_serves)
        self.involved = case.involved(party.agency)
        self.concerned = self.involved or case.involvement.pending_recipient(event) == party.agency

    def about(self, category: str) -> Ask:
        """The same question about another category."""
        return Ask(
            self.case,
            self.event,
            self.party,
            self.profile,
            self.now,
            age=self.age,
            category=category,
            first=self.first,
            windows=self.windows,
        )


def _withheld(reason: str) -> Withheld:
    return Withheld((reason,))


ASYLUM_EMBASSY = _withheld("asylum_embassy")
NEVER_RULE = _withheld("never_rule")
NOT_INVOLVED = _withheld("not_involved")
NOT_PARTY = _withheld("not_party")
NOT_RELEVANT = _withheld("not_relevant")
AGE_RULE = _withheld("age_rule")
RULE_FAILED = _withheld("rule_failed")
NO_AGREEMENT = _withheld("no_agreement")

LEGAL_OBLIGATION = Released("legal_obligation")
STATUTORY_MINIMUM = Released("statutory_minimum")
PUBLIC_TASK = Released("public_task")
SAFEGUARDING = Released("safeguarding")


# -- the rules, docs/release.md 4 ------------------------------------------------------------


def rule_1_embassy_and_asylum(ask: Ask) -> Outcome | None:
    """While an asylum claim is open nothing reaches an embassy, and no claim ever does."""
    if ask.role != "embassy":
        return None
    if ask.case.asylum_open or ask.event.type == "AsylumClaimRecorded":
        return ASYLUM_EMBASSY
    return None


def rule_2_break_glass_window(ask: Ask) -> Outcome | None:
    if not ask.windows or not ask.case.windows:
        return None
    window = ask.case.open_window(ask.agency, ask.category, ask.now, ask.profile.opens(ask.role))
    return None if window is None else Released(VITAL_INTERESTS, window.event_id)


def rule_3_duty_notification(ask: Ask) -> Outcome | None:
    """The whole notification goes to the two that must be notified, involved or not."""
    if ask.event.type != "DutyNotificationSubmitted":
        return None
    return LEGAL_OBLIGATION if ask.role in ("competent_authority", "police") else NOT_INVOLVED


def rule_4_never(ask: Ask) -> Outcome | None:
    return NEVER_RULE if ask.mode == "N" else None


def rule_5_always(ask: Ask) -> Outcome | None:
    """Always; but outside a notification the de-identified account is read as by consent."""
    if ask.mode != "A":
        return None
    if ask.category == "deidentified_account":
        ask.mode = "C"
        return None
    return STATUTORY_MINIMUM


def rule_6_concerned(ask: Ask) -> Outcome | None:
    return None if ask.concerned else NOT_INVOLVED


def rule_7_referral_parties(ask: Ask) -> Outcome | None:
    """Who was referred to whom is for those two, and for the person's lawyer and guardian."""
    if ask.event.type not in MESSAGES:
        return None
    if ask.role in ("legal_rep", "guardian") or ask.agency == ask.case.involvement.guardian:
        return None
    referral = ask.case.involvement.referral_of(ask.event)
    if referral is not None and ask.agency in (referral.sender, referral.recipient):
        return None
    return NOT_PARTY


def rule_8_consent_parties(ask: Ask) -> Outcome | None:
    """Each agency the record names, now or just before this message, sees its own slice."""
    if group_of(ask.event.type) != CONSENT_GROUP:
        return None
    consent = ask.case.consent_of(ask.event)
    if consent is not None and consent.names(ask.agency):
        return None
    if ask.first and ask.case.named_just_before(ask.event, ask.agency):
        return None
    return NOT_PARTY


def rule_9_link(ask: Ask) -> Outcome | None:
    """That there is a link identifies: without the person's agreement it reaches nobody."""
    if ask.event.type != "CaseLinkDecided":
        return None
    if ask.category == "consent":
        return decide(ask.about("linkage"))
    if ask.category == "linkage" and ask.event.facts.get("agreed_by_person") is not True:
        return _withheld(ask.case.consents.why_not(ask.agency, "linkage", ask.today))
    return None


def rule_10_group_gate(ask: Ask) -> Outcome | None:
    """Even "case management" tells which help began; each role has its event groups."""
    if ask.category != "case_management" or ask.event.type in MESSAGES:
        return None
    if group_of(ask.event.type) in ask.profile.gate(ask.role):
        return None
    if (
        ask.event.type == "AccommodationEnded"
        and ask.event.facts.get("reason") == "missing"
        and ask.child
        and ask.role == "police"
        and ask.involved
    ):
        return SAFEGUARDING
    return NOT_RELEVANT


def rule_11_complaints(ask: Ask) -> Outcome | None:
    """Feedback about an agency reaches it by consent only."""
    facts = ask.event.facts
    if ask.event.type == "FeedbackRecorded" and facts.get("about_agency") == ask.agency:
        ask.mode = "C"
    elif ask.event.type == "ComplaintResolved":
        complaint = ask.case.complained_about.get(ask.agency)
        if complaint is not None and complaint < ask.event.position:
            ask.mode = "C"
    return None


def rule_12_private_bodies(ask: Ask) -> Outcome | None:
    """An adult's private helpers keep their default access while some consent names them."""
    if ask.mode != "D" or ask.role not in ask.profile.private_bodies:
        return None
    if ask.child or ask.agency == ask.case.involvement.opener:
        return None
    if ask.case.consents.names_actively(ask.agency, ask.today):
        return None
    if (
        ask.first
        and group_of(ask.event.type) == CONSENT_GROUP
        and ask.case.actively_named_just_before(ask.event, ask.agency, ask.today)
    ):
        return None
    return _withheld(ask.case.consents.why_not(ask.agency, None, ask.today))


def rule_13_default(ask: Ask) -> Outcome | None:
    return PUBLIC_TASK if ask.mode == "D" else None


def rule_14_child(ask: Ask) -> Outcome | None:
    if ask.mode in ("K", "X") and ask.child:
        return SAFEGUARDING
    return AGE_RULE if ask.mode == "X" else None


def rule_15_consent(ask: Ask) -> Outcome | None:
    if ask.mode not in ("C", "K"):
        return None
    consents = ask.case.consents
    basis = consents.basis_for(ask.agency, ask.category, ask.event.position, ask.today)
    if basis is not None:
        return _on_consent(basis)
    return _withheld(consents.why_not(ask.agency, ask.category, ask.today))


@lru_cache(maxsize=1024)
def _on_consent(consent_id: str) -> Released:
    """One object for every release on a record: most of what a case remembers are these."""
    return Released(CONSENT + consent_id)


RULES: tuple[Callable[[Ask], Outcome | None], ...] = (
    rule_1_embassy_and_asylum,
    rule_2_break_glass_window,
    rule_3_duty_notification,
    rule_4_never,
    rule_5_always,
    rule_6_concerned,
    rule_7_referral_parties,
    rule_8_consent_parties,
    rule_9_link,
    rule_10_group_gate,
    rule_11_complaints,
    rule_12_private_bodies,
    rule_13_default,
    rule_14_child,
    rule_15_consent,
)


def decide(ask: Ask) -> Outcome:
    """The answer of the first rule that has one; withheld if none has, or if a rule fails.

    An agency without an active data-sharing agreement receives nothing (2.12).
    """
    ask.mode = ask.profile.mode(ask.role, ask.category)
    reasons: list[str] = []
    for rule in RULES:
        try:
            outcome = rule(ask)
        except Exception:
            outcome = RULE_FAILED
        if outcome is None:
            continue
        if isinstance(outcome, Released):
            if reasons:
                break
            return outcome if ask.party.receives else NO_AGREEMENT
        reasons.extend(reason for reason in outcome.reasons if reason not in reasons)
    return Withheld(tuple(reasons)) if reasons else NEVER_RULE


# -- asked again -----------------------------------------------------------------------------


def redecide(
    case: Case,
    event: CaseEvent,
    party: Party,
    category: str,
    profile: PolicyProfile,
    now: datetime,
    *,
    age: AgeView | None = None,
    first: bool = False,
    windows: bool = True,
) -> Outcome:
    """The decision with `case` as it stands; `age` as recorded if birth dates were erased."""
    if age is None:
        age = case.age.view(now, profile.enforcement_roles)
    return decide(
        Ask(
            case,
            event,
            party,
            profile,
            now,
            age=age,
            category=category,
            first=first,
            windows=windows,
        )
    )


def still_stands(
    case: Case,
    agency: str,
    event_id: str,
    category: str,
    basis: str,
    parties: Parties,
    profile: PolicyProfile,
    now: datetime,
) -> Outcome:
    """May what was decided on `basis` still be sent, in the state of the case now?

    Consent and break-glass windows can end between decision and sending: such a basis is looked
    at again, and if it no longer counts, the item is decided again. So is anything for an embassy
    while an asylum claim is open, because none is contacted then. Every other basis stands: also
    what tells an agency of the end of its own part in the case, which it no longer has (3.2).
    """
    party, event = parties.get(agency), case.find(event_id)
    if party is None or event is None:
        return NOT_INVOLVED
    if not party.receives:
        return NO_AGREEMENT
    if _may_have_ended(case, event, party, category, basis, now.date()):
        return redecide(case, event, party, category, profile, now)
    return Released(basis)


def standing(
    case: Case,
    agency: str,
    event_id: str,
    bases: Mapping[str, str],
    parties: Parties,
    profile: PolicyProfile,
    now: datetime,
) -> dict[str, str]:
    """Of what one event's decision released, the categories that still stand, with their bases
    now. The answers of `still_stands`, and nothing once the event's content was destroyed."""
    party, event = parties.get(agency), case.find(event_id)
    if party is None or event is None or not party.receives or case.erased(event_id):
        return {}
    today = now.date()
    found: dict[str, str] = {}
    for category, basis in bases.items():
        if not _may_have_ended(case, event, party, category, basis, today):
            found[category] = basis
            continue
        again = redecide(case, event, party, category, profile, now)
        if isinstance(again, Released):
            found[category] = again.basis
    return found


def _may_have_ended(
    case: Case, event: CaseEvent, party: Party, category: str, basis: str, today: date
) -> bool:
    if basis.startswith(CONSENT):
        consent = case.consents.get(basis.removeprefix(CONSENT))
        pair = consent_pair(event, category)
        if consent is None or not consent.counts_for(party.agency, pair, event.position, today):
            return True
    return basis == VITAL_INTERESTS or (party.role == "embassy" and case.asylum_open)


def consent_pair(event: CaseEvent, category: str) -> str:
    """Category of the consent pair a release rests on: a link's own consent rests on `linkage`."""
    if event.type == "CaseLinkDecided" and category == "consent":
        return "linkage"
    return category
