"""Answers: every decision about one agency and one category of a case, and each made again.

What `why` tells of one event, for a whole cell of "who holds what", in one pass over the case and
one over the agency's delivery log. The case is folded as it was recorded; after each event has
entered it, exactly where the decision was made then, the rules are asked again on the register and
profile of that moment. A different answer is a divergence: an alarm, never explained away.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Literal
from uuid import UUID

from hub.audit.in_force import Profiles, Register
from hub.deliveries import END_OF_TIME
from hub.domain.case import Case, CaseEvent
from hub.domain.parties import HUB_ROLE, Party
from hub.domain.settlement import Outcome, Released, Settlement, Withheld
from hub.exchange import Exchange
from hub.recording.accepted import case_event
from hub.recording.draft import delivery_stream, stream_id
from hub.release import RULES, Ask, decide
from hub.store import events as stored
from hub.store.log import HubLog, Recorded
from schemas import wire

NO_RULE: Final = 0  # nothing answered: never released
AGREEMENT_RULE: Final = len(RULES) + 1  # docs/release.md 2.12, after the numbered rules of 4


@dataclass(frozen=True, slots=True)
class Reply:
    """A receipt: at which log position it was recorded and what it says, `applied` if no more."""

    position: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Fate:
    """What became of a release. sequence: of its delivery; 0 while it is not sent. recall: sequence
    of the recall that took it back, or 0. Replies are None while there is no receipt. held_back:
    log position at which it was stopped before it was sent."""

    sequence: int = 0
    reply: Reply | None = None
    recall: int = 0
    recall_reply: Reply | None = None
    held_back: int | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """One decision. phase: `first`, on the event itself, or `backfill`, on an earlier one because
    of the event recorded at `at`. position, type, emitter: of the event it is about. rule: number
    in docs/release.md 4, NO_RULE or AGREEMENT_RULE. settled: log position of the record."""

    phase: Literal["first", "backfill"]
    at: int
    settled: int
    event_id: str
    position: int
    type: str
    emitter: str
    recorded: Outcome
    again: Outcome
    rule: int
    policy: str
    fate: Fate | None = None

    @property
    def same(self) -> bool:
        return self.recorded == self.again


def answers(exchange: Exchange, rows: list[Recorded], agency: str, category: str) -> list[Answer]:
    """Every decision about this agency and category, in log order. rows: of one case, from its
    first."""
    found = list(_Asking(exchange, agency, category).of(rows))
    if not any(isinstance(one.recorded, Released) for one in found):
        return found
    fates = _Fates(exchange.log, rows, agency, category)
    return [
        replace(one, fate=fates.of(one)) if isinstance(one.recorded, Released) else one
        for one in found
    ]


class _Asking:
    def __init__(self, exchange: Exchange, agency: str, category: str) -> None:
        self._secrets = exchange.secrets
        self._register = Register(exchange.log)
        self._profiles = Profiles(exchange.log)
        self._agency = agency
        self._category = category

    def of(self, rows: list[Recorded]) -> Iterator[Answer]:
        case: Case | None = None
        happened: CaseEvent | None = None
        for one in rows:
            event = one.event
            if isinstance(event, stored.EventAccepted):
                case = case or Case(event.originator_id, UUID(bytes=event.subject_id))
                happened = case_event(event, self._secrets, one.position)
            elif isinstance(event, stored.Settled):
                assert case is not None
                assert happened is not None
                yield from self._settled(case, happened, one.position, event)
            elif isinstance(event, stored.HeldBack):
                assert case is not None
                case.holdings.hold_back(event.agency, json.loads(event.items))
                case.holdings.rebase(event.agency, json.loads(event.rebased))

    def _settled(
        self, case: Case, happened: CaseEvent, settled: int, event: stored.Settled
    ) -> Iterator[Answer]:
        recorded = Settlement.from_record(json.loads(event.settlement))
        profile = self._profiles.at(happened.position)
        party = self._register.as_of(event.parties).get(self._agency)
        happened = case.enter(happened)
        now = happened.at if recorded.clock_trusted else END_OF_TIME
        age = recorded.age
        if not case.birth_dates_erased:
            age = case.age.view(now, profile.enforcement_roles)

        def answer(about: CaseEvent, party: Party, then: Outcome, *, first: bool) -> Answer:
            ask = Ask(
                case, about, party, profile, now, age=age, category=self._category, first=first
            )
            again = decide(ask)
            if first and self._agency not in recorded.decided and isinstance(again, Withheld):
                again = Withheld(again.reasons[:1])  # an outsider's record keeps the first
            return Answer(
                "first" if first else "backfill",
                happened.position,
                settled,
                about.event_id,
                about.position,
                about.type,
                about.emitter,
                then,
                again,
                rule_of(ask),
                recorded.policy,
            )

        if party is not None and party.role != HUB_ROLE and happened.emitter != self._agency:
            then = recorded.outcome(self._agency, party.role, self._category)
            if then is not None:
                yield answer(happened, party, then, first=True)
        case.hold(recorded, happened)
        case.leave(happened)
        if party is None:
            return
        for event_id, bases in recorded.backfill.get(self._agency, {}).items():
            earlier = case.find(event_id)
            if earlier is not None and self._category in bases:
                window = recorded.windows.get((self._agency, event_id, self._category))
                then = Released(bases[self._category], window)
                yield answer(earlier, party, then, first=False)


def rule_of(ask: Ask) -> int:
    """The number of the rule that answers first; a rule that fails counts as the answer."""
    ask.mode = ask.profile.mode(ask.role, ask.category)
    for number, rule in enumerate(RULES, start=1):
        try:
            outcome = rule(ask)
        except Exception:
            return number
        if outcome is not None:
            unsigned = isinstance(outcome, Released) and not ask.party.receives
            return AGREEMENT_RULE if unsigned else number
    return NO_RULE


class _Fates:
    """One pass over the deliveries and receipts of an agency, for one category of one case."""

    def __init__(self, log: HubLog, rows: list[Recorded], agency: str, category: str) -> None:
        self._held_back: dict[str, list[int]] = {}
        for one in rows:
            event = one.event
            if isinstance(event, stored.HeldBack) and event.agency == agency:
                for event_id, names in json.loads(event.items).items():
                    if category in names:
                        self._held_back.setdefault(event_id, []).append(one.position)
        self._receipts = [
            (one.position, one.event)
            for one in log.stream(stream_id("receipts", agency))
            if isinstance(one.event, stored.Received)
        ]
        self._sent: dict[tuple[int, int], int] = {}  # decision, position of the event → sequence
        self._recalls: dict[str, list[int]] = {}  # event id → sequences
        case_id = rows[0].event.originator_id.bytes
        for one in log.stream(delivery_stream(agency)):
            sending = one.event
            if not isinstance(sending, stored.Sending) or sending.case_id != case_id:
                continue
            body, sequence = json.loads(sending.items), sending.originator_version
            if sending.kind == "recall":
                for event_id, names in body["items"]:
                    if category in names:
                        self._recalls.setdefault(event_id, []).append(sequence)
            elif category in body["bases"]:
                self._sent[sending.decision, sending.event_position] = sequence

    def of(self, answer: Answer) -> Fate:
        sequence = self._sent.get((answer.settled, answer.position), 0)
        if not sequence:
            held = self._held_back.get(answer.event_id, ())
            return Fate(held_back=next((at for at in held if at > answer.settled), None))
        recall = next((n for n in self._recalls.get(answer.event_id, ()) if n > sequence), 0)
        return Fate(
            sequence,
            self._reply(sequence),
            recall,
            self._reply(recall) if recall else None,
        )

    def _reply(self, sequence: int) -> Reply | None:
        for position, one in self._receipts:
            if one.first_sequence <= sequence <= one.last_sequence:
                said = wire.RECEIPT.unsingle(one.receipt)["exceptions"]
                found = [item["outcome"] for item in said if item["sequence"] == sequence]
                return Reply(position, found[-1] if found else "applied")
        return None


__all__ = ["AGREEMENT_RULE", "NO_RULE", "Answer", "Fate", "Reply", "answers", "rule_of"]
