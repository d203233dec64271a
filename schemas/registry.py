"""The registry: every event schema, the current one of each type and all published before.

From one Avro record per event type, each field carrying a `category`, one record per category is
derived (`schemas/compartments.py`). An agency encodes each derived record apart; whoever is
released a category gets that record and nothing of the others. `docs/formats.md` is precise.

A field without a category goes to compartment `unreleasable`, which no rule releases; one whose
category no rule knows reaches nobody either. Registering such a schema warns.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib import resources
from typing import Any

from schemas import codelists
from schemas.compartments import INHERIT, UNRELEASABLE, Field, SchemaError
from schemas.event import EventSchema, canonical_text
from schemas.routing import ROUTING, ROUTING_NAME, Routing

__all__ = [
    "INHERIT",
    "ROUTING",
    "ROUTING_NAME",
    "UNRELEASABLE",
    "EventSchema",
    "Field",
    "Routing",
    "SchemaError",
    "Schemas",
    "UnreleasableFieldWarning",
    "canonical_text",
    "shipped",
]


class UnreleasableFieldWarning(UserWarning):
    """A field has no category, or one that no rule knows: it is recorded and reaches nobody."""


class Schemas:
    """All registered event schemas: the current one of each type, and any ever published by id."""

    def __init__(self, documents: Iterable[Mapping[str, Any]], *, known_good: bool = False) -> None:
        """known_good: they are not tried now (EventSchema)."""
        self._by_type: dict[str, EventSchema] = {}
        self._by_id: dict[bytes, EventSchema] = {}
        self._versions: dict[str, list[EventSchema]] = {}
        for document in documents:
            self._add(EventSchema(document, known_good=known_good))

    @classmethod
    @lru_cache(maxsize=1)
    def load(cls) -> Schemas:
        """The schemas shipped: `schemas/history/`, oldest first, then `schemas/case/`."""
        return cls(shipped(), known_good=True)

    def register(self, document: Mapping[str, Any]) -> EventSchema:
        """Add a schema; a later version of a type becomes the current one."""
        return self._add(EventSchema(document))

    def _add(self, schema: EventSchema) -> EventSchema:
        known = codelists.load("nrm.category").labels
        for field in schema.fields:
            if field.category not in known and field.category != INHERIT:
                warnings.warn(
                    f"{schema.type}.{field.name}: category {field.category} reaches nobody",
                    UnreleasableFieldWarning,
                    stacklevel=3,
                )
        self._by_type[schema.type] = schema
        self._by_id[schema.schema_id] = schema
        self._versions.setdefault(schema.type, []).append(schema)
        return schema

    def by_type(self, event_type: str) -> EventSchema:
        """The current schema of a type. KeyError if there is none."""
        return self._by_type[event_type]

    def by_id(self, schema_id: bytes) -> EventSchema | None:
        return self._by_id.get(schema_id)

    def versions(self, event_type: str) -> tuple[EventSchema, ...]:
        """All versions of a type, the current one last. KeyError if there is none."""
        return tuple(self._versions[event_type])

    def types(self) -> tuple[str, ...]:
        return tuple(sorted(self._by_type))


def shipped() -> Iterator[dict[str, Any]]:
    """The documents of all shipped schemas, earlier versions of a type before later ones."""
    root = resources.files("schemas")
    history = root.joinpath("history")
    if history.is_dir():
        for kind in sorted(history.iterdir(), key=lambda one: one.name):
            if kind.is_dir():
                versions = [one for one in kind.iterdir() if one.name.endswith(".avsc")]
                for one in sorted(versions, key=lambda one: int(one.name[:-5])):
                    yield json.loads(one.read_text("utf-8"))
    for one in sorted(root.joinpath("case").iterdir(), key=lambda one: one.name):
        if one.name.endswith(".avsc"):
            yield json.loads(one.read_text("utf-8"))
