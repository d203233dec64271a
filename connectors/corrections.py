"""Corrections: kept as they are told, for events that are held or may come later.

Which field is corrected and which value it has may be of two categories, and be delivered at
different times; a correction counts once both are known.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.holdings import Held
from connectors.sink import Addition, Correction
from connectors.tables.bulk import among
from connectors.tables.ledger_tables import LedgerTables
from schemas.registry import Schemas


@dataclass(frozen=True, slots=True)
class CorrectionPart:
    """What one delivery tells of a correction: which field, or which value, or both."""

    event_ref: str
    sequence: int
    category: str
    corrects: tuple[str, str] | None = None  # corrected event, field
    value: tuple[Any] | None = None


def correction_parts(addition: Addition) -> list[CorrectionPart]:
    """What an addition tells of a correction; nothing unless it is a RecordCorrected."""
    event = addition.event
    if event.event_type != "RecordCorrected":
        return []
    parts = []
    for category in addition.categories:
        told = event.fields[category]
        corrects, value = None, None
        if told.get("corrects_event") and told.get("field"):
            corrects = (str(told["corrects_event"]), str(told["field"]))
        if told.get("about_event") and told.get("about_field"):
            # Beside the value: known also to who is not shown the rest. No value clears the field.
            corrects = (str(told["about_event"]), str(told["about_field"]))
            value = (told.get("new_value"),)
        elif "new_value" in told:
            value = (told["new_value"],)
        if corrects or value:
            parts.append(CorrectionPart(event.event_ref, event.sequence, category, corrects, value))
    return parts


class Corrections:
    """Of one partner, in the ledger's table. Inside the caller's transaction."""

    def __init__(self, tables: LedgerTables) -> None:
        self._correction = tables.correction

    def keep(self, db: Connection, parts: Sequence[CorrectionPart]) -> dict[str, set[str]]:
        """Keep what was told; returns corrected event → categories for what is now complete."""
        c = self._correction.c
        complete: dict[str, set[str]] = {}
        for part in parts:
            mine = c.event_ref == part.event_ref
            known = db.execute(sa.select(c.told_in, c.category).where(mine)).one_or_none()
            values: dict[str, Any] = {}
            # What stands beside the value is told for as long as the value is held.
            beside = bool(known and known.told_in and known.told_in == known.category)
            if part.corrects is not None and (part.value is not None or not beside):
                values["told_in"] = part.category
                values["corrects_event"], values["field"] = part.corrects
            if part.value is not None:
                values["category"] = part.category
                values["value"] = json.dumps(part.value[0])
            if known is None:
                db.execute(
                    self._correction.insert().values(
                        event_ref=part.event_ref, sequence=part.sequence, **values
                    )
                )
            elif values:
                db.execute(self._correction.update().where(mine).values(**values))
            row = db.execute(sa.select(c.corrects_event, c.category, c.told_in).where(mine)).one()
            if row.corrects_event is not None:
                # Without a value it may be one that clears a field: see `told_of`.
                category = row.told_in if row.category is None else row.category
                complete.setdefault(row.corrects_event, set()).add(category)
        return complete

    def told_of(
        self, db: Connection, held: Mapping[str, Held], only: Mapping[str, set[str]]
    ) -> list[Correction]:
        """Corrections of these events' categories, in order. `only`: event_ref → categories.

        One that tells no value clears a field, if the field is of the category that would tell it;
        else the value is in another category, which this partner was not given.
        """
        c = self._correction.c
        found: list[Correction] = []
        for these in among(db, c.corrects_event, only):
            query = sa.select(self._correction).where(these, c.told_in.is_not(None))
            for row in db.execute(query):
                about = held.get(row.corrects_event)
                category = row.told_in if row.category is None else row.category
                if about is None or category not in only[row.corrects_event]:
                    continue
                if row.category is None and _category(about.event_type, row.field) != category:
                    continue
                found.append(
                    Correction(
                        row.corrects_event,
                        about.event_type,
                        row.field,
                        None if row.value is None else json.loads(row.value),
                        int(row.sequence),
                    )
                )
        return sorted(found, key=lambda one: one.sequence)

    def drop(
        self, db: Connection, event_ref: str, categories: Sequence[str]
    ) -> tuple[str, str, str] | None:
        """Forget what these categories of a correction told; returns (corrected event, category,
        field) if it was complete before and so may have changed that event."""
        c = self._correction.c
        mine = c.event_ref == event_ref
        row = db.execute(sa.select(self._correction).where(mine)).one_or_none()
        if row is None or not {row.told_in, row.category} & set(categories):
            return None
        values: dict[str, Any] = {}
        if row.told_in in categories:
            values.update(told_in=None, corrects_event=None, field=None)
        if row.category in categories:
            values.update(category=None, value=None)
        if len(values) == 5:
            db.execute(self._correction.delete().where(mine))
        else:
            db.execute(self._correction.update().where(mine).values(**values))
        if row.corrects_event is None or row.category is None:
            return None
        return row.corrects_event, row.category, row.field


def _category(event_type: str, name: str) -> str:
    """The category of a field of an event, by the newest schema that has it; "" if none does."""
    try:
        known = Schemas.load().versions(event_type)
    except KeyError:
        return ""
    fields = (one for schema in reversed(known) for one in schema.fields)
    found = (one.category for one in fields if one.name == name)
    return next(found, "")
