"""Conservation: every part of every event is somewhere, and known to be there.

    accepted = released + withheld + pending + quarantined + purged

per (event, agency, category): what was accepted and could reach anyone was withheld, or is on its
way, or was applied by its recipient, or was set aside there, or was purged. One pass over the log,
by what was recorded and nothing else: decisions, what was held back, deliveries, receipts, recalls,
shreddings. A sum that does not come out, a delivery nobody decided, or a decision the publisher
passed without a delivery is a problem, and the log names its place.

    released      the recipient's signed receipt says applied (or kept after a recall, named)
    withheld      decided so, or overtaken before it was sent
    pending       decided or sent, not yet answered
    quarantined   set aside at the recipient's site
    purged        the recipient's receipt says deleted, or the person's secret was destroyed before
                  the recipient had it
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from hub.domain.parties import HUB_ROLE
from hub.domain.settlement import Released, Settlement
from hub.membership.agencies import Agencies
from hub.publisher import FOLLOWER
from hub.recording.accepted import next_secret
from hub.store import events as stored
from hub.store.log import HubLog
from schemas import wire
from schemas.avro import AvroError

MOST_PROBLEMS: Final = 100

RELEASED, WITHHELD, PENDING, QUARANTINED, PURGED = CLASSES = (
    "released",
    "withheld",
    "pending",
    "quarantined",
    "purged",
)
DECIDED, SENT, RECALLED = "decided", "sent", "recalled"  # what `pending` and `released` are made of
_COUNTS_AS: Final = {DECIDED: PENDING, SENT: PENDING, RECALLED: RELEASED}

Pair = tuple[str, str, str]  # agency, event id, category


@dataclass
class Balance:
    """The answer: how many (event, agency, category), where they are, and what is wrong."""

    head: int = 0
    accepted: int = 0
    classes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CLASSES, 0))
    problems: list[str] = field(default_factory=list)

    @property
    def even(self) -> bool:
        return self.accepted == sum(self.classes.values()) and not self.problems


@dataclass(frozen=True, slots=True)
class _Event:
    """What is kept of one accepted event."""

    event_id: str
    emitter: str
    position: int
    secret: UUID


class _Books:
    def __init__(self) -> None:
        self.balance = Balance()
        self.agencies = Agencies()
        self.withheld = 0
        self.states: dict[Pair, str] = {}  # all that was ever decided to be released
        self.decided_at: dict[Pair, int] = {}
        self.events: dict[int, _Event] = {}  # by position
        self.by_id: dict[str, _Event] = {}
        self.by_secret: dict[UUID, list[str]] = {}
        self.sent_in: dict[Pair, int] = {}  # sequence of the delivery that last held it
        self.deliveries: dict[tuple[str, int], list[Pair]] = {}
        self.recalls: dict[tuple[str, int], list[Pair]] = {}
        self.shredded: Counter[UUID] = Counter()
        self.destroyed: set[UUID] = set()
        self.held: dict[str, list[Pair]] = {}  # pairs by event id

    def problem(self, text: str) -> None:
        if len(self.balance.problems) < MOST_PROBLEMS:
            self.balance.problems.append(text)

    # -- decisions -----------------------------------------------------------------------------

    def accepted(self, position: int, row: stored.EventAccepted) -> None:
        event_id, secret = str(UUID(bytes=row.event_id)), UUID(bytes=row.secret_id)
        event = _Event(event_id, row.emitter, position, secret)
        self.events[position] = self.by_id[event.event_id] = event
        self.by_secret.setdefault(event.secret, []).append(event.event_id)

    def settled(self, position: int, row: stored.Settled) -> None:
        event = self.events.get(row.position)
        if event is None:
            self.problem(f"position {position} settles {row.position}, which is no event")
            return
        settlement = Settlement.from_record(json.loads(row.settlement))
        decided = settlement.decided
        everyone = Counter(
            agency.role
            for agency in self.agencies
            if agency.role != HUB_ROLE
            and agency.agency not in decided
            and agency.agency != event.emitter
        )
        for role, count in everyone.items():
            outcomes = settlement.outsiders.by_role.get(role, {})
            for category in settlement.categories:
                self.balance.accepted += count
                if category not in outcomes:
                    self.problem(f"position {position} leaves {category} undecided for {role}")
                elif isinstance(outcomes[category], Released):
                    self.problem(f"position {position} releases {category} to unnamed {role}")
                else:
                    self.withheld += count
        for agency, by_category in decided.items():
            for category in settlement.categories:
                self.balance.accepted += 1
                outcome = by_category.get(category)
                if isinstance(outcome, Released):
                    self._decide((agency, event.event_id, category), position)
                elif outcome is None:
                    self.problem(f"position {position} leaves {category} undecided for {agency}")
                else:
                    self.withheld += 1
        self._backfilled(settlement, position)

    def _backfilled(self, settlement: Settlement, position: int) -> None:
        for agency, events in settlement.backfill.items():
            known = self.agencies.get(agency)
            for event_id, bases in events.items():
                earlier = self.by_id.get(event_id)
                for category in bases:
                    pair = (agency, event_id, category)
                    if known is None or earlier is None:
                        self.problem(f"position {position} backfills what is not there")
                        continue
                    if pair not in self.states:
                        if known.position > earlier.position:
                            self.balance.accepted += 1  # it was not registered at the time
                        else:
                            self.withheld -= 1
                    self._decide(pair, position)

    def _decide(self, pair: Pair, position: int) -> None:
        if pair not in self.states:
            self.held.setdefault(pair[1], []).append(pair)
        elif self.states[pair] == WITHHELD:
            self.withheld -= 1
        self.states[pair] = DECIDED
        self.decided_at[pair] = position

    def held_back(self, _position: int, row: stored.HeldBack) -> None:
        for event_id, categories in json.loads(row.items).items():
            for category in categories:
                pair = (row.agency, event_id, category)
                if self.states.get(pair) == DECIDED:
                    self.states[pair] = WITHHELD
                    self.withheld += 1

    # -- deliveries ----------------------------------------------------------------------------

    def sending(self, position: int, row: stored.Sending) -> None:
        body = json.loads(row.items)
        place = (row.agency, row.originator_version)
        if row.kind == "recall":
            pairs = [(row.agency, event, name) for event, names in body["items"] for name in names]
            self.recalls[place] = [pair for pair in pairs if self._recall(pair)]
            return
        event = self.events.get(row.event_position)
        event_id = event.event_id if event is not None else ""
        pairs = [(row.agency, event_id, category) for category in body["bases"]]
        for pair in pairs:
            if self.states.get(pair) == DECIDED:
                gone = event is not None and event.secret in self.destroyed
                self.states[pair] = PURGED if gone else SENT
                self.sent_in[pair] = row.originator_version
            else:
                self.problem(f"position {position} sends {pair[2]} to {row.agency} undecided")
        self.deliveries[place] = pairs

    def _recall(self, pair: Pair) -> bool:
        if self.states.get(pair) in (SENT, RELEASED, QUARANTINED):
            if self.states[pair] == RELEASED:
                self.states[pair] = RECALLED
            return True
        return False

    def received(self, _position: int, row: stored.Received) -> None:
        try:
            told = wire.RECEIPT.unsingle(row.receipt)
        except AvroError:
            self.problem(f"a receipt of {row.agency} cannot be read")
            return
        exceptions: dict[int, list[str]] = {}
        for one in told["exceptions"]:
            exceptions.setdefault(one["sequence"], []).append(one["outcome"])
        covered = range(row.first_sequence, row.last_sequence + 1)
        for sequence in sorted({*covered, *exceptions}):  # as the partner applied them
            self._answered(row.agency, sequence, exceptions.get(sequence, []))

    def _answered(self, agency: str, sequence: int, outcomes: list[str]) -> None:
        place = (agency, sequence)
        pairs = self.deliveries.get(place, [])
        if place in self.recalls:
            self._recall_answered(self.recalls[place], sequence, outcomes)
        elif "quarantined" in outcomes:
            self._turn(pairs, (SENT,), QUARANTINED)
        elif outcomes:  # tried again, and applied
            self._turn(pairs, (SENT, QUARANTINED), RELEASED)
        else:
            self._turn(pairs, (SENT,), RELEASED)

    def _recall_answered(self, pairs: Iterable[Pair], sequence: int, outcomes: list[str]) -> None:
        if not outcomes or "quarantined" in outcomes:
            return
        # A receipt names what was kept per recall, not per category: then nothing counts as gone.
        kept = "kept_own_basis" in outcomes or "restricted" in outcomes
        earlier = [pair for pair in pairs if self.sent_in.get(pair, 0) < sequence]
        before = (SENT, RECALLED, RELEASED, QUARANTINED)
        self._turn(earlier, before, RELEASED if kept else PURGED)

    def _turn(self, pairs: Iterable[Pair], before: tuple[str, ...], after: str) -> None:
        for pair in pairs:
            if self.states.get(pair) in before:
                self.states[pair] = after

    # -- erasure -------------------------------------------------------------------------------

    def shred(self, _position: int, row: stored.SubjectShredded) -> None:
        secret = UUID(bytes=row.subject_id)
        for _ in range(self.shredded[UUID(bytes=row.subject_id)]):
            secret = next_secret(secret)
        self.shredded[UUID(bytes=row.subject_id)] += 1
        self.destroyed.add(secret)
        for event_id in self.by_secret.get(secret, ()):
            self._turn(self.held.get(event_id, ()), (DECIDED, SENT), PURGED)

    # -- the end -------------------------------------------------------------------------------

    def close(self, marked: int) -> Balance:
        balance = self.balance
        counts = Counter(_COUNTS_AS.get(state, state) for state in self.states.values())
        for name in CLASSES:
            balance.classes[name] = counts.get(name, 0)
        balance.classes[WITHHELD] = self.withheld
        for pair, state in self.states.items():
            if state == DECIDED and self.decided_at[pair] <= marked:
                self.problem(
                    f"position {self.decided_at[pair]} released {pair[2]} to {pair[0]}; the "
                    "publisher passed it without a delivery"
                )
        total = sum(balance.classes.values())
        if total != balance.accepted:
            self.problem(f"accepted {balance.accepted}, accounted for {total}")
        return balance


def conservation(log: HubLog) -> Balance:
    """Account for everything recorded up to the log's head."""
    books = _Books()
    marked = log.tracking(FOLLOWER)  # before reading: what is marked later is read as pending
    for one in log.every():
        event = one.event
        books.agencies.apply(one.position, event)
        rule = _RULES.get(type(event))
        if rule is not None:
            rule(books, one.position, event)
        books.balance.head = one.position
    return books.close(marked)


_RULES: Final[dict[type, Callable[[_Books, int, Any], None]]] = {
    stored.EventAccepted: _Books.accepted,
    stored.Settled: _Books.settled,
    stored.HeldBack: _Books.held_back,
    stored.Sending: _Books.sending,
    stored.Received: _Books.received,
    stored.SubjectShredded: _Books.shred,
}
