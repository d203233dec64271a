"""Random data for any event schema, drawn from the schema's own text."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from hypothesis import strategies as st

from schemas.registry import INHERIT, EventSchema, Field

WORDS = st.text(
    st.characters(codec="utf-8", categories=("L", "M", "N", "P", "S")), min_size=1, max_size=24
)
TEXTS = st.text(
    st.characters(codec="utf-8", categories=("L", "M", "N", "P", "S", "Zs")), max_size=40
)
PARTIES = st.sampled_from(["NGO-1", "SH-1", "POL-1", "CA-1", "Zürich/Süd", "大阪"])
CATEGORIES = st.sampled_from(["identity", "contact", "health", "protection"])
DATES = st.dates(date(1, 1, 1), date(9999, 12, 31)).map(date.isoformat)
INSTANTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)).map(
    lambda moment: moment.isoformat().replace("+00:00", "Z")
)
LONGS = st.integers(-(2**63), 2**63 - 1)
MONEY = st.tuples(st.integers(-(10**20) + 1, 10**20 - 1), st.sampled_from(["EUR", "JPY", "KWD"]))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=8,
)
NEW_VALUES = (
    st.booleans()
    | LONGS
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
    | st.lists(TEXTS, max_size=3)
)


def _money(drawn: tuple[int, str]) -> dict[str, str]:
    units, currency = drawn
    whole, after = divmod(abs(units), 10_000)
    digits = f"{after:04d}"
    sign = "-" if units < 0 else ""
    return {"amount": f"{sign}{whole}.{digits[:2]}{digits[2:].rstrip('0')}", "currency": currency}


def _of(kind: Any, field: Field) -> st.SearchStrategy[Any]:
    if kind == "string":
        if field.form == "json":
            return JSON.filter(lambda value: value is not None)
        if field.name == "urgency":
            return st.sampled_from(["1_hour", "routine"])
        return WORDS if field.ref or field.codelist else TEXTS
    if kind == "boolean":
        return st.booleans()
    if kind == "long":
        return LONGS
    if kind["type"] == "enum":
        return st.sampled_from(kind["symbols"])
    if kind["type"] == "array":
        if field.per_party:
            return st.lists(PARTIES, min_size=1, unique=True, max_size=4).map(sorted)
        return st.lists(_of(kind["items"], field), max_size=4)
    if kind["type"] == "map":
        return st.dictionaries(PARTIES, st.lists(CATEGORIES, max_size=3), max_size=4)
    if kind["type"] == "record":
        return MONEY.map(_money)
    return DATES if kind["logicalType"] == "date" else INSTANTS


def values(field: Field) -> st.SearchStrategy[Any]:
    """JSON values of one field; nothing (absent) among them if it is optional."""
    if field.category == INHERIT:
        return NEW_VALUES
    kind = field.avro
    if isinstance(kind, list):
        kind = next(branch for branch in kind if branch != "null")
    return _of(kind, field)


def events(schema: EventSchema) -> st.SearchStrategy[dict[str, Any]]:
    """Data of one event of this schema: required fields always, others sometimes."""
    required = {f.name: values(f) for f in schema.fields if f.required}
    optional = {f.name: values(f) for f in schema.fields if not (f.required or f.copies)}
    return st.fixed_dictionaries(required, optional=optional)
