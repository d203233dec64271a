"""The log: everything the hub has recorded, in one order, on SQLite or PostgreSQL.

Promises. `append` is one transaction: rows, Merkle leaves, idempotency index and follower
positions, or nothing; it has reached the disk when it returns; it happens only if the log still
ends where the caller believed (`expected_head`), so one writer at a time gets in and decisions
are never taken on stale state. Positions run 1, 2, 3 … without gaps, and position p is Merkle
leaf p - 1. Rows are never changed or deleted. Reading never waits for the writer, in this process
or another.

Deliberately absent: snapshots, subscriptions and an aggregate cache (they would keep what a
shredding must reach), and any use of the process environment. Followers poll with `read`.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Any, Self, cast
from urllib.parse import urlsplit
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import (
    InfrastructureFactory,
    Mapper,
    Notification,
    PersistenceError,
)
from eventsourcing.utils import Environment, EnvType

from hub.store.errors import StoreRefused, StoreUnavailable
from hub.store.events import EventAccepted, StoreEvent
from hub.store.location import sqlite_path
from hub.store.mapper import StoreMapper, leaf_entry
from hub.store.postgres import PostgresLogFactory
from hub.store.sqlite import SQLiteLogFactory
from hub.store.tables import AdmissionKey, Append, Cursor, LogTables
from hub.store.work import WorkRows
from hub.store.writing import micros, written

__all__ = ["AdmissionKey", "Counts", "HubLog", "Recorded", "leaf_entry"]

_UNSAFE = "POSTGRES_ENABLE_DB_FUNCTIONS"
MOST = 2**62  # no limit
PAGE = 5_000  # rows in memory at once where the whole log is read
_OFF = ("", "n", "no", "f", "false", "off", "0")


@dataclass(frozen=True, slots=True)
class Recorded:
    """An event and its place in the log."""

    position: int
    event: StoreEvent


@dataclass(frozen=True, slots=True)
class Counts:
    """A cheap summary, kept by every append: for metrics and for conservation checks."""

    head: int
    checkpoint: int
    by_topic: Mapping[str, int]
    followers: Mapping[str, int]


def says(row: Notification, types: Collection[str]) -> bool:
    """Whether a stored row may be an accepted event of one of these types; decoding tells."""
    return row.topic == EventAccepted.TOPIC and any(written(one) in row.state for one in types)


class HubLog(Application[UUID]):
    """The hub's eventsourcing application. Threads may share it; processes each open their own."""

    name = "hub"

    def __init__(self, url: str) -> None:
        self.url = url
        super().__init__()
        try:
            self._tables.check_format()
        except BaseException:
            self.close()
            raise

    @classmethod
    def open(cls, url: str) -> Self:
        """sqlite:///path (made if missing) or postgresql://user@host/database?schema=name.

        Raises StoreRefused, with what to change, if the store cannot be used.
        """
        return cls(url)

    # -- how the application is put together ------------------------------------------------------

    def construct_env(self, name: str, env: EnvType | None = None) -> Environment:
        """Only what is passed in: the library would let the shell choose the store."""
        return Environment(name, env)

    def construct_factory(self, env: Environment) -> InfrastructureFactory[Any]:
        scheme = urlsplit(self.url).scheme
        if scheme == "sqlite":
            return SQLiteLogFactory(env, sqlite_path(self.url))
        if scheme in ("postgresql", "postgres"):
            for name in (_UNSAFE, f"{self.name.upper()}_{_UNSAFE}"):
                if os.environ.get(name, "").strip().lower() not in _OFF:
                    raise StoreRefused(f"unset {name}: it lets commits appear out of order")
            return PostgresLogFactory(env, self.url)
        raise StoreRefused(f"a log's address starts with sqlite:/// or postgresql://, not {scheme}")

    def construct_mapper(self) -> Mapper[UUID]:
        return StoreMapper()

    @property
    def _tables(self) -> LogTables:
        return cast(LogTables, self.recorder)

    @property
    def work(self) -> WorkRows:
        """The work list's rows: a fold of this log, kept beside it."""
        return WorkRows(self._tables)

    # -- writing ----------------------------------------------------------------------------------

    def append(
        self,
        events: Sequence[StoreEvent],
        *,
        expected_head: int,
        admissions: Sequence[AdmissionKey] = (),
        tracking: Mapping[str, int] | None = None,
    ) -> None:
        """Record these events at positions expected_head + 1 and on.

        tracking: follower name → position it has now handled; with no events this alone is
        recorded. Raises HeadMoved (read, decide again), StoreBusy and StoreUnavailable (nothing
        was written, try again), StoreConflict (a version, event id or follower position is taken),
        StoreFailed (unknown: reopen and read back; every later write is refused).
        """
        append = Append(
            expected_head,
            [micros(event.timestamp) for event in events],
            admissions,
            tracking or {},
        )
        # Mapper and recorder as `save` uses them. What `save` does besides (telling aggregates from
        # events, a Recording for each) has no reader here and costs as much as writing the row.
        self.recorder.insert_events(list(map(self.mapper.to_stored_event, events)), append=append)

    def track(self, name: str, position: int) -> None:
        """Record how far a follower without effects in the log has come. Never moves back."""
        self._tables.follow(name, position)

    @contextmanager
    def filling(self) -> Iterator[tuple[LogTables, Cursor]]:
        """One transaction that fills an empty log from a backup (`copying.py`); nothing else."""
        with self._tables.write() as c:
            yield self._tables, c

    # -- reading ----------------------------------------------------------------------------------

    @property
    def head(self) -> int:
        """The last position; 0 for an empty log."""
        return self._tables.head()

    def read(self, after: int, limit: int, topics: frozenset[str] | None = None) -> list[Recorded]:
        """Up to `limit` events at positions greater than `after`, in order."""
        return [Recorded(one.id, self._event(one)) for one in self.rows(after, limit, topics)]

    def every(
        self, topics: frozenset[str] | None = None, *, after: int = 0, until: int = MOST
    ) -> Iterator[Recorded]:
        """Every event after one position up to and with another, in order, read page by page."""
        while after < until and (page := self.read(after, PAGE, topics)):
            for one in page:
                if one.position > until:
                    return
                yield one
            after = page[-1].position

    def saying(
        self,
        topics: Collection[str],
        types: Collection[str],
        *,
        after: int = 0,
        until: int = MOST,
    ) -> Iterator[Recorded]:
        """Every row of these topics and every accepted event of these types, in order.

        The database passes over all others: they are neither handed out nor decoded.
        """
        words = [written(event_type) for event_type in sorted(types)]
        while page := self._tables.select_saying(
            sorted(topics), EventAccepted.TOPIC, words, after, until, PAGE
        ):
            for row in page:
                event = self._event(row)
                if not isinstance(event, EventAccepted) or event.event_type in types:
                    yield Recorded(row.id, event)
            after = page[-1].id

    def rows(
        self, after: int, limit: int, topics: frozenset[str] | None = None
    ) -> Sequence[Notification]:
        """The same as stored, undecoded: for those who check leaves and bytes."""
        try:
            return self.recorder.select_notifications(
                after, limit, topics=sorted(topics or ()), inclusive_of_start=False
            )
        except PersistenceError as error:
            raise StoreUnavailable(f"the log cannot be read: {type(error).__name__}") from error

    def stream(self, stream_id: UUID, after_version: int = 0, limit: int = MOST) -> list[Recorded]:
        """Events of one stream after a version, in order; all of them unless limited."""
        rows = self._tables.select_stream(stream_id, after_version, limit)
        return [Recorded(one.id, self._event(one)) for one in rows]

    def stream_rows(self, stream_id: UUID, after_version: int = 0) -> Sequence[Notification]:
        """The same as stored, undecoded: for evidence, which hands out the bytes of the leaf."""
        return self._tables.select_stream(stream_id, after_version, MOST)

    def decoded(self, row: Notification) -> StoreEvent:
        """What a stored row says."""
        return self._event(row)

    def last_version(self, stream_id: UUID) -> int:
        """The highest version of a stream; 0 if it is empty."""
        return self._tables.last_version(stream_id)

    def _event(self, row: Notification) -> StoreEvent:
        return cast(StoreMapper, self.mapper).event(row)

    def admission(self, agency: str, event_ids: Sequence[bytes]) -> dict[bytes, AdmissionKey]:
        """What the idempotency index knows of these events of this agency."""
        return self._tables.admissions(agency, event_ids)

    def tracking(self, name: str) -> int:
        """How far this follower has handled the log; 0 if never seen."""
        return self._tables.follower(name)

    def followers(self) -> dict[str, int]:
        """How far each follower has handled the log."""
        return self._tables.followers()

    def leaves(self, start: int, limit: int) -> list[tuple[int, bytes]]:
        """Log entries from position `start` on: (position, 33 bytes)."""
        return self._tables.leaves(start, limit)

    def position_at(self, time: datetime) -> int:
        """The last position such that it and all before it were recorded at or before `time`."""
        return self._tables.position_at(micros(time))

    def by_minute(self, topic: str, after: int, to: int) -> list[tuple[int, int]]:
        """(minutes since 1970, rows of this topic recorded then), positions `after` < p <= `to`."""
        return self._tables.by_minute(topic, after, to)

    def counts(self) -> Counts:
        latest = self.latest_checkpoint()
        return Counts(
            self.head,
            latest[0] if latest else 0,
            self._tables.topics(),
            self._tables.followers(),
        )

    # -- checkpoints and tiles --------------------------------------------------------------------

    def put_checkpoint(
        self,
        size: int,
        note_text: str,
        *,
        tiles: Mapping[str, bytes] | None = None,
        dropped: Sequence[str] = (),
    ) -> None:
        """A signed tree head, the tiles it rests on and the partial tiles it outdates, at once.

        Sizes never fall and never pass the head. The same size again replaces the note (more
        cosignatures).
        """
        self._tables.put_checkpoint(size, note_text, tiles or {}, dropped)

    def cosign(self, size: int, before: str, after: str, follower: str) -> bool:
        """Put a note with more cosignatures in place of `before`, and record that `follower`, the
        witness, has cosigned as far as `size`. False, and nothing done, if it reads otherwise by
        now: read it again."""
        return self._tables.cosign(size, before, after, follower)

    def newest_checkpoints(self, limit: int) -> list[tuple[int, str]]:
        """Size and note of the last ones, newest first."""
        return self._tables.newest_checkpoints(limit)

    def latest_checkpoint(self) -> tuple[int, str] | None:
        """Size and note of the last one."""
        return self._tables.latest_checkpoint()

    def checkpoints(self, after: int = 0, limit: int = MOST) -> list[tuple[int, str]]:
        """Size and note of those larger than `after`, in order; all of them unless limited."""
        return self._tables.checkpoints(after, limit)

    def checkpoints_before(self, position: int) -> list[tuple[int, str]]:
        """Size and note of the largest one that covers nothing after a position; none, or one."""
        return self._tables.checkpoints_before(position)

    def read_tile(self, path: str) -> bytes | None:
        return self._tables.read_tile(path)

    def write_tile(self, path: str, data: bytes) -> None:
        """A tile never changes: other bytes under a stored path raise StoreConflict."""
        self._tables.write_tiles({path: data})

    # -- closing ----------------------------------------------------------------------------------

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.close()
