"""Partner schemas: what one partner may see of an event, as one flat Avro record per event type.

    record nrm.partner.IdentityRecorded
      event_ref, case_ref, subject_ref, agency, occurred_at, sequence, categories, bases
      given_name, date_of_birth, gender, …        every field of the event, of any category

Every field may be null: not stated, or of a category this partner was not given; `categories` tells
which. Named types of the event are gone: an enum is a string, so that a code that is added later
breaks no reader; money is `<name>_amount` and `<name>_currency`; a structure is JSON text. A field
whose name is one of the envelope's is `<name>_stated`, as in the default tables.

A version holds the fields of all versions before it, so any reads what any wrote. Its id is derived
from its text (`schemas/partner_ids.py`): whoever has the event schema knows it without asking.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from io import BytesIO
from typing import Any, Final

import fastavro

from schemas.avro import AvroError
from schemas.compartments import INHERIT, Field, SchemaError
from schemas.event import EventSchema, canonical_text
from schemas.partner_ids import id_of
from schemas.registry import Schemas
from schemas.texts import ValueProblem

NAMESPACE: Final = "nrm.partner"
ENVELOPE: Final = (
    "event_ref",
    "case_ref",
    "subject_ref",
    "agency",
    "occurred_at",
    "received_at",
    "sequence",
    "categories",
    "bases",
)
"""Names no field has here. `received_at` is not in the record: read again it would be another."""

_INSTANT: Final = {"type": "long", "logicalType": "timestamp-micros"}
# Of bytes, not fixed: Kafka Connect's Avro converters refuse a decimal that has a name.
_AMOUNT: Final = {"type": "bytes", "logicalType": "decimal", "precision": 20, "scale": 4}
_HEAD: Final = (
    ("event_ref", "string", "This partner's name of the event; the key of its message."),
    ("case_ref", "string", "This partner's name of the case."),
    ("subject_ref", "string", "This partner's name of the person."),
    ("agency", ["null", "string"], "Who stated it; null where the hub attests it."),
    ("occurred_at", ["null", _INSTANT], "When it happened, as the agency says."),
    ("sequence", "long", "The delivery that changed it last."),
    ("categories", {"type": "array", "items": "string"}, "What of it this partner holds."),
    ("bases", {"type": "map", "values": "string"}, "Category to the legal basis it rests on."),
)


@dataclass(frozen=True)
class About:
    """The envelope of one event."""

    event_ref: str
    case_ref: str
    subject_ref: str
    agency: str | None
    occurred_at: datetime | None
    sequence: int
    bases: Mapping[str, str]


class PartnerSchema:
    """One version of one event type, as partners read it."""

    def __init__(self, versions: Sequence[EventSchema]) -> None:
        """versions: all of the type up to this one, oldest first."""
        self.event_type = versions[-1].type
        self.name = f"{NAMESPACE}.{self.event_type}"
        fields: dict[str, Field] = {}
        for one in versions:
            fields.update({field.name: field for field in one.fields if not field.copies})
        self._fields = fields
        self.document = _document(versions[-1], tuple(fields.values()))
        self.text = canonical_text(self.document).decode()
        self.id = id_of(self.text)

    @cached_property
    def _parsed(self) -> Any:
        return fastavro.parse_schema(self.document)

    def encode(self, about: About, values: Mapping[str, Any]) -> bytes:
        """The body of a message. values: field → JSON value, of the categories held.

        SchemaError names the field that does not fit. A field this version does not know is left
        out: it belongs to a schema newer than this program.
        """
        record: dict[str, Any] = {
            one["name"]: None for one in self.document["fields"] if one["name"] not in ENVELOPE
        }
        for name, value in values.items():
            field = self._fields.get(name)
            if field is not None and value is not None:
                record.update(_converted(field, value))
        record |= {
            "event_ref": about.event_ref,
            "case_ref": about.case_ref,
            "subject_ref": about.subject_ref,
            "agency": about.agency,
            "occurred_at": about.occurred_at,
            "sequence": about.sequence,
            "categories": sorted(about.bases),
            "bases": dict(sorted(about.bases.items())),
        }
        stream = BytesIO()
        try:
            fastavro.schemaless_writer(stream, self._parsed, record, strict=True)
        except Exception as wrong:  # of many classes; its text may quote the value
            raise AvroError(f"{self.name}: a value does not fit ({type(wrong).__name__})") from None
        return stream.getvalue()


class PartnerSchemas:
    """The partner schemas of all event schemas registered, now and later."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._made: dict[str, tuple[int, tuple[PartnerSchema, ...]]] = {}

    def types(self) -> tuple[str, ...]:
        return self._schemas.types()

    def versions(self, event_type: str) -> tuple[PartnerSchema, ...]:
        """All versions, the current one last. KeyError if there is no such type.

        Two versions of an event that look the same to partners are one version here.
        """
        known = self._schemas.versions(event_type)
        count, made = self._made.get(event_type, (0, ()))
        if count != len(known):
            all_of_it = (PartnerSchema(known[:number]) for number in range(1, len(known) + 1))
            made = tuple({one.text: one for one in all_of_it}.values())
            self._made[event_type] = (len(known), made)
        return made

    def current(self, event_type: str) -> PartnerSchema:
        """What is written today. KeyError if there is no such type."""
        return self.versions(event_type)[-1]

    def every(self) -> tuple[PartnerSchema, ...]:
        return tuple(one for kind in self.types() for one in self.versions(kind))

    def decode(self, schema_id: int, body: bytes) -> tuple[str, dict[str, Any]]:
        """Event type, and the record as `encode` was given it, envelope included. KeyError if no
        schema has this id."""
        for one in self.every():
            if one.id == schema_id:
                record: Any = fastavro.schemaless_reader(BytesIO(body), one._parsed, None)
                return one.event_type, record
        raise KeyError(schema_id)

    def by_id(self, schema_id: int) -> PartnerSchema | None:
        return next((one for one in self.every() if one.id == schema_id), None)


def snake(event_type: str) -> str:
    """CaseOpened → case_opened."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", event_type).lower()


def _document(schema: EventSchema, fields: Sequence[Field]) -> dict[str, Any]:
    def nullable(kind: Any, name: str, field: Field, doc: str) -> dict[str, Any]:
        extra: dict[str, Any] = {"codelist": field.codelist} if field.codelist else {}
        if codes := _symbols(field.avro):
            extra["codes"] = codes
        return {
            "name": name,
            "type": ["null", kind],
            "default": None,
            "doc": doc,
            "category": field.category,
            **extra,
        }

    listed: list[dict[str, Any]] = [
        {"name": name, "type": kind, "doc": doc, **_default(kind)} for name, kind, doc in _HEAD
    ]
    for field in fields:
        name = _name(field)
        kind = _kind(field)
        if kind == "money":
            listed.append(nullable(_AMOUNT, f"{name}_amount", field, field.doc))
            listed.append(nullable("string", f"{name}_currency", field, "ISO 4217."))
        else:
            listed.append(nullable(kind, name, field, field.doc))
    return {
        "type": "record",
        "name": schema.type,
        "namespace": NAMESPACE,
        "doc": schema.doc,
        "fields": listed,
    }


def _default(kind: Any) -> dict[str, Any]:
    return {"default": None} if isinstance(kind, list) else {}


def _name(field: Field) -> str:
    return f"{field.name}_stated" if field.name in ENVELOPE else field.name


def _branch(avro: Any) -> Any:
    """The type of what is not null; None of a union of several."""
    if not isinstance(avro, list):
        return avro
    branches = [one for one in avro if one != "null"]
    return branches[0] if len(branches) == 1 else None


def _symbols(avro: Any) -> list[str]:
    kind = _branch(avro)
    while isinstance(kind, Mapping) and kind["type"] == "array":
        kind = kind["items"]
    return list(kind["symbols"]) if isinstance(kind, Mapping) and kind["type"] == "enum" else []


def _kind(field: Field) -> Any:
    """The Avro type a field has for partners; "money", or "string" of JSON text."""
    return "string" if _is_json(field) else _plain(_branch(field.avro))


def _is_json(field: Field) -> bool:
    return field.category == INHERIT or field.form == "json" or _branch(field.avro) is None


def _plain(kind: Any) -> Any:
    if isinstance(kind, str):
        return {"int": "long", "float": "double"}.get(kind, kind)
    if kind["type"] == "enum":
        return "string"
    if kind["type"] == "array":
        return {"type": "array", "items": _plain(kind["items"])}
    if kind["type"] == "map":
        return {"type": "map", "values": _plain(kind["values"])}
    if kind["type"] == "record" and kind["name"] == "Money":
        return "money"
    if kind.get("logicalType") in ("date", "timestamp-micros"):
        return {"type": kind["type"], "logicalType": kind["logicalType"]}
    raise ValueError(f"no type for partners: {kind['type']}")


def _converted(field: Field, value: Any) -> dict[str, Any]:
    """What the field's JSON value is in the record. SchemaError if it does not fit."""
    name, kind = _name(field), _kind(field)
    if _is_json(field):  # of any type: JSON tells 5 from "5"
        return {name: json.dumps(value, ensure_ascii=False, separators=(",", ":"))}
    if kind == "string" or (isinstance(kind, dict) and kind["type"] in ("array", "map")):
        return {name: value}  # also a code that is not among those listed
    try:
        inward = field.values.inward(value)
    except ValueProblem as problem:
        raise SchemaError(str(problem), field.name) from None
    if kind == "money":
        return {f"{name}_amount": inward["amount"], f"{name}_currency": inward["currency"]}
    return {name: inward}
