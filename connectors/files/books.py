"""What the books note of files: which there are, and which fields of which event are in which.

    nrm_file       name, kind (data, batch, recall), batch, event type, rows, bytes, digest, edition
    nrm_file_row   file, event, sequence, and by category the names of its fields

No content is noted. Beside the books lies the journal, FILE.journal: names and digests of what is
about to be put or taken away, written down first. It tells what an attempt that was cut off left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.agency.identity import write_whole
from connectors.errors import SinkDownError
from connectors.files.manifest import Listed
from connectors.files.records import Names, Record
from connectors.tables.as_written import as_written
from connectors.tables.bulk import insert_all

REMOVED: Final = ""
"""In the journal, in place of a digest: the file is to be taken away."""

DOCUMENT: Final = "document"
"""In the journal, in place of a digest: a manifest or a list of recalls, with its signature."""


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class DataFile:
    """A data file as it is to be.

    there: as it lies there now. taken: it is not there any more, the partner has it. removed: it is
    not there any more, an attempt that was cut off took it away. changed: the books have to learn
    of it. rewritten: it has to be put anew. losing: events of which it loses something now.
    """

    name: str
    event_type: str
    batch: str
    edition: int
    records: list[Record] = field(repr=False)
    there: bytes | None = field(default=None, repr=False)
    taken: bool = False
    removed: bool = False
    changed: bool = False
    rewritten: bool = False
    losing: set[str] = field(default_factory=set)


class FileBooks:
    """The two tables. All calls are inside the sink's transaction."""

    def __init__(self, metadata: sa.MetaData) -> None:
        name, ref = sa.String(200), sa.String(100)
        self.file = sa.Table(
            "nrm_file",
            metadata,
            sa.Column("name", name, primary_key=True),
            sa.Column("kind", sa.String(10), nullable=False),
            sa.Column("batch", name, nullable=False, index=True),
            sa.Column("event_type", sa.String(64), nullable=False),
            sa.Column("rows", sa.Integer, nullable=False),
            sa.Column("bytes", sa.BigInteger, nullable=False),
            sa.Column("sha256", sa.String(64), nullable=False),
            sa.Column("edition", sa.Integer, nullable=False),
        )
        self.row = sa.Table(
            "nrm_file_row",
            metadata,
            sa.Column("file", name, primary_key=True),
            sa.Column("event_ref", ref, primary_key=True, index=True),
            sa.Column("sequence", sa.BigInteger, primary_key=True, autoincrement=False),
            sa.Column("names", sa.Text, nullable=False),
        )

    def find(self, db: Connection, name: str) -> Any:
        """The note of a file; None if there is none."""
        return db.execute(sa.select(self.file).where(self.file.c.name == name)).one_or_none()

    def holding(self, db: Connection, event_ref: str) -> Sequence[str]:
        """The files that hold something of the event."""
        f = self.row.c
        query = sa.select(f.file).where(f.event_ref == event_ref).distinct().order_by(f.file)
        return db.execute(query).scalars().all()

    @as_written
    def names(self, db: Connection, name: str) -> Names:
        query = sa.select(self.row).where(self.row.c.file == name)
        return {
            (row.event_ref, int(row.sequence)): json.loads(row.names) for row in db.execute(query)
        }

    def listed(self, db: Connection, batch: str) -> list[Listed]:
        """The data files of a batch."""
        f = self.file.c
        query = sa.select(self.file).where(f.batch == batch, f.kind == "data")
        return [
            Listed(row.name, row.event_type or None, row.rows, row.bytes, row.sha256, row.edition)
            for row in db.execute(query)
        ]

    def data_names(self, db: Connection) -> list[str]:
        f = self.file.c
        return list(
            db.execute(sa.select(f.name).where(f.kind == "data").order_by(f.name)).scalars()
        )

    def all_names(self, db: Connection) -> set[str]:
        return set(db.execute(sa.select(self.file.c.name)).scalars())

    def count(self, db: Connection, file: DataFile, data: bytes | None) -> None:
        """A data file as it is now. data: None of one that was taken. Without records: it is not
        there any more."""
        was = self.find(db, file.name)
        db.execute(self.row.delete().where(self.row.c.file == file.name))
        self.forget(db, file.name)
        if not file.records:
            return
        if data is not None:
            measures = {"rows": len(file.records), "bytes": len(data), "sha256": digest(data)}
        else:
            measures = {"rows": was.rows, "bytes": was.bytes, "sha256": was.sha256}
        db.execute(
            self.file.insert().values(
                name=file.name,
                kind="data",
                batch=file.batch,
                event_type=file.event_type,
                edition=file.edition,
                **measures,
            )
        )
        insert_all(
            db,
            self.row,
            [
                {
                    "file": file.name,
                    "event_ref": record.event_ref,
                    "sequence": record.sequence,
                    "names": json.dumps(record.names),
                }
                for record in file.records
            ],
        )

    def count_document(self, db: Connection, name: str, kind: str, data: bytes) -> None:
        self.forget(db, name)
        db.execute(
            self.file.insert().values(
                name=name,
                kind=kind,
                batch="",
                event_type="",
                rows=0,
                bytes=len(data),
                sha256=digest(data),
                edition=1,
            )
        )

    def forget(self, db: Connection, name: str) -> None:
        db.execute(self.file.delete().where(self.file.c.name == name))


class Journal:
    """Name → digests of what was put, or was about to be, and is perhaps not in the books."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._noted: dict[str, list[str]] = {}

    def read(self) -> None:
        """SinkDownError if it cannot be read: what an attempt left could not be told then."""
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            found = {}
        except OSError as wrong:
            raise SinkDownError(f"{self._path} cannot be read ({wrong.strerror})") from None
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or not all(map(_digests, found.values())):
            raise SinkDownError(
                f"{self._path} is damaged: put it back from a copy. Without one, stop the "
                "connector, empty the folder, remove this file and the books, and take everything "
                "from the hub's log again with `connector run --once --via http`"
            )
        self._noted = found

    def names(self) -> set[str]:
        return set(self._noted)

    def removed(self) -> set[str]:
        """Names of files that were taken away, as far as that is still noted."""
        return {name for name, digests in self._noted.items() if digests[-1] == REMOVED}

    def digests(self, name: str) -> Sequence[str]:
        return self._noted.get(name, ())

    def left(self, db: Connection, books: FileBooks, again: Iterable[str]) -> list[str]:
        """What may lie there and is not in the books, manifests first; but for what is put again
        now."""
        names = sorted(set(self._noted) - set(again), key=lambda name: (not_document(name), name))
        return [
            name
            for name in names
            if REMOVED not in self._noted[name] and books.find(db, name) is None
        ]

    def unsettled(self, db: Connection, books: FileBooks) -> list[str]:
        """Data files of the books that were, or were about to be, changed beyond what these say."""
        return [
            name
            for name in sorted(self._noted)
            if not_document(name)
            and books.find(db, name) is not None
            and not self._settled(db, books, name)
        ]

    def write(self, db: Connection, books: FileBooks, puts: Mapping[str, str]) -> None:
        """Note what is about to happen, name → digest, beside what is not settled yet."""
        kept = {
            name: list(digests)
            for name, digests in self._noted.items()
            if not self._settled(db, books, name)
        }
        for name, one in puts.items():
            noted = kept.setdefault(name, [])
            if noted[-1:] != [one]:
                noted.append(one)
        self._write(kept)

    def removing(self, name: str) -> None:
        """Note that a file which nobody else can reach any more is taken away now."""
        self._write({**self._noted, name: [*self.digests(name), REMOVED]})

    def _write(self, noted: dict[str, list[str]]) -> None:
        write_whole(self._path, json.dumps(noted).encode())
        self._noted = noted

    def _settled(self, db: Connection, books: FileBooks, name: str) -> bool:
        last, row = self._noted[name][-1], books.find(db, name)
        if row is None:
            return last == REMOVED
        return last in (DOCUMENT, row.sha256)


def not_document(name: str) -> bool:
    return not name.endswith(".json")


def _digests(noted: Any) -> bool:
    return isinstance(noted, list) and noted != [] and all(isinstance(one, str) for one in noted)
