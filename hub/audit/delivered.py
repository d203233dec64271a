"""Delivered: who was sent what and what came back, as of a position, found by decision or by case.

A fold of the recipients' delivery logs and receipts, kept in a file of its own beside what is being
written, so that memory stays flat however long the log is. It holds what the log holds about
deliveries: no content. Begun again after an interruption, it goes on where it was.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from hub.audit.in_force import TOPICS, InForce
from hub.audit.walk import pages
from hub.errors import Refused
from hub.store import events as stored
from hub.store.log import HubLog
from schemas import wire
from schemas.avro import AvroError

READ: Final = TOPICS | {one.TOPIC for one in (stored.Sending, stored.Received, stored.HeldBack)}
NOT_APPLIED: Final = "quarantined"

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS sent (
  agency text, sequence integer, position integer, kind text, case_id blob, about integer,
  decision integer, items text, attested integer, turn integer, answered integer, outcomes text,
  PRIMARY KEY (agency, sequence)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS sent_by_decision ON sent (decision);
CREATE INDEX IF NOT EXISTS sent_by_case ON sent (case_id, agency, turn);
CREATE TABLE IF NOT EXISTS recalled (
  agency text, event text, category text, sequence integer, position integer,
  PRIMARY KEY (agency, event, category, sequence)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS held (
  agency text, event text, category text, position integer,
  PRIMARY KEY (agency, event, category, position)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (name text, place text, text blob, PRIMARY KEY (name, place))
  WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stands (name text PRIMARY KEY, value integer) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """One delivery. about: position of the event; outcomes: [outcome, detail] of the receipt.

    attested: whether it goes out on the hub's word. answered: position of the receipt that says it
    was taken in; 0: none does. turn: its place in the order in which its recipient applied them.
    """

    agency: str
    sequence: int
    position: int
    kind: str
    case_id: bytes
    about: int
    decision: int
    items: dict[str, Any]
    attested: bool
    turn: int
    answered: int
    outcomes: tuple[tuple[str, str], ...]


class Delivered:
    """The fold. `agency`: of one recipient only."""

    def __init__(self, path: Path | str, log: HubLog, end: int, agency: str | None = None) -> None:
        """ ":memory:" or a file, which is made; one that is there is gone on with."""
        self._path, self._log, self.end, self._agency = path, log, end, agency
        self._db = sqlite3.connect(path, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_TABLES)
        except sqlite3.DatabaseError as wrong:
            self.__exit__(type(wrong), wrong)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _type: object = None, wrong: object = None, _trace: object = None) -> None:
        """Refused(spool_unreadable) for a file that was cut short or is none of ours."""
        self._db.close()
        if isinstance(wrong, sqlite3.DatabaseError):
            if wrong.sqlite_errorcode in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path)) from wrong
            if wrong.sqlite_errorcode in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
                raise Refused(
                    0,
                    "spool_unreadable",
                    f"{self._path} cannot be used: remove it (it is made again from the log), with "
                    "the .part and .mark beside it, and run the same command again",
                ) from wrong
            raise wrong

    # -- reading the log -----------------------------------------------------------------------

    def read(self) -> Iterator[int]:
        """Fold up to `end`; yields the positions reached."""
        after, turn = self.stands("position"), self.stands("turn")
        in_force = InForce.at(self._log, after)
        for reached, rows in pages(self._log, after, self.end, READ):
            self._db.execute("BEGIN")
            for row in rows:
                event = row.event
                in_force.apply(row.position, event)
                if self._agency not in (None, getattr(event, "agency", self._agency)):
                    continue
                if isinstance(event, stored.Sending):
                    self._sent(row.position, event, in_force)
                elif isinstance(event, stored.Received):
                    turn = self._received(row.position, event, turn)
                elif isinstance(event, stored.HeldBack):
                    self._held(row.position, event)
            self.stand("position", reached)
            self.stand("turn", turn)
            self._db.execute("COMMIT")
            yield reached

    def _sent(self, position: int, event: stored.Sending, in_force: InForce) -> None:
        party = in_force.parties.get(event.agency)
        attested = party is not None and in_force.profile.evidence_for(party.role) == "hub"
        self._db.execute(
            "INSERT INTO sent VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, '[]')",
            (
                event.agency,
                event.originator_version,
                position,
                event.kind,
                event.case_id,
                event.event_position,
                event.decision,
                event.items.decode(),
                int(attested),
            ),
        )
        if event.kind == "recall":
            self._db.executemany(
                "INSERT OR REPLACE INTO recalled VALUES (?, ?, ?, ?, ?)",
                [
                    (event.agency, about, category, event.originator_version, position)
                    for about, categories in json.loads(event.items)["items"]
                    for category in categories
                ],
            )

    def _held(self, position: int, event: stored.HeldBack) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO held VALUES (?, ?, ?, ?)",
            [
                (event.agency, about, category, position)
                for about, categories in json.loads(event.items).items()
                for category in categories
            ],
        )

    def _received(self, position: int, event: stored.Received, turn: int) -> int:
        """What a receipt says, delivery by delivery, in the order the partner applied them."""
        try:
            told = wire.RECEIPT.unsingle(event.receipt)["exceptions"]
        except AvroError:  # verified before it was recorded; conservation names it
            return turn
        lines: dict[int, list[tuple[str, str]]] = {}
        for one in told:
            line = (str(one["outcome"]), str(one["detail"] or ""))
            lines.setdefault(one["sequence"], []).append(line)
        covered = range(event.first_sequence, event.last_sequence + 1)
        for sequence in sorted({*covered, *lines}):
            said = lines.get(sequence, [])
            if any(outcome == NOT_APPLIED for outcome, _ in said):
                self._db.execute(
                    "UPDATE sent SET outcomes = ? WHERE agency = ? AND sequence = ? AND turn = 0",
                    (json.dumps(said), event.agency, sequence),
                )
                continue
            turn += 1  # a receipt may come twice: the first one says when it was applied
            self._db.execute(
                "UPDATE sent SET turn = ?, answered = ?, outcomes = ?"
                " WHERE agency = ? AND sequence = ? AND turn = 0",
                (turn, position, json.dumps(said), event.agency, sequence),
            )
        return turn

    # -- asking --------------------------------------------------------------------------------

    def of_decision(self, decision: int) -> list[Sent]:
        """Everything sent on what was decided at this position."""
        return self._sendings("decision = ? ORDER BY agency, sequence", (decision,))

    def applied(self, agency: str, case_id: bytes) -> list[Sent]:
        """What a recipient took in of one case, in the order it did."""
        where = "case_id = ? AND agency = ? AND turn > 0 ORDER BY turn"
        return self._sendings(where, (case_id, agency))

    def of_agency(self, agency: str, after: int, limit: int) -> list[Sent]:
        """A recipient's delivery log after a sequence."""
        where = "agency = ? AND sequence > ? ORDER BY sequence LIMIT ?"
        return self._sendings(where, (agency, after, limit))

    def cases(self, agency: str, after: bytes) -> Iterator[bytes]:
        """Cases of which a recipient took something in, by id, from after one on."""
        query = (
            "SELECT min(case_id) FROM sent WHERE agency = ? AND turn > 0 AND case_id > ?"
            " ORDER BY case_id"
        )
        while (found := self._db.execute(query, (agency, after)).fetchone()[0]) is not None:
            after = bytes(found)
            yield after

    def last_applied(self, agency: str) -> int:
        """The last delivery up to which a recipient answered for all."""
        query = (
            "SELECT coalesce(min(sequence) - 1, (SELECT coalesce(max(sequence), 0) FROM sent"
            " WHERE agency = ?)) FROM sent WHERE agency = ? AND turn = 0 AND outcomes = '[]'"
        )
        return int(self._db.execute(query, (agency, agency)).fetchone()[0])

    def recalled(
        self, agency: str, event: str, category: str, after: int
    ) -> tuple[int, int] | None:
        """(sequence, position) of the first recall of an item after a delivery."""
        query = (
            "SELECT sequence, position FROM recalled WHERE agency = ? AND event = ?"
            " AND category = ? AND sequence > ? ORDER BY sequence LIMIT 1"
        )
        found = self._db.execute(query, (agency, event, category, after)).fetchone()
        return None if found is None else (int(found[0]), int(found[1]))

    def held(self, agency: str, event: str, category: str, after: int) -> int | None:
        """Position at which an item was held back, after it was decided."""
        query = (
            "SELECT min(position) FROM held WHERE agency = ? AND event = ? AND category = ?"
            " AND position > ?"
        )
        found = self._db.execute(query, (agency, event, category, after)).fetchone()[0]
        return None if found is None else int(found)

    def sent(self, agency: str, sequence: int) -> Sent | None:
        where = "agency = ? AND sequence = ?"
        return next(iter(self._sendings(where, (agency, sequence))), None)

    def _sendings(self, where: str, values: Sequence[Any]) -> list[Sent]:
        return [
            Sent(
                agency=row[0],
                sequence=row[1],
                position=row[2],
                kind=row[3],
                case_id=bytes(row[4]),
                about=row[5],
                decision=row[6],
                items=json.loads(row[7]),
                attested=bool(row[8]),
                turn=row[9],
                answered=row[10],
                outcomes=tuple((outcome, detail) for outcome, detail in json.loads(row[11])),
            )
            for row in self._db.execute(f"SELECT * FROM sent WHERE {where}", values)  # noqa: S608
        ]

    # -- rows made of it -----------------------------------------------------------------------

    def keep(self, rows: Sequence[tuple[str, str, bytes]], done: tuple[str, int]) -> None:
        """Rows (table, place, line), and how far their making is, at once."""
        self._db.execute("BEGIN")
        self._db.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?)", rows)
        self.stand(*done)
        self._db.execute("COMMIT")

    def rows(self, tables: Collection[str] = ()) -> Iterator[bytes]:
        """All kept, or those of some tables, by table and place."""
        for name, text in self._db.execute("SELECT name, text FROM rows ORDER BY name, place"):
            if not tables or name in tables:
                yield bytes(text)

    def stands(self, name: str) -> int:
        found = self._db.execute("SELECT value FROM stands WHERE name = ?", (name,)).fetchone()
        return 0 if found is None else int(found[0])

    def stand(self, name: str, value: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO stands VALUES (?, ?)", (name, value))
