"""Asking: the fields of a form, from the event's schema. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas import codelists
from schemas.codelists import CodeList
from schemas.compartments import INHERIT, Field
from schemas.event import EventSchema
from schemas.registry import Schemas

NOT_ASKED: Final = frozenset(
    {
        "ReleaseRecorded", "ReleaseWithheld", "DeliveryAcknowledged", "RecallIssued",
        "RecallAnswered", "StatisticsPublished", "ConsentExpired", "EmergencyModeDeclared",
    }
)  # fmt: skip
"""What the hub states itself, or what is no matter of one case."""

SCOPE_ROWS: Final = 4
_GROUPS: Final = (
    "screening", "person", "consent", "referral", "assessment", "service", "child", "decision",
    "recovery", "immigration", "justice", "return", "closure", "rights", "emergency",
)  # fmt: skip
"""In the order a case goes."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One field of a form.

    kind: choice (one of `options`), known (text, `options` are suggested), choices (any of
    `options`), list (any of `options`, and others), yes_no, date, instant, number, money, scope,
    text, long. options: code → its English name. lists: where the options are of several lists,
    each by its title's key: somebody without a mouse is led past those that stay closed.
    """

    name: str
    kind: str
    doc: str
    category: str
    required: bool
    options: Mapping[str, str]
    lists: tuple[CodeList, ...] = ()


def types_for(role: str) -> dict[str, list[EventSchema]]:
    """Event types an agency of this role may state, by group, in the order a case goes."""
    found: dict[str, list[EventSchema]] = {group: [] for group in _GROUPS}
    schemas = Schemas.load()
    for name in schemas.types():
        schema = schemas.by_type(name)
        if name not in NOT_ASKED and {role, "any_authorised"} & schema.emitters:
            found.setdefault(schema.group, []).append(schema)
    return {group: listed for group, listed in found.items() if listed}


def asked_of(schema: EventSchema) -> tuple[Asked, ...]:
    """Every field somebody can state, in the schema's order, needed ones first."""
    fields = [_asked(one) for one in schema.fields if not one.copies]
    return tuple(sorted(fields, key=lambda one: not one.required))


def _asked(field: Field) -> Asked:
    kind, options = _kind(field)
    category = "" if field.category == INHERIT else field.category
    lists = _lists(field) if kind == "list" else ()
    return Asked(
        field.name, kind, field.doc, category, field.required, options,
        lists if len(lists) > 1 else (),
    )  # fmt: skip


def _kind(field: Field) -> tuple[str, Mapping[str, str]]:
    avro = field.avro
    if field.category == INHERIT:
        return "text", {}
    if isinstance(avro, list):
        avro = next(branch for branch in avro if branch != "null")
    if isinstance(avro, dict):
        return _structured(field, avro)
    if avro == "boolean":
        return "yes_no", {}
    if avro in ("int", "long"):
        return "number", {}
    if field.codelist and not field.ref:
        codes = _codes(field)
        return ("choice", codes) if codes and _closed(field) else ("known", codes)
    return ("long" if field.form else "text"), {}


def _structured(field: Field, avro: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
    logical = avro.get("logicalType")
    if avro["type"] == "enum":
        return "choice", _worded(avro["symbols"])
    if avro["type"] == "map":
        return "scope", codelists.load("nrm.category").labels
    if avro["type"] == "array":
        items = avro["items"]
        if isinstance(items, dict):
            return "choices", _worded(items["symbols"])
        return "list", _codes(field)
    if logical == "date":
        return "date", {}
    if logical in ("timestamp-micros", "timestamp-millis"):
        return "instant", {}
    return ("money" if avro.get("name") == "Money" else "text"), {}


def _codes(field: Field) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for one in _lists(field):
        found |= one.labels
    return found


def _lists(field: Field) -> tuple[CodeList, ...]:
    named = filter(None, codelists.alternatives(field.codelist or ""))
    return tuple(one for one in map(codelists.load, named) if one.labels)


def _closed(field: Field) -> bool:
    return all(codelists.load(one).closed for one in codelists.alternatives(field.codelist or ""))


def _worded(symbols: list[str]) -> Mapping[str, str]:
    return {one: one.replace("_", " ") for one in symbols}
