"""Q24: which upcoming schema version breaks a connector's mapping file.

Every column that is filled from a field is looked up in the schema that is to come, as the
connector will: is the field there, of the same kind, of the same category, with no code the
mapping has no translation for. Nothing of the log is read.
"""

from __future__ import annotations

import difflib
import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from connectors.errors import SettingsError
from connectors.mapping import EventMap, load_mapping, parse_mapping
from connectors.mapping import Mapping as MappingFile
from connectors.tables.columns import kind_of
from hub.audit.questions.answer import Column, Found, Row
from hub.audit.questions.asking import Asked, Parameter, Question
from hub.errors import Refused
from schemas import codelists
from schemas.avro import AvroError
from schemas.compartments import Field
from schemas.compatibility import incompatible
from schemas.event import EventSchema
from schemas.registry import Schemas

BREAKS, LOOK = "breaks", "look at it"
MOST_TEXT: Final = 200_000
MAPPING: Final = Parameter("mapping", "The mapping file of your connector.", "map.toml", local=True)
SCHEMAS: Final = Parameter(
    "schemas",
    "Folder of the schema files (.avsc) that are to come; else the hub's own `upcoming`.",
    "upcoming",
    local=True,
)
TEXT: Final = Parameter(
    "mapping_text", "The text of your connector's mapping file.", "version = 1", text=True
)


def _mapping(asked: Asked) -> MappingFile:
    path, text = asked.get("mapping"), asked.get("mapping_text")
    if (path is None) == (text is None):
        raise Refused(0, "missing_parameter", "Q24 needs your connector's mapping: --mapping FILE")
    try:
        if path is not None:
            return load_mapping(Path(path))
        if len(text or "") > MOST_TEXT:
            raise Refused(0, "bad_parameter_value", "the mapping is too long to be one")
        return parse_mapping(text or "", Path("mapping"))
    except SettingsError as wrong:
        raise Refused(0, "bad_mapping", f"correct it first: {wrong}") from None


def _upcoming(asked: Asked) -> dict[str, EventSchema]:
    """By type; none if there is no folder of them."""
    named = asked.get("schemas")
    folder = Path(named) if named else asked.hub.upcoming
    if named and folder is not None and not folder.is_dir():
        raise Refused(0, "no_schemas", "--schemas is a folder of .avsc files; there is none")
    found: dict[str, EventSchema] = {}
    if folder is None or not folder.is_dir():
        return found
    for file in sorted(folder.glob("*.avsc")):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                schema = EventSchema(json.loads(file.read_text("utf-8")))
        except (AvroError, ValueError, KeyError, TypeError):
            raise Refused(0, "bad_schema", f"{file.name} is no event schema") from None
        found[schema.type] = schema
    return found


def _broken(asked: Asked) -> Found:
    mapping, upcoming = _mapping(asked), _upcoming(asked)
    current = Schemas.load()
    found = Found(findings=0)
    new = {
        name: one
        for name, one in upcoming.items()
        if name not in current.types() or one.schema_id != current.by_type(name).schema_id
    }
    for one in mapping.maps:
        later = new.get(one.event)
        if later is not None:
            found.rows += _of_map(one, current.by_type(one.event), later)
    found.findings = sum(row[5] == BREAKS for row in found.rows)
    found.summary = {
        "maps": len(mapping.maps),
        "columns": sum(len(one.columns) for one in mapping.maps),
        "schemas that change": len(new),
    }
    if not new:
        found.notes.append("No schema that is to come differs from what is in force.")
    return found


def _of_map(one: EventMap, now: EventSchema, later: EventSchema) -> Iterator[Row]:
    def row(column: str, field: str, effect: str, what: str) -> Row:
        return (one.line, one.event, one.table, column, field, effect, what)

    for what in incompatible(later.document, now.document):
        yield row("", "", BREAKS, f"not compatible: {what}")
    for column, source in one.columns.items():
        if source.kind != "field":
            continue
        old, new = now.field(source.name), later.field(source.name)
        assert old is not None  # or the mapping would not have been read
        for effect, what in _of_field(old, new, later, source.codes):
            yield row(column, source.name, effect, what)
    mapped = {source.name for source in one.columns.values() if source.kind == "field"}
    for field in later.fields:
        if now.field(field.name) is None and field.name not in mapped:
            yield row("", field.name, LOOK, f"new field of category {field.category}, not mapped")


def _of_field(
    old: Field, new: Field | None, later: EventSchema, codes: Mapping[str, Any] | None
) -> Iterator[tuple[str, str]]:
    if new is None:
        names = [field.name for field in later.fields]
        close = difflib.get_close_matches(old.name, names, n=1)
        yield BREAKS, "the field is gone" + (f"; {close[0]} may take its place" if close else "")
        return
    was, will = kind_of(old.avro), kind_of(new.avro)
    if was != will:
        yield BREAKS, f"it was {was} and will be {will}"
    if old.category != new.category:
        yield (
            BREAKS,
            f"category {old.category} becomes {new.category}: you may not be released that",
        )
    if old.required and not new.required:
        yield LOOK, "it may be empty from then on"
    if codes is not None and "*" not in codes:
        missing = sorted(_codes(new) - _codes(old) - set(codes))
        if missing:
            yield BREAKS, f'codes without a translation and no "*": {", ".join(missing)}'


def _codes(field: Field) -> set[str]:
    """Codes a field may hold, as far as they are known."""
    branches = field.avro if isinstance(field.avro, list) else [field.avro]
    found = {
        str(symbol)
        for one in branches
        if isinstance(one, dict)
        for symbol in (one.get("symbols") or ())
    }
    if field.codelist is not None:
        try:
            found |= set(codelists.load(field.codelist).labels)
        except codelists.UnknownCodeListError:
            return found
    return found


Q24: Final = Question(
    "Q24",
    "IT team",
    "Which upcoming schema version breaks my mapping?",
    (MAPPING, SCHEMAS, TEXT),
    (
        Column("line", "Line of the map in the file."),
        Column("event", "Type of event."),
        Column("table", "Table it is mapped into."),
        Column("column", "Column concerned; empty: the whole type."),
        Column("field", "Field concerned."),
        Column("effect", "breaks, or look at it."),
        Column("what", "What changes."),
    ),
    _broken,
    "The mapping file against the schemas in force and those that are to come, field by field.",
    "Constraints of your own tables. A type without a file among the coming ones stays as it is.",
    agency_own=True,
    shown=("mapping", "schemas"),
)
