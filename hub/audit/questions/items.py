"""Items: what became of every category of an event for every recipient. A fold of recorded rows.

An item is one release of one category of one event to one agency, from the decision through
delivery and receipt to what came back of it. Released again after a recall, it is another item.
Four kinds of time stand beside each: when it happened (the agency's word), was recorded, was sent,
and when the recipient's signed receipt said it was applied.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from hub.crypto.pseudonyms import Pseudonyms
from hub.domain.settlement import Released, Settlement
from hub.recalling.book import ANSWERS, KEPT, spoken_of
from hub.store import events as stored
from hub.store.events import StoreEvent
from schemas import wire

DECIDED, HELD_BACK, SENT, APPLIED, QUARANTINED, RECALLED = (
    "decided",
    "held back",
    "sent",
    "applied",
    "quarantined",
    "recalled",
)
RECEIVED: Final = frozenset({SENT, APPLIED, QUARANTINED, RECALLED, *ANSWERS})
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,60}", re.ASCII)


@dataclass(frozen=True, slots=True)
class About:
    """The event an item is of."""

    event_id: str
    position: int
    type: str
    emitter: str
    case_id: UUID
    happened: datetime
    recorded: datetime
    categories: tuple[str, ...]


@dataclass(slots=True)
class Item:
    """One release. how: at once, backfill or break-glass. decided, sent, answered: log positions,
    0 for what has not happened. stated: the recipient's own time of applying it."""

    about: About
    agency: str
    category: str
    basis: str
    how: str = "at once"
    policy: str = ""
    decided: int = 0
    decided_at: datetime | None = None
    sequence: int = 0
    sent: int = 0
    sent_at: datetime | None = None
    answered: int = 0
    answered_at: datetime | None = None
    stated: datetime | None = None
    state: str = DECIDED
    own_basis: str = ""

    @property
    def knows(self) -> str:
        """Whether the agency has it: yes (its receipt says so), perhaps (sent), no more, no."""
        if self.state in (APPLIED, KEPT) or (self.state == RECALLED and self.answered):
            return "yes"
        if self.state in (SENT, QUARANTINED, RECALLED):
            return "perhaps"
        return "no more" if self.state in ANSWERS else "no"


Place = tuple[str, int]  # agency, sequence


@dataclass
class Items:
    """All items of the rows given to it. of: only those of this agency, if named."""

    pseudonyms: Pseudonyms
    of: str | None = None
    all: list[Item] = field(default_factory=list)
    events: dict[int, About] = field(default_factory=dict)  # by position
    _by_id: dict[tuple[UUID, str], About] = field(default_factory=dict)
    _current: dict[tuple[str, int, str], Item] = field(default_factory=dict)
    _deliveries: dict[Place, list[Item]] = field(default_factory=dict)
    _recalls: dict[Place, list[Item]] = field(default_factory=dict)

    def apply(self, position: int, event: StoreEvent) -> None:
        """Take one row in; others than those in `KINDS` say nothing here."""
        rule = _RULES.get(type(event))
        if rule is not None:
            rule(self, position, event)

    def _wanted(self, agency: str) -> bool:
        return self.of is None or agency == self.of

    def _accepted(self, position: int, row: stored.EventAccepted) -> None:
        event_id = str(UUID(bytes=row.event_id))
        about = self.events[position] = About(
            event_id,
            position,
            row.event_type,
            row.emitter,
            row.originator_id,
            row.occurred_at,
            row.timestamp,
            row.categories,
        )
        self._by_id[row.originator_id, event_id] = about

    def _settled(self, position: int, row: stored.Settled) -> None:
        about = self.events.get(row.position)
        if about is None:
            return
        settlement = Settlement.from_record(json.loads(row.settlement))
        for recall in settlement.recalls:
            for event_id, names in recall.items:
                self._called_back(recall.to, row.originator_id, event_id, names)
        self._rebased(row.originator_id, settlement.rebased)
        for agency, outcomes in settlement.decided.items():
            for category, outcome in outcomes.items():
                if isinstance(outcome, Released) and self._wanted(agency):
                    how = "break-glass" if outcome.window else "at once"
                    self._decide(position, row, about, agency, category, outcome.basis, how)
        for agency, events in settlement.backfill.items():
            for event_id, bases in events.items() if self._wanted(agency) else ():
                earlier = self._by_id.get((row.originator_id, event_id))
                for category, basis in bases.items() if earlier is not None else ():
                    window = (agency, event_id, category) in settlement.windows
                    how = "break-glass" if window else "backfill"
                    assert earlier is not None
                    self._decide(position, row, earlier, agency, category, basis, how)

    def _decide(
        self,
        position: int,
        row: stored.Settled,
        about: About,
        agency: str,
        category: str,
        basis: str,
        how: str,
    ) -> None:
        item = Item(about, agency, category, basis, how, row.policy, position, row.timestamp)
        self._keep(item)

    def _keep(self, item: Item) -> Item:
        self.all.append(item)
        self._current[item.agency, item.about.position, item.category] = item
        return item

    def _called_back(
        self, agency: str, case_id: UUID, event_id: str, names: tuple[str, ...]
    ) -> list[Item]:
        about = self._by_id.get((case_id, event_id))
        found = []
        for category in names if about is not None and self._wanted(agency) else ():
            assert about is not None
            item = self._current.get((agency, about.position, category))
            if item is not None:
                if item.state in RECEIVED - ANSWERS:
                    item.state = RECALLED
                found.append(item)
        return found

    def _rebased(self, case_id: UUID, rebased: dict[str, dict[str, dict[str, str]]]) -> None:
        for agency, events in rebased.items():
            for event_id, bases in events.items():
                about = self._by_id.get((case_id, event_id))
                for category, basis in bases.items() if about is not None else ():
                    assert about is not None
                    item = self._current.get((agency, about.position, category))
                    if item is not None:
                        item.basis = basis

    def _held_back(self, _position: int, row: stored.HeldBack) -> None:
        for event_id, names in json.loads(row.items).items():
            about = self._by_id.get((row.originator_id, event_id))
            for category in names if about is not None else ():
                assert about is not None
                item = self._current.get((row.agency, about.position, category))
                if item is not None and item.state == DECIDED:
                    item.state = HELD_BACK
        self._rebased(row.originator_id, {row.agency: json.loads(row.rebased)})

    def _sending(self, position: int, row: stored.Sending) -> None:
        if not self._wanted(row.agency):
            return
        body = json.loads(row.items)
        place = (row.agency, row.originator_version)
        if row.kind == "recall":
            self._recalls[place] = [
                item
                for event_id, names in body["items"]
                for item in self._called_back(
                    row.agency, UUID(bytes=row.case_id), event_id, tuple(names)
                )
            ]
            return
        about = self.events.get(row.event_position)
        found = []
        for category, basis in body["bases"].items() if about is not None else ():
            assert about is not None
            item = self._current.get((row.agency, about.position, category))
            if item is None or item.sent:  # decided where this fold did not look
                item = self._keep(Item(about, row.agency, category, basis, how=""))
            item.sequence, item.sent, item.sent_at = place[1], position, row.timestamp
            item.basis = basis
            if item.state in (DECIDED, HELD_BACK):
                item.state = SENT
            found.append(item)
        self._deliveries[place] = found

    def _received(self, position: int, row: stored.Received) -> None:
        if not self._wanted(row.agency):
            return
        receipt = wire.RECEIPT.unsingle(row.receipt)
        said: dict[int, list[dict[str, Any]]] = {}
        for one in receipt["exceptions"]:
            said.setdefault(one["sequence"], []).append(one)
        for sequence in sorted({*range(row.first_sequence, row.last_sequence + 1), *said}):
            place = (row.agency, sequence)
            lines = said.get(sequence, [])
            if place in self._recalls:
                self._recall_answered(place, lines)
                continue
            quarantined = any(one["outcome"] == QUARANTINED for one in lines)
            for item in self._deliveries.get(place, ()):
                if item.state not in (SENT, QUARANTINED):
                    continue  # taken back before it was sealed, perhaps: no proof of either
                if item.state == QUARANTINED and not lines:
                    continue  # covered again in passing: still set aside
                item.answered, item.answered_at = position, row.timestamp
                item.stated = receipt["applied_at"]
                item.state = QUARANTINED if quarantined else APPLIED

    def _recall_answered(self, place: Place, lines: list[dict[str, Any]]) -> None:
        for one in lines:
            if one["outcome"] not in ANSWERS:
                continue
            event_ref, names, own_basis = spoken_of(one["outcome"], one["detail"])
            for item in self._recalls[place]:
                event_id = item.about.event_id
                named = self.pseudonyms.pseudonym(place[0], "event", UUID(event_id))
                if event_ref not in ("", event_id, named):
                    continue
                if names and item.category not in names:
                    continue
                item.state = one["outcome"]
                item.own_basis = own_basis or ""


def reason_of(detail: str | None) -> str:
    """The reason code of a quarantine; what is no code is not repeated."""
    return detail if detail and _CODE.fullmatch(detail) else "not a code"


def received(items: Items) -> Iterator[Item]:
    """Those that left the hub."""
    return (item for item in items.all if item.state in RECEIVED)


_RULES: Final[dict[type, Callable[[Items, int, Any], None]]] = {
    stored.EventAccepted: Items._accepted,
    stored.Settled: Items._settled,
    stored.HeldBack: Items._held_back,
    stored.Sending: Items._sending,
    stored.Received: Items._received,
}
KINDS: Final = tuple(_RULES)
