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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hub.topics.port import (
    READ_BYTES,
    Message,
    Operation,
    Received,
    TopicError,
    TopicStoppedError,
    TopicUnavailable,
    UnknownTopicError,
    check_messages,
    check_name,
)

_FORMAT: Final = 1
_APPLICATION: Final = 0x4E524D54  # "NRMT", so that another program's file is refused
_OFFSET_BITS: Final = 40
_POLL_SECONDS: Final = 0.005
_LOOK_SECONDS: Final = 0.1
_BUSY_SECONDS: Final = 30.0

_SCHEMA: Final = (
    """CREATE TABLE topic (
        number INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        identity TEXT NOT NULL,
        first INTEGER NOT NULL DEFAULT 0,
        next INTEGER NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE message (
        place INTEGER PRIMARY KEY,  -- topic number << 40 | offset
        value BLOB NOT NULL,
        headers BLOB
    )""",
    f"PRAGMA user_version = {_FORMAT}",
    f"PRAGMA application_id = {_APPLICATION}",
)

_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})


_Inode = tuple[int, int] | None
_Files = tuple[_Inode, _Inode]


@dataclass(frozen=True, slots=True)
class _Open:
    """A connection, and the files it was opened on."""

    db: sqlite3.Connection
    files: _Files


class EmbeddedTopics:
    """Topics (hub.topics.port) in the SQLite file at `path`, made if it is not there."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = Path(path).absolute()
        self._trace_path = f"{self._path}-wal"
        self._appended = threading.Condition()
        self._write_lock = threading.Lock()
        self._pool_lock = threading.Lock()
        self._idle: list[_Open] = []
        self._stopped: str | None = None
        self._closed = False
        with self._connection():
            pass  # a path that cannot be used is reported now, not at the first message

    def ensure(self, names: Iterable[str]) -> None:
        wanted = [check_name(name) for name in names]
        with self._connection() as db:
            known = {name for (name,) in db.execute("SELECT name FROM topic")}
            missing = [name for name in wanted if name not in known]
            if not missing:
                return
            with self._write_lock, _transaction(db):
                db.executemany(
                    "INSERT INTO topic (name, identity) VALUES (?, ?) ON CONFLICT DO NOTHING",
                    [(name, str(uuid.uuid4())) for name in missing],
                )

    def append(self, topic: str, messages: Sequence[Message]) -> None:
        check_messages(messages)
        if not messages:
            return
        with self._write_lock, self._connection() as db, _transaction(db):
            number, _, following = _topic(db, topic)
            place = number << _OFFSET_BITS | following
            db.executemany(
                "INSERT INTO message (place, value, headers) VALUES (?, ?, ?)",
                [
                    (place + at, message.value, _pack(message.headers))
                    for at, message in enumerate(messages)
                ],
            )
            db.execute(
                "UPDATE topic SET next = ? WHERE number = ?", (following + len(messages), number)
            )
        with self._appended:
            self._appended.notify_all()

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
        with self._connection() as db:
            return _topic(db, topic)[2]

    def trim(self, topic: str, before: int) -> None:
        with self._write_lock, self._connection() as db:
            with _transaction(db):
                number, first, following = _topic(db, topic)
                before = min(before, following)
                if before <= first:
                    return
                db.execute(
                    "DELETE FROM message WHERE place >= ? AND place < ?",
                    (number << _OFFSET_BITS | first, number << _OFFSET_BITS | before),
                )
                db.execute("UPDATE topic SET first = ? WHERE number = ?", (before, number))
            # Rows are overwritten (secure_delete) but their old pages stand in the WAL until
            # it is emptied. A reader in the way only delays that to the next trim.
            with suppress(sqlite3.OperationalError):
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def identity(self, topic: str) -> str:
        with self._connection() as db:
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
        with self._pool_lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for one in idle:
            one.db.close()

    def _read_now(self, topic: str, offset: int | None, limit: int) -> list[Received]:
        found: list[Received] = []
        size = 0
        with self._connection() as db, _snapshot(db):
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

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection nobody else uses; what SQLite says is told as a TopicError."""
        one: _Open | None = None
        keep = False
        try:
            one = self._take()
            yield one.db
            keep = not one.db.in_transaction
        except TopicError:
            keep = one is not None and not one.db.in_transaction
            raise
        except (sqlite3.Error, OSError) as error:
            raise self._told(error, one) from error
        finally:
            if one is not None:
                self._give_back(one, keep)

    def _take(self) -> _Open:
        with self._pool_lock:
            if self._closed:
                raise TopicUnavailable("the topics are closed")
            if self._stopped:
                raise TopicStoppedError(self._stopped)
            # Writing on to deleted or replaced files would lose messages silently.
            there = _files(self._path)
            while self._idle:
                one = self._idle.pop()
                if one.files == there:
                    return one
                one.db.close()
            db = _open(self._path)
            return _Open(db, _files(self._path))

    def _give_back(self, one: _Open, keep: bool) -> None:
        with self._pool_lock:
            if keep and not self._closed and one.files == _files(self._path):
                self._idle.append(one)
                return
        one.db.close()

    def _told(self, error: sqlite3.Error | OSError, one: _Open | None) -> TopicError:
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF in _BUSY:
            return TopicUnavailable(f"{self._path} is locked by another process")
        if one is None or one.files != _files(self._path):
            return TopicUnavailable(f"{self._path} was removed or replaced: {error}")
        if code & 0xFF in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT}:
            # After a failed fsync the kernel may forget what it failed to write: a retry on
            # this file could report success for lost data. Only a fresh start is believed.
            self._stopped = f"{self._path}: {error}; repair the disk and restart"
            return TopicStoppedError(self._stopped)
        return TopicUnavailable(f"{self._path}: {error}")


def _open(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Only a new file may be opened and closed beside SQLite: on one in use, the closing would drop
    # this process's locks on it (POSIX), and the next process to leave would take away the
    # write-ahead log under our feet.
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    db = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        _set_up(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _set_up(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA fullfsync = ON")  # macOS: an fsync that reaches the disk
    db.execute("PRAGMA secure_delete = ON")
    db.execute("PRAGMA journal_size_limit = 67108864")
    _set_wal(db)
    if db.execute("PRAGMA synchronous").fetchone() != (2,):
        raise TopicError(f"{path}: SQLite does not keep synchronous=FULL")
    if db.execute("PRAGMA user_version").fetchone() == (_FORMAT,):
        return
    with _transaction(db):  # two processes may come here at once: look again under the lock
        version = db.execute("PRAGMA user_version").fetchone()[0]
        empty = db.execute("SELECT count(*) FROM sqlite_master").fetchone() == (0,)
        if version == 0 and empty:
            for statement in _SCHEMA:
                db.execute(statement)
        elif version != _FORMAT:
            raise TopicError(f"{path} is not a topic log of format {_FORMAT}")


def _set_wal(db: sqlite3.Connection) -> None:
    """The change to WAL is refused, not waited for, while another process makes it."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            mode = db.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _BUSY or time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)
        else:
            if mode != ("wal",):
                raise TopicError("this file system cannot hold a write-ahead log (WAL)")
            return


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


@contextmanager
def _snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """One view of the file for several reads."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")


def _topic(db: sqlite3.Connection, name: str) -> tuple[int, int, int]:
    row = db.execute("SELECT number, first, next FROM topic WHERE name = ?", (name,)).fetchone()
    if row is None:
        raise _unknown(name)
    return row[0], row[1], row[2]


def _unknown(name: str) -> UnknownTopicError:
    return UnknownTopicError(f"there is no topic {name}")


def _files(path: Path) -> _Files:
    """The file and its write-ahead log: which they are, not what is in them."""
    return _inode(path), _inode(Path(f"{path}-wal"))


def _inode(path: Path) -> _Inode:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


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
