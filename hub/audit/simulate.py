"""Simulate: the whole recorded history, as if a proposed profile had been in force all along.

Case by case: what was recorded is folded as recorded, and beside it the same events are settled
under the proposed profile, whose own decisions make its own holdings. So a consequence is listed
where it would show: what was withheld at first may reach an agency by backfill later, and what
never reached it is not recalled. Everything that is not the profile's stays as it was recorded: the
events, their order and times, the register of agencies at each position, whether the clock was
trusted, dates of birth since erased (docs/policy.md, "What simulate means").

Reads only. The log is read once, one case in memory at a time, up to the head it had at the start.

Deliberately absent: guards. An event that the proposed profile's timers would have refused counts
as accepted, and one that was refused stays away: its content was never recorded.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from uuid import UUID

from hub.audit.compared import Change, Difference, Side, compared
from hub.audit.in_force import Profiles, Register, decisions_in
from hub.deliveries import END_OF_TIME, settle
from hub.domain.case import Case, CaseEvent, birth_date_erased
from hub.domain.parties import HUB_ROLE, Parties
from hub.domain.policy import PolicyProfile
from hub.domain.settlement import Settlement, Withheld
from hub.exchange import Exchange
from hub.recording.accepted import case_event
from hub.release import redecide, standing
from hub.store import events as stored
from hub.store.log import HubLog, Recorded

PAGE = 5_000
_ACCEPTED = frozenset({stored.EventAccepted.TOPIC})


@dataclass(frozen=True, slots=True)
class Found:
    """One decision that would change. at: log position of the event at which it is made; event:
    of the event it is about."""

    at: int
    event: int
    type: str
    role: str
    difference: Difference


class Simulation:
    """One walk through a log under one proposed profile. `cases` is to be used up once."""

    def __init__(self, exchange: Exchange, proposed: PolicyProfile) -> None:
        self._exchange = exchange
        self._log: HubLog = exchange.log
        self._proposed = proposed
        self._register = Register(exchange.log)
        self._profiles = Profiles(exchange.log)
        self.end = exchange.log.head
        self.done = 0  # log position of the last event that was looked at for a new case
        self.counted = 0  # cases
        self.events = 0
        self.decisions = 0
        self.totals: dict[str, Counter[str]] = {}  # role → change → decisions

    def cases(self) -> Iterator[list[Found]]:
        """For each case, in the order they were opened, the decisions that would change."""
        after = 0
        while rows := self._log.rows(after, PAGE, _ACCEPTED):
            for row in rows:
                if row.id > self.end:
                    break
                self.done = row.id
                if row.originator_version == 1:
                    recorded = self._log.stream(UUID(str(row.originator_id)))
                    self.counted += 1
                    yield list(self._case(one for one in recorded if one.position <= self.end))
            after = rows[-1].id
        self.done = self.end

    def closed_to(self) -> dict[str, list[str]]:
        """Enrolled agencies whose role the proposed profile has no row for, by role."""
        found: dict[str, list[str]] = {}
        for party in self._exchange.agencies.parties().all():
            if party.role != HUB_ROLE and party.role not in self._proposed.matrix:
                found.setdefault(party.role, []).append(party.agency)
        return found

    # -- one case --------------------------------------------------------------------------

    def _case(self, recorded: Iterable[Recorded]) -> Iterator[Found]:
        walk: _Walk | None = None
        for one in recorded:
            event = one.event
            if isinstance(event, stored.EventAccepted):
                walk = walk or _Walk(self._proposed, event)
                walk.happened = case_event(event, self._exchange.secrets, one.position)
            elif isinstance(event, stored.Settled) and walk is not None:
                settlement = Settlement.from_record(json.loads(event.settlement))
                parties = self._register.as_of(settlement.parties)
                self.events += 1
                self.decisions += decisions_in(settlement, walk.happened.emitter, parties)
                found = walk.settled(settlement, parties, self._profiles.at(one.position))
                yield from self._placed(walk, found, parties)
            elif isinstance(event, stored.HeldBack) and walk is not None:
                parties = self._register.as_of(one.position)
                yield from self._placed(walk, walk.held_back(event, parties), parties)

    def _placed(
        self, walk: _Walk, found: Iterable[Difference], parties: Parties
    ) -> Iterator[Found]:
        for difference in found:
            about = walk.then.find(difference.event_id)
            assert about is not None
            role = _role(parties, difference.agency)
            self.totals.setdefault(role, Counter())[difference.change] += 1
            yield Found(walk.happened.position, about.position, about.type, role, difference)


class _Walk:
    """One case twice: as it was recorded, and as it would be."""

    def __init__(self, proposed: PolicyProfile, opening: stored.EventAccepted) -> None:
        subject = UUID(bytes=opening.subject_id)
        self.then = Case(opening.originator_id, subject)
        self.would = Case(opening.originator_id, subject)
        self.happened: CaseEvent
        self._proposed = proposed

    def settled(
        self, recorded: Settlement, parties: Parties, profile: PolicyProfile
    ) -> Iterator[Difference]:
        """Take one event into both; `profile` is the one it was recorded under."""
        event, now = self.happened, self.happened.at
        entered = self.then.enter(event)
        self.then.hold(recorded, entered)
        self.then.leave(entered)
        if birth_date_erased(event.facts) or self.would.birth_dates_erased:
            self.would.age.recorded(recorded.age)
        proposed = settle(
            self.would,
            event,
            parties,
            self._proposed,
            now,
            clock_trusted=recorded.clock_trusted,
        )
        then = Side(recorded, self.then, partial(_why, self.then, parties, profile, recorded, now))
        would = Side(
            proposed,
            self.would,
            partial(_why, self.would, parties, self._proposed, proposed, now),
        )
        return compared(then, would, partial(_role, parties))

    def held_back(self, event: stored.HeldBack, parties: Parties) -> Iterator[Difference]:
        """Between decision and sending: what did not stand any more, and what would not have.

        Asked again is what was held back or rebased then, and of the same events what the proposed
        profile had released otherwise.
        """
        agency, items, rebased = event.agency, json.loads(event.items), json.loads(event.rebased)
        for event_id in sorted({*items, *rebased}):
            had, has = _held(self.then, agency, event_id), _held(self.would, agency, event_id)
            touched = {*items.get(event_id, ()), *rebased.get(event_id, {})}
            asked = {c: b for c, b in has.items() if c in touched or had.get(c) != b}
            stands = standing(
                self.would, agency, event_id, asked, parties, self._proposed, event.timestamp
            )
            self.then.holdings.hold_back(agency, {event_id: items.get(event_id, [])})
            self.then.holdings.rebase(agency, {event_id: rebased.get(event_id, {})})
            self.would.holdings.hold_back(agency, {event_id: sorted(set(asked) - set(stands))})
            self.would.holdings.rebase(agency, {event_id: stands})
            left, stayed = _held(self.then, agency, event_id), _held(self.would, agency, event_id)
            for category in sorted({*had, *has}):
                recorded = _Sending(had.get(category), left.get(category))
                proposed = _Sending(has.get(category), stayed.get(category))
                change = recorded.against(proposed)
                if change is not None:
                    texts = recorded.text, proposed.text
                    yield Difference("sending", event_id, agency, category, change, *texts)


@dataclass(frozen=True, slots=True)
class _Sending:
    """What became of one item when it was to be sent: its basis before and after."""

    decided: str | None
    stands: str | None

    @property
    def text(self) -> str:
        if self.decided is None:
            return "nothing to send"
        return "held back" if self.stands is None else f"sent: {self.stands}"

    @property
    def held_back(self) -> bool:
        return self.decided is not None and self.stands is None

    def against(self, other: _Sending) -> Change | None:
        """What the other changes, beyond what the decisions before it changed already."""
        if self.held_back and not other.held_back:
            return "follows" if other.decided is None else "gains"
        if other.held_back and not self.held_back:
            return "follows" if self.decided is None else "loses"
        if self.decided == other.decided and self.stands != other.stands:
            return "basis"
        return None


def _held(case: Case, agency: str, event_id: str) -> dict[str, str]:
    """What an agency holds of one event, with its bases."""
    return {
        category: basis
        for (about, category), basis in case.holdings.get(agency, {}).items()
        if about == event_id
    }


def _why(
    case: Case,
    parties: Parties,
    profile: PolicyProfile,
    settlement: Settlement,
    now: datetime,
    agency: str,
    event_id: str,
    category: str,
) -> str:
    """Why a backfill did not give this item; the record keeps what was given only."""
    party, about = parties.get(agency), case.find(event_id)
    if party is None or about is None:
        return "not_involved"
    asked_at = now if settlement.clock_trusted else END_OF_TIME
    outcome = redecide(
        case, about, party, category, profile, asked_at, age=settlement.age, first=False
    )
    return ", ".join(outcome.reasons) if isinstance(outcome, Withheld) else "not caught up then"


def _role(parties: Parties, agency: str) -> str:
    party = parties.get(agency)
    return "" if party is None else party.role
