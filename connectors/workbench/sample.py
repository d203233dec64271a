"""An invented event, and the row it would become: what a mapping does, seen before it is used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from connectors.mapping import EventMap
from connectors.mapping.event_codes import codes_of
from connectors.tables.columns import kind_of
from schemas.compartments import Field
from schemas.registry import Schemas

FROM: Final[Mapping[str, Any]] = {
    "case_ref": "nc-00000000000000000000000000000001",
    "subject_ref": "ns-00000000000000000000000000000001",
    "event_ref": "00000000-0000-4000-8000-000000000001",
    "agency": "NGO-1",
    "occurred_at": "2026-03-02T09:00:00Z",
    "received_at": "2026-03-02T09:00:05Z",
    "sequence": 1,
}
_TEXT: Final[Mapping[str, str]] = {
    "given_name": "Synthetic", "family_name": "Person", "phone": "+000000",
    "email": "synthetic@example.org", "language": "fr",
}  # fmt: skip
_BY_KIND: Final[Mapping[str, Any]] = {
    "date": "2001-02-03", "timestamp": "2026-03-02T12:00:00Z", "boolean": True, "integer": 2,
    "number": 1.5, "money": {"amount": "1200.50", "currency": "EUR"},
}  # fmt: skip


def sample(field: Field, translated: Mapping[str, Any] | None = None) -> Any:
    """An invented value of this field, as a delivery would bring it.

    translated: codes the file knows; one of them is shown, for the others would be quarantined.
    """
    kind = kind_of(field.avro)
    codes = list(codes_of(field)) or (["FR"] if field.codelist == "iso3166" else [])
    if translated is not None and "*" not in translated:
        codes = [one for one in codes if one in translated] or list(translated)
    if kind in ("text", "json"):
        value: Any = codes[0] if codes else _TEXT.get(field.name, "synthetic")
        return [value] if kind == "json" else value
    return _BY_KIND.get(kind, "synthetic")


def row(one: EventMap, schemas: Schemas) -> dict[str, tuple[Any, Any]]:
    """Column → (what the event says, what the row gets), key columns first."""
    schema = schemas.by_type(one.event)
    told: dict[str, tuple[Any, Any]] = {
        column: (FROM[source], FROM[source]) for column, source in one.key.items()
    }
    for column, source in one.columns.items():
        if source.kind == "field":
            value = sample(schema[source.name], source.codes)
        else:
            value = source.value if source.kind == "constant" else FROM[source.name]
        told[column] = (value, source.take(value))
    return told
