"""The ledger: the connector's bookkeeping, written in the partner's transaction.

Here position and generation, and the receipts owed. What is held (`holdings.py`), what corrects it
(`corrections.py`) and what was set aside (`quarantine.py`) are books of their own; all their tables
are in `connectors/tables/ledger_tables.py`. Every method takes the open connection: the caller's
transaction decides.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.corrections import Corrections
from connectors.errors import FencedError, SettingsError
from connectors.holdings import Holdings
from connectors.quarantine import Quarantine
from connectors.sink import OwedReceipt, Position, ReceiptException
from connectors.tables.as_written import as_written
from connectors.tables.bulk import chunks
from connectors.tables.ledger_tables import LedgerTables, from_instant, instant

LAYOUT: Final = 1


class Ledger(LedgerTables):
    """What is written to and read from the ledger's tables."""

    def __init__(self, agency: str, hub: str, metadata: sa.MetaData) -> None:
        super().__init__(agency, hub, metadata)
        self.holdings = Holdings(self)
        self.corrections = Corrections(self)
        self.set_aside = Quarantine(self)
        # Asked twice in every round, also where nothing comes: built once.
        unsent = self.outbox.c.sent_at.is_(None)
        most = sa.bindparam("most", type_=sa.Integer)
        self._owed = sa.select(self.outbox).where(unsent).order_by(self.outbox.c.id).limit(most)

    # -- state -----------------------------------------------------------------------------

    @as_written
    def claim(self, db: Connection, at: datetime) -> int:
        """A new generation for this agency's row; makes the row at first."""
        row = self._row(db)
        for other in db.execute(sa.select(self.state.c.hub)).scalars():  # of whatever agency
            if other != self._hub:
                raise SettingsError(
                    f"this database holds deliveries of hub {other!r}, the identity is enrolled "
                    f"with {self._hub!r}: use another database"
                )
        if row is None:
            # One set of books: another agency's receipts would be signed as this one's.
            owner = db.execute(sa.select(self.state.c.agency)).scalars().first()
            if owner is not None:
                raise SettingsError(
                    f"this database holds the books of {owner!r}, the identity is "
                    f"{self._agency!r}'s: use another database, or another sink.db_schema"
                )
            db.execute(
                self.state.insert().values(
                    agency=self._agency,
                    hub=self._hub,
                    layout=LAYOUT,
                    last_sequence=0,
                    cursor="",
                    generation=1,
                    updated_at=instant(at),
                )
            )
            return 1
        if row.layout != LAYOUT:
            raise SettingsError(
                f"the connector tables have layout {row.layout}, this version writes {LAYOUT}: "
                "run the version that made them, or use another database"
            )
        generation = int(row.generation) + 1
        db.execute(self._mine(self.state.update()).values(generation=generation))
        return generation

    @as_written
    def fence(self, db: Connection, generation: int) -> Position:
        """Where we are, the row locked; FencedError if another runner has claimed since."""
        row = self._row(db)
        if row is None or row.generation != generation:
            raise FencedError(
                "another runner has taken over this partner database; this one has stopped. "
                "If that was not meant, stop one of the two and start the other again"
            )
        return Position(int(row.last_sequence), row.cursor)

    def lock(self, db: Connection) -> None:
        """Wait for the runner's transaction, and keep it waiting until this one ends."""
        self._row(db)

    @as_written
    def position(self, db: Connection) -> Position:
        row = db.execute(
            sa.select(self.state.c.last_sequence, self.state.c.cursor).where(
                self.state.c.agency == self._agency
            )
        ).one_or_none()
        return Position() if row is None else Position(int(row.last_sequence), row.cursor)

    @as_written
    def last_success(self, db: Connection) -> datetime | None:
        query = sa.select(self.state.c.updated_at).where(
            self.state.c.agency == self._agency, self.state.c.last_sequence > 0
        )
        told = db.execute(query).scalar()
        return None if told is None else from_instant(told)

    def advance(self, db: Connection, position: Position, at: datetime) -> None:
        db.execute(
            self._mine(self.state.update()).values(
                last_sequence=position.sequence, cursor=position.cursor, updated_at=instant(at)
            )
        )

    def _row(self, db: Connection) -> Any:
        # with_for_update is ignored by SQLite, where the transaction itself is exclusive.
        query = sa.select(self.state).where(self.state.c.agency == self._agency)
        return db.execute(query.with_for_update()).one_or_none()

    def _mine(self, statement: Any) -> Any:
        return statement.where(self.state.c.agency == self._agency)

    # -- receipts --------------------------------------------------------------------------

    def owe(
        self,
        db: Connection,
        first: int,
        last: int,
        exceptions: Sequence[ReceiptException],
        at: datetime,
    ) -> None:
        listed = [[e.sequence, e.outcome, e.recall_ref, e.detail] for e in exceptions]
        db.execute(
            self.outbox.insert().values(
                first_sequence=first,
                last_sequence=last,
                applied_at=instant(at),
                exceptions=json.dumps(listed),
            )
        )

    def owe_again(self, db: Connection, first: int, last: int) -> None:
        """The hub sent these again, so it lacks their receipts.

        A receipt is of a run of deliveries. With it go those that tell what became of any of the
        run since: else the hub would hear once more that one was set aside, and not of the end.
        """
        mine = self.outbox.c
        while True:
            among = (mine.first_sequence <= last, mine.last_sequence >= first)
            runs = sa.func.min(mine.first_sequence), sa.func.max(mine.last_sequence)
            lowest, highest = db.execute(sa.select(*runs).where(*among)).one()
            if lowest is None or (lowest >= first and highest <= last):
                break
            first, last = min(first, lowest), max(last, highest)
        db.execute(self.outbox.update().where(*among).values(sent_at=None))

    @as_written
    def owed(self, db: Connection, limit: int) -> list[OwedReceipt]:
        rows = db.execute(self._owed, {"most": limit})
        return [
            OwedReceipt(
                int(row.id),
                int(row.first_sequence),
                int(row.last_sequence),
                from_instant(row.applied_at),
                [ReceiptException(*entry) for entry in json.loads(row.exceptions)],
            )
            for row in rows
        ]

    def sent(self, db: Connection, ids: Sequence[int], at: datetime) -> None:
        for chunk in chunks(ids):
            db.execute(
                self.outbox.update().where(self.outbox.c.id.in_(chunk)).values(sent_at=instant(at))
            )
