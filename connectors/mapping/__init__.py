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

from collections.abc import Iterable
from collections.abc import Mapping as MappingABC
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from connectors.given import document_of, text_of
from connectors.mapping.reader import Reader, listed
from connectors.mapping.source import KEYS, Source
from schemas.registry import Schemas

_DEFAULT_TABLES: Final = ("all", "unmapped", "none")
_WHEN_EMPTY: Final = ("delete", "null")


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
    return parse_mapping(text_of(path), path, schemas)


def parse_mapping(text: str, path: Path, schemas: Schemas | None = None) -> Mapping:
    """The same of a text; `path` is what mistakes are reported under."""
    reader = _MapReader(path, text, schemas)
    mapping = reader.read(document_of(text, path))
    reader.refuse()
    return mapping


def examined(
    text: str, path: Path, schemas: Schemas | None = None
) -> tuple[Mapping, list[tuple[int, str]]]:
    """What could be read of a text, and its mistakes with their lines.

    SettingsError if it is not TOML: then nothing could.
    """
    reader = _MapReader(path, text, schemas)
    return reader.read(document_of(text, path)), reader.mistakes


class _MapReader(Reader):
    def read(self, document: dict[str, Any]) -> Mapping:
        nothing = "there is no [[map]]: leave the mapping out to get default tables"
        entries = self.entries(document, nothing, ["default_tables"])
        default = document.get("default_tables", "unmapped")
        if default not in _DEFAULT_TABLES:
            told = f"default_tables is one of {listed(_DEFAULT_TABLES)}"
            self.wrong(self.find("default_tables"), told)
        maps = [self._map(index, entry) for index, entry in enumerate(entries)]
        seen: set[tuple[str, str]] = set()
        for one in maps:
            if (one.event, one.table) in seen:
                self.wrong(one.line, f"{one.event} into {one.table} is mapped twice: merge them")
            seen.add((one.event, one.table))
        return Mapping(self.path, tuple(maps), default)

    def _map(self, index: int, entry: dict[str, Any]) -> EventMap:
        start, end = self.part(index)
        self.unknown(entry, ("event", "table", "key", "columns", "when_empty"), start, end)
        schema = self.event(entry.get("event"), start, end)
        table = entry.get("table")
        if not isinstance(table, str) or not table:
            self.wrong(start, 'table is missing: name an existing table, e.g. table = "client"')
        key = entry.get("key")
        if not isinstance(key, dict) or not key:
            self.wrong(
                self.find("key", start, end),
                'key is missing: say what identifies the row, e.g. key = { ref = "case_ref" }',
            )
            key = {}
        for column, source in key.items():
            if source not in KEYS:
                self.wrong(
                    self.find(column, start, end),
                    f"key column {column!r} can be filled from {listed(KEYS)}, not {source!r}",
                )
        when_empty = entry.get("when_empty", "null")
        if when_empty not in _WHEN_EMPTY:
            told = f"when_empty is one of {listed(_WHEN_EMPTY)}"
            self.wrong(self.find("when_empty", start, end), told)
        columns = entry.get("columns")
        if not isinstance(columns, dict) or not columns:
            self.wrong(start, "no columns: write them in a [map.columns] section")
            columns = {}
        sources = {}
        section = self.find("map.columns", start, end)
        for column, spec in columns.items():
            line = self.find(column, section, end)
            if column in key:
                self.wrong(line, f"column {column!r} is a key column already")
            source = self.source(column, spec, schema, line)
            if source is not None:
                sources[column] = source
        return EventMap(
            schema.type if schema else "", str(table), dict(key), sources, when_empty, start
        )
