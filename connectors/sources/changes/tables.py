"""The agency's tables, as a changes source reads them: by change, by key, and all of them.

Only SELECT is needed. What is read in one `reading()` of the database is one view of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.errors import SettingsError
from connectors.sources.changes.mapping import EventMap
from connectors.sources.usable import table_of

CASE: Final = "nrm_case_ref"  # label of the case's reference among a row's cells
_PAGE: Final = 500


class MappedTable:
    """The rows one map reads."""

    def __init__(self, one: EventMap) -> None:
        self.map = one
        self._table = table_of(one.table, one.columns)
        self._changed = self._table.c[one.changed] if one.changed else None
        self._key = [self._table.c[name] for name in one.key]
        case = one.case
        from_: sa.FromClause = self._table
        if case.via is None:
            shown: sa.ColumnElement[Any] = self._table.c[case.column]
        else:
            assert case.table is not None
            assert case.key is not None
            other = table_of(case.table, (case.key, case.column)).alias("nrm_case_of")
            from_ = sa.outerjoin(self._table, other, self._table.c[case.via] == other.c[case.key])
            shown = other.c[case.column]
        self._query = sa.select(*self._table.c, shown.label(CASE)).select_from(from_)

    def changed(
        self, db: Connection, since: Any, resume: Sequence[Any] | None
    ) -> Iterator[dict[str, Any]]:
        """Rows changed at or after `since` (None: all that have a value), oldest change first.
        resume: change and key of the row to go on behind."""
        assert self._changed is not None
        query = self._query.where(self._changed.is_not(None))
        order = [self._changed, *self._key]
        if resume is not None:
            query = query.where(_after(order, resume))
        elif since is not None:
            query = query.where(self._changed >= since)
        return self._rows(db, query.order_by(*order))

    def all(self, db: Connection, resume: Sequence[Any] | None) -> Iterator[dict[str, Any]]:
        """Every row in order of its key. resume: key of the row to go on behind."""
        query = self._query
        if resume is not None:
            query = query.where(_after(self._key, resume))
        return self._rows(db, query.order_by(*self._key))

    def one(self, db: Connection, key: Sequence[Any]) -> dict[str, Any] | None:
        """key: as the books have it. A text goes to the database without a type, so that it is
        taken as the column's: a UUID, a date."""
        query = self._query.where(
            *(
                column == sa.bindparam(None, value, type_=sa.types.NULLTYPE, unique=True)
                for column, value in zip(self._key, key, strict=True)
            )
        )
        return next(self._rows(db, query.limit(1)), None)

    @staticmethod
    def _rows(db: Connection, query: sa.Select[Any]) -> Iterator[dict[str, Any]]:
        found = db.execution_options(yield_per=_PAGE).execute(query)
        try:
            for row in found.mappings():
                yield dict(row)
        finally:
            found.close()


def case_text(cell: Any) -> str:
    """A case's reference as text; "" where there is none, or bytes that are no text."""
    if isinstance(cell, bytes | bytearray | memoryview):
        try:
            return bytes(cell).decode()
        except UnicodeDecodeError:
            return ""
    return "" if cell is None else str(cell)


def key_text(key: Sequence[Any]) -> str:
    """A row's key as the books keep it: bytes by their digits, what JSON does not have as text."""
    return json.dumps(key, default=_told)


def key_values(pk: str) -> list[Any]:
    """The key again, as a database can be asked for it."""
    return [bytes.fromhex(one["bytes"]) if isinstance(one, dict) else one for one in json.loads(pk)]


def _told(value: Any) -> Any:
    if isinstance(value, bytes | bytearray | memoryview):
        return {"bytes": bytes(value).hex()}
    return str(value)


def is_mark(value: Any) -> bool:
    """Whether a change's value can tell how far one has read: not infinity, NaN, or a date of
    zeros. A row with such a value is read all the same."""
    if isinstance(value, Decimal):
        return value.is_finite()
    if isinstance(value, str):
        try:
            datetime.fromisoformat(value)
        except ValueError:
            return False
    return True


def earlier(value: Any, overlap: float) -> Any:
    """The change to start again from: so many seconds, or numbers, before the highest seen."""
    if isinstance(value, datetime):
        return _seconds_before(value, overlap)
    return value - int(overlap)


def _seconds_before(moment: datetime, seconds: float) -> datetime:
    try:
        return moment - timedelta(seconds=seconds)
    except OverflowError:  # the calendar begins in between
        return moment


def not_before(kept: Any, mark: Any) -> bool:
    """Whether a change is as late as the mark, both as the books keep them. SettingsError if they
    cannot be compared, as where SQLite let a text into a column of numbers."""
    one, other = (
        str(value.get("time") or value.get("text")) if isinstance(value, Mapping) else value
        for value in (kept, mark)
    )
    if isinstance(one, str) != isinstance(other, str):
        raise SettingsError(
            "a column `changed` holds texts in some rows and numbers in others: make them alike, "
            "or name another"
        )
    return bool(one >= other)


def kept_value(value: Any) -> Any:
    """A change's value as the books keep it: a number, or a time with what it is."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal | datetime | date | str):
        raise SettingsError(
            "a column `changed` holds neither times nor whole numbers: name another"
        )
    if isinstance(value, datetime):
        return {"time": value.isoformat()}
    if isinstance(value, date):
        return {"time": datetime(value.year, value.month, value.day).isoformat()}  # noqa: DTZ001
    if isinstance(value, str):  # SQLite has no type for times
        return {"text": value}
    return int(value)


def read_value(kept: Any) -> Any:
    if isinstance(kept, Mapping):
        return datetime.fromisoformat(kept["time"]) if "time" in kept else kept["text"]
    return kept


def text_earlier(value: str, overlap: float) -> str:
    """`earlier` of a time written as text, in the same form."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise SettingsError(
            "a column `changed` holds texts that are no ISO 8601 times: name another"
        ) from None
    shown = _seconds_before(moment, overlap).isoformat()
    if value.endswith("Z"):
        shown = shown.replace("+00:00", "Z")
    return shown if "T" in value else shown.replace("T", " ")


def _after(columns: Sequence[sa.ColumnElement[Any]], values: Sequence[Any]) -> Any:
    """Behind a row in the order of these columns."""
    first, *rest = zip(columns, values, strict=True)
    column, value = first
    if not rest:
        return column > value
    inner = _after([one for one, _ in rest], [one for _, one in rest])
    return sa.or_(column > value, sa.and_(column == value, inner))
