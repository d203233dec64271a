"""The witness's memory: the last head of every log it has cosigned, on disk before it is answered.

One SQLite file, synchronous=FULL. Comparing the old size and writing the new one is one transaction
that excludes every other writer, in this process or another: else a slower request could put the
size back.
"""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hub.errors import NotReady, RetryLater

LOCK_SECONDS: Final = 5.0
_TABLES: Final = """
CREATE TABLE IF NOT EXISTS heads (
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL
) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Head:
    """The last head of one log; `note` is the checkpoint with the log's and our signatures."""

    size: int
    root: bytes
    note: bytes


class BookError(RetryLater):
    """The witness's file could not be read or written; nothing was cosigned."""


class Book:
    """The heads. Threads may share it; processes each open their own."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(
                path, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_TABLES)
            [(level,)] = self._db.execute("PRAGMA synchronous").fetchall()
        except sqlite3.Error as wrong:
            raise NotReady(f"{path} cannot be used: {wrong}") from None
        if level != 2:
            raise NotReady(f"{path}: SQLite does not write through to the disk")

    def head(self, origin: str) -> Head | None:
        """The last one, or None if this log was never cosigned. Raises BookError."""
        with self._lock:
            return self._head(origin)

    @contextmanager
    def changing(self, origin: str) -> Iterator[tuple[Head | None, Update]]:
        """The head, and a function that replaces it; durable when this block is left."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as wrong:
                raise BookError(f"the witness's file: {wrong}") from None
            try:
                yield self._head(origin), Update(self._db, origin)
                self._db.execute("COMMIT")
            except sqlite3.Error as wrong:
                self._undo()
                raise BookError(f"the witness's file: {wrong}") from None
            except BaseException:
                self._undo()
                raise

    def _undo(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _head(self, origin: str) -> Head | None:
        try:
            rows = self._db.execute(
                "SELECT size, root, note FROM heads WHERE origin = ?", (origin,)
            ).fetchall()
        except sqlite3.Error as wrong:
            raise BookError(f"the witness's file: {wrong}") from None
        return Head(*rows[0]) if rows else None

    def close(self) -> None:
        with self._lock:
            self._db.close()


class Update:
    """Replaces one log's head within a transaction of the book."""

    def __init__(self, db: sqlite3.Connection, origin: str) -> None:
        self._db = db
        self._origin = origin

    def __call__(self, head: Head) -> None:
        self._db.execute(
            "INSERT INTO heads (origin, size, root, note) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (origin) DO UPDATE SET size = excluded.size, root = excluded.root,"
            " note = excluded.note",
            (self._origin, head.size, head.root, head.note),
        )
