"""Compartments: the Avro records derived from one event schema, one per category.

    category          the fields of that category, in the schema's order
    category/party    what one party is shown of the category's per-party fields; the same derived
                      record for every party
    inherit           a correction's new value, in a category the correction itself has not; its
                      compartment is named after the corrected field's category

A field of category `inherit` is also a member of each category of its own schema, since the
corrected field may be of that category. `docs/formats.md` tells the same for outsiders.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from schemas.avro import AvroError, Codec
from schemas.safe import PRIMITIVES, full_name, scope
from schemas.values import Converters, converters, same

INHERIT: Final = "inherit"
UNRELEASABLE: Final = "unreleasable"
CATEGORY: Final = re.compile(r"[a-z][a-z0-9_]{0,63}", re.ASCII)


class SchemaError(AvroError):
    """The event's data does not fit its schema. reason: stable code; field: its name."""

    def __init__(self, reason: str, field: str) -> None:
        super().__init__(f"{reason}: {field}")
        self.reason = reason
        self.field = field


@dataclass(frozen=True)
class Field:
    """One field of an event schema.

    category: `unreleasable` if the schema gives none. ref: what kind of thing a reference names.
    codelist: id of the list its codes come from (`schemas/codelists/`). avro: the type as written.
    form: `json`, `long` or nothing, of a text. correctable: whether a correction can state it.
    copies: the field this one repeats in its own category; nobody states it.
    """

    name: str
    category: str
    required: bool
    per_party: bool
    ref: str | None
    codelist: str | None
    avro: Any
    doc: str
    form: str
    correctable: bool
    copies: str | None
    values: Converters = field(repr=False, compare=False)

    @property
    def is_map(self) -> bool:
        branches = self.avro if isinstance(self.avro, list) else [self.avro]
        return any(isinstance(one, dict) and one.get("type") == "map" for one in branches)


@dataclass(frozen=True, slots=True)
class Compartment:
    """One derived record: its codec and the fields it holds."""

    codec: Codec
    members: tuple[Field, ...]
    blank: Mapping[str, None]
    told: Callable[[bytes], dict[str, Any]]
    """Every member as its JSON value, None where it is empty, of a body that was read strictly
    before. AvroError if it does not decode."""

    def encode(self, values: Mapping[str, Any]) -> bytes:
        """Of values that their fields' `inward` returned; those of other members are null."""
        return self.codec.encode({**self.blank, **values})


def read_field(document: Mapping[str, Any]) -> Field:
    """A field as the schema's text has it."""
    category = document.get("category") or UNRELEASABLE
    per_party = bool(document.get("per_party"))
    return Field(
        name=document["name"],
        category=category,
        required=bool(document.get("required")),
        per_party=per_party,
        ref=document.get("ref"),
        codelist=document.get("codelist"),
        avro=document["type"],
        doc=document.get("doc", ""),
        form="json" if document.get("json") else "long" if document.get("long") else "",
        correctable=not (per_party or document.get("json") or category == INHERIT),
        copies=document.get("copies"),
        values=converters(document),
    )


def derive(document: Mapping[str, Any], fields: Sequence[Field]) -> dict[str, Compartment]:
    """The derived records of a schema by name; `category/` stands for any party's."""
    named = _definitions(document)
    own = sorted({one.category for one in fields} - {INHERIT})
    derived = {}
    for category in own:
        plain = [f for f in fields if f.category in (category, INHERIT) and not f.per_party]
        derived[category] = _compartment(document, category, plain, named)
        shown = [f for f in fields if f.category == category and f.per_party]
        if shown:
            derived[f"{category}/"] = _compartment(document, f"{category}/", shown, named)
    inherited = [f for f in fields if f.category == INHERIT]
    if inherited:
        derived[INHERIT] = _compartment(document, INHERIT, inherited, named)
    return derived


def parts(value: Any) -> Iterable[tuple[str, Any]]:
    """What each party is shown of a per-party value: its own entry, or itself and no other."""
    if isinstance(value, Mapping):
        return value.items()
    return ((party, [party]) for party in value)


def _compartment(
    document: Mapping[str, Any], name: str, members: Sequence[Field], named: Mapping[str, Any]
) -> Compartment:
    seen: set[str] = set()
    namespace = scope(document, "")
    codec = Codec(
        {
            "type": "record",
            "name": f"{document['name']}_{name.replace('/', '_party')}",
            "namespace": namespace,
            "fields": [
                {
                    "name": member.name,
                    "type": _inlined(_member_type(member, len(members)), namespace, named, seen),
                }
                for member in members
            ],
        }
    )
    return Compartment(
        codec,
        tuple(members),
        {member.name: None for member in members},
        codec.converting(
            {m.name: m.values.outward for m in members if m.values.outward is not same}
        ),
    )


def _member_type(member: Field, members: int) -> Any:
    if not member.per_party:
        return member.avro
    kind = member.avro
    if isinstance(kind, list):
        kind = next(branch for branch in kind if branch != "null")
    entry = kind["values"] if kind["type"] == "map" else kind
    # With several per-party fields, a party may be named in one and not in another.
    return entry if members == 1 else ["null", entry]


def _definitions(document: Mapping[str, Any]) -> dict[str, Any]:
    """Every named type inside the schema, by full name."""
    found: dict[str, Any] = {}

    def walk(schema: Any, namespace: str) -> None:
        if isinstance(schema, list):
            for branch in schema:
                walk(branch, namespace)
        elif isinstance(schema, Mapping):
            if "name" in schema:
                namespace = scope(schema, namespace)
                found[full_name(schema["name"], namespace)] = schema
            for inner in ("type", "items", "values"):
                walk(schema.get(inner), namespace)
            for one in schema.get("fields", ()):
                walk(one["type"], namespace)

    walk(document, "")
    return found


def _inlined(schema: Any, namespace: str, named: Mapping[str, Any], seen: set[str]) -> Any:
    """The type with each named type written out where this record first uses it."""
    if isinstance(schema, list):
        return [_inlined(branch, namespace, named, seen) for branch in schema]
    if isinstance(schema, str):
        full = full_name(schema, namespace)
        if schema in PRIMITIVES or full in seen:
            return schema
        return _inlined(named[full], namespace, named, seen)
    inner = dict(schema)
    if "name" in schema:
        namespace = scope(schema, namespace)
        inner["name"] = full_name(schema["name"], namespace)
        if inner["name"] in seen:
            return inner["name"]
        seen.add(inner["name"])
    for key in ("items", "values"):
        if key in inner:
            inner[key] = _inlined(inner[key], namespace, named, seen)
    if "fields" in inner:
        inner["fields"] = [
            {**one, "type": _inlined(one["type"], namespace, named, seen)}
            for one in inner["fields"]
        ]
    return inner
