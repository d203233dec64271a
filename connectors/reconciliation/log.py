"""What reconciliations found and did, in the partner's own database: `nrm_reconciliation`.

One row for each pass (`cause` is "compared", `table_name` empty, `columns` how many rows), and one
for each difference. References, table and column names; never what a row holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.tables.ledger_tables import BIG, TABLE, TEXT, instant

PASS = "compared"  # noqa: S105 - the cause of a pass's own row
OUTCOMES = {
    "found": "named, not repaired",
    "repaired": "made as it was delivered",
    "moved_on": "a later delivery changed the event meanwhile: reconcile again",
    "by_hand": "only a person can tell what is right: see docs/reconcile.md",
}


@dataclass(frozen=True, slots=True)
class Logged:
    """One difference and what became of it. outcome: a key of OUTCOMES."""

    table: str
    ref: str
    cause: str
    columns: Sequence[str]
    outcome: str


class ReconciliationLog:
    """The table, and how rows get into it."""

    def __init__(self, metadata: sa.MetaData) -> None:
        ref = sa.String(100)
        self.table = sa.Table(
            "nrm_reconciliation",
            metadata,
            sa.Column("id", BIG, primary_key=True, autoincrement=True),
            sa.Column("at", sa.String(40), nullable=False),
            sa.Column("sequence", sa.BigInteger, nullable=False),
            sa.Column("table_name", ref, nullable=False),
            sa.Column("ref", ref, nullable=False, index=True),
            sa.Column("cause", sa.String(32), nullable=False),
            sa.Column("columns", TEXT, nullable=False),
            sa.Column("outcome", sa.String(16), nullable=False),
            **TABLE,
        )

    def passed(self, db: Connection, at: datetime, sequence: int, rows: int) -> None:
        """That a pass compared so many rows, as of a delivery."""
        self._insert(db, [self._row(at, sequence, Logged("", "", PASS, [str(rows)], "found"))])

    def tell(self, db: Connection, at: datetime, sequence: int, logged: Sequence[Logged]) -> None:
        self._insert(db, [self._row(at, sequence, one) for one in logged])

    def _insert(self, db: Connection, rows: list[dict[str, Any]]) -> None:
        if rows:
            db.execute(self.table.insert(), rows)

    @staticmethod
    def _row(at: datetime, sequence: int, one: Logged) -> dict[str, Any]:
        return {
            "at": instant(at),
            "sequence": sequence,
            "table_name": one.table,
            "ref": one.ref,
            "cause": one.cause,
            "columns": ", ".join(one.columns),
            "outcome": one.outcome,
        }
