"""Deliveries: what one recorded event means for every party.

`settle` takes the effects in the order of docs/release.md 3: the event changes the state of its
case; every (agency, category) is decided; recalls; the three endings; backfill. It is pure: time,
parties and profile are arguments, and the answer is one settlement.

Only concerned agencies and holders of a break-glass window are asked one by one. For all others
the answer depends on their role alone and is worked out once per role.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime

from hub.domain.age import AgeView
from hub.domain.case import Case, CaseEvent
from hub.domain.parties import HUB_ROLE, Parties, Party
from hub.domain.policy import PolicyProfile
from hub.domain.settlement import (
    Outcome,
    Outcomes,
    Outsiders,
    Owed,
    Recall,
    Released,
    Settlement,
    Withheld,
)
from hub.recalling.recalls import RECALLING, recalls
from hub.release import Ask, decide, redecide

__all__ = ["Owed", "Recall", "Released", "Settlement", "Withheld", "differences", "settle"]

# A clock that cannot be trusted is read as the end of time: whatever expires has expired.
END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)

AUTHORITY = "competent_authority"


@dataclass(slots=True)
class _Sitting:
    """One event being settled: everything the steps below take and fill."""

    case: Case
    event: CaseEvent
    parties: Parties
    profile: PolicyProfile
    now: datetime
    age: AgeView
    settlement: Settlement

    def decide_without_windows(self, agency: str, event_id: str, category: str) -> Outcome | None:
        """6.5: an earlier item in today's state, as if no window had ever been opened."""
        party, about = self.parties.get(agency), self.case.find(event_id)
        if party is None or about is None:
            return None
        return redecide(
            self.case, about, party, category, self.profile, self.now, age=self.age, windows=False
        )


def settle(
    case: Case,
    event: CaseEvent,
    parties: Parties,
    profile: PolicyProfile,
    now: datetime,
    *,
    clock_trusted: bool = True,
    age: AgeView | None = None,
) -> Settlement:
    """Take `event` into `case` and decide everything that follows from it.

    Changes the case. After an exception the case is of no use and must be folded anew. `age`: as
    recorded, when deciding again after birth dates were erased.
    """
    event = case.enter(event)
    asked_at = now if clock_trusted else END_OF_TIME
    if age is None:
        age = case.age.view(asked_at, profile.enforcement_roles)
    settlement = Settlement(
        event.event_id,
        profile.version,
        parties.version,
        age,
        event.categories,
        clock_trusted=clock_trusted,
    )
    sitting = _Sitting(case, event, parties, profile, asked_at, age, settlement)
    _decide_all(sitting)
    if event.type in RECALLING:
        settlement.recalls, settlement.rebased = recalls(
            case, event, settlement.decided, sitting.decide_without_windows
        )
    if event.type == "ConsentWithdrawn" and event.facts.get("leave_nrm") is True:
        leaving = age if clock_trusted else case.age.view(now, profile.enforcement_roles)
        if not leaving.in_procedure:  # 2.4: a child leaves nobody
            settlement.left = _authorities(case, parties)
    case.hold(settlement, event)
    case.leave(event)
    catching_up = _BACKFILL.get(event.type)
    if catching_up is not None:
        _backfill(sitting, catching_up(case, event))
        case.holdings.catch_up(settlement)
    return settlement


def differences(
    case: Case,
    event: CaseEvent,
    recorded: Settlement,
    parties: Parties,
    profile: PolicyProfile,
) -> tuple[str, ...]:
    """Parts of a recorded settlement that come out differently when decided again.

    `case` as it was before the event, `parties` and `profile` as of the versions recorded. Changes
    nothing. Any answer but none is an alarm: the record, the inputs or the rules were altered.
    """
    again = settle(
        deepcopy(case),
        event,
        parties,
        profile,
        event.at,
        clock_trusted=recorded.clock_trusted,
        age=recorded.age,
    ).to_record()
    written = recorded.to_record()
    return tuple(
        part for part in sorted({*again, *written}) if again.get(part) != written.get(part)
    )


# -- the event itself ------------------------------------------------------------------------


def _decide_all(sitting: _Sitting) -> None:
    case, event, settlement = sitting.case, sitting.event, sitting.settlement
    inside = set(case.involvement.agencies())
    pending = case.involvement.pending_recipient(event)
    if pending is not None:
        inside.add(pending)
    settlement.concerned = tuple(sorted(inside - {event.emitter}))
    for window in case.windows:
        if window.open(sitting.now):
            inside.add(window.agency)
    inside.discard(event.emitter)
    for agency in sorted(inside):
        party = sitting.parties.get(agency)
        if party is not None and party.role != HUB_ROLE:
            settlement.decided[agency] = _decide_for(sitting, party)
    settlement.outsiders = _outsiders(sitting)
    for role in settlement.outsiders.receiving:
        for party in sitting.parties.by_role(role):
            if party.agency not in inside and party.agency != event.emitter:
                settlement.decided[party.agency] = _decide_for(sitting, party)


def _decide_for(sitting: _Sitting, party: Party) -> Outcomes:
    event = sitting.event
    outcomes: dict[str, Outcome] = {}
    ask = Ask(sitting.case, event, party, sitting.profile, sitting.now, age=sitting.age)
    for category in event.categories:
        ask.category = category
        outcome = outcomes[category] = decide(ask)
        if isinstance(outcome, Released) and outcome.window is not None:
            key = (party.agency, event.event_id, category)
            sitting.settlement.windows[key] = outcome.window
    return outcomes


# No agency has this id: stands for any agency of a role that is not concerned. It is not "", which
# stands for somebody unknown who is (hub/audit/known.py).
_NOBODY = "\0"
_OUTSIDE: dict[tuple[object, ...], Outsiders] = {}
_OUTSIDE_LIMIT = 4096


def _outsiders(sitting: _Sitting) -> Outsiders:
    """Outcomes per role for agencies that are not concerned and have no window open.

    Rules 1, 3, 4, 5 and 6 decide for them, and these ask only for what stands in the key.
    """
    case, event, roles = sitting.case, sitting.event, sitting.parties.roles
    key = (sitting.profile, roles, event.type, event.categories, case.asylum_open)
    known = _OUTSIDE.get(key)
    if known is None:
        outcomes: dict[str, Outcomes] = {}
        for role in roles:
            party = Party(_NOBODY, role)
            decided = {
                category: decide(
                    Ask(
                        case,
                        event,
                        party,
                        sitting.profile,
                        sitting.now,
                        age=sitting.age,
                        category=category,
                    )
                )
                for category in event.categories
            }
            outcomes[role] = {name: _first_only(outcome) for name, outcome in decided.items()}
        if len(_OUTSIDE) >= _OUTSIDE_LIMIT:
            _OUTSIDE.clear()
        known = _OUTSIDE[key] = Outsiders.of(event.categories, outcomes)
    return known


def _first_only(outcome: Outcome) -> Outcome:
    """Further reasons may rest on the case at hand; an outsider's record keeps the first."""
    return Withheld(outcome.reasons[:1]) if isinstance(outcome, Withheld) else outcome


# -- 2.4: leaving ----------------------------------------------------------------------------


def _authorities(case: Case, parties: Parties) -> tuple[str, ...]:
    """The authorities that leaving takes something from."""
    return tuple(
        party.agency
        for party in parties.by_role(AUTHORITY)
        if case.involvement.has_ground_or_offer(party.agency)
    )


# -- 5: backfill -----------------------------------------------------------------------------


def _accepter(case: Case, event: CaseEvent) -> Iterable[str]:
    referral = case.involvement.referral_of(event)
    if referral is None or referral.recipient != event.emitter or not referral.involves:
        return ()
    if event.facts.get("outcome", "accepted") != "accepted":
        return ()
    return (event.emitter,)


def _guardian(case: Case, _event: CaseEvent) -> Iterable[str]:
    return () if case.involvement.guardian is None else (case.involvement.guardian,)


def _invoker(_case: Case, event: CaseEvent) -> Iterable[str]:
    return (event.emitter,)


def _scope(case: Case, event: CaseEvent) -> Iterable[str]:
    consent = case.consent_of(event)
    return () if consent is None else sorted(consent.named)


_BACKFILL: Mapping[str, Callable[[Case, CaseEvent], Iterable[str]]] = {
    "ReferralAccepted": _accepter,
    "TransferAnswered": _accepter,
    "GuardianAppointed": _guardian,
    "BreakGlassInvoked": _invoker,
    "ConsentGiven": _scope,
    "ConsentAmended": _scope,
}


def _backfill(sitting: _Sitting, agencies: Iterable[str]) -> None:
    """Earlier events, decided in today's state; what the agency does not hold and now may."""
    case, settlement = sitting.case, sitting.settlement
    for agency in agencies:
        party = sitting.parties.get(agency)
        if party is None or party.role == HUB_ROLE:
            continue
        held = case.holdings.get(agency, {})
        found: dict[str, dict[str, str]] = {}
        for earlier in case.earlier(sitting.event):
            if earlier.emitter == agency:
                continue
            ask = Ask(
                case, earlier, party, sitting.profile, sitting.now, age=sitting.age, first=False
            )
            for category in earlier.categories:
                if (earlier.event_id, category) in held:
                    continue
                ask.category = category
                outcome = decide(ask)
                if isinstance(outcome, Released):
                    found.setdefault(earlier.event_id, {})[category] = outcome.basis
                    if outcome.window is not None:
                        key = (agency, earlier.event_id, category)
                        settlement.windows[key] = outcome.window
        if found:
            settlement.backfill[agency] = found
