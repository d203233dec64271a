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
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from connectors.errors import SettingsError
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


def load_changes_mapping(path: Path) -> ChangesMapping:
    """The mapping in this file. SettingsError lists everything that is wrong with it."""
    try:
        document = _Document.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as missing:
        raise SettingsError(f"{path}: cannot be read ({missing.strerror})") from None
    except ValidationError as wrong:
        raise _mistakes(
            path,
            [
                f"{'.'.join(str(step) for step in one['loc'])}: {one['msg']}"
                for one in wrong.errors(include_input=False, include_url=False)
            ],
        ) from None
    except (ValueError, RecursionError) as wrong:
        raise SettingsError(f"{path}: {wrong}") from None
    wrong_ones = [text for one in document.map for text in _wrong(one, document)]
    labels = [one.label for one in document.map]
    wrong_ones += [
        f"{label}: two maps have this name; give each a name of its own"
        for label in dict.fromkeys(one for one in labels if labels.count(one) > 1)
    ]
    zone = None
    if document.zone is not None:
        try:
            zone = ZoneInfo(document.zone)
        except (ValueError, OSError, LookupError):
            wrong_ones.append(f"zone: there is no time zone {document.zone!r}")
    if wrong_ones:
        raise _mistakes(path, wrong_ones)
    return ChangesMapping(tuple(document.map), document.codes, zone)


def _mistakes(path: Path, texts: list[str]) -> SettingsError:
    count = len(texts)
    shown = "\n".join(f"  {text}" for text in texts)
    return SettingsError(f"{path}: {count} mistake{'s' if count > 1 else ''}:\n{shown}")


def _wrong(one: EventMap, document: _Document) -> list[str]:
    """What the event's schema and the code tables say against a map."""
    try:
        schema = Schemas.load().by_type(one.event)
    except KeyError:
        return [f"{one.label}: there is no event type {one.event}; docs/events.md lists them"]
    found = []
    for name, where in one.fields.items():
        if schema.field(name) is None:
            known = ", ".join(field.name for field in schema.fields)
            found.append(f"{one.label}: {one.event} has no field {name}; it has {known}")
        if where.codes is not None and where.codes not in document.codes:
            found.append(f"{one.label}: there is no [codes.{where.codes}]")
    missing = [f.name for f in schema.fields if f.required and f.name not in one.fields]
    if missing:
        found.append(f"{one.label}: {one.event} needs also {', '.join(missing)}")
    if one.event == "RecordCorrected":
        found.append(
            f'{one.label}: corrections follow from maps with on = "first"; map their event'
        )
    if one.on == "delete":
        loose = {c for where in one.fields.values() for c in where.columns} - set(one.key)
        if loose or one.at or one.present or one.when:
            found.append(
                f'{one.label}: with on = "delete" the row is gone; fields come from key columns '
                "and constants, and there is no at, when or present"
            )
    return found
