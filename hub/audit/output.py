"""Output of long audits: JSON Lines in a file, and a mark that says how far they are.

    FILE        one canonical JSON object a line: keys sorted, no spaces, UTF-8; whole, or not there
    FILE.part   while the work is under way: what is written so far
    FILE.mark   beside it: what is asked, and where it goes on

A mark is written only after the lines before it are on disk, and replaces the one before at once.
Whoever was killed runs the same command again: lines after the last mark are cut off and written
again, so the file comes out the same as without the interruption. A mark names the log it was made
on by the row at its position and the last signed checkpoint before that; on another log the work
is refused, never continued.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import orjson

from hub.errors import Refused
from hub.store.log import HubLog

_READ: Final = 1 << 20


@dataclass(frozen=True)
class Asked:
    """What a long audit was asked. `end`: log position up to which it reads; 0: none was given."""

    what: str
    hub: str
    end: int
    filters: Mapping[str, Any] = field(default_factory=dict)


def line(value: Mapping[str, Any]) -> bytes:
    """One line as it is written: the same value gives the same bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS) + b"\n"


class Output:
    """A file being written. `position` and `kept` say where to go on; 0 and empty at first."""

    def __init__(self, path: Path, log: HubLog, asked: Asked) -> None:
        """Begin, or go on from the mark beside the file. Refused: `output_exists`, `other_log`,
        `other_question`, `mark_unreadable`."""
        self._path, self._log, self._asked = path, log, asked
        self._part = path.with_name(path.name + ".part")
        self._mark = path.with_name(path.name + ".mark")
        if path.exists():
            raise Refused(0, "output_exists", f"{path} is there already: choose another file")
        self.position, self.end, self.kept = 0, asked.end or log.head, {}
        self.resumed = self._mark.exists()
        self._digest = hashlib.sha256()
        if self.resumed:
            size = self._resume()
            if not self._part.exists():
                raise self._unreadable(f"{self._part.name} is gone")
            self._file: BinaryIO = self._part.open("r+b")
            left = size
            while left and (some := self._file.read(min(left, _READ))):
                self._digest.update(some)
                left -= len(some)
            if left:
                raise self._unreadable("the file is shorter than its mark says")
            self._file.truncate(size)
            self._file.seek(size)
        else:
            self._file = self._part.open("wb")
            os.chmod(self._part, 0o600)
            self.mark(0)

    kept: dict[str, Any]
    """What the work itself needs to go on; as given to `mark`."""

    def write(self, value: Mapping[str, Any]) -> None:
        self.write_line(line(value))

    def write_line(self, text: bytes) -> None:
        """One line as it is, its end included."""
        self._digest.update(text)
        self._file.write(text)

    def mark(self, position: int, kept: Mapping[str, Any] | None = None) -> None:
        """Everything written so far is final, and the work goes on after this log position."""
        self._file.flush()
        os.fsync(self._file.fileno())
        note = {
            "what": self._asked.what,
            "hub": self._asked.hub,
            "filters": dict(self._asked.filters),
            "end": self.end,
            "position": position,
            "row": self._row(position),
            "checkpoint": self._checkpoint(position),
            "size": self._file.tell(),
            "kept": dict(kept or {}),
        }
        fresh = self._mark.with_name(self._mark.name + ".new")
        with fresh.open("wb") as file:
            file.write(orjson.dumps(note))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._mark)

    def finish(self) -> str:
        """The file is whole: it gets its name, the mark goes. Returns its SHA-256, hexadecimal."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._mark.unlink()
        self._part.replace(self._path)
        return self._digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *failure: object) -> None:
        self._file.close()

    # -- going on ------------------------------------------------------------------------------

    def _resume(self) -> int:
        try:
            note = json.loads(self._mark.read_bytes())
            same = (note["what"], note["hub"], note["filters"])
            position, end, size = int(note["position"]), int(note["end"]), int(note["size"])
            row, checkpoint, kept = note["row"], note["checkpoint"], note["kept"]
        except (ValueError, KeyError, TypeError):
            raise self._unreadable("it does not say where to go on") from None
        if same != (self._asked.what, self._asked.hub, dict(self._asked.filters)) or (
            self._asked.end not in (0, end)
        ):
            raise Refused(
                0,
                "other_question",
                f"{self._mark} belongs to another question or another --as-of: ask the same again, "
                f"or remove it and {self._part.name} to begin anew",
            )
        if self._row(position) != row or self._checkpoint(position, checkpoint) != checkpoint:
            raise Refused(
                0,
                "other_log",
                f"{self._mark} was made on another log: run `nrm-hub audit verify`; to begin anew, "
                f"remove it and {self._part.name}",
            )
        self.position, self.end, self.kept = position, end, kept
        return size

    def _row(self, position: int) -> str:
        """What the Merkle leaf of the row at this position holds."""
        found = self._log.leaves(position, 1) if position else []
        return found[0][1].hex() if found and found[0][0] == position else ""

    def _checkpoint(self, position: int, known: str | None = None) -> str:
        """The signed root under which the log stood then; of a known one, what stands there now."""
        if known:
            size = int(known.partition(" ")[0])
            found = [one for one in self._log.checkpoints(size - 1, 1) if one[0] == size]
        else:
            found = self._log.checkpoints_before(position)
        return f"{found[0][0]} {found[0][1].splitlines()[2]}" if found else ""

    def _unreadable(self, why: str) -> Refused:
        return Refused(
            0,
            "mark_unreadable",
            f"{self._mark} cannot be used ({why}): remove it and {self._part.name}, and begin anew",
        )
