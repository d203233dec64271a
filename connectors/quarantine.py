"""Quarantine: what could not be applied, set aside with its reason until somebody has looked.

A delivery set aside keeps its place in the sequence, and its bytes until it is redriven, discarded
or recalled.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.dead_letters import HELD_ELSEWHERE, RECALLED_SINCE
from connectors.delivery import BadMessage, Poison
from connectors.sink import Aside, Quarantined
from connectors.tables.as_written import as_written
from connectors.tables.bulk import chunks
from connectors.tables.ledger_tables import LedgerTables, from_instant, instant
from schemas import wire


class Quarantine:
    """Of one partner, in the ledger's table. Inside the caller's transaction."""

    def __init__(self, tables: LedgerTables) -> None:
        self._table = tables.quarantine

    def park(
        self,
        db: Connection,
        poison: Sequence[Poison],
        at: datetime,
        buried: Mapping[tuple[str, str], int],
    ) -> None:
        """buried: (event_ref, category) → sequence of the recall, as far as there is one."""
        q = self._table.c
        recalled: dict[str, int] = {}
        for (ref, _), sequence in buried.items():
            recalled[ref] = max(recalled.get(ref, -1), sequence)
        for item in poison:
            known = db.execute(
                sa.select(q.id).where(q.sequence == item.sequence, q.state == "waiting")
            ).scalar()
            values: dict[str, Any] = {
                "reason": item.reason,
                "detail": item.detail[:500],
            }
            if item.event_ref:
                values["event_ref"] = item.event_ref[:100]
            if item.raw:  # of what lay in a message that opens now, each keeps its own
                values["raw"] = item.raw
            if recalled.get(item.event_ref, -1) > item.sequence:  # and only now known to be
                values |= {"reason": "recalled", "detail": "", "state": "recalled", "raw": b""}
            if known is not None:
                db.execute(self._table.update().where(q.id == known).values(**values))
                continue
            db.execute(
                self._table.insert().values(
                    **{
                        "sequence": item.sequence,
                        "digest": hashlib.sha256(item.raw).hexdigest(),
                        "event_ref": "",
                        "raw": b"",
                        "arrived_at": instant(at),
                        "state": "waiting",
                        **values,
                    }
                )
            )

    def park_strangers(self, db: Connection, messages: Sequence[BadMessage], at: datetime) -> None:
        """Messages that are not the hub's; the same bytes are kept once, however often read."""
        q = self._table.c
        for message in messages:
            digest = hashlib.sha256(message.raw).hexdigest()
            query = sa.select(q.id).where(q.digest == digest, q.sequence.is_(None))
            if db.execute(query).first() is not None:
                continue
            db.execute(
                self._table.insert().values(
                    sequence=None,
                    digest=digest,
                    reason=message.reason,
                    detail=message.detail,
                    event_ref="",
                    raw=message.raw,
                    arrived_at=instant(at),
                    state="waiting",
                )
            )

    @as_written
    def rows(self, db: Connection, *, waiting_only: bool) -> list[Quarantined]:
        query = sa.select(self._table).order_by(self._table.c.id)
        if waiting_only:
            query = query.where(self._table.c.state == "waiting")
        return [
            Quarantined(
                int(row.id),
                None if row.sequence is None else int(row.sequence),
                row.reason,
                row.detail,
                row.event_ref,
                bytes(row.raw),
                from_instant(row.arrived_at),
                row.state,
            )
            for row in db.execute(query)
        ]

    def aside(self, db: Connection, sequences: Collection[int] | None = None) -> list[Aside]:
        """Rows that were not redriven, without what they hold: all, or of these sequences."""
        q = self._table.c
        query = sa.select(q.id, q.sequence, q.state).where(q.state != "redriven").order_by(q.id)
        if sequences is None:
            return [Aside(*row) for row in db.execute(query)]
        return [
            Aside(*row)
            for chunk in chunks(sorted(sequences))
            for row in db.execute(query.where(q.sequence.in_(chunk)))
        ]

    def unapplied(self, db: Connection) -> frozenset[int]:
        """Sequences in quarantine that wait, or are never to be applied."""
        rows = (row for row in self.aside(db) if row.state in ("waiting", "discarded"))
        return frozenset(row.sequence for row in rows if row.sequence is not None)

    def released(self, db: Connection, sequences: Sequence[int]) -> None:
        """These sequences set aside are applied: their content leaves the quarantine."""
        q = self._table.c
        for chunk in chunks(sequences):
            db.execute(
                self._table.update()
                .where(q.sequence.in_(chunk), q.state.in_(("waiting", "discarded", "recalled")))
                .values(state="redriven", raw=b"")
            )

    def discard(self, db: Connection, row: int, reason: str, note: str) -> Quarantined | None:
        """This row is never applied: its content leaves. What waited there, or None if nothing."""
        q = self._table.c
        rows = self.rows(db, waiting_only=True)
        waiting = next((one for one in rows if one.id == row), None)
        if waiting is not None:
            heir = next((one for one in rows if _shares(waiting.raw, one)), None)
            if heir is not None:
                db.execute(self._table.update().where(q.id == heir.id).values(raw=waiting.raw))
            detail = f"was {waiting.reason}" + (f"; {note}" if note else "")
            db.execute(
                self._table.update()
                .where(q.id == row)
                .values(state="discarded", reason=reason, detail=detail[:500], raw=b"")
            )
        return waiting

    def purge(self, db: Connection, event_ref: str, before: int) -> None:
        """A recall reaches what waits in quarantine too: without its content it stays visible.

        Only what was sent before it: a recall redriven late leaves a later release waiting.
        """
        q = self._table.c
        db.execute(
            self._table.update()
            .where(q.event_ref == event_ref, q.state == "waiting", q.sequence < before)
            .values(state="recalled", reason="recalled", detail="", raw=b"")
        )
        discarded = (q.event_ref == event_ref, q.state == "discarded")
        # What was noted on discarding may be about the person too.
        db.execute(self._table.update().where(*discarded).values(detail=""))
        elsewhere = q.reason.in_([wire.DISCARDED + one for one in HELD_ELSEWHERE])
        db.execute(self._table.update().where(*discarded, elsewhere).values(detail=RECALLED_SINCE))


def _shares(raw: bytes, other: Quarantined) -> bool:
    """Whether `other` waits for the message in `raw` too; only one of its sequences keeps it."""
    if other.raw or other.sequence is None or not raw.startswith(wire.SEALED_DELIVERIES.prefix):
        return False
    message = wire.SEALED_DELIVERIES.unsingle(raw)
    return bool(message["first_sequence"] <= other.sequence <= message["last_sequence"])
