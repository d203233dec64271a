"""File formats: records of deliveries as JSON Lines, CSV or Parquet, written and read back.

    sequence, event_ref, event_type, case_ref, subject_ref, agency, occurred_at, received_at,
    categories, bases, and the event's fields

JSON Lines keeps fields by category. CSV and Parquet have one file per event type and a column per
field, as `connectors/columns.py` has it in a database. Both are read back by what was noted of each
row, which fields of which category it holds: a file is rewritten when something of it is recalled.

CSV is RFC 4180 in UTF-8: every text is quoted, an empty cell without quotes is no value. A text
that a spreadsheet would take for a formula (it begins with = + - @, a tab or a line end, or with
their full-width forms) or that begins with an apostrophe gets an apostrophe in front: take one
away to have it as it was stated.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, Final, Protocol

from connectors.columns import Target, json_text, kind_of, targets
from connectors.errors import SettingsError
from connectors.ledger import from_instant, instant
from connectors.sink import Addition
from schemas.registry import Schemas

ENVELOPE: Final = {
    "sequence": "integer",
    "event_ref": "text",
    "event_type": "text",
    "case_ref": "text",
    "subject_ref": "text",
    "agency": "text",
    "occurred_at": "timestamp",
    "received_at": "timestamp",
    "categories": "json",
    "bases": "json",
}
"""The first columns of every file, with their kinds."""

Names = Mapping[tuple[str, int], Mapping[str, Sequence[str]]]
"""(event_ref, sequence) → category → its fields: what a row was written with."""

_FORMULA: Final = tuple("=+-@\t\r\n'＝＋－＠")


@dataclass(slots=True)
class Record:
    """One delivery of an event. fields: category → field → value, JSON-ready."""

    envelope: dict[str, Any]
    bases: dict[str, str]
    fields: dict[str, dict[str, Any]] = field(repr=False)

    @classmethod
    def of(cls, addition: Addition) -> Record:
        event = addition.event
        return cls(
            {
                "sequence": event.sequence,
                "event_ref": event.event_ref,
                "event_type": event.event_type,
                "case_ref": event.case_ref,
                "subject_ref": event.subject_ref,
                "agency": event.agency,
                "occurred_at": instant(event.occurred_at) if event.occurred_at else None,
                "received_at": instant(addition.received_at),
            },
            {one: event.bases[one] for one in sorted(addition.categories)},
            {one: dict(event.fields[one]) for one in sorted(addition.categories)},
        )

    @property
    def event_ref(self) -> str:
        return str(self.envelope["event_ref"])

    @property
    def event_type(self) -> str:
        return str(self.envelope["event_type"])

    @property
    def sequence(self) -> int:
        return int(self.envelope["sequence"])

    @property
    def names(self) -> dict[str, list[str]]:
        """What of the record a note may keep: category → names of its fields."""
        return {category: sorted(values) for category, values in self.fields.items()}

    def without(self, categories: Iterable[str]) -> bool:
        """Take these categories away; whether something was taken."""
        gone = [one for one in categories if one in self.fields]
        for category in gone:
            del self.fields[category]
            self.bases.pop(category, None)
        return bool(gone)

    def correct(self, name: str, value: Any) -> bool:
        """Set a field wherever the record has it; whether it has."""
        having = [values for values in self.fields.values() if name in values]
        for values in having:
            values[name] = value
        return bool(having)


class Format(Protocol):
    """How records become a file's bytes. encode() gives the same bytes for the same records.

    per_type: a file holds events of one type. fits() says whether a value can be written.
    """

    suffix: str
    per_type: bool

    def fits(self, event_type: str, name: str, value: Any) -> bool: ...

    def encode(self, event_type: str, records: Sequence[Record]) -> bytes: ...

    def decode(self, event_type: str, data: bytes, names: Names) -> list[Record]:
        """ValueError if the bytes are not such a file."""


def _line(text: str) -> str:
    """Line ends of other alphabets are escaped: many a reader takes them for a line's end."""
    for end in ("\x85", "\u2028", "\u2029"):
        text = text.replace(end, f"\\u{ord(end):04x}")
    return text + "\n"


class JsonLinesFormat:
    """One line per record, of any event type."""

    suffix = "jsonl"
    per_type = False

    def fits(self, event_type: str, name: str, value: Any) -> bool:  # noqa: ARG002
        return True

    def encode(self, event_type: str, records: Sequence[Record]) -> bytes:  # noqa: ARG002
        lines = (
            {
                **one.envelope,
                "categories": sorted(one.fields),
                "bases": one.bases,
                "fields": one.fields,
            }
            for one in records
        )
        return "".join(_line(json.dumps(line, ensure_ascii=False)) for line in lines).encode()

    def decode(self, event_type: str, data: bytes, names: Names) -> list[Record]:  # noqa: ARG002
        found = []
        *lines, rest = data.decode().split("\n")
        if rest:
            raise ValueError("the last line is cut short")
        for text in lines:
            line = json.loads(text)
            bases, fields = line.pop("bases"), line.pop("fields")
            del line["categories"]
            found.append(Record(line, bases, fields))
        return found


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


FORMATS: Final[Mapping[str, Callable[[Schemas], Format]]] = {
    "jsonl": lambda _: JsonLinesFormat(),
    "csv": CsvFormat,
    "parquet": ParquetFormat,
}


class Forms:
    """The format of new files, and that of a file that lies there already: by its name."""

    def __init__(self, new: str, schemas: Schemas) -> None:
        """SettingsError if the format needs what is not installed."""
        self._schemas = schemas
        self._made: dict[str, Format] = {}
        self.new = self._form(new)

    def of(self, name: str) -> Format:
        return self._form(name.removesuffix(".age").rpartition(".")[2])

    def _form(self, suffix: str) -> Format:
        if suffix not in self._made:
            self._made[suffix] = FORMATS[suffix](self._schemas)
        return self._made[suffix]


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
        return _quoted(f"'{cell}" if str(cell).startswith(_FORMULA) else str(cell))
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
