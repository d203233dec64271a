"""The mapping file: which fields of which events go to which columns of the partner's tables.

    version = 1
    default_tables = "unmapped"      # which events get a default table: all, unmapped or none

    [codes.age]                      # translation of codes; "*" stands for every other
    adult = "A"
    child = "C"
    "*" = "U"

    [[map]]
    event = "CaseOpened"
    table = "client"                 # an existing table, perhaps with its schema: "app.client"
    key = { nrm_ref = "case_ref" }   # column = case_ref, subject_ref, event_ref or agency
    when_empty = "delete"            # when all is recalled: delete the row, or leave it ("null")

    [map.columns]
    channel = "channel"                              # column = field
    age_group = { field = "age_status", codes = "age" }
    opened_on = { from = "occurred_at", type = "date" }
    nationality = { field = "citizenships", pick = "first" }   # of a list
    source = { constant = "NRM" }

Several maps may fill one table, and several events one row: then each column shows what happened
last (occurred_at, then sequence). Read once and checked whole: every mistake is reported with its
line and what to do, before anything is written.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from connectors.columns import (
    kind_of,
    targets,
    to_boolean,
    to_date,
    to_integer,
    to_text,
    to_timestamp,
)
from connectors.errors import SettingsError
from schemas.registry import EventSchema, Schemas

VERSION: Final = 1
KEYS: Final = ("case_ref", "subject_ref", "event_ref", "agency")
FROM: Final = (*KEYS, "occurred_at", "received_at", "sequence")
TYPES: Final[MappingABC[str, Callable[[Any], Any]]] = {
    "text": to_text,
    "integer": to_integer,
    "number": float,
    "boolean": to_boolean,
    "date": to_date,
    "timestamp": to_timestamp,
    "json": lambda value: value,
}
_DEFAULT_TABLES: Final = ("all", "unmapped", "none")
_WHEN_EMPTY: Final = ("delete", "null")


class CodeMissing(ValueError):
    """A code has no translation and there is no "*"."""


@dataclass(frozen=True)
class Source:
    """Where a column's value comes from. `category` is that of the field, "" for all others.

    pick: takes the first of a list. part: of money. typed: `type` was asked for. line: in the file.
    """

    kind: str  # field, from, constant
    name: str = ""
    value: Any = None
    category: str = ""
    codes: MappingABC[str, Any] | None = None
    convert: Callable[[Any], Any] | None = None
    pick: bool = False
    part: str = ""
    typed: bool = False
    line: int = 0
    gives: str = ""  # a key of TYPES: what the column gets; "" if only each value tells
    texts: tuple[str, ...] = ()  # all it can be, where that is known

    def take(self, value: Any) -> Any:
        """The column's value for a field's value. CodeMissing or ValueError if it does not fit."""
        if self.pick and isinstance(value, list):
            value = value[0] if value else None
        if value is None:
            return None
        if self.codes is not None:
            value = (
                [self._code(one) for one in value] if isinstance(value, list) else self._code(value)
            )
        return value if self.convert is None else self.convert(value)

    def _code(self, value: Any) -> Any:
        assert self.codes is not None
        text = to_text(value)
        if text in self.codes:
            return self.codes[text]
        if "*" in self.codes:
            return self.codes["*"]
        raise CodeMissing(text)


@dataclass(frozen=True)
class EventMap:
    """One [[map]]: an event type into rows of one table."""

    event: str
    table: str
    key: MappingABC[str, str]  # column → provenance
    columns: MappingABC[str, Source]
    when_empty: str
    line: int


@dataclass(frozen=True)
class Mapping:
    """A mapping file that passed its checks."""

    path: Path
    maps: tuple[EventMap, ...]
    default_tables: str

    def of(self, event_type: str) -> list[EventMap]:
        return [one for one in self.maps if one.event == event_type]

    def without_default_table(self, types: Iterable[str]) -> set[str]:
        if self.default_tables == "none":
            return set(types)
        return {one.event for one in self.maps} if self.default_tables == "unmapped" else set()


def load_mapping(path: Path, schemas: Schemas | None = None) -> Mapping:
    """The mapping in this file. SettingsError lists everything that is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as missing:
        raise SettingsError(f"{path}: cannot be read ({missing.strerror})") from None
    except ValueError as wrong:  # not text at all
        raise SettingsError(f"{path}: {wrong}") from None
    return parse_mapping(text, path, schemas)


def parse_mapping(text: str, path: Path, schemas: Schemas | None = None) -> Mapping:
    """The same of a text; `path` is what mistakes are reported under."""
    mapping, mistakes = examined(text, path, schemas)
    if mistakes:
        count = len(mistakes)
        raise SettingsError(
            f"{count} mistake{'s' if count > 1 else ''} in the mapping:\n"
            + "\n".join(f"  {path}:{line}: {told}" for line, told in mistakes)
        )
    return mapping


def examined(
    text: str, path: Path, schemas: Schemas | None = None
) -> tuple[Mapping, list[tuple[int, str]]]:
    """What could be read of a text, and its mistakes with their lines.

    SettingsError if it is not TOML: then nothing could.
    """
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as wrong:
        raise SettingsError(f"{path}: {wrong}") from None
    reader = Reader(path, text, schemas or Schemas.load())
    return reader.read(document), reader.mistakes


class Reader:
    """Reads one document, collecting mistakes instead of stopping at the first."""

    def __init__(self, path: Path, text: str, schemas: Schemas) -> None:
        self._path = path
        self._lines = text.splitlines()
        self._schemas = schemas
        self._codes: dict[str, dict[str, Any]] = {}
        self.mistakes: list[tuple[int, str]] = []
        self._starts = [
            number
            for number, line in enumerate(self._lines, start=1)
            if re.match(r"\s*\[\[\s*map\s*\]\]", line)
        ]

    def read(self, document: dict[str, Any]) -> Mapping:
        if document.get("version") != VERSION:
            self._wrong(1, f"version = {VERSION} is missing: put it in the first line")
        self._unknown(document, ("version", "default_tables", "codes", "map"), 1, len(self._lines))
        default = document.get("default_tables", "unmapped")
        if default not in _DEFAULT_TABLES:
            self._wrong(
                self._find("default_tables"), f"default_tables is one of {_list(_DEFAULT_TABLES)}"
            )
        codes = document.get("codes", {})
        if isinstance(codes, dict) and all(isinstance(table, dict) for table in codes.values()):
            self._codes = codes
        else:
            self._wrong(self._find("codes"), "write code tables as [codes.name] sections")
        entries = document.get("map", [])
        if not isinstance(entries, list) or not entries:
            self._wrong(1, "there is no [[map]]: leave the mapping out to get default tables")
            entries = []
        maps = [self._map(index, entry) for index, entry in enumerate(entries)]
        seen: set[tuple[str, str]] = set()
        for one in maps:
            if (one.event, one.table) in seen:
                self._wrong(one.line, f"{one.event} into {one.table} is mapped twice: merge them")
            seen.add((one.event, one.table))
        return Mapping(self._path, tuple(maps), default)

    def _map(self, index: int, entry: dict[str, Any]) -> EventMap:
        start = self._starts[index] if index < len(self._starts) else 1
        end = self._starts[index + 1] - 1 if index + 1 < len(self._starts) else len(self._lines)
        self._unknown(entry, ("event", "table", "key", "columns", "when_empty"), start, end)
        schema = self._event(entry.get("event"), start, end)
        table = entry.get("table")
        if not isinstance(table, str) or not table:
            self._wrong(start, 'table is missing: name an existing table, e.g. table = "client"')
        key = entry.get("key")
        if not isinstance(key, dict) or not key:
            self._wrong(
                self._find("key", start, end),
                'key is missing: say what identifies the row, e.g. key = { ref = "case_ref" }',
            )
            key = {}
        for column, source in key.items():
            if source not in KEYS:
                self._wrong(
                    self._find(column, start, end),
                    f"key column {column!r} can be filled from {_list(KEYS)}, not {source!r}",
                )
        when_empty = entry.get("when_empty", "null")
        if when_empty not in _WHEN_EMPTY:
            self._wrong(
                self._find("when_empty", start, end), f"when_empty is one of {_list(_WHEN_EMPTY)}"
            )
        columns = entry.get("columns")
        if not isinstance(columns, dict) or not columns:
            self._wrong(start, "no columns: write them in a [map.columns] section")
            columns = {}
        sources = {}
        section = self._find("map.columns", start, end)
        for column, spec in columns.items():
            line = self._find(column, section, end)
            if column in key:
                self._wrong(line, f"column {column!r} is a key column already")
            source = self._source(column, spec, schema, line)
            if source is not None:
                sources[column] = source
        return EventMap(
            schema.type if schema else "", str(table), dict(key), sources, when_empty, start
        )

    def _event(self, name: Any, start: int, end: int) -> EventSchema | None:
        line = self._find("event", start, end)
        if not isinstance(name, str):
            self._wrong(line, 'event is missing: name an event type, e.g. event = "CaseOpened"')
            return None
        if name == "RecordCorrected":
            self._wrong(line, "corrections are applied to the events they correct, not mapped")
            return None
        try:
            return self._schemas.by_type(name)
        except KeyError:
            self._wrong(line, f"no event type {name!r}{close(name, self._schemas.types())}")
            return None

    def _source(
        self, column: str, spec: Any, schema: EventSchema | None, line: int
    ) -> Source | None:
        if isinstance(spec, str):
            spec = {"from": spec} if spec in FROM else {"field": spec}
        if not isinstance(spec, dict):
            self._wrong(line, f"column {column!r}: write a field's name or {{ field = … }}")
            return None
        self._unknown(
            spec, ("field", "from", "constant", "codes", "type", "part", "pick"), line, line
        )
        kinds = [kind for kind in ("field", "from", "constant") if kind in spec]
        if len(kinds) != 1:
            self._wrong(line, f"column {column!r}: give one of field, from, constant")
            return None
        convert = self._type(column, spec, line)
        codes = self._code_table(column, spec, line)
        pick = spec.get("pick")
        if pick not in (None, "first"):
            self._wrong(line, f'column {column!r}: pick is "first", or left out')
        if kinds == ["constant"]:
            value = spec["constant"]
            texts = (value,) if isinstance(value, str) else ()
            return Source("constant", value=value, convert=convert, texts=texts, line=line)
        if kinds == ["from"]:
            if spec["from"] not in FROM:
                self._wrong(line, f"column {column!r}: from is one of {_list(FROM)}")
            natural = _FROM_GIVES.get(spec["from"], "text")
            gives = _gives(spec, codes, natural)
            return Source(
                "from", spec["from"], codes=codes, convert=convert, gives=gives, line=line
            )
        name = spec["field"]
        if schema is None:
            return None
        field = next((one for one in schema.fields if one.name == name), None)
        if field is None:
            names = [one.name for one in schema.fields]
            self._wrong(
                line,
                f"{schema.type} has no field {name!r}{close(str(name), names)}; "
                f"it has {_list(names)}",
            )
            return None
        if pick is not None and kind_of(field.avro) != "json":
            self._wrong(line, f"column {column!r}: {name} is no list, leave pick out")
        if convert is None and codes is None and pick is None:
            convert = self._natural(column, field.name, field.avro, spec, line)
        return Source(
            "field",
            name,
            category=field.category or "",
            codes=codes,
            convert=convert,
            pick=pick is not None,
            part=str(spec.get("part", "")),
            typed="type" in spec,
            line=line,
            gives="" if pick else _gives(spec, codes, _natural_kind(field.avro, spec)),
            texts=_texts(field.avro, codes) if spec.get("type") is None else (),
        )

    def _natural(
        self, column: str, name: str, avro: Any, spec: dict[str, Any], line: int
    ) -> Callable[[Any], Any]:
        """How the field's own type is taken; money needs to be told which part."""
        parts = targets(name, avro)
        if kind_of(avro) != "money":
            return parts[0].take
        part = spec.get("part")
        if part not in ("amount", "currency"):
            self._wrong(line, f"column {column!r}: {name} is money, say part = amount or currency")
        return parts[1 if part == "currency" else 0].take

    def _type(self, column: str, spec: dict[str, Any], line: int) -> Callable[[Any], Any] | None:
        name = spec.get("type")
        if name is not None and name not in TYPES:
            self._wrong(line, f"column {column!r}: type is one of {_list(TYPES)}")
        return TYPES.get(name) if isinstance(name, str) else None

    def _code_table(self, column: str, spec: dict[str, Any], line: int) -> dict[str, Any] | None:
        name = spec.get("codes")
        if name is None:
            return None
        if name not in self._codes:
            self._wrong(
                line,
                f"column {column!r}: there is no [codes.{name}]{close(str(name), self._codes)}",
            )
            return None
        return self._codes[name]

    def _unknown(self, entry: dict[str, Any], known: tuple[str, ...], start: int, end: int) -> None:
        for name in entry:
            if name not in known:
                self._wrong(
                    self._find(name, start, end),
                    f"unknown setting {name!r}{close(name, known)}; known are {_list(known)}",
                )

    def _find(self, name: str, start: int = 1, end: int | None = None) -> int:
        """Line of a setting in a part of the file; the part's first line if it is not found."""
        pattern = re.compile(rf"""(^|[\s{{,.\[])["']?{re.escape(name)}["']?\s*[=\]]""")
        for number in range(start, (end or len(self._lines)) + 1):
            if number <= len(self._lines) and pattern.search(self._lines[number - 1]):
                return number
        return start

    def _wrong(self, line: int, text: str) -> None:
        self.mistakes.append((line, text))


_FROM_GIVES: Final = {
    "occurred_at": "timestamp",
    "received_at": "timestamp",
    "sequence": "integer",
}


def _gives(spec: MappingABC[str, Any], codes: MappingABC[str, Any] | None, natural: str) -> str:
    """What a column gets: what `type` says, what the codes are, or what the field is."""
    if spec.get("type") in TYPES:
        return str(spec["type"])
    if codes is None:
        return natural
    kinds = {type(code) for code in codes.values()}
    if natural == "json":  # a list, each of it translated
        return "json"
    if kinds == {str}:
        return "" if all(code.lstrip("-").isdigit() for code in codes.values()) else "text"
    named: dict[frozenset[type], str] = {
        frozenset({bool}): "boolean",
        frozenset({int}): "integer",
        frozenset({float}): "number",
    }
    return named.get(frozenset(kinds), "")


def _natural_kind(avro: Any, spec: MappingABC[str, Any]) -> str:
    kind = kind_of(avro)
    if kind == "money":
        return "text" if spec.get("part") == "currency" else "number"
    return kind


def _texts(avro: Any, codes: MappingABC[str, Any] | None) -> tuple[str, ...]:
    """All texts a column can get, if they are known."""
    if kind_of(avro) != "text" or codes is not None:  # codes are held against the column by check
        return ()
    branches = avro if isinstance(avro, list) else [avro]
    return tuple(
        symbol
        for branch in branches
        if isinstance(branch, dict) and branch.get("type") == "enum"
        for symbol in branch["symbols"]
    )


def close(name: str, known: Iterable[str]) -> str:
    """A hint for a name nobody knows, in brackets; "" if none is like it."""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def _list(names: Iterable[str]) -> str:
    return ", ".join(names)
