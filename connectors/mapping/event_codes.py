"""The codes a field of an event may hold, as far as the schema or a code list tells."""

from __future__ import annotations

from typing import Any

from schemas import codelists
from schemas.compartments import Field


def codes_of(field: Field) -> dict[str, str]:
    """Every code a field may hold, with its label; empty where the list is kept elsewhere."""
    fixed = symbols(field.avro)
    if fixed:
        return {one: one.replace("_", " ") for one in fixed}
    found: dict[str, str] = {}
    for name in codelists.alternatives(field.codelist) if field.codelist else ():
        try:
            found.update(codelists.load(name).labels)
        except codelists.UnknownCodeListError:
            continue
    return found


def by_reference(field: Field) -> bool:
    """Whether its codes are of a list kept elsewhere: countries, languages."""
    lists = codelists.alternatives(field.codelist) if field.codelist else ()
    return bool(lists) and all(codelists.load(one).by_reference for one in lists)


def room_for(field: Field | None, items: int) -> int:
    """Letters that a list of so many items takes as JSON, at least: of codes the longest counts."""
    codes = {} if field is None else codes_of(field)
    shortest = 2 if field is not None and by_reference(field) else 1
    return 2 + items * (max(map(len, codes), default=shortest) + 2) + max(items - 1, 0)


def symbols(avro: Any) -> list[str]:
    """Symbols of an enum, also within null or a list."""
    if isinstance(avro, list):
        return next((found for one in avro if (found := symbols(one))), [])
    if isinstance(avro, dict):
        if avro.get("type") == "enum":
            return list(avro["symbols"])
        return symbols(avro.get("items") or avro.get("type"))
    return []
