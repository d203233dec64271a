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

What is as in `connectors/mapping/`, and besides `from = "event_type"` and `from = "fields"`: all
that is held of the event, as JSON. `owner = "partner"` fills a field only while it is empty.
Read once and checked whole: every mistake has its line and what to do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from connectors.given import document_of, text_of
from connectors.mapping.event_codes import symbols
from connectors.mapping.reader import Lines, Reader
from connectors.mapping.source import FROM, Source
from connectors.remote.copies import Kept
from connectors.tables.columns import json_text
from schemas.registry import EventSchema, Schemas

EVERY_OTHER: Final = "*"
OWNERS: Final = ("hub", "partner")
PROVENANCE: Final = (*FROM, "event_type", "fields")
ANYTHING: Final = frozenset({"text", "integer", "number", "boolean", "date", "timestamp", "json"})
"""The kinds of a target: a field of free text takes them all."""


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
        told = f"{event.event_type}.{self.source.name or self.name}"
        return self.source.fill(self._raw(event), told, event.sequence)

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
    return parse_case_mapping(text_of(path), path, form, schemas)


def parse_case_mapping(
    text: str, path: Path, form: Form, schemas: Schemas | None = None
) -> CaseMapping:
    """The same of a text; `path` is what mistakes are reported under."""
    reader = _CaseReader(path, text, schemas, form)
    mapping = reader.read(document_of(text, path))
    reader.refuse()
    return mapping


class _CaseReader(Reader):
    def __init__(self, path: Path, text: str, schemas: Schemas | None, form: Form) -> None:
        super().__init__(path, text, schemas)
        self._form = form
        self._schemaless = False  # the map that is being read is for every other event

    def read(self, document: dict[str, Any]) -> CaseMapping:
        nothing = "there is no [[map]]: say where at least one event type goes"
        entries = self.entries(document, nothing)
        maps = [self._case_map(index, entry) for index, entry in enumerate(entries)]
        seen: set[str] = set()
        for one in maps:
            if one.event in seen:
                self.wrong(one.line, f"{one.event} is mapped twice: merge the two")
            seen.add(one.event)
        return CaseMapping(self.path, tuple(maps))

    def _case_map(self, index: int, entry: dict[str, Any]) -> CaseMap:
        start, end = self.part(index)
        known = ("event", *self._form.settings, *self._form.groups)
        self.unknown(entry, known, start, end)
        self._schemaless = entry.get("event") == EVERY_OTHER
        schema = None if self._schemaless else self.event(entry.get("event"), start, end)
        settings = {}
        for name, meaning in self._form.settings.items():
            if name in entry:
                if isinstance(entry[name], str) and entry[name]:
                    settings[name] = entry[name]
                else:
                    self.wrong(self.find(name, start, end), f"{name} is a text: {meaning}")
        groups: dict[str, Sequence[Target]] = {}
        for name, meaning in self._form.groups.items():
            if name in entry:
                groups[name] = self._group(name, meaning, entry[name], schema, (start, end))
        if not any(entry.get(name) for name in self._form.groups):
            wanted = " or ".join(
                f"[map.{name}] ({what})" for name, what in self._form.groups.items()
            )
            self.wrong(start, f"it fills nothing: write {wanted}")
        event = EVERY_OTHER if self._schemaless else schema.type if schema else ""
        return CaseMap(event, settings, groups, start)

    def _group(
        self,
        name: str,
        meaning: str,
        entry: Any,
        schema: EventSchema | None,
        lines: Lines,
    ) -> list[Target]:
        section = self.find(f"map.{name}", *lines)
        if not isinstance(entry, dict):
            line = self.find(name, *lines)
            self.wrong(line, f"write {meaning} in a [map.{name}] section")
            return []
        targets = []
        for where, spec in entry.items():
            line = self.find(where, section, lines[1])
            target = self._target(where, spec, schema, line)
            if target is not None:
                targets.append(target)
        return targets

    def _target(self, name: str, spec: Any, schema: EventSchema | None, line: int) -> Target | None:
        if isinstance(spec, str):
            spec = {"from" if spec in PROVENANCE else "field": spec}
        if not isinstance(spec, dict):
            self.wrong(line, f"{name}: write a field's name or {{ field = … }}")
            return None
        spec = dict(spec)
        owner = spec.pop("owner", "hub")
        if owner not in OWNERS:
            self.wrong(line, f"{name}: owner is one of {', '.join(OWNERS)}")
        if "field" in spec and schema is None:  # "*", or a type that is wrong and named so
            if self._schemaless:
                told = f'{name}: event "*" has no fields of its own: write {{ from = "fields" }}'
                self.wrong(line, told)
            return None
        if spec.get("from", PROVENANCE[0]) not in PROVENANCE:
            self.wrong(line, f"{name}: from is one of {', '.join(PROVENANCE)}")
            return None
        if spec.get("from") in ("event_type", "fields"):
            self.unknown(spec, ("from", "codes"), line, line)
            codes = self.code_table(name, spec, line)
            source: Source | None = Source("from", spec["from"], codes=codes, gives="text")
        else:
            source = self.source(name, spec, schema, line)
        if source is None:
            return None
        return Target(name, source, owner, *_said(source, schema), line)


def _said(source: Source, schema: EventSchema | None) -> tuple[str, tuple[str, ...] | None]:
    """Of what kind the values are, and which there can be, as far as the file tells."""
    if source.codes is not None:
        return "text", tuple(str(one) for one in source.codes.values())
    if source.kind == "constant":
        value = source.value
        known = {bool: "boolean", int: "integer", float: "number"}
        kind = source.gives or known.get(type(value), "text")
        return kind, (value,) if isinstance(value, str) else None
    field = schema.field(source.name) if schema and source.kind == "field" else None
    if field is None or source.gives != "text":
        return source.gives, None
    return "text", tuple(symbols(field.avro)) or None
