"""Step 10: every recorded decision made again, from what the rows before it say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from nrm_verify.case import Case, Event
from nrm_verify.effects import Bench, Budget, Effects, backfill, differences, effects
from nrm_verify.failure import Failure
from nrm_verify.fold import Moment, moments
from nrm_verify.register import Register
from nrm_verify.rows import Row
from nrm_verify.rules import Released
from nrm_verify.schemas import Schemas
from nrm_verify.statements import Statement

END_OF_TIME = datetime(9999, 12, 31, tzinfo=UTC)  # a clock not trusted: what expires has expired


@dataclass
class Decided:
    """What was decided again. ages_recorded: how often an age was taken as recorded."""

    events: int = 0
    answers: int = 0
    released: int = 0
    ages_recorded: int = 0


def decide(
    cases: Sequence[Sequence[Row]],
    statements: Mapping[int, Statement],
    register: Register,
    schemas: Schemas,
) -> Decided:
    """Step 10, over whole streams of cases. Raises Failure at the first difference."""
    decided, budget = Decided(), Budget()
    for rows in cases:
        bench: Bench | None = None
        found = Effects()
        for moment in moments(rows, statements, schemas):
            try:
                if moment.kind == "entered":
                    bench = _bench(moment, register, budget, decided)
                    found = effects(bench)
                elif moment.kind == "kept":
                    assert bench is not None
                    backfill(bench, found)
                    _compare(moment, bench, found, decided)
            except (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError):
                where = moment.row.position
                raise Failure(
                    10, "decision_differs", f"row {where} has not the form of its kind"
                ) from None
    return decided


def _bench(moment: Moment, register: Register, budget: Budget, decided: Decided) -> Bench:
    event, record = moment.event, moment.record
    profile = register.profile(event.position)
    assert profile is not None  # step 7
    trusted = record.get("clock_trusted", True) is True
    now = event.at if trusted else END_OF_TIME
    child, disputed = record["age"]
    age = (child is True, disputed is True)
    worked_out = moment.case.age.view(now, profile.enforcement)
    if worked_out is None:
        decided.ages_recorded += 1
    elif worked_out != age:
        raise Failure(
            10, "decision_differs", f"row {moment.row.position}: the age follows otherwise"
        )
    return Bench(
        moment.case,
        event,
        register.at(event.position),
        profile,
        now,
        age,
        _in_procedure(moment.case, event, record, age, profile.enforcement, trusted=trusted),
        budget,
    )


def _in_procedure(
    case: Case,
    event: Event,
    record: Mapping[str, Any],
    age: tuple[bool, bool],
    enforcement: frozenset[str],
    *,
    trusted: bool,
) -> bool:
    """2.4: whether a child leaves nobody. That is asked by the time it is, trusted or not."""
    if trusted:
        return any(age)
    view = case.age.view(event.at, enforcement)
    return any(view) if view is not None else not record.get("left")


def _compare(moment: Moment, bench: Bench, found: Effects, decided: Decided) -> None:
    record, row = moment.record, moment.row
    told = differences(found, record, bench)
    if list(record["categories"]) != list(bench.event.categories):
        told.insert(0, "the categories recorded are not those the event carries")
    if record["policy"] != row.value["policy"] or record["parties"] != row.value["parties"]:
        told.insert(0, "policy or register are not those of the row")
    if told:
        more = f", and {len(told) - 1} more" if len(told) > 1 else ""
        raise Failure(
            10,
            "decision_differs",
            f"row {row.position}, {bench.event.type} at {bench.event.position}: {told[0]}{more}",
        )
    decided.events += 1
    decided.answers += len(found.decided)
    decided.released += sum(isinstance(one, Released) for one in found.decided.values())
