"""Proposing: which column of a partner takes which field, with a score and the reason. Pure.

1. every column is scored against every field of the events that partners keep (`scoring.py`)
2. each column takes its best field, each field one column of a table, best first
3. an event needs one line that is sure; rows are found by a column of the partner's that can
   hold our reference
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from connectors.database.definitions import REF_LENGTH, Column, Found, Table
from connectors.mapping.checking import Withheld
from connectors.workbench.events_told import OCCURRED, OTHERS
from connectors.workbench.naming import concepts, tokens
from connectors.workbench.scoring import (
    LEAST,
    LIKELY,
    SURE,
    Choice,
    Line,
    choices,
    is_ref,
    line_for,
)
from schemas.registry import Schemas

_BARE: Final = re.compile(r"\w+(\.\w+)*")
"""Names that a statement can hold as they are: it is printed for somebody who may run it."""


@dataclass(frozen=True)
class TableProposal:
    """All that is proposed for one table. key: column and what fills it; None if there is none.

    notes: what has to be done to the table. statements: as much of it as SQL can say for every
    database; whoever owns the table runs them.
    """

    table: Table
    key: tuple[str, str] | None
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()

    def by_event(self) -> dict[str, list[Line]]:
        found: dict[str, list[Line]] = defaultdict(list)
        for one in self.lines:
            found[one.event].append(one)
        return dict(found)


@dataclass
class Proposal:
    """For a whole database. withheld: (event.field, why) of what was left out for the role.

    left_out: lines for columns that would take such a field, and take nothing now.
    """

    tables: list[TableProposal] = field(default_factory=list)
    withheld: dict[str, str] = field(default_factory=dict)
    left_out: list[tuple[Table, Line]] = field(default_factory=list)


def propose(
    found: Found,
    schemas: Schemas,
    *,
    withheld: Withheld = lambda schema, category: None,  # noqa: ARG005
    events: Iterable[str] = (),
) -> Proposal:
    """A proposal for every table that takes anything. events: only these types."""
    made = Proposal()
    wanted = frozenset(events)
    things = list(choices(schemas, withheld, wanted, made.withheld))
    everything = list(choices(schemas, lambda *_: None, wanted, {})) if made.withheld else []
    for table in found.tables.values():
        if table.lookup or OTHERS in concepts(tokens(table.name)):
            continue
        lines = _table(table, things)
        if lines:
            made.tables.append(_keyed(table, lines))
        taken = {one.column.name for one in lines}
        made.left_out += [
            (table, one)
            for one in _table(table, everything)
            if f"{one.event}.{one.choice.name}" in made.withheld and one.column.name not in taken
        ]
    return made


def alternatives(
    table: Table, column: Column, schemas: Schemas, withheld: Withheld, most: int = 5
) -> list[Line]:
    """The best fields for one column, whether they are proposed or not."""
    things = choices(schemas, withheld, frozenset(), {})
    lines = (line_for(table, column, one, LIKELY) for one in things)
    ranked = sorted((one for one in lines if one is not None), key=lambda one: -one.score)
    return ranked[:most]


def named(
    table: Table, column: Column, text: str, schemas: Schemas, withheld: Withheld
) -> Line | None:
    """The line for a field somebody names ("CaseOpened.channel"); None if it cannot go there."""
    for choice in choices(schemas, withheld, frozenset(), {}):
        if text.lower() == f"{choice.schema.type}.{choice.name}".lower():
            line = line_for(table, column, choice, least=0.0)
            if line is not None:
                return replace(line, reason=f"named by hand; {line.reason}")
    return None


def _table(table: Table, things: Iterable[Choice]) -> list[Line]:
    lines = [
        line
        for column in table.columns
        for choice in things
        if (line := line_for(table, column, choice)) is not None and line.score >= LEAST
    ]
    # What an event has more columns for in this table is more likely meant than what another has.
    support: dict[str, set[str]] = defaultdict(set)
    for one in lines:
        if one.score >= SURE:
            support[one.event].add(one.column.name)
    lines.sort(key=lambda one: (-one.score, -len(support[one.event]), one.event, one.choice.name))
    taken: set[str] = set()
    used: set[tuple[str, str, str]] = set()
    kept: list[Line] = []
    for one in lines:
        place = (one.event, one.choice.name, one.choice.part)
        if one.column.name not in taken and place not in used:
            taken.add(one.column.name)
            used.add(place)
            kept.append(one)
    sure = {one.event for one in kept if one.score >= SURE and one.choice.name != OCCURRED}
    kept = [one for one in kept if one.event in sure]
    order = {one.name: number for number, one in enumerate(table.columns)}
    return sorted(kept, key=lambda one: order[one.column.name])


def _keyed(table: Table, lines: list[Line]) -> TableProposal:
    notes, statements = [], []
    column = next((one for one in table.columns if is_ref(one)), None)
    source = _source(table, column, lines)
    if column is None:
        notes.append(
            f"{table.name} has no column that could hold our reference: add nrm_ref "
            f"VARCHAR({REF_LENGTH}) with a unique index, and this part can be used"
        )
        if _BARE.fullmatch(table.place):
            statements = [
                f"ALTER TABLE {table.place} ADD nrm_ref VARCHAR({REF_LENGTH})",
                f"CREATE UNIQUE INDEX {table.name}_nrm_ref ON {table.place} (nrm_ref)",
            ]
    elif column.length is not None and column.length < REF_LENGTH:
        notes.append(
            f"{table.name}.{column.name} is too short for our reference: make it "
            f"VARCHAR({REF_LENGTH})"
        )
        column = None
    if column is not None and frozenset({column.name}) not in table.unique:
        notes.append(
            f"{table.name}.{column.name} is not unique in the database: if two rows have the same "
            "reference, both are filled. Make a unique index on it"
        )
        if _BARE.fullmatch(f"{table.place}.{column.name}"):
            index = f"{table.name}_{column.name}"
            statements = [f"CREATE UNIQUE INDEX {index} ON {table.place} ({column.name})"]
    taken = {one.column.name for one in lines}
    taken |= {column.name} if column is not None else set()
    for one in table.columns:
        if not one.nullable and not one.filled and not one.key and one.name not in taken:
            notes.append(
                f"{table.name}.{one.name} is NOT NULL without a default: no new row can be made. "
                'Give it a default or allow NULL, or fill it with { constant = "…" }'
            )
    key = None if column is None else (column.name, source)
    return TableProposal(table, key, tuple(lines), tuple(notes), tuple(statements))


def _source(table: Table, column: Column | None, lines: list[Line]) -> str:
    """What a row of this table is one of: a person, a case or an event."""
    words = concepts(tokens(column.name)) if column is not None else frozenset[str]()
    if "event" in words:
        return "event_ref"
    if "case" in words:
        return "case_ref"
    about = concepts(tokens(table.name))
    identity = [one for one in lines if one.choice.category in ("identity", "demographics")]
    named = "person" in words or "person" in about
    if named or len(identity) >= 2:
        return "subject_ref"
    return "event_ref" if len({one.event for one in lines}) == 1 else "case_ref"


def without(proposal: TableProposal, columns: Iterable[str]) -> TableProposal:
    """The same without the lines for these columns."""
    gone = set(columns)
    return replace(
        proposal, lines=tuple(one for one in proposal.lines if one.column.name not in gone)
    )
