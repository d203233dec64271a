"""The SQLite file behind the embedded topics: opened, set up, believed while it is the same one.

Promises: every connection asserts synchronous=FULL over a write-ahead log. A connection is used by
one thread at a time and kept for the next. A file that was removed, replaced or failed to write is
never written on; what SQLite says is told as a TopicError.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hub.topics.port import TopicError, TopicStoppedError, TopicUnavailable

_FORMAT: Final = 1
_APPLICATION: Final = 0x4E524D54  # "NRMT", so that another program's file is refused
_BUSY_SECONDS: Final = 30.0
_AGAIN_SECONDS: Final = 0.005

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


class TopicFile:
    """The file at `path`, made if it is not there. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._idle: list[_Open] = []
        self._stopped: str | None = None
        self._closed = False
        with self.connection():
            pass  # a path that cannot be used is reported now, not at the first message

    def close(self) -> None:
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for one in idle:
            one.db.close()

    @contextmanager
    def connection(self) -> Iterator[sqlite3.Connection]:
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
        with self._lock:
            if self._closed:
                raise TopicUnavailable("the topics are closed")
            if self._stopped:
                raise TopicStoppedError(self._stopped)
            # Writing on to deleted or replaced files would lose messages silently.
            there = _files(self.path)
            while self._idle:
                one = self._idle.pop()
                if one.files == there:
                    return one
                one.db.close()
            db = _open(self.path)
            return _Open(db, _files(self.path))

    def _give_back(self, one: _Open, keep: bool) -> None:
        with self._lock:
            if keep and not self._closed and one.files == _files(self.path):
                self._idle.append(one)
                return
        one.db.close()

    def _told(self, error: sqlite3.Error | OSError, one: _Open | None) -> TopicError:
        code = getattr(error, "sqlite_errorcode", 0)
        if code & 0xFF in _BUSY:
            return TopicUnavailable(f"{self.path} is locked by another process")
        if one is None or one.files != _files(self.path):
            return TopicUnavailable(f"{self.path} was removed or replaced: {error}")
        if code & 0xFF in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT}:
            # After a failed fsync the kernel may forget what it failed to write: a retry on
            # this file could report success for lost data. Only a fresh start is believed.
            self._stopped = f"{self.path}: {error}; repair the disk and restart"
            return TopicStoppedError(self._stopped)
        return TopicUnavailable(f"{self.path}: {error}")


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
    with transaction(db):  # two processes may come here at once: look again under the lock
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
            time.sleep(_AGAIN_SECONDS)
        else:
            if mode != ("wal",):
                raise TopicError("this file system cannot hold a write-ahead log (WAL)")
            return


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """The file is this writer's until the end; an error undoes all."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


@contextmanager
def snapshot(db: sqlite3.Connection) -> Iterator[None]:
    """One view of the file for several reads."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")


def _files(path: Path) -> _Files:
    """The file and its write-ahead log: which they are, not what is in them."""
    return _inode(path), _inode(Path(f"{path}-wal"))


def _inode(path: Path) -> _Inode:
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
