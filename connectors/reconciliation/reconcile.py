"""Reconcile: the partner's tables against what was delivered, while the connector runs.

    1  the messages are read again into a copy, up to where the partner is   replay.py
    2  one snapshot of the partner's database; the copy is brought exactly there
    3  row by row: missing, altered, added, holding without row, row without holding
    4  the copy is brought on as far as there are messages: what a later recall takes away anyway
       is no difference
    5  what is left is told, and logged in nrm_reconciliation
    6  on approval it is repaired                                           repair.py

Nothing is told of what a row holds. Differences wait in a file beside the copy, so memory is flat
however many there are. The copy holds content: it lies in a folder only this user may read, and is
removed at the end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import Inbox
from connectors.agency.registry_cache import RegistryCache
from connectors.errors import RetryError
from connectors.holdings import Held
from connectors.mapping import Mapping
from connectors.reconciliation.compared import Comparison, Difference, Sides
from connectors.reconciliation.compared_mapped import MappedComparison, make_tables
from connectors.reconciliation.compared_restricted import restricted_differences
from connectors.reconciliation.log import Logged
from connectors.reconciliation.replay import CopySink, replayed
from connectors.sink import RecallPolicy
from connectors.sql import SqlDatabase, SqlSink
from schemas.registry import Schemas

_CHUNK: Final = 400


@dataclass(frozen=True)
class Compared:
    """What one pass found. sequence: the delivery as of which; rows: read at the partner's side;
    kept: rows of which something is kept on an own basis, which cannot be told."""

    sequence: int
    rows: int
    kept: int
    causes: Counter[str]

    @property
    def equal(self) -> bool:
        return not self.causes


class Differences:
    """The differences of a pass, in a file. Names and references only."""

    def __init__(self, path: Path) -> None:
        self._database = SqlDatabase(f"sqlite:///{path}")
        text = sa.Text
        self._table = sa.Table(
            "difference",
            sa.MetaData(),
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("table_name", text, nullable=False),
            sa.Column("ref", text, nullable=False, index=True),
            sa.Column("cause", text, nullable=False),
            sa.Column("columns", text, nullable=False),
            sa.Column("row", text, nullable=False),
        )
        with self._database.writing() as db:
            self._table.drop(db, checkfirst=True)
            self._table.create(db)

    def keep(self, found: Iterator[Difference]) -> None:
        with self._database.writing() as db:
            for one in found:
                values = {
                    "table_name": one.table,
                    "ref": one.ref,
                    "cause": one.cause,
                    "columns": ",".join(one.columns),
                    "row": one.row,
                }
                db.execute(self._table.insert().values(values))

    def pages(self) -> Iterator[list[Difference]]:
        """In order of what they are about, so that all of one event stand together."""
        t = self._table.c
        last = ("", 0)
        while True:
            later = sa.or_(t.ref > last[0], sa.and_(t.ref == last[0], t.id > last[1]))
            query = sa.select(self._table).where(later).order_by(t.ref, t.id).limit(_CHUNK)
            with self._database.reading() as db:
                page = db.execute(query).all()
            if not page:
                return
            yield [
                Difference(
                    row.table_name, row.ref, row.cause, tuple(filter(None, row.columns.split(","))),
                    row.row,
                )
                for row in page
            ]  # fmt: skip
            last = (page[-1].ref, page[-1].id)

    def tables(self) -> set[str]:
        with self._database.reading() as db:
            return set(db.execute(sa.select(self._table.c.table_name).distinct()).scalars())

    def drop(self, refs: set[str]) -> None:
        with self._database.writing() as db:
            db.execute(self._table.delete().where(self._table.c.ref.in_(refs)))

    def counted(self) -> Counter[str]:
        query = sa.select(self._table.c.cause, sa.func.count()).group_by(self._table.c.cause)
        with self._database.reading() as db:
            return Counter({cause: int(count) for cause, count in db.execute(query)})

    def close(self) -> None:
        self._database.close()


class Reconciliation:
    """One partner's tables held against the messages read again."""

    def __init__(
        self,
        partner: SqlSink,
        inbox: Inbox,
        identity: AgencyIdentity,
        scratch: Path,
        *,
        mapping: Mapping | None = None,
        recalls: RecallPolicy | None = None,
        registry: RegistryCache | None = None,
        schemas: Schemas | None = None,
        copy_url: str | None = None,
        told: Callable[[int], None] = lambda sequence: None,  # noqa: ARG005
    ) -> None:
        """scratch: an empty folder for the copy. copy_url: where the copy is to be kept instead."""
        self.partner = partner
        self._inbox = inbox
        self._identity = identity
        self._registry = registry
        self.schemas = schemas or Schemas.load()
        self._told = told
        with partner.database.reading() as db:
            self._set_aside = partner.ledger.set_aside.unapplied(db)
        self.copy = CopySink(
            copy_url or f"sqlite:///{scratch}/copy.db",
            identity.agency,
            identity.hub.hub,
            mapping=mapping,
            recalls=recalls,
            schemas=schemas,
            set_aside=self._set_aside,
            ready=self._make_mapped,
            passing=copy_url is None,
        )
        self.differences = Differences(scratch / "differences.db")
        self.sequence = 0

    def compare(self) -> Compared:
        """Steps 1 to 4. RetryError or StopError if the messages cannot be had."""
        self.copy.prepare()
        self._bring(self.partner.position().sequence)
        with self.partner.database.reading() as theirs:
            _one_moment(theirs)
            self.sequence = self.partner.ledger.position(theirs).sequence
            unapplied = self.partner.ledger.set_aside.unapplied(theirs)
            if not self._set_aside <= unapplied:
                raise RetryError("something came out of quarantine meanwhile: reconcile again")
            self.copy.set_aside(unapplied)
            self._bring(self.sequence)
            with self.copy.database.reading() as ours:
                sides = Sides(self.partner, theirs, self.copy, ours)
                default = Comparison(sides)
                self.differences.keep(default.differences())
                self.differences.keep(restricted_differences(sides))
                rows = default.rows
                if self.partner.mapped is not None and self.copy.mapped is not None:
                    mapped = MappedComparison(sides, self.partner.mapped, self.copy.mapped)
                    self.differences.keep(mapped.differences())
                    rows += mapped.rows
        self._bring(None)
        self._drop_recalled_since()
        return Compared(self.sequence, rows, default.kept, self.differences.counted())

    def log(self, compared: Compared, at: datetime) -> None:
        """Step 5, when nothing is repaired."""
        with self.partner.database.writing() as db:
            self.partner.reconciliations.passed(db, at, compared.sequence, compared.rows)
        for page in self.differences.pages():
            told = [Logged(d.table, d.ref, d.cause, d.columns, "found") for d in page]
            with self.partner.database.writing() as db:
                self.partner.reconciliations.tell(db, at, compared.sequence, told)

    def close(self) -> None:
        self.differences.close()
        self.copy.close()

    def _bring(self, until: int | None) -> None:
        replayed(
            self.copy,
            self._inbox,
            self._identity,
            self._registry,
            until=until,
            schemas=self.schemas,
            told=self._told,
        )

    def _make_mapped(self, copy: CopySink) -> None:
        if self.partner.mapped is not None:
            make_tables(self.partner.mapped, copy)

    def _drop_recalled_since(self) -> None:
        """The hub no longer seals what is recalled, so the copy lacks what the partner still has
        until the recall reaches it: no difference of the partner's."""
        t = self.copy.ledger.tombstone.c
        for page in list(self.differences.pages()):
            refs = {one.ref for one in page}
            query = sa.select(t.event_ref).where(t.event_ref.in_(refs), t.sequence > self.sequence)
            with self.copy.database.reading() as db:
                recalled = set(db.execute(query).scalars())
            recalled |= self._untold(refs)
            if recalled:
                timeline = self.partner.tables.timeline.c
                cases = sa.select(timeline.case_ref).where(timeline.event_ref.in_(recalled))
                with self.partner.database.reading() as db:
                    recalled |= set(db.execute(cases).scalars())
                self.differences.drop(recalled)

    def _untold(self, refs: set[str]) -> set[str]:
        """Of these events, those the partner holds more of than the hub can still tell: the person
        was erased, or it is recalled and the recall has not been sent yet. What a recall that was
        applied took back is no such thing: somebody brought it back."""
        u = self.copy.untold.c
        with self.copy.database.reading() as db:
            asked = set(db.execute(sa.select(u.event_ref).where(u.event_ref.in_(refs))).scalars())
            ours = self.copy.ledger.holdings.held(db, asked)
            gone = self.copy.ledger.holdings.tombstones(db, asked)
        with self.partner.database.reading() as db:
            theirs = self.partner.ledger.holdings.held(db, asked)
        nothing = Held()
        return {
            ref
            for ref in asked
            for category, since in theirs.get(ref, nothing).since.items()
            if category not in ours.get(ref, nothing).bases
            and since > gone.get((ref, category), -1)
        }


def _one_moment(db: Connection) -> None:
    """All that is read next is as of one moment. SQLite's transactions are so anyway."""
    if db.dialect.name in ("postgresql", "mariadb"):
        options: dict[str, Any] = {"isolation_level": "REPEATABLE READ"}
        db.execution_options(**options)
