"""Topics in one SQLite file: the default, for one machine and for demonstrations.

Promises: an append is one transaction in a write-ahead log with synchronous=FULL
(asserted on every connection), so all of it or nothing survives a crash; offsets
are contiguous; any number of processes may have the file open; a waiting reader
sees a message within 20 ms of its commit, at once in the same process. Trimmed
messages are overwritten, and the write-ahead log is emptied behind them.

A message's row id is its topic's number and its offset in one integer, so both
appending and reading in order touch neighbouring pages and no second index.
"""

from __future__ import annotations

import os
import sqlite3
import struct
import threading
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from hub.topics.embedded_file import TopicFile, snapshot, transaction
from hub.topics.port import (
    READ_BYTES,
    Appended,
    Message,
    Operation,
    Received,
    Topics,
    TopicUnavailable,
    UnknownTopicError,
    check_messages,
    check_name,
)

_OFFSET_BITS: Final = 40
_POLL_SECONDS: Final = 0.005
_LOOK_SECONDS: Final = 0.1


class EmbeddedTopics(Topics):
    """Topics (hub.topics.port) in the SQLite file at `path`, made if it is not there."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = TopicFile(Path(path).absolute())
        self._trace_path = f"{self._file.path}-wal"
        self._appended = threading.Condition()
        self._write_lock = threading.Lock()

    def ensure(self, names: Iterable[str]) -> None:
        wanted = [check_name(name) for name in names]
        with self._file.connection() as db:
            known = {name for (name,) in db.execute("SELECT name FROM topic")}
            missing = [name for name in wanted if name not in known]
            if not missing:
                return
            with self._write_lock, transaction(db):
                db.executemany(
                    "INSERT INTO topic (name, identity) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    [(name, str(uuid.uuid4())) for name in missing],
                )

    def append_each(self, batches: Mapping[str, Sequence[Message]]) -> dict[str, Appended]:
        """All of it in one transaction."""
        for messages in batches.values():
            check_messages(messages)
        done: dict[str, Appended] = {}
        try:
            with self._write_lock, self._file.connection() as db, transaction(db):
                for topic, messages in batches.items():
                    try:
                        done[topic] = _append(db, topic, messages)
                    except UnknownTopicError as missing:
                        done[topic] = missing
        except TopicUnavailable as away:
            return dict.fromkeys(batches, away)
        with self._appended:
            self._appended.notify_all()
        return done

    def read(self, topic: str, offset: int | None, limit: int, timeout: float) -> list[Received]:
        deadline = time.monotonic() + timeout
        while True:
            seen = self._trace()
            found = self._read_now(topic, offset, limit)
            if found or time.monotonic() >= deadline:
                return found
            look = min(deadline, time.monotonic() + _LOOK_SECONDS)
            while self._trace() == seen and (left := look - time.monotonic()) > 0:
                with self._appended:
                    self._appended.wait(min(_POLL_SECONDS, left))

    def _trace(self) -> tuple[int, int] | None:
        """Changes when any process appends: far cheaper to ask than the database.

        Two appends within one tick of the file system's clock may look alike, so a reader looks
        into the database every `_LOOK_SECONDS` all the same.
        """
        try:
            found = os.stat(self._trace_path)
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size

    def end(self, topic: str) -> int:
        with self._file.connection() as db:
            return _topic(db, topic)[2]

    def trim(self, topic: str, before: int) -> None:
        self.trim_each({topic: before})

    def trim_each(self, before: Mapping[str, int]) -> None:
        with self._write_lock, self._file.connection() as db:
            with transaction(db):
                trimmed = [_trim(db, topic, offset) for topic, offset in before.items()]
            if not any(trimmed):
                return
            # Rows are overwritten (secure_delete) but their old pages stand in the WAL until
            # it is emptied. A reader in the way only delays that to the next trim.
            with suppress(sqlite3.OperationalError):
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def identity(self, topic: str) -> str:
        with self._file.connection() as db:
            row = db.execute("SELECT identity FROM topic WHERE name = ?", (topic,)).fetchone()
            if row is None:
                raise _unknown(topic)
            return str(row[0])

    def grant(self, principal: str, topic: str, operation: Operation) -> None:
        """Nothing to do: whoever may open the file may read and write every topic in it.

        The file is made readable by its owner only. Where partners must not see each
        other's topics, use Kafka, or HTTP delivery, which checks each partner's identity.
        """

    def close(self) -> None:
        self._file.close()

    def _read_now(self, topic: str, offset: int | None, limit: int) -> list[Received]:
        found: list[Received] = []
        size = 0
        with self._file.connection() as db, snapshot(db):
            number, first, following = _topic(db, topic)
            start = first if offset is None else max(offset, first)
            if start >= following or limit <= 0:
                return found
            base = number << _OFFSET_BITS
            rows = db.execute(
                "SELECT place, value, headers FROM message"
                " WHERE place >= ? AND place < ? ORDER BY place LIMIT ?",
                (base | start, base | following, limit),
            )
            for place, value, headers in rows:
                found.append(Received(place - base, value, _unpack(headers)))
                size += len(value)
                if size >= READ_BYTES:
                    break
            rows.close()
        return found


def _topic(db: sqlite3.Connection, name: str) -> tuple[int, int, int]:
    row = db.execute("SELECT number, first, next FROM topic WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise _unknown(name)
    return row[0], row[1], row[2]


def _append(db: sqlite3.Connection, topic: str, messages: Sequence[Message]) -> int:
    """Returns the offset behind the last one."""
    number, _, following = _topic(db, topic)
    place = number << _OFFSET_BITS | following
    db.executemany(
        "INSERT INTO message (place, value, headers) VALUES (?, ?, ?)",
        [
            (place + at, message.value, _pack(message.headers))
            for at, message in enumerate(messages)
        ],
    )
    following += len(messages)
    db.execute("UPDATE topic SET next = ? WHERE number = ?", (following, number))
    return following


def _trim(db: sqlite3.Connection, topic: str, before: int) -> bool:
    """Whether there was something to remove."""
    number, first, following = _topic(db, topic)
    before = min(before, following)
    if before <= first:
        return False
    db.execute(
        "DELETE FROM message WHERE place >= ? AND place < ?",
        (number << _OFFSET_BITS | first, number << _OFFSET_BITS | before),
    )
    db.execute("UPDATE topic SET first = ? WHERE number = ?", (before, number))
    return True


def _unknown(name: str) -> UnknownTopicError:
    return UnknownTopicError(f"there is no topic {name}")


def _pack(headers: Mapping[str, bytes]) -> bytes | None:
    """u16 name length, name, u32 value length, value; for each header. None for none."""
    if not headers:
        return None
    parts: list[bytes] = []
    for name, value in headers.items():
        parts += (struct.pack(">H", len(name)), name.encode("ascii"))
        parts += (struct.pack(">I", len(value)), value)
    return b"".join(parts)


def _unpack(packed: bytes | None) -> dict[str, bytes]:
    headers: dict[str, bytes] = {}
    at = 0
    while packed is not None and at < len(packed):
        (size,) = struct.unpack_from(">H", packed, at)
        name = packed[at + 2 : at + 2 + size].decode("ascii")
        at += 2 + size
        (size,) = struct.unpack_from(">I", packed, at)
        headers[name] = packed[at + 4 : at + 4 + size]
        at += 4 + size
    return headers
