"""The tables of a log, and the one transaction that appends to it, for both databases.

    stored_events  the rows: stream, version, topic, state; numbered by position from 1
    leaves         position, log entry (33 bytes), latest hub time up to here (microseconds)
    admissions     (agency, event id) → digest, position: the idempotency index
    followers      how far each follower has handled the log
    topics         how many rows each topic has
    checkpoints    signed tree heads by size
    tiles          tlog-tiles by path
    about          format of this file

A position is the row's notification id, and its Merkle leaf index plus one. It is given, not
taken from a sequence: positions have no gaps on either database, and the same appends give the
same bytes on both.

SQL here is common to SQLite and PostgreSQL and written with `?`.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol
from uuid import UUID

from eventsourcing.persistence import ApplicationRecorder, Notification, StoredEvent

from hub.store.errors import HeadMoved, StoreConflict, StoreCorrupt, StoreFailed, StoreRefused
from hub.store.mapper import leaf_entry

FORMAT = "1"
Row = Mapping[str, Any]


class Cursor(Protocol):
    """A cursor inside a transaction; rows are read by column name."""

    def execute(self, sql: str, params: Sequence[Any] = ()) -> None: ...
    def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None: ...
    def fetchall(self) -> Sequence[Row]: ...


@dataclass(frozen=True, slots=True)
class AdmissionKey:
    """One line of the idempotency index: which position answered this event of this agency."""

    agency: str
    event_id: bytes
    digest: bytes
    position: int


@dataclass(frozen=True, slots=True)
class Append:
    """What is written beside the rows, in their transaction. times: microseconds, one per row."""

    expected_head: int
    times: Sequence[int]
    admissions: Sequence[AdmissionKey] = ()
    tracking: Mapping[str, int] = field(default_factory=dict)


class LogTables(ApplicationRecorder):
    """A recorder that writes rows, leaves, index, followers and counts all or nothing.

    Subclasses give the connection, the bulk insert and the meaning of a failed commit. Reads may
    run in any thread and process beside the one writer.
    """

    numbering: ClassVar[str]
    """The column of stored_events that holds the position."""

    contains: ClassVar[str]
    """SQL: whether a row's state contains the bytes that are marked."""

    failed: str | None = None

    # -- what each database gives -----------------------------------------------------------------

    @abstractmethod
    def write(self) -> AbstractContextManager[Cursor]:
        """One durable transaction that excludes every other writer.

        Raises StoreBusy (nothing written), StoreFailed (unknown; nothing more is written by this
        object) or StoreUnavailable (nothing written).
        """

    @abstractmethod
    def query(self, sql: str, params: Sequence[Any] = ()) -> Sequence[Row]:
        """Rows of one SELECT, outside any write."""

    @abstractmethod
    def insert_rows(self, c: Cursor, first: int, stored: Sequence[StoredEvent]) -> None:
        """Bulk insert into stored_events, numbered from `first`."""

    @abstractmethod
    def insert_leaves(self, c: Cursor, leaves: Iterable[tuple[int, bytes, int]]) -> None:
        """Bulk insert into leaves."""

    def together(self, c: Cursor) -> AbstractContextManager[object]:  # noqa: ARG002
        """Statements within, of which none is asked what it found, may travel as one."""
        return nullcontext()

    # -- append -----------------------------------------------------------------------------------

    def insert_events(
        self, stored_events: Sequence[StoredEvent], **kwargs: Any
    ) -> Sequence[int] | None:
        """The library's hook. Needs `append=Append(...)`: nothing is written without a fence."""
        append = kwargs.get("append")
        if not isinstance(append, Append):
            raise TypeError("this log is written through HubLog.append only")
        with self.write() as c:
            head, latest = self._head(c)
            if head != append.expected_head:
                raise HeadMoved(append.expected_head, head)
            first = head + 1
            self._check_ahead(c, append.tracking)
            leaves = []
            for position, (stored, time) in enumerate(
                zip(stored_events, append.times, strict=True), first
            ):
                latest = max(latest, time)
                leaves.append((position, leaf_entry(stored), latest))
            with self.together(c):
                if stored_events:
                    self.insert_rows(c, first, stored_events)
                    self.insert_leaves(c, leaves)
                    self._count(c, stored_events)
                if append.admissions:
                    c.executemany(
                        "INSERT INTO admissions (agency, event_id, digest, position)"
                        " VALUES (?, ?, ?, ?)",
                        [(a.agency, a.event_id, a.digest, a.position) for a in append.admissions],
                    )
                self._follow(c, append.tracking)
        return range(first, first + len(stored_events))

    @staticmethod
    def _head(c: Cursor) -> tuple[int, int]:
        c.execute("SELECT position, recorded_at FROM leaves ORDER BY position DESC LIMIT 1")
        for row in c.fetchall():
            return row["position"], row["recorded_at"]
        return 0, 0

    @staticmethod
    def _count(c: Cursor, stored: Sequence[StoredEvent]) -> None:
        counts: dict[str, int] = {}
        for one in stored:
            counts[one.topic] = counts.get(one.topic, 0) + 1
        c.executemany(
            "INSERT INTO topics (topic, events) VALUES (?, ?)"
            " ON CONFLICT (topic) DO UPDATE SET events = topics.events + excluded.events",
            sorted(counts.items()),
        )

    @staticmethod
    def _check_ahead(c: Cursor, tracking: Mapping[str, int], *, again: bool = False) -> None:
        """StoreConflict if one of these followers has come as far already."""
        names = sorted(tracking)
        for start in range(0, len(names), 500):
            some = names[start : start + 500]
            c.execute(
                "SELECT name, position FROM followers"  # noqa: S608 - only marks added
                f" WHERE name IN ({', '.join('?' * len(some))})",
                some,
            )
            for row in c.fetchall():
                name, found, asked = row["name"], row["position"], tracking[row["name"]]
                if asked < found or (asked == found and not again):
                    raise StoreConflict(f"follower {name} is at {found} already, asked for {asked}")

    @staticmethod
    def _follow(c: Cursor, tracking: Mapping[str, int]) -> None:
        if tracking:
            c.executemany(
                "INSERT INTO followers (name, position) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET position = excluded.position",
                sorted(tracking.items()),
            )

    def check_open(self) -> None:
        """No write after a failed one: what is durable is unknown until the store is reopened."""
        if self.failed is not None:
            raise StoreFailed(f"the store failed before ({self.failed}): reopen it, then verify")

    def give_up(self, why: str) -> StoreFailed:
        self.failed = why
        return StoreFailed(f"writing to the store failed ({why}): reopen it, then verify")

    # -- reads ------------------------------------------------------------------------------------

    def head(self) -> int:
        rows = self.query("SELECT max(position) AS head FROM leaves")
        return int(rows[0]["head"] or 0)

    @abstractmethod
    def select_stream(self, stream: UUID, after_version: int, limit: int) -> Sequence[Notification]:
        """Rows of one stream, in order, with their positions."""

    def select_saying(
        self,
        topics: Sequence[str],
        topic: str,
        words: Sequence[bytes],
        after: int,
        until: int,
        limit: int,
    ) -> Sequence[Notification]:
        """Rows of these topics, and of one topic those whose state contains one of these words."""
        asked = [f"topic IN ({', '.join('?' * len(topics))})"] if topics else []
        asked += [f"(topic = ? AND ({' OR '.join([self.contains] * len(words))}))"] if words else []
        rows = self.query(
            f"SELECT {self.numbering} AS place, * FROM stored_events"  # noqa: S608 - constants
            f" WHERE {self.numbering} > ? AND {self.numbering} <= ?"
            f" AND ({' OR '.join(asked)})"
            f" ORDER BY {self.numbering} LIMIT ?",
            (after, until, *topics, *([topic] if words else []), *words, limit),
        )
        return [
            Notification(
                self.stream_of(row),
                row["originator_version"],
                row["topic"],
                bytes(row["state"]),
                row["place"],
            )
            for row in rows
        ]

    @staticmethod
    @abstractmethod
    def stream_of(row: Row) -> UUID:
        """Whose row of stored_events this is."""

    def last_version(self, stream: UUID) -> int:
        newest = self.select_events(stream, desc=True, limit=1)
        return newest[0].originator_version if newest else 0

    def admissions(self, agency: str, event_ids: Sequence[bytes]) -> dict[bytes, AdmissionKey]:
        found: dict[bytes, AdmissionKey] = {}
        for start in range(0, len(event_ids), 500):
            some = event_ids[start : start + 500]
            marks = ", ".join("?" * len(some))
            for row in self.query(
                "SELECT event_id, digest, position FROM admissions"  # noqa: S608 - only marks added
                f" WHERE agency = ? AND event_id IN ({marks})",
                (agency, *some),
            ):
                event_id = bytes(row["event_id"])
                found[event_id] = AdmissionKey(
                    agency, event_id, bytes(row["digest"]), row["position"]
                )
        return found

    def follower(self, name: str) -> int:
        rows = self.query("SELECT position FROM followers WHERE name = ?", (name,))
        return int(rows[0]["position"]) if rows else 0

    def followers(self) -> dict[str, int]:
        rows = self.query("SELECT name, position FROM followers ORDER BY name")
        return {row["name"]: row["position"] for row in rows}

    def topics(self) -> dict[str, int]:
        rows = self.query("SELECT topic, events FROM topics ORDER BY topic")
        return {row["topic"]: row["events"] for row in rows}

    def leaves(self, start: int, limit: int) -> list[tuple[int, bytes]]:
        rows = self.query(
            "SELECT position, entry FROM leaves WHERE position >= ? ORDER BY position LIMIT ?",
            (start, limit),
        )
        return [(row["position"], bytes(row["entry"])) for row in rows]

    def position_at(self, time: int) -> int:
        """Binary search: `recorded_at` never falls, so it needs no index of its own."""
        low, high = 0, self.head()
        while low < high:
            middle = (low + high + 1) // 2
            rows = self.query("SELECT recorded_at FROM leaves WHERE position = ?", (middle,))
            if rows[0]["recorded_at"] <= time:
                low = middle
            else:
                high = middle - 1
        return low

    def by_minute(self, topic: str, after: int, to: int) -> list[tuple[int, int]]:
        """How many rows of a topic stand behind `after` and not behind `to`, by the minute they
        were recorded in (minutes since 1970). Reads no row's content."""
        rows = self.query(
            "SELECT l.recorded_at / 60000000 AS minute, count(*) AS n FROM leaves l"  # noqa: S608
            f" JOIN stored_events e ON e.{self.numbering} = l.position"
            " WHERE l.position > ? AND l.position <= ? AND e.topic = ?"
            " GROUP BY l.recorded_at / 60000000 ORDER BY minute",
            (after, to, topic),
        )
        return [(int(row["minute"]), int(row["n"])) for row in rows]

    # -- followers, checkpoints, tiles ------------------------------------------------------------

    def follow(self, name: str, position: int) -> None:
        with self.write() as c:
            self._check_ahead(c, {name: position}, again=True)
            self._follow(c, {name: position})

    def put_checkpoint(
        self, size: int, note: str, tiles: Mapping[str, bytes], dropped: Iterable[str]
    ) -> None:
        with self.write() as c:
            head, _ = self._head(c)
            c.execute("SELECT max(size) AS size FROM checkpoints")
            latest = c.fetchall()[0]["size"] or 0
            if not latest <= size <= head:
                raise StoreConflict(f"checkpoint of {size}: latest is {latest}, head is {head}")
            self._put_tiles(c, tiles)
            c.executemany("DELETE FROM tiles WHERE path = ?", [(path,) for path in dropped])
            c.execute(
                "INSERT INTO checkpoints (size, note) VALUES (?, ?)"
                " ON CONFLICT (size) DO UPDATE SET note = excluded.note",
                (size, note),
            )

    def cosign(self, size: int, before: str, after: str, follower: str) -> bool:
        with self.write() as c:
            c.execute("SELECT note FROM checkpoints WHERE size = ?", (size,))
            if [row["note"] for row in c.fetchall()] != [before]:
                return False
            c.execute("UPDATE checkpoints SET note = ? WHERE size = ?", (after, size))
            # Not `_follow`: a log put back from a backup may be shorter than this follower was.
            c.execute(
                "INSERT INTO followers (name, position) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET position = excluded.position",
                (follower, size),
            )
        return True

    def newest_checkpoints(self, limit: int) -> list[tuple[int, str]]:
        rows = self.query("SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT ?", (limit,))
        return [(row["size"], row["note"]) for row in rows]

    def latest_checkpoint(self) -> tuple[int, str] | None:
        for row in self.query("SELECT size, note FROM checkpoints ORDER BY size DESC LIMIT 1"):
            return row["size"], row["note"]
        return None

    def checkpoints(self, after: int, limit: int) -> list[tuple[int, str]]:
        rows = self.query(
            "SELECT size, note FROM checkpoints WHERE size > ? ORDER BY size LIMIT ?",
            (after, limit),
        )
        return [(row["size"], row["note"]) for row in rows]

    def checkpoints_before(self, position: int) -> list[tuple[int, str]]:
        rows = self.query(
            "SELECT size, note FROM checkpoints WHERE size <= ? ORDER BY size DESC LIMIT 1",
            (position,),
        )
        return [(row["size"], row["note"]) for row in rows]

    def write_tiles(self, tiles: Mapping[str, bytes]) -> None:
        with self.write() as c:
            self._put_tiles(c, tiles)

    @staticmethod
    def _put_tiles(c: Cursor, tiles: Mapping[str, bytes]) -> None:
        missing, paths = dict(tiles), list(tiles)
        for start in range(0, len(paths), 500):
            some = paths[start : start + 500]
            c.execute(
                "SELECT path, data FROM tiles"  # noqa: S608 - only marks added
                f" WHERE path IN ({', '.join('?' * len(some))})",
                some,
            )
            for row in c.fetchall():
                if bytes(row["data"]) != missing.pop(row["path"]):
                    raise StoreConflict(f"tile {row['path']} is stored with other bytes")
        c.executemany("INSERT INTO tiles (path, data) VALUES (?, ?)", list(missing.items()))

    def read_tile(self, path: str) -> bytes | None:
        for row in self.query("SELECT data FROM tiles WHERE path = ?", (path,)):
            return bytes(row["data"])
        return None

    # -- opening ----------------------------------------------------------------------------------

    def check_format(self) -> None:
        """Refuse another kind of file, a newer format, and rows without their leaves."""
        about = {row["name"]: row["value"] for row in self.query("SELECT name, value FROM about")}
        if not about:
            with self.write() as c:
                c.execute("SELECT count(*) AS n FROM about")
                if not c.fetchall()[0]["n"]:
                    c.executemany(
                        "INSERT INTO about (name, value) VALUES (?, ?)",
                        [("format", FORMAT), ("kind", "nrm hub log")],
                    )
            return self.check_format()
        if about.get("kind") != "nrm hub log":
            raise StoreRefused("this database is not a hub's log")
        if about.get("format") != FORMAT:
            raise StoreRefused(f"log format {about.get('format')} needs another release of the hub")
        ends = self.query(  # one statement: another process may be appending
            f"SELECT (SELECT max({self.numbering}) FROM stored_events) AS last_row,"  # noqa: S608
            " (SELECT max(position) FROM leaves) AS last_leaf"
        )[0]
        if ends["last_row"] != ends["last_leaf"]:
            raise StoreCorrupt(
                f"the last row is {ends['last_row']}, the last leaf {ends['last_leaf']}"
            )
        return None
