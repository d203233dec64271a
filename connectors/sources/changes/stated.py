"""One row against what was last stated of it: stated, corrected field by field, or gone.

What is to be said goes into the outbox, what was said is kept by digest: a row that says the same
states nothing, and one whose last event is not answered yet is looked at again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.source import SCHEMA_REASONS, Fault
from connectors.sources.captured import BOX, Found, write
from connectors.sources.changes.books import Books, Kept
from connectors.sources.changes.mapping import ChangesMapping, EventMap
from connectors.sources.changes.reading import cells, moment, read_row, wanted
from connectors.sources.changes.tables import CASE, case_text, key_text, key_values
from schemas.compartments import SchemaError


class StatedRows:
    """Rows of the agency's tables, each beside what was stated of it.

    unread: how many could not be stated so far.
    """

    def __init__(self, mapping: ChangesMapping, books: Books) -> None:
        self._mapping = mapping
        self._books = books
        self.unread = 0

    def row(
        self,
        db: Connection,
        one: EventMap,
        row: Mapping[str, Any],
        sweep: int,
        at: datetime | None = None,
    ) -> int:
        """How many rows it put into the outbox. at: when it was touched, if that is known."""
        key = [row[name] for name in one.key]
        pk = key_text(key)
        kept = self._books.row(db, one.label, pk)
        if kept is not None and kept.seen < sweep:
            self._books.met(db, one.label, pk, sweep)
            kept = replace(kept, seen=sweep)
        case = case_text(row[CASE])
        if one.on == "delete":
            if None not in key and (kept is None or kept.state == "gone" or kept.case != case):
                version = kept.version + 1 if kept is not None else 0
                watched = Kept(pk, case, "present", version=version, seen=sweep)
                self._books.keep(db, one.label, watched)
            return 0
        if not wanted(one, row):
            return 0
        read: Mapping[str, Any] | Fault
        if None in key:  # all such rows are one: none can be told from another, or found again
            read = Fault("missing_column", one.key[key.index(None)], "give each row its key")
            digest = self._books.digest(read.field)
        else:
            read = read_row(self._mapping, one, row, case)
            said = cells(one, row) if isinstance(read, Fault) else read
            digest = self._books.digest(case, said)
        if kept is not None and kept.digest == digest and kept.state != "gone":
            return 0
        if kept is not None and kept.state == "pending":
            self._books.keep(db, one.label, replace(kept, again=True))
            return 0
        version = kept.version + 1 if kept is not None else 0
        found = self._found(one, row, case, pk, version, at)
        stands = kept is not None and kept.state == "published"
        self._drop_refused(db, one, pk, () if stands and one.on == "first" else None)
        if isinstance(read, Fault):
            self._write(db, replace(found, fault=read))
            faulty = kept if kept is not None and stands else Kept(pk, case, "refused", seen=sweep)
            self._books.keep(db, one.label, replace(faulty, digest=digest, version=version))
            return 1
        fields = {name: self._books.digest(name, value) for name, value in read.items()}
        if kept is not None and stands and one.on == "first":
            changed_at = moment(self._mapping, row, one.changed) or at
            written = self._corrected(db, one, kept, found, read, fields, changed_at)
            changed = replace(kept, digest=digest, fields=fields, version=version)
            self._books.keep(db, one.label, changed)
            return written
        self._write(db, replace(found, data=read))
        self._books.keep(
            db,
            one.label,
            Kept(pk, case, "pending", digest, fields, found.key, None, version, sweep),
        )
        return 1

    def _corrected(
        self,
        db: Connection,
        one: EventMap,
        kept: Kept,
        found: Found,
        data: Mapping[str, Any],
        fields: Mapping[str, str],
        changed_at: datetime | None,
    ) -> int:
        """A correction for each field that says something else now. changed_at: when it changed."""
        if kept.case != found.case:
            fix = "state by hand what is true of either case; then correct the row or its mapping"
            self._write(db, replace(found, case=kept.case, fault=Fault("case_changed", "", fix)))
            return 1
        changed = sorted(
            name
            for name in fields.keys() | kept.fields.keys()
            if fields.get(name) != kept.fields.get(name)
        )
        self._drop_refused(db, one, kept.pk, changed)
        for name in changed:
            value = data.get(name)
            correction = replace(
                found,
                key=self._books.digest(found.key, name),
                origin_field=name,
                type="RecordCorrected",
                corrects_type=one.event,
                occurred_at=changed_at,
                data={"corrects_event": kept.hub_event, "field": name}
                | ({"new_value": value} if value is not None else {}),
            )
            try:
                self._mapping.schema(one).correction(name, value)
            except SchemaError as wrong:
                fault = Fault(wrong.reason, name, SCHEMA_REASONS.get(wrong.reason, ""))
                correction = replace(correction, data=None, fault=fault)
            self._write(db, correction)
        return len(changed)

    def gone(self, db: Connection, one: EventMap, kept: Kept, at: datetime | None = None) -> int:
        """The same of a row that is there no more."""
        self._drop_refused(db, one, kept.pk, None)
        key = dict(zip(one.key, key_values(kept.pk), strict=True))
        self._books.keep(db, one.label, replace(kept, state="gone", digest=""))
        if one.on != "delete":
            return 0
        read = read_row(self._mapping, one, {**key, CASE: kept.case}, kept.case)
        found = self._found(one, key, kept.case, kept.pk, kept.version, at)
        stated = {"fault": read} if isinstance(read, Fault) else {"data": read}
        self._write(db, replace(found, **stated))
        return 1

    def _write(self, db: Connection, found: Found) -> None:
        self.unread += found.fault is not None
        write(db, found)

    def _found(
        self,
        one: EventMap,
        row: Mapping[str, Any],
        case: str,
        pk: str,
        version: int,
        at: datetime | None,
    ) -> Found:
        """The row as one to be sent, but for what it says."""
        return Found(
            key=self._books.digest(one.label, pk, version),
            place=_place(one, pk, self._books),
            origin=one.label,
            origin_key=pk,
            type=one.event,
            case=case,
            subject=str(row[one.subject]) if one.subject and row.get(one.subject) else None,
            occurred_at=moment(self._mapping, row, one.at or one.changed) or at,
        )

    @staticmethod
    def _drop_refused(
        db: Connection, one: EventMap, pk: str, corrections: Sequence[str] | None
    ) -> None:
        """What was refused of this row says nothing any more: it has changed, or is gone.

        corrections: only that the row could not be read, and corrections of these fields."""
        this = (BOX.c.origin == one.label) & (BOX.c.origin_key == pk)
        if corrections is not None:
            this &= BOX.c.origin_field.in_(["", *corrections])
        db.execute(sa.delete(BOX).where(this & (BOX.c.status == "refused")))


def _place(one: EventMap, pk: str, books: Books) -> str:
    """Where people find the row: by its number; a key that is text may be about a person."""
    key = json.loads(pk)
    if all(isinstance(value, int) for value in key):
        return f"{one.table} {' '.join(map(str, key))}"
    return f"{one.table} ~{books.digest(pk)[:8]}"
