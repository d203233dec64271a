"""Split: an event becomes compartments, one per category, each under a salt of its own.

What does not fit its schema is refused here, naming event and field. The same event always becomes
the same bytes under the same salts.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from connectors.errors import InvalidEventError
from schemas.avro import AvroError
from schemas.registry import EventSchema, Routing, SchemaError, Schemas

CASE_PSEUDONYM = "nc-"


@dataclass(frozen=True)
class Event:
    """One thing an agency states about one person's case.

    case, subject: the agency's references, or the pseudonyms the hub gave it (nc-…, ns-…).
        `subject` may be left out where `case` is the agency's own reference, which then stands
        for the person too: a case is one person's. With a pseudonym, give both as delivered.
    data: values of the event's fields; dates and times as ISO 8601 text, times with their offset.
    event_id: idempotency key; chosen at random when absent. Give one to make a retry after a
        crash of your program safe, together with the same occurred_at and data.
    corrects_type: RecordCorrected only: the type of the event it corrects.
    """

    type: str
    case: str
    data: Mapping[str, Any]
    subject: str | None = None
    event_id: UUID | None = None
    occurred_at: datetime | None = None
    corrects_type: str | None = None

    def settled(self, now: datetime) -> Event:
        """With an id and a time, for good. Keep this one if you may have to publish it again."""
        return replace(
            self,
            event_id=self.event_id or UUID(bytes=secrets.token_bytes(16), version=4),
            occurred_at=self.occurred_at or now,
        )


def schema_of(schemas: Schemas, index: int, event_type: str) -> EventSchema:
    """The schema of a type of event; InvalidEventError if there is none."""
    try:
        return schemas.by_type(event_type)
    except KeyError:
        raise InvalidEventError(
            index, event_type, "type", "is not an event type this version knows"
        ) from None


def split(schemas: Schemas, schema: EventSchema, index: int, event: Event) -> dict[str, bytes]:
    """Compartment's name → its bytes. InvalidEventError names the field that does not fit.

    schema: of the event's type. index: where the event stands among those published together.
    """
    if event.subject is None and event.case.startswith(CASE_PSEUDONYM):
        raise InvalidEventError(
            index, event.type, "subject", "is needed: give the subject_ref of that case_ref"
        )
    routing = Routing(event.case, event.subject or event.case, schema.addressed(event.data))
    try:
        return schema.split(
            dict(event.data),
            routing=routing,
            corrected_category=_corrected_category(schemas, index, event),
        )
    except SchemaError as wrong:
        raise InvalidEventError(index, event.type, wrong.field, wrong.reason) from None
    except AvroError as wrong:
        raise InvalidEventError(index, event.type, "", str(wrong)) from None
    except ValueError as wrong:  # a reference that is no proper text
        raise InvalidEventError(index, event.type, "case or subject", str(wrong)) from None


def _corrected_category(schemas: Schemas, index: int, event: Event) -> str | None:
    if event.type != "RecordCorrected":
        return None
    if event.corrects_type is None:
        raise InvalidEventError(
            index, event.type, "corrects_type", "is needed: the type of the corrected event"
        )
    name = event.data.get("field")
    for known in schema_of(schemas, index, event.corrects_type).fields:
        if known.name == name:
            return known.category
    raise InvalidEventError(
        index, event.type, "field", f"{event.corrects_type} has no field {name!r}"
    )


class Noise:
    """Salts and padding of one event: HMAC-SHA-256 of everything the event says.

    Everything, so that two versions of an event never share a salt: comparing their commitments
    would tell which compartments are equal.
    """

    def __init__(
        self, secret: bytes, event: Event, schema_id: bytes, bodies: Mapping[str, bytes]
    ) -> None:
        assert event.event_id is not None
        said = hmac.new(secret, event.event_id.bytes + schema_id, "sha256")
        for name in sorted(bodies):
            label = name.encode()
            said.update(len(label).to_bytes(4, "big") + label)
            said.update(len(bodies[name]).to_bytes(4, "big") + bodies[name])
        self._key = said.digest()

    def draw(self, size: int, purpose: str) -> bytes:
        label = purpose.encode()
        blocks = range((size + 31) // 32)
        stream = b"".join(
            hmac.digest(self._key, block.to_bytes(4, "big") + label, "sha256") for block in blocks
        )
        return stream[:size]
