"""The registry: every event schema, and the compartments derived from it.

From one Avro record per event type, each field carrying a `category`, one record per category is
derived: the fields of that category in the schema's order. An agency encodes each derived record
apart; whoever is released a category gets that record and nothing of the others. A field marked
`per_party` has one compartment per party, `category/party`. `docs/formats.md` is precise.

A field without a category goes to compartment `unreleasable`, which no rule releases.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Final

from schemas.avro import AvroError, Codec
from schemas.values import Convert, ValueProblem, converters, text_in

ROUTING_NAME: Final = "routing"
UNRELEASABLE: Final = "unreleasable"
INHERIT: Final = "inherit"
_ADDRESSED: Final = ("to_agency", "guardian_agency")
_REF = text_in(200)

ROUTING: Final = Codec(
    {
        "type": "record",
        "name": "Routing",
        "namespace": "nrm.case",
        "fields": [
            {"name": "case", "type": "string"},
            {"name": "subject", "type": "string"},
            {"name": "addressed", "type": ["null", "string"]},
        ],
    }
)


class UnreleasableFieldWarning(UserWarning):
    """A field has no category: it is recorded and reaches nobody."""


class SchemaError(Exception):
    """The event's data does not fit its schema. reason: stable code; field: its name."""

    def __init__(self, reason: str, field: str) -> None:
        super().__init__(f"{reason}: {field}")
        self.reason = reason
        self.field = field


@dataclass(frozen=True)
class Routing:
    """Who is concerned: the case, the person, and the agency addressed, if any."""

    case: str
    subject: str
    addressed: str | None = None


@dataclass(frozen=True)
class Field:
    """One field of an event schema."""

    name: str
    category: str
    required: bool
    per_party: bool
    ref: str | None
    codelist: str | None
    avro: Any
    inward: Convert
    outward: Convert


class EventSchema:
    """One version of one event type's schema."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document
        self.type: str = document["name"]
        self.group: str = document["group"]
        self.emitters = frozenset(document["emitters"])
        canonical = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        self.schema_id = hashlib.sha256(canonical.encode()).digest()
        self.fields = tuple(_field(self.type, one) for one in document["fields"])
        self._by_name = {field.name: field for field in self.fields}
        self.categories = tuple(sorted({f.category for f in self.fields} - {INHERIT}))
        self._codecs: dict[str, Codec] = {}
        self._members: dict[str, tuple[Field, ...]] = {}
        for category in (*self.categories, INHERIT):
            members = [f for f in self.fields if f.category == category]
            self._derive(category, [f for f in members if not f.per_party])
            self._derive(f"{category}/", [f for f in members if f.per_party])

    def _derive(self, name: str, members: list[Field]) -> None:
        if not members and (name.endswith("/") or name == INHERIT):
            return
        label = name.replace("/", "_party")
        self._members[name] = tuple(members)
        self._codecs[name] = Codec(
            {
                "type": "record",
                "name": f"{self.type}_{label}",
                "namespace": "nrm.case",
                "fields": [{"name": f.name, "type": _member_type(f)} for f in members],
            }
        )

    def __getitem__(self, name: str) -> Field:
        return self._by_name[name]

    def field(self, name: str) -> Field | None:
        return self._by_name.get(name)

    def compartments(self, name: str) -> Codec:
        """The codec of a compartment. AvroError if the type has no such compartment."""
        return ROUTING if name == ROUTING_NAME else self._codecs[self._kind(name)]

    def _kind(self, name: str) -> str:
        category, slash, party = name.partition("/")
        kind = f"{category}/" if slash and party else category
        if kind in self._codecs:
            return kind
        if not slash and INHERIT in self._codecs and category.isidentifier():
            return INHERIT
        raise AvroError(f"{self.type} has no such compartment")

    def addressed(self, data: Mapping[str, Any]) -> str | None:
        """The agency an event is addressed to, for its routing."""
        return next((data[name] for name in _ADDRESSED if data.get(name)), None)

    # -- JSON to compartments ---------------------------------------------------------------

    def split(
        self,
        data: Mapping[str, Any],
        *,
        routing: Routing,
        corrected_category: str | None = None,
    ) -> dict[str, bytes]:
        """Compartment bodies by name. Raises SchemaError(reason, field)."""
        for name in data:
            if name not in self._by_name:
                raise SchemaError("unknown_field", name[:64])
        values: dict[str, dict[str, Any]] = {}
        for field in self.fields:
            value = data.get(field.name)
            if value is None:
                if field.required:
                    raise SchemaError("missing_field", field.name)
                continue
            category = field.category
            if category == INHERIT:
                if corrected_category is None:
                    raise SchemaError("missing_category", field.name)
                category = corrected_category
            try:
                converted = field.inward(value)
            except ValueProblem as problem:
                raise SchemaError(str(problem), field.name) from None
            if field.per_party:
                values.setdefault(category, {})
                for party, part in _parts(converted):
                    values.setdefault(f"{category}/{party}", {})[field.name] = part
            else:
                values.setdefault(category, {})[field.name] = converted
        bodies = {name: self._encode(name, record) for name, record in values.items()}
        for ref in (routing.case, routing.subject):
            _REF(ref)
        bodies[ROUTING_NAME] = ROUTING.encode(
            {"case": routing.case, "subject": routing.subject, "addressed": routing.addressed}
        )
        return bodies

    def _encode(self, name: str, record: dict[str, Any]) -> bytes:
        kind = self._kind(name)
        complete = {field.name: record.get(field.name) for field in self._members[kind]}
        try:
            return self._codecs[kind].encode(complete)
        except AvroError:
            raise SchemaError("does_not_fit", name.partition("/")[0]) from None

    # -- compartments to JSON ---------------------------------------------------------------

    def join(self, bodies: Mapping[str, bytes], *, trusted: bool = False) -> dict[str, Any]:
        """The fields found in these compartments, as JSON values; absent ones are left out.

        Raises AvroError for an unknown compartment or bytes that are not proper, SchemaError for
        a value no agency may send.
        """
        data: dict[str, Any] = {}
        for name, body in bodies.items():
            if name == ROUTING_NAME:
                continue
            kind = self._kind(name)
            record = self._codecs[kind].decode(body, trusted=trusted)
            party = name.partition("/")[2]
            for field in self._members[kind]:
                value = record[field.name]
                if value is None:
                    continue
                whole: Any = {party: value} if party and _is_map(field.avro) else value
                if not trusted:
                    try:
                        field.inward(json.loads(whole) if field.outward is json.loads else whole)
                    except (ValueProblem, ValueError):
                        raise SchemaError("forbidden_value", field.name) from None
                shown = field.outward(whole)
                if not party:
                    data[field.name] = shown
                elif isinstance(shown, dict):
                    data.setdefault(field.name, {}).update(shown)
                else:
                    data.setdefault(field.name, []).extend(shown)
        for field in self.fields:  # a per-party field that names nobody
            if field.per_party and field.required and field.category in bodies:
                data.setdefault(field.name, {})
        return data

    def routing(self, bodies: Mapping[str, bytes]) -> Routing:
        """Who is concerned. KeyError without a routing compartment."""
        record = ROUTING.decode(bodies[ROUTING_NAME])
        return Routing(record["case"], record["subject"], record["addressed"])


def _field(event_type: str, document: Mapping[str, Any]) -> Field:
    category = document.get("category")
    if not category:
        warnings.warn(
            f"{event_type}.{document['name']} has no category and reaches nobody",
            UnreleasableFieldWarning,
            stacklevel=4,
        )
        category = UNRELEASABLE
    inward, outward = converters(document)
    return Field(
        name=document["name"],
        category=category,
        required=bool(document.get("required")),
        per_party=bool(document.get("per_party")),
        ref=document.get("ref"),
        codelist=document.get("codelist"),
        avro=document["type"],
        inward=inward,
        outward=outward,
    )


def _member_type(field: Field) -> Any:
    if not field.per_party:
        return field.avro
    kind = field.avro
    if isinstance(kind, list):
        kind = next(branch for branch in kind if branch != "null")
    return kind["values"] if kind["type"] == "map" else kind


def _parts(value: Any) -> Iterable[tuple[str, Any]]:
    """What each party is shown of a per-party value."""
    if isinstance(value, dict):
        return value.items()
    return ((party, [party]) for party in value)


def _is_map(avro: Any) -> bool:
    branches = avro if isinstance(avro, list) else [avro]
    return any(isinstance(one, dict) and one.get("type") == "map" for one in branches)


class Schemas:
    """All registered event schemas."""

    def __init__(self, documents: Iterable[Mapping[str, Any]]) -> None:
        self._by_type: dict[str, EventSchema] = {}
        self._by_id: dict[bytes, EventSchema] = {}
        for document in documents:
            self.register(document)

    @classmethod
    @lru_cache(maxsize=1)
    def load(cls) -> Schemas:
        """The schemas shipped in `schemas/case/`."""
        folder = resources.files("schemas").joinpath("case")
        names = sorted(one.name for one in folder.iterdir() if one.name.endswith(".avsc"))
        return cls(json.loads(folder.joinpath(name).read_text("utf-8")) for name in names)

    def register(self, document: Mapping[str, Any]) -> EventSchema:
        """Add a schema; a later version of a type becomes the current one."""
        schema = EventSchema(document)
        self._by_type[schema.type] = schema
        self._by_id[schema.schema_id] = schema
        return schema

    def by_type(self, event_type: str) -> EventSchema:
        """The current schema of a type. KeyError if there is none."""
        return self._by_type[event_type]

    def by_id(self, schema_id: bytes) -> EventSchema | None:
        return self._by_id.get(schema_id)

    def types(self) -> tuple[str, ...]:
        return tuple(sorted(self._by_type))
