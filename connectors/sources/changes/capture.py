"""The changes source: rows of an agency's existing tables become events, by a mapping file.

    new row                 → its event
    changed row             → corrections of that event, field by field, or the event again
    row that is gone        → the event of a map that waits for it

Which rows to look at is told by a column that grows (`changed`), or by PostgreSQL's log, where a
slot is named (`slot/log.py`).

Promises
- What was last stated of a row is known by digest: a row that says the same states nothing.
- Watermark or log make it quick, the sweep makes it complete. Reading starts some time before the
  highest change seen (`overlap`), for rows that commit late or share a time; and every so often all
  rows are looked at, which also finds what changed without its `changed` and what is gone. The log
  tells both at once; the sweep is for rows that were there before the slot.
- One row's events are stated one after the other: a change waits until what went before is
  answered. A refused row that is changed is stated anew in its new form.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.database.check import encryption
from connectors.findings import Finding
from connectors.source import RowOutcome
from connectors.sources.captured import BOX
from connectors.sources.changes.books import Books
from connectors.sources.changes.check import table_findings
from connectors.sources.changes.mapping import ChangesMapping
from connectors.sources.changes.stated import StatedRows
from connectors.sources.changes.tables import (
    MappedTable,
    earlier,
    is_mark,
    kept_value,
    key_values,
    not_before,
    read_value,
    text_earlier,
)
from connectors.sources.database import SETTING, SourceDatabase
from connectors.sources.slot.log import ChangeLog
from connectors.sources.usable import refuse

OVERLAP: Final = 300.0  # seconds, or numbers where `changed` is one
SWEEP: Final = 6 * 3600.0


class ChangesCapture:
    """Captures what changed. For `CapturedSource`."""

    def __init__(
        self,
        database: SourceDatabase,
        mapping: ChangesMapping,
        secret: bytes,
        *,
        overlap: float = OVERLAP,
        sweep_seconds: float = SWEEP,
        log: ChangeLog | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """secret: keys digests and row keys; the identity's salt secret. log: in place of the maps'
        `changed`."""
        self._database = database
        self._mapping = mapping
        self._books = Books(secret)
        self._overlap = overlap
        self._sweep_seconds = sweep_seconds
        self._log = log
        self._clock = clock
        self._tables = [MappedTable(one) for one in mapping.maps]
        self._scans: dict[str, Sequence[Any]] = {}  # where an unfinished scan goes on
        self._sweeps: dict[str, Sequence[Any]] = {}
        self._rows = StatedRows(mapping, self._books)

    @property
    def unread(self) -> int:
        return self._rows.unread

    def prepare(self, db: Connection) -> None:
        self._books.prepare(db)
        if self._log is not None:
            self._log.prepare(db)
        with self._database.reading() as theirs:
            refuse(self._missing(theirs))

    def findings(self) -> list[Finding]:
        """What is missing in the agency's database, and what somebody should look at."""
        with self._database.reading() as theirs:
            return [*encryption(theirs, self._database.url, SETTING), *self._missing(theirs)]

    def _missing(self, theirs: Connection) -> list[Finding]:
        log = self._log.findings(theirs) if self._log is not None else []
        return [*table_findings(theirs, self._mapping), *log]

    def listen(self, db: Connection) -> None:
        if self._log is not None:
            self._log.advance(db)
            with self._database.reading() as theirs:
                self._listen(db, theirs, self._log)

    def take(self, db: Connection, room: int) -> None:
        """In the order of the maps: a later map waits until an earlier one is read to its end."""
        if self._log is not None:
            self._log.advance(db)
        with self._database.reading() as theirs:
            if self._log is not None:
                self._listen(db, theirs, self._log)
            for table in self._tables:
                room = self._again(db, theirs, table, room)
                if room > 0 and self._log is not None:
                    room = self._touched(db, theirs, table, room, self._log)
                elif room > 0 and table.map.changed:
                    room = self._scan(db, theirs, table, room)
                if room > 0:
                    room = self._sweep(db, theirs, table, room)
                if room <= 0:
                    return

    def answered(self, db: Connection, outcomes: Sequence[RowOutcome]) -> None:
        for one in outcomes:
            state = "published" if one.state == "accepted" else "refused"
            event = str(one.event_id) if one.event_id and one.state == "accepted" else None
            self._books.answered(db, one.key, state, event)

    def release(self, db: Connection) -> None:
        unread = (BOX.c.status == "refused") & (BOX.c.answer_step == 0)
        wanted = sa.select(BOX.c.origin, BOX.c.origin_key, BOX.c.origin_field).where(unread)
        for label, pk, corrected in db.execute(wanted).all():
            self._books.look_again(db, label, pk, corrected)
        db.execute(sa.delete(BOX).where(unread))
        self._books.under_way(db, sa.select(BOX.c.row_key).where(BOX.c.status == "ready"))

    def busy(self) -> bool:
        return bool(self._scans or self._sweeps or (self._log is not None and self._log.behind))

    def notes(self, db: Connection) -> Sequence[str]:
        maps = [f"{one.map.label}: on = {one.map.on}" for one in self._tables]
        return maps if self._log is None else [*maps, self._log.note(db)]

    def alarms(self) -> Mapping[str, str]:
        return self._log.alarms() if self._log is not None else {}

    def close(self) -> None:
        self._database.close()

    # -- reading -----------------------------------------------------------------------------

    def _again(self, db: Connection, theirs: Connection, table: MappedTable, room: int) -> int:
        for kept in self._books.again(db, table.map.label, room):
            self._books.keep(db, table.map.label, replace(kept, again=False))
            row = table.one(theirs, key_values(kept.pk))
            if row is not None:
                room -= self._rows.row(db, table.map, row, kept.seen)
            else:
                room -= self._rows.gone(db, table.map, replace(kept, again=False))
        return room

    def _listen(self, db: Connection, theirs: Connection, log: ChangeLog) -> None:
        for label in log.listen(db, theirs):
            self._sweeps.pop(label, None)  # one that began before may have passed a row by
            self._books.set_mark(db, label, replace(self._books.mark(db, label), swept_at=0.0))

    def _touched(
        self, db: Connection, theirs: Connection, table: MappedTable, room: int, log: ChangeLog
    ) -> int:
        one = table.map
        sweep = self._books.mark(db, one.label).sweep
        while room > 0 and (touched := log.waiting(db, one.label, room)):
            for pk, at in touched:
                row = table.one(theirs, key_values(pk))
                kept = self._books.row(db, one.label, pk)
                if row is not None:
                    room -= self._rows.row(db, one, row, sweep, at)
                elif kept is not None and kept.state == "pending":
                    self._books.keep(db, one.label, replace(kept, again=True))
                elif kept is not None and kept.state != "gone":
                    room -= self._rows.gone(db, one, kept, at)
        return room

    def _scan(self, db: Connection, theirs: Connection, table: MappedTable, room: int) -> int:
        one = table.map
        mark = self._books.mark(db, one.label)
        highest = read_value(mark.changed)
        since = None
        if highest is not None:
            since = (
                text_earlier(highest, self._overlap)
                if isinstance(highest, str)
                else earlier(highest, self._overlap)
            )
        resume = self._scans.pop(one.label, None)
        for row in table.changed(theirs, since, resume):
            changed, key = row[str(one.changed)], [row[name] for name in one.key]
            room -= self._rows.row(db, one, row, mark.sweep)
            highest = changed if is_mark(changed) else highest
            if room <= 0 and None not in key:  # behind which nothing is found
                self._scans[one.label] = [changed, *key]
                break
        if highest is not None:
            kept = kept_value(highest)
            if mark.changed is None or not_before(kept, mark.changed):
                self._books.set_mark(db, one.label, replace(mark, changed=kept))
        return room

    def _sweep(self, db: Connection, theirs: Connection, table: MappedTable, room: int) -> int:
        one = table.map
        mark = self._books.mark(db, one.label)
        resume = self._sweeps.pop(one.label, None)
        if resume is None:
            quick = one.changed or self._log is not None
            if quick and self._clock() - mark.swept_at < self._sweep_seconds:
                return room
            mark = replace(mark, sweep=mark.sweep + 1)
            self._books.set_mark(db, one.label, mark)
        for row in table.all(theirs, resume):
            key = [row[name] for name in one.key]
            room -= self._rows.row(db, one, row, mark.sweep)
            if room <= 0 and None not in key:
                self._sweeps[one.label] = key
                return room
        while unseen := self._books.unseen(db, one.label, mark.sweep, max(room, 1)):
            for kept in unseen:
                self._books.met(db, one.label, kept.pk, mark.sweep)
                if table.one(theirs, key_values(kept.pk)) is None:
                    room -= self._rows.gone(db, one, replace(kept, seen=mark.sweep))
            if room <= 0:
                return room
        self._books.set_mark(db, one.label, replace(mark, swept_at=self._clock()))
        return room
