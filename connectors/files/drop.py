"""A drop: the folder at the partner's where files are put, whatever way leads there.

Two ways: a folder of this machine (here), and a server's over SFTP (`connectors/files/sftp.py`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol

from connectors import crash
from connectors.agency.identity import made_anew
from connectors.errors import SinkDownError
from connectors.findings import Finding

LITTLE_SPACE: Final = 100 * 1024 * 1024
MOST_BYTES: Final = 1 << 30  # of a file read back: more was never written here
NO_FILE: Final = "is a link or no plain file: somebody put it there, take it away"


def part_name(name: str) -> str:
    """What a file is called while it is written: hidden, and no reader's business."""
    return f".{name}.part"


def held_name(name: str) -> str:
    """What a file is called between being withdrawn from others and being replaced."""
    return f".{name}.held"


class Drop(Protocol):
    """A folder of files, flat.

    put() leaves the whole file under its name or, if it fails or the process dies, what was there
    before; it is on the server's disk when put() returns, where the server can say so. remove()
    takes a file and its hidden forms away; absent is as good. hold() hides a file that is to be
    replaced or removed, so that nobody takes it meanwhile: False if somebody has. get() brings
    back what was held and not replaced; replaced() takes it away when it was, which put() ends
    with and a process that died in it has not done. Every call raises SinkDownError,
    naming what to look at, when the place is away, full or forbidden.
    """

    def prepare(self) -> None:
        """Reach the place. Nothing is made there."""

    def put(self, name: str, data: bytes) -> None: ...

    def get(self, name: str) -> bytes | None:
        """The whole file; None if there is none of this name."""

    def has(self, name: str) -> bool: ...

    def hold(self, name: str) -> bool: ...

    def replaced(self, name: str) -> None: ...

    def remove(self, name: str) -> None: ...

    def names(self) -> set[str]: ...

    def check(self) -> list[Finding]: ...

    def close(self) -> None: ...


class LocalDrop:
    """A folder of this machine, or one that is mounted here."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self) -> None:
        if not self._path.is_dir():
            raise SinkDownError(f"the folder {self._path} is not there: make it, or mount it")

    def put(self, name: str, data: bytes) -> None:
        part = self._path / part_name(name)
        with self._told(name):
            try:
                with made_anew(part, 0o640) as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):
                    part.unlink(missing_ok=True)  # a full disk is not kept full by half a file
                raise
            crash.point("before_rename")
            part.replace(self._path / name)
            crash.point("after_rename")
        self.replaced(name)

    def get(self, name: str) -> bytes | None:
        with self._told(name):
            self.prepare()  # else an unmounted folder looks as if somebody had taken the file
            held, file = self._path / held_name(name), self._path / name
            if held.exists() and not file.exists():
                held.rename(file)
            try:
                return _read_plain(file)
            except FileNotFoundError:
                return None
        raise AssertionError

    def has(self, name: str) -> bool:
        self.prepare()
        return (self._path / name).exists()

    def hold(self, name: str) -> bool:
        with self._told(name):
            self.prepare()
            try:
                (self._path / name).rename(self._path / held_name(name))
            except FileNotFoundError:
                return False
            return True
        raise AssertionError

    def replaced(self, name: str) -> None:
        with self._told(name):
            (self._path / held_name(name)).unlink(missing_ok=True)
            self._sync()

    def remove(self, name: str) -> None:
        with self._told(name):
            self.prepare()
            for one in (part_name(name), held_name(name), name):
                (self._path / one).unlink(missing_ok=True)
            self._sync()

    def names(self) -> set[str]:
        with self._told(""):
            return {path.name for path in self._path.iterdir()}
        raise AssertionError

    def check(self) -> list[Finding]:
        if not self._path.is_dir():
            return [
                Finding("wrong", "folder", f"{self._path} is not there", "make it, or mount it")
            ]
        findings = []
        if os.access(self._path, os.R_OK | os.W_OK | os.X_OK):
            findings.append(Finding("ok", "folder", f"{self._path} can be read and written"))
        else:
            findings.append(
                Finding(
                    "wrong",
                    "folder",
                    f"{self._path} cannot be read and written",
                    "give the connector's user read and write access",
                )
            )
        if self._path.stat().st_mode & 0o007:
            findings.append(
                Finding(
                    "warning",
                    "folder",
                    f"every user of this machine can look into {self._path}",
                    f"chmod o-rwx {self._path}",
                )
            )
        if shutil.disk_usage(self._path).free < LITTLE_SPACE:
            findings.append(
                Finding("warning", "folder", "less than 100 MB are free", "make room there")
            )
        return findings

    def close(self) -> None:
        """A folder stays as it is."""

    @contextlib.contextmanager
    def _told(self, name: str) -> Iterator[None]:
        try:
            yield
        except OSError as wrong:
            raise SinkDownError(
                f"the folder {self._path}: {name or 'listing'}: {_what(wrong)}"
            ) from None

    def _sync(self) -> None:
        handle = os.open(self._path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _read_plain(path: Path) -> bytes:
    """A file's content. OSError (ELOOP) of what somebody put in its place that is no plain file: a
    link leads to anything the connector may read, and a pipe never ends."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(handle, "rb") as file:
        seen = os.fstat(file.fileno())
        if not stat.S_ISREG(seen.st_mode):
            raise OSError(errno.ELOOP, "no plain file")
        if seen.st_size > MOST_BYTES:
            raise OSError(errno.EOVERFLOW, "too large")
        return file.read()


def _what(wrong: OSError) -> str:
    """What to do about it, for the usual causes."""
    if wrong.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return "no room is left, by disk or quota: make room"
    if wrong.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return "may not be written: give the connector's user write access"
    if wrong.errno == errno.ELOOP:
        return NO_FILE
    if wrong.errno == errno.EOVERFLOW:
        return "is larger than anything that was put there: somebody changed it, take it away"
    if wrong.errno == errno.ENOENT:
        return "is not there: make the folder, or mount it"
    return wrong.strerror or type(wrong).__name__
