"""What of a file counts, noted in books beside it, so that it is known for ours without being read.

    nrm_jsonl         how many bytes count, and whether a rewritten file waits to take its place
    nrm_jsonl_block   the SHA-256 of each block of these bytes; the last block may be short
    nrm_jsonl_look    inode, size and times of the file when it was written last

All of it changes in the transaction that counts the bytes. A file that looks as noted is the file
that was written: its inode's change time is the kernel's, and nobody else can set it. One with more
behind what counts, as a cut-off attempt leaves it, is known by its last block. Any other is read
whole, a block at a time, and held against every digest: a copy put back, a file that was edited.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.errors import SinkDownError
from connectors.tables.bulk import insert_all

BLOCK: Final = 256 * 1024
BACK: Final = (
    "put it back from a copy of the same moment as its state file; or remove both, and take "
    "everything from the hub's log again with `connector run --once --via http`"
)


@dataclass(frozen=True, slots=True)
class Look:
    """A file as its folder shows it. Times in nanoseconds."""

    inode: int
    size: int
    modified: int
    changed: int

    @classmethod
    def at(cls, path: Path) -> Self | None:
        """None if there is no plain file."""
        try:
            seen = path.stat()
        except FileNotFoundError:
            return None
        if not stat.S_ISREG(seen.st_mode):
            return None
        return cls(seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)

    def but_for_its_name(self, other: Look) -> bool:
        """The same file, if it was renamed since: that touches the change time alone."""
        return (self.inode, self.size, self.modified) == (other.inode, other.size, other.modified)


class Counted:
    """The three tables. All calls are inside the sink's transaction."""

    def __init__(self, metadata: sa.MetaData) -> None:
        self.length = sa.Table(
            "nrm_jsonl",
            metadata,
            sa.Column("path", sa.String(400), primary_key=True),
            sa.Column("bytes", sa.BigInteger, nullable=False),
            sa.Column("rewritten", sa.Boolean, nullable=False),
        )
        self._block = sa.Table(
            "nrm_jsonl_block",
            metadata,
            sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column("sha256", sa.String(64), nullable=False),
        )
        self._look = sa.Table(
            "nrm_jsonl_look",
            metadata,
            *(
                sa.Column(name, sa.BigInteger, nullable=False)
                for name in ("inode", "size", "modified", "changed")
            ),
        )

    def append(self, db: Connection, path: Path, length: int, data: bytes) -> int:
        """Write behind what counts, over what does not; on the disk when this returns the new
        length. SinkDownError if the file is not the one that was counted."""
        self.known(db, path, length)
        first = length // BLOCK
        try:
            with path.open("r+b") as file:
                file.seek(first * BLOCK)
                last = self._digested(db, first, path, file.read(length - first * BLOCK))
                file.write(data)
                file.truncate()
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            with contextlib.suppress(OSError):
                os.truncate(path, length)  # a full disk is not kept full by what does not count
            raise
        self._keep(db, first, _digests(last + data))
        self.note(db, path)
        return length + len(data)

    def written(self, db: Connection, path: Path, digests: Sequence[str]) -> None:
        """A file that was written anew: these are the digests of its blocks."""
        self._keep(db, 0, digests)
        self.note(db, path)

    def adopt(self, db: Connection, path: Path, length: int) -> None:
        """Books made before blocks had digests get them, once, of the file as it is."""
        if not length or self._noted(db) is not None:
            return
        if db.execute(sa.select(self._block.c.number).limit(1)).first() is not None:
            return
        self.look(path, length)
        with path.open("rb") as file:
            sizes = (min(BLOCK, length - start) for start in range(0, length, BLOCK))
            self.written(
                db, path, [digest for size in sizes for digest in _digests(file.read(size))]
            )

    def note(self, db: Connection, path: Path) -> None:
        """The file is ours as it looks now."""
        look = Look.at(path)
        if look is None or look == self._noted(db):
            return
        db.execute(self._look.delete())
        db.execute(
            self._look.insert().values(
                inode=look.inode, size=look.size, modified=look.modified, changed=look.changed
            )
        )

    def known(self, db: Connection, path: Path, length: int, *, renamed: bool = False) -> int:
        """The file's size. SinkDownError unless what counts of it is as it was written: nothing may
        be written then, and no recall answered."""
        look, noted = self.look(path, length), self._noted(db)
        if noted == look or (renamed and noted is not None and look.but_for_its_name(noted)):
            return look.size
        cut_off = noted is not None and look.inode == noted.inode and look.size > length
        if cut_off and length:
            last = (length - 1) // BLOCK
            with path.open("rb") as file:
                file.seek(last * BLOCK)
                self._digested(db, last, path, file.read(length - last * BLOCK))
        else:
            for _ in self.blocks(db, path, length):
                pass
        return look.size

    @staticmethod
    def look(path: Path, length: int) -> Look:
        """SinkDownError if the file is shorter than what counts, or none."""
        look = Look.at(path)
        if look is None or look.size < length:
            what = f"has {look.size} bytes of {length} that were written" if look else "is no file"
            raise SinkDownError(f"{path} {what}: {BACK}")
        return look

    def blocks(self, db: Connection, path: Path, length: int) -> Iterator[bytes]:
        """What counts of the file. SinkDownError at the first block that is not as written."""
        with path.open("rb") as file:
            for number, digest in enumerate(self._digests_of(db, length)):
                block = file.read(min(BLOCK, length - number * BLOCK))
                if hashlib.sha256(block).hexdigest() != digest:
                    raise _changed(path, number)
                yield block

    def _digested(self, db: Connection, number: int, path: Path, block: bytes) -> bytes:
        query = sa.select(self._block.c.sha256).where(self._block.c.number == number)
        if block and db.execute(query).scalar() != hashlib.sha256(block).hexdigest():
            raise _changed(path, number)
        return block

    def _digests_of(self, db: Connection, length: int) -> Sequence[str]:
        """One for each block of so many bytes; one that is missing is no digest."""
        query = sa.select(self._block).order_by(self._block.c.number)
        kept = {int(row.number): str(row.sha256) for row in db.execute(query)}
        return [kept.get(number, "") for number in range(-(-length // BLOCK))]

    def _keep(self, db: Connection, first: int, digests: Sequence[str]) -> None:
        db.execute(self._block.delete().where(self._block.c.number >= first))
        rows = [{"number": first + n, "sha256": one} for n, one in enumerate(digests)]
        insert_all(db, self._block, rows)

    def _noted(self, db: Connection) -> Look | None:
        row = db.execute(sa.select(self._look)).one_or_none()
        return None if row is None else Look(*map(int, row))


class Digesting:
    """Writes a file, and has the digests of its blocks in the end."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._rest = bytearray()
        self._whole: list[str] = []
        self.length = 0

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self.length += len(data)
        self._rest += data
        if len(self._rest) >= BLOCK:
            whole = len(self._rest) // BLOCK * BLOCK
            self._whole += _digests(bytes(self._rest[:whole]))
            del self._rest[:whole]

    @property
    def digests(self) -> Sequence[str]:
        return [*self._whole, *_digests(bytes(self._rest))]


def _digests(data: bytes) -> list[str]:
    return [
        hashlib.sha256(data[start : start + BLOCK]).hexdigest()
        for start in range(0, len(data), BLOCK)
    ]


def _changed(path: Path, number: int) -> SinkDownError:
    return SinkDownError(
        f"{path} is not as these books left it, first between its bytes {number * BLOCK} and "
        f"{(number + 1) * BLOCK}: {BACK}"
    )
