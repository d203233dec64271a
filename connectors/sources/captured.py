"""Captured: sources that first write what they find into an outbox of their own.

    the agency's tables, files ── capture ──→ state file (an outbox) ──→ the runner

Capturing a row and noting how far one has come are one transaction of the state file, so a crash
captures nothing twice and passes nothing over; sending from there is `outbox/source.py`. The
state file holds what a row says only until the hub has accepted it; then it is overwritten.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.agency.identity import for_its_owner
from connectors.errors import SettingsError, SourceDownError
from connectors.findings import Finding
from connectors.source import Fault, RowOutcome, SourceRow, SourceStatus
from connectors.sources.database import SourceDatabase
from connectors.sources.outbox.ddl import TABLE, ddl
from connectors.sources.outbox.source import OutboxSource, outbox_table

log = logging.getLogger(__name__)

_MORE: Final = ("place", "own_id", "origin", "origin_key", "origin_field", "begins", "ends")
BOX: Final = outbox_table(TABLE, *_MORE)


@dataclass(frozen=True, slots=True)
class Found:
    """A row to be sent, or with a fault to be reported.

    origin, origin_key, origin_field: what it came from, for the capture's own books. begins, ends:
    where it stands in a file, in bytes. own_id: the event's id, if the row brings one.
    """

    key: str
    place: str
    origin: str
    origin_key: str = ""
    origin_field: str = ""
    type: str = ""
    case: str = ""
    subject: str | None = None
    occurred_at: datetime | None = None
    corrects_type: str | None = None
    data: Mapping[str, Any] | None = None
    attempt: int = 0
    own_id: UUID | None = None
    begins: int | None = None
    ends: int | None = None
    fault: Fault | None = None


class Capture(Protocol):
    """Finds rows. Calls with `db` are inside a transaction of the state file.

    prepare() makes its own tables there. take() writes at most about `room` rows with `write`, in
    the order in which they are to be stated, and notes how far it came. listen() is called in its
    place while there is no room, for what must not wait. answered() is told what became of rows.
    release() is asked to look again at what it could not read. notes(): for people. findings():
    what is missing in the agency's system. alarms(): reason → detail. busy(): more comes without
    anybody's doing. unread: rows and files that could not be read since it was opened.
    """

    @property
    def unread(self) -> int: ...

    def prepare(self, db: Connection) -> None: ...

    def listen(self, db: Connection) -> None: ...

    def take(self, db: Connection, room: int) -> None: ...

    def answered(self, db: Connection, outcomes: Sequence[RowOutcome]) -> None: ...

    def release(self, db: Connection) -> None: ...

    def notes(self, db: Connection) -> Sequence[str]: ...

    def findings(self) -> list[Finding]: ...

    def alarms(self) -> Mapping[str, str]: ...

    def busy(self) -> bool: ...

    def close(self) -> None: ...


class CapturedSource:
    """Source over a capture."""

    def __init__(
        self, capture: Capture, state: Path, *, name: str, holds_cases: bool = True
    ) -> None:
        self._capture = capture
        self._file = state
        self._state = SourceDatabase(f"sqlite:///{state}", ours=True)
        self._outbox = OutboxSource(self._state, name=name, holds_cases=holds_cases, more=_MORE)
        self._name = name
        self._holds = holds_cases

    @property
    def name(self) -> str:
        return self._name

    @property
    def holds_cases(self) -> bool:
        return self._holds

    def prepare(self) -> None:
        """SettingsError also if the state file cannot be made."""
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            if not self._file.exists():
                self._file.touch(mode=0o600)
            for_its_owner(self._file)
        except OSError as wrong:
            raise SettingsError(f"state: {self._file} cannot be made ({wrong.strerror})") from None
        with self._state.writing() as db:
            if not sa.inspect(db).has_table(TABLE):
                for statement in filter(str.strip, ddl("sqlite").split(";\n")):
                    db.exec_driver_sql(statement)
                for column in _MORE:
                    kind = "INTEGER" if column in ("begins", "ends") else "TEXT"
                    db.exec_driver_sql(f"ALTER TABLE {TABLE} ADD COLUMN {column} {kind}")
                db.exec_driver_sql(f"CREATE INDEX nrm_origin ON {TABLE} (origin, origin_key)")
            self._capture.prepare(db)

    def read(self, limit: int) -> Sequence[SourceRow]:
        found = self._outbox.read(limit)
        if len(found) >= limit:
            # What is here can go, also while the agency's system is away.
            with suppress(SourceDownError), self._state.writing() as db:
                self._capture.listen(db)
            return found
        with self._state.writing() as db:
            self._capture.take(db, limit)
        return self._outbox.read(limit)

    def answered(self, outcomes: Sequence[RowOutcome]) -> None:
        with self._state.writing() as db:
            self._outbox.write_back(db, outcomes)
            self._capture.answered(db, outcomes)
        self._state.wipe()

    def status(self) -> SourceStatus:
        with self._state.reading() as db:
            notes = tuple(self._capture.notes(db))
        return replace(self._outbox.status(), notes=notes)

    def report(self, limit: int) -> Sequence[RowOutcome]:
        return self._outbox.report(limit)

    def release(self) -> int:
        """Offer every refused row again, and look again at what could not be read."""
        box = BOX.c
        with self._state.writing() as db:
            again = (box.status == "refused") & (box.answer_step != 0)
            sent = db.execute(sa.update(BOX).where(again).values(status="ready")).rowcount
            unread = db.execute(
                sa.select(sa.func.count()).select_from(BOX).where(box.status == "refused")
            ).scalar_one()
            self._capture.release(db)
        return int(sent) + int(unread)

    @property
    def unread(self) -> int:
        """Rows and whole files that were refused because they could not be read, since opened."""
        return self._capture.unread

    def check(self) -> list[Finding]:
        """What is missing in the agency's system, and how to mend it. Changes nothing."""
        return self._capture.findings()

    def alarms(self) -> Mapping[str, str]:
        """What somebody should look at while rows flow, by the runner's names of alarms."""
        return self._capture.alarms()

    def busy(self) -> bool:
        """Whether more comes without anybody's doing: a file is half read, or not settled yet."""
        return self._capture.busy()

    def close(self) -> None:
        self._capture.close()
        self._state.close()


def write(db: Connection, found: Found) -> None:
    """Put a row into the outbox of the state file."""
    at = found.occurred_at or datetime.now(UTC)
    values: dict[str, Any] = {
        "row_key": found.key,
        "event_type": found.type,
        "case_ref": found.case,
        "subject_ref": found.subject,
        "occurred_at": at.isoformat(),
        "corrects_type": found.corrects_type,
        "data": json.dumps(found.data or {}),
        "status": "ready",
        "attempt": found.attempt,
        "place": found.place,
        "own_id": str(found.own_id) if found.own_id else None,
        "origin": found.origin,
        "origin_key": found.origin_key,
        "origin_field": found.origin_field,
        "begins": found.begins,
        "ends": found.ends,
    }
    if found.fault is not None:
        log.warning("%s refused: %s %s", found.place, found.fault.reason, found.fault.field)
        values |= {
            "status": "refused",
            "answer_step": 0,
            "answer_reason": found.fault.reason,
            "answer_field": found.fault.field or None,
            "answer_fix": found.fault.fix,
        }
    db.execute(sa.insert(BOX).values(values))
