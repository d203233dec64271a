"""A folder that holds a log: read without trusting anything in it, and never written by halves.

    DIR/
      checkpoint       the newest one, signed; cosigned where witnesses did
      earlier/<size>   those this folder held before
      tile/…           tiles and entry bundles (C2SP tlog-tiles)
      vkey             the log's verifier key; `witness-vkeys`: its witnesses', one a line

Reading never follows a symbolic link, never opens anything but a plain file, and never reads more
than such a file can hold.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hub.tlog.merkle import HASH_BYTES
from hub.tlog.note import MOST_BYTES
from hub.tlog.recompute import LogFlaw
from hub.tlog.tiles import WIDTH

CHECKPOINT: Final = "checkpoint"
EARLIER: Final = "earlier"
VKEY: Final = "vkey"
WITNESS_VKEYS: Final = "witness-vkeys"
ENTRY_BYTES: Final = 33
MANY: Final = 64  # files; beyond it the whole system's buffers are written sooner than each file
_MOST: Final = {"tile": WIDTH * HASH_BYTES, "entries": WIDTH * (2 + ENTRY_BYTES)}


class LogFolder:
    """One such folder. Paths are relative to it and use slashes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._unsynced: list[Path] = []

    def read(self, name: str) -> bytes | None:
        """The file, or None. LogFlaw if there is something else, or too much of it."""
        try:
            with self._opened(name) as handle:
                return self._content(handle, name)
        except FileNotFoundError:
            return None
        except (NotADirectoryError, OSError) as wrong:
            raise LogFlaw("not_a_file", name, _said(wrong)) from None

    @contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        """Each folder on the way is opened by itself, so that none is a link to elsewhere."""
        *folders, last = name.split("/")
        at = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for folder in folders:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
                inner = os.open(folder, flags, dir_fd=at)
                os.close(at)
                at = inner
            handle = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
        finally:
            os.close(at)
        try:
            yield handle
        finally:
            os.close(handle)

    @staticmethod
    def _content(handle: int, name: str) -> bytes:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise LogFlaw("not_a_file", name, "not a plain file")
        most = MOST_BYTES
        if name.startswith("tile/"):
            most = _MOST["entries" if name.startswith("tile/entries/") else "tile"]
        if found.st_size > most:
            raise LogFlaw("too_large", name, f"{found.st_size} bytes, at most {most} are possible")
        data = b""
        while piece := os.read(handle, most + 1 - len(data)):
            data += piece
            if len(data) > most:
                raise LogFlaw("too_large", name, f"more than {most} bytes")
        return data

    def names(self, below: str) -> Iterator[str]:
        """Every file and link below a folder of it, links not followed."""
        for folder, folders, files in os.walk(self.path / below, followlinks=False):
            place = Path(folder).relative_to(self.path).as_posix()
            linked = [one for one in folders if (Path(folder) / one).is_symlink()]
            for one in sorted((*files, *linked)):
                yield f"{place}/{one}"

    def write(self, name: str, data: bytes) -> None:
        """The file appears whole or not at all. Raises LogFlaw if a link is in the way."""
        place = self.path
        for folder in name.split("/")[:-1]:
            place = place / folder
            place.mkdir(exist_ok=True)
            if place.is_symlink():
                raise LogFlaw("not_a_file", name, "a folder on the way is a link")
        temporary = place / f".{name.rpartition('/')[2]}.new"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        try:
            handle = os.open(temporary, flags, 0o644)
        except OSError as wrong:
            raise LogFlaw("not_a_file", name, _said(wrong)) from None
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, self.path / name)
        self._unsynced.append(self.path / name)

    def write_last(self, name: str, data: bytes) -> None:
        """Everything written before is on disk before this file appears, and it is when this
        returns."""
        self._sync()
        self.write(name, data)
        self._sync()

    def _sync(self) -> None:
        if len(self._unsynced) > MANY:
            os.sync()
            self._unsynced.clear()
            return
        folders = {
            folder for path in self._unsynced for folder in path.relative_to(self.path).parents
        }
        for path in (*self._unsynced, *(self.path / folder for folder in folders)):
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        self._unsynced.clear()


def _said(wrong: OSError) -> str:
    return (
        "a symbolic link"
        if wrong.errno == errno.ELOOP
        else (wrong.strerror or type(wrong).__name__)
    )
