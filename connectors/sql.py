"""The SQL sink: deliveries become rows of the partner's database, in its own transaction.

The last stop but one on the road of an event. What happens in the transaction is told in
`connectors/landing.py` and `connectors/effects.py`; what the rows look like in
`connectors/tables/default.py` (nothing configured) and `connectors/tables/mapped.py` (a mapping
file); this file brings the database.

Works on SQLite, PostgreSQL and MariaDB (`database/engines.py`). Outages are SinkDownError and
are waited out; a row the database will never take (constraint, type, length) is SinkRefusedError
and is quarantined.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy import Connection, exc

from connectors.database.ddl import ensure
from connectors.database.engines import open_engine, translated
from connectors.database.transactional import to_innodb, without_transactions
from connectors.delivery import Arrived, Poison
from connectors.effects import Projection, Work
from connectors.errors import SettingsError, SinkDownError, SinkRefusedError
from connectors.findings import Finding
from connectors.landing import LandingSink
from connectors.ledger import Ledger
from connectors.reconciliation.log import ReconciliationLog
from connectors.sink import RecallPolicy
from connectors.tables.default import DefaultTables
from connectors.tables.writers import unnamed
from schemas.registry import Schemas

if TYPE_CHECKING:
    from connectors.mapping import Mapping
    from connectors.tables.mapped import MappedTables


class SqlDatabase:
    """Transactions on one partner database."""

    def __init__(self, url: str) -> None:
        """SettingsError if the URL is not one of a database we know."""
        self.engine = open_engine(url)
        self.url = sa.make_url(url)
        self._to_wipe = False

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with translated(), self.engine.begin() as db:
            yield db

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        with translated(), self.engine.connect().execution_options(nrm_reading=True) as db:
            yield db

    def wipe(self, removed: bool) -> None:
        """After content was removed: it must not stay readable in SQLite's write-ahead log.

        A reader can hold the log; then it is tried again at the next call, whatever that is for.
        PostgreSQL's own log is its operator's to retain or not.
        """
        self._to_wipe = self._to_wipe or removed
        if not self._to_wipe or self.engine.dialect.name != "sqlite":
            return
        with translated():
            raw = self.engine.raw_connection()
            try:
                row = raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
                self._to_wipe = bool(row and row[0])  # 1: somebody was in the way
            except sqlite3.Error as wrong:  # of the driver's own: its disk is full, perhaps
                raise exc.OperationalError("wal_checkpoint", None, wrong) from None
            finally:
                raw.close()

    def close(self) -> None:
        self.engine.dispose()


class SqlSink(LandingSink):
    """Sink over an SQL database: default tables, mapped tables, or both."""

    def __init__(
        self,
        url: str,
        agency: str,
        hub: str,
        *,
        schemas: Schemas | None = None,
        mapping: Mapping | None = None,
        recalls: RecallPolicy | None = None,
        db_schema: str | None = None,
    ) -> None:
        """db_schema: where our own tables go on PostgreSQL; the database's default if None."""
        self.database = SqlDatabase(url)
        self.db_schema = db_schema
        self._metadata = sa.MetaData(schema=db_schema)
        schemas = schemas or Schemas.load()
        projections: list[Projection] = []
        self.tables = DefaultTables(
            self.database,
            self._metadata,
            schemas,
            leave_out=mapping.without_default_table(schemas.types()) if mapping else (),
        )
        projections.append(self.tables)
        self.mapped: MappedTables | None = None
        if mapping is not None:
            from connectors.tables.mapped import MappedTables

            self.mapped = MappedTables(self.database, self._metadata, mapping, schemas)
            projections.append(self.mapped)
        self.ledger = Ledger(agency, hub, self._metadata)
        self.reconciliations = ReconciliationLog(self._metadata)
        super().__init__(self.database, self.ledger, projections, recalls)

    def prepare(self) -> None:
        """Make our tables; check the mapping against the partner's."""
        try:
            with self.database.writing() as db:
                ensure(db, self.own_tables())
        except SinkRefusedError:  # PostgreSQL, when two make the same table at the same moment
            raise SinkDownError("another process makes the tables just now: wait for it") from None
        self.database.wipe(True)  # a process may have died between a recall's commit and this
        self._keeps_transactions()
        if self.mapped is not None:
            self.mapped.check()
        self._reaches_all()

    def _keeps_transactions(self) -> None:
        """SettingsError if a table of ours was moved to where nothing can be rolled back."""
        with self.database.reading() as db:
            found = self.outside_transactions(db)
        if found:
            raise SettingsError(
                f"{', '.join(sorted(found))}: kept by an engine without transactions, so a row "
                "would stay although its delivery failed; run: "
                + " ".join(f"{one};" for one in found.values())
            )

    def outside_transactions(self, db: Connection) -> dict[str, str]:
        """Tables of ours that are outside transactions → what puts them right. MariaDB only."""
        if db.dialect.name != "mariadb":
            return {}
        kinds = [self.tables.whole_layout(kind).table for kind in self.tables.kinds()]
        names = [one.fullname for one in (*self.own_tables(), *kinds)]
        return {name: to_innodb(db, name) for name in without_transactions(db, names)}

    def _reaches_all(self) -> None:
        """SettingsError if a mapping no longer names, or there is none for, what it once filled."""
        named = self.mapped.names if self.mapped is not None else ()
        with self.database.reading() as db:
            lost = unnamed(db, self.db_schema, named)
        if lost:
            raise SettingsError(
                f"deliveries filled rows of {', '.join(lost)}, which no mapping names any more, so "
                "no recall would reach them: name the mapping file in sink.mapping again, with its "
                "[[map]]. Where such a table is gone for good, take its rows out of nrm_mapped"
            )

    def own_tables(self) -> list[sa.Table]:
        """Books, timeline and cases: everything of ours but the tables of event types."""
        return list(self._metadata.sorted_tables)

    def check(self) -> list[Finding]:
        """What an operator should know before anything flows."""
        from connectors.database.check import checked

        return checked(self)

    def close(self) -> None:
        self.database.close()

    def _work(self, db: Connection, items: Sequence[Arrived | Poison], at: datetime) -> Work:
        """Whoever deletes our holdings by hand must not keep what is recalled: what the timeline,
        or else the event's own row, says of a recalled event counts as held."""
        work = super()._work(db, items, at)
        recalled = {
            ref
            for item in items
            if isinstance(item, Arrived) and item.recall is not None
            for ref, _ in item.recall.items
        }
        there = self.tables.entries.shown(db, recalled)
        there |= self.tables.standing(db, recalled - set(there) - set(work.held))
        for ref, shown in there.items():
            held = work.held.setdefault(ref, shown)
            held.bases.update({c: "" for c in shown.bases if c not in held.bases})
            held.since.update({c: n for c, n in shown.since.items() if c not in held.since})
        return work

    def _committed(self, recalled: bool) -> None:
        self.database.wipe(recalled)
