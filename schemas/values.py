"""Values between JSON, as agencies and partners write them, and Avro, as it is signed.

Dates are `YYYY-MM-DD`, instants ISO 8601 with a zone, money `{"amount": "12.50", "currency":
"EUR"}` (also `"12.50 EUR"` or a number on the way in). Errors name what is wrong, never the value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

Convert = Callable[[Any], Any]

SHORT = 8 * 1024
LONG = 64 * 1024
_CODE = 64
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Also characters that hide or reorder what a person reads (bidirectional controls), and halves
# of surrogate pairs, which no UTF-8 can carry.
_FORBIDDEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


class ValueProblem(ValueError):
    """Reason code of a value that does not fit its field."""


def text_in(limit: int) -> Convert:
    def convert(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueProblem("not_a_text")
        if value.isascii():  # the common case, without looking at each character in Python
            if len(value) > limit:
                raise ValueProblem("too_long")
            if not value.isprintable() and _CONTROL.search(value):
                raise ValueProblem("forbidden_character")
            return value
        if len(value) > limit or len(value.encode("utf-8", "surrogatepass")) > limit:
            raise ValueProblem("too_long")
        if _FORBIDDEN.search(value):
            raise ValueProblem("forbidden_character")
        return value

    return convert


def _enum(symbols: frozenset[str]) -> Convert:
    def convert(value: Any) -> str:
        if not isinstance(value, str) or value not in symbols:
            raise ValueProblem("unknown_code")
        return value

    return convert


def _boolean(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueProblem("not_a_boolean")
    return value


def _long(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise ValueProblem("not_a_whole_number")
    return value


def _date(value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if len(value) != 10:
            raise ValueError
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueProblem("not_a_date") from None


def _instant(value: Any) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueProblem("not_an_instant") from None
    if moment.tzinfo is None:
        raise ValueProblem("instant_without_zone")
    return moment.astimezone(UTC)


def _money(value: Any) -> dict[str, Any]:
    amount, currency = value, "XXX"  # ISO 4217: no currency
    if isinstance(value, Mapping):
        amount, currency = value.get("amount"), value.get("currency", "XXX")
    elif isinstance(value, str):
        amount, _, currency = value.partition(" ")
        currency = currency or "XXX"
    try:
        exact = Decimal(str(amount)).quantize(Decimal("0.01"))
    except (InvalidOperation, TypeError):
        raise ValueProblem("not_an_amount") from None
    if not exact.is_finite() or not re.fullmatch(r"[A-Z]{3}", str(currency)):
        raise ValueProblem("not_an_amount")
    return {"amount": exact, "currency": currency}


def _json_text(value: Any) -> str:
    try:
        encoded = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    except (TypeError, ValueError):
        raise ValueProblem("not_json") from None
    if len(encoded) > LONG:
        raise ValueProblem("too_long")
    return encoded


def _any_scalar(value: Any) -> Any:
    if isinstance(value, str):
        return text_in(LONG)(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueProblem("not_a_number")
        return value
    if isinstance(value, list):
        return [text_in(SHORT)(one) for one in value]
    if value is None or isinstance(value, bool):
        return value
    return _long(value)


def _same(value: Any) -> Any:
    return value


def converters(field: Mapping[str, Any]) -> tuple[Convert, Convert]:
    """(JSON to Avro, Avro to JSON) for one field of an event schema, null already handled."""
    kind = field["type"]
    if field.get("category") == "inherit":
        return _any_scalar, _any_scalar
    if isinstance(kind, list):
        kind = next(branch for branch in kind if branch != "null")
    return _of(kind, field)


def _of(kind: Any, field: Mapping[str, Any]) -> tuple[Convert, Convert]:
    if field.get("json"):
        return _json_text, json.loads
    if kind == "string":
        limit = LONG if field.get("long") else _CODE if field.get("codelist") else SHORT
        check = text_in(limit)
        return check, check
    if kind == "boolean":
        return _boolean, _same
    if kind == "long":
        return _long, _same
    if kind["type"] == "enum":
        return _enum(frozenset(kind["symbols"])), _same
    if kind["type"] == "array":
        inward, outward = _of(kind["items"], field)
        return _each(inward), _plain_each(outward)
    if kind["type"] == "map":
        inward, outward = _of(kind["values"], field)
        return _each_value(inward), lambda value: {k: outward(v) for k, v in value.items()}
    if kind.get("logicalType") == "date":
        return _date, date.isoformat
    if kind.get("logicalType") == "timestamp-micros":
        return _instant, lambda value: value.isoformat().replace("+00:00", "Z")
    if kind["type"] == "record":  # Money is the only one
        return _money, lambda value: {
            "amount": str(value["amount"]),
            "currency": value["currency"],
        }
    raise ValueProblem("unsupported_type")


def _each(inward: Convert) -> Convert:
    def convert(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise ValueProblem("not_a_list")
        return [inward(one) for one in value]

    return convert


def _plain_each(outward: Convert) -> Convert:
    return lambda value: [outward(one) for one in value]


def _each_value(inward: Convert) -> Convert:
    def convert(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ValueProblem("not_a_map")
        return {text_in(_CODE)(key): inward(one) for key, one in value.items()}

    return convert
