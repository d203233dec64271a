"""Checking a mapping file against the database it is for: everything that is wrong, at once.

Mistakes of the file itself (`connectors/mapping.py`), then each column against the partner's: is it
there, does the type fit, do the codes, is it long enough, may it be NULL; is the key unique; and
what this partner's role is never given. `wrong`: deliveries would wait in quarantine or the
connector would not start. `warning`: it works, but somebody should look.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from connectors.columns import kind_of, to_text
from connectors.errors import SettingsError
from connectors.findings import Finding, Level
from connectors.mapping import EventMap, Source, close, examined
from connectors.mapping import Mapping as MappingFile
from connectors.workbench.codes import by_reference, ours
from connectors.workbench.partner_tables import Column, Found, Table
from connectors.workbench.proposing import REF_LENGTH, Withheld
from schemas.compartments import Field
from schemas.event import EventSchema
from schemas.registry import Schemas

_SHOWN: Final = 8  # codes listed in one finding
_ANYTHING: Final = ("any", "json")
# What a value of this kind can go into as it is; `connectors/mapped.py` turns it.
_TAKES: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"text"}),
    "date": frozenset({"date", "timestamp", "text"}),
    "timestamp": frozenset({"date", "timestamp", "text"}),
    "boolean": frozenset({"boolean", "integer", "text"}),
    "integer": frozenset({"integer", "number", "text"}),
    "number": frozenset({"number", "text"}),
    "json": frozenset({"text"}),
    "amount": frozenset({"number", "text"}),
    "currency": frozenset({"text"}),
}


def check(
    path: Path, found: Found | None, schemas: Schemas, withheld: Withheld | None = None
) -> list[Finding]:
    """Every finding, in the file's order; an empty list if all is well.

    found: the partner's tables, None to look at the file alone.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as wrong:
        told = wrong.strerror if isinstance(wrong, OSError) else str(wrong)
        return [Finding("wrong", str(path), f"cannot be read: {told}", "name a mapping file")]
    try:
        mapping, mistakes = examined(text, path, schemas)
    except SettingsError as wrong:
        return [Finding("wrong", str(path), str(wrong), "correct it: it is not TOML")]
    located = [(line, Finding("wrong", f"{path}:{line}", told)) for line, told in mistakes]
    for line, level, told, fix in _Checker(mapping, found, schemas, withheld).all():
        located.append((line, Finding(level, f"{path}:{line}", told, fix)))
    return [one for _, one in sorted(located, key=lambda pair: pair[0])]


Told = tuple[int, Level, str, str]


class _Checker:
    def __init__(
        self,
        mapping: MappingFile,
        found: Found | None,
        schemas: Schemas,
        withheld: Withheld | None,
    ) -> None:
        self._mapping = mapping
        self._found = found
        self._schemas = schemas
        self._withheld = withheld

    def all(self) -> Iterator[Told]:
        first: dict[str, EventMap] = {}
        for one in self._mapping.maps:
            if not one.event:
                continue  # told by the file's own check
            yield from self._role(one)
            yield from self._codes(one)
            before = first.setdefault(one.table, one)
            if tuple(one.key) != tuple(before.key) or one.when_empty != before.when_empty:
                yield (
                    one.line, "wrong", f"{one.table} is filled by another key or when_empty in "
                    f"line {before.line}", "all maps into one table need the same",
                )  # fmt: skip
            if self._found is not None:
                yield from self._table(one, self._found, first=before is one)

    # -- the role and the code lists: without the database ---------------------------------

    def _role(self, one: EventMap) -> Iterator[Told]:
        if self._withheld is None:
            return
        schema = self._schemas.by_type(one.event)
        for column, source in one.columns.items():
            if source.kind == "field" and (why := self._withheld(schema, source.category)):
                yield (
                    source.line, "warning", f"column {column!r} will stay empty: {why}",
                    "leave the line out, or ask the hub's operator",
                )  # fmt: skip

    def _codes(self, one: EventMap) -> Iterator[Told]:
        schema = self._schemas.by_type(one.event)
        for column, source in one.columns.items():
            listed = _listed(schema, source)
            if source.codes is None or not listed:
                continue
            missing = [code for code in listed if code not in source.codes]
            if missing and "*" not in source.codes:
                yield (
                    source.line, "warning", f"column {column!r}: no translation of "
                    f"{_some(missing)}: a delivery with such a code waits in quarantine",
                    'add them to the code table, or "*" for every other',
                )  # fmt: skip
            for code in source.codes:
                if code not in listed and code != "*":
                    yield (
                        source.line, "warning", f"column {column!r}: {source.name} has no code "
                        f"{code!r}{close(code, listed)}", "correct it, or take it out",
                    )  # fmt: skip

    # -- against the database --------------------------------------------------------------

    def _table(self, one: EventMap, found: Found, *, first: bool) -> Iterator[Told]:
        name = one.table.rpartition(".")[2]
        table = found.tables.get(name)
        if table is None:
            yield (
                one.line, "wrong", f"the database has no table {one.table!r}"
                f"{close(name, found.tables)}", "name one that is there",
            )  # fmt: skip
            return
        names = [column.name for column in table.columns]
        for column in one.key:
            there = table.column(column)
            if there is None:
                yield (
                    one.line, "wrong", f"{one.table} has no column {column!r}"
                    f"{close(column, names)}", f"it has {', '.join(names)}",
                )  # fmt: skip
            else:
                yield from self._key(one, there)
        if first:
            yield from self._unique(one, table)
            yield from self._left_out(one, table)
        schema = self._schemas.by_type(one.event)
        for column, source in one.columns.items():
            there = table.column(column)
            if there is None:
                yield (
                    source.line, "wrong", f"{one.table} has no column {column!r}"
                    f"{close(column, names)}", f"it has {', '.join(names)}",
                )  # fmt: skip
                continue
            yield from _column(one, there, source, schema)

    @staticmethod
    def _key(one: EventMap, column: Column) -> Iterator[Told]:
        if column.kind not in ("text", *_ANYTHING):
            yield (
                one.line, "wrong", f"key column {column.name!r} is {column.shown}, our references "
                "are text", f"make it VARCHAR({REF_LENGTH})",
            )  # fmt: skip
        elif column.length is not None and column.length < REF_LENGTH:
            yield (
                one.line, "wrong", f"key column {column.name!r} holds {column.length} letters, a "
                f"reference has up to {REF_LENGTH}", f"make it VARCHAR({REF_LENGTH})",
            )  # fmt: skip

    @staticmethod
    def _unique(one: EventMap, table: Table) -> Iterator[Told]:
        if one.key and not any(unique <= set(one.key) for unique in table.unique):
            columns = ", ".join(one.key)
            yield (
                one.line, "warning", f"{columns} of {one.table} is not unique in the database: "
                "where two rows have the same reference, both are filled",
                f"CREATE UNIQUE INDEX {table.name}_nrm ON {one.table} ({columns})",
            )  # fmt: skip

    def _left_out(self, one: EventMap, table: Table) -> Iterator[Told]:
        """NOT NULL columns that no new row would fill."""
        for column in table.columns:
            if column.nullable or column.filled:
                continue
            for each in self._mapping.maps:
                if each.table == one.table and column.name not in (*each.key, *each.columns):
                    yield (
                        each.line, "wrong", f"{one.table}.{column.name} is NOT NULL and has no "
                        f"default: {each.event} could make no new row",
                        f'give it a default, allow NULL, or {column.name} = {{ constant = "…" }}',
                    )  # fmt: skip


def _column(one: EventMap, column: Column, source: Source, schema: EventSchema) -> Iterator[Told]:
    name, line = f"{one.table}.{column.name}", source.line
    if not column.nullable and source.kind == "field":
        yield (
            line, "wrong", f"{name} is NOT NULL, but a category may be withheld or recalled",
            "allow NULL there",
        )  # fmt: skip
    results = _results(schema, source)
    if results is not None:
        yield from _values(name, column, source, results)
        return
    kind = _kind(schema, source)
    if kind and column.kind not in (*_ANYTHING, *_TAKES[kind]):
        told = "a list" if kind == "json" else kind
        yield line, "wrong", f"{name} is {column.shown}, {source.name} is {told}", _remedy(kind)
        return
    listed = _listed(schema, source)
    if column.kind == "text" and column.codes and listed:
        yield from _accepted(name, column, source, list(listed))
    if column.kind == "text" and column.length is not None:
        longest = max(listed, key=len, default="")
        if len(longest) > column.length:
            yield (
                line, "wrong", f"{name} holds {column.length} letters, the code {longest!r} has "
                f"{len(longest)}", "make it longer, or translate the codes",
            )  # fmt: skip


def _values(name: str, column: Column, source: Source, results: Sequence[Any]) -> Iterator[Told]:
    """Values that are known beforehand: translated codes and constants."""
    line = source.line
    for value in results:
        if column.kind == "integer" and not _whole(value):
            yield (
                line, "wrong", f"{name} is {column.shown}, {value!r} is no whole number",
                "correct the translation",
            )  # fmt: skip
        elif column.kind in ("boolean", "date", "timestamp") and not _suits(column, value):
            yield (
                line, "wrong", f"{name} is {column.shown}, {value!r} does not fit",
                "correct it",
            )  # fmt: skip
        elif column.length is not None and len(to_text(value)) > column.length:
            yield (
                line, "wrong", f"{name} holds {column.length} letters, {to_text(value)!r} has "
                f"{len(to_text(value))}", "make it longer, or take a shorter code",
            )  # fmt: skip
    if column.codes:
        yield from _accepted(name, column, source, results)


def _accepted(name: str, column: Column, source: Source, values: Sequence[Any]) -> Iterator[Told]:
    assert column.codes is not None
    known = {str(code.value) for code in column.codes}
    refused = list(dict.fromkeys(str(value) for value in values if str(value) not in known))
    if refused:
        fix = "correct the translation" if source.codes or source.kind == "constant" else (
            f'translate: {{ field = "{source.name}", codes = "…" }}'
        )  # fmt: skip
        yield (
            source.line, "wrong", f"{name} takes {_some(sorted(known))}, not {_some(refused)}",
            fix,
        )  # fmt: skip


def _results(schema: EventSchema, source: Source) -> list[Any] | None:
    """What the column gets, where that is known beforehand."""
    if source.kind == "constant":
        return [source.value]
    if source.codes is None:
        return None
    listed = _listed(schema, source)
    if listed and "*" in source.codes and all(code in source.codes for code in listed):
        return [theirs for code, theirs in source.codes.items() if code != "*"]
    return list(dict.fromkeys(source.codes.values()))


def _field(schema: EventSchema, source: Source) -> Field | None:
    return next((one for one in schema.fields if one.name == source.name), None)


def _listed(schema: EventSchema, source: Source) -> dict[str, str]:
    """Codes of the field; none where its list is kept elsewhere or may be added to at will."""
    if source.kind != "field":
        return {}
    field = _field(schema, source)
    if field is None or by_reference(field):
        return {}
    if kind_of(field.avro) == "boolean":
        return {"true": "yes", "false": "no"} if source.codes is not None else {}
    return ours(field)


def _kind(schema: EventSchema, source: Source) -> str:
    """A key of `_TAKES`; "" where a type was asked for, or nothing can be said."""
    if source.kind == "from":
        return {"occurred_at": "timestamp", "received_at": "timestamp", "sequence": "integer"}.get(
            source.name, "text"
        )
    field = _field(schema, source)
    if field is None or (source.convert is not None and source.typed):
        return ""
    kind = kind_of(field.avro)
    if kind == "money":
        return source.part or "amount"
    return "text" if kind == "json" and source.pick else kind


def _remedy(kind: str) -> str:
    if kind == "json":
        return 'take pick = "first", or a text column'
    return "map it to another column, translate its codes, or say type = …"


def _whole(value: Any) -> bool:
    try:
        return not isinstance(value, float) and int(value) is not None
    except (TypeError, ValueError):
        return False


def _suits(column: Column, value: Any) -> bool:
    if column.kind == "boolean":
        return isinstance(value, bool) or value in ("true", "false")
    return not isinstance(value, bool | int)


def _some(codes: Sequence[str]) -> str:
    shown = ", ".join(codes[:_SHOWN])
    return f"{shown} and {len(codes) - _SHOWN} more" if len(codes) > _SHOWN else shown
