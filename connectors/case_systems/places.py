"""Places: which of the partner's fields we may have filled, and which of its ids are used up.

    nrm_place       (record, place, filler)  a field we filled, or are about to ("" until it is)
    nrm_generation  (record, generation)     how often the id of a record had to be renewed

Beside the books, in a file of its own: it is committed before the partner's system is changed, and
the books after it. So a field that a recall has to empty is always known, also after a crash, and
a field that only the partner filled is never emptied. References and names of fields, no content.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from connectors.errors import SinkDownError
from connectors.remote.sink import make_state_file

_TABLES = """
CREATE TABLE IF NOT EXISTS nrm_place (
    record TEXT NOT NULL, place TEXT NOT NULL, filler TEXT NOT NULL,
    PRIMARY KEY (record, place)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS nrm_generation (
    record TEXT PRIMARY KEY, generation INTEGER NOT NULL) WITHOUT ROWID;
"""


class Places:
    """One file. Each call is a transaction of its own, durable when it returns."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def exists(self) -> bool:
        return self._path.exists()

    @property
    def name(self) -> str:
        return str(self._path)

    def prepare(self) -> None:
        make_state_file(self._path)
        with self._open() as db:
            db.executescript(_TABLES)

    def filled(self, record: str) -> dict[str, str]:
        """The places of this record that may hold something of ours, each with its filler: the
        event whose value it holds, or "" if that is not certain."""
        with self._open() as db:
            query = "SELECT place, filler FROM nrm_place WHERE record = ?"
            return dict(db.execute(query, (record,)).fetchall())

    def fill(self, fillings: Iterable[tuple[str, str, str]]) -> None:
        """Record, place and filler: "" before the partner's system is changed, the event after."""
        rows = list(fillings)
        if rows:
            with self._open() as db:
                db.executemany("INSERT OR REPLACE INTO nrm_place VALUES (?, ?, ?)", rows)

    def empty(self, record_places: Iterable[tuple[str, str]]) -> None:
        """These are empty now in the partner's system."""
        rows = list(record_places)
        if rows:
            with self._open() as db:
                db.executemany("DELETE FROM nrm_place WHERE record = ? AND place = ?", rows)

    def generation(self, record: str) -> int:
        with self._open() as db:
            query = "SELECT generation FROM nrm_generation WHERE record = ?"
            row = db.execute(query, (record,)).fetchone()
            return int(row[0]) if row else 0

    def renew(self, record: str) -> int:
        """The id in use is spent in the partner's system; returns the next generation."""
        with self._open() as db:
            query = (
                "INSERT INTO nrm_generation VALUES (?, 1) "
                "ON CONFLICT (record) DO UPDATE SET generation = generation + 1 "
                "RETURNING generation"
            )
            [row] = db.execute(query, (record,)).fetchall()
            return int(row[0])

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """A transaction."""
        try:
            with closing(sqlite3.connect(self._path)) as db, db:
                yield db
        except sqlite3.Error as wrong:
            raise SinkDownError(
                f"the state file {self._path} cannot be used ({type(wrong).__name__}): check disk "
                "and rights, and that no other connector uses it"
            ) from None
