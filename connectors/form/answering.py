"""Answering: what a form brings, as an event, or which fields do not do. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from typing import Any, Final
from urllib.parse import parse_qsl
from uuid import UUID

from connectors.agency.split import CASE_PSEUDONYM
from connectors.form.asking import SCOPE_ROWS, Asked, asked_of
from connectors.sources.stating import CellError, stated
from connectors.submit import Event
from schemas.compartments import SchemaError
from schemas.event import EventSchema
from schemas.registry import Schemas
from schemas.texts import ValueProblem, reference

MOST_FIELDS: Final = 600
_YES_NO: Final = {"yes": True, "no": False}


class Sent:
    """The fields of one form as the browser sent them."""

    def __init__(self, body: bytes) -> None:
        """ValueError for more fields than any form of ours has, or bytes that are no form."""
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MOST_FIELDS)
        self.pairs = [(name, value) for name, value in pairs if name.startswith(("f.", "e."))]
        self._fields: dict[str, list[str]] = {}
        for name, value in pairs:
            self._fields.setdefault(name, []).append(value)

    def get(self, name: str) -> str:
        return self._fields.get(name, [""])[-1].strip()

    def all(self, name: str) -> list[str]:
        return self._fields.get(name, [])


EMPTY: Final = Sent(b"")


@dataclass
class Answer:
    """The event a form states. wrong: name of a field → reason code; then `event` is None."""

    event: Event | None = None
    wrong: dict[str, str] = field(default_factory=dict)


def answered(sent: Sent, now: datetime, zone: tzinfo | None) -> Answer:
    """`e.` fields are the event's own (type, case, subject, occurred_at, event_id); `f.` its data.

    zone: of times typed without one. KeyError if there is no such event type.
    """
    schema = Schemas.load().by_type(sent.get("e.type"))
    answer = Answer()
    case, subject = sent.get("e.case"), sent.get("e.subject")
    corrects = sent.get("e.corrects_type") or None
    answer.wrong |= _references(case, subject)
    if schema.type == "RecordCorrected" and corrects is None:
        answer.wrong["e.corrects_type"] = "missing_field"
    data: dict[str, Any] = {}
    for asked in asked_of(schema):
        try:
            value = _value(schema, asked, sent, zone, corrects)
        except CellError as wrong:
            answer.wrong[wrong.column or asked.name] = wrong.reason
            continue
        if value is not None:
            data[asked.name] = value
        elif asked.required:
            answer.wrong[asked.name] = "missing_field"
    occurred_at, problem = _when(sent.get("e.occurred_at"), now, zone)
    if problem:
        answer.wrong["e.occurred_at"] = problem
    if answer.wrong:
        return answer
    answer.event = Event(
        schema.type,
        case,
        data,
        subject=subject or None,
        event_id=_id(sent.get("e.event_id")),
        occurred_at=occurred_at,
        corrects_type=corrects,
    )
    return answer


def _references(case: str, subject: str) -> dict[str, str]:
    """What does not do of the two names a case goes by."""
    wrong = {}
    for name, value in (("e.case", case), ("e.subject", subject)):
        try:
            if value:
                reference(value)
        except ValueProblem as problem:
            wrong[name] = str(problem)
    if not case:
        wrong["e.case"] = "missing_field"
    elif not subject and case.startswith(CASE_PSEUDONYM):
        wrong["e.subject"] = "missing_field"
    return wrong


def _value(
    schema: EventSchema, asked: Asked, sent: Sent, zone: tzinfo | None, corrects: str | None
) -> Any:
    name = f"f.{asked.name}"
    known = schema[asked.name]
    if asked.kind == "scope":
        return _scope(sent, name)
    if asked.kind in ("choices", "list"):
        ticked = [one for one in sent.all(name) if one]
        others = [one.strip() for one in sent.get(f"{name}.others").split(";") if one.strip()]
        value: Any = list(dict.fromkeys([*ticked, *others])) or None
    elif asked.kind == "yes_no":
        value = _YES_NO.get(sent.get(name))
    elif asked.kind == "money":
        amount, currency = sent.get(name), sent.get(f"{name}.currency").upper()
        value = f"{amount} {currency}".strip() if amount else None
    elif asked.kind == "instant":
        value = _local(sent.get(name))
    elif schema.type == "RecordCorrected" and asked.name == "new_value":
        value = corrects and _corrected(corrects, sent.get("f.field"), sent.get(name), zone)
    else:
        value = stated(known, sent.get(name).replace("\r\n", "\n"), zone)
    if value is not None:
        try:
            known.values.inward(value)
        except ValueError as problem:
            raise CellError(str(problem)) from None
    return value


def _corrected(corrects: str, name: str, text: str, zone: tzinfo | None) -> Any:
    """The right value, of the kind the corrected field has."""
    try:
        schema = Schemas.load().by_type(corrects)
    except KeyError:
        raise CellError("unknown_field") from None
    known = schema.field(name)
    if known is None:
        raise CellError("unknown_field", "field")
    value = stated(known, text, zone)
    try:
        schema.correction(name, value)
    except SchemaError as wrong:
        raise CellError(wrong.reason) from None
    return value


def _local(text: str) -> str | None:
    """A time typed without a zone is this machine's."""
    moment, problem = _when(text, None, None)
    if problem:
        raise CellError(problem)
    return moment.isoformat() if moment is not None else None


def _scope(sent: Sent, name: str) -> Mapping[str, list[str]] | None:
    found = {}
    for row in range(SCOPE_ROWS):
        agency = sent.get(f"{name}.{row}.agency")
        categories = sent.all(f"{name}.{row}.categories")
        if not agency and not categories:
            continue
        if not agency or not categories or agency in found:
            raise CellError("incomplete_scope")
        found[agency] = categories
    return found or None


def _when(text: str, now: datetime | None, zone: tzinfo | None) -> tuple[datetime | None, str]:
    if not text:
        return now, ""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=zone) if zone is not None else moment.astimezone()
        moment.astimezone()  # as the next page shows it: none at the ends of the calendar
    except (ValueError, OverflowError):
        return None, "not_an_instant"
    return moment, ""


def _id(text: str) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None
