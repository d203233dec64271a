"""Proposing: which column of a partner takes which field, with a score and the reason. Pure.

    1. every column against every field of the events that partners keep: names as concepts, in the
       light of what the table is about; the type must fit; lists of codes must speak of the same
    2. each column takes its best field, each field one column of a table, best first
    3. an event needs one line that is sure; rows are found by a column of the partner's that can
       hold our reference

A score is between 0 and 1: below LEAST nothing is proposed, an event needs SURE once.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from connectors.database.definitions import REF_LENGTH, Column, Found, Table
from connectors.event_codes import by_reference, codes_of
from connectors.mapping.checking import Withheld
from connectors.tables.columns import kind_of
from connectors.workbench.codes import Translation, translate
from connectors.workbench.events_told import ABOUT, FIELDS, GENERIC, KEYS, OCCURRED, OTHERS
from connectors.workbench.naming import alike, concepts, tokens
from schemas.event import EventSchema
from schemas.registry import Schemas

LEAST: Final = 0.68
SURE: Final = 0.8
LIKELY: Final = 0.3  # enough to be offered to somebody who asks for another field

_BARE: Final = re.compile(r"\w+(\.\w+)*")
"""Names that a statement can hold as they are: it is printed for somebody who may run it."""
_FITS: Final[Mapping[str, Mapping[str, float]]] = {
    "text": {"text": 1.0, "any": 0.95},
    "date": {"date": 1.0, "timestamp": 0.95, "text": 0.9, "any": 0.95},
    "timestamp": {"timestamp": 1.0, "date": 0.95, "text": 0.9, "any": 0.95},
    "boolean": {"boolean": 1.0, "integer": 0.95, "text": 0.85, "any": 0.95},
    "integer": {"integer": 1.0, "number": 0.95, "text": 0.85, "any": 0.95},
    "number": {"number": 1.0, "text": 0.85, "any": 0.95},
    "json": {"json": 1.0, "text": 0.95, "any": 0.95},
    "amount": {"number": 1.0, "integer": 0.0, "text": 0.9, "any": 0.95},
    "currency": {"text": 1.0, "any": 0.95},
}


@dataclass(frozen=True)
class Choice:
    """One thing an event tells: a field, a part of one, or when it happened."""

    schema: EventSchema
    name: str
    kind: str  # a key of _FITS
    category: str = ""
    part: str = ""


@dataclass(frozen=True)
class Line:
    """One proposed line of the file.

    translation: of codes. pick: takes the first of a list. blocked: why the line cannot be used as
    the table is; it is written as a comment.
    """

    column: Column
    choice: Choice
    score: float
    reason: str
    translation: Translation | None = None
    pick: bool = False
    blocked: str = ""

    @property
    def event(self) -> str:
        return self.choice.schema.type


@dataclass(frozen=True)
class TableProposal:
    """All that is proposed for one table. key: column and what fills it; None if there is none."""

    table: Table
    key: tuple[str, str] | None
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()

    def by_event(self) -> dict[str, list[Line]]:
        found: dict[str, list[Line]] = defaultdict(list)
        for one in self.lines:
            found[one.event].append(one)
        return dict(found)


@dataclass
class Proposal:
    """For a whole database. withheld: (event.field, why) of what was left out for the role."""

    tables: list[TableProposal] = field(default_factory=list)
    withheld: dict[str, str] = field(default_factory=dict)


def propose(
    found: Found,
    schemas: Schemas,
    *,
    withheld: Withheld = lambda schema, category: None,  # noqa: ARG005
    events: Iterable[str] = (),
) -> Proposal:
    """A proposal for every table that takes anything. events: only these types."""
    made = Proposal()
    choices = list(_choices(schemas, withheld, frozenset(events), made.withheld))
    for table in found.tables.values():
        if table.lookup or OTHERS in concepts(tokens(table.name)):
            continue
        lines = _table(table, choices)
        if lines:
            made.tables.append(_keyed(table, lines))
    return made


def alternatives(
    table: Table, column: Column, schemas: Schemas, withheld: Withheld, most: int = 5
) -> list[Line]:
    """The best fields for one column, whether they are proposed or not."""
    choices = _choices(schemas, withheld, frozenset(), {})
    lines = (_line(table, column, one, LIKELY) for one in choices)
    ranked = sorted((one for one in lines if one is not None), key=lambda one: -one.score)
    return ranked[:most]


def named(
    table: Table, column: Column, text: str, schemas: Schemas, withheld: Withheld
) -> Line | None:
    """The line for a field somebody names ("CaseOpened.channel"); None if it cannot go there."""
    for choice in _choices(schemas, withheld, frozenset(), {}):
        if text.lower() == f"{choice.schema.type}.{choice.name}".lower():
            line = _line(table, column, choice, least=0.0)
            if line is not None:
                return replace(line, reason=f"named by hand; {line.reason}")
    return None


def _choices(
    schemas: Schemas, withheld: Withheld, events: frozenset[str], left_out: dict[str, str]
) -> Iterator[Choice]:
    for event in ABOUT:
        if events and event not in events:
            continue
        schema = schemas.by_type(event)
        yield Choice(schema, OCCURRED, "timestamp")
        for one in schema.fields:
            if one.copies:
                continue
            why = withheld(schema, one.category)
            if why is not None:
                left_out[f"{event}.{one.name}"] = why
                continue
            kind = kind_of(one.avro)
            if kind == "money":
                yield Choice(schema, one.name, "amount", one.category, "amount")
                yield Choice(schema, one.name, "currency", one.category, "currency")
            else:
                yield Choice(schema, one.name, kind, one.category)


def _table(table: Table, choices: Iterable[Choice]) -> list[Line]:
    lines = [
        line
        for column in table.columns
        for choice in choices
        if (line := _line(table, column, choice)) is not None and line.score >= LEAST
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


def _line(table: Table, column: Column, choice: Choice, least: float = LEAST * 0.9) -> Line | None:
    if column.key or _is_ref(column):
        return None
    name, words = _name_score(table, column, choice)
    if name < least:
        return None
    fit, told, translation, pick = _type_score(column, choice)
    if fit <= 0:
        return None
    reason = f"{words}; {told}"
    blocked = ""
    if not column.nullable:
        blocked = f"{column.name} is NOT NULL, but a category may be withheld: allow NULL there"
    if choice.name == OCCURRED:
        blocked = ""
    return Line(column, choice, round(name * fit, 2), reason, translation, pick, blocked)


def _name_score(table: Table, column: Column, choice: Choice) -> tuple[float, str]:
    mine = concepts(tokens(column.name))
    around = concepts(tokens(table.name))
    around |= {"service"} if "services" in around else frozenset()
    about = ABOUT[choice.schema.type]
    context = bool((mine | around) & about)
    best, best_set = 0.0, frozenset[str]()
    for wanted in _wanted(choice):
        if not alike(mine, wanted):
            continue  # what the table's name alone says is said of all its columns
        views = (mine, mine | (around & wanted), mine - around, mine - around - about)
        score = max(alike(view, wanted) for view in views)
        if not context:
            score *= 0.45 if wanted <= GENERIC else 0.93
        elif not (around & about) and wanted <= GENERIC:
            score *= 0.97
        if score > best:
            best, best_set = score, wanted
    shown = " + ".join(sorted(one.replace("_", " ") for one in best_set))
    return best, f"{table.name}.{column.name} says {shown}"


def _wanted(choice: Choice) -> tuple[frozenset[str], ...]:
    named = FIELDS.get(f"{choice.schema.type}.{choice.name}")
    if choice.part == "currency":
        return (frozenset({"currency"}),)
    if named is not None:
        return named
    if choice.name == OCCURRED:
        return (ABOUT[choice.schema.type] | {"date"},)
    if choice.name.endswith("_id"):  # "id" alone says nothing: only who names it so means it
        return (frozenset({choice.name}),)
    return (concepts(tokens(choice.name)),)


def _type_score(column: Column, choice: Choice) -> tuple[float, str, Translation | None, bool]:
    """How well the type fits, told; with the codes' translation where there is a list."""
    if choice.name == OCCURRED:
        fit = _FITS["timestamp"].get(column.kind, 0.0)
        return fit, f"when it happened, as {column.kind}", None, False
    of = choice.schema[choice.name]
    if column.codes is not None and (codes_of(of) or by_reference(of)):
        translation = translate(of, column.codes)
        if translation is None:
            return 0.0, "", None, False
        pick = choice.kind == "json" and column.kind != "json"
        told = (
            "the same codes"
            if translation.as_is
            else f"codes: {len(translation.table)} translated, {len(translation.missing)} without"
        )
        return 0.9 + 0.1 * translation.coverage, told, translation, pick
    if column.refers is not None:
        return 0.0, "", None, False  # the number of another row, and no list of codes to read
    if choice.kind == "boolean" and column.kind == "text":
        return _yes_no(column)
    fit = _FITS[choice.kind].get(column.kind, 0.0)
    longest = max((len(code) for code in codes_of(of)), default=0)
    if column.kind == "text" and column.length and longest > column.length:
        return 0.0, "", None, False
    return fit, f"{choice.kind} into {column.kind}", None, False


def _yes_no(column: Column) -> tuple[float, str, Translation | None, bool]:
    values = [str(one.value) for one in column.codes or ()]
    for yes, no in (("Y", "N"), ("O", "N"), ("S", "N"), ("J", "N"), ("yes", "no"), ("oui", "non")):
        if {yes, no} <= set(values):
            return 0.98, f"{yes} and {no}", Translation({"true": yes, "false": no}), False
    if column.length == 1:
        return 0.9, "one letter: Y and N", Translation({"true": "Y", "false": "N"}), False
    return 0.85, "as text: true and false", None, False


def _is_ref(column: Column) -> bool:
    return bool(KEYS & set(tokens(column.name))) and column.kind in ("text", "any", "uuid")


def _keyed(table: Table, lines: list[Line]) -> TableProposal:
    notes = []
    column = next((one for one in table.columns if _is_ref(one)), None)
    source = _source(table, column, lines)
    if column is None:
        told = f"a column nrm_ref VARCHAR({REF_LENGTH}), and a unique index on it"
        if _BARE.fullmatch(table.place):
            told = (
                f"ALTER TABLE {table.place} ADD nrm_ref VARCHAR({REF_LENGTH}); "
                f"CREATE UNIQUE INDEX {table.name}_nrm_ref ON {table.place} (nrm_ref)"
            )
        notes.append(
            f"{table.name} has no column that could hold our reference. Add one, and this part can "
            f"be used: {told}"
        )
    elif column.length is not None and column.length < REF_LENGTH:
        notes.append(
            f"{table.name}.{column.name} is too short for our reference: make it "
            f"VARCHAR({REF_LENGTH})"
        )
        column = None
    if column is not None and frozenset({column.name}) not in table.unique:
        told = "Make a unique index on it"
        if _BARE.fullmatch(f"{table.place}.{column.name}"):
            told = f"CREATE UNIQUE INDEX ON {table.place} ({column.name})"
        notes.append(
            f"{table.name}.{column.name} is not unique in the database: if two rows have the same "
            f"reference, both are filled. {told}"
        )
    taken = {one.column.name for one in lines if not one.blocked}
    taken |= {column.name} if column is not None else set()
    for one in table.columns:
        if not one.nullable and not one.filled and not one.key and one.name not in taken:
            notes.append(
                f"{table.name}.{one.name} is NOT NULL without a default: no new row can be made. "
                'Give it a default or allow NULL, or fill it with { constant = "…" }'
            )
    key = None if column is None else (column.name, source)
    return TableProposal(table, key, tuple(lines), tuple(notes))


def _source(table: Table, column: Column | None, lines: list[Line]) -> str:
    """What a row of this table is one of: a person, a case or an event."""
    words = set(tokens(column.name)) if column is not None else set()
    if "event" in words:
        return "event_ref"
    if words & {"case", "dossier", "file"}:
        return "case_ref"
    about = concepts(tokens(table.name))
    identity = [one for one in lines if one.choice.category in ("identity", "demographics")]
    named = words & {"subject", "person", "client", "victim"} or "person" in about
    if named or len(identity) >= 2:
        return "subject_ref"
    return "event_ref" if len({one.event for one in lines}) == 1 else "case_ref"


def without(proposal: TableProposal, columns: Iterable[str]) -> TableProposal:
    """The same without the lines for these columns."""
    gone = set(columns)
    return replace(
        proposal, lines=tuple(one for one in proposal.lines if one.column.name not in gone)
    )
