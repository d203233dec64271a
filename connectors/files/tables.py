"""CSV and Parquet: one file per event type, a column per field as in a database.

A row is read back by what was noted of it, which fields of which category it holds.

CSV is RFC 4180 in UTF-8: every text is quoted, an empty cell without quotes is no value. A text
that a spreadsheet would take for a formula (it begins with = + - @, a tab or a line end, or with
their full-width forms) or that begins with an apostrophe gets an apostrophe in front: take one
away to have it as it was stated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final

from connectors.errors import SettingsError
from connectors.files.records import ENVELOPE, Names, Record
from connectors.files.spreadsheet import as_text
from connectors.tables.columns import Target, json_text, kind_of, targets
from connectors.tables.ledger_tables import from_instant, instant
from schemas.registry import Schemas


@dataclass(frozen=True)
class _Column:
    """Columns of one field. take: what makes their cells of the field's value."""

    kind: str
    parts: Sequence[Target]


class _Table:
    """What CSV and Parquet share: a record as cells of Python's own types, and back."""

    per_type = True

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        self._known: dict[tuple[str, int], dict[str, _Column]] = {}

    def fits(self, event_type: str, name: str, value: Any) -> bool:
        column = self._columns(event_type).get(name)
        try:
            for part in column.parts if column is not None else ():
                _cell(column.kind if column else "", part, value)
        except (ValueError, TypeError, KeyError, OverflowError):
            return False
        return True

    def _columns(self, event_type: str) -> dict[str, _Column]:
        """Field → its columns, of every version of the type; one a newer version adds is last."""
        versions = self._schemas.versions(event_type)
        known = self._known.get((event_type, len(versions)))
        if known is not None:
            return known
        found: dict[str, _Column] = {}
        for one in (each for schema in versions for each in schema.fields):
            if not one.copies:
                name = f"{one.name}_stated" if one.name in ENVELOPE else one.name
                found[one.name] = _Column(kind_of(one.avro), targets(name, one.avro))
        self._known[event_type, len(versions)] = found
        return found

    def _kinds(self, event_type: str) -> dict[str, str]:
        """Column → kind, in order."""
        kinds = dict(ENVELOPE)
        for column in self._columns(event_type).values():
            for part in column.parts:
                kinds[part.column] = _part_kind(column.kind, part)
        return kinds

    def _row(self, event_type: str, record: Record) -> dict[str, Any]:
        row: dict[str, Any] = dict.fromkeys(self._kinds(event_type))
        row.update(record.envelope)
        for name in ("occurred_at", "received_at"):
            row[name] = None if row[name] is None else from_instant(row[name])
        row["categories"] = json_text(sorted(record.fields))
        row["bases"] = json_text(record.bases)
        columns = self._columns(event_type)
        for values in record.fields.values():
            for name, value in values.items():
                if name in columns:  # none of a field that copies another
                    for part in columns[name].parts:
                        row[part.column] = _cell(columns[name].kind, part, value)
        return row

    def _record(self, event_type: str, row: Mapping[str, Any], names: Names) -> Record:
        envelope = {name: row[name] for name in ENVELOPE if name not in ("categories", "bases")}
        for name in ("occurred_at", "received_at"):
            envelope[name] = None if envelope[name] is None else instant(envelope[name])
        noted = names.get((envelope["event_ref"], envelope["sequence"]), {})
        columns = self._columns(event_type)
        fields = {
            category: {
                name: _value(columns[name], row) if name in columns else None
                for name in noted.get(category, ())
            }
            for category in json.loads(row["categories"])
        }
        return Record(envelope, json.loads(row["bases"]), fields)


class CsvFormat(_Table):
    """RFC 4180, safe to open in a spreadsheet."""

    suffix = "csv"

    def encode(self, event_type: str, records: Sequence[Record]) -> bytes:
        kinds = self._kinds(event_type)
        lines = [",".join(_quoted(name) for name in kinds)]
        for record in records:
            row = self._row(event_type, record)
            lines.append(",".join(_csv_text(kind, row[name]) for name, kind in kinds.items()))
        return "".join(f"{line}\r\n" for line in lines).encode()

    def decode(self, event_type: str, data: bytes, names: Names) -> list[Record]:
        header, *rows = _csv_cells(data.decode())
        kinds = self._kinds(event_type)
        found = []
        for cells in rows:
            told = {
                str(name): _csv_value(kinds[str(name)], text)
                for name, text in zip(header, cells, strict=True)
            }
            found.append(self._record(event_type, {**dict.fromkeys(kinds), **told}, names))
        return found


class ParquetFormat(_Table):
    """Typed columns; needs the package's extra `parquet`."""

    suffix = "parquet"

    def __init__(self, schemas: Schemas) -> None:
        super().__init__(schemas)
        try:
            import pyarrow as pa
            import pyarrow.parquet
        except ImportError:
            raise SettingsError(
                'the format parquet needs pyarrow: pip install "nrm-hub[parquet]", or choose '
                "csv or jsonl"
            ) from None
        self._pa = pa
        self._parquet = pyarrow.parquet
        self._types: dict[str, Callable[[], Any]] = {
            "text": pa.string,
            "json": pa.string,
            "boolean": pa.bool_,
            "integer": pa.int64,
            "number": pa.float64,
            "date": pa.date32,
            "timestamp": lambda: pa.timestamp("us", tz="UTC"),
            "amount": lambda: pa.decimal128(20, 4),
        }

    def fits(self, event_type: str, name: str, value: Any) -> bool:
        """Also whether it fits the bits a column has here."""
        if not super().fits(event_type, name, value):
            return False
        column = self._columns(event_type).get(name)
        try:
            for part in column.parts if column else ():
                kind = _part_kind(column.kind if column else "", part)
                cell = _cell(column.kind if column else "", part, value)
                self._pa.array([cell], self._types[kind]())
        except (self._pa.ArrowException, OverflowError, ValueError):
            return False
        return True

    def encode(self, event_type: str, records: Sequence[Record]) -> bytes:
        kinds = self._kinds(event_type)
        schema = self._pa.schema([(name, self._types[kind]()) for name, kind in kinds.items()])
        rows = [self._row(event_type, record) for record in records]
        out = self._pa.BufferOutputStream()
        self._parquet.write_table(self._pa.Table.from_pylist(rows, schema), out)
        return bytes(out.getvalue().to_pybytes())

    def decode(self, event_type: str, data: bytes, names: Names) -> list[Record]:
        try:
            table = self._parquet.read_table(self._pa.BufferReader(data))
        except self._pa.ArrowException as wrong:
            raise ValueError("not a Parquet file") from wrong
        absent = dict.fromkeys(self._kinds(event_type))
        return [self._record(event_type, {**absent, **row}, names) for row in table.to_pylist()]


def _part_kind(kind: str, part: Target) -> str:
    if kind == "money":
        return "amount" if part.column.endswith("_amount") else "text"
    return kind


def _cell(kind: str, part: Target, value: Any) -> Any:
    """One value as Python's own type. ValueError and its like if it is not of the kind."""
    if value is None:
        return None
    cell = part.take(value)
    if kind == "json":
        return json_text(cell)
    if kind == "timestamp":
        return cell.astimezone(UTC)
    if kind == "money" and part.column.endswith("_amount"):
        return Decimal(cell)
    return cell


def _value(column: _Column, row: Mapping[str, Any]) -> Any:
    """The counterpart of `_cell`: JSON-ready."""
    cells = [row[part.column] for part in column.parts]
    if cells[0] is None:
        return None
    if column.kind == "money":
        return {"amount": format(cells[0], "f"), "currency": cells[1]}
    if column.kind == "json":
        return json.loads(cells[0])
    if isinstance(cells[0], datetime):
        return instant(cells[0])
    return cells[0].isoformat() if isinstance(cells[0], date) else cells[0]


# -- CSV -----------------------------------------------------------------------------------


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _csv_text(kind: str, cell: Any) -> str:
    if cell is None:
        return ""
    if kind in ("text", "json"):
        return _quoted(as_text(str(cell)))
    if kind == "boolean":
        return "true" if cell else "false"
    if kind == "timestamp":
        return instant(cell)
    return format(cell, "f") if kind == "amount" else str(cell)


def _csv_value(kind: str, text: str | None) -> Any:
    if text is None:
        return None
    if kind in ("text", "json"):
        return text.removeprefix("'")
    return _READ[kind](text)


_READ: Final[Mapping[str, Callable[[str], Any]]] = {
    "boolean": lambda text: text == "true",
    "integer": int,
    "number": float,
    "date": date.fromisoformat,
    "timestamp": from_instant,
    "amount": Decimal,
}

_CELL: Final = re.compile(r'(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n)')


def _csv_cells(text: str) -> list[list[str | None]]:
    """Rows of a file of ours; None for an empty cell without quotes. ValueError if it is none."""
    rows: list[list[str | None]] = [[]]
    at = 0
    while at < len(text):
        match = _CELL.match(text, at)
        if match is None:
            raise ValueError("not a CSV file as we write it")
        quoted, plain, end = match.groups()
        rows[-1].append(plain or None if quoted is None else quoted.replace('""', '"'))
        if end != ",":
            rows.append([])
        at = match.end()
    return rows[:-1]
