"""Replay: the hub's messages read again, verified and opened, into a copy beside the partner's own.

    inbox, from its beginning → opener → copy, as the runner does it, up to one sequence

The copy is what a database would hold that had taken every delivery once: against it the partner's
rows are compared (`compared.py`) and made good (`reconcile.py`). Nothing is
sent and nothing of the partner's is touched. What lies in the partner's quarantine is left out of
the copy too. Memory is the runner's, however many deliveries there are: the copy is a file.

A topic holds what was not yet acknowledged; the hub's log, over HTTP, holds everything, sealed
anew without what was recalled or erased since.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import Inbox, Sealed
from connectors.agency.registry_cache import RegistryCache
from connectors.delivery import Arrived, Poison
from connectors.effects import Work
from connectors.errors import StopError
from connectors.mapping import Mapping
from connectors.pace import Pace
from connectors.runner import Runner
from connectors.sink import Batch, RecallPolicy
from connectors.sql import SqlSink
from connectors.tables.bulk import among
from schemas import wire
from schemas.avro import AvroError
from schemas.registry import Schemas

SET_ASIDE = "set_aside"
"""Reason in the copy's quarantine for what lies in the partner's."""
IDLE_ROUNDS = 3  # what is missing may have been sent again behind what came after it


class Again:
    """An inbox read again up to a sequence, that sends no receipts."""

    def __init__(self, inbox: Inbox, until: int | None) -> None:
        self._inbox = inbox
        self._until = until
        self._over = False

    def start(self, cursor: str, sequence: int) -> None:
        self._inbox.start(cursor, sequence)

    def read(self, limit: int, timeout: float) -> list[Sealed]:
        if self._over:
            return []
        messages = self._inbox.read(limit, timeout)
        for place, message in enumerate(messages):
            if self._until is not None and _first(message.value) > self._until:
                self._over = True
                return messages[:place]
        return messages

    def rewind(self, sequence: int) -> bool:
        return self._inbox.rewind(sequence)

    def emptied(self, sequence: int) -> bool:
        return not self._over and self._inbox.emptied(sequence)

    def send_receipts(self, receipts: Sequence[bytes]) -> None:
        """Not sent: what the copy took is nobody's answer."""

    def registry(self) -> bytes | None:
        return self._inbox.registry()

    def close(self) -> None:
        """The inbox is the caller's."""


class CopySink(SqlSink):
    """The copy: a database of its own, filled up to `until` and without what is set aside."""

    def __init__(
        self,
        url: str,
        agency: str,
        hub: str,
        *,
        mapping: Mapping | None = None,
        recalls: RecallPolicy | None = None,
        schemas: Schemas | None = None,
        set_aside: Iterable[int] = (),
        ready: Callable[[CopySink], None] = lambda copy: None,  # noqa: ARG005
        passing: bool = False,
    ) -> None:
        """ready: called once its own tables are there. passing: the copy is thrown away, so that
        it need not outlive a power cut."""
        super().__init__(url, agency, hub, mapping=mapping, recalls=recalls, schemas=schemas)
        self._schemas = schemas or Schemas.load()
        self._set_aside = frozenset(set_aside)
        self._made = ready
        if self.mapped is not None:
            self.mapped.flat = True
        self.until: int | None = None
        self.untold = sa.Table(
            "untold",
            sa.MetaData(),
            sa.Column("event_ref", sa.String(100), primary_key=True),
            sa.Column("corrects_in", sa.String(100), nullable=False),  # case; "" of no correction
        )
        self.taken = sa.Table(
            "taken",  # what recalls took, and how the last of them asked for it
            sa.MetaData(),
            sa.Column("event_ref", sa.String(100), primary_key=True),
            sa.Column("category", sa.String(64), primary_key=True),
            sa.Column("action", sa.String(32), nullable=False),
        )
        if passing:
            sa.event.listen(self.database.engine, "connect", _not_durable)

    def prepare(self) -> None:
        with self.database.writing() as db:
            self._metadata.create_all(db)
            self.untold.create(db, checkfirst=True)
            self.taken.create(db, checkfirst=True)
        self.tables.ready(
            (kind, schema.schema_id)
            for kind in self.tables.kinds()
            for schema in self._schemas.versions(kind)
        )
        self._made(self)
        super().prepare()

    def set_aside(self, sequences: Iterable[int]) -> None:
        """Deliveries that do not go into the copy, from now on."""
        self._set_aside = frozenset(sequences)

    def apply(self, batch: Batch) -> None:
        items = [
            self._aside(item)
            for item in batch.items
            if self.until is None or item.sequence <= self.until
        ]
        self._note_untold(items)
        cut = len(items) < len(batch.items)
        cursor = self.position().cursor if cut else batch.cursor
        super().apply(replace(batch, items=items, cursor=cursor, strangers=()))

    def redrive(self, row: int, items: Sequence[Arrived | Poison], at: datetime) -> None:
        if not all(item.sequence in self._set_aside for item in items):
            super().redrive(row, items, at)

    def _remove(
        self, db: Connection, work: Work, item: Arrived, about: tuple[str, tuple[str, ...]]
    ) -> str:
        event_ref, categories = about
        t = self.taken.c
        mine = (t.event_ref == event_ref, t.category.in_(categories))
        db.execute(self.taken.delete().where(*mine))
        assert item.recall is not None
        told = {"event_ref": event_ref, "action": item.recall.action}
        db.execute(self.taken.insert(), [{**told, "category": one} for one in categories])
        return super()._remove(db, work, item, about)

    def _note_untold(self, items: Sequence[Arrived | Poison]) -> None:
        """Events of which something was released that the hub can no longer tell."""
        refs = {
            item.event_ref: item.case_ref if item.event_type == "RecordCorrected" else ""
            for item in items
            if isinstance(item, Arrived)
            and item.kind == "release"
            and (not item.categories or set(item.bases) - set(item.categories))
        }
        if refs:
            with self.database.writing() as db:
                for these in among(db, self.untold.c.event_ref, refs):
                    db.execute(self.untold.delete().where(these))
                db.execute(
                    self.untold.insert(),
                    [{"event_ref": ref, "corrects_in": case} for ref, case in sorted(refs.items())],
                )

    def _aside(self, item: Arrived | Poison) -> Arrived | Poison:
        if item.sequence not in self._set_aside:
            return item
        # Without its content: what is set aside is at the partner already.
        return Poison(item.sequence, SET_ASIDE)


def replayed(
    copy: CopySink,
    inbox: Inbox,
    identity: AgencyIdentity,
    registry: RegistryCache | None = None,
    *,
    until: int | None = None,
    pace: Pace | None = None,
    schemas: Schemas | None = None,
    told: Callable[[int], None] = lambda sequence: None,  # noqa: ARG005
) -> int:
    """Bring the copy forward to `until`, or as far as there is; returns where it stands.

    StopError if the inbox does not hold everything up to there; RetryError while the hub is away.
    """
    copy.until = until
    runner = Runner(
        Again(inbox, until), copy, identity, registry, schemas=schemas, pace=pace or Pace()
    )
    idle = stands = 0
    while idle < IDLE_ROUNDS and (until is None or stands < until):
        progress = runner.run_once()
        stands = copy.position().sequence
        told(stands)
        idle = idle + 1 if progress.idle else 0
    if "sequence_gap" in runner.alarms or (until is not None and stands < until):
        raise StopError(
            f"delivery {stands + 1} is not there to be read again. A topic "
            "holds only what was not acknowledged: read the hub's log instead, with --via http"
        )
    return stands


def _first(raw: bytes) -> int:
    """The message's first sequence as it says; 0 if it is none: the runner judges it."""
    try:
        return int(wire.SEALED_DELIVERIES.unsingle(raw)["first_sequence"])
    except AvroError:
        return 0


def _not_durable(connection: Any, record: Any) -> None:  # noqa: ARG001
    connection.execute("PRAGMA synchronous=OFF")
