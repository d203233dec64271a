"""Reading a mapping file: TOML of which every mistake has its line, and all are told at once.

Shared by all files that say which fields go where: into a partner's tables (this folder), into a
case system (`connectors/case_systems/mapping.py`), and from an agency's tables
(`connectors/sources/changes/mapping.py`).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from connectors.errors import SettingsError
from connectors.mapping.source import FROM, GIVEN, TYPES, Source, given
from connectors.tables.columns import kind_of, targets
from schemas.registry import EventSchema, Schemas

VERSION: Final = 1
_MOST_TOLD: Final = 1000
_LONGEST_HINT: Final = 100  # letters; comparing longer ones takes a while

Lines = tuple[int, int]
"""The first and the last line of a part of a file."""


class Reader:
    """Reads one document, collecting mistakes instead of stopping at the first."""

    def __init__(self, path: Path, text: str, schemas: Schemas | None = None) -> None:
        self.path = path
        self.schemas = schemas or Schemas.load()
        self.codes: dict[str, dict[str, Any]] = {}
        self.mistakes: list[tuple[int, str]] = []
        self._lines = text.splitlines()
        self._starts = [
            number
            for number, line in enumerate(self._lines, start=1)
            if re.match(r"\s*\[\[\s*map\s*\]\]", line)
        ]

    # -- mistakes and their lines ----------------------------------------------------------

    def wrong(self, line: int, text: str) -> None:
        self.mistakes.append((line, text[:_MOST_TOLD]))

    def refuse(self) -> None:
        """SettingsError with every mistake, if there is one."""
        if self.mistakes:
            count = len(self.mistakes)
            raise SettingsError(
                f"{count} mistake{'s' if count > 1 else ''} in the mapping:\n"
                + "\n".join(f"  {self.path}:{line}: {told}" for line, told in self.mistakes)
            )

    def part(self, index: int) -> Lines:
        """The lines of one [[map]], counted from 0."""
        starts, last = self._starts, len(self._lines)
        return (
            starts[index] if index < len(starts) else 1,
            starts[index + 1] - 1 if index + 1 < len(starts) else last,
        )

    def find(self, name: str, start: int = 1, end: int | None = None) -> int:
        """Line of a setting in a part of the file; the part's first line if it is not found."""
        pattern = re.compile(rf"""(^|[\s{{,.\[])["']?{re.escape(name)}["']?\s*[=\]]""")
        for number in range(start, (end or len(self._lines)) + 1):
            if number <= len(self._lines) and pattern.search(self._lines[number - 1]):
                return number
        return start

    def unknown(
        self, entry: dict[str, Any], known: Iterable[str], start: int = 1, end: int | None = None
    ) -> None:
        known = tuple(known)
        for name in entry:
            if name not in known:
                self.wrong(
                    self.find(name, start, end),
                    f"unknown setting {name!r}{close(name, known)}; known are {listed(known)}",
                )

    # -- what every mapping file has -------------------------------------------------------

    def entries(
        self, document: dict[str, Any], nothing: str, more: Iterable[str] = ()
    ) -> list[dict[str, Any]]:
        """The document's maps. nothing: what is said if there are none. more: own settings."""
        if document.get("version") != VERSION:
            self.wrong(1, f"version = {VERSION} is missing: put it in the first line")
        self.unknown(document, ("version", *more, "codes", "map"))
        codes = document.get("codes", {})
        if isinstance(codes, dict) and all(isinstance(table, dict) for table in codes.values()):
            self.codes = codes
        else:
            self.wrong(self.find("codes"), "write code tables as [codes.name] sections")
        entries = document.get("map", [])
        if isinstance(entries, list) and entries and all(isinstance(e, dict) for e in entries):
            return entries
        self.wrong(1, nothing)
        return []

    def event(self, name: Any, start: int, end: int) -> EventSchema | None:
        line = self.find("event", start, end)
        if not isinstance(name, str):
            self.wrong(line, 'event is missing: name an event type, e.g. event = "CaseOpened"')
            return None
        if name == "RecordCorrected":
            self.wrong(line, "corrections are applied to the events they correct, not mapped")
            return None
        try:
            return self.schemas.by_type(name)
        except KeyError:
            self.wrong(line, f"no event type {name!r}{close(name, self.schemas.types())}")
            return None

    def code_table(self, column: str, spec: dict[str, Any], line: int) -> dict[str, Any] | None:
        name = spec.get("codes")
        if name is None:
            return None
        if not isinstance(name, str):
            self.wrong(line, f"column {column!r}: codes names a code table: [codes.name]")
            return None
        if name not in self.codes:
            told = f"column {column!r}: there is no [codes.{name}]{close(name, self.codes)}"
            self.wrong(line, told)
        return self.codes.get(name)

    def source(
        self, column: str, spec: Any, schema: EventSchema | None, line: int
    ) -> Source | None:
        """Where a column's value comes from; None if it could not be read."""
        if isinstance(spec, str):
            spec = {"from": spec} if spec in FROM else {"field": spec}
        if not isinstance(spec, dict):
            self.wrong(line, f"column {column!r}: write a field's name or {{ field = … }}")
            return None
        known = ("field", "from", "constant", "codes", "type", "part", "pick")
        self.unknown(spec, known, line, line)
        kinds = [kind for kind in ("field", "from", "constant") if kind in spec]
        if len(kinds) != 1:
            self.wrong(line, f"column {column!r}: give one of field, from, constant")
            return None
        convert = self._type(column, spec, line)
        codes = self.code_table(column, spec, line)
        if spec.get("pick") not in (None, "first"):
            self.wrong(line, f'column {column!r}: pick is "first", or left out')
        told = Source(kinds[0], codes=codes, convert=convert, line=line)
        if kinds == ["constant"]:
            return replace(told, value=spec["constant"], gives=_asked(spec))
        if kinds == ["from"]:
            name = spec["from"]
            if name not in FROM:
                self.wrong(line, f"column {column!r}: from is one of {listed(FROM)}")
            natural = "" if codes else GIVEN.get(str(name), "text")
            return replace(told, name=name, gives=_asked(spec) or natural)
        return None if schema is None else self._field(column, spec, schema, told)

    def _field(
        self, column: str, spec: dict[str, Any], schema: EventSchema, told: Source
    ) -> Source | None:
        name, line, convert = str(spec["field"]), told.line, told.convert
        field = schema.field(name)
        if field is None:
            names = [one.name for one in schema.fields]
            self.wrong(
                line,
                f"{schema.type} has no field {name!r}{close(name, names)}; it has {listed(names)}",
            )
            return None
        pick = spec.get("pick") is not None
        if pick and kind_of(field.avro) != "json":
            self.wrong(line, f"column {column!r}: {name} is no list, leave pick out")
        if convert is None and told.codes is None and not pick:
            convert = self._natural(column, field.name, field.avro, spec, line)
        natural = given(field.avro, pick=pick, part=spec.get("part"))
        if told.codes is not None and natural != "json":
            natural = ""  # each translation tells
        return replace(
            told,
            name=name,
            category=field.category or "",
            convert=convert,
            pick=pick,
            gives=_asked(spec) or natural,
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
            self.wrong(line, f"column {column!r}: {name} is money, say part = amount or currency")
        return parts[1 if part == "currency" else 0].take

    def _type(self, column: str, spec: dict[str, Any], line: int) -> Callable[[Any], Any] | None:
        name = spec.get("type")
        if name is not None and str(name) not in TYPES:
            self.wrong(line, f"column {column!r}: type is one of {listed(TYPES)}")
        return TYPES.get(name) if isinstance(name, str) else None


def _asked(spec: dict[str, Any]) -> str:
    """The kind that `type` asks for; "" if it does not."""
    name = spec.get("type")
    return name if isinstance(name, str) and name in TYPES else ""


def close(name: str, known: Iterable[str]) -> str:
    """A hint for a name nobody knows, in brackets; "" if none is like it."""
    if len(name) > _LONGEST_HINT:
        return ""
    found = difflib.get_close_matches(name, list(known), n=1)
    return f" (did you mean {found[0]!r}?)" if found else ""


def listed(names: Iterable[str]) -> str:
    return ", ".join(names)
