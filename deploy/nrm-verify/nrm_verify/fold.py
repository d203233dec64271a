"""A case folded from its rows, moment by moment; what was decided is taken as recorded.

Both readings of a case use this: `decisions.py` decides again at each moment, `deliveries.py` looks
at what was sent in between.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from nrm_verify.case import Case, Event
from nrm_verify.effects import corrected_category
from nrm_verify.failure import Failure
from nrm_verify.rows import ACCEPTED, HELD_BACK, SENDING, SETTLED, Row, Undecodable
from nrm_verify.schemas import Schemas
from nrm_verify.statements import Statement

_SHAPES = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)


@dataclass(frozen=True)
class Moment:
    """One moment: the event `entered` the case; the decision's effects but backfill were `kept`;
    a delivery was `sent`; something was `held_back`."""

    kind: Literal["entered", "kept", "sent", "held_back"]
    case: Case
    row: Row
    event: Event
    record: Mapping[str, Any]


def moments(
    rows: Sequence[Row], statements: Mapping[int, Statement], schemas: Schemas
) -> Iterator[Moment]:
    """Of one case: its stream, and deliveries about it if they are among the rows, by position.

    Raises Failure of step 10 for a record that has not the form of one.
    """
    case = Case()
    event: Event | None = None
    waiting: Row | None = None
    for row in rows:
        if row.topic == ACCEPTED:
            if waiting is not None:
                raise _undecided(waiting)
            waiting = row
            continue
        if row.topic == SETTLED:
            record = _json(row, "settlement")
            if waiting is None or (
                (row.value["event_version"], row.value["position"])
                != (waiting.version, waiting.position)
            ):
                raise Failure(
                    10, "decision_differs", f"row {row.position} settles no event before it"
                )
            event = _event(case, statements[waiting.position], schemas)
            waiting = None
            case.enter(event)
            if record.get("event") != event.id:
                raise Failure(10, "decision_differs", f"row {row.position} is about another event")
            yield Moment("entered", case, row, event, record)
            try:
                case.keep(record)
                case.leave(event, tuple(record.get("left", ())))
                yield Moment("kept", case, row, event, record)
                case.keep_backfill(record)
            except _SHAPES:
                raise _no_record(row) from None
            continue
        if event is None:
            raise Failure(10, "decision_differs", f"row {row.position} comes before any event")
        if row.topic == SENDING:
            yield Moment("sent", case, row, event, _json(row, "items"))
        elif row.topic == HELD_BACK:
            items, rebased = _json(row, "items"), _json(row, "rebased")
            yield Moment("held_back", case, row, event, {"items": items, "rebased": rebased})
            try:
                for event_id, names in items.items():
                    case.drop(row.value["agency"], event_id, names)
                case.rebase(row.value["agency"], rebased)
            except _SHAPES:
                raise _no_record(row) from None


def _event(case: Case, statement: Statement, schemas: Schemas) -> Event:
    row = statement.row
    value, kind = row.value, row.value["event_type"]
    schemas.require(value["schema_id"], kind, row.position)
    facts = _json(row, "facts")
    event = Event(
        statement.event_id,
        kind,
        schemas.group(value["schema_id"]),
        value["emitter"],
        value["role"],
        row.position,
        value["timestamp"],
        tuple(value["categories"]),
        facts,
        value["schema_id"],
    )
    if event.id in case.events:
        raise Failure(10, "decision_differs", f"row {row.position}: this event stands already")
    corrected = case.events.get(str(facts.get("corrects_event")))
    if kind != "RecordCorrected" or corrected is None:
        return event
    field = str(facts.get("field"))
    if corrected.type == "RecordCorrected" and field == "new_value":
        category: str | None = corrected_category(corrected)
    else:
        category = schemas.category(corrected.schema, corrected.type, field)
    if category is None or category in event.categories:
        return event
    return replace(event, categories=(*event.categories, category))


def _json(row: Row, name: str) -> dict[str, Any]:
    try:
        value = row.json(name)
    except Undecodable:
        value = None
    if not isinstance(value, dict):
        raise _no_record(row)
    return value


def _no_record(row: Row) -> Failure:
    return Failure(10, "decision_differs", f"row {row.position} has not the form of its kind")


def _undecided(row: Row) -> Failure:
    return Failure(10, "decision_differs", f"row {row.position} was followed by no decision")
