"""The epoch key: one small file on which every person's secret depends.

    "NRMEPOCH" ‖ store id 16 ‖ epoch u64be ‖ key 32 ‖ SHA-256 of the above, first 16 bytes

The file is readable by its owner only. A new epoch is written beside it as `<name>.next`; when
the key store has moved to it, the old file is overwritten and replaced. At every moment one of
the two holds the key the key store needs, so a crash anywhere is finished at the next opening.

What overwriting is worth. It keeps the old key from a reader of the file system. A journaling or
copy-on-write file system, a snapshot, and the spare blocks of an SSD may keep the old bytes, and
so does any backup of this file. Keep it on a volume of its own without snapshots, leave it out of
the backups of the key store (back it up, if at all, where a copy can be destroyed with each
erasure), and encrypt the disk. A hardware module is the real answer.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hub.crash import point
from hub.store.errors import StoreRefused

MAGIC = b"NRMEPOCH"
SIZE = 8 + 16 + 8 + 32 + 16


class EpochFile:
    """The file at `path`, its successor `.next` and the lock that only one changer holds."""

    def __init__(self, path: Path, randomness: Callable[[int], bytes]) -> None:
        self.path = path
        self._next = path.with_name(path.name + ".next")
        self._randomness = randomness

    @contextmanager
    def locked(self, *, wait: bool = True) -> Iterator[bool]:
        """Exclusive among all processes on this machine; released by the system on a crash.

        Gives whether the lock was got, which is always so when waiting for it.
        """
        lock = os.open(self.path.with_name(self.path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
                got = True
            except BlockingIOError:
                got = False
            yield got
        finally:
            os.close(lock)

    def read(self, store: bytes, epoch: int) -> bytes | None:
        """The key of this epoch, from whichever of the two files holds it."""
        # Twice: between the two looks the successor may have replaced the file.
        for path in (self.path, self._next, self.path, self._next):
            held = _parse(path)
            if held is not None:
                if held[0] != store:
                    raise StoreRefused(f"{path} belongs to another key store")
                if held[1] == epoch:
                    return held[2]
        return None

    def prepare(self, store: bytes, epoch: int, key: bytes) -> None:
        """Make the key of the next epoch durable beside the present one."""
        self._destroy(self._next)
        body = MAGIC + store + epoch.to_bytes(8, "big") + key
        file = os.open(self._next, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            os.write(file, body + hashlib.sha256(body).digest()[:16])
            os.fsync(file)
        finally:
            os.close(file)
        self._sync_folder()

    def settle(self, epoch: int) -> None:
        """Keep the key of this epoch only: destroy the one before it, or one never used."""
        held = _parse(self.path)
        if held is not None and held[1] == epoch:
            self._destroy(self._next)
        else:
            self._overwrite(self.path)
            point("shred_after_overwrite")
            os.replace(self._next, self.path)
            point("shred_after_replace")
        self._sync_folder()

    def _destroy(self, path: Path) -> None:
        if path.exists():
            self._overwrite(path)
            path.unlink()

    def _overwrite(self, path: Path) -> None:
        try:
            file = os.open(path, os.O_WRONLY)
        except FileNotFoundError:
            return
        try:
            os.write(file, self._randomness(max(SIZE, os.fstat(file).st_size)))
            os.fsync(file)
        finally:
            os.close(file)

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _parse(path: Path) -> tuple[bytes, int, bytes] | None:
    """Store id, epoch and key; None if the file is missing, cut short or overwritten."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    body, check = data[:-16], data[-16:]
    if len(data) != SIZE or body[:8] != MAGIC or hashlib.sha256(body).digest()[:16] != check:
        return None
    return body[8:24], int.from_bytes(body[24:32], "big"), body[32:64]
