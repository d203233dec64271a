"""The JSON Lines sink: deliveries as lines of a file, for tools that read files.

    {"sequence": 1, "event_ref": …, "event_type": …, "case_ref": …, "categories": […],
     "bases": {…}, "fields": {category: {field: value}}}

One line per delivery that brought something; a later category of the same event is a line of its
own, a correction too. A recall rewrites the file without what was recalled: then the file is a new
one (follow it by name, `tail -F`).

How it is one transaction without being a database: the bookkeeping is an SQLite file beside it
(`FILE.state.db`), and the length of the file that counts is a row there. Lines are appended and
fsynced first, then the SQLite transaction commits; whatever is behind the counted length belongs
to no transaction and is cut off. A rewritten file waits under another name until the commit that
counts it. How the file is known for ours without being read is `connectors/counted.py`. Whatever
reads it reads line by line, so that memory does not grow with the file.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.agency.identity import for_its_owner, made_anew
from connectors.counted import Counted, Digesting
from connectors.errors import SettingsError, SinkDownError
from connectors.files.records import envelope
from connectors.findings import Finding
from connectors.landing import LandingSink
from connectors.ledger import Ledger
from connectors.sink import Addition, Batch, Correction, RecallPolicy, Removal
from connectors.sql import SqlDatabase


class JsonLines:
    """Projection into one file. Belongs to a JsonlSink, which settles it after each commit."""

    def __init__(self, path: Path, metadata: sa.MetaData) -> None:
        self._path = path
        self._next = path.with_name(path.name + ".next")
        self._counted = Counted(metadata)

    def settle(self, db: Connection) -> None:
        """Make the file what the state says: finish or drop a rewrite, cut what does not count.
        SinkDownError if what counts of it is not as it was written."""
        table = self._counted.length
        row = db.execute(sa.select(table)).one_or_none()
        if row is None:
            self._path.touch(mode=0o600, exist_ok=True)
            if self._path.stat().st_size:
                raise SettingsError(
                    f"{self._path} holds something, and there are no books beside it: name another "
                    "file in sink.path, or take this one away"
                )
            db.execute(table.insert().values(path=str(self._path), bytes=0, rewritten=False))
            return
        if row.rewritten and self._next.exists():
            self._next.replace(self._path)
            _sync(self._path.parent)
        self._next.unlink(missing_ok=True)
        self._counted.adopt(db, self._path, row.bytes)
        size = self._counted.known(db, self._path, row.bytes, renamed=row.rewritten)
        if row.rewritten:
            db.execute(table.update().values(rewritten=False))
        if size > row.bytes:
            os.truncate(self._path, row.bytes)
        self._counted.note(db, self._path)

    def ready(self, schemas: Iterable[tuple[str, bytes]]) -> None:
        """A file needs no columns."""

    def add(self, db: Connection, additions: Sequence[Addition]) -> None:
        lines = [_line(addition) for addition in additions]
        self._append(db, "".join(_written(line) for line in lines))

    def _append(self, db: Connection, text: str) -> None:
        path, length = self._now(db)
        length = self._counted.append(db, path, length, text.encode())
        db.execute(self._counted.length.update().values(bytes=length))

    def _now(self, db: Connection) -> tuple[Path, int]:
        """The file of this transaction and how much of it counts."""
        row = db.execute(sa.select(self._counted.length)).one()
        return (self._next if row.rewritten else self._path), int(row.bytes)

    def read(self, db: Connection, removal: Removal) -> Mapping[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        for _, line in self._lines(db, removal.event_ref):
            if line is not None:
                found.update({c: v for c, v in line["fields"].items() if c in removal.categories})
        return found

    def remove(self, db: Connection, removal: Removal) -> None:
        def without(line: dict[str, Any]) -> None:
            for category in removal.categories:
                line["fields"].pop(category, None)
                line["bases"].pop(category, None)
            line["categories"] = sorted(line["fields"])

        self._rewrite(db, removal.event_ref, without)

    def correct(self, db: Connection, correction: Correction) -> None:
        def right(line: dict[str, Any]) -> None:
            for values in line["fields"].values():
                if correction.field in values:
                    values[correction.field] = correction.value

        self._rewrite(db, correction.event_ref, right)

    def _rewrite(
        self, db: Connection, event_ref: str, change: Callable[[dict[str, Any]], None]
    ) -> None:
        """The file anew, with the lines of this event changed; a line without fields goes."""
        # Beside the file, under one name: the transaction may rewrite several times.
        draft = self._next.with_name(self._next.name + ".draft")
        try:
            with made_anew(draft) as file:
                anew = Digesting(file)
                for raw, line in self._lines(db, event_ref):
                    if line is None:
                        anew.write(raw)
                        continue
                    change(line)
                    if line["fields"]:
                        anew.write(_written(line).encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise
        draft.replace(self._next)
        _sync(self._path.parent)
        self._counted.written(db, self._next, anew.digests)
        db.execute(self._counted.length.update().values(bytes=anew.length, rewritten=True))

    def _lines(
        self, db: Connection, event_ref: str
    ) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
        """Every line as it lies there, and as it reads if it is of this event."""
        path, length = self._now(db)
        self._counted.look(path, length)
        of_it = _text(event_ref).encode()
        rest = b""
        for block in self._counted.blocks(db, path, length):
            *lines, rest = (rest + block).split(b"\n")
            for raw in lines:
                line = json.loads(raw) if of_it in raw else None
                mine = line is not None and line["event_ref"] == event_ref
                yield raw + b"\n", line if mine else None


class JsonlSink(LandingSink):
    """Sink into a JSON Lines file and its state file."""

    def __init__(
        self, path: Path, agency: str, hub: str, *, recalls: RecallPolicy | None = None
    ) -> None:
        self.path = path = path.expanduser().resolve()
        self.database = SqlDatabase(f"sqlite:///{path}.state.db")
        self._metadata = sa.MetaData()
        self._file = JsonLines(path, self._metadata)
        super().__init__(self.database, Ledger(agency, hub, self._metadata), [self._file], recalls)

    def prepare(self) -> None:
        try:
            for_its_owner(self.path.with_name(self.path.name + ".state.db"))
            with self.database.writing() as db:
                self._metadata.create_all(db)
            self._settle()
            self.database.wipe(True)
        except OSError as wrong:
            raise SinkDownError(f"the file cannot be written: {wrong.strerror}") from None

    def apply(self, batch: Batch) -> None:
        try:
            super().apply(batch)
        except OSError as wrong:
            raise SinkDownError(f"the file cannot be written: {wrong.strerror}") from None

    def check(self) -> list[Finding]:
        """The folder is there, and the file is for its owner alone."""
        folder = self.path.parent
        if not folder.is_dir():
            fix = "make it, or correct sink.path"
            return [Finding("wrong", "file", f"there is no folder {folder}", fix)]
        if self.path.exists() and self.path.stat().st_mode & 0o077:
            text = f"{self.path} can be read by others"
            fix = f"chmod 600 {self.path}, unless those who read it are meant to"
            return [Finding("warning", "file", text, fix)]
        return [Finding("ok", "file", f"{self.path}, for its owner alone")]

    def close(self) -> None:
        self.database.close()

    def _settle(self) -> None:
        with self.database.writing() as db:
            self._file.settle(db)

    def _committed(self, recalled: bool) -> None:
        self._settle()
        self.database.wipe(recalled)


def _written(line: dict[str, Any]) -> str:
    return _text(line) + "\n"


def _text(value: Any) -> str:
    """JSON in one line. Line ends of other alphabets are escaped: many a reader takes them for its
    end."""
    text = json.dumps(value, ensure_ascii=False)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _line(addition: Addition) -> dict[str, Any]:
    event = addition.event
    return {
        **envelope(addition),
        "categories": sorted(addition.categories),
        "bases": {category: event.bases[category] for category in addition.categories},
        "fields": {category: dict(event.fields[category]) for category in addition.categories},
    }


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
