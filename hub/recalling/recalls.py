"""Recalls: what was released and has to come back (docs/release.md 6).

Asked after the event was decided and before the three endings act, over what each agency holds.
At most one recall per agency; whoever published the event is not spared. Expiry, coming of age,
the end of an accepted referral and the end of a window recall nothing (6.6).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hub.domain.case import Case, CaseEvent
from hub.domain.holdings import Item
from hub.domain.settlement import (
    DELETE,
    DELETE_OR_RESTRICT,
    Bases,
    Outcome,
    Outcomes,
    Recall,
    Released,
)
from hub.release import CONSENT, consent_pair

Decided = Mapping[str, Outcomes]  # what the event itself was decided, by agency
Again = Callable[[str, str, str], Outcome | None]  # agency, event id, category → §4 without windows

RECALLING = frozenset(
    {
        "ConsentWithdrawn",
        "ConsentAmended",
        "ReferralDeclined",
        "ReferralEnded",
        "TransferAnswered",
        "RecordCorrected",
        "SubjectRequestDecided",
        "BreakGlassReviewed",
    }
)

_Hits = dict[str, list[Item]]  # by agency


def recalls(
    case: Case, event: CaseEvent, decided: Decided, again: Again
) -> tuple[tuple[Recall, ...], Bases]:
    """(recalls, rebased): items to give back, and items now held on another basis."""
    match event.type:
        case "ConsentWithdrawn" | "ConsentAmended":
            return _recalls(_no_longer_agreed(case, event), DELETE_OR_RESTRICT), {}
        case "ReferralDeclined" | "ReferralEnded" | "TransferAnswered":
            return _recalls(_not_accepted(case, event), DELETE), {}
        case "RecordCorrected":
            return _recalls(_not_corrected(case, event, decided), DELETE_OR_RESTRICT), {}
        case "SubjectRequestDecided":
            return _recalls(_erased(case, event), DELETE), {}
        case "BreakGlassReviewed":
            hits, rebased = _not_justified(case, event, again)
            return _recalls(hits, DELETE), rebased
        case _:
            return (), {}


def _recalls(hits: _Hits, action: str) -> tuple[Recall, ...]:
    """One recall per agency, items grouped by event."""
    made = []
    for agency in sorted(hits):
        events: dict[str, list[str]] = {}
        for event_id, category in hits[agency]:
            events.setdefault(event_id, []).append(category)
        if events:
            items = tuple((event_id, tuple(sorted(names))) for event_id, names in events.items())
            made.append(Recall(agency, items, action))
    return tuple(made)


def _no_longer_agreed(case: Case, event: CaseEvent) -> _Hits:
    """6.1: held on this consent, and the record no longer holds the pair."""
    hits: _Hits = {}
    consent = case.consent_of(event)
    if consent is None:
        return hits
    basis = CONSENT + consent.consent_id
    for agency, items in case.holdings.items():
        for item, held_on in items.items():
            if held_on != basis:
                continue
            about = case.find(item[0])
            pair = item[1] if about is None else consent_pair(about, item[1])
            if not consent.holds(agency, pair):
                hits.setdefault(agency, []).append(item)
    return hits


def _not_accepted(case: Case, event: CaseEvent) -> _Hits:
    """6.2: declined, or ended while pending: what the recipient got of the offer itself."""
    referral = case.involvement.referral_of(event)
    if referral is None or not referral.pending:
        return {}
    if event.type == "ReferralEnded":
        acts = referral.may_be_ended_by(event.emitter, event.role)
    else:
        acts = event.emitter == referral.recipient and event.facts.get("outcome") != "accepted"
    if not acts:
        return {}
    held = case.holdings.get(referral.recipient, {})
    return {referral.recipient: [item for item in held if item[0] == referral.made]}


def _not_corrected(case: Case, event: CaseEvent, decided: Decided) -> _Hits:
    """6.3: agencies that hold what was wrong and will not hear of the correction."""
    category = event.corrected_category
    item = (str(event.facts.get("corrects_event")), category)
    hits: _Hits = {}
    for agency, items in case.holdings.items():
        if item not in items or case.involved(agency):
            continue
        if not isinstance(decided.get(agency, {}).get(category), Released):
            hits[agency] = [item]
    return hits


def _erased(case: Case, event: CaseEvent) -> _Hits:
    """6.4: every item of the case recorded before the erasure was decided."""
    if event.facts.get("action") != "key_destroyed":
        return {}
    return {agency: list(items) for agency, items in case.holdings.items()}


def _not_justified(case: Case, event: CaseEvent, again: Again) -> tuple[_Hits, Bases]:
    """6.5: what came through the window is decided again without windows, or given back."""
    hits: _Hits = {}
    rebased: Bases = {}
    if event.facts.get("outcome") != "not_justified":
        return hits, rebased
    invocation = event.facts.get("invocation_event_id")
    for (agency, event_id, category), window in sorted(case.holdings.through.items()):
        if window != invocation:
            continue
        outcome = again(agency, event_id, category)
        if isinstance(outcome, Released):
            rebased.setdefault(agency, {}).setdefault(event_id, {})[category] = outcome.basis
        else:
            hits.setdefault(agency, []).append((event_id, category))
    return hits, rebased
