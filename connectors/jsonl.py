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
counts it. Nothing in the state file is content, except what waits in quarantine or is restricted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.agency.identity import for_its_owner, made_anew
from connectors.errors import SettingsError, SinkDownError
from connectors.files.records import envelope
from connectors.findings import Finding
from connectors.landing import LandingSink
from connectors.ledger import Ledger
from connectors.sink import Addition, Batch, Correction, RecallPolicy, Removal
from connectors.sql import SqlDatabase

_BACK: Final = (
    "put it back from a copy of the same moment as its state file; or remove both, and take "
    "everything from the hub's log again with `connector run --once --via http`"
)


class JsonLines:
    """Projection into one file. Belongs to a JsonlSink, which settles it after each commit."""

    def __init__(self, path: Path, metadata: sa.MetaData) -> None:
        self._path = path
        self._next = path.with_name(path.name + ".next")
        self.length = sa.Table(
            "nrm_jsonl",
            metadata,
            sa.Column("path", sa.String(400), primary_key=True),
            sa.Column("bytes", sa.BigInteger, nullable=False),
            sa.Column("rewritten", sa.Boolean, nullable=False),
        )

    def settle(self, db: Connection) -> None:
        """Make the file what the state says: finish or drop a rewrite, cut what does not count."""
        row = db.execute(sa.select(self.length)).one_or_none()
        if row is None:
            self._path.touch(mode=0o600, exist_ok=True)
            if self._path.stat().st_size:
                raise SettingsError(
                    f"{self._path} holds something, and there are no books beside it: name another "
                    "file in sink.path, or take this one away"
                )
            db.execute(self.length.insert().values(path=str(self._path), bytes=0, rewritten=False))
            return
        if row.rewritten and self._next.exists():
            self._next.replace(self._path)
            _sync(self._path.parent)
        self._next.unlink(missing_ok=True)
        if row.rewritten:
            db.execute(self.length.update().values(rewritten=False))
        if _whole(self._path, row.bytes) > row.bytes:
            os.truncate(self._path, row.bytes)

    def ready(self, schemas: Iterable[tuple[str, bytes]]) -> None:
        """A file needs no columns."""

    def add(self, db: Connection, additions: Sequence[Addition]) -> None:
        lines = [_line(addition) for addition in additions]
        self._append(db, "".join(_written(line) for line in lines))

    def _append(self, db: Connection, text: str) -> None:
        path, length, _ = self._now(db)
        data = text.encode()
        _whole(path, length)
        with path.open("r+b") as file:
            file.seek(length)
            file.write(data)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        db.execute(self.length.update().values(bytes=length + len(data)))

    def _now(self, db: Connection) -> tuple[Path, int, bool]:
        """The file of this transaction and how much of it counts."""
        row = db.execute(sa.select(self.length)).one()
        return (self._next if row.rewritten else self._path), int(row.bytes), bool(row.rewritten)

    def read(self, db: Connection, removal: Removal) -> Mapping[str, Mapping[str, Any]]:
        found: dict[str, Mapping[str, Any]] = {}
        for line in self._lines(db):
            if line["event_ref"] == removal.event_ref:
                found.update({c: v for c, v in line["fields"].items() if c in removal.categories})
        return found

    def shown(self, db: Connection) -> set[tuple[str, str]]:
        """Event and category of all that the file holds."""
        return {(line["event_ref"], one) for line in self._lines(db) for one in line["fields"]}

    def remove(self, db: Connection, removal: Removal) -> None:
        def without(line: dict[str, Any]) -> dict[str, Any] | None:
            if line["event_ref"] != removal.event_ref:
                return line
            for category in removal.categories:
                line["fields"].pop(category, None)
                line["bases"].pop(category, None)
            line["categories"] = sorted(line["fields"])
            return line if line["fields"] else None

        self._rewrite(db, without)

    def correct(self, db: Connection, correction: Correction) -> None:
        def right(line: dict[str, Any]) -> dict[str, Any]:
            if line["event_ref"] == correction.event_ref:
                for values in line["fields"].values():
                    if correction.field in values:
                        values[correction.field] = correction.value
            return line

        self._rewrite(db, right)

    def _rewrite(self, db: Connection, change: Any) -> None:
        changed = (change(line) for line in self._lines(db))
        text = "".join(_written(line) for line in changed if line is not None)
        data = text.encode()
        # Beside the file, under one name: the transaction may rewrite several times.
        draft = self._next.with_name(self._next.name + ".draft")
        with made_anew(draft) as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self._next)
        _sync(self._path.parent)
        db.execute(self.length.update().values(bytes=len(data), rewritten=True))

    def _lines(self, db: Connection) -> Iterator[dict[str, Any]]:
        path, length, _ = self._now(db)
        _whole(path, length)
        with path.open("rb") as file:
            for number, raw in enumerate(file.read(length).split(b"\n")[:-1], 1):
                try:
                    yield json.loads(raw)
                except ValueError:
                    raise SinkDownError(
                        f"{path}, line {number} was changed and cannot be read: {_BACK}"
                    ) from None


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
            self._compare()
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

    def _compare(self) -> None:
        """SinkDownError unless the file holds just what the books say: put back from an older copy
        it may hold what was recalled, which no recall would reach any more."""
        with self.database.reading() as db:
            held = {
                (ref, category)
                for ref, one in self._ledger.holdings.held(
                    db, self._ledger.holdings.known_events(db)
                ).items()
                for category in one.bases
            }
            if self._file.shown(db) != held:
                raise SinkDownError(f"{self.path} is not as these books left it: {_BACK}")

    def _settle(self) -> None:
        with self.database.writing() as db:
            self._file.settle(db)

    def _committed(self, recalled: bool) -> None:
        self._settle()
        self.database.wipe(recalled)


def _written(line: dict[str, Any]) -> str:
    """One line. Line ends of other alphabets are escaped: many a reader takes them for its end."""
    text = json.dumps(line, ensure_ascii=False)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029") + "\n"


def _line(addition: Addition) -> dict[str, Any]:
    event = addition.event
    return {
        **envelope(addition),
        "categories": sorted(addition.categories),
        "bases": {category: event.bases[category] for category in addition.categories},
        "fields": {category: dict(event.fields[category]) for category in addition.categories},
    }


def _whole(path: Path, length: int) -> int:
    """The file's size. SinkDownError if it lacks what was answered: nothing may be written then."""
    size = path.stat().st_size if path.is_file() else -1
    if size < length:
        what = "is no file" if size < 0 else f"has {size} bytes of {length} that were written"
        raise SinkDownError(f"{path} {what}: {_BACK}")
    return size


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
