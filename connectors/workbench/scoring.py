"""Scoring: how well a column of a partner takes one thing an event tells, and why. Pure.

Names are compared as concepts, in the light of what the table is about; the type must fit; lists of
codes must speak of the same. A score is between 0 and 1: below LEAST nothing is proposed, an event
needs SURE once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from connectors.database.definitions import Column, Table
from connectors.mapping.checking import Withheld
from connectors.mapping.event_codes import by_reference, codes_of, room_for
from connectors.tables.columns import kind_of
from connectors.workbench.codes import Translation, translate
from connectors.workbench.events_told import ABOUT, CHANGED, FIELDS, GENERIC, KEYS, OCCURRED
from connectors.workbench.naming import alike, concepts, shared_prefix, tokens
from schemas.event import EventSchema
from schemas.registry import Schemas

LEAST: Final = 0.68
SURE: Final = 0.8
LIKELY: Final = 0.3  # enough to be offered to somebody who asks for another field

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


def choices(
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


def line_for(
    table: Table, column: Column, choice: Choice, least: float = LEAST * 0.9
) -> Line | None:
    if column.key or is_ref(column) or CHANGED in concepts(tokens(column.name)):
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
        place = f"{table.name}.{column.name}"
        blocked = f"{place} is NOT NULL, but a category may be withheld: allow NULL there"
    if choice.name == OCCURRED:
        blocked = ""
    return Line(column, choice, round(name * fit, 2), reason, translation, pick, blocked)


def _name_score(table: Table, column: Column, choice: Choice) -> tuple[float, str]:
    prefix = shared_prefix(tuple(one.name for one in table.columns))
    mine = concepts(tokens(column.name.removeprefix(prefix)))
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
    holds = column.length if choice.kind == "json" and column.kind == "text" else None
    pick = holds is not None and holds < room_for(of, 2)  # it was made to hold one
    return fit, f"{choice.kind} into {column.kind}", None, pick


def _yes_no(column: Column) -> tuple[float, str, Translation | None, bool]:
    values = [str(one.value) for one in column.codes or ()]
    for yes, no in (("Y", "N"), ("O", "N"), ("S", "N"), ("J", "N"), ("yes", "no"), ("oui", "non")):
        if {yes, no} <= set(values):
            return 0.98, f"{yes} and {no}", Translation({"true": yes, "false": no}), False
    if column.length == 1:
        return 0.9, "one letter: Y and N", Translation({"true": "Y", "false": "N"}), False
    return 0.85, "as text: true and false", None, False


def is_ref(column: Column) -> bool:
    return bool(KEYS & set(tokens(column.name))) and column.kind in ("text", "any", "uuid")
