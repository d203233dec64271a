"""Q01: what was shared about a person, with whom, on what basis, and what became of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Final
from uuid import UUID

from hub.audit.questions.answer import Column, Found, moment
from hub.audit.questions.asking import (
    AS_OF,
    CASE,
    Asked,
    Parameter,
    Question,
    merged,
)
from hub.audit.questions.items import QUARANTINED, RECEIVED, Items
from hub.domain.settlement import Settlement
from hub.errors import Refused
from hub.person.delivered import receipts, sendings
from hub.recalling.book import ANSWERS
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
    proof="The rows with their signatures, to be checked offline: nrm-hub audit bundle --case; "
    "that an agency was told nothing of a case: nrm-hub audit absence.",
)
