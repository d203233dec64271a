"""Columns: which SQL type a field of an event becomes, and how its value gets there.

    Avro                          column              SQLite shows
    string, enum                  TEXT
    boolean                       BOOLEAN             0 and 1
    int, long                     BIGINT
    float, double                 DOUBLE PRECISION
    date                          DATE                2026-11-24
    timestamp-micros              TIMESTAMP WITH TZ   2026-11-24T09:00:00.000000Z
                                  (MariaDB: DATETIME(6) in UTC)
    money                         name_amount NUMERIC, name_currency TEXT
    list, map, anything else      JSON

Values arrive JSON-ready (dates and times as ISO 8601 text). ValueError means the value is not of
the column's type.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.engine import Dialect

from connectors.tables.ledger_tables import TEXT, from_instant, instant


class Instant(sa.types.TypeDecorator[datetime]):
    """A moment: TIMESTAMP WITH TIME ZONE; DATETIME(6) in UTC on MariaDB, whose TIMESTAMP ends in
    2038; sortable UTC text on SQLite, which has no such type."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.DateTime(timezone=True))
        if dialect.name == "mariadb":
            return dialect.type_descriptor(DATETIME(fsp=6))
        return dialect.type_descriptor(sa.String(40))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if not isinstance(value, datetime) or dialect.name == "postgresql":
            return value
        if dialect.name == "mariadb":
            return value.astimezone(UTC).replace(tzinfo=None)
        return instant(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        if dialect.name == "mariadb" and isinstance(value, datetime):
            return value.replace(tzinfo=UTC)
        try:
            return from_instant(value) if isinstance(value, str) else value
        except ValueError:  # SQLite holds any text there: read as the text it is
            return value  # type: ignore[no-any-return]


# SQLite has no decimals: exact text is better there than a rounded float.
AMOUNT: Final = sa.Numeric(20, 4).with_variant(sa.String(40), "sqlite")
JSON: Final = sa.JSON(none_as_null=True)


Take = Callable[[Any], Any]


@dataclass(frozen=True)
class Target:
    """One column of one field: its name, type, and how to get its value from the field's."""

    column: str
    type: Any
    take: Take


def targets(name: str, avro: Any) -> list[Target]:
    """The columns a field becomes; one, but for money."""
    kind = kind_of(avro)
    if kind == "money":
        return [
            Target(f"{name}_amount", AMOUNT, amount_of),
            Target(f"{name}_currency", sa.String(8), currency_of),
        ]
    kept, take = _KINDS[kind]
    return [Target(name, kept, take)]


def kind_of(avro: Any) -> str:
    """One word for an Avro type: a key of `_KINDS`, or "money"."""
    if isinstance(avro, list):
        branches = [branch for branch in avro if branch != "null"]
        return kind_of(branches[0]) if len(branches) == 1 else "json"
    if isinstance(avro, dict):
        logical = avro.get("logicalType")
        if logical in ("date", "timestamp-micros"):
            return "date" if logical == "date" else "timestamp"
        if avro["type"] == "record" and {f["name"] for f in avro["fields"]} == {
            "amount",
            "currency",
        }:
            return "money"
        return kind_of(avro["type"]) if isinstance(avro["type"], str | list) else "json"
    return {
        "string": "text",
        "enum": "text",
        "boolean": "boolean",
        "int": "integer",
        "long": "integer",
        "float": "number",
        "double": "number",
    }.get(avro, "json")


def json_text(value: Any) -> str:
    """A JSON column's text. Numbers beyond 64 bits take the standard library's slower way."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def to_text(value: Any) -> str:
    """Text for any value: lists joined by commas, other structures as JSON."""
    if type(value) is str:
        return value
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else str(value)


def to_boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if value in ("true", "false"):
        return bool(value == "true")
    raise ValueError("not a boolean")


def to_integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError("not a whole number")
    return int(value)


def to_date(value: Any) -> date:
    """A date; of a time, the UTC day."""
    if type(value) is str:
        return date.fromisoformat(value[:10])
    if isinstance(value, datetime):
        return value.date()
    return date.fromisoformat(str(value)[:10])


def to_timestamp(value: Any) -> datetime:
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    if moment.tzinfo is None:
        raise ValueError("not a time with its offset")
    return moment


def _money(value: Any) -> tuple[str, str]:
    """Amount and currency; of a correction, which holds no structures, "12.50 EUR" or a number."""
    if isinstance(value, Mapping):
        stated, currency = str(value["amount"]), str(value["currency"])
    else:
        stated, _, currency = to_text(value).partition(" ")
    try:
        amount = Decimal(stated)
    except InvalidOperation:
        raise ValueError("not an amount") from None
    if not amount.is_finite():
        raise ValueError("not an amount")
    return format(amount, "f"), currency or "XXX"  # ISO 4217: no currency


def amount_of(value: Any) -> str:
    return _money(value)[0]


def currency_of(value: Any) -> str:
    return _money(value)[1]


def _same(value: Any) -> Any:
    return value


READY: Final[dict[Take, type]] = {to_text: str, to_boolean: bool, to_integer: int}
"""Values of just this type are taken as they are."""
_KINDS: Final[dict[str, tuple[Any, Take]]] = {
    "text": (TEXT, to_text),
    "boolean": (sa.Boolean(), to_boolean),
    "integer": (sa.BigInteger(), to_integer),
    "number": (sa.Double(), float),
    "date": (sa.Date(), to_date),
    "timestamp": (Instant(), to_timestamp),
    "json": (JSON, _same),
}
