"""Persons' secrets, and how one is destroyed so that no copy brings it back.

Every sealed compartment of a person depends on one 32-byte secret. It lives here, apart from the
events: AES-256-GCM under an epoch key that is in a file of its own (`epoch.py`), with the store,
the epoch and the person as associated data. To erase somebody, a new epoch key is made, everyone
else's secret is wrapped again under it, and the old epoch key is destroyed. What write-ahead
logs and backups of the database still hold then unwraps to nothing; a bare DELETE was measured to
leave the bytes in both databases' logs.

Promises. `ensure` returns only secrets that are on disk. From the moment an erasure is on record,
which is its first step, no process hands out the secret again, and a secret is never made for
that person again. A crash at any step is finished by the next opening; nobody else's secret is
ever lost by it. Several processes may share the store: each looks at the generation counter
before it trusts what it remembers.

Limits. Secrets already handed out stay in memory as long as their users keep them, and Python
cannot wipe memory. What overwriting a file is worth is said in `epoch.py`. Data a partner has
opened is beyond reach.

Backups. `for_backup` gives everyone's secret sealed under the recovery key (`recovery.py`), which
an erasure makes forget the person here and in its copies; `restore` takes that back.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.crash import point
from hub.errors import HubError
from hub.store.epoch import EpochFile
from hub.store.errors import StoreRefused
from hub.store.keytables import KeyTables, PostgresKeyTables, SQLiteKeyTables
from hub.store.location import split_parameter, split_schema, sqlite_path
from hub.store.recovery import KeyBackup, Recovery, RecoveryFile
from hub.store.tables import Cursor
from hub.store.wrapped import (
    NONCE,
    STATE,
    KeyState,
    read_state,
    told_state,
    unwrap,
    wrap,
    wrapped_after,
    wrapped_of,
)

SECRET = 32
CACHED = 100_000


class SubjectErased(HubError):
    """A secret was asked for a person who has been erased; there will never be one again."""

    def __init__(self, subjects: Collection[UUID]) -> None:
        super().__init__(f"{len(subjects)} erased, first {min(subjects)}")
        self.subjects = frozenset(subjects)


class _KeyGone(StoreRefused):
    """The epoch key's file does not hold the key of the epoch just read."""


@dataclass(frozen=True, slots=True)
class ShredReport:
    """What an erasure did. destroyed: how many of the persons had a secret."""

    subjects: tuple[UUID, ...]
    destroyed: int
    survivors: int
    epoch: int


class KeyStore:
    """Safe to share between threads. Open one per process."""

    def __init__(
        self,
        tables: KeyTables,
        epoch_file: EpochFile,
        *,
        randomness: Callable[[int], bytes] = os.urandom,
        cached: int = CACHED,
    ) -> None:
        self._tables = tables
        self._file = epoch_file
        self.recovery = RecoveryFile(epoch_file.path.with_name("recovery.key"), randomness)
        self._randomness = randomness
        self._room = cached
        self._lock = RLock()
        self._state = KeyState(b"", 0, -1)
        self._aead: AESGCM | None = None
        self._known: OrderedDict[UUID, bytes] = OrderedDict()
        self._erased: frozenset[UUID] = frozenset()
        self._pending = False
        self._unsettled = False
        with self._lock, self._file.locked():
            self._begin()
            self._recover()

    @classmethod
    def open(
        cls,
        url: str,
        *,
        epoch_key: Path | None = None,
        randomness: Callable[[int], bytes] = os.urandom,
        cached: int = CACHED,
    ) -> Self:
        """sqlite:///path or postgresql://…?schema=name; made if missing.

        epoch_key: the epoch key's file. May stand in the address as `epoch_key=/path`; beside an
        SQLite file it is `epoch.key` unless said otherwise.
        """
        url, named = split_parameter(url, "epoch_key")
        path = epoch_key or (Path(named) if named else None)
        tables: KeyTables
        if urlsplit(url).scheme == "sqlite":
            database = sqlite_path(url)
            path = path or database.with_name("epoch.key")
            tables = SQLiteKeyTables(database)
        elif urlsplit(url).scheme in ("postgresql", "postgres"):
            if path is None:
                raise StoreRefused("say where the epoch key is: …?epoch_key=/path/epoch.key")
            tables = PostgresKeyTables(*split_schema(url))
        else:
            raise StoreRefused("a key store's address starts with sqlite:/// or postgresql://")
        try:
            return cls(tables, EpochFile(path, randomness), randomness=randomness, cached=cached)
        except BaseException:
            tables.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._forget()
            self._tables.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.close()

    # -- using secrets ----------------------------------------------------------------------------

    def secrets(self, subjects: Collection[UUID]) -> dict[UUID, bytes]:
        """The secrets of those who have one; unknown and erased persons are absent."""
        with self._lock:
            self._look()
            found, missing = self._remembered(subjects)
            if missing:
                found.update(self._fetch(missing))
            return found

    def ensure(self, subjects: Collection[UUID]) -> dict[UUID, bytes]:
        """Everyone's secret, made where there was none: durable when this returns.

        Raises SubjectErased, having made nothing, if one of them is erased.
        """
        with self._lock:
            self._look()
            found, missing = self._remembered(subjects)
            if missing or not self._erased.isdisjoint(subjects):
                with self._tables.write() as c:
                    self._see(c)
                    if gone := self._erased.intersection(subjects):
                        raise SubjectErased(gone)
                    found = self._open_rows(wrapped_of(c, list(subjects)))
                    made = {one: self._randomness(SECRET) for one in subjects if one not in found}
                    c.executemany(
                        "INSERT INTO secrets (subject_id, wrapped) VALUES (?, ?)",
                        [(one.bytes, self._wrap(one, made[one])) for one in sorted(made)],
                    )
                found.update(made)
                self._remember(found)
            return found

    def erased(self, subject: UUID) -> bool:
        """Whether this person has been erased."""
        return subject in self.erased_among((subject,))

    def erased_among(self, subjects: Collection[UUID]) -> frozenset[UUID]:
        with self._lock:
            self._look()
            return self._erased.intersection(subjects)

    @property
    def epoch(self) -> int:
        """How often the epoch key has changed, from 1."""
        with self._lock:
            self._look()
            return self._state.epoch

    # -- erasing ----------------------------------------------------------------------------------

    def shred(self, *subjects: UUID) -> ShredReport:
        """Destroy these persons' secrets, known or not. Returns when nothing can unwrap them.

        Idempotent. Costs one re-wrap of every other secret (about 100,000 in some seconds), however
        many persons it erases.
        """
        with self._lock, self._file.locked():
            self._recover()
            wanted = [one for one in subjects if one not in self._erased]
            destroyed = survivors = 0
            if wanted:
                with self._tables.write() as c:
                    destroyed = len(wrapped_of(c, wanted))
                    c.executemany(
                        "INSERT INTO erased (subject_id, done) VALUES (?, 0)",
                        [(one.bytes,) for one in sorted(set(wanted))],
                    )
                    c.execute("UPDATE state SET generation = generation + 1")
                self._look()
                point("shred_after_mark")
                survivors = self._next_epoch()
            return ShredReport(tuple(subjects), destroyed, survivors, self._state.epoch)

    # -- backups ----------------------------------------------------------------------------------

    def for_backup(self) -> KeyBackup:
        """Everyone's secret, for a backup; makes the recovery key if there is none.

        Nobody is erased while this runs, so nobody erased is in it.
        """
        with self._lock, self._file.locked():
            self._recover()
            recovery = self.recovery.read_or_make()
            sealed: list[tuple[UUID, bytes]] = []
            with self._tables.read() as c:
                self._see(c)
                last = b""
                while rows := wrapped_after(c, last):
                    last = rows[-1][0]
                    sealed += [
                        (one, recovery.seal(one, secret, self._nonce()))
                        for one, secret in sorted(self._open_rows(rows).items())
                    ]
            return KeyBackup(recovery.key_id, tuple(sealed), self._erased)

    def restore(self, backup: KeyBackup, recovery: Recovery) -> frozenset[UUID]:
        """Into this empty key store: everyone whom the recovery key has not forgotten.

        Returns whose secrets were destroyed after the backup. Raises StoreRefused, having changed
        nothing, if the store is not empty or the key is not the backup's.
        """
        if backup.recovery_id != recovery.key_id:
            raise StoreRefused("this recovery key is not the one the backup was made under")
        secrets: dict[UUID, bytes] = {}
        there = self.recovery.read()
        if there is not None and there.key_id != recovery.key_id:
            raise StoreRefused(f"{self.recovery.path} is another hub's: choose another place")
        gone = set(recovery.erased) | backup.erased | (there.erased if there else set())
        for one, sealed in backup.sealed:
            secret = None if one in gone else recovery.unseal(one, sealed)
            if secret is None:
                gone.add(one)
            else:
                secrets[one] = secret
        with self._lock, self._file.locked():
            self._look()
            with self._tables.write() as c:
                self._see(c)
                if wrapped_after(c, b"") or self._erased:
                    raise StoreRefused("this key store holds secrets already: choose an empty one")
                c.executemany(
                    "INSERT INTO secrets (subject_id, wrapped) VALUES (?, ?)",
                    [(one.bytes, self._wrap(one, secrets[one])) for one in sorted(secrets)],
                )
                c.executemany(
                    "INSERT INTO erased (subject_id, done) VALUES (?, 1)",
                    [(one.bytes,) for one in sorted(gone)],
                )
                c.execute("UPDATE state SET generation = generation + 1")
            self.recovery.put(recovery.without(gone))
            self._look()
        return frozenset(gone - backup.erased)

    def _next_epoch(self) -> int:
        """Everyone not erased moves to a new epoch key; the old one is destroyed."""
        self.recovery.forget(self._erased)
        old, before = self._key(), self._state
        key = self._randomness(32)
        after = KeyState(before.store, before.epoch + 1, before.generation + 1)
        self._file.prepare(before.store, after.epoch, key)
        point("shred_after_key")
        new = AESGCM(key)
        survivors = 0
        with self._tables.write() as c:
            c.execute("DELETE FROM secrets WHERE subject_id IN (SELECT subject_id FROM erased)")
            last = b""
            while rows := wrapped_after(c, last):
                last = rows[-1][0]
                survivors += len(rows)
                moved = []
                for raw, wrapped in rows:
                    secret = unwrap(old, before, raw, wrapped)
                    moved.append((wrap(new, after, raw, secret, self._nonce()), raw))
                c.executemany("UPDATE secrets SET wrapped = ? WHERE subject_id = ?", moved)
            c.execute("UPDATE erased SET done = 1 WHERE done = 0")
            c.execute("UPDATE state SET epoch = ?, generation = ?", (after.epoch, after.generation))
            point("shred_before_commit")
        point("shred_after_rewrap")
        self._file.settle(after.epoch)
        self._look()
        self._tables.scrub()
        return survivors

    def _recover(self) -> None:
        """Finish what a crash interrupted, in this process or another. Needs the file's lock."""
        with self._tables.read() as c:
            self._see(c)
        if self._file.read(self._state.store, self._state.epoch) is None:
            with self._tables.read() as c:
                if wrapped_after(c, b""):
                    raise StoreRefused(
                        f"{self._file.path} does not hold the key of epoch {self._state.epoch}:"
                        " restore that file, or the database if an older copy was put back"
                    )
            self._file.prepare(self._state.store, self._state.epoch, self._randomness(32))
        self._file.settle(self._state.epoch)
        if self._pending:
            self._next_epoch()
        else:
            self.recovery.forget(self._erased)  # a copy that was away may be back
        self._unsettled = False

    def _begin(self) -> None:
        with self._tables.write() as c:
            c.execute("SELECT count(*) AS n FROM state")
            if not c.fetchall()[0]["n"]:
                c.execute("INSERT INTO state VALUES (1, ?, 1, 0)", (self._randomness(16),))

    # -- what is remembered -----------------------------------------------------------------------

    def _look(self) -> None:
        """Forget everything if an erasure was begun or done anywhere since the last look."""
        if told_state(self._tables.query(STATE)) != self._state:
            with self._tables.read() as c:
                self._see(c)
        if self._unsettled:  # another process is still at it, or was killed, or all is well
            with self._file.locked(wait=False) as got:
                if got:
                    self._recover()

    def _see(self, c: Cursor) -> None:
        state = read_state(c)
        if state != self._state:
            c.execute("SELECT subject_id, done FROM erased")
            rows = c.fetchall()
            self._erased = frozenset(UUID(bytes=bytes(row["subject_id"])) for row in rows)
            self._pending = not all(row["done"] for row in rows)
            self._unsettled = True
            self._forget()
            self._state = state

    def _forget(self) -> None:
        self._known.clear()
        self._aead = None

    def _remembered(self, subjects: Collection[UUID]) -> tuple[dict[UUID, bytes], list[UUID]]:
        found: dict[UUID, bytes] = {}
        missing: list[UUID] = []
        for one in subjects:
            secret = self._known.get(one)
            if secret is not None:
                self._known.move_to_end(one)
                found[one] = secret
            elif one not in self._erased:
                missing.append(one)
        return found, missing

    def _remember(self, secrets: dict[UUID, bytes]) -> None:
        self._known.update(secrets)
        while len(self._known) > self._room:
            self._known.popitem(last=False)

    def _fetch(self, subjects: list[UUID]) -> dict[UUID, bytes]:
        tried = None
        while True:
            try:
                with self._tables.read() as c:
                    self._see(c)
                    wanted = [one for one in subjects if one not in self._erased]
                    found = self._open_rows(wrapped_of(c, wanted))
                break
            except _KeyGone:  # an erasure ended after the snapshot was taken: take another
                if self._state == tried:
                    raise
                tried = self._state
        self._remember(found)
        return found

    # -- wrapping ---------------------------------------------------------------------------------

    def _key(self) -> AESGCM:
        if self._aead is None:
            key = self._file.read(self._state.store, self._state.epoch)
            if key is None:
                raise _KeyGone(f"the key of epoch {self._state.epoch} is gone")
            self._aead = AESGCM(key)
        return self._aead

    def _nonce(self) -> bytes:
        return self._randomness(NONCE)

    def _wrap(self, subject: UUID, secret: bytes) -> bytes:
        return wrap(self._key(), self._state, subject.bytes, secret, self._nonce())

    def _open_rows(self, rows: Sequence[tuple[bytes, bytes]]) -> dict[UUID, bytes]:
        if not rows:
            return {}
        key = self._key()
        return {UUID(bytes=raw): unwrap(key, self._state, raw, sealed) for raw, sealed in rows}
