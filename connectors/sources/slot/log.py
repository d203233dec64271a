"""The log: which rows of the agency's tables were touched, told by PostgreSQL itself.

    the server's log ── slot, peek ──→ keys in the state file ── looked at ──→ outbox
                            ↑ advance, once they are there

What the log is asked is which rows to look at; what a row says is read from its table, as in the
other ways. So an overwritten value, a code or the case of another table is read in one manner, a
row met twice states nothing, and what the log tells again after a crash does no harm.

Promises
- The slot is moved only behind what a transaction of the state file has: killed anywhere, the
  same keys come again.
- The log is taken in also while the hub is away or rows are refused. Keys wait in the state file,
  each once, so the server never keeps its log for the hub's sake.
- A transaction is accepted when reads see it, in the order of commits. However long it is, it is
  streamed, and little of it is held at once.
- Where the log cannot tell (a slot made anew, moved by somebody else, a database put back, a table
  truncated, a key that is not in the log) all rows of the map are compared.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from psycopg.adapt import Transformer
from psycopg.pq import Format
from sqlalchemy import Connection

from connectors import crash
from connectors.findings import Finding
from connectors.sources.changes.check import table_findings
from connectors.sources.changes.mapping import ChangesMapping, EventMap
from connectors.sources.changes.tables import key_text
from connectors.sources.database import SourceDatabase
from connectors.sources.slot.check import KEPT_FIX, MIB, kept_text, slot_findings, too_much
from connectors.sources.slot.ddl import quoted
from connectors.sources.slot.messages import Begun, Committed, Emptied, Touched, changes
from connectors.sources.slot.slot import Slot, Standing
from connectors.sources.usable import refuse

log = logging.getLogger(__name__)

MOST_KEPT: Final = 1024 * MIB
_MESSAGES: Final = 10_000  # of one peek, before no further transaction begins
_BATCH: Final = 500  # keys written at once
_APART: Final = MIB  # of log in which nothing was for us, before the slot is moved over it

_META: Final = sa.MetaData()
_WAITING: Final = sa.Table(
    "nrm_waiting",
    _META,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("map", sa.Text, nullable=False),
    sa.Column("pk", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.UniqueConstraint("map", "pk"),
)
_SLOT: Final = sa.Table(
    "nrm_slot",
    _META,
    sa.Column("slot", sa.Text, primary_key=True),
    sa.Column("taken", sa.BigInteger, nullable=False),
    sa.Column("tells", sa.Text, nullable=False),
)


class ChangeLog:
    """What was touched, for the captured maps. Every call with `db` is in a transaction of the
    state file, `theirs` is one view of the agency's database."""

    def __init__(
        self,
        database: SourceDatabase,
        mapping: ChangesMapping,
        slot: str,
        *,
        most_kept: int = MOST_KEPT,
        messages: int = _MESSAGES,
    ) -> None:
        """most_kept: bytes of log kept for the slot, beyond which there is an alarm."""
        self._database = database
        self._mapping = mapping
        self._slot = Slot(slot)
        self._most_kept = most_kept
        self._messages = messages
        self._standing: Standing | None = None
        self.behind = False  # whether there is more log than one peek takes
        self._read_to = (-1, -1)  # ends of the log and of what was kept of it, when all was read

    @staticmethod
    def prepare(db: Connection) -> None:
        _META.create_all(db)

    def findings(self, theirs: Connection) -> list[Finding]:
        """What is missing for following the log, and what somebody should look at."""
        return list(slot_findings(theirs, self._slot, self._mapping, self._most_kept))

    def advance(self, db: Connection) -> None:
        """Move the slot behind what is in the state file."""
        taken, tells = self._place(db)
        if tells:
            with self._database.writing() as theirs:
                standing = self._slot.standing(theirs)
                if standing.tells == tells and standing.confirmed < taken <= standing.flushed:
                    self._slot.advance(theirs, taken)
                    crash.point("source_after_advance")

    def listen(self, db: Connection, theirs: Connection) -> list[str]:
        """Note what was touched; the maps of which all rows have to be compared."""
        standing = self._standing = self._slot.standing(theirs)
        taken, tells = self._place(db)
        compare: set[str] = set()
        if tells != standing.tells or not standing.confirmed <= taken <= standing.flushed:
            if tells:
                log.warning("%s is not as it was left: all rows are compared", self._slot.name)
                refuse([*table_findings(theirs, self._mapping), *self.findings(theirs)])
            compare.update(one.label for one in self._mapping.maps)
            taken = standing.confirmed
            self._keep_place(db, taken, standing.tells)
        if self._read_to == (standing.flushed, taken):  # nothing was written since
            return sorted(compare)
        reading = _Reading(db, theirs, self._mapping.maps, standing)
        reached = reading.all(self._slot.peek(theirs, standing.flushed, self._messages))
        self.behind = not reading.unseen and reading.count >= self._messages
        whole = not reading.unseen and not self.behind
        apart = 0 if standing.kept > self._most_kept else _APART
        if whole and standing.flushed - max(taken, reached) > apart:
            reached = standing.flushed
        taken = max(taken, reached)
        self._keep_place(db, taken, standing.tells)
        if whole:
            self._read_to = (standing.flushed, taken)
        crash.point("source_after_listen")
        return sorted(compare | reading.compare)

    def waiting(self, db: Connection, label: str, limit: int) -> list[tuple[str, datetime]]:
        """Keys of rows to be looked at, longest first, and when they were last touched. They wait
        no longer."""
        wanted = sa.select(_WAITING.c.id, _WAITING.c.pk, _WAITING.c.at)
        wanted = wanted.where(_WAITING.c.map == label).order_by(_WAITING.c.id).limit(limit)
        rows = db.execute(wanted).all()
        db.execute(sa.delete(_WAITING).where(_WAITING.c.id.in_([row.id for row in rows])))
        return [(row.pk, datetime.fromisoformat(row.at)) for row in rows]

    def note(self, db: Connection) -> str:
        with self._database.reading() as theirs:
            standing = self._slot.find(theirs)
        count = db.execute(sa.select(sa.func.count()).select_from(_WAITING)).scalar_one()
        wrong = self._slot.wrong(standing)
        text = wrong[0] if wrong else ""
        if standing is not None and wrong is None:
            text = kept_text(self._slot.name, standing)
        return f"{text}; {count} touched rows wait to be looked at"

    def alarms(self) -> Mapping[str, str]:
        found = self._standing
        if found is None or not too_much(found, self._most_kept):
            return {}
        return {"log_kept": f"{kept_text(self._slot.name, found)}: {KEPT_FIX}"}

    def _place(self, db: Connection) -> tuple[int, str]:
        """How far the log is in the state file, and what told it; "" before the first time."""
        row = db.execute(sa.select(_SLOT).where(_SLOT.c.slot == self._slot.name)).one_or_none()
        return (row.taken, row.tells) if row is not None else (0, "")

    def _keep_place(self, db: Connection, taken: int, tells: str) -> None:
        if self._place(db) == (taken, tells):
            return
        db.execute(sa.delete(_SLOT).where(_SLOT.c.slot == self._slot.name))
        db.execute(sa.insert(_SLOT).values(slot=self._slot.name, taken=taken, tells=tells))


class _Reading:
    """Goes through the messages of one peek. compare: maps of which a row's key is not told.
    unseen: it ended before a transaction that reads do not see yet. count: of messages."""

    def __init__(
        self, db: Connection, theirs: Connection, maps: Sequence[EventMap], standing: Standing
    ) -> None:
        self._db = db
        self._standing = standing
        self._maps = _by_table(theirs, maps)
        # The driver's own reading of texts, so that a key is what a row read from its table gives.
        self._types = Transformer(theirs.connection.driver_connection)
        self._keys: dict[tuple[str, str], str] = {}
        self.compare: set[str] = set()
        self.unseen = False
        self.count = 0

    def all(self, messages: Any) -> int:
        """Where the last whole transaction ends; 0 if there was none."""
        reached, at = 0, ""
        for change in changes(self._counted(messages)):
            if isinstance(change, Begun):
                if not self._standing.sees(change.xid):
                    self.unseen = True
                    break
                at = change.at.isoformat()
            elif isinstance(change, Touched):
                for one in self._maps.get(change.table, ()):
                    self._touched(one, change, at)
            elif isinstance(change, Emptied):
                self.compare.update(one.label for one in self._maps.get(change.table, ()))
            elif isinstance(change, Committed):
                reached = change.end
        self._write()
        return reached

    def _counted(self, messages: Any) -> Any:
        for self.count, message in enumerate(messages, start=1):
            yield message

    def _touched(self, one: EventMap, change: Touched, at: str) -> None:
        key = []
        for name in one.key:
            kind, text = change.cells.get(name, (0, None))
            if text is None:
                self.compare.add(one.label)
                return
            key.append(self._types.get_loader(kind, Format.TEXT).load(text))
        self._keys[one.label, key_text(key)] = at
        if len(self._keys) >= _BATCH:
            self._write()

    def _write(self) -> None:
        """A row that waits already goes on waiting where it stands."""
        rows = [{"map": label, "pk": pk, "at": at} for (label, pk), at in self._keys.items()]
        if rows:
            self._db.execute(sa.insert(_WAITING).prefix_with("OR IGNORE"), rows)
        self._keys.clear()


def _by_table(theirs: Connection, maps: Sequence[EventMap]) -> dict[int, list[EventMap]]:
    """The maps of each table, by its OID: names may be found by the search path."""
    found: dict[int, list[EventMap]] = {}
    names = {one.table: quoted(one.table) for one in maps}
    for table, name in names.items():
        oid = theirs.execute(sa.text("SELECT to_regclass(:name)::oid"), {"name": name}).scalar()
        if oid is not None:
            found[oid] = [one for one in maps if one.table == table]
    return found
