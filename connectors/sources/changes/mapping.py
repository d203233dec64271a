"""The mapping of a changes source: which rows of which tables state which events.

    version = 1
    zone = "Europe/Vienna"            # of times that the tables keep without one

    [codes.age]
    A = "adult"
    C = "child"
    "*" = "unknown"

    [[map]]
    event = "CaseOpened"
    table = "app.client"              # an existing table, perhaps with its schema
    key = ["id"]                      # columns that identify the row
    changed = "updated_at"            # a time or a number that grows with every change of the row
    case = "case_no"                  # the column with the case's reference, or
                                      # { via = "client_id", table = "app.client", key = "id",
                                      #   column = "case_no" }
    at = "created_at"                 # when it happened; left out: `changed`, if that is a time
    on = "first"                      # see below
    when = { status = ["open", "active"] }

    [map.fields]                      # field of the event = column, or one of these
    jurisdiction = { constant = "XX" }
    age_status = { column = "age", codes = "age" }
    basis = { text = "c-{consent_no}" }

on = "first": the event once per row; what changes later is stated as a correction of it, field by
field. "change": the event again, whole, whenever something changed. "delete": when the row is gone;
its fields come from key columns and constants.

Events are stated in the order of the maps: put first what has to come first.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from connectors.given import document_of, text_of
from connectors.mapping.reader import Reader, close, listed
from schemas.event import EventSchema
from schemas.registry import Schemas

Scalar: TypeAlias = str | int | bool
_COLUMN: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class FieldFrom(_Part):
    """Where a field's value comes from: one of column, constant, text."""

    column: str | None = None
    constant: Any = None
    text: str | None = None
    codes: str | None = None

    @model_validator(mode="after")
    def one(self) -> FieldFrom:
        if sum(name in self.model_fields_set for name in ("column", "constant", "text")) != 1:
            raise ValueError("give one of column, constant, text")
        return self

    @property
    def columns(self) -> tuple[str, ...]:
        if self.column is not None:
            return (self.column,)
        return tuple(_COLUMN.findall(self.text)) if self.text is not None else ()

    def filled(self, row: Mapping[str, Any]) -> Any:
        """The cell. A text of which a column is empty is empty."""
        if self.column is not None:
            return row[self.column]
        if self.text is None:
            return self.constant
        if any(row[name] in (None, "") for name in self.columns):
            return None
        return _COLUMN.sub(lambda found: str(row[found[1]]), self.text)


class CaseFrom(_Part):
    """The case's reference: a column, or a column of the row that another column points to."""

    column: str
    via: str | None = None
    table: str | None = None
    key: str | None = None

    @model_validator(mode="after")
    def whole(self) -> CaseFrom:
        if len({self.via is None, self.table is None, self.key is None}) != 1:
            raise ValueError("give all of via, table, key and column, or only a column's name")
        return self


def _field(value: Any) -> Any:
    return {"column": value} if isinstance(value, str) else value


class EventMap(_Part):
    """One [[map]]."""

    event: str
    table: str
    key: tuple[str, ...] = Field(min_length=1)
    case: Annotated[CaseFrom, BeforeValidator(_field)]
    name: str = ""
    subject: str | None = None
    changed: str | None = None
    at: str | None = None
    on: Literal["first", "change", "delete"] = "first"
    when: Mapping[str, Scalar | list[Scalar]] = {}
    present: tuple[str, ...] = ()
    fields: Mapping[str, Annotated[FieldFrom, BeforeValidator(_field)]]

    @property
    def label(self) -> str:
        """Stable name in the books: rename a map and all its rows are new."""
        return self.name or f"{self.event} from {self.table}"

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column read, each once."""
        single = (self.subject, self.changed, self.at, self.case.via or self.case.column)
        named = [*self.key, *filter(None, single), *self.when, *self.present]
        for one in self.fields.values():
            named += one.columns
        return tuple(dict.fromkeys(named))


class _Document(_Part):
    version: Literal[1]
    zone: str | None = None
    codes: Mapping[str, Mapping[str, Any]] = {}
    map: list[EventMap] = Field(min_length=1)


@dataclass(frozen=True)
class ChangesMapping:
    """A mapping that passed its checks."""

    maps: tuple[EventMap, ...]
    codes: Mapping[str, Mapping[str, Any]]
    zone: ZoneInfo | None

    def schema(self, one: EventMap) -> EventSchema:
        return Schemas.load().by_type(one.event)

    def columns_read(self) -> dict[str, list[str]]:
        """Of each table the columns that are read, also of those that only hold the case."""
        found: dict[str, dict[str, None]] = {}
        for one in self.maps:
            found.setdefault(one.table, {}).update(dict.fromkeys(one.columns))
            if one.case.table is not None and one.case.key is not None:
                more = dict.fromkeys((one.case.key, one.case.column))
                found.setdefault(one.case.table, {}).update(more)
        return {table: list(columns) for table, columns in found.items()}


def load_changes_mapping(path: Path) -> ChangesMapping:
    """The mapping in this file. SettingsError lists everything that is wrong with it."""
    text = text_of(path)
    reader = Reader(path, text)
    try:
        document = _Document.model_validate(document_of(text, path))
    except ValidationError as wrong:
        for one in wrong.errors(include_input=False, include_url=False):
            told = ".".join(s for s in one["loc"] if isinstance(s, str) and s != "map")
            reader.wrong(_line(reader, one["loc"]), f"{told}: {one['msg']}")
        reader.refuse()
        raise
    seen: dict[str, int] = {}
    for index, each in enumerate(document.map):
        start, _ = reader.part(index)
        if each.label in seen:
            reader.wrong(
                start,
                f"{each.label} is the name of the map in line {seen[each.label]} too: give each a "
                "name of its own",
            )
        seen.setdefault(each.label, start)
        _against_event(reader, index, each, document.codes)
    zone = None
    if document.zone is not None:
        try:
            zone = ZoneInfo(document.zone)
        except (ValueError, OSError, LookupError):
            reader.wrong(reader.find("zone"), f"there is no time zone {document.zone!r}")
    reader.refuse()
    return ChangesMapping(tuple(document.map), document.codes, zone)


def _line(reader: Reader, steps: Sequence[str | int]) -> int:
    """Where the file says what these steps lead to."""
    start, end = (1, None)
    if steps[0] == "map" and len(steps) > 1:
        start, end = reader.part(int(steps[1]))
        steps = steps[1:]
    for step in steps:
        if isinstance(step, str):
            start = reader.find(step, start, end)
    return start


def _against_event(
    reader: Reader, index: int, one: EventMap, codes: Mapping[str, Mapping[str, Any]]
) -> None:
    """What the event's schema and the code tables say against a map."""
    start, end = reader.part(index)
    if one.event == "RecordCorrected":
        told = 'corrections follow from maps with on = "first": map their event'
        reader.wrong(reader.find("event", start, end), told)
        return
    schema = reader.event(one.event, start, end)
    if schema is None:
        return
    section = reader.find("map.fields", start, end)
    names = [field.name for field in schema.fields]
    for name, where in one.fields.items():
        line = reader.find(name, section, end)
        if name not in names:
            told = f"{one.event} has no field {name!r}{close(name, names)}; it has {listed(names)}"
            reader.wrong(line, told)
        if where.codes is not None and where.codes not in codes:
            reader.wrong(line, f"there is no [codes.{where.codes}]{close(where.codes, codes)}")
    missing = [f.name for f in schema.fields if f.required and f.name not in one.fields]
    if missing:
        reader.wrong(section, f"{one.event} needs also {listed(missing)}")
    if one.on == "delete":
        loose = {c for where in one.fields.values() for c in where.columns} - set(one.key)
        if loose or one.at or one.present or one.when:
            reader.wrong(
                reader.find("on", start, end),
                'with on = "delete" the row is gone: fields come from key columns and constants, '
                "and there is no at, when or present",
            )
