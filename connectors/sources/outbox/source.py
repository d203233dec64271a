"""The outbox source: rows of an outbox table (`outbox/ddl.py`) become events.

    status    ready → accepted
                    → refused → (put right by people) ready, one attempt later, or dropped

Promises
- A row is read while its status is 'ready', in the order of `id` among what is committed. Nothing
  rests on ids being without gaps or committed in order.
- The answer is written in one transaction, and only over the row it is an answer to.
- What an accepted row said is blanked (setting `after`): the hub has recorded it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.database.check import encryption
from connectors.findings import Finding
from connectors.source import Fault, RowOutcome, SourceRow, SourceStatus
from connectors.sources.database import SETTING, SourceDatabase
from connectors.sources.outbox.check import outbox_findings
from connectors.sources.outbox.ddl import TABLE
from connectors.sources.usable import refuse
from connectors.strict_json import read_json
from connectors.submit import Event

After: TypeAlias = Literal["blank", "keep", "delete"]

_COLUMNS: Final = (
    "id", "row_key", "event_type", "case_ref", "subject_ref", "occurred_at", "corrects_type",
    "data", "status", "attempt", "hub_event", "hub_position", "answered_at", "answer_step",
    "answer_reason", "answer_guard", "answer_field", "answer_fix",
)  # fmt: skip


def outbox_table(name: str, *more: str) -> sa.TableClause:
    """more: further columns."""
    schema, _, table = name.rpartition(".")
    return sa.table(table, *(sa.column(one) for one in (*_COLUMNS, *more)), schema=schema or None)


class OutboxSource:
    """Source over an outbox table. Rows may be written by any number of others meanwhile."""

    def __init__(
        self,
        database: SourceDatabase,
        *,
        name: str = "outbox",
        table: str = TABLE,
        after: After = "blank",
        holds_cases: bool = True,
        more: Sequence[str] = (),
    ) -> None:
        """more: further columns; one called `place` says where people find a row."""
        self._database = database
        self._name = name
        self._holds = holds_cases
        self._after = after
        self._table = outbox_table(table, *more)
        self._ready = self._reading()

    @property
    def name(self) -> str:
        return self._name

    @property
    def holds_cases(self) -> bool:
        return self._holds

    def prepare(self) -> None:
        """The table is the agency's to make: SettingsError if it is not there, or may not be used.
        Nothing is changed."""
        with self._database.writing() as db:
            refuse(self._missing(db))

    def check(self) -> list[Finding]:
        """What is missing in the agency's database, each with its fix. Changes nothing."""
        with self._database.writing() as db:
            url = self._database.url
            return [*encryption(db, url, SETTING), *self._missing(db)]

    def _missing(self, db: Connection) -> list[Finding]:
        name, deletes = self._table.fullname, self._after == "delete"
        return list(outbox_findings(db, name, self._table.c.keys(), deletes=deletes))

    def read(self, limit: int) -> Sequence[SourceRow]:
        with self._database.reading() as db:
            found = db.execute(self._ready.limit(limit)).mappings().all()
        return [source_row(dict(row)) for row in found]

    def answered(self, outcomes: Sequence[RowOutcome]) -> None:
        with self._database.writing() as db:
            self.write_back(db, outcomes)
        self._database.wipe()

    def write_back(self, db: Connection, outcomes: Sequence[RowOutcome]) -> None:
        """The same inside a transaction of the caller's."""
        box = self._table
        for one in outcomes:
            if one.state == "waiting":
                continue
            this = (box.c.row_key == one.key) & (box.c.status == "ready")
            this &= box.c.attempt == one.attempt
            if one.state == "accepted" and self._after == "delete":
                db.execute(sa.delete(box).where(this))
                continue
            values: dict[str, Any] = {
                "status": one.state,
                "hub_event": str(one.event_id) if one.event_id else None,
                "hub_position": one.position,
                "answered_at": self._moment(one.recorded_at or datetime.now(UTC)),
                "answer_step": one.step,
                "answer_reason": one.reason,
                "answer_guard": one.guard,
                "answer_field": one.field or None,
                "answer_fix": one.fix or None,
            }
            if one.state == "refused":
                values["attempt"] = one.attempt + 1
            elif self._after == "blank":
                values["data"] = sa.text("'{}'")
            db.execute(sa.update(box).where(this).values(values))

    def status(self) -> SourceStatus:
        box = self._table
        with self._database.reading() as db:
            counts: dict[str, int] = {
                row[0]: row[1]
                for row in db.execute(
                    sa.select(box.c.status, sa.func.count()).group_by(box.c.status)
                )
            }
            sendable = sa.select(sa.func.count()).select_from(self._ready.subquery())
            ready = db.execute(sendable).scalar_one()
            oldest = db.execute(
                sa.select(sa.func.min(box.c.occurred_at)).where(box.c.status == "ready")
            ).scalar_one()
        return SourceStatus(
            ready=ready,
            held=counts.get("ready", 0) - ready,
            accepted=counts.get("accepted", 0),
            refused=counts.get("refused", 0),
            oldest_ready=_known_instant(oldest),
        )

    def report(self, limit: int) -> Sequence[RowOutcome]:
        box = self._table
        wanted = (box.c.status == "refused") | (box.c.status == "ready") & self._behind()
        query = sa.select(*box.c).where(wanted).order_by(box.c.id).limit(limit)
        with self._database.reading() as db:
            return [_told(dict(row)) for row in db.execute(query).mappings()]

    def release(self) -> int:
        """Offer every refused row again, after its cause was removed elsewhere; how many."""
        box = self._table
        with self._database.writing() as db:
            again = sa.update(box).where(box.c.status == "refused").values(status="ready")
            return int(db.execute(again).rowcount)

    def close(self) -> None:
        self._database.close()

    def _reading(self) -> sa.Select[Any]:
        box = self._table
        query = sa.select(*box.c).where(box.c.status == "ready").order_by(box.c.id)
        return query.where(sa.not_(self._behind())) if self._holds else query

    def _behind(self) -> sa.ColumnElement[bool]:
        """An earlier row of the same case stands refused."""
        if not self._holds:
            return sa.false()
        box, other = self._table, self._table.alias("earlier")
        return sa.exists(
            sa.select(sa.literal(1))
            .select_from(other)
            .where(other.c.case_ref == box.c.case_ref)
            .where(other.c.status == "refused")
            .where(other.c.id < box.c.id)
        )

    def _moment(self, at: datetime) -> Any:
        """A time as the database takes it."""
        at = at.astimezone(UTC)
        if self._database.dialect == "sqlite":
            return at.isoformat().replace("+00:00", "Z")
        return at if self._database.dialect == "postgresql" else at.replace(tzinfo=None)


def source_row(row: Mapping[str, Any]) -> SourceRow:
    """One row of an outbox as the runner takes it."""
    key, place, attempt = str(row["row_key"]), _place(row), int(row["attempt"])
    case = None if isinstance(row["case_ref"], bytes) else str(row["case_ref"] or "") or None

    def faulty(reason: str, field: str, fix: str) -> SourceRow:
        return SourceRow(key, place, fault=Fault(reason, field, fix), attempt=attempt, case=case)

    for name in ("event_type", "case_ref"):
        if not row[name]:
            return faulty("missing_column", name, f"give the row its {name}")
    for name in ("event_type", "case_ref", "subject_ref", "corrects_type"):
        if isinstance(row[name], bytes):
            return faulty("not_a_text", name, "its bytes are not UTF-8: write it anew")
    data = row["data"]
    if isinstance(data, str | bytes):
        try:
            data = read_json(data)
        except ValueError:
            return faulty("row_unreadable", "data", "data is a JSON object with the event's fields")
    if not isinstance(data, dict):
        return faulty("row_unreadable", "data", "data is a JSON object with the event's fields")
    try:
        at = _instant(row["occurred_at"])
    except (TypeError, ValueError):
        return faulty(
            "not_an_instant", "occurred_at", "give a time with its offset: 2026-11-24T09:30:00Z"
        )
    event = Event(
        str(row["event_type"]),
        str(row["case_ref"]),
        data,
        subject=row["subject_ref"] or None,
        occurred_at=at,
        corrects_type=row["corrects_type"] or None,
        event_id=UUID(row["own_id"]) if row.get("own_id") else None,
    )
    return SourceRow(key, place, event, attempt=attempt)


def _place(row: Mapping[str, Any]) -> str:
    return str(row.get("place") or f"row {row['id']}")


def _instant(value: Any) -> datetime:
    """As the database gives it: MariaDB without a zone in the session's UTC, text with its own."""
    if isinstance(value, datetime):
        return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return moment


def _known_instant(value: Any) -> datetime | None:
    try:
        return None if value is None else _instant(value)
    except (TypeError, ValueError):
        return None


def _told(row: Mapping[str, Any]) -> RowOutcome:
    held = row["status"] == "ready"
    return RowOutcome(
        key=str(row["row_key"]),
        place=_place(row),
        state="waiting" if held else "refused",
        attempt=int(row["attempt"]),
        step=row["answer_step"],
        reason="case_held" if held else row["answer_reason"],
        guard=row["answer_guard"],
        field=row["answer_field"] or "",
        fix="put the earlier row right, or drop it" if held else row["answer_fix"] or "",
    )
