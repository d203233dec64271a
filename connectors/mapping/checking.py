"""A mapping file held against the database it is for: everything that is wrong, at once.

Mistakes of the file itself (`connectors/mapping/__init__.py`), then each column against the
partner's: is it there, does the type fit, do the codes, is it long enough, may it be NULL; is the
key unique; and what this partner's role is never given. `wrong`: deliveries would wait in
quarantine or the connector would not start. `warning`: it works, but somebody should look.

`misfits` is asked when a connector starts, without lists of codes: those may change under a running
connector, which then sets single deliveries aside and goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from connectors.database.definitions import REF_LENGTH, Column, Found, Table
from connectors.database.partner_tables import fitting
from connectors.errors import SettingsError
from connectors.findings import Finding, Level
from connectors.given import text_of
from connectors.mapping import EventMap, examined
from connectors.mapping import Mapping as MappingFile
from connectors.mapping.event_codes import by_reference, codes_of, room_for, symbols
from connectors.mapping.reader import close
from connectors.mapping.source import Source
from connectors.tables.columns import kind_of, to_text
from schemas.compartments import Field
from schemas.event import EventSchema
from schemas.registry import Schemas

Withheld = Callable[[EventSchema, str], str | None]
"""(schema, category) → why this partner is never given it; None if it may be."""

_SHOWN: Final = 8  # codes listed in one finding
_ANYTHING: Final = ("any", "json")
# What a value of this kind can go into as it is; `connectors/database/partner_tables.py` turns it.
_TAKES: Final[Mapping[str, frozenset[str]]] = {
    "text": frozenset({"text"}),
    "date": frozenset({"date", "timestamp", "text"}),
    "timestamp": frozenset({"date", "timestamp", "text"}),
    "boolean": frozenset({"boolean", "integer", "text"}),
    "integer": frozenset({"integer", "number", "text"}),
    "number": frozenset({"number", "text"}),
    "json": frozenset({"text"}),
}


def check(
    path: Path,
    read: Callable[[Iterable[str]], Found] | None,
    schemas: Schemas,
    withheld: Withheld | None = None,
) -> list[Finding]:
    """Every finding, in the file's order; an empty list if all is well.

    read: the partner's tables of these names; None to look at the file alone.
    """
    try:
        mapping, mistakes = examined(text_of(path), path, schemas)
    except SettingsError as wrong:
        return [Finding("wrong", str(path), str(wrong), "name a mapping file, or correct it")]
    found = None if read is None else read([one.table for one in mapping.maps])
    told = [*_Checker(mapping, found, schemas, withheld).all()]
    told += [(line, "wrong", text, "") for line, text in mistakes]
    return _findings(path, told)


def misfits(mapping: MappingFile, found: Found, schemas: Schemas, *, codes: bool) -> list[Finding]:
    """The same of a file without mistakes. codes: also what code lists say."""
    return _findings(mapping.path, _Checker(mapping, found, schemas, None, codes=codes).all())


Told = tuple[int, Level, str, str]


def _findings(path: Path, told: Iterable[Told]) -> list[Finding]:
    return [
        Finding(level, f"{path}:{line}", text, fix)
        for line, level, text, fix in sorted(told, key=lambda one: one[0])
    ]


class _Checker:
    def __init__(
        self,
        mapping: MappingFile,
        found: Found | None,
        schemas: Schemas,
        withheld: Withheld | None,
        *,
        codes: bool = True,
    ) -> None:
        self._mapping = mapping
        self._found = found
        self._schemas = schemas
        self._withheld = withheld
        self._lists = codes

    def all(self) -> Iterator[Told]:
        first: dict[str, EventMap] = {}
        for one in self._mapping.maps:
            if not one.event:
                continue  # told by the file's own check
            yield from self._role(one)
            if self._lists:
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
        table = found.tables.get(one.table)
        if table is None:
            yield (
                one.line, "wrong", f"the database has no table {one.table!r} that this user may "
                f"read{close(one.table, [*found.tables, *found.others])}",
                "name one that is there, or allow it to be read",
            )  # fmt: skip
            return
        if first:
            yield from self._transactions(one, table)
            yield from self._unique(one, table)
            yield from self._left_out(one, table)
        lines = {**dict.fromkeys(one.key, one.line), **{c: s.line for c, s in one.columns.items()}}
        for name, line in lines.items():
            column = table.column(name)
            if column is None:
                names = [each.name for each in table.columns]
                yield (
                    line, "wrong", f"{one.table} has no column {name!r}{close(name, names)}",
                    f"it has {', '.join(names)}",
                )  # fmt: skip
            elif column.computed:
                yield (
                    line, "wrong", f"{one.table}.{name} is computed by the database, which takes "
                    "no other value for it", "take it out, or map another column",
                )  # fmt: skip
            elif name in one.key:
                yield from _key(one, column)
            else:
                yield from self._column(one, column, one.columns[name])

    @staticmethod
    def _transactions(one: EventMap, table: Table) -> Iterator[Told]:
        if table.engine:
            yield (
                one.line, "wrong", f"{one.table} is kept by {table.engine}, which has no "
                "transactions: a row would stay although its delivery failed",
                f"ALTER TABLE {one.table} ENGINE=InnoDB",
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
        """NOT NULL columns that a new row needs, and not every map fills."""
        maps = [each for each in self._mapping.maps if each.table == one.table]
        for column in table.columns:
            if column.nullable or column.filled:
                continue
            without = [each for each in maps if column.name not in (*each.key, *each.columns)]
            level: Level = "wrong" if without == maps else "warning"
            for each in without:
                yield (
                    each.line, level, f"{one.table}.{column.name} is NOT NULL and has no "
                    f"default: {each.event} could make no new row",
                    f'give it a default, allow NULL, or {column.name} = {{ constant = "…" }}',
                )  # fmt: skip

    def _column(self, one: EventMap, column: Column, source: Source) -> Iterator[Told]:
        name, line = f"{one.table}.{column.name}", source.line
        schema = self._schemas.by_type(one.event)
        if not column.nullable and source.kind == "field":
            yield (
                line, "wrong", f"{name} is NOT NULL, but a category may be withheld or recalled",
                "allow NULL there",
            )  # fmt: skip
        elif not column.nullable and source.kind == "from" and one.when_empty == "null":
            yield (
                line, "warning", f"{name} is NOT NULL: after a recall {source.name} stays in it",
                'allow NULL there, or say when_empty = "delete"',
            )  # fmt: skip
        if source.gives and not _takes(column, source):
            told = "a list" if source.gives == "json" else source.gives
            shown = source.name or "a constant"
            yield line, "wrong", f"{name} is {column.shown}, {shown} is {told}", _remedy(source)
            return
        if source.gives == "json" and not _holds_a_list(column, schema.field(source.name)):
            yield (
                line, "wrong", f"{name} holds {column.length} letters, a list of one is longer",
                'take pick = "first", or make it longer',
            )  # fmt: skip
            return
        values = _results(schema, source)
        if values is None:
            known = _listed(schema, source) if self._lists else _fixed(schema, source)
            values = sorted(known, key=len, reverse=True)
        yield from _values(name, column, source, values)
        if self._lists and column.codes and column.kind in ("text", "integer", *_ANYTHING):
            yield from _accepted(name, column, source, values)


def _key(one: EventMap, column: Column) -> Iterator[Told]:
    told = ""
    fits = column.kind == "uuid" and one.key[column.name] == "event_ref"
    if column.padded or (column.length is not None and column.length < REF_LENGTH):
        told = f"is {column.shown}, too narrow for a reference of up to {REF_LENGTH} letters"
    elif column.kind not in ("text", *_ANYTHING) and not fits:
        told = f"is {column.shown}, our references are text"
    if told:
        yield (
            one.line, "wrong", f"key column {column.name!r} {told}",
            f"make it VARCHAR({REF_LENGTH})",
        )  # fmt: skip


def _takes(column: Column, source: Source) -> bool:
    if column.kind == "uuid" and source.name == "event_ref":
        return True
    return column.kind in (*_ANYTHING, *_TAKES[source.gives])


def _holds_a_list(column: Column, field: Field | None) -> bool:
    """Whether the shortest list of one, `["FR"]`, has room."""
    return column.kind != "text" or column.length is None or column.length >= room_for(field, 1)


def _values(name: str, column: Column, source: Source, values: Sequence[Any]) -> Iterator[Told]:
    """Values that are known beforehand: constants, translated codes, codes as they are."""
    own = source.codes is not None or source.kind == "constant"
    for value in values:
        try:
            made = value if source.convert is None or not own else source.convert(value)
            text = to_text(fitting(column.kind)(made))
        except (ValueError, TypeError):
            told = "is no whole number" if column.kind == "integer" else "does not fit"
            yield (
                source.line, "wrong", f"{name} is {column.shown}, {value!r} {told}",
                "correct it" if own else _remedy(source),
            )  # fmt: skip
            continue
        if column.kind == "text" and column.length is not None and len(text) > column.length:
            yield (
                source.line, "wrong", f"{name} holds {column.length} letters, {text!r} has "
                f"{len(text)}",
                "make it longer, or take a shorter one" if own
                else "make it longer, or translate the codes",
            )  # fmt: skip
            if not own:
                return


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


def _listed(schema: EventSchema, source: Source) -> dict[str, str]:
    """Codes of the field; none where its list is kept elsewhere or may be added to at will."""
    if source.kind != "field":
        return {}
    field = schema.field(source.name)
    if field is None or by_reference(field):
        return {}
    if kind_of(field.avro) == "boolean":
        return {"true": "yes", "false": "no"} if source.codes is not None else {}
    return codes_of(field)


def _fixed(schema: EventSchema, source: Source) -> list[str]:
    """Codes that the schema itself lists: they change with it alone."""
    field = schema.field(source.name) if source.kind == "field" else None
    return [] if field is None else symbols(field.avro)


def _remedy(source: Source) -> str:
    if source.gives == "json":
        return 'take pick = "first", or a text column'
    return "map it to another column, translate its codes, or say type = …"


def _some(codes: Sequence[str]) -> str:
    shown = ", ".join(codes[:_SHOWN])
    return f"{shown} and {len(codes) - _SHOWN} more" if len(codes) > _SHOWN else shown
