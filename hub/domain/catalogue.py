"""What the event schemas say about a type: its group, who may emit it, a field's category.

Read from the schemas and nowhere else; a type or field that is not there has no group and no
category, so that nothing of it is released.
"""

from __future__ import annotations

from functools import lru_cache

from schemas.registry import EventSchema, Schemas

CONSENT_GROUP = "consent"


@lru_cache(maxsize=1024)
def _schema(event_type: str) -> EventSchema | None:
    try:
        return Schemas.load().by_type(event_type)
    except KeyError:
        return None


@lru_cache(maxsize=1024)
def group_of(event_type: str) -> str:
    """The event group the gates name; empty for an unknown type."""
    schema = _schema(event_type)
    return "" if schema is None else schema.group


@lru_cache(maxsize=1024)
def emitters_of(event_type: str) -> frozenset[str]:
    schema = _schema(event_type)
    return frozenset() if schema is None else schema.emitters


@lru_cache(maxsize=4096)
def field_category(event_type: str, field: str) -> str | None:
    """Category of a field, or None if the type has no such field."""
    schema = _schema(event_type)
    if schema is None:
        return None
    for known in schema.fields:
        if known.name == field:
            return known.category
    return None
