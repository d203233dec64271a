"""Redecide: every decision recorded in the log, made again with the inputs of its own position.

    settlement   an accepted event: every party and category, recalls, backfill, endings
    sending      what was sent, and on which basis, as it stood when it was marked for sending
    held back    what was not sent after all, or on another basis

One pass: cases, register and profile are folded as the log goes, and the rules in force now are
asked again. As long as they answer as recorded, the case just decided is the case as recorded. If
not, every decision that differs is listed and the case is folded anew from what was recorded, so
that one divergence brings no other with it. None is expected; any is an alarm: the record, its
inputs or the rules were altered.

Where a date of birth was destroyed with its person, whether the person was a child is taken from
the record. Deliberately absent: guards; what was refused left no content to ask again about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from hub.audit.again import Divergence, settlement_divergences
from hub.audit.in_force import TOPICS, InForce, decisions_in
from hub.audit.walk import MOST_EVENTS, PageSecrets, WalkedCases, accepted_before, pages, uuid
from hub.deliveries import settle
from hub.domain.age import AgeView
from hub.domain.case import Case, CaseEvent, birth_date_erased
from hub.domain.settlement import Settlement
from hub.domain.timers import days
from hub.recording.accepted import Secrets, case_event, facts_bytes
from hub.release import standing
from hub.store import events as stored
from hub.store.log import HubLog, Recorded

ASKED: Final = TOPICS | {
    one.TOPIC for one in (stored.EventAccepted, stored.Settled, stored.HeldBack, stored.Sending)
}
Bases = dict[str, str]


@dataclass
class Counts:
    """What was made again so far."""

    events: int = 0
    decisions: int = 0
    sendings: int = 0
    divergences: int = 0


@dataclass
class _Owed:
    """Decided and not marked for sending yet: by agency and event, by decision in order."""

    releases: dict[tuple[str, str], list[tuple[int, Bases]]] = field(default_factory=dict)
    recalls: dict[tuple[str, int], list[dict[str, Any]]] = field(default_factory=dict)

    def take(self, settlement: Settlement, position: int) -> None:
        for owed in settlement.owed():
            if owed.recall is not None:
                items = [[event, sorted(names)] for event, names in owed.recall.items]
                self.recalls.setdefault((owed.agency, position), []).append(
                    {"action": owed.recall.action, "items": items}
                )
            else:
                waiting = self.releases.setdefault((owed.agency, owed.event_id), [])
                waiting.append((position, dict(owed.bases)))

    def pop(self, agency: str, event_id: str, decision: int | None = None) -> Bases:
        """What was decided at this position, or next; empty if nothing was."""
        waiting = self.releases.get((agency, event_id), [])
        for index, (position, bases) in enumerate(waiting):
            if decision in (None, position):
                del waiting[index]
                if not waiting:
                    del self.releases[agency, event_id]
                return bases
        return {}

    def kept(self) -> dict[str, Any]:
        return {
            "releases": [[*key, waiting] for key, waiting in self.releases.items()],
            "recalls": [[*key, waiting] for key, waiting in self.recalls.items()],
        }

    @classmethod
    def of(cls, kept: Mapping[str, Any]) -> _Owed:
        return cls(
            {
                (agency, event_id): [(position, bases) for position, bases in waiting]
                for agency, event_id, waiting in kept.get("releases", ())
            },
            {(agency, at): waiting for agency, at, waiting in kept.get("recalls", ())},
        )


class Redecision:
    """One walk through a log. `run` is to be used up once."""

    def __init__(
        self,
        log: HubLog,
        secrets: Secrets,
        end: int,
        *,
        after: int = 0,
        kept: Mapping[str, Any] | None = None,
        most_events: int = MOST_EVENTS,
    ) -> None:
        """end: the last position asked. after, kept: where an earlier walk was, and what it kept.
        most_events: kept folded in memory over all cases."""
        kept = kept or {}
        self._log = log
        self._secrets = PageSecrets(secrets)
        self._key_store = secrets
        self.end = end
        self.position = after
        self.counts = Counts(**kept.get("counts", {}))
        self.cases = WalkedCases(log, secrets, most_events)
        self._in_force = InForce.at(log, after)
        self._owed = _Owed.of(kept.get("owed", {}))
        self._happened: dict[UUID, tuple[CaseEvent, UUID | None]] = {}
        self._overtaken: dict[tuple[UUID, str], _Overtaken] = defaultdict(_Overtaken)
        for case, agency, held_back, rebased in kept.get("overtaken", ()):
            self._overtaken[UUID(hex=case), agency] = _Overtaken(held_back, rebased)

    def kept(self) -> dict[str, Any]:
        """What another walk needs to go on after `position`; between two pages only."""
        return {
            "counts": vars(self.counts),
            "owed": self._owed.kept(),
            "overtaken": [
                [case.hex, agency, one.held_back, one.rebased]
                for (case, agency), one in self._overtaken.items()
                if one.asked
            ],
        }

    def run(self) -> Iterator[list[Divergence]]:
        """For each page of rows, the decisions that come out differently."""
        for reached, rows in pages(self._log, self.position, self.end, ASKED):
            self._secrets.look(rows)
            found: list[Divergence] = []
            for row in rows:
                self._take(row, found)
            self.position = reached
            self.counts.divergences += len(found)
            yield found

    def _take(self, row: Recorded, found: list[Divergence]) -> None:
        event = row.event
        if isinstance(event, stored.EventAccepted):
            happened = case_event(event, self._secrets, row.position)
            begins = uuid(event.subject_id) if event.originator_version == 1 else None
            self._happened[event.originator_id] = happened, begins
        elif isinstance(event, stored.Settled):
            found += self._settled(row.position, event)
        elif isinstance(event, stored.Sending):
            found += self._sending(row.position, event)
        elif isinstance(event, stored.HeldBack):
            found += self._held_back(row.position, event)
        else:
            self._in_force.apply(row.position, event)

    # -- settlements ---------------------------------------------------------------------------

    def _settled(self, position: int, row: stored.Settled) -> Sequence[Divergence]:
        case_id = row.originator_id
        known = self._happened.pop(case_id, None)
        if known is None:  # the walk began between the event and its settlement
            known = accepted_before(self._log, row, self._key_store)
        happened, begins = known
        if begins is not None:
            case = self.cases.begin(case_id, begins)
        else:
            case = self.cases.before(case_id, happened.position)
        parties, profile = self._in_force.parties, self._in_force.profile
        age = None
        if case.birth_dates_erased or birth_date_erased(happened.facts):
            age = AgeView(*orjson.loads(row.settlement)["age"])
        trusted = b'"clock_trusted":false' not in row.settlement
        again = settle(
            case, happened, parties, profile, happened.at, clock_trusted=trusted, age=age
        )
        self.cases.entered()
        self.counts.events += 1
        self.counts.decisions += decisions_in(again, happened.emitter, parties)
        if facts_bytes(again.to_record()) == row.settlement and row.policy == again.policy:
            self._owed.take(again, position)
            return ()
        self.cases.drop(case_id)
        recorded = Settlement.from_record(orjson.loads(row.settlement))
        self._owed.take(recorded, position)
        return settlement_divergences(position, happened, recorded, again, parties)

    # -- what was sent, and what was not -------------------------------------------------------

    def _stands(
        self, case: Case, agency: str, event_id: str, bases: Mapping[str, str], at: datetime
    ) -> dict[str, str]:
        in_force = self._in_force
        return standing(case, agency, event_id, bases, in_force.parties, in_force.profile, at)

    def _sending(self, position: int, row: stored.Sending) -> Iterator[Divergence]:
        self.counts.sendings += 1
        case_id, body = uuid(row.case_id), orjson.loads(row.items)
        case = self.cases.before(case_id, position)
        if row.kind == "recall":
            yield from self._recall(position, row, case, body)
            return
        event_id = case.at(row.event_position)
        if event_id is None:
            yield Divergence(position, "sending", "", row.agency, "", "sent", "no such event")
            return
        decided = self._owed.pop(row.agency, event_id, row.decision)
        stands = self._stands(case, row.agency, event_id, decided, row.timestamp)
        self.counts.decisions += len(decided)
        if stands != decided:
            self._overtaken[case_id, row.agency].note(event_id, decided, stands)
        for category in sorted({*stands, *body["bases"]}):
            then, now = body["bases"].get(category), stands.get(category)
            if then != now:
                yield Divergence(
                    position, "sending", event_id, row.agency, category, _sent(then), _sent(now)
                )

    def _recall(
        self, position: int, row: stored.Sending, case: Case, body: dict[str, Any]
    ) -> Iterator[Divergence]:
        waiting = self._owed.recalls.get((row.agency, row.decision), [])
        again = waiting.pop(0) if waiting else {"action": "none", "items": []}
        if not waiting:
            self._owed.recalls.pop((row.agency, row.decision), None)
        timers = self._in_force.profile.timers
        due = days(timers, "T11_recall_answer_days", case.jurisdiction, row.timestamp.date())
        again["due"] = (row.timestamp + timedelta(days=due)).isoformat()
        for part in ("action", "due", "items"):
            if body.get(part) != again[part]:
                then, now = str(body.get(part)), str(again[part])
                yield Divergence(position, "sending", "", row.agency, f"recall {part}", then, now)

    def _held_back(self, position: int, row: stored.HeldBack) -> Iterator[Divergence]:
        case_id, agency = row.originator_id, row.agency
        items, rebased = orjson.loads(row.items), orjson.loads(row.rebased)
        case = self.cases.before(case_id, position)
        again = self._overtaken.pop((case_id, agency), None) or _Overtaken()
        for event_id in sorted({*items, *rebased} - again.asked):
            decided = self._owed.pop(agency, event_id)
            self.counts.decisions += len(decided)
            stands = self._stands(case, agency, event_id, decided, row.timestamp)
            again.note(event_id, decided, stands)
        for event_id in sorted({*items, *rebased, *again.held_back, *again.rebased}):
            then = _not_sent(items.get(event_id, ()), rebased.get(event_id, {}))
            now = _not_sent(again.held_back.get(event_id, ()), again.rebased.get(event_id, {}))
            for category in sorted({*then, *now}):
                if then.get(category) != now.get(category):
                    told = then.get(category, "as decided"), now.get(category, "as decided")
                    yield Divergence(position, "held_back", event_id, agency, category, *told)
        case.holdings.hold_back(agency, items)
        case.holdings.rebase(agency, rebased)


@dataclass
class _Overtaken:
    """What of one agency's did not stand, or stood otherwise, since the last such row."""

    held_back: dict[str, list[str]] = field(default_factory=dict)
    rebased: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def asked(self) -> set[str]:
        return {*self.held_back, *self.rebased}

    def note(self, event_id: str, decided: Mapping[str, str], stands: Mapping[str, str]) -> None:
        gone = sorted(set(decided) - set(stands))
        other = {c: basis for c, basis in stands.items() if basis != decided[c]}
        if gone:
            self.held_back[event_id] = gone
        if other:
            self.rebased[event_id] = other


def _sent(basis: str | None) -> str:
    return "held back" if basis is None else f"sent: {basis}"


def _not_sent(items: Sequence[str], rebased: Mapping[str, str]) -> dict[str, str]:
    return {
        **dict.fromkeys(items, "held back"),
        **{category: f"sent: {basis}" for category, basis in rebased.items()},
    }
