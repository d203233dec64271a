"""Dropped files: which of a folder are whole, claimed one at a time.

A file is moved to `work/` before it is read, so nobody adds to it under its name meanwhile, and
under a name that nothing has had here. Links, folders, pipes and hidden files are nobody's.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from connectors import crash
from connectors.errors import SettingsError
from connectors.sources.folder.report import rest_name

SUFFIXES: Final = (".csv", ".json", ".jsonl")
MARKER: Final = ".done"
WITHIN: Final = ("work", "done", "refused")
_LONGEST_STEM: Final = 200  # bytes: a name has 255, and reports are named after their file


class DroppedFiles:
    """The files of one folder: which are whole, and which is in work.

    marker: a file is whole when NAME.done is beside it, else when it has not changed for
    `settle_seconds`. unsettled: whether the last look met one that was not whole yet.
    """

    def __init__(
        self, folder: Path, settle_seconds: float, marker: bool, clock: Callable[[], float]
    ) -> None:
        self._folder = folder
        self._settle = settle_seconds
        self._marker = marker
        self._clock = clock
        self._seen: dict[str, tuple[int, int, float]] = {}
        self.unsettled = False

    def make_folders(self) -> None:
        """This program's own folders, once nothing else has their names (`check.py`)."""
        for name in WITHIN:
            try:
                (self._folder / name).mkdir(mode=0o700, exist_ok=True)
            except OSError as wrong:
                raise SettingsError(
                    f"folder.path: {self._folder / name} cannot be made ({wrong.strerror})"
                ) from None

    def in_work(self) -> str | None:
        """The file being read; the next that is whole, if there is none."""
        name = next(_names(self._folder / "work"), None)
        if name is None:
            return self._claim()
        if self._marker:
            self._forget_markers()
        return name

    def waiting(self) -> Iterator[str]:
        """Names of files to be taken, in order."""
        for name in _names(self._folder):
            if not self._marker or self._has_marker(name):
                yield name

    def left_alone(self) -> int:
        """Proper files in the folder that are not taken; what is hidden is nobody's to look at."""
        taken = {name for one in self.waiting() for name in (one, one + MARKER)}
        with os.scandir(self._folder) as entries:
            return sum(
                entry.is_file(follow_symlinks=False)
                and not entry.name.startswith(".")
                and entry.name not in taken
                for entry in entries
            )

    def to_put_right(self) -> bool:
        """Whether files lie in `refused`."""
        return next(_names(self._folder / "refused"), None) is not None

    def _claim(self) -> str | None:
        """Move the next file that is whole to `work/`, under a name nothing has had here."""
        self.unsettled = False
        for name in self.waiting():
            path = self._folder / name
            if not self._settled(path):
                self.unsettled = True
                continue
            claimed = self._folder / "work" / self._unused(path)
            try:
                os.rename(path, claimed)
            except FileNotFoundError:
                continue  # taken back a moment ago
            crash.point("source_after_claim")
            if self._has_marker(name):
                (self._folder / (name + MARKER)).unlink(missing_ok=True)
            self._seen.pop(name, None)
            if _proper(claimed):
                return claimed.name
            if claimed.is_symlink():  # made one after it was looked at
                claimed.unlink()
            else:
                os.rename(claimed, self._folder / "refused" / claimed.name)
        return None

    def _unused(self, path: Path) -> str:
        """A name that nothing has had here, and that leaves room for what is put beside it."""
        stem = path.stem
        while len(os.fsencode(stem)) > _LONGEST_STEM:
            stem = stem[:-1]
        name, count = f"{stem}{path.suffix}", 1
        while self._had(name):
            count += 1
            name = f"{stem}.{count}{path.suffix}"
        return name

    def _had(self, name: str) -> bool:
        """Also a name whose rest file would lie on another: that may be the only copy."""
        places = [self._folder / one / name for one in ("work", "done", "refused")]
        places.append(self._folder / "refused" / rest_name(Path(name)))
        return any(os.path.lexists(one) for one in places)

    def _forget_markers(self) -> None:
        """Cut off between moving a file and removing its marker: the marker must not speak for the
        next file of that name."""
        for marker in self._folder.glob(f"*{MARKER}"):
            named = self._folder / marker.name.removesuffix(MARKER)
            if marker.is_file() and not named.exists():
                marker.unlink(missing_ok=True)

    def _has_marker(self, name: str) -> bool:
        return (self._folder / (name + MARKER)).is_file()

    def _settled(self, path: Path) -> bool:
        if self._marker:
            return True
        try:
            found = path.stat()
        except FileNotFoundError:
            return False
        now = self._clock()
        size, changed, since = self._seen.get(path.name, (-1, -1, now))
        if (size, changed) != (found.st_size, found.st_mtime_ns):
            since = now
            self._seen[path.name] = (found.st_size, found.st_mtime_ns, now)
        return now - since >= self._settle


def _names(folder: Path) -> Iterator[str]:
    """Names of proper files of ours, in order; no links, nothing hidden, no broken names."""
    try:
        names = sorted(entry.name for entry in os.scandir(folder))
    except FileNotFoundError:
        return
    for name in names:
        if (
            not name.isprintable()
            or name.startswith(".")
            or not name.lower().endswith(SUFFIXES)
            or name.endswith(".report.csv")
        ):
            continue
        if _proper(folder / name):
            yield name


def _proper(path: Path) -> bool:
    """A file itself: no link, folder or pipe; and still there."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except FileNotFoundError:
        return False
