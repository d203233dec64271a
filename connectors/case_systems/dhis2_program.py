"""A DHIS2 program as the connector needs it: its fields, and what they take.

Pure. `read_program()` takes what the server says; `mismatches()` compares a mapping file with it;
`shown_as()` makes a field's text of a value. Attributes belong to the tracked entity, data
elements to the events of a stage.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any, Final

from connectors.case_systems.mapping import (
    ANYTHING,
    EVERY_OTHER,
    CaseMapping,
    Form,
    Mismatch,
    Target,
)
from connectors.case_systems.told import word
from connectors.tables.columns import to_boolean, to_date, to_integer, to_text, to_timestamp

FORM: Final = Form(
    settings={"stage": "the uid of a program stage"},
    groups={"attributes": "tracked entity attributes", "data": "data elements of the stage"},
)

PROGRAM_FIELDS: Final = (
    "id,enableChangeLog,displayIncidentDate,organisationUnits[id],"
    "trackedEntityType[id,enableChangeLog],"
    "programTrackedEntityAttributes[mandatory,"
    "trackedEntityAttribute[id,valueType,optionSet[id,options[code]]]],"
    "programStages[id,repeatable,programStageDataElements[compulsory,"
    "dataElement[id,valueType,optionSet[id,options[code]]]]]"
)
"""What is asked of /api/programs/{uid}."""

MOST_ATTRIBUTE: Final = 1200
MOST_DATA: Final = 50000
"""Letters DHIS2 takes in an attribute, and in a data element."""

_NUMBERS: Final = frozenset({"integer", "number"})
_WHOLE: Final = frozenset({"integer"})
_TAKES: Final[Mapping[str, frozenset[str]]] = {
    "TEXT": ANYTHING,
    "LONG_TEXT": ANYTHING,
    "MULTI_TEXT": frozenset({"text", "json"}),
    "LETTER": frozenset({"text"}),
    "PHONE_NUMBER": frozenset({"text"}),
    "EMAIL": frozenset({"text"}),
    "URL": frozenset({"text"}),
    "BOOLEAN": frozenset({"boolean"}),
    "TRUE_ONLY": frozenset({"boolean"}),
    "DATE": frozenset({"date", "timestamp"}),
    "AGE": frozenset({"date"}),
    "DATETIME": frozenset({"timestamp"}),
    "NUMBER": _NUMBERS,
    "UNIT_INTERVAL": _NUMBERS,
    "PERCENTAGE": _NUMBERS,
    "INTEGER": _WHOLE,
    "INTEGER_POSITIVE": _WHOLE,
    "INTEGER_NEGATIVE": _WHOLE,
    "INTEGER_ZERO_OR_POSITIVE": _WHOLE,
}


@dataclass(frozen=True)
class Taker:
    """One attribute or data element. options: the codes it takes; None if it has no option set."""

    uid: str
    value_type: str
    options: frozenset[str] | None
    mandatory: bool
    option_set: str | None = None


@dataclass(frozen=True)
class Stage:
    uid: str
    repeatable: bool
    elements: Mapping[str, Taker]


@dataclass(frozen=True)
class Program:
    """keeps_history: whether the server logs former values, as far as it says."""

    uid: str
    tracked_entity_type: str
    attributes: Mapping[str, Taker]
    stages: Mapping[str, Stage]
    org_units: frozenset[str]
    keeps_history: bool

    @property
    def fields(self) -> dict[str, tuple[str, ...]]:
        """Fields by what an error may name them by: their own uid, or that of their option set."""
        found: dict[str, tuple[str, ...]] = {}
        for takers in (self.attributes, *(stage.elements for stage in self.stages.values())):
            for taker in takers.values():
                found[taker.uid] = (taker.uid,)
                if taker.option_set is not None:
                    found[taker.option_set] = (*found.get(taker.option_set, ()), taker.uid)
        return found


def read_program(said: Mapping[str, Any]) -> Program:
    """From the server's JSON. KeyError, TypeError or AttributeError if it is not a program.

    Servers before 2.43 have no switch for the change log of a program: it counts as on.
    """
    entity_type = said["trackedEntityType"]
    attributes = [
        _taker(one["trackedEntityAttribute"], one.get("mandatory", False))
        for one in said.get("programTrackedEntityAttributes", [])
    ]
    stages = {}
    for stage in said.get("programStages", []):
        elements = [
            _taker(one["dataElement"], one.get("compulsory", False))
            for one in stage.get("programStageDataElements", [])
        ]
        uid = word(stage["id"])
        stages[uid] = Stage(uid, bool(stage.get("repeatable")), {one.uid: one for one in elements})
    return Program(
        word(said["id"]),
        word(entity_type["id"]),
        {one.uid: one for one in attributes},
        stages,
        frozenset(word(one["id"]) for one in said.get("organisationUnits", [])),
        bool(said.get("enableChangeLog", True) or entity_type.get("enableChangeLog", True)),
    )


def _taker(said: Mapping[str, Any], mandatory: object) -> Taker:
    uid, kind, options = word(said["id"]), word(said["valueType"]), said.get("optionSet")
    if options is None:
        return Taker(uid, kind, None, bool(mandatory))
    codes = frozenset(str(one["code"]) for one in options.get("options", []))
    return Taker(uid, kind, codes, bool(mandatory), word(options["id"]))


def mismatches(mapping: CaseMapping, program: Program) -> list[Mismatch]:
    """Everything in the file that does not fit the program."""
    found: list[Mismatch] = []
    for one, target in mapping.every("attributes"):
        taker = program.attributes.get(target.name)
        if taker is None:
            text = f"the program has no attribute {target.name} (for {one.event})"
            found.append(Mismatch(target.line, text, "add it to the program, or correct the uid"))
            continue
        if target.source.name == "fields":
            text = f"attribute {target.name} is too short for all fields of {one.event}"
            found.append(Mismatch(target.line, text, "use a LONG_TEXT data element of a stage"))
        found += _unfit(target, taker)
    for one in mapping.maps:
        name = one.settings.get("stage")
        stage = None if name is None else program.stages.get(name)
        if name is not None and stage is None:
            text = f"the program has no stage {name} (for {one.event})"
            found.append(Mismatch(one.line, text, "add it to the program, or correct the uid"))
        if name is None and one.targets("data"):
            text = f"{one.event} fills data elements of no stage"
            found.append(Mismatch(one.line, text, 'say which: stage = "…"'))
        if stage is None:
            continue
        if not stage.repeatable:
            event = "several event types go" if one.event == EVERY_OTHER else f"{one.event} goes"
            text = f"stage {stage.uid} is not repeatable, and {event} there, perhaps twice"
            found.append(Mismatch(one.line, text, "make the stage repeatable"))
        for target in one.targets("data"):
            taker = stage.elements.get(target.name)
            if taker is None:
                text = f"stage {stage.uid} has no data element {target.name} (for {one.event})"
                found.append(Mismatch(target.line, text, "add it to the stage, or correct the uid"))
            else:
                found += _unfit(target, taker)
    found += _mandatory(mapping, program)
    return found


def _unfit(target: Target, taker: Taker) -> Iterator[Mismatch]:
    suited = _TAKES.get(taker.value_type)
    if suited is None:
        text = f"{taker.uid} is {taker.value_type}, which this connector does not fill"
        yield Mismatch(target.line, text, "map to a field of another value type")
    elif target.kind not in suited:
        text = f"{taker.uid} is {taker.value_type}, the value a {target.kind}"
        yield Mismatch(target.line, text, "translate it with codes, add type = …, or map elsewhere")
    if taker.options is None:
        return
    missing = sorted(set(target.outputs or ()) - taker.options)
    if missing:
        text = f"the option set of {taker.uid} lacks {', '.join(missing)}"
        yield Mismatch(target.line, text, "translate with codes, or add these options")


def _mandatory(mapping: CaseMapping, program: Program) -> Iterator[Mismatch]:
    """Any category may be withheld or recalled: a field that cannot be empty stops everything."""
    fix = "make it optional: any category can be withheld or recalled"
    for taker in program.attributes.values():
        if taker.mandatory:
            yield Mismatch(1, f"attribute {taker.uid} is mandatory in the program", fix)
    for one in mapping.maps:
        stage = program.stages.get(one.settings.get("stage", ""))
        for taker in stage.elements.values() if stage else ():
            if taker.mandatory:
                text = (
                    f"data element {taker.uid} is compulsory in stage {stage.uid if stage else ''}"
                )
                yield Mismatch(one.line, text, fix)


def shown_as(value: Any, value_type: str) -> str | None:
    """The text DHIS2 keeps for a value; None where it is kept by absence. ValueError."""
    if value_type == "BOOLEAN":
        return "true" if to_boolean(value) else "false"
    if value_type == "TRUE_ONLY":
        return "true" if to_boolean(value) else None
    if value_type in ("DATE", "AGE"):
        return to_date(value).isoformat()
    if value_type == "DATETIME":
        return to_timestamp(value).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    if value_type.startswith("INTEGER"):
        return str(to_integer(value))
    if value_type == "MULTI_TEXT":
        parts = value if isinstance(value, list) else [value]
        if any("," in str(one) for one in parts):
            raise ValueError("a comma within one of several values")
        return ",".join(str(one) for one in parts)
    return to_text(value) or None
