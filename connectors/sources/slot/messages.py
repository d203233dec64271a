"""Which rows PostgreSQL's log says were touched, out of the messages of `pgoutput`, version 1.

    Begin, Relation, Insert | Update | Delete | Truncate, …, Commit

Of a row only what is asked for by column name is read; what else it says is passed over. Formats:
PostgreSQL documentation, "Logical Replication Message Formats". Pure.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, TypeAlias

_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)

Cells: TypeAlias = Mapping[str, tuple[int, bytes | None]]
"""Column → (OID of its type, its text form). None: null, or not told."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What follows, up to the commit, is of this transaction. xid: without its epoch."""

    xid: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Touched:
    """A row was made, changed or deleted. cells: as it is now, or as it was before."""

    table: int
    cells: Cells


@dataclass(frozen=True, slots=True)
class Emptied:
    """A table was truncated."""

    table: int


@dataclass(frozen=True, slots=True)
class Committed:
    """The transaction is whole. end: the log's position behind it."""

    end: int


Change: TypeAlias = Begun | Touched | Emptied | Committed


def changes(messages: Iterable[bytes]) -> Iterator[Change]:
    """In the order of the log. An update that moves a row to another key touches two."""
    tables: dict[int, list[tuple[str, int]]] = {}
    for message in messages:
        kind, said = message[:1], _Reader(message, 1)
        if kind == b"B":
            said.skip(8)
            at = _EPOCH + timedelta(microseconds=said.number("q"))
            yield Begun(said.number("I"), at)
        elif kind == b"C":
            said.skip(1 + 8)
            yield Committed(said.number("Q"))
        elif kind == b"R":
            table = said.number("I")
            said.text()  # its schema
            said.text()  # its name
            said.skip(1)
            tables[table] = [said.column() for _ in range(said.number("H"))]
        elif kind in (b"I", b"U", b"D"):
            table = said.number("I")
            while said.more:
                said.skip(1)  # N: as it is, K: its old identity, O: all of it as it was
                yield Touched(table, said.row(tables[table]))
        elif kind == b"T":
            count = said.number("I")
            said.skip(1)
            for _ in range(count):
                yield Emptied(said.number("I"))


class _Reader:
    """Goes through the bytes of one message."""

    def __init__(self, message: bytes, at: int) -> None:
        self._bytes = message
        self._at = at

    @property
    def more(self) -> bool:
        return self._at < len(self._bytes)

    def skip(self, count: int) -> None:
        self._at += count

    def number(self, form: str) -> int:
        """In network order; form: as the module struct names it."""
        found: int = struct.unpack_from("!" + form, self._bytes, self._at)[0]
        self._at += struct.calcsize("!" + form)
        return found

    def text(self) -> str:
        end = self._bytes.index(b"\0", self._at)
        found = self._bytes[self._at : end].decode()
        self._at = end + 1
        return found

    def column(self) -> tuple[str, int]:
        """A column's name and the OID of its type."""
        self.skip(1)
        name, kind = self.text(), self.number("I")
        self.skip(4)
        return name, kind

    def row(self, columns: list[tuple[str, int]]) -> Cells:
        """n: null, u: a long value that was not changed, t: text."""
        cells: dict[str, tuple[int, bytes | None]] = {}
        self.skip(2)
        for name, kind in columns:
            form = self._bytes[self._at : self._at + 1]
            self.skip(1)
            value = None
            if form == b"t":
                size = self.number("I")
                value = self._bytes[self._at : self._at + size]
                self.skip(size)
            cells[name] = (kind, value)
        return cells
