"""Supposed: the form of an event nobody stated, made from its schema.

Asked for is what decisions read (`hub/domain/facts.py`), and for everything else only whether the
event would carry something of that category. So no content is typed, and none is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from hub.console.form import Form
from hub.domain.facts import PERSONAL, PLAIN
from schemas import codelists
from schemas.compartments import INHERIT, Field
from schemas.event import EventSchema
from schemas.registry import Schemas
from schemas.texts import ValueProblem

# Beyond the facts themselves: fields a fact is made of.
_ALSO: Final[Mapping[str, tuple[str, ...]]] = {
    "BreakGlassInvoked": ("two_person_ref",),
    "ConsentGiven": ("interpreter_accredited_until",),
    "RecordCorrected": ("new_value",),
}
# Asked in another way than the field's type says: a correction's value counts as a birth date only.
_INSTEAD: Final[Mapping[str, str]] = {"two_person_ref": "there_is", "new_value": "date"}
_NAMED: Final = "named"  # stands for a second person: that there is one is the fact
# Stated by no agency about a case: what the hub writes itself, and published figures.
_NOT_ASKED: Final = frozenset(
    {
        "ReleaseRecorded",
        "ReleaseWithheld",
        "DeliveryAcknowledged",
        "RecallIssued",
        "StatisticsPublished",
    }
)
MOST_OPTIONS: Final = 60


@dataclass(frozen=True, slots=True)
class Asked:
    """One field of the form.

    kind: `choice`, `choices`, `yes_no`, `there_is`, `date`, `instant`, `number`, `agency`, `scope`
    or `text`. options: of a choice.
    """

    name: str
    doc: str
    kind: str
    category: str
    required: bool
    options: tuple[str, ...] = ()
    ref: str = ""  # what kind of thing a text names


class WrongValue(Exception):
    """A field of the form cannot have this value."""

    def __init__(self, field: str) -> None:
        super().__init__(field)
        self.field = field


def types_for(role: str) -> tuple[str, ...]:
    """Event types an agency of this role may state about a case."""
    schemas = Schemas.load()
    return tuple(
        one
        for one in schemas.types()
        if one not in _NOT_ASKED
        and (
            role in schemas.by_type(one).emitters
            or "any_authorised" in schemas.by_type(one).emitters
        )
    )


def asked_of(schema: EventSchema) -> tuple[Asked, ...]:
    """The fields asked for, in the schema's order."""
    wanted = {
        *PLAIN.get(schema.type, ()),
        *PERSONAL.get(schema.type, ()),
        *_ALSO.get(schema.type, ()),
    }
    return tuple(_asked(field) for field in schema.fields if field.name in wanted)


def always(schema: EventSchema) -> tuple[str, ...]:
    """Categories every event of the type carries."""
    found = {field.category for field in schema.fields if field.required and not field.copies}
    return tuple(sorted(found - {INHERIT}))


def optional(schema: EventSchema) -> tuple[str, ...]:
    """Categories it may carry or not."""
    return tuple(one for one in schema.categories if one not in always(schema))


def answered(schema: EventSchema, form: Form) -> tuple[dict[str, Any], frozenset[str]]:
    """(data, further categories) as the form has them. Raises WrongValue."""
    data: dict[str, Any] = {}
    for asked in asked_of(schema):
        value = _value(asked, form)
        if value is None:
            continue
        field = schema[asked.name]
        try:
            data[asked.name] = field.values.outward(field.values.inward(value))
        except (ValueProblem, ValueError, TypeError):
            raise WrongValue(asked.name) from None
    return data, frozenset(form.all("also")) & frozenset(optional(schema))


def _asked(field: Field) -> Asked:
    kind, options = _kind(field)
    return Asked(
        field.name, field.doc, kind, field.category, field.required, options, field.ref or ""
    )


def _kind(field: Field) -> tuple[str, tuple[str, ...]]:
    avro = field.avro
    if isinstance(avro, list):
        avro = next(branch for branch in avro if branch != "null")
    if field.name in _INSTEAD:
        return _INSTEAD[field.name], ()
    if isinstance(avro, dict):
        logical = avro.get("logicalType")
        if avro["type"] == "enum":
            return "choice", tuple(avro["symbols"])
        if avro["type"] == "map":
            return "scope", ()
        if avro["type"] == "array":
            items = avro["items"]
            if isinstance(items, dict):
                return "choices", tuple(items["symbols"])
            if field.ref == "agency":
                return "agencies", ()
            return "choices", _codes(field)
        if logical == "date":
            return "date", ()
        if logical in ("timestamp-micros", "timestamp-millis"):
            return "instant", ()
    if avro == "boolean":
        return "yes_no", ()
    if avro in ("int", "long"):
        return "number", ()
    if field.ref == "agency":
        return "agency", ()
    codes = _codes(field)
    return ("choice", codes) if codes else ("text", ())


def _codes(field: Field) -> tuple[str, ...]:
    if not field.codelist:
        return ()
    try:
        labels = tuple(codelists.load(field.codelist).labels)
    except codelists.UnknownCodeListError:
        return ()
    return labels if len(labels) <= MOST_OPTIONS else ()


def _value(asked: Asked, form: Form) -> Any:
    name = f"f.{asked.name}"
    text = form.get(name)
    match asked.kind:
        case "choices":
            return form.all(name) or None
        case "agencies":
            return [one.strip() for one in text.split(",") if one.strip()] or None
        case "scope":
            return _scope(asked.name, text)
        case "there_is":
            return _NAMED if text else None
        case "yes_no":
            return None if not text else text == "yes"
        case "number":
            if text and not text.lstrip("-").isdecimal():
                raise WrongValue(asked.name)
            return int(text) if text else None
        case "instant":
            return f"{text}:00Z" if len(text) == len("2026-03-16T09:00") else text or None
        case _:
            return text or None


def _scope(name: str, text: str) -> dict[str, list[str]] | None:
    """One agency a line: `POL-1: identity, contact`."""
    scope: dict[str, list[str]] = {}
    for line in text.splitlines():
        agency, colon, names = line.partition(":")
        if not line.strip():
            continue
        if not colon or not agency.strip():
            raise WrongValue(name)
        scope[agency.strip()] = [one.strip() for one in names.split(",") if one.strip()]
    return scope or None
