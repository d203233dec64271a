"""The work list's tables: one row per item, and which notices about it were sent.

    work     an item as it stands (hub/domain/work.py); times in microseconds, ids as hexadecimal
    work_cases  whom each case is about, and whether it is open
    notices  (item, phase, receiver) → when the notice was sent

A fold of the log: rows and the follower's position change in one transaction, so a restart finds
neither too few nor too many, and `clear` lets the follower make them again from the first row.
Rows are found by owner, by case and by the next instant a clock has to look at them, so what a
list costs depends on what is open and never on the history. Both databases, written with `?`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from hub.domain.work import MOOT, OPEN, WAITING, WorkItem
from hub.store.errors import StoreConflict
from hub.store.tables import Cursor, LogTables, Row
from hub.store.writing import from_micros, micros

FOLLOWER: Final = "work"

WORK_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS work ("
    " item text PRIMARY KEY, kind text NOT NULL, ref text NOT NULL, role text NOT NULL,"
    " agency text NOT NULL, escalates text NOT NULL, case_id text, subject text,"
    " position bigint NOT NULL, since bigint NOT NULL, opens bigint, due bigint, fired bigint,"
    " wakes bigint, state text NOT NULL, detail text NOT NULL, closed_at bigint,"
    " closed_by text NOT NULL, closed_because text NOT NULL, closed_position bigint NOT NULL)",
    "CREATE INDEX IF NOT EXISTS work_by_case ON work (case_id, state)",
    "CREATE INDEX IF NOT EXISTS work_by_wakes ON work (wakes) WHERE wakes IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS work_by_owner ON work (state, role, agency)",
    "CREATE TABLE IF NOT EXISTS work_cases ("
    " case_id text PRIMARY KEY, subject text NOT NULL, open bigint NOT NULL)",
    "CREATE INDEX IF NOT EXISTS work_cases_by_subject ON work_cases (subject)",
    "CREATE TABLE IF NOT EXISTS notices ("
    " item text NOT NULL, phase text NOT NULL, receiver text NOT NULL, sent_at bigint NOT NULL,"
    " PRIMARY KEY (item, phase, receiver))",
)

COLUMNS: Final = (
    "item, kind, ref, role, agency, escalates, case_id, subject, position, since, opens, due,"
    " fired, wakes, state, detail, closed_at, closed_by, closed_because, closed_position"
)
_SET: Final = ", ".join(
    f"{name} = excluded.{name}" for name in COLUMNS.replace(" ", "").split(",")[1:]
)
_PUT: Final = (
    f"INSERT INTO work ({COLUMNS}) VALUES ({', '.join('?' * 20)})"  # noqa: S608 - constants
    f" ON CONFLICT (item) DO UPDATE SET {_SET}"
)


class WorkRows:
    """Reads in any thread; writes through `put` and `clear` only."""

    def __init__(self, tables: LogTables) -> None:
        self._tables = tables

    # -- writing -------------------------------------------------------------------------------

    def put(
        self,
        items: Iterable[WorkItem],
        cases: Mapping[UUID, tuple[UUID, bool]],
        *,
        after: int,
        to: int,
    ) -> None:
        """Store items and cases (id → subject, open?), and that the follower went on `to` there.

        StoreConflict if it is not at `after`: another process follows too.
        """
        with self._tables.write() as c:
            found = self._position(c)
            if found != after:
                raise StoreConflict(f"the work list is at {found}, not at {after}")
            with self._tables.together(c):
                c.executemany(_PUT, [_row(item) for item in items])
                c.executemany(
                    "INSERT INTO work_cases (case_id, subject, open) VALUES (?, ?, ?)"
                    " ON CONFLICT (case_id) DO UPDATE SET open = excluded.open",
                    [
                        (case_id.hex, subject.hex, int(is_open))
                        for case_id, (subject, is_open) in cases.items()
                    ],
                )
                self._set_position(c, to)

    def clear(self) -> None:
        """Forget all items; the follower begins again. What was sent is remembered."""
        with self._tables.write() as c:
            c.execute("DELETE FROM work")
            c.execute("DELETE FROM work_cases")
            self._set_position(c, 0)

    def sent(self, item: UUID, phase: str, receiver: str, at: datetime) -> None:
        """Remember that a notice was sent."""
        with self._tables.write() as c:
            c.execute(
                "INSERT INTO notices (item, phase, receiver, sent_at) VALUES (?, ?, ?, ?)"
                " ON CONFLICT (item, phase, receiver) DO NOTHING",
                (item.hex, phase, receiver, micros(at)),
            )

    @staticmethod
    def _position(c: Cursor) -> int:
        c.execute("SELECT position FROM followers WHERE name = ?", (FOLLOWER,))
        return next((int(row["position"]) for row in c.fetchall()), 0)

    @staticmethod
    def _set_position(c: Cursor, to: int) -> None:
        c.execute(
            "INSERT INTO followers (name, position) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET position = excluded.position",
            (FOLLOWER, to),
        )

    # -- reading -------------------------------------------------------------------------------

    def position(self) -> int:
        """How far the list has followed the log."""
        return self._tables.followers().get(FOLLOWER, 0)

    def item(self, item: UUID) -> WorkItem | None:
        return next(iter(self._select("item = ?", (item.hex,))), None)

    def starting(self, digits: str) -> list[WorkItem]:
        """Items whose id begins with these digits; two are enough to know it is not one."""
        return self._select(
            "item >= ? AND item < ? ORDER BY item LIMIT 2", (digits, digits + "g"), ""
        )

    def of_case(self, case_id: UUID) -> list[WorkItem]:
        """Items of the case that are not settled."""
        return self._select(
            "case_id = ? AND state IN (?, ?)", (case_id.hex, WAITING, OPEN), "position, item"
        )

    def of_subject(self, subject: UUID) -> list[WorkItem]:
        """All items about the person, settled ones too."""
        return self._select("subject = ?", (subject.hex,), "position, item")

    def other_open_case(self, subject: UUID, case_id: UUID) -> bool:
        """Whether another case of the person is open."""
        return bool(
            self._tables.query(
                "SELECT 1 FROM work_cases WHERE subject = ? AND case_id <> ? AND open = 1 LIMIT 1",
                (subject.hex, case_id.hex),
            )
        )

    def wake(self, now: datetime, limit: int) -> list[WorkItem]:
        """Items a clock has to look at now, the longest waiting first."""
        return self._select(
            "wakes <= ? ORDER BY wakes, item LIMIT ?", (micros(now), limit), order=""
        )

    def standing(
        self,
        *,
        kind: str | None = None,
        role: str | None = None,
        agency: str | None = None,
        states: Sequence[str] = (OPEN,),
        due_by: datetime | None = None,
        limit: int = 1_000,
    ) -> list[WorkItem]:
        """Items in these states, what is due first coming first; due_by: only what was due then."""
        where, values = [f"state IN ({', '.join('?' * len(states))})"], list[Any](states)
        if due_by is not None:
            where.append("due <= ?")
            values.append(micros(due_by))
        for name, value in (("kind", kind), ("role", role), ("agency", agency)):
            if value is not None:
                where.append(f"{name} = ?")
                values.append(value)
        order = "CASE WHEN due IS NULL THEN 1 ELSE 0 END, due, position, item"
        return self._select(f"{' AND '.join(where)} ORDER BY {order} LIMIT ?", (*values, limit), "")

    def escalated(self, role: str, now: datetime, limit: int = 1_000) -> list[WorkItem]:
        """Overdue items of others that this role sees besides its own."""
        return self._select(
            "state = ? AND escalates = ? AND due <= ? ORDER BY due, item LIMIT ?",
            (OPEN, role, micros(now), limit),
            "",
        )

    def unsent(
        self, receiver: str, *, role: str, agency: str, phase: str, now: datetime, limit: int
    ) -> list[WorkItem]:
        """Open items of an owner about which this receiver has had no notice of this phase.

        For an agency its own, moot ones too; for a role those of no agency, and what escalates.
        """
        values: list[Any]
        if agency:
            where, values = "state IN (?, ?) AND agency = ?", [OPEN, MOOT, agency]
        elif phase == "overdue":
            where = "state = ? AND ((role = ? AND agency = '') OR escalates = ?)"
            values = [OPEN, role, role]
        else:
            where, values = "state = ? AND role = ? AND agency = ''", [OPEN, role]
        if phase == "overdue":
            where += " AND due <= ?"
            values.append(micros(now))
        return self._select(
            f"{where} AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.item = work.item"  # noqa: S608
            " AND n.phase = ? AND n.receiver = ?) ORDER BY position, item LIMIT ?",
            (*values, phase, receiver, limit),
            "",
        )

    def counts(self, now: datetime) -> tuple[int, int]:
        """(open items, overdue ones among them)."""
        rows = self._tables.query(
            "SELECT count(*) AS n, count(CASE WHEN due <= ? THEN 1 END) AS late FROM work"
            " WHERE state = ?",
            (micros(now), OPEN),
        )
        return int(rows[0]["n"]), int(rows[0]["late"])

    def by_kind(
        self, now: datetime, *, role: str | None = None, agency: str | None = None
    ) -> dict[str, tuple[int, int]]:
        """Kind → (open items, overdue ones among them), of one role or agency if asked so."""
        where, values = "state = ?", [OPEN]
        for name, value in (("role", role), ("agency", agency)):
            if value is not None:
                where += f" AND {name} = ?"
                values.append(value)
        rows = self._tables.query(
            "SELECT kind, count(*) AS n, count(CASE WHEN due <= ? THEN 1 END) AS late FROM work"  # noqa: S608
            f" WHERE {where} GROUP BY kind ORDER BY kind",
            (micros(now), *values),
        )
        return {row["kind"]: (int(row["n"]), int(row["late"])) for row in rows}

    def page(self, after: str, limit: int) -> list[WorkItem]:
        """Rows in order of their id, after one (hexadecimal)."""
        return self._select("item > ? ORDER BY item LIMIT ?", (after, limit), "")

    def all(self) -> list[WorkItem]:
        """Every row there is, for checks."""
        return self._select("1 = 1", (), "item")

    def _select(self, where: str, values: Sequence[Any], order: str = "item") -> list[WorkItem]:
        query = f"SELECT {COLUMNS} FROM work WHERE {where}"  # noqa: S608 - constants, values marked
        rows = self._tables.query(query + (f" ORDER BY {order}" if order else ""), tuple(values))
        return [_item(row) for row in rows]


def _row(item: WorkItem) -> tuple[Any, ...]:
    return (
        item.item.hex,
        item.kind,
        item.ref,
        item.role,
        item.agency,
        item.escalates,
        item.case_id.hex if item.case_id else None,
        item.subject.hex if item.subject else None,
        item.position,
        micros(item.since),
        *(_micros(one) for one in (item.opens, item.due, item.fired, item.wakes)),
        item.state,
        json.dumps(item.detail, sort_keys=True),
        _micros(item.closed_at),
        item.closed_by,
        item.closed_because,
        item.closed_position,
    )


def _item(row: Row) -> WorkItem:
    return WorkItem(
        item=UUID(hex=row["item"]),
        kind=row["kind"],
        ref=row["ref"],
        role=row["role"],
        agency=row["agency"],
        escalates=row["escalates"],
        case_id=UUID(hex=row["case_id"]) if row["case_id"] else None,
        subject=UUID(hex=row["subject"]) if row["subject"] else None,
        position=row["position"],
        since=from_micros(row["since"]),
        opens=_instant(row["opens"]),
        due=_instant(row["due"]),
        fired=_instant(row["fired"]),
        state=row["state"],
        detail=json.loads(row["detail"]),
        closed_at=_instant(row["closed_at"]),
        closed_by=row["closed_by"],
        closed_because=row["closed_because"],
        closed_position=row["closed_position"],
    )


def _micros(at: datetime | None) -> int | None:
    return None if at is None else micros(at)


def _instant(value: int | None) -> datetime | None:
    return None if value is None else from_micros(value)


__all__ = ["FOLLOWER", "WORK_TABLES", "WorkRows"]
