"""What a row of a mapped table says: whether it states anything, its event's data, its time.

Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from connectors.source import SCHEMA_REASONS, Fault
from connectors.sources.changes.mapping import ChangesMapping, EventMap, FieldFrom
from connectors.sources.stating import CellError, instant_text, stated


def wanted(one: EventMap, row: Mapping[str, Any]) -> bool:
    """Whether the map's `when` and `present` let it state something."""
    for name, value in one.when.items():
        good = value if isinstance(value, list) else [value]
        if row[name] is None or _said(row[name]) not in [_said(each) for each in good]:
            return False
    return all(row[name] not in (None, "") for name in one.present)


def cells(one: EventMap, row: Mapping[str, Any]) -> list[str]:
    """What a row holds that cannot be read as an event."""
    return [str(row[name]) for where in one.fields.values() for name in where.columns]


def moment(mapping: ChangesMapping, row: Mapping[str, Any], column: str | None) -> datetime | None:
    """A column's time; None where there is none, and then the time of capture stands."""
    value = row.get(column) if column else None
    if value is None or isinstance(value, int):
        return None
    try:
        return datetime.fromisoformat(instant_text(value, mapping.zone or UTC))
    except CellError:
        return None


def read_row(
    mapping: ChangesMapping, one: EventMap, row: Mapping[str, Any], case: str
) -> dict[str, Any] | Fault:
    """The event's data, or why the row states none."""
    if not case:
        return Fault("missing_column", one.case.column, "give the row its case")
    if one.at and row.get(one.at) not in (None, "") and moment(mapping, row, one.at) is None:
        return Fault("not_an_instant", one.at, SCHEMA_REASONS["not_an_instant"])
    schema = mapping.schema(one)
    data: dict[str, Any] = {}
    for name, where in one.fields.items():
        try:
            cell = _translated(mapping, where, where.filled(row))
            value = stated(schema[name], cell, mapping.zone)
        except CellError as wrong:
            fix = SCHEMA_REASONS.get(wrong.reason, "add the code to the mapping, then retry")
            return Fault(wrong.reason, where.column or name, fix)
        if value is not None:
            data[name] = value
    return data


def _translated(mapping: ChangesMapping, where: FieldFrom, cell: Any) -> Any:
    if where.codes is None or cell in (None, ""):
        return cell
    codes = mapping.codes[where.codes]
    text = str(cell).strip()
    if text in codes:
        return codes[text]
    if "*" in codes:
        return codes["*"]
    raise CellError("code_not_translated")


def _said(value: Any) -> str:
    """As a mapping writes it, whatever type the column has: 1 for true, no padding, no 1.00."""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, Decimal) and value.is_finite():
        return (
            f"{value:f}".rstrip("0").rstrip(".") if value != value.to_integral() else f"{value:.0f}"
        )
    return str(value).strip()
