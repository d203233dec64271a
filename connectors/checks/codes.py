"""Codes: a mapping's translations against the event's codes and what the partner's columns take."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection, exc

from connectors.findings import Finding
from connectors.mapping import EventMap, Source, load_mapping
from schemas.registry import Schemas


def code_findings(mapping: Path, engine: sa.Engine) -> list[Finding]:
    """Codes without translation, and translations the column will not take."""
    schemas = Schemas.load()
    found: list[Finding] = []
    translated = 0
    with engine.connect() as db:
        for one in load_mapping(mapping).maps:
            for column, source in one.columns.items():
                if source.codes is None:
                    continue
                translated += 1
                where = f"{mapping.name} line {one.line}, {one.table}.{column}"
                found += _untranslated(where, one, source, schemas)
                found += _not_taken(where, db, one, column, source)
    if translated and not found:
        found.append(Finding("ok", "codes", f"{translated} translations fit events and columns"))
    return found


def _untranslated(where: str, one: EventMap, source: Source, schemas: Schemas) -> Iterable[Finding]:
    assert source.codes is not None
    field = schemas.by_type(one.event).field(source.name)
    known = _symbols(field.avro) if field is not None else []
    missing = [code for code in known if code not in source.codes]
    if missing and "*" not in source.codes:
        yield Finding(
            "warning",
            "codes",
            f"{where}: no translation for {', '.join(missing)}",
            'translate them, or "*" for every other: until then such events are quarantined',
        )


def _symbols(avro: Any) -> list[str]:
    """The codes of an enum, alone, optional or in a list."""
    if isinstance(avro, list):
        return [code for branch in avro for code in _symbols(branch)]
    if not isinstance(avro, dict):
        return []
    if avro["type"] == "enum":
        return list(avro["symbols"])
    return _symbols(avro.get("items", avro["type"]))


def _not_taken(
    where: str, db: Connection, one: EventMap, column: str, source: Source
) -> Iterable[Finding]:
    """Against the column's type and the table it refers to."""
    assert source.codes is not None
    values = list(dict.fromkeys(source.codes.values()))
    schema, _, name = one.table.rpartition(".")
    try:
        table = sa.Table(name, sa.MetaData(), schema=schema or None, autoload_with=db)
        kept = table.c[column]
    except (exc.NoSuchTableError, KeyError):
        return  # the sink says so itself
    length = getattr(kept.type, "length", None)
    long = [value for value in values if length and isinstance(value, str) and len(value) > length]
    if long:
        yield Finding(
            "wrong", "codes", f"{where} takes {length} characters, not {', '.join(long)}",
            "shorten the codes or widen the column",
        )  # fmt: skip
    allowed = getattr(kept.type, "enums", None)
    strange = [str(value) for value in values if allowed and value not in allowed]
    for key in kept.foreign_keys:
        there = set(db.execute(sa.select(key.column)).scalars())
        strange += [str(value) for value in values if value not in there]
    if strange:
        yield Finding(
            "wrong", "codes", f"{where} does not know {', '.join(strange)}",
            "add them to the list of codes there, or translate to others",
        )  # fmt: skip
