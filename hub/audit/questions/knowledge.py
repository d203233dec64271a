"""Q02: what an agency knew, by four kinds of time.

Happened (the emitter's word), recorded (the hub's log), sent (marked in the agency's own gapless
sequence) and applied (the agency's signed receipt). `as_of` is the moment asked about, as a log
position or an instant; `happened_before` cuts by when things happened.
"""

from __future__ import annotations

from typing import Final
from uuid import UUID

from hub.audit.questions.answer import Cell, Column, Found, Row, moment
from hub.audit.questions.asking import (
    AGENCY,
    AS_OF,
    CASE,
    Asked,
    Parameter,
    Question,
    instant_of,
    merged,
    required,
)
from hub.audit.questions.items import RECEIVED, About, Item, Items
from hub.publisher import told_basis
from hub.store import events as stored

BEFORE: Final = Parameter(
    "happened_before", "Only what happened by then: a date (its end, UTC) or instant.", "2026-03-01"
)


def _knew(asked: Asked) -> Found:
    agency = asked.agency or ""
    case = asked.case
    until = asked.get("happened_before")
    before = instant_of(until, "happened_before") if until else None
    items = Items(asked.exchange.pseudonyms, of=agency)
    accepted = (
        asked.walk(stored.EventAccepted)
        if case is None
        else (one for one in asked.rows_of(case) if isinstance(one.event, stored.EventAccepted))
    )
    for one in merged(accepted, asked.deliveries_of(agency)):
        items.apply(one.position, one.event)

    def wanted(about: About) -> bool:
        return before is None or about.happened <= before

    rows: list[tuple[int, Row]] = []
    for about in items.events.values():
        if about.emitter == agency and wanted(about):
            for category in about.categories:
                rows.append((about.position, _row(asked, agency, about, category, None)))
    for item in items.all:
        if item.state in RECEIVED and wanted(item.about):
            rows.append((item.sent, _row(asked, agency, item.about, item.category, item)))
    rows.sort(key=lambda one: one[0])
    found = Found([row for _, row in rows])
    if _attested(asked, agency):
        found.notes.append("This agency is told days and names of its own only, and no hours.")
    known = [str(row[-1]) for row in found.rows]
    found.summary = {word: known.count(word) for word in ("yes", "perhaps", "no more")}
    return found


def _attested(asked: Asked, agency: str) -> bool:
    """Whether it is told on the hub's word: then it knows no id and no hour another one knows."""
    known = asked.exchange.agencies.get(agency)
    role = known.role if known else ""
    return asked.exchange.policy().evidence_for(role) == "hub"


def _row(asked: Asked, agency: str, about: About, category: str, item: Item | None) -> Row:
    names = asked.exchange.pseudonyms
    attested = _attested(asked, agency) and item is not None
    named = names.pseudonym(agency, "event", UUID(about.event_id))
    happened = about.happened.date().isoformat() if attested else moment(about.happened)
    event: tuple[Cell, ...] = (
        about.case_id.hex,
        names.pseudonym(agency, "case", about.case_id),
        about.position,
        named if attested else about.event_id,
        about.type,
        category,
        happened,
        moment(about.recorded),
    )
    if item is None:
        return (*event, "said it itself", None, None, None, None, "own event", "yes")
    return (
        *event,
        told_basis(names, agency, about.case_id, item.basis) if attested else item.basis,
        item.sequence,
        moment(item.sent_at),
        moment(item.answered_at),
        moment(item.stated),
        item.state,
        item.knows,
    )


Q02: Final = Question(
    "Q02",
    "auditor",
    "What did agency X know at time T (as-of replay)?",
    (required(AGENCY), CASE, AS_OF, BEFORE),
    (
        Column("case", "The hub's id of the case.", hub_only=True),
        Column("case_ref", "The case as the hub names it to this agency."),
        Column("event", "Log position of the event.", hub_only=True),
        Column("event_ref", "The event as it is named to this agency."),
        Column("type", "Type of the event."),
        Column("category", "Category of data."),
        Column("happened", "When it happened, as the agency that recorded it says."),
        Column("recorded", "When the hub recorded it.", hub_only=True),
        Column("basis", "On what basis it was sent; what it said itself needed none."),
        Column("sequence", "Its place in the agency's deliveries."),
        Column("sent", "When it was marked as sending to the agency."),
        Column("answered", "When the agency's receipt was recorded."),
        Column("applied", "When the agency's system applied it, by that system's clock."),
        Column("state", "Where it stood then, by receipts and recalls."),
        Column(
            "knew",
            "yes: its receipt says applied, or it said so itself; perhaps: sent, no receipt yet; "
            "no more: its receipt says deleted or restricted.",
        ),
    ),
    _knew,
    "The agency's own events, its delivery log and its signed receipts, up to the position.",
    "What it learned outside the hub; what its people remember of what its system deleted.",
    agency_own=True,
    proof="All it was sent, with its receipts, to be checked offline: nrm-hub audit bundle "
    "--agency; that it was told nothing of a case: nrm-hub audit absence; that its tables hold "
    "this and nothing else: nrm-hub audit ask Q10 --theirs.",
)
