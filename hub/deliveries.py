"""Deliveries: what one recorded event means for every party.

`settle` takes the effects in the order of docs/release.md 3: the event changes the state of its
case; every (agency, category) is decided; recalls; the three endings; backfill. It is pure: time,
parties and profile are arguments, and the answer is one settlement.

Only concerned agencies and holders of a break-glass window are asked one by one. For all others
the answer depends on their role alone and is worked out once per role.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime

from hub.domain.age import AgeView
from hub.domain.case import Case, CaseEvent
from hub.domain.parties import HUB_ROLE, Parties, Party
from hub.domain.policy import PolicyProfile
from hub.domain.settlement import (
    DELETE,
    DELETE_OR_RESTRICT,
    Bases,
    Outcome,
    Outcomes,
    Owed,
    Recall,
    Released,
    Settlement,
    Withheld,
)
from hub.release import CONSENT, VITAL_INTERESTS, Ask, consent_pair, decide, redecide

__all__ = ["Owed", "Recall", "Released", "Settlement", "Withheld", "settle"]

# A clock that cannot be trusted is read as the end of time: whatever expires has expired.
END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)

AUTHORITY = "competent_authority"


def settle(
    case: Case,
    event: CaseEvent,
    parties: Parties,
    profile: PolicyProfile,
    now: datetime,
    *,
    clock_trusted: bool = True,
) -> Settlement:
    """Take `event` into `case` and decide everything that follows from it.

    Changes the case. After an exception the case is of no use and must be folded anew.
    """
    event = case.enter(event)
    asked_at = now if clock_trusted else END_OF_TIME
    age = case.age.view(asked_at, profile.enforcement_roles)
    settlement = Settlement(
        event.event_id, profile.version, parties.version, age, clock_trusted=clock_trusted
    )
    _decide_all(case, event, parties, profile, asked_at, settlement)
    recalled = _RECALLS.get(event.type)
    if recalled is not None:
        recalled(case, event, parties, profile, asked_at, settlement)
    if event.facts.get("leave_nrm") is True and event.type == "ConsentWithdrawn":
        settlement.left = _who_is_left(case, parties, profile, now)
    case.hold(settlement, event)
    case.leave(event)
    catching_up = _BACKFILL.get(event.type)
    if catching_up is not None:
        agencies = catching_up(case, event)
        _backfill(case, event, parties, profile, asked_at, agencies, settlement)
        case.hold_backfill(settlement)
    return settlement


# -- the event itself ------------------------------------------------------------------------


def _decide_all(
    case: Case,
    event: CaseEvent,
    parties: Parties,
    profile: PolicyProfile,
    now: datetime,
    settlement: Settlement,
) -> None:
    age = settlement.age
    inside: set[str] = set(case.involved_agencies())
    pending = case.pending_recipient(event)
    if pending is not None:
        inside.add(pending)
    settlement.concerned = tuple(sorted(inside - {event.emitter}))
    for window in case.windows:
        if window.open(now):
            inside.add(window.agency)
    for agency in sorted(inside):
        party = parties.get(agency)
        if party is None or agency == event.emitter or party.role == HUB_ROLE:
            continue
        settlement.decided[agency] = _decide_for(case, event, party, profile, now, age, settlement)
    settlement.outsiders = _outsiders(case, event, parties, profile, now, age)
    for role, outcomes in settlement.outsiders.items():
        if not any(isinstance(outcome, Released) for outcome in outcomes.values()):
            continue
        for party in parties.by_role(role):
            if party.agency not in inside and party.agency != event.emitter:
                settlement.decided[party.agency] = _decide_for(
                    case, event, party, profile, now, age, settlement
                )


def _decide_for(
    case: Case,
    event: CaseEvent,
    party: Party,
    profile: PolicyProfile,
    now: datetime,
    age: AgeView,
    settlement: Settlement,
) -> Outcomes:
    outcomes: dict[str, Outcome] = {}
    ask = Ask(
        case, event, party.agency, party.role, party.receives, "", profile, now, age
    )
    for category in event.categories:
        ask.category = category
        outcome = outcomes[category] = decide(ask)
        if isinstance(outcome, Released) and outcome.window is not None:
            settlement.windows[party.agency, event.event_id, category] = outcome.window
    return outcomes


_NOBODY = ""  # no agency has this id: stands for any agency of a role that is not concerned
_OUTSIDE: dict[tuple[object, ...], Mapping[str, Outcomes]] = {}
_OUTSIDE_LIMIT = 4096


def _outsiders(
    case: Case,
    event: CaseEvent,
    parties: Parties,
    profile: PolicyProfile,
    now: datetime,
    age: AgeView,
) -> Mapping[str, Outcomes]:
    """Outcomes per role for agencies that are not concerned and have no window open.

    Rules 1, 3, 4, 5 and 6 decide for them, which ask only the key under which this is kept.
    """
    key = (profile, parties.roles, event.type, event.categories, case.asylum_open)
    outcomes = _OUTSIDE.get(key)
    if outcomes is None:
        if len(_OUTSIDE) >= _OUTSIDE_LIMIT:
            _OUTSIDE.clear()
        outcomes = _OUTSIDE[key] = {
            role: {
                category: _first_only(
                    decide(Ask(case, event, _NOBODY, role, True, category, profile, now, age))
                )
                for category in event.categories
            }
            for role in parties.roles
        }
    return outcomes


def _first_only(outcome: Outcome) -> Outcome:
    """Further reasons may rest on the case at hand; an outsider's record keeps the first."""
    return Withheld(outcome.reasons[:1]) if isinstance(outcome, Withheld) else outcome


# -- 6: recalls ------------------------------------------------------------------------------

_Hit = dict[str, list[tuple[str, str]]]  # agency → (event id, category)


def _recalls(hit: _Hit, action: str) -> tuple[Recall, ...]:
    """One recall per agency, items grouped by event."""
    recalls = []
    for agency in sorted(hit):
        events: dict[str, list[str]] = {}
        for event_id, category in hit[agency]:
            events.setdefault(event_id, []).append(category)
        if events:
            items = tuple((event_id, tuple(sorted(names))) for event_id, names in events.items())
            recalls.append(Recall(agency, items, action))
    return tuple(recalls)


def _recall_withdrawn(
    case: Case,
    event: CaseEvent,
    parties: Parties,
    profile: PolicyProfile,
    now: datetime,
    settlement: Settlement,
) -> None:
    """6.1: held on this consent, and the record no longer holds the pair."""
    consent = case.consent_of(event)
    if consent is None:
        return
    basis = CONSENT + consent.consent_id
    hit: _Hit = {}
    for agency, items in case.holdings.items():
        for (event_id, category), held_on in items.items():
            if held_on != basis:
                continue
            about = case.find(event_id)
            pair = category if about is None else consent_pair(about, category)
            if not consent.holds(agency, pair):
                hit.setdefault(agency, []).append((event_id, category))
    settlement.recalls = _recalls(hit, DELETE_OR_RESTRICT)


def _recall_unaccepted(
    case: Case,
    event: CaseEvent,
    parties: Parties,
    profile: PolicyProfile,
    now: datetime,
    settlement: Settlement,
) -> None:
    """6.2: declined, or ended while pending: what the recipient got of the offer itself."""
    referral = case.referral_of(event)
    if referral is None or not referral.pending:
        return
    if event.type == "ReferralEnded":
        if not referral.may_be_ended_by(event.emitter, event.role):
            return
    elif event.emitter != referral.recipient:
        return
    if event.type == "TransferAnswered" and event.facts.get("outcome") != "declined":
        return
    held = case.holdings.get(referral.recipient, {})
    items = [item for item in held if item[0] == referral.made]
    settlement.recalls = _recalls({referral.recipient: items}, DELETE)


def _recall_uncorrected(
    case: Case,
    event: CaseEvent,
    parties: Parties,
    profile: PolicyProfile,
    now: datetime,
    settlement: Settlement,
) -> None:
    """6.3: agencies that hold what was wrong and will not hear of the correction."""
    category = event.corrected_category
    item = (str(event.facts.get("corrects_event")), category)
    hit: _Hit = {}
    for agency, items in case.holdings.items():
        if item not in items or case.involved(agency):
            continue
        outcome = settlement.decided.get(agency, {}).get(category)
        if not isinstance(outcome, Released):
            hit[agency] = [item]
    settlement.recalls = _recalls(hit, DELETE_OR_RESTRICT)


def _recall_erased(
    case: Case,
    event: CaseEvent,
    parties: Parties,
    profile: PolicyProfile,
    now: datetime,
    settlement: Settlement,
) -> None:
    """6.4: every item of the case recorded before the erasure was decided."""
    if event.facts.get("action") != "key_destroyed":
        return
    hit: _Hit = {agency: list(items) for agency, items in case.holdings.items() if items}
    settlement.recalls = _recalls(hit, DELETE)


def _recall_unjustified(
    case: Case,
    event: CaseEvent,
    parties: Parties,
    profile: PolicyProfile,
    now: datetime,
    settlement: Settlement,
) -> None:
    """6.5: what came through the window is decided again without windows, or given back."""
    if event.facts.get("outcome") != "not_justified":
        return
    invocation = event.facts.get("invocation_event_id")
    hit: _Hit = {}
    for (agency, event_id, category), window in case.through.items():
        if window != invocation or case.holdings[agency].get((event_id, category)) is None:
            continue
        outcome = _without_windows(case, event_id, agency, category, parties, profile, now)
        if isinstance(outcome, Released):
            rebased = settlement.rebased.setdefault(agency, {}).setdefault(event_id, {})
            rebased[category] = outcome.basis
        else:
            hit.setdefault(agency, []).append((event_id, category))
    settlement.recalls = _recalls(hit, DELETE)


def _without_windows(
    case: Case,
    event_id: str,
    agency: str,
    category: str,
    parties: Parties,
    profile: PolicyProfile,
    now: datetime,
) -> Outcome | None:
    party, about = parties.get(agency), case.find(event_id)
    if party is None or about is None:
        return None
    return redecide(case, about, party, category, profile, now, windows=False)


_RECALLS: Mapping[
    str, Callable[[Case, CaseEvent, Parties, PolicyProfile, datetime, Settlement], None]
] = {
    "ConsentWithdrawn": _recall_withdrawn,
    "ConsentAmended": _recall_withdrawn,
    "ReferralDeclined": _recall_unaccepted,
    "ReferralEnded": _recall_unaccepted,
    "TransferAnswered": _recall_unaccepted,
    "RecordCorrected": _recall_uncorrected,
    "SubjectRequestDecided": _recall_erased,
    "BreakGlassReviewed": _recall_unjustified,
}


# -- 2.4: leaving ----------------------------------------------------------------------------


def _who_is_left(
    case: Case, parties: Parties, profile: PolicyProfile, now: datetime
) -> tuple[str, ...]:
    """The authorities an adult leaves; a child leaves nobody."""
    if case.age.view(now, profile.enforcement_roles).in_procedure:
        return ()
    return tuple(
        party.agency
        for party in parties.by_role(AUTHORITY)
        if case.has_ground_or_offer(party.agency)
    )


# -- 5: backfill -----------------------------------------------------------------------------


def _accepter(case: Case, event: CaseEvent) -> Iterable[str]:
    referral = case.referral_of(event)
    if referral is None or referral.recipient != event.emitter or not referral.involves:
        return ()
    return (event.emitter,)


def _scope(case: Case, event: CaseEvent) -> Iterable[str]:
    consent = case.consent_of(event)
    return () if consent is None else sorted(consent.named)


_BACKFILL: Mapping[str, Callable[[Case, CaseEvent], Iterable[str]]] = {
    "ReferralAccepted": _accepter,
    "TransferAnswered": _accepter,
    "GuardianAppointed": lambda case, event: (str(event.facts.get("guardian_agency")),),
    "BreakGlassInvoked": lambda case, event: (event.emitter,),
    "ConsentGiven": _scope,
    "ConsentAmended": _scope,
}


def _backfill(
    case: Case,
    event: CaseEvent,
    parties: Parties,
    profile: PolicyProfile,
    now: datetime,
    agencies: Iterable[str],
    settlement: Settlement,
) -> None:
    """Earlier events, decided in today's state; what the agency does not hold and now may."""
    age = case.age.view(now, profile.enforcement_roles)
    for agency in agencies:
        party = parties.get(agency)
        if party is None or party.role == HUB_ROLE:
            continue
        held = case.holdings.get(agency, {})
        found: dict[str, dict[str, str]] = {}
        for earlier, category in _not_held(case, event, agency, held):
            outcome = redecide(case, earlier, party, category, profile, now, age=age)
            if isinstance(outcome, Released):
                found.setdefault(earlier.event_id, {})[category] = outcome.basis
                if outcome.window is not None:
                    settlement.windows[agency, earlier.event_id, category] = outcome.window
        if found:
            backfill: Bases = settlement.backfill
            backfill[agency] = found


def _not_held(
    case: Case, event: CaseEvent, agency: str, held: Mapping[tuple[str, str], str]
) -> Iterator[tuple[CaseEvent, str]]:
    for earlier in case.earlier(event):
        if earlier.emitter == agency:
            continue
        for category in earlier.categories:
            if (earlier.event_id, category) not in held:
                yield earlier, category
