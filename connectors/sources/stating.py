"""Stating: a cell of a table or file as the value of an event's field.

A database gives dates, numbers and booleans, a CSV file gives text; an event has JSON values of the
kinds its schema names. An empty cell states nothing. Whether the value fits its field is checked
again, by the schema, before it is sent.

    field             cells that do
    boolean           true, false, yes, no, 1, 0
    whole number      12, "12"
    date              a date, a time (its day), "2026-11-24"
    instant           a time with its offset; one without, in the zone the settings name
    list              a list, JSON, or texts separated by ";"
    map, JSON         JSON
    text, code        text, or a number as it is written
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime, tzinfo
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from connectors.strict_json import read_json
from schemas.compartments import Field

_YES: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}

_JSON: Final = (str, bool, int, float, list, dict)


class CellError(ValueError):
    """The cell does not do for its field. reason: a stable code; never what stands in it.
    column: where it stands, if that is known."""

    def __init__(self, reason: str, column: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.column = column


def stated(field: Field, cell: Any, zone: tzinfo | None = None) -> Any:
    """The field's value, or None if the cell is empty. Raises CellError."""
    cell = _plain(cell)
    if cell is None:
        return None
    value = _as(field, cell, zone)
    try:  # what a database gives can be of any type, also inside a list
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise CellError("does_not_fit") from None
    return value


def _as(field: Field, cell: Any, zone: tzinfo | None) -> Any:
    kind = field.avro
    if isinstance(kind, list):
        kind = next(branch for branch in kind if branch != "null")
    if field.form == "json":
        return _json(cell)
    if isinstance(kind, Mapping):
        if kind["type"] == "array":
            return _list(cell)
        if kind["type"] == "map":
            return _json(cell)
        logical = kind.get("logicalType")
        if logical == "date":
            return _date(cell)
        if logical in ("timestamp-micros", "timestamp-millis"):
            return instant_text(cell, zone)
        return _text(cell) if kind["type"] == "enum" else cell
    if kind == "boolean":
        return _boolean(cell)
    if kind in ("int", "long"):
        return _whole(cell)
    return _text(cell) if kind == "string" else cell


def instant_text(cell: Any, zone: tzinfo | None) -> str:
    """A time as ISO 8601 with its offset. Raises CellError."""
    try:
        if isinstance(cell, date) and not isinstance(cell, datetime):
            cell = datetime(cell.year, cell.month, cell.day, tzinfo=zone)
        moment = cell if isinstance(cell, datetime) else datetime.fromisoformat(cell)
    except (TypeError, ValueError):
        raise CellError("not_an_instant") from None
    if moment.tzinfo is None:
        if zone is None:
            raise CellError("instant_without_zone")
        moment = moment.replace(tzinfo=zone)
    return moment.isoformat()


def _plain(cell: Any) -> Any:
    """Text trimmed, bytes read, money without rounding; None for an empty cell. CellError for bytes
    that are no text, and a NUMERIC that is no number."""
    if isinstance(cell, bytes | bytearray | memoryview):
        try:
            cell = bytes(cell).decode()
        except UnicodeDecodeError:
            raise CellError("not_a_text") from None
    if isinstance(cell, Decimal) and not cell.is_finite():
        raise CellError("not_a_number")
    if isinstance(cell, UUID | Decimal):
        cell = f"{cell:f}" if isinstance(cell, Decimal) else str(cell)
    if isinstance(cell, str):
        cell = cell.strip()
    return None if cell in ("", None) else cell


def _text(cell: Any) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, date):  # and times
        return cell.isoformat()
    if isinstance(cell, int) and not isinstance(cell, bool):
        return str(cell)
    raise CellError("not_a_text")


def _boolean(cell: Any) -> bool:
    found = cell if isinstance(cell, bool) else _YES.get(str(cell).lower())
    if found is None:
        raise CellError("not_a_boolean")
    return found


def _whole(cell: Any) -> int:
    try:
        whole = int(str(cell))
    except ValueError:
        raise CellError("not_a_whole_number") from None
    return whole


def _date(cell: Any) -> str:
    if isinstance(cell, datetime):
        cell = cell.date()
    try:
        return (cell if isinstance(cell, date) else date.fromisoformat(cell)).isoformat()
    except (TypeError, ValueError):
        raise CellError("not_a_date") from None


def _list(cell: Any) -> list[Any]:
    if isinstance(cell, list | tuple):  # of an array
        return [one if one is None or isinstance(one, _JSON) else _text(_plain(one))
                for one in cell]  # fmt: skip
    if isinstance(cell, str) and not cell.startswith("["):
        return [part.strip() for part in cell.split(";") if part.strip()]
    found = _json(cell)
    if not isinstance(found, list):
        raise CellError("not_a_list")
    return found


def _json(cell: Any) -> Any:
    if not isinstance(cell, str):
        return cell
    try:
        return read_json(cell)
    except ValueError:
        raise CellError("not_json") from None
