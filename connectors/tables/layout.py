"""Layout: the default table of one event type, made of its schemas.

A column per field, or several of one that holds several values; before them where the row comes
from. A later schema of the type adds its columns. A category fills its own columns and no other.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from types import NoneType
from typing import Any, Final

import sqlalchemy as sa

from connectors.errors import SinkRefusedError
from connectors.sink import Addition
from connectors.tables.columns import JSON, READY, Instant, Take, Target, targets
from connectors.tables.ledger_tables import TABLE
from schemas.registry import EventSchema

PROVENANCE: Final = (
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
_INHERIT: Final = "inherit"


def table_name(event_type: str) -> str:
    """CaseOpened → case_opened."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", event_type).lower()


@dataclass(frozen=True)
class Layout:
    """The table of one event type, as far as its schemas are known here."""

    table: sa.Table
    columns: Mapping[str, Sequence[Target]]  # field → its columns
    category: Mapping[str, str]  # field → its category, or "inherit"
    blank: Mapping[str, None]  # every column of a field
    plan: Mapping[str, Sequence[tuple[str, type | None, Take]]]
    """field → its columns: name, type of the values that are taken as they are, how others are"""

    def values(self, addition: Addition, category: str) -> dict[str, Any]:
        """Column values of one delivered category. SinkRefusedError if one does not fit."""
        columns = self._taken([addition], category)
        return {column: values[0] for column, values in columns.items()}

    def columns_of_new(
        self, groups: Mapping[tuple[str, ...], Sequence[Addition]]
    ) -> dict[str, list[Any]]:
        """Rows of events that are new here, by column. groups: by the categories they come with.

        SinkRefusedError if a value does not fit.
        """
        columns: dict[str, list[Any]] = {name: [] for name in (*PROVENANCE, *self.blank)}
        for categories, group in groups.items():
            for name, values in provenance(group).items():
                columns[name] += values
            columns["bases"] += [addition.bases for addition in group]
            taken: dict[str, list[Any]] = {}
            for category in categories:
                taken |= self._taken(group, category)
            nothing = [None] * len(group)
            for name in self.blank:
                columns[name] += taken.get(name, nothing)
        return columns

    def _taken(self, group: Sequence[Addition], category: str) -> dict[str, list[Any]]:
        """Column → values of a category that all of these come with. SinkRefusedError as above."""
        taken: dict[str, list[Any]] = {}
        parts = [addition.event.fields[category] for addition in group]
        for name, told in _transposed(parts).items():
            for column, ready, take in self.plan.get(name, ()):  # none of one that copies another
                if {*map(type, told)} <= {ready, NoneType}:
                    taken[column] = told
                    continue
                values = taken[column] = []
                try:
                    for value in told:
                        as_is = value is None or type(value) is ready
                        values.append(value if as_is else take(value))
                except (ValueError, TypeError, KeyError):
                    event = group[len(values)].event
                    raise SinkRefusedError(
                        "value_unsuitable",
                        f"{event.event_type}.{name} does not fit its column",
                        event.sequence,
                    ) from None
        return taken

    def columns_of(
        self, categories: Iterable[str], left: Iterable[str]
    ) -> dict[str, Sequence[Target]]:
        """field → columns that go when these categories go and `left` stay."""
        gone = set(categories)
        declared = set(self.category.values())
        # The inherited field is in the one category the type does not declare, or in none such.
        inherited_stays = any(category not in declared for category in left)
        return {
            name: self.columns[name]
            for name, category in self.category.items()
            if category in gone
            or (category == _INHERIT and (gone - declared or not inherited_stays))
        }


def provenance(group: Sequence[Addition]) -> dict[str, list[Any]]:
    """Where new rows come from, by column: an event's own row and the timeline's share it."""
    events = [addition.event for addition in group]
    return {
        "event_ref": [event.event_ref for event in events],
        "case_ref": [event.case_ref for event in events],
        "subject_ref": [event.subject_ref for event in events],
        "agency": [event.agency for event in events],
        "occurred_at": [event.occurred_at for event in events],
        "received_at": [addition.received_at for addition in group],
        "sequence": [event.sequence for event in events],
        "categories": [sorted(addition.categories) for addition in group],
    }


def _transposed(parts: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Field → its values, of one category of several events; None where one has no such field."""
    names = list(parts[0])
    if len(names) > 1 and {*map(len, parts)} == {len(names)}:
        with contextlib.suppress(KeyError):
            rows = map(itemgetter(*names), parts)
            return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))
    names = sorted({name for part in parts for name in part})
    return {name: [part.get(name) for part in parts] for name in names}


def extended(known: Layout | None, schema: EventSchema, db_schema: str | None = None) -> Layout:
    """The table of an event type with this schema's fields added to those known before."""
    columns = dict(known.columns) if known else {}
    category = dict(known.category) if known else {}
    for field in schema.fields:
        if field.copies:
            continue
        name = f"{field.name}_stated" if field.name in PROVENANCE else field.name
        columns.setdefault(field.name, targets(name, field.avro))
        category.setdefault(field.name, field.category or "")
    ref = sa.String(100)
    table = sa.Table(
        table_name(schema.type),
        sa.MetaData(schema=db_schema),
        sa.Column("event_ref", ref, primary_key=True),
        sa.Column("case_ref", ref, nullable=False, index=True),
        sa.Column("subject_ref", ref, nullable=False, index=True),
        sa.Column("agency", ref),
        sa.Column("occurred_at", Instant, nullable=False),
        sa.Column("received_at", Instant, nullable=False),
        sa.Column("sequence", sa.BigInteger, nullable=False),
        sa.Column("categories", JSON, nullable=False),
        sa.Column("bases", JSON, nullable=False),
        *(sa.Column(t.column, t.type) for parts in columns.values() for t in parts),
        **TABLE,
    )
    parts = [target for several in columns.values() for target in several]
    plan = {
        name: [(t.column, READY.get(t.take), t.take) for t in several]
        for name, several in columns.items()
    }
    return Layout(table, columns, category, {t.column: None for t in parts}, plan)
