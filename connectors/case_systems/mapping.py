"""The mapping file of a case system: which fields of which events go to which of its fields.

    version = 1

    [codes.age]                       # translation of codes; "*" stands for every other
    adult = "AGE_ADULT"
    "*" = "AGE_OTHER"

    [[map]]
    event = "CaseOpened"              # an event type, or "*": every other type
    stage = "ps1NrmOpened"            # the system's own settings of a map

    [map.attributes]                  # a group of the system's: where = what
    aNrmAgeGroup = { field = "age_status", codes = "age" }
    aNrmNickname = { field = "local_case_ref", owner = "partner" }

    [map.data]
    eNrmEverything = { from = "fields" }

What is as in `connectors/mapping.py`, and besides `from = "event_type"` and `from = "fields"`: all
that is held of the event, as JSON. `owner = "partner"` fills a field only while it is empty.
Read once and checked whole: every mistake has its line and what to do.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from connectors.columns import json_text, kind_of
from connectors.copies import Kept
from connectors.errors import SettingsError, SinkRefusedError
from connectors.mapping import FROM, VERSION, CodeMissing, Reader, Source
from schemas.registry import EventSchema, Schemas

EVERY_OTHER: Final = "*"
OWNERS: Final = ("hub", "partner")
PROVENANCE: Final = (*FROM, "event_type", "fields")
ANYTHING: Final = frozenset({"text", "integer", "number", "boolean", "date", "timestamp", "json"})
"""The kinds of a target: a field of free text takes them all."""
_TIMES: Final = ("occurred_at", "received_at")


@dataclass(frozen=True)
class Form:
    """What a system's maps may say. settings: name → what it is. groups: name → what it fills."""

    settings: Mapping[str, str]
    groups: Mapping[str, str]


@dataclass(frozen=True)
class Target:
    """One field of the system and where its value comes from.

    kind: text, integer, number, boolean, date, timestamp or json. outputs: every value it can
    have, if they are known. line: where the file says so.
    """

    name: str
    source: Source
    owner: str = "hub"
    kind: str = "text"
    outputs: tuple[str, ...] | None = None
    line: int = 1

    def take(self, event: Kept) -> Any:
        """Its value for an event; None if not stated, or not held. SinkRefusedError."""
        try:
            return self.source.take(self._raw(event))
        except CodeMissing:
            reason, wrong = "code_not_translated", "has a code without translation"
        except (ValueError, TypeError, KeyError):
            reason, wrong = "value_unsuitable", "does not fit the type asked for"
        told = f"{event.event_type}.{self.source.name or self.name} {wrong}"
        raise SinkRefusedError(reason, told, event.sequence)

    def _raw(self, event: Kept) -> Any:
        if self.source.kind == "constant":
            return self.source.value
        if self.source.kind == "field":
            return event.fields.get(self.source.category, {}).get(self.source.name)
        if self.source.name == "fields":
            said = {name: value for name, value in event.values.items() if value is not None}
            return json_text(said) if said else None
        return getattr(event, self.source.name)


@dataclass(frozen=True)
class CaseMap:
    """One [[map]]: an event type into the system's fields, group by group."""

    event: str
    settings: Mapping[str, str]
    groups: Mapping[str, Sequence[Target]]
    line: int

    def targets(self, group: str) -> Sequence[Target]:
        return self.groups.get(group, ())


@dataclass(frozen=True)
class Filling:
    """What a field is to hold, by which target, and of which event it is."""

    value: Any = field(repr=False)
    target: Target
    event: Kept


@dataclass(frozen=True)
class CaseMapping:
    """A mapping file that passed its checks."""

    path: Path
    maps: tuple[CaseMap, ...]

    def of(self, event_type: str) -> CaseMap | None:
        """The map of a type; "" is a type nobody knows, and has none."""
        mine = {one.event: one for one in self.maps}
        return mine.get(event_type) or (mine.get(EVERY_OTHER) if event_type else None)

    def every(self, group: str) -> list[tuple[CaseMap, Target]]:
        return [(one, target) for one in self.maps for target in one.targets(group)]

    def filled(self, events: Iterable[Kept], group: str) -> dict[str, Filling]:
        """What a group's fields hold for these events, in order: what is stated last stands."""
        found: dict[str, Filling] = {}
        for event in events:
            one = self.of(event.event_type)
            for target in one.targets(group) if one else ():
                value = target.take(event)
                if value is not None:
                    found[target.name] = Filling(value, target, event)
        return found


@dataclass(frozen=True)
class Mismatch:
    """A place in the mapping file that the server would refuse. fix: what to do."""

    line: int
    text: str
    fix: str


def load_case_mapping(path: Path, form: Form, schemas: Schemas | None = None) -> CaseMapping:
    """The mapping in this file. SettingsError lists everything that is wrong with it."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as missing:
        raise SettingsError(f"{path}: cannot be read ({missing.strerror})") from None
    except ValueError as wrong:  # not text at all
        raise SettingsError(f"{path}: {wrong}") from None
    return parse_case_mapping(text, path, form, schemas)


def parse_case_mapping(
    text: str, path: Path, form: Form, schemas: Schemas | None = None
) -> CaseMapping:
    """The same of a text; `path` is what mistakes are reported under."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as wrong:
        raise SettingsError(f"{path}: {wrong}") from None
    return _CaseReader(path, text, schemas or Schemas.load(), form).read_case(document)


class _CaseReader(Reader):
    """Reads one document, collecting mistakes instead of stopping at the first."""

    def __init__(self, path: Path, text: str, schemas: Schemas, form: Form) -> None:
        super().__init__(path, text, schemas)
        self._form = form
        self._told: list[tuple[int, str]] = []
        self._schemaless = False  # the map that is being read is for every other event

    def read_case(self, document: dict[str, Any]) -> CaseMapping:
        if document.get("version") != VERSION:
            self._wrong(1, f"version = {VERSION} is missing: put it in the first line")
        self._unknown(document, ("version", "codes", "map"), 1, len(self._lines))
        codes = document.get("codes", {})
        if isinstance(codes, dict) and all(isinstance(table, dict) for table in codes.values()):
            self._codes = codes
        else:
            self._wrong(self._find("codes"), "write code tables as [codes.name] sections")
        entries = document.get("map", [])
        if not isinstance(entries, list) or not entries:
            self._wrong(1, "there is no [[map]]: say where at least one event type goes")
            entries = []
        maps = [self._case_map(index, entry) for index, entry in enumerate(entries)]
        seen: set[str] = set()
        for one in maps:
            if one.event in seen:
                self._wrong(one.line, f"{one.event} is mapped twice: merge the two")
            seen.add(one.event)
        if self._told:
            count = len(self._told)
            raise SettingsError(
                f"{count} mistake{'s' if count > 1 else ''} in the mapping:\n"
                + "\n".join(f"  {self._path}:{line}: {text}" for line, text in self._told)
            )
        return CaseMapping(self._path, tuple(maps))

    def _wrong(self, line: int, text: str) -> None:
        self._told.append((line, text))

    def _case_map(self, index: int, entry: dict[str, Any]) -> CaseMap:
        start = self._starts[index] if index < len(self._starts) else 1
        end = self._starts[index + 1] - 1 if index + 1 < len(self._starts) else len(self._lines)
        known = ("event", *self._form.settings, *self._form.groups)
        self._unknown(entry, known, start, end)
        self._schemaless = entry.get("event") == EVERY_OTHER
        schema = None if self._schemaless else self._event(entry.get("event"), start, end)
        settings = {}
        for name, meaning in self._form.settings.items():
            if name in entry:
                if isinstance(entry[name], str) and entry[name]:
                    settings[name] = entry[name]
                else:
                    self._wrong(self._find(name, start, end), f"{name} is a text: {meaning}")
        groups: dict[str, Sequence[Target]] = {}
        for name, meaning in self._form.groups.items():
            if name in entry:
                groups[name] = self._group(name, meaning, entry[name], schema, (start, end))
        if not any(entry.get(name) for name in self._form.groups):
            wanted = " or ".join(
                f"[map.{name}] ({what})" for name, what in self._form.groups.items()
            )
            self._wrong(start, f"it fills nothing: write {wanted}")
        event = EVERY_OTHER if self._schemaless else schema.type if schema else ""
        return CaseMap(event, settings, groups, start)

    def _group(
        self,
        name: str,
        meaning: str,
        entry: Any,
        schema: EventSchema | None,
        lines: tuple[int, int],
    ) -> list[Target]:
        section = self._find(f"map.{name}", *lines)
        if not isinstance(entry, dict):
            line = self._find(name, *lines)
            self._wrong(line, f"write {meaning} in a [map.{name}] section")
            return []
        targets = []
        for where, spec in entry.items():
            line = self._find(where, section, lines[1])
            target = self._target(where, spec, schema, line)
            if target is not None:
                targets.append(target)
        return targets

    def _target(self, name: str, spec: Any, schema: EventSchema | None, line: int) -> Target | None:
        if isinstance(spec, str):
            spec = {"from" if spec in PROVENANCE else "field": spec}
        if not isinstance(spec, dict):
            self._wrong(line, f"{name}: write a field's name or {{ field = … }}")
            return None
        spec = dict(spec)
        owner = spec.pop("owner", "hub")
        if owner not in OWNERS:
            self._wrong(line, f"{name}: owner is one of {', '.join(OWNERS)}")
        if "field" in spec and schema is None:  # "*", or a type that is wrong and named so
            if self._schemaless:
                told = f'{name}: event "*" has no fields of its own: write {{ from = "fields" }}'
                self._wrong(line, told)
            return None
        if spec.get("from", PROVENANCE[0]) not in PROVENANCE:
            self._wrong(line, f"{name}: from is one of {', '.join(PROVENANCE)}")
            return None
        if spec.get("from") in ("event_type", "fields"):
            self._unknown(spec, ("from", "codes"), line, line)
            codes = self._code_table(name, spec, line)
            source: Source | None = Source("from", spec["from"], codes=codes)
        else:
            source = self._source(name, spec, schema, line)
        if source is None:
            return None
        return Target(name, source, owner, *_said(source, spec, schema), line)


def _said(
    source: Source, spec: dict[str, Any], schema: EventSchema | None
) -> tuple[str, tuple[str, ...] | None]:
    """Of what kind the values are, and which there can be, as far as the file tells."""
    if source.codes is not None:
        return "text", tuple(str(one) for one in source.codes.values())
    if source.kind == "constant":
        value = source.value
        known = {bool: "boolean", int: "integer", float: "number"}
        return spec.get("type") or known.get(type(value), "text"), (
            (value,) if isinstance(value, str) else None
        )
    if "type" in spec:
        return str(spec["type"]), None
    if source.kind == "from":
        if source.name in _TIMES:
            return "timestamp", None
        return ("integer" if source.name == "sequence" else "text"), None
    assert schema is not None  # _target told before
    avro = next(one.avro for one in schema.fields if one.name == source.name)
    kind = kind_of(avro)
    if kind == "money":
        return ("number" if spec.get("part") == "amount" else "text"), None
    return kind, _symbols(avro)


def _symbols(avro: Any) -> tuple[str, ...] | None:
    for branch in avro if isinstance(avro, list) else [avro]:
        if isinstance(branch, dict) and branch.get("type") == "enum":
            return tuple(branch["symbols"])
    return None
