"""Decided: every decision of a log as one value, with what became of it.

A walk through the log in order, or through one case. A decision is one (event, agency, category) at
the moment it was made:

    first      the event is recorded: released or withheld
    backfill   an earlier event reaches an agency that may have it now: released
    recall     something is taken back, or stays on another basis: recalled, kept
    sending    between decision and sending: held_back, or rebased on another basis

Agencies that are not concerned are decided by their role; they are told on request, for they are
most of all decisions and say little.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

from hub.audit.delivered import NOT_APPLIED, Delivered, Sent
from hub.audit.in_force import TOPICS, InForce
from hub.audit.walk import pages
from hub.domain.parties import HUB_ROLE, Parties
from hub.domain.settlement import Outcome, Released, Settlement
from hub.store import events as stored
from hub.store.log import HubLog, Recorded

Kind = Literal["first", "backfill", "recall", "sending"]
OUTCOMES: Final = ("released", "withheld", "recalled", "kept", "held_back", "rebased")
READ: Final = TOPICS | {
    one.TOPIC for one in (stored.EventAccepted, stored.Settled, stored.HeldBack)
}


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a release, or of a recall: where, and the deliveries and receipts it shows.

    state: none (nothing was to be sent), pending, held_back, sent, quarantined, applied, recalled
    (of a release: taken back since). sequence: of the delivery. position: of its row, or of the row
    that held it back. answered: position of the receipt. recall: sequence of the recall.
    """

    state: str = "none"
    sequence: int | None = None
    position: int | None = None
    answered: int | None = None
    recall: int | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What a decision is about. case, event: ids of the hub and of its sender."""

    case: UUID
    subject: UUID
    event: str
    position: int
    type: str
    emitter: str


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision. at: log position of the row that recorded it. code: the basis or the first
    reason, without a consent's id. concerned: decided for this agency, not for its role."""

    at: int
    recorded: datetime
    kind: Kind
    about: Event
    agency: str
    role: str
    category: str
    outcome: str
    basis: str | None
    reasons: tuple[str, ...]
    window: str | None
    policy: str
    register: int
    concerned: bool
    fate: Fate

    @property
    def code(self) -> str:
        return (self.basis or (self.reasons[0] if self.reasons else "")).partition(":")[0]

    @property
    def consent(self) -> str | None:
        """The id of the consent it rests on."""
        name, _, consent = (self.basis or "").partition(":")
        return consent if name == "consent" and consent else None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which decisions: of one case, for one agency; outsiders: also for those not concerned.

    For one agency all its decisions are told, concerned or not.
    """

    case: UUID | None = None
    agency: str | None = None
    outsiders: bool = False


class Decided:
    """Reads decisions up to `end`. `delivered` must have been read up to there."""

    def __init__(self, log: HubLog, delivered: Delivered, end: int, wanted: Wanted) -> None:
        self._log, self._delivered, self._end, self._wanted = log, delivered, end, wanted
        self._happened: dict[UUID, Recorded] = {}
        self._index: dict[UUID, dict[str, int]] = {}  # of the case last looked into

    def groups(self) -> Iterator[list[Decision]]:
        """The decisions of each row that recorded any, in log order."""
        if self._wanted.case is not None:
            yield from self._of_case(self._wanted.case)
            return
        in_force = InForce()
        for _, rows in pages(self._log, 0, self._end, READ):
            for row in rows:
                in_force.apply(row.position, row.event)
                if found := self._row(row, in_force):
                    yield found

    def _of_case(self, case: UUID) -> Iterator[list[Decision]]:
        rows = [one for one in self._log.stream(case) if one.position <= self._end]
        in_force, after = InForce(), 0
        for row in rows:
            while page := self._log.read(after, 500, TOPICS):
                early = [one for one in page if one.position < row.position]
                for one in early:
                    in_force.apply(one.position, one.event)
                after = early[-1].position if early else after
                if len(early) < len(page) or not early:
                    break
            if found := self._row(row, in_force):
                yield found

    def _row(self, row: Recorded, in_force: InForce) -> list[Decision]:
        event = row.event
        if isinstance(event, stored.EventAccepted):
            self._happened[event.originator_id] = row
        elif isinstance(event, stored.Settled):
            happened = self._happened.pop(event.originator_id, None)
            return list(self._settled(row, event, happened, in_force.parties))
        elif isinstance(event, stored.HeldBack):
            return list(self._held_back(row, event, in_force))
        return []

    # -- settlements ---------------------------------------------------------------------------

    def _settled(
        self, row: Recorded, event: stored.Settled, happened: Recorded | None, parties: Parties
    ) -> Iterator[Decision]:
        happened = happened or self._log.read(event.position - 1, 1)[0]
        settlement = Settlement.from_record(json.loads(event.settlement))
        about = _about(happened)
        sent = self._delivered.of_decision(row.position)

        def decision(
            kind: Kind, of: Event, agency: str, category: str, outcome: str, **said: object
        ) -> Decision:
            party = parties.get(agency)
            fate = self._fate(row.position, sent, kind, of, agency, category, outcome)
            return Decision(
                at=row.position,
                recorded=event.timestamp,
                kind=kind,
                about=of,
                agency=agency,
                role=party.role if party is not None else "",
                category=category,
                outcome=outcome,
                policy=event.policy,
                register=event.parties,
                fate=fate,
                **{"basis": None, "reasons": (), "window": None, "concerned": True, **said},  # type: ignore[arg-type]
            )

        for agency, category, answer, concerned in self._first(settlement, about, parties):
            window = settlement.windows.get((agency, about.event, category))
            outcome, said = _said(answer)
            said |= {"window": window, "concerned": concerned}
            yield decision("first", about, agency, category, outcome, **said)
        for agency, events in settlement.backfill.items():
            for event_id, bases in events.items():
                for category, basis in bases.items():
                    if self._asked(agency):
                        window = settlement.windows.get((agency, event_id, category))
                        of = self._other(about, event_id)
                        said = {"basis": basis, "window": window}
                        yield decision("backfill", of, agency, category, "released", **said)
        for recall in settlement.recalls:
            for event_id, names in recall.items:
                for category in names:
                    if self._asked(recall.to):
                        of = self._other(about, event_id)
                        yield decision("recall", of, recall.to, category, "recalled")
        for agency, events in settlement.rebased.items():
            for event_id, bases in events.items():
                for category, basis in bases.items():
                    if self._asked(agency):
                        of = self._other(about, event_id)
                        yield decision("recall", of, agency, category, "kept", basis=basis)

    def _first(
        self, settlement: Settlement, about: Event, parties: Parties
    ) -> Iterator[tuple[str, str, Outcome, bool]]:
        for agency, outcomes in settlement.decided.items():
            if self._asked(agency):
                for category, outcome in outcomes.items():
                    yield agency, category, outcome, True
        if not (self._wanted.outsiders or self._wanted.agency):
            return
        for party in sorted(parties.all(), key=lambda one: one.agency):
            named = party.agency in settlement.decided or party.agency == about.emitter
            if named or party.role == HUB_ROLE or not self._asked(party.agency):
                continue
            for category, outcome in settlement.outsiders.by_role.get(party.role, {}).items():
                yield party.agency, category, outcome, False

    def _asked(self, agency: str) -> bool:
        return self._wanted.agency in (None, agency)

    def _other(self, about: Event, event_id: str) -> Event:
        """An earlier event of the same case."""
        if event_id == about.event:
            return about
        position = self._position_of(about.case, event_id)
        return _about(self._log.read(position - 1, 1)[0])

    def _position_of(self, case: UUID, event_id: str) -> int:
        known = self._index.get(case)
        if known is None or event_id not in known:
            known = {
                str(UUID(bytes=one.event.event_id)): one.position
                for one in self._log.stream(case)
                if isinstance(one.event, stored.EventAccepted)
            }
            self._index = {case: known}
        return known[event_id]

    # -- between decision and sending ----------------------------------------------------------

    def _held_back(
        self, row: Recorded, event: stored.HeldBack, in_force: InForce
    ) -> Iterator[Decision]:
        if not self._asked(event.agency):
            return
        party = in_force.parties.get(event.agency)
        told: list[tuple[str, str, str, str | None]] = [
            (event_id, category, "held_back", None)
            for event_id, names in json.loads(event.items).items()
            for category in names
        ]
        told += [
            (event_id, category, "rebased", basis)
            for event_id, bases in json.loads(event.rebased).items()
            for category, basis in bases.items()
        ]
        for event_id, category, outcome, basis in told:
            position = self._position_of(event.originator_id, event_id)
            yield Decision(
                at=row.position,
                recorded=event.timestamp,
                kind="sending",
                about=_about(self._log.read(position - 1, 1)[0]),
                agency=event.agency,
                role=party.role if party is not None else "",
                category=category,
                outcome=outcome,
                basis=basis,
                reasons=(),
                window=None,
                policy=in_force.profile.version,
                register=in_force.parties.version,
                concerned=True,
                fate=Fate("held_back", position=row.position) if basis is None else Fate(),
            )

    # -- what became of it ---------------------------------------------------------------------

    def _fate(
        self,
        at: int,
        sent: Iterable[Sent],
        kind: Kind,
        of: Event,
        agency: str,
        category: str,
        outcome: str,
    ) -> Fate:
        if outcome in ("withheld", "kept"):
            return Fate()
        for one in sent:
            if one.agency != agency or (one.kind == "recall") != (kind == "recall"):
                continue
            if kind == "recall":
                if category in dict(one.items["items"]).get(of.event, ()):
                    return _answered(one)
            elif one.about == of.position and category in one.items["bases"]:
                taken = self._delivered.recalled(agency, of.event, category, one.sequence)
                return _answered(one, taken[0] if taken else None)
        held = self._delivered.held(agency, of.event, category, at)
        return Fate("pending") if held is None else Fate("held_back", position=held)


def _answered(one: Sent, recall: int | None = None) -> Fate:
    if recall is not None:
        state = "recalled"
    elif one.turn:
        state = "applied"
    elif any(outcome == NOT_APPLIED for outcome, _ in one.outcomes):
        state = "quarantined"
    else:
        state = "sent"
    return Fate(state, one.sequence, one.position, one.answered or None, recall)


def _said(outcome: Outcome) -> tuple[str, dict[str, object]]:
    if isinstance(outcome, Released):
        return "released", {"basis": outcome.basis}
    return "withheld", {"reasons": outcome.reasons}


def _about(happened: Recorded) -> Event:
    event = happened.event
    assert isinstance(event, stored.EventAccepted)
    return Event(
        event.originator_id,
        UUID(bytes=event.subject_id),
        str(UUID(bytes=event.event_id)),
        happened.position,
        event.event_type,
        event.emitter,
    )
