"""The folder source: files dropped into a folder become events, row by row.

    folder/NAME        dropped, under its last name only when it is whole, or left to settle
    folder/work/       the file being read; one at a time, in order of names
    folder/done/       every row accepted
    folder/refused/    others, with NAME.rest.csv: the rows to put right and drop again
    …/NAME.report.csv  what became of each row: numbers, codes and what to do, none of its content

Promises
- A file is moved to `work/` before it is read, so nobody adds to it under its name meanwhile.
- How far a file is read and the rows read are noted in one transaction: killed in the middle of a
  file, reading goes on behind the last row noted.
- The same row dropped again is the same event (`folder/rows.py`); the same file dropped
  again changes nothing.
- A refused row holds back later rows of its case in the same file, if the settings say so; they go
  to the rest file with it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors import crash
from connectors.errors import SourceDownError
from connectors.findings import Finding
from connectors.source import Fault, RowOutcome
from connectors.sources.captured import BOX, Found, write
from connectors.sources.folder.check import folder_findings
from connectors.sources.folder.dropped import MARKER, SUFFIXES, WITHIN, DroppedFiles
from connectors.sources.folder.reading import MOST_ENTRIES, FileFault, head, kind_of, records
from connectors.sources.folder.report import report, rest
from connectors.sources.folder.rows import FileForm, RowReader
from connectors.sources.usable import refuse

log = logging.getLogger(__name__)

_UNREADABLE: Final = Fault(
    "file_unreadable", "", "give the file read access for this program, then drop it again"
)
_META: Final = sa.MetaData()
_FILE: Final = sa.Table(
    "nrm_file",
    _META,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("place", sa.Integer, nullable=False),
    sa.Column("row", sa.Integer, nullable=False),
    sa.Column("whole", sa.Boolean, nullable=False),
    sa.Column("fault", sa.Text),
)
_TRIED: Final = sa.Table(
    "nrm_tried",
    _META,
    sa.Column("row_key", sa.Text, primary_key=True),
    sa.Column("attempt", sa.Integer, nullable=False),
)


class FolderCapture:
    """Captures the rows of dropped files. For `CapturedSource`."""

    def __init__(
        self,
        folder: Path,
        form: FileForm,
        secret: bytes,
        *,
        encoding: str = "utf-8",
        delimiter: str = ",",
        settle_seconds: float = 5.0,
        marker: bool = False,
        keep_done: bool = True,
        holds_cases: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """secret: keys the rows' keys; the identity's salt secret. marker: a file is whole when
        NAME.done is beside it, else when it has not changed for `settle_seconds`."""
        self._folder = folder
        self._form = form
        self._secret = secret
        self._encoding = encoding
        self._delimiter = delimiter
        self._keep_done = keep_done
        self._holds_cases = holds_cases
        self._files = DroppedFiles(folder, settle_seconds, marker, clock)
        self._reading = False
        self.unread = 0

    def prepare(self, db: Connection) -> None:
        refuse(self.findings())
        self._files.make_folders()
        _META.create_all(db)

    def findings(self) -> list[Finding]:
        """What keeps files from being taken."""
        return list(folder_findings(self._folder, WITHIN, self._encoding))

    def listen(self, db: Connection) -> None:
        """Files wait where they are."""

    def take(self, db: Connection, room: int) -> None:
        """Reads on until there is a row to send, or no file that is whole. SourceDownError while
        the folder cannot be used."""
        try:
            self._take(db, room)
        except OSError as wrong:
            raise SourceDownError(
                f"the folder {self._folder} cannot be used ({wrong.strerror}): has its disk room, "
                "and may this program read and write there?"
            ) from None

    def _take(self, db: Connection, room: int) -> None:
        while (file := self._open(db)) is not None:
            if not file["whole"]:
                self._read(db, file, room)
            if self._sendable(db):
                break
            if file["whole"]:
                self._finish(db, file)
        self._reading = file is not None

    def answered(self, db: Connection, outcomes: Sequence[RowOutcome]) -> None:
        for one in outcomes:
            db.execute(sa.delete(_TRIED).where(_TRIED.c.row_key == one.key))
            if one.state == "refused" and one.step:
                tried = sa.insert(_TRIED).values(row_key=one.key, attempt=one.attempt + 1)
                db.execute(tried)

    def release(self, db: Connection) -> None:
        """Nothing: what was refused is in the rest file, to be dropped again."""

    def alarms(self) -> Mapping[str, str]:
        return {}

    def busy(self) -> bool:
        return self._reading or self._files.unsettled

    def notes(self, db: Connection) -> Sequence[str]:
        told = []
        for file in db.execute(sa.select(_FILE)).mappings():
            told.append(
                f"in work: {file['name']}, read to row {file['row']}{self._read_of(dict(file))}"
            )
        if waiting := len(list(self._files.waiting())):
            told.append(f"{waiting} files wait")
        if others := self._files.left_alone():
            told.append(
                f"{others} left alone: neither {', '.join(SUFFIXES)} nor, where it is needed, with "
                f"its {MARKER}, or with signs in the name that cannot be shown"
            )
        if self._files.to_put_right():
            told.append(f"files to put right, each beside its report: {self._folder / 'refused'}")
        return told

    def close(self) -> None:
        """Nothing is held open."""

    # -- which file --------------------------------------------------------------------------

    def _open(self, db: Connection) -> dict[str, Any] | None:
        """The file in work; the next one, if there is none."""
        found = db.execute(sa.select(_FILE)).mappings().one_or_none()
        if found is not None:
            return dict(found)
        name = self._files.in_work()
        if name is None:
            return None
        values: dict[str, Any] = {"name": name, "place": 0, "row": 0, "whole": False, "fault": None}
        db.execute(sa.insert(_FILE).values(values))
        return values

    def _read_of(self, file: Mapping[str, Any]) -> str:
        """How much of a file in work is read; nothing of a JSON document, which is read whole."""
        path = self._folder / "work" / file["name"]
        if kind_of(path) == ".json" or not path.exists():
            return ""
        return f" ({100 * file['place'] // max(path.stat().st_size, 1)} %)"

    # -- its rows ----------------------------------------------------------------------------

    def _read(self, db: Connection, file: dict[str, Any], room: int) -> None:
        path = self._folder / "work" / file["name"]
        place, row, whole = file["place"], file["row"], True
        if kind_of(path) == ".json":
            room = MOST_ENTRIES  # read once: each time it would be parsed whole
        try:
            begins = head(path, self._encoding, self._delimiter)
            reader = RowReader(self._form, begins.header, self._digest, file["name"])
            rows = records(path, begins, place or begins.begins, row)
            for record in rows:
                self._capture(db, reader.found(record, file["name"]))
                place, row = record.ends, record.number
                room -= 1
                if room <= 0:
                    whole = False
                    break
        except (FileFault, FileNotFoundError, PermissionError, IsADirectoryError) as wrong:
            fault = wrong.fault if isinstance(wrong, FileFault) else _UNREADABLE
            told = json.dumps([fault.reason, fault.field, fault.fix])
            self.unread += 1
            log.warning("%s refused: %s %s", file["name"], fault.reason, fault.field)
            db.execute(sa.update(_FILE).values(whole=True, fault=told))
            return
        db.execute(sa.update(_FILE).values(place=place, row=row, whole=whole))
        crash.point("source_after_rows")

    def _capture(self, db: Connection, found: Found) -> None:
        """A row whose key another row of the file has is that row again, or another like it."""
        key, count = found.key, 0
        while db.execute(sa.select(BOX.c.id).where(BOX.c.row_key == found.key)).first():
            count += 1
            found = replace(found, key=self._digest(key, count))
        if count and self._form.key and found.fault is None:
            fix = "give each row a key of its own, or name more key columns"
            found = replace(found, fault=Fault("duplicate_key", "", fix))
        tried = db.execute(
            sa.select(_TRIED.c.attempt).where(_TRIED.c.row_key == found.key)
        ).scalar_one_or_none()
        self.unread += found.fault is not None
        write(db, replace(found, attempt=tried or 0))

    def _digest(self, *said: Any) -> str:
        text = json.dumps(said, sort_keys=True, default=str).encode()
        return hmac.digest(self._secret, b"nrm.folder.v1\n" + text, hashlib.sha256).hex()

    # -- its end -----------------------------------------------------------------------------

    def _sendable(self, db: Connection) -> bool:
        """Whether rows wait for the hub, and not behind a refused one."""
        other = BOX.alias("earlier")
        behind = sa.exists(
            sa.select(sa.literal(1))
            .select_from(other)
            .where(other.c.case_ref == BOX.c.case_ref)
            .where(other.c.status == "refused")
            .where(other.c.id < BOX.c.id)
        )
        ready = sa.select(BOX.c.id).where(BOX.c.status == "ready")
        if self._holds_cases:
            ready = ready.where(sa.not_(behind))
        return db.execute(ready.limit(1)).first() is not None

    def _finish(self, db: Connection, file: dict[str, Any]) -> None:
        """Report, rest and the file itself, in this order: cut off anywhere it is done again."""
        name = file["name"]
        path = self._folder / "work" / name
        left = BOX.c.status.in_(("refused", "ready"))
        spans = [
            (int(row[0]), int(row[1]))
            for row in db.execute(
                sa.select(BOX.c.begins, BOX.c.ends).where(left).order_by(BOX.c.begins)
            )
        ]
        good = file["fault"] is None and not spans
        target = self._folder / ("done" if good else "refused")
        report(db, file["fault"], target / f"{name}.report.csv")
        if path.exists():
            if spans and file["fault"] is None:
                rest(path, spans, target, self._encoding, self._delimiter)
            crash.point("source_before_move")
            if good and not self._keep_done:
                path.unlink()
            else:
                os.rename(path, target / name)
            crash.point("source_after_move")
        db.execute(sa.delete(BOX))
        db.execute(sa.delete(_FILE))
