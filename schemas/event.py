"""An event schema, and an event's way into its compartments and back.

`split` is what an agency signs; `join` is what the hub and recipients read of it, and takes only
what `split` makes. The compartments are derived in `schemas/compartments.py`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any, Final

from schemas.avro import AvroError, Codec
from schemas.compartments import (
    CATEGORY,
    INHERIT,
    Compartment,
    Field,
    SchemaError,
    derive,
    parts,
    read_field,
)
from schemas.routing import ROUTING, ROUTING_NAME, Routing, check_routing, encode_routing
from schemas.texts import ValueProblem, code

_ADDRESSED: Final = ("to_agency", "guardian_agency")


def canonical_text(document: Any) -> bytes:
    """The bytes a schema's identity is the SHA-256 of: RFC 8785 JSON of all of it.

    All: categories, required fields, descriptions. What was signed was signed under this text.
    """
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


class EventSchema:
    """One version of one event type's schema."""

    def __init__(self, document: Mapping[str, Any], *, known_good: bool = False) -> None:
        """AvroError if it is none that can be used; of one known to be good that is not tried
        now: its records are derived when one of its events comes."""
        self.document = document
        self.type: str = document["name"]
        self.doc: str = document.get("doc", "")
        self.group: str = document["group"]
        self.emitters: frozenset[str] = frozenset(document["emitters"])
        self.schema_id = hashlib.sha256(canonical_text(document)).digest()
        try:
            self.fields = tuple(read_field(one) for one in document["fields"])
        except ValueProblem as problem:
            raise AvroError(f"{self.type}: not a usable schema: {problem}") from None
        self._by_name = {field.name: field for field in self.fields}
        self.categories = tuple(sorted({f.category for f in self.fields} - {INHERIT}))
        self._required = tuple(f.name for f in self.fields if f.required)
        self._own = frozenset(self.categories)
        if not known_good:
            _ = self._compartments

    def __getitem__(self, name: str) -> Field:
        return self._by_name[name]

    def field(self, name: str) -> Field | None:
        return self._by_name.get(name)

    def compartments(self, name: str) -> Codec:
        """The codec of a compartment. AvroError if the type has no such compartment."""
        return ROUTING if name == ROUTING_NAME else self._compartment(name)[0].codec

    def _compartment(self, name: str) -> tuple[Compartment, str]:
        """The derived record behind a compartment's name, and the party it names, or ""."""
        known = self._compartments.get(name)
        if known is not None and name in self._own:
            return known, ""
        category, slash, party = name.partition("/")
        if slash:
            known = self._compartments.get(f"{category}/")
            if known is not None and _is_party(party):
                return known, party
        elif (
            INHERIT in self._compartments
            and CATEGORY.fullmatch(name)
            and name not in (INHERIT, ROUTING_NAME)
        ):
            return self._compartments[INHERIT], ""
        raise AvroError(f"{self.type} has no such compartment")

    @cached_property
    def _compartments(self) -> dict[str, Compartment]:
        return derive(self.document, self.fields)

    @cached_property
    def _plain(self) -> dict[str, Compartment]:
        """The compartments that tell every field of their category, and of no other."""
        if any(field.copies or field.category == INHERIT for field in self.fields):
            return {}
        shown = {field.category for field in self.fields if field.per_party}
        return {name: self._compartments[name] for name in self.categories if name not in shown}

    def addressed(self, data: Mapping[str, Any]) -> str | None:
        """The agency an event is addressed to, for its routing."""
        return next((data[name] for name in _ADDRESSED if data.get(name)), None)

    def correction(self, name: str, value: Any) -> str:
        """The category a correction of this field to this value goes to.

        SchemaError if it cannot be said, or the field cannot have that value.
        """
        field = self._by_name.get(name)
        if field is None:
            raise SchemaError("unknown_field", str(name)[:64])
        if not field.correctable or isinstance(value, Mapping):
            raise SchemaError("not_correctable", name)
        if value is not None:
            self._converted(field, value)
        elif field.required:
            raise SchemaError("missing_field", name)
        return field.category

    # -- JSON to compartments ---------------------------------------------------------------

    def split(
        self,
        data: Mapping[str, Any],
        *,
        routing: Routing,
        corrected_category: str | None = None,
    ) -> dict[str, bytes]:
        """Compartment bodies by name. Raises SchemaError(reason, field).

        A compartment exists if the event says something in it. Of a per-party field each party
        has a compartment, beside that of the category's other fields, which then always exists.
        So does that of a correction's corrected category, also if the value is cleared.
        """
        if not data.keys() <= self._by_name.keys():
            unknown = next(name for name in data if name not in self._by_name)
            raise SchemaError("unknown_field", str(unknown)[:64])
        said: dict[str, dict[str, Any]] = {}
        for field in self.fields:
            value = data.get(field.name)
            if field.copies:
                if value not in (None, data.get(field.copies)):
                    raise SchemaError("copy_differs", field.name)
                value = data.get(field.copies) if corrected_category else None
            if value is None:
                if field.required:
                    raise SchemaError("missing_field", field.name)
                if field.category == INHERIT and corrected_category is not None:
                    # That a value is cleared is told to those who were told the value.
                    said.setdefault(self._inherited(field, corrected_category), {})
                continue
            converted = self._converted(field, value)
            category = field.category
            if category == INHERIT:
                category = self._inherited(field, corrected_category)
            if field.per_party:
                said.setdefault(category, {})
                for party, part in parts(converted):
                    said.setdefault(f"{category}/{party}", {})[field.name] = part
            else:
                said.setdefault(category, {})[field.name] = converted
        bodies = {name: self._encoded(name, values) for name, values in said.items()}
        bodies[ROUTING_NAME] = encode_routing(routing)
        return bodies

    def _converted(self, field: Field, value: Any) -> Any:
        try:
            return field.values.inward(value)
        except ValueProblem as problem:
            raise SchemaError(str(problem), field.name) from None

    def _inherited(self, field: Field, category: str | None) -> str:
        if category is None:
            raise SchemaError("missing_category", field.name)
        if not CATEGORY.fullmatch(category) or category in (INHERIT, ROUTING_NAME):
            raise SchemaError("not_correctable", field.name)
        return category

    def _encoded(self, name: str, values: Mapping[str, Any]) -> bytes:
        try:
            return self._compartment(name)[0].encode(values)
        except AvroError:
            raise SchemaError("does_not_fit", name.partition("/")[0]) from None

    # -- compartments to JSON ---------------------------------------------------------------

    def plain(self, bodies: Mapping[str, bytes]) -> dict[str, dict[str, Any]] | None:
        """By category every field as JSON, None where it is empty, of bodies that were read
        strictly before; None if only `join` can tell. AvroError if one does not decode."""
        if not bodies.keys() <= self._plain.keys():
            return None
        return {name: self._plain[name].told(bodies[name]) for name in sorted(bodies)}

    def join(
        self, bodies: Mapping[str, bytes], *, trusted: bool = False, whole: bool = False
    ) -> dict[str, Any]:
        """The fields found in these compartments, as JSON values; absent ones are left out.

        A field that copies another is given only where that other is not among them.

        Raises AvroError for an unknown compartment, for bytes that are not proper, and for values
        no agency may send (a SchemaError). `whole`: these are all compartments of the event, so
        that the routing and every required field must be among them.
        """
        data: dict[str, Any] = {}
        for name in sorted(bodies):
            if name == ROUTING_NAME:
                continue
            kind, party = self._compartment(name)
            record = kind.codec.decode(bodies[name], trusted=trusted)
            if not trusted:
                self._verify(kind, name, party, record)
            for field in kind.members:
                value = record[field.name]
                if value is None:
                    continue
                shown = field.values.outward({party: value} if party and field.is_map else value)
                if not party:
                    data[field.name] = shown
                elif field.is_map:
                    data.setdefault(field.name, {}).update(shown)
                else:
                    data.setdefault(field.name, []).extend(shown)
        for field in self.fields:  # a per-party field that names nobody
            if field.per_party and field.required and field.category in bodies:
                data.setdefault(field.name, {} if field.is_map else [])
        self._drop_copies(data)
        if whole:
            self._complete(data, bodies)
        return data

    def _drop_copies(self, data: dict[str, Any]) -> None:
        """Who reads a field needs no copy of it; a copy that says something else is refused."""
        for field in self.fields:
            if field.copies in data and field.name in data:
                copy = data.pop(field.name)
                if copy != data[field.copies]:
                    raise SchemaError("copy_differs", field.name)

    def _verify(self, kind: Compartment, name: str, party: str, record: Mapping[str, Any]) -> None:
        """Only what `split` makes: SchemaError for anything else."""
        empty = True
        for field in kind.members:
            value = record[field.name]
            if value is None:
                if field.required:
                    raise SchemaError("missing_field", field.name)
                continue
            empty = False
            if party and field.is_map:
                value = {party: value}
            elif party and value != [party]:
                raise SchemaError("another_party", field.name)
            try:
                field.values.verify(value)
            except ValueProblem as problem:
                raise SchemaError(str(problem), field.name) from None
        inherits = INHERIT in self._compartments and name not in self._own
        if empty and (party or not (inherits or f"{name}/" in self._compartments)):
            raise SchemaError("empty_compartment", name.partition("/")[0])

    def _complete(self, data: Mapping[str, Any], bodies: Mapping[str, bytes]) -> None:
        if ROUTING_NAME not in bodies:
            raise SchemaError("missing_compartment", ROUTING_NAME)
        self.routing(bodies)
        for name in self._required:
            if name not in data:
                raise SchemaError("missing_field", name)
        for name in bodies:
            category, slash, _ = name.partition("/")
            if slash and category not in bodies:
                raise SchemaError("missing_compartment", category)
        if INHERIT in self._compartments:
            inherited = [name for name in bodies if name not in self._own | {ROUTING_NAME}]
            if len(inherited) > 1:
                raise SchemaError("several_categories", inherited[0])

    def routing(self, bodies: Mapping[str, bytes], *, trusted: bool = False) -> Routing:
        """Who is concerned. KeyError without a routing compartment."""
        record = ROUTING.decode(bodies[ROUTING_NAME], trusted=trusted)
        routing = Routing(record["case"], record["subject"], record["addressed"])
        if not trusted:
            check_routing(routing)
        return routing


def _is_party(text: str) -> bool:
    try:
        code(text)
    except ValueProblem:
        return False
    return True
