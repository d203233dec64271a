"""Values between JSON, as agencies and partners write them, and Avro, as it is signed.

Dates are `YYYY-MM-DD`, instants ISO 8601 with a zone, money `{"amount": "12.50", "currency":
"EUR"}` (also `"12.50 EUR"` or a number on the way in). Nothing is rounded or cut: what does not fit
is refused. Errors name what is wrong, never the value.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from schemas.texts import LONG, SHORT, Convert, ValueProblem, code, reference, text_in

JSON_DEPTH: Final = 16
AMOUNT_DIGITS: Final = 20  # of which four after the point, as many as ISO 4217 needs
_CENTS: Final = Decimal("0.0001")
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Converters:
    """How one field's values are treated, null left aside.

    inward: JSON to Avro. outward: Avro to JSON. verify: raises ValueProblem for a decoded value
    that no agency may send.
    """

    inward: Convert
    outward: Convert
    verify: Convert


def _one_of(symbols: frozenset[str]) -> Convert:
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
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ValueProblem("not_a_date")
    try:
        return date.fromisoformat(value)
    except ValueError:
        raise ValueProblem("not_a_date") from None


def _instant(value: Any) -> datetime:
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise ValueProblem("instant_without_zone")
        return moment.astimezone(UTC)
    except ValueProblem:
        raise
    except (TypeError, ValueError, OverflowError):
        raise ValueProblem("not_an_instant") from None


def _instant_out(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")


def _money(value: Any) -> dict[str, Any]:
    amount, currency = value, "XXX"  # ISO 4217: no currency
    if isinstance(value, Mapping):
        if not set(value) <= {"amount", "currency"}:
            raise ValueProblem("not_an_amount")
        amount, currency = value.get("amount"), value.get("currency", "XXX")
    elif isinstance(value, str):
        amount, space, currency = value.partition(" ")
        currency = currency if space else "XXX"
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        raise ValueProblem("not_a_currency")
    try:
        stated = Decimal(str(amount))
        exact = stated.quantize(_CENTS)
    except (InvalidOperation, TypeError):
        raise ValueProblem("not_an_amount") from None
    # Nothing is rounded: an amount that needs more digits is refused.
    if not stated.is_finite() or exact != stated or len(exact.as_tuple().digits) > AMOUNT_DIGITS:
        raise ValueProblem("not_an_amount")
    return {"amount": exact, "currency": currency}


def _money_out(value: Mapping[str, Any]) -> dict[str, str]:
    whole, _, after = f"{value['amount']:f}".partition(".")
    return {"amount": f"{whole}.{after[:2]}{after[2:].rstrip('0')}", "currency": value["currency"]}


def _json_in(value: Any) -> str:
    _check_json(value, 0)
    try:
        encoded = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
        size = len(encoded.encode())
    except (TypeError, ValueError, RecursionError):
        raise ValueProblem("not_json") from None
    if size > LONG:
        raise ValueProblem("too_long")
    return encoded


def _json_out(text: str) -> Any:
    """The value; duplicate keys, NaN and nesting without end are refused."""
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_not_json)
    except (ValueError, RecursionError):
        raise ValueProblem("not_json") from None


def _json_verify(text: Any) -> Any:
    value = _json_out(text_in(LONG)(text))
    _check_json(value, 0)
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueProblem("not_json")
    return found


def _not_json(_name: str) -> Any:
    raise ValueProblem("not_json")


def _check_json(value: Any, depth: int) -> None:
    if depth > JSON_DEPTH:
        raise ValueProblem("too_deep")
    if isinstance(value, str):
        text_in(LONG)(value)
    elif isinstance(value, Mapping):
        for key, one in value.items():
            text_in(SHORT)(key)
            _check_json(one, depth + 1)
    elif isinstance(value, list | tuple):
        for one in value:
            _check_json(one, depth + 1)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueProblem("not_a_number")


def _any_scalar(value: Any) -> Any:
    """The new value of a correction: whatever a field may hold that is not a structure."""
    if isinstance(value, str):
        return text_in(LONG)(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueProblem("not_a_number")
        return value
    if isinstance(value, list):
        return [text_in(SHORT)(one) for one in value]
    if isinstance(value, bool):
        return value
    return _long(value)


def same(value: Any) -> Any:
    """How values go that JSON and Avro write alike."""
    return value


_ANY: Final = Converters(_any_scalar, same, _any_scalar)
_PLAIN: Final[Mapping[str, Converters]] = {
    "boolean": Converters(_boolean, same, _boolean),
    "long": Converters(_long, same, _long),
    "date": Converters(_date, date.isoformat, _date),
    "timestamp-micros": Converters(_instant, _instant_out, _instant),
    "json": Converters(_json_in, _json_out, _json_verify),
    "money": Converters(_money, _money_out, _money),
}


def converters(field: Mapping[str, Any]) -> Converters:
    """How values of one field of an event schema are treated. ValueProblem if they cannot be."""
    kind = field["type"]
    if field.get("category") == "inherit" and not field.get("copies"):
        return _ANY
    if isinstance(kind, list):
        branches = [branch for branch in kind if branch != "null"]
        if len(branches) != 1:
            raise ValueProblem("unsupported_type")
        kind = branches[0]
    return _of(kind, field)


def _of(kind: Any, field: Mapping[str, Any]) -> Converters:
    if kind == "string":
        return _PLAIN["json"] if field.get("json") else _both(_text(field))
    if isinstance(kind, str):
        if kind in _PLAIN:
            return _PLAIN[kind]
        raise ValueProblem("unsupported_type")
    if kind["type"] == "enum":
        return _both(_one_of(frozenset(kind["symbols"])))
    if kind["type"] == "array":
        item = _of(kind["items"], field)
        return Converters(_each(item.inward), _each(item.outward), _each(item.verify))
    if kind["type"] == "map":
        item = _of(kind["values"], field)
        return Converters(
            _each_value(item.inward), _each_value(item.outward), _each_value(item.verify)
        )
    if kind["type"] == "record" and kind["name"] == "Money":
        return _PLAIN["money"]
    if kind.get("logicalType") in _PLAIN:
        return _PLAIN[kind["logicalType"]]
    raise ValueProblem("unsupported_type")


def _both(convert: Convert) -> Converters:
    return Converters(convert, same, convert)


def _text(field: Mapping[str, Any]) -> Convert:
    if "codes" in field:  # a closed list that Avro's enum cannot name
        return _one_of(frozenset(field["codes"]))
    if field.get("ref") == "agency" or (field.get("codelist") and not field.get("ref")):
        return code
    if field.get("ref"):
        return reference
    return text_in(LONG if field.get("long") else SHORT)


def _each(convert: Convert) -> Convert:
    if convert is same:
        return same

    def each(value: Any) -> list[Any]:
        if not isinstance(value, list | tuple):
            raise ValueProblem("not_a_list")
        return [convert(one) for one in value]

    return each


def _each_value(convert: Convert) -> Convert:
    def each(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise ValueProblem("not_a_map")
        return {code(key): convert(one) for key, one in value.items()}

    return each
