"""Copies: what the partner holds now, for systems that are told the state of a case.

    batch → nrm_copy (event, category → content) → CaseChange per case touched → system.put()

A document there is made from all that is held of an event, and a category comes when it comes:
so the content held is kept beside the books, as it stands after corrections, for as long as it is
held. A recall overwrites it. The file is the connector's own (mode 0600) and holds what the
partner's system holds, nothing else.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.errors import SinkRefusedError
from connectors.remote.sink import Intent, Recalled
from connectors.sink import Addition, Correction, Removal
from connectors.tables.as_written import as_written
from connectors.tables.ledger_tables import from_instant, instant

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Kept:
    """One event as the partner holds it now. fields: category → field → value, corrected.

    sequence: of the delivery that brought the newest of it. Times are UTC.
    """

    event_ref: str
    event_type: str
    case_ref: str
    subject_ref: str
    agency: str | None
    occurred_at: datetime | None
    received_at: datetime
    sequence: int
    bases: Mapping[str, str]
    fields: Mapping[str, Mapping[str, Any]] = field(repr=False)

    @property
    def values(self) -> dict[str, Any]:
        """All fields held, in one dict."""
        return {name: value for part in self.fields.values() for name, value in part.items()}


@dataclass(frozen=True, slots=True)
class CaseChange:
    """What is to be made true of one case.

    changed: events to be there as they stand. gone: events to be absent; they may never have been
    there. event_type of one that was never seen here is "".
    """

    case_ref: str
    subject_ref: str
    changed: tuple[Kept, ...]
    gone: tuple[Intent, ...]
    copies: Copies = field(repr=False)
    db: Connection = field(repr=False)

    def events(self) -> list[Kept]:
        """All that is held of the case now, in order of occurrence."""
        return self.copies.of_case(self.db, self.case_ref)


class CaseSystem(Protocol):
    """A partner's system that keeps cases and what happened in them.

    put() makes the changes true: idempotent, durable when it returns. The ids it uses there are
    derived from the refs. SinkDownError when it is away; SinkRefusedError, with the sequence of
    the event at fault, when it will never take one.
    """

    def prepare(self) -> None: ...

    def put(self, changes: Sequence[CaseChange]) -> None: ...

    def close(self) -> None: ...


class Copies:
    """A `Remote` that keeps what is held and tells a CaseSystem what a batch changed."""

    refuses_whole = False  # what was there of it before, or of an attempt, still is

    def __init__(self, system: CaseSystem, metadata: sa.MetaData) -> None:
        self._system = system
        self._touched: dict[str, Intent] = {}
        ref, name = sa.String(100), sa.String(64)
        self._table = sa.Table(
            "nrm_copy",
            metadata,
            sa.Column("event_ref", ref, primary_key=True),
            sa.Column("category", name, primary_key=True),
            sa.Column("case_ref", ref, nullable=False, index=True),
            sa.Column("subject_ref", ref, nullable=False),
            sa.Column("event_type", name, nullable=False),
            sa.Column("agency", ref),
            sa.Column("occurred_at", sa.String(40)),
            sa.Column("received_at", sa.String(40), nullable=False),
            sa.Column("sequence", sa.BigInteger, nullable=False),
            sa.Column("basis", sa.String(200), nullable=False),
            sa.Column("content", sa.Text, nullable=False),
        )

    # -- as a remote -----------------------------------------------------------------------

    def prepare(self) -> None:
        self._system.prepare()

    def begin(self) -> None:
        self._touched = {}

    def close(self) -> None:
        self._system.close()

    def settle(self, db: Connection, intents: Sequence[Intent]) -> Collection[str]:
        touched = dict(self._touched)
        rest: dict[str, Intent] = {}
        for one in intents:  # which knows the type also of an event that was recalled unseen
            if one.event_ref not in touched:
                rest[one.event_ref] = one
            elif not touched[one.event_ref].event_type:
                touched[one.event_ref] = one
        self._put(db, list(touched.values()))
        return self._put_right(db, list(rest.values()))

    def _put_right(self, db: Connection, rest: Sequence[Intent]) -> Collection[str]:
        """Events of an attempt that was cut off, as the books have them. If the system refuses
        one, no delivery of this batch is at fault: it is tried again with the next."""
        try:
            self._put(db, rest)
        except SinkRefusedError as refused:
            if len(rest) == 1:
                log.warning("an event of an earlier attempt is refused: %s", refused.reason)
                return [rest[0].event_ref]
            return [ref for one in rest for ref in self._put_right(db, [one])]
        return ()

    def _put(self, db: Connection, touched: Sequence[Intent]) -> None:
        if not touched:
            return
        refs = [one.event_ref for one in touched]
        kept = {one.event_ref: one for one in self._read(db, self._table.c.event_ref, refs)}
        cases: dict[str, list[Intent]] = {}
        for one in touched:
            cases.setdefault(one.case_ref, []).append(one)
        self._system.put(
            [
                CaseChange(
                    case_ref,
                    mine[0].subject_ref,
                    tuple(kept[one.event_ref] for one in mine if one.event_ref in kept),
                    tuple(one for one in mine if one.event_ref not in kept),
                    self,
                    db,
                )
                for case_ref, mine in cases.items()
            ]
        )

    # -- as a projection -------------------------------------------------------------------

    def ready(self, schemas: Iterable[tuple[str, bytes]]) -> None:
        """Copies need no columns of their own."""

    def add(self, db: Connection, additions: Sequence[Addition]) -> None:
        t = self._table.c
        for addition in additions:
            event = addition.event
            self._touch(event.event_ref, event.event_type, event.case_ref, event.subject_ref)
            db.execute(
                self._table.delete().where(
                    t.event_ref == event.event_ref, t.category.in_(addition.categories)
                )
            )
            db.execute(
                self._table.insert(),
                [
                    {
                        "event_ref": event.event_ref,
                        "category": category,
                        "case_ref": event.case_ref,
                        "subject_ref": event.subject_ref,
                        "event_type": event.event_type,
                        "agency": event.agency,
                        "occurred_at": instant(event.occurred_at) if event.occurred_at else None,
                        "received_at": instant(addition.received_at),
                        "sequence": event.sequence,
                        "basis": event.bases[category],
                        "content": json.dumps(dict(event.fields[category]), ensure_ascii=False),
                    }
                    for category in addition.categories
                ],
            )

    @as_written
    def read(self, db: Connection, removal: Removal) -> Mapping[str, Mapping[str, Any]]:
        t = self._table.c
        query = sa.select(t.category, t.content).where(
            t.event_ref == removal.event_ref, t.category.in_(removal.categories)
        )
        return {category: json.loads(content) for category, content in db.execute(query)}

    def remove(self, db: Connection, removal: Removal) -> None:
        t = self._table.c
        mine = (t.event_ref == removal.event_ref, t.category.in_(removal.categories))
        # The row's own subject: a recall's may be that of a case linked since.
        subject = db.execute(sa.select(t.subject_ref).where(*mine)).scalars().first() or ""
        self._touch(removal.event_ref, removal.event_type, removal.case_ref, subject)
        db.execute(self._table.delete().where(*mine))

    @as_written
    def correct(self, db: Connection, correction: Correction) -> None:
        t = self._table.c
        query = sa.select(self._table).where(t.event_ref == correction.event_ref)
        for row in db.execute(query).all():
            content = json.loads(row.content)
            if correction.field not in content:
                continue
            content[correction.field] = correction.value
            self._touch(row.event_ref, row.event_type, row.case_ref, row.subject_ref)
            db.execute(
                self._table.update()
                .where(t.event_ref == row.event_ref, t.category == row.category)
                .values(content=json.dumps(content, ensure_ascii=False))
            )

    def recalled(self, db: Connection, about: Recalled) -> None:  # noqa: ARG002 - a Remote's form
        """Also what is not held here may be there: from an attempt that was cut off."""
        if about.event_ref not in self._touched:
            self._touch(about.event_ref, "", about.case_ref, about.subject_ref)

    # -- what is held ----------------------------------------------------------------------

    def of_case(self, db: Connection, case_ref: str) -> list[Kept]:
        return self._read(db, self._table.c.case_ref, [case_ref])

    def cases(self, db: Connection) -> list[str]:
        """The refs of all cases of which something is held."""
        refs = sa.select(self._table.c.case_ref).distinct().order_by(self._table.c.case_ref)
        return list(db.execute(refs).scalars())

    def _touch(self, event_ref: str, event_type: str, case_ref: str, subject_ref: str) -> None:
        self._touched[event_ref] = Intent(event_ref, event_type, case_ref, subject_ref)

    @as_written
    def _read(self, db: Connection, column: Any, among: Iterable[str]) -> list[Kept]:
        rows: dict[str, list[Any]] = {}
        wanted = sorted(among)
        for at in range(0, len(wanted), 400):
            query = sa.select(self._table).where(column.in_(wanted[at : at + 400]))
            for row in db.execute(query):
                rows.setdefault(row.event_ref, []).append(row)
        kept = [_kept(mine) for mine in rows.values()]
        return sorted(kept, key=lambda one: (one.occurred_at or one.received_at, one.sequence))


def _kept(rows: Sequence[Any]) -> Kept:
    newest = max(rows, key=lambda row: row.sequence)
    return Kept(
        newest.event_ref,
        newest.event_type,
        newest.case_ref,
        newest.subject_ref,
        newest.agency,
        from_instant(newest.occurred_at) if newest.occurred_at else None,
        from_instant(newest.received_at),
        int(newest.sequence),
        {row.category: row.basis for row in rows},
        {row.category: json.loads(row.content) for row in rows},
    )
