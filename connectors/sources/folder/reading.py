"""Reading a dropped file row by row, from any place in it: CSV, JSON Lines, JSON.

Files of any length are read as they come; only a JSON document is read whole, and so is limited.
What cannot be read is that row's fault and no other's: a quote that is never closed costs its line,
bytes that are no text cost their row. Spreadsheets have habits, and they are known here: a byte
order mark says that the file is UTF-8 whatever the settings say, a first line `sep=;` names the
delimiter, and lines of delimiters alone say nothing.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

from connectors.source import Fault
from connectors.strict_json import read_json

MOST_LINE: Final = 1024 * 1024  # bytes of one line
MOST_DOCUMENT: Final = 16 * 1024 * 1024  # bytes of a .json file
MOST_ENTRIES: Final = 50_000  # of a .json file, which is taken in one go
_MOST_OPENED: Final = 2_000_000  # brackets of a .json file: what it takes in memory
_MOST_CELL: Final = 128 * 1024
_BOM: Final = b"\xef\xbb\xbf"
_WIDE: Final = (b"\xff\xfe", b"\xfe\xff")
_SEP: Final = re.compile(rb"\"?sep=([\x21-\x7e\t])\"?\r?\n", re.IGNORECASE)
_DELIMITERS: Final = (";", "\t", ",", "|")


class FileFault(Exception):
    """The file as a whole is not taken."""

    def __init__(self, reason: str, field: str, fix: str) -> None:
        super().__init__(reason)
        self.fault = Fault(reason, field, fix)


@dataclass(frozen=True, slots=True)
class Record:
    """One row. number: from 1, as people count them. begins, ends: bytes (JSON: index of the
    entry). value: cells in order, or the entry; None with a fault."""

    number: int
    begins: int
    ends: int
    value: Any = None
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """What a file begins with. header: the columns of a CSV file; begins: where rows begin.
    encoding, delimiter: of its rows."""

    header: tuple[str, ...]
    begins: int
    encoding: str = "utf-8"
    delimiter: str = ","


def head(path: Path, encoding: str, delimiter: str) -> Head:
    """Raises FileFault for a file that cannot be what its name says."""
    with path.open("rb") as file:
        start = file.read(4)
        if start[:2] in _WIDE:
            raise FileFault(
                "not_encoded", "", f"the file is UTF-16; save it as {encoding} and drop it again"
            )
        if start.startswith(_BOM):
            encoding = "utf-8"
        file.seek(len(_BOM) if start.startswith(_BOM) else 0)
        begins = file.tell()
        kind = kind_of(path)
        if kind != ".csv":
            if kind == ".json" and path.stat().st_size > MOST_DOCUMENT:
                most = MOST_DOCUMENT // 2**20
                raise FileFault("too_large", "", f"more than {most} MB: write it as JSON Lines")
            return Head((), begins if kind == ".jsonl" else 0)
        line = file.readline(MOST_LINE)
        if named := _SEP.fullmatch(line):
            delimiter, begins = named[1].decode("ascii"), file.tell()
        elif b"\r" in line.rstrip(b"\r\n"):
            raise FileFault(
                "row_unreadable",
                "",
                "lines end in a bare carriage return; save it as CSV for Windows or Unix",
            )
        file.seek(begins)
        first = next(_csv_records(file, encoding, delimiter, begins, 0), None)
        if first is None:
            raise FileFault("wrong_header", "", "the file is empty: its first line names columns")
        if first.fault is not None:
            fix = f"the first line names the columns: {first.fault.fix}"
            raise FileFault(first.fault.reason, "", fix)
        names = tuple(cell.strip() for cell in first.value)
        if len(names) == 1 and (other := [one for one in _DELIMITERS if one in names[0]]):
            raise FileFault(
                "wrong_header", "", f"the cells are not between {delimiter!r} but perhaps between "
                f"{other[0]!r}: set folder.delimiter"
            )  # fmt: skip
        return Head(names, first.ends, encoding, delimiter)


def kind_of(path: Path) -> str:
    """What kind of file it is by its name: .csv, .json, .jsonl, however that is written."""
    return path.suffix.lower()


def records(path: Path, begun: Head, begins: int, number: int) -> Iterator[Record]:
    """Rows from `begins` on; `number`: of the row before. begun: the file's head."""
    kind = kind_of(path)
    if kind == ".json":
        yield from _document(path, begins)
        return
    with path.open("rb") as file:
        file.seek(begins)
        if kind == ".csv":
            yield from _csv_records(file, begun.encoding, begun.delimiter, begins, number)
        else:
            yield from _lines(file, begins, number)


def slices(path: Path, spans: Sequence[tuple[int, int]]) -> Iterator[bytes]:
    """Parts of a file as they stand there, each with a line end."""
    with path.open("rb") as file:
        for begins, ends in spans:
            file.seek(begins)
            part = file.read(ends - begins)
            yield part if part.endswith(b"\n") else part + b"\n"


class _Lines:
    """Physical lines of a file with the place behind the last one given."""

    def __init__(self, file: BinaryIO, begins: int) -> None:
        self._file = file
        self.at = begins

    def next(self) -> bytes | None:
        """None at the end; a line that is too long is cut off, and passed over whole."""
        line = self._file.readline(MOST_LINE + 1)
        self.at += len(line)
        if len(line) > MOST_LINE and not line.endswith(b"\n"):
            while rest := self._file.readline(MOST_LINE):
                self.at += len(rest)
                if rest.endswith(b"\n"):
                    break
        return line or None

    def back_to(self, at: int) -> None:
        self._file.seek(at)
        self.at = at


def _csv_records(
    file: BinaryIO, encoding: str, delimiter: str, begins: int, number: int
) -> Iterator[Record]:
    lines = _Lines(file, begins)
    empty = (delimiter if delimiter.isascii() else "").encode("ascii") + b" \t\r\n"
    csv.field_size_limit(_MOST_CELL)
    while True:
        start = lines.at
        first = lines.next()
        if first is None:
            return
        if not first.strip().strip(empty):
            continue
        number += 1
        behind = lines.at
        if len(first) > MOST_LINE:
            yield Record(number, start, behind, fault=_TOO_LONG)
            continue
        fault, cells = None, None
        try:
            cells = next(
                csv.reader(_texts(first, lines, encoding), delimiter=delimiter, strict=True)
            )
        except UnicodeDecodeError:
            fault = Fault("not_encoded", "", f"save the file as {encoding}, or name its encoding")
        except (csv.Error, StopIteration):
            fault = Fault("row_unreadable", "", "the line is no CSV: look for a quote left open")
        if fault is not None:  # this line alone; what follows it may be good
            lines.back_to(behind)
        yield Record(number, start, lines.at, cells, fault)


def _texts(first: bytes, lines: _Lines, encoding: str) -> Iterator[str]:
    line: bytes | None = first
    begins = lines.at - len(first)
    while line is not None:
        if lines.at - begins > MOST_LINE:
            raise csv.Error("too long")
        yield line.decode(encoding)
        line = lines.next()
    raise csv.Error("unexpected end")


def _lines(file: BinaryIO, begins: int, number: int) -> Iterator[Record]:
    lines = _Lines(file, begins)
    while True:
        start = lines.at
        line = lines.next()
        if line is None:
            return
        if not line.strip():
            continue
        number += 1
        if len(line) > MOST_LINE:
            yield Record(number, start, lines.at, fault=_TOO_LONG)
            continue
        value, fault = _parsed(line)
        yield Record(number, start, lines.at, value, fault)


def _document(path: Path, begins: int) -> Iterator[Record]:
    text = path.read_bytes().removeprefix(_BOM)
    if text.count(b"{") + text.count(b"[") > _MOST_OPENED:
        raise FileFault("too_large", "", _AS_LINES)
    value, fault = _parsed(text)
    if fault is not None:
        raise FileFault(fault.reason, "", fault.fix)
    entries = value if isinstance(value, list) else [value]
    if len(entries) > MOST_ENTRIES:
        raise FileFault("too_large", "", _AS_LINES)
    for index in range(begins, len(entries)):
        yield Record(index + 1, index, index + 1, entries[index])


def _parsed(text: bytes) -> tuple[Any, Fault | None]:
    try:
        return read_json(text.decode("utf-8")), None
    except UnicodeDecodeError:
        return None, Fault("not_encoded", "", "JSON is written in UTF-8")
    except ValueError:
        fix = "it is no JSON, has a name twice in an object, or is nested too deep"
        return None, Fault("row_unreadable", "", fix)


_AS_LINES: Final = f"more than {MOST_ENTRIES} entries, or too much in them: write JSON Lines"
_TOO_LONG: Final = Fault("too_large", "", f"a line of more than {MOST_LINE // 1024} kB")
