"""Reading: what of the log an account is made of. Reads only; opens no content."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from hub.deliveries import Settlement
from hub.errors import Refused
from hub.exchange import Exchange
from hub.person.account import Account, account
from hub.person.delivered import answers, deliveries
from hub.person.steps import AgencyName, Answer, Decided, Happened, HeldBack, Sent, Step
from hub.recording.draft import stream_id
from hub.store import events as stored
from hub.store.log import Recorded
from schemas import codelists

ANSWER_DAYS = "T08_subject_request_days"
NO_SUCH_CASE = Refused(0, "unknown_case", "there is no case of this reference; check it")

Tell = Callable[[int, int], None]  # progress: done, of


@dataclass
class Read:
    """A case as read for its person."""

    case_id: UUID
    subject_id: UUID
    recorded: list[Recorded]
    account: Account
    agencies: dict[str, AgencyName]
    now: datetime


def silent(_done: int, _of: int) -> None:
    """Nobody watches."""


def read(
    exchange: Exchange, case_ref: str, *, complaints: bool = False, tell: Tell = silent
) -> Read:
    """The account of one case as recorded up to now. Raises Refused for an unknown case.

    complaints: show feedback and complaints too. tell: called as the work goes on.
    """
    case_id = exchange.pseudonyms.canonical("case", case_ref)
    recorded = exchange.log.stream(case_id)
    case = exchange.case(case_id)
    if not recorded or case is None or case.involvement.opener is None:
        raise NO_SUCH_CASE
    assert case.subject_id is not None
    steps = _steps(exchange, recorded)
    owed = _owed(steps)
    sent: list[Sent] = []
    answered: list[Answer] = []
    for done, (agency, decisions) in enumerate(sorted(owed.items())):
        tell(done, len(owed))
        found = deliveries(exchange.log, agency, case_id, decisions)
        sent += [one for _, one in found]
        answered += answers(exchange.log, agency, found)
    tell(len(owed), len(owed))
    now = exchange.clock.now()
    made = account(
        steps,
        case,
        now.date(),
        sent=sent,
        answers=answered,
        shredded_at=_shredded(exchange, case.subject_id),
        categories=tuple(codelists.load("nrm.category").labels),
        complaints=complaints,
        answer_days=int(exchange.policy().timers.get(ANSWER_DAYS, 30)),
    )
    names = {one.agency: AgencyName(one.name, one.role) for one in exchange.agencies}
    for one in recorded:  # who spoke and is not registered, as the hub's own desk
        if isinstance(one.event, stored.EventAccepted):
            names.setdefault(one.event.emitter, AgencyName(one.event.emitter, one.event.role))
    return Read(case_id, case.subject_id, recorded, made, names, now)


def _steps(exchange: Exchange, recorded: list[Recorded]) -> list[Step]:
    secrets = {
        UUID(bytes=one.event.secret_id)
        for one in recorded
        if isinstance(one.event, stored.EventAccepted)
    }
    gone = exchange.secrets.erased_among(secrets)
    steps: list[Step] = []
    for one in recorded:
        event = one.event
        if isinstance(event, stored.EventAccepted):
            steps.append(
                Happened(
                    position=one.position,
                    event_id=str(UUID(bytes=event.event_id)),
                    type=event.event_type,
                    agency=event.emitter,
                    at=event.timestamp,
                    categories=tuple(event.categories),
                    facts=json.loads(event.facts),
                    erased=UUID(bytes=event.secret_id) in gone,
                )
            )
        elif isinstance(event, stored.Settled):
            settlement = Settlement.from_record(json.loads(event.settlement))
            steps.append(Decided(one.position, event.timestamp, settlement))
        elif isinstance(event, stored.HeldBack):
            items, rebased = json.loads(event.items), json.loads(event.rebased)
            steps.append(HeldBack(one.position, event.timestamp, event.agency, items, rebased))
    return steps


def _owed(steps: list[Step]) -> dict[str, list[int]]:
    """Per agency the positions of the decisions that owe it something."""
    owed: dict[str, list[int]] = {}
    for step in steps:
        if isinstance(step, Decided):
            for agency in {item.agency for item in step.settlement.owed()}:
                owed.setdefault(agency, []).append(step.position)
    return owed


def _shredded(exchange: Exchange, subject: UUID) -> list[datetime]:
    stream = stream_id("shredded", subject.hex)
    return [one.event.timestamp for one in exchange.log.stream(stream)]
