"""Q01 and Q08: what was shared about a person, and what was refused, to whom and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from hub.agencies import Agencies
from hub.audit.questions.answer import Cell, Column, Found, listed, moment
from hub.audit.questions.asking import (
    AS_OF,
    CASE,
    REGISTER,
    Asked,
    Parameter,
    Question,
    merged,
)
from hub.audit.questions.items import QUARANTINED, RECEIVED, Items
from hub.domain.settlement import Settlement, Withheld
from hub.errors import Refused
from hub.person.delivered import receipts, sendings
from hub.recall_book import ANSWERS
from hub.store import events as stored
from hub.store.log import HubLog, Recorded
from schemas import wire

PERSON: Final = Parameter("person", "A person, by the common reference agencies use.", "P1")


def of_person(asked: Asked) -> list[UUID]:
    """The cases asked about: one, or all of a person. Refused unless exactly one is given."""
    case, person = asked.case, asked.get("person")
    if (case is None) == (person is None):
        raise Refused(0, "missing_parameter", "give one of --case and --person")
    if case is not None:
        return [case]
    subject = asked.exchange.pseudonyms.canonical("subject", person or "").bytes
    found = dict.fromkeys(
        one.event.originator_id
        for one in asked.walk(stored.EventAccepted)
        if isinstance(one.event, stored.EventAccepted) and one.event.subject_id == subject
    )
    if not found:
        raise Refused(0, "unknown_person", "no case of that person by then; check --person")
    return list(found)


def rows_of(asked: Asked, case_id: UUID) -> Iterator[Recorded]:
    """The case's rows with its deliveries and their receipts, in log order, up to the position.

    Without reading other cases' deliveries.
    """
    log = asked.exchange.log
    rows = list(asked.rows_of(case_id))
    decisions: dict[str, list[int]] = {}
    for one in rows:
        if isinstance(one.event, stored.Settled):
            settlement = Settlement.from_record(json.loads(one.event.settlement))
            for owed in settlement.owed():
                decisions.setdefault(owed.agency, []).append(one.position)
    streams: list[Iterable[Recorded]] = [rows]
    for agency, positions in sorted(decisions.items()):
        sent = list(sendings(log, agency, case_id, positions))
        streams.append(sent)
        if sent:
            streams.append(_answers(log, agency, sent))
    return (one for one in merged(*streams) if one.position <= asked.end)


def _answers(log: HubLog, agency: str, sent: list[Recorded]) -> Iterator[Recorded]:
    """The agency's receipts for these deliveries, until each is answered for good."""
    recalls: dict[int, bool] = {}  # sequences not answered yet, and whether they are recalls
    aside: set[int] = set()
    for one in sent:
        assert isinstance(one.event, stored.Sending)
        recalls[one.event.originator_version] = one.event.kind == "recall"
    for one in receipts(log, agency, sent[0].position):
        receipt = one.event
        assert isinstance(receipt, stored.Received)
        outcomes: dict[int, set[str]] = {}
        for said in wire.RECEIPT.unsingle(receipt.receipt)["exceptions"]:
            outcomes.setdefault(said["sequence"], set()).add(said["outcome"])
        covered = [
            sequence
            for sequence in recalls
            if receipt.first_sequence <= sequence <= receipt.last_sequence or sequence in outcomes
        ]
        if covered:
            yield one
        for sequence in covered:
            said_of = outcomes.get(sequence, set())
            if QUARANTINED in said_of:
                aside.add(sequence)
            elif said_of & ANSWERS or (
                not recalls[sequence] and (said_of or sequence not in aside)
            ):
                del recalls[sequence]
        if not recalls:
            return


def items_of(asked: Asked, case_id: UUID) -> Items:
    """Everything released of one case."""
    items = Items(asked.exchange.pseudonyms)
    for one in rows_of(asked, case_id):
        items.apply(one.position, one.event)
    return items


def _shared(asked: Asked) -> Found:
    register, found = asked.register(), Found()
    for case_id in of_person(asked):
        for item in items_of(asked, case_id).all:
            known = register.get(item.agency)
            found.rows.append(
                (
                    case_id.hex,
                    item.agency,
                    known.role if known else "",
                    item.about.position,
                    item.about.type,
                    item.category,
                    item.basis,
                    item.how,
                    item.policy,
                    item.decided,
                    moment(item.decided_at),
                    moment(item.sent_at),
                    item.sequence or None,
                    moment(item.answered_at),
                    item.state,
                    item.own_basis,
                )
            )
    left = sum(row[14] in RECEIVED for row in found.rows)
    found.summary = {
        "released": len(found.rows),
        "left the hub": left,
        "agencies": len({row[1] for row in found.rows}),
    }
    return found


Q01: Final = Question(
    "Q01",
    "auditor",
    "Who received which categories of this person's data, when, on what basis, under which "
    "policy version?",
    (CASE, PERSON, AS_OF),
    (
        Column("case", "The hub's id of the case."),
        Column("agency", "Who received it."),
        Column("role", "The agency's role."),
        Column("event", "Log position of the event it is of."),
        Column("type", "Type of the event."),
        Column("category", "Category of data."),
        Column("basis", "Why it was released; what follows consent: names it."),
        Column("how", "at once, by backfill, or through a break-glass window."),
        Column("policy", "Version of the policy profile it was decided under."),
        Column("decision", "Log position of the decision."),
        Column("decided", "When that was recorded."),
        Column("sent", "When it was marked as sending; empty: never."),
        Column("sequence", "Its place in the agency's deliveries."),
        Column("answered", "When the agency's signed receipt was recorded."),
        Column("state", "What became of it, by receipts and recalls."),
        Column("own_basis", "Kept after a recall: the law the agency names."),
    ),
    _shared,
    "Decisions, deliveries and signed receipts in the log, joined.",
    "What an agency told others outside the hub, or what it knew before.",
    shown=("case",),
)

_TO: Final = Parameter("agency", "Only what was refused to, or of, this agency.", "POL-1")


@dataclass(slots=True)
class _Line:
    """Equal refusals, counted."""

    count: int = 0
    first: int = 0
    last: int = 0
    since: datetime | None = None

    def add(self, position: int, at: datetime, count: int = 1) -> None:
        if not self.count:
            self.first, self.since = position, at
        self.count, self.last = self.count + count, position


Key = tuple[str, str, str, str, str, str]  # kind, who, event type, category or step, reasons, under


def _refusals(asked: Asked) -> Found:
    case, agency = asked.case, asked.agency
    kinds = (stored.EventAccepted, stored.Settled, stored.HeldBack, stored.Refused, *REGISTER)
    lines: dict[Key, _Line] = {}
    register = Agencies()
    last: stored.EventAccepted | None = None
    rows = asked.walk(*kinds) if case is None else asked.rows_of(case)
    roles = asked.register() if case is not None else register
    for one in rows:
        event = one.event
        if isinstance(event, stored.EventAccepted):
            last = event
        elif type(event) in REGISTER:
            register.apply(one.position, event)
        for key, count in _of(event, last, roles, agency):
            lines.setdefault(key, _Line()).add(one.position, event.timestamp, count)
    found = Found()
    totals: dict[str, Cell] = {}
    for key in sorted(lines, key=lambda key: (key[0], lines[key].first, key)):
        line = lines[key]
        totals[key[0]] = int(totals.get(key[0]) or 0) + line.count
        found.rows.append((*key, line.count, line.first, line.last, moment(line.since)))
    found.summary = totals
    if case is not None:
        found.notes.append("Refused submissions are kept without their case, so none is listed.")
    return found


def _of(
    event: object, last: stored.EventAccepted | None, register: Agencies, only: str | None
) -> Iterator[tuple[Key, int]]:
    """The refusals one row holds."""
    if isinstance(event, stored.Settled) and last is not None:
        yield from _withheld(event, last, register, only)
    elif isinstance(event, stored.HeldBack) and only in (None, event.agency):
        for names in json.loads(event.items).values():
            for category in names:
                yield ("held back", event.agency, "", category, "no longer stood when sent", ""), 1
    elif isinstance(event, stored.Refused) and only in (None, event.agency):
        why = listed(filter(None, (event.reason, event.guard)))
        yield ("submission", event.agency, "", f"step {event.step}", why, ""), 1
    elif isinstance(event, stored.EventAccepted) and event.event_type == "SubjectRequestDecided":
        facts = json.loads(event.facts)
        if only is None and facts.get("outcome") in ("refused", "partly"):
            why = listed(filter(None, (str(facts["outcome"]), facts.get("exemption"))))
            yield ("person's request", event.emitter, event.event_type, "", why, ""), 1


def _withheld(
    row: stored.Settled, last: stored.EventAccepted, register: Agencies, only: str | None
) -> Iterator[tuple[Key, int]]:
    settlement = Settlement.from_record(json.loads(row.settlement))
    known = register.get(only) if only is not None else None
    for agency, outcomes in settlement.decided.items():
        for category, outcome in outcomes.items():
            if isinstance(outcome, Withheld) and only in (None, agency):
                yield (
                    (
                        "release",
                        agency,
                        last.event_type,
                        category,
                        listed(outcome.reasons),
                        row.policy,
                    ),
                    1,
                )
    for role, by_category in settlement.outsiders.by_role.items():
        if only is not None and (
            known is None
            or known.role != role
            or only in settlement.decided
            or only == last.emitter
        ):
            continue
        who = only or f"every other {role}"
        for category, outcome in by_category.items():
            if isinstance(outcome, Withheld):
                yield (
                    (
                        "release",
                        who,
                        last.event_type,
                        category,
                        listed(outcome.reasons),
                        row.policy,
                    ),
                    1,
                )


Q08: Final = Question(
    "Q08",
    "auditor",
    "Which releases were refused, and why?",
    (CASE, _TO, AS_OF),
    (
        Column("kind", "release, held back (before sending), submission, or person's request."),
        Column("who", "To whom it was refused; of a submission or request, whose it was."),
        Column("type", "Type of the event."),
        Column("about", "Category of data; of a submission, the step of admission."),
        Column("reasons", "Reason codes, the deciding one first (docs/release.md)."),
        Column("policy", "Version of the policy profile it was decided under."),
        Column("count", "How often, exactly so."),
        Column("first", "Log position of the first."),
        Column("last", "Log position of the last."),
        Column("since", "When the first was recorded."),
    ),
    _refusals,
    "Every decision to withhold, every item held back before sending, every refused submission.",
    "What was refused at the door of the HTTP interface before it was known who asked.",
)
