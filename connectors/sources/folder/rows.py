"""A row of a dropped file as an event.

CSV: columns `case`, `occurred_at`, perhaps `type`, `subject`, `corrects_type`; every other column
is a field of the event. JSON and JSON Lines: an event as `nrm-hub publish` takes it, with its time.

A row is known by its key columns, if the settings name any, else by all it says: the same row
dropped again, in whichever file, is the same event. So each row needs its own `occurred_at`; and
the second of two rows in one file that say the same is an event of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from typing import Any, Final

from connectors.commands.documents import event_of
from connectors.errors import InvalidEventError
from connectors.source import SCHEMA_REASONS, Fault, tellable
from connectors.sources.captured import Found
from connectors.sources.folder.reading import FileFault, Record
from connectors.sources.stating import CellError, instant_text, stated
from schemas.registry import Schemas

RESERVED: Final = ("type", "case", "subject", "occurred_at", "corrects_type")


@dataclass(frozen=True)
class FileForm:
    """How files of a folder are to be read.

    event: the type of every row, where there is no column `type`. columns: name in the file → name
    here. codes: column → code in the file → code here, "*" for every other. key: columns that
    identify a row. zone: of times without one.
    """

    event: str | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    key: Sequence[str] = ()
    zone: tzinfo | None = None


class RowReader:
    """Rows of one file."""

    def __init__(
        self, form: FileForm, header: Sequence[str], digest: Callable[..., str], origin: str
    ) -> None:
        """header: () for JSON. digest: keyed, of anything. FileFault if the header does not do."""
        self._form = form
        self._digest = digest
        self._origin = origin
        self._names = [form.columns.get(name, name) for name in header]
        if header:
            self._check()

    def found(self, record: Record, named: str) -> Found:
        """The row to be sent, or with its fault. named: the file's name, for people."""
        place = f"{named} row {record.number}"
        key = self._digest("unreadable", self._origin, record.number)
        blank = Found(key, place, self._origin, begins=record.begins, ends=record.ends)
        if record.fault is not None:
            return replace(blank, fault=record.fault)
        try:
            entry = self._entry(record.value)
            case = str(entry.get("case") or "") if isinstance(entry, dict) else ""
            case = case if _proper(case) else ""
            blank = replace(blank, case=case)
            event = event_of(0, entry)
        except CellError as wrong:
            fix = SCHEMA_REASONS.get(wrong.reason, "add the code to the settings, drop it again")
            return replace(blank, fault=Fault(wrong.reason, wrong.column, fix))
        except InvalidEventError as wrong:
            missing = wrong.reason == "is missing"
            reason = "missing_column" if missing else "row_unreadable"
            fix = "give the row this value" if missing else _fix(wrong)
            return replace(blank, fault=Fault(reason, tellable(wrong.field), fix))
        if not _proper(event.case, event.subject, event.type, event.corrects_type):
            fix = "type, case, subject and corrects_type are proper text"
            return replace(blank, case="", fault=Fault("row_unreadable", "", fix))
        if event.occurred_at is None:
            fix = "give every row the time at which it happened, with its offset"
            return replace(blank, fault=Fault("missing_column", "occurred_at", fix))
        if event.occurred_at.tzinfo is None:
            fix = "give the time with its offset, or set folder.zone"
            return replace(blank, fault=Fault("instant_without_zone", "occurred_at", fix))
        said = [entry.get(name) for name in RESERVED] + [entry["data"], entry.get("event_id")]
        if self._form.key:
            said = [entry["type"], *(self._keyed(entry, name) for name in self._form.key)]
        return replace(
            blank,
            key=self._digest("row", said),
            type=event.type,
            case=event.case,
            subject=event.subject,
            occurred_at=event.occurred_at,
            corrects_type=event.corrects_type,
            data=dict(event.data),
            own_id=event.event_id,
        )

    @staticmethod
    def _keyed(entry: Mapping[str, Any], name: str) -> Any:
        """None if the row leaves it empty: then the others tell rows apart."""
        return (entry if name in RESERVED else entry["data"]).get(name)

    def _entry(self, value: Any) -> Any:
        """The row as an entry of a file of events."""
        if not self._names:
            entry = value
            if isinstance(entry, dict) and self._form.event and "type" not in entry:
                entry = {"type": self._form.event, **entry}
            return entry
        if len(value) != len(self._names):
            said = f"{len(value)} cells under {len(self._names)} columns: look for a delimiter "
            raise InvalidEventError(0, "?", "", said + "in a text, which then needs quotes")
        cells = {name: cell.strip() for name, cell in zip(self._names, value, strict=True)}
        cells = {name: self._translated(name, cell) for name, cell in cells.items()}
        entry = {name: cells[name] for name in RESERVED if cells.get(name)}
        entry.setdefault("type", self._form.event or "")
        if "occurred_at" in entry:
            with _column("occurred_at"):
                entry["occurred_at"] = instant_text(entry["occurred_at"], self._form.zone)
        entry["data"] = self._data(entry["type"], cells)
        return entry

    def _data(self, kind: str, cells: Mapping[str, Any]) -> dict[str, Any]:
        try:
            schema = Schemas.load().by_type(kind)
        except KeyError:
            raise InvalidEventError(0, "?", "type", "is no event type; docs/events.md") from None
        data = {}
        for name, cell in cells.items():
            if name in RESERVED or cell in ("", None):
                continue
            known = schema.field(name)
            if known is None:
                raise InvalidEventError(0, kind, name, "the event type has no such field")
            with _column(name):
                data[name] = stated(known, cell, self._form.zone)
        return data

    def _translated(self, name: str, cell: str) -> Any:
        codes = self._form.codes.get(name)
        if codes is None or not cell:
            return cell
        if cell in codes:
            return codes[cell]
        if "*" in codes:
            return codes["*"]
        raise CellError("code_not_translated", name)

    def _check(self) -> None:
        """The header names what every row needs, and nothing that no event has. A name that is
        not known is not repeated: a file without a header has a person's row in its place."""
        names = self._names
        for needed in ("case", "occurred_at", *self._form.key):
            if needed not in names:
                raise FileFault(
                    "wrong_header", needed, f"the first line names the columns; {needed} is missing"
                )
        if "type" not in names and not self._form.event:
            raise FileFault(
                "wrong_header", "type", "add a column type, or set folder.event for all rows"
            )
        if len(set(names)) != len(names):
            raise FileFault("wrong_header", "", "two columns have the same name")
        schemas = Schemas.load()
        events = [self._form.event] if "type" not in names else list(schemas.types())
        known = {one.name for event in events if event for one in schemas.by_type(event).fields}
        for number, name in enumerate(names, start=1):
            if name not in RESERVED and name not in known:
                raise FileFault(
                    "wrong_header",
                    "",
                    f"column {number} is no field of the event: rename it, or name it in "
                    "folder.columns",
                )


@contextmanager
def _column(name: str) -> Iterator[None]:
    """Which column a CellError is about."""
    try:
        yield
    except CellError as wrong:
        raise CellError(wrong.reason, name) from None


def _proper(*texts: object) -> bool:
    """Text that can be written down: JSON can name halves of characters."""
    for one in texts:
        try:
            if one is not None and not isinstance(one, str):
                return False
            (one or "").encode()
        except UnicodeEncodeError:
            return False
    return True


def _fix(wrong: InvalidEventError) -> str:
    return f"{wrong.field or 'the row'}: {wrong.reason}" if tellable(wrong.field) else wrong.reason
