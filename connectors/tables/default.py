"""Default tables: one per event type, a timeline, and the state of each case.

    case_opened, referral_made, …   one row per event: its fields, and where it comes from
    nrm_timeline                    one row per event of any type, in order of sequence
    nrm_case                        one row per case: status, last event

Made on first use, so a partner sees data without configuring anything. A later schema of a type
adds its columns. Every row says where it comes from: event_ref, case_ref, subject_ref, agency,
occurred_at, received_at, sequence, categories held and their bases.

Promises: an event is one row however many deliveries it came in; a category fills its own columns
and touches no other; a recalled category leaves NULL, the last one takes the row with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.database.ddl import ensure
from connectors.errors import SinkRefusedError
from connectors.holdings import Held
from connectors.landing import Database
from connectors.sink import Addition, Correction, Removal
from connectors.tables.bulk import insert_columns
from connectors.tables.columns import JSON
from connectors.tables.layout import Layout, extended, table_name
from connectors.tables.timeline import Timeline, shown_by
from schemas.registry import EventSchema, Schemas


class DefaultTables:
    """Projection into default tables. `types`: only these event types; None for all."""

    def __init__(
        self,
        database: Database,
        metadata: sa.MetaData,
        schemas: Schemas,
        *,
        leave_out: Iterable[str] = (),
    ) -> None:
        """leave_out: event types that have no table of their own (they are mapped elsewhere)."""
        self._database = database
        self._schemas = schemas
        self._db_schema = metadata.schema
        self._leave_out = frozenset(leave_out)
        self._layouts: dict[str, Layout] = {}
        self._whole: dict[tuple[str, int], Layout] = {}
        self._there: dict[str, frozenset[str]] = {}  # table → columns it had when looked at last
        self._ready: set[tuple[str, bytes]] = set()
        self.entries = Timeline(metadata)
        self.timeline, self.case = self.entries.timeline, self.entries.case

    # -- making tables ---------------------------------------------------------------------

    def ready(self, schemas: Iterable[tuple[str, bytes]]) -> None:
        for event_type, schema_id in sorted(set(schemas) - self._ready):
            if event_type not in self._leave_out:
                known = self._schemas.by_id(schema_id)
                assert known is not None  # it was opened with this schema
                with self._database.writing() as db:
                    self._make(db, event_type, known)
            self._ready.add((event_type, schema_id))

    def _make(self, db: Connection, event_type: str, schema: EventSchema) -> None:
        ensure(db, [self._extend(event_type, schema).table])

    def _layout(self, event_type: str) -> Layout:
        known = self._layouts.get(event_type)
        return known or self._extend(event_type, self._schemas.by_type(event_type))

    def _extend(self, event_type: str, schema: EventSchema) -> Layout:
        """The layout with this schema's fields added to those known before."""
        known = self._layouts.get(event_type)
        layout = self._layouts[event_type] = extended(known, schema, self._db_schema)
        return layout

    def has(self, event_type: str) -> bool:
        """Whether this event type has a default table here."""
        return event_type not in self._leave_out

    def kinds(self) -> list[str]:
        """Event types that have a default table here."""
        return [kind for kind in self._schemas.types() if self.has(kind)]

    def whole_layout(self, event_type: str) -> Layout:
        """The layout with the fields of every version of the type."""
        for schema in self._schemas.versions(event_type):
            self._extend(event_type, schema)
        return self._layouts[event_type]

    def _stored(self, db: Connection, event_type: str) -> Layout | None:
        """The layout with the fields of every version, as far as the table has their columns.

        What is recalled may have come under an older version, and before the first delivery of a
        newer one there are no columns for that. None if there is no table.
        """
        versions = self._schemas.versions(event_type)
        layout = self._whole.get((event_type, len(versions)))
        if layout is None:
            for schema in versions:
                layout = extended(layout, schema, self._db_schema)
            assert layout is not None
            self._whole[event_type, len(versions)] = layout
        name = layout.table.name
        there = self._there.get(name, frozenset())
        if not there.issuperset(layout.blank):
            inspector = sa.inspect(db)
            if not inspector.has_table(name, schema=self._db_schema):
                return None
            columns = inspector.get_columns(name, schema=self._db_schema)
            there = self._there[name] = frozenset(one["name"] for one in columns)
        if there.issuperset(layout.blank):
            return layout
        columns_there = {
            field: [target for target in several if target.column in there]
            for field, several in layout.columns.items()
        }
        return replace(layout, columns=columns_there)

    # -- adding ----------------------------------------------------------------------------

    def add(self, db: Connection, additions: Sequence[Addition]) -> None:
        new: dict[str, Addition] = {}
        fills: list[Addition] = []
        for addition in additions:
            ref = addition.event.event_ref
            if addition.before or ref in new:
                fills.append(addition)
            else:
                new[ref] = addition
        by_type: dict[str, dict[tuple[str, ...], list[Addition]]] = {}
        for addition in new.values():
            alike = by_type.setdefault(addition.event.event_type, {})
            alike.setdefault(addition.categories, []).append(addition)
        for event_type, groups in by_type.items():
            if event_type not in self._leave_out:
                layout = self._layout(event_type)
                insert_columns(db, layout.table, layout.columns_of_new(groups))
        if new:
            self.entries.enter(db, list(new.values()))
        if fills:
            self._fill(db, fills)
            self.entries.fill(db, fills)

    def _fill(self, db: Connection, fills: Sequence[Addition]) -> None:
        """Further categories of events already there: their columns and nothing else."""
        alike: dict[tuple[str, ...], tuple[sa.Table, list[dict[str, Any]]]] = {}
        for addition in fills:
            layout = self._layout(addition.event.event_type)
            row: dict[str, Any] = {
                "sequence": addition.event.sequence,
                "bases": addition.bases,
                "categories": sorted(addition.bases),
            }
            for category in addition.categories:
                row |= layout.values(addition, category)
            key = (addition.event.event_type, *sorted(row))
            rows = alike.setdefault(key, (layout.table, []))[1]
            rows.append({"_ref": addition.event.event_ref, **{f"_{k}": row[k] for k in row}})
        for (event_type, *names), (table, rows) in alike.items():
            if event_type not in self._leave_out:
                db.execute(
                    table.update()
                    .where(table.c.event_ref == sa.bindparam("_ref"))
                    .values(
                        {name: sa.bindparam(f"_{name}", type_=table.c[name].type) for name in names}
                    ),
                    rows,
                )

    # -- removing and correcting -----------------------------------------------------------

    def read(self, db: Connection, removal: Removal) -> Mapping[str, Mapping[str, Any]]:
        if removal.event_type in self._leave_out:
            return {}
        layout = self._stored(db, removal.event_type)
        if layout is None:
            return {}
        chosen = [layout.table.c[t.column] for several in layout.columns.values() for t in several]
        query = sa.select(*chosen).where(layout.table.c.event_ref == removal.event_ref)
        row = db.execute(query).mappings().one_or_none()
        if row is None:
            return {}
        return {
            category: {
                t.column: row[t.column]
                for parts in layout.columns_of([category], removal.left).values()
                for t in parts
            }
            for category in removal.categories
        }

    def standing(self, db: Connection, refs: set[str]) -> dict[str, Held]:
        """The same of events that no book tells of, by their own rows, whichever table that is."""
        found: dict[str, Held] = {}
        there = set(sa.inspect(db).get_table_names(schema=self._db_schema)) if refs else set()
        for kind in self.kinds():
            if table_name(kind) in there:
                row = sa.table(
                    table_name(kind),
                    sa.column("event_ref"),
                    sa.column("case_ref"),
                    sa.column("categories", JSON),
                    sa.column("sequence"),
                    schema=self._db_schema,
                ).c
                columns = (row.event_ref, row.case_ref, row.categories, row.sequence)
                found |= shown_by(db, refs, (*columns, sa.literal(kind)))
        return found

    def remove(self, db: Connection, removal: Removal) -> None:
        self.entries.remove(db, removal)
        if removal.event_type in self._leave_out:
            return
        layout = self._stored(db, removal.event_type)
        if layout is None:
            return
        row = layout.table.c.event_ref == removal.event_ref
        if not removal.left:
            db.execute(layout.table.delete().where(row))
            return
        gone = {
            t.column: None
            for parts in layout.columns_of(removal.categories, removal.left).values()
            for t in parts
        }
        db.execute(
            layout.table.update()
            .where(row)
            .values({**gone, "categories": sorted(removal.left), "bases": dict(removal.left)})
        )

    def correct(self, db: Connection, correction: Correction) -> None:
        if correction.event_type in self._leave_out:
            return
        layout = self._stored(db, correction.event_type)
        if layout is None:
            return
        row: dict[str, Any] = {}
        for target in layout.columns.get(correction.field, ()):
            try:
                value = correction.value
                row[target.column] = None if value is None else target.take(value)
            except (ValueError, TypeError, KeyError):
                raise SinkRefusedError(
                    "value_unsuitable",
                    f"the corrected value does not fit {correction.event_type}.{correction.field}",
                    correction.sequence or None,
                ) from None
        if row:
            db.execute(
                layout.table.update()
                .where(layout.table.c.event_ref == correction.event_ref)
                .values(row)
            )
