"""Messages: for systems that are told what happened, one message after another.

    batch → Message per addition, correction and recall → system.send()

Nothing but the books is kept here. A message has an id that is the same however often it is
sent, so that a receiver can tell a repeat. A recall always sends its message, held or not:
an attempt that was cut off may have brought what no book shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

from sqlalchemy import Connection

from connectors.remote import Intent, Recalled
from connectors.sink import Addition, Correction, Removal


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that happened.

    kind: "event" (these categories of an event, with what they say), "corrected" (fields holds the
    one field, under the category ""), or "recalled" (these categories have to be gone).
    sequence: of the delivery that brought it. Times are UTC; None where the kind has none.
    """

    id: str
    kind: Literal["event", "corrected", "recalled"]
    sequence: int
    event_ref: str
    event_type: str = ""
    case_ref: str = ""
    subject_ref: str = ""
    agency: str | None = None
    occurred_at: datetime | None = None
    received_at: datetime | None = None
    categories: tuple[str, ...] = ()
    bases: Mapping[str, str] = field(default_factory=dict)
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    recall_ref: str = ""


class MessageSystem(Protocol):
    """A partner's system that takes messages in order. send() is durable there when it returns."""

    def prepare(self) -> None: ...

    def send(self, messages: Sequence[Message]) -> None: ...

    def close(self) -> None: ...


class Messages:
    """A `Remote` that turns a batch into messages."""

    def __init__(self, system: MessageSystem) -> None:
        self._system = system
        self._waiting: list[Message] = []
        self._added: dict[str, int] = {}  # event → sequence of what was added last

    def prepare(self) -> None:
        self._system.prepare()

    def begin(self) -> None:
        self._waiting, self._added = [], {}

    def close(self) -> None:
        self._system.close()

    def settle(self, db: Connection, intents: Sequence[Intent]) -> Collection[str]:  # noqa: ARG002
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._system.send(waiting)
        return ()

    def ready(self, schemas: Iterable[tuple[str, bytes]]) -> None:
        """Messages need no columns."""

    def add(self, db: Connection, additions: Sequence[Addition]) -> None:  # noqa: ARG002
        for addition in additions:
            event, categories = addition.event, tuple(sorted(addition.categories))
            self._added[event.event_ref] = event.sequence
            self._waiting.append(
                Message(
                    message_id("event", event.sequence, event.event_ref, *categories),
                    "event",
                    event.sequence,
                    event.event_ref,
                    event.event_type,
                    event.case_ref,
                    event.subject_ref,
                    event.agency,
                    event.occurred_at,
                    addition.received_at,
                    categories,
                    {one: event.bases[one] for one in categories},
                    {one: dict(event.fields[one]) for one in categories},
                )
            )

    def read(self, db: Connection, removal: Removal) -> Mapping[str, Mapping[str, Any]]:  # noqa: ARG002
        return {}  # nothing is kept here, so nothing can be kept in restriction

    def remove(self, db: Connection, removal: Removal) -> None:
        """What is removed is told by the recall itself, held or not."""

    def correct(self, db: Connection, correction: Correction) -> None:  # noqa: ARG002
        # What was released again after a recall is corrected again: that is another message.
        sequence = max(correction.sequence, self._added.get(correction.event_ref, 0))
        rest = () if correction.value is not None else ("",)
        self._waiting.append(
            Message(
                message_id("corrected", sequence, correction.event_ref, correction.field, *rest),
                "corrected",
                correction.sequence,
                correction.event_ref,
                correction.event_type,
                fields={"": {correction.field: correction.value}},
            )
        )

    def recalled(self, db: Connection, about: Recalled) -> None:  # noqa: ARG002
        self._waiting.append(
            Message(
                message_id("recalled", about.sequence, about.event_ref, *about.categories),
                "recalled",
                about.sequence,
                about.event_ref,
                case_ref=about.case_ref,
                subject_ref=about.subject_ref,
                categories=about.categories,
                recall_ref=about.recall_ref,
            )
        )


def message_id(kind: str, sequence: int, event_ref: str, *rest: str) -> str:
    """The same for the same thing, whenever it is sent; tells nothing. 32 hex digits."""
    text = "\n".join((kind, str(sequence), event_ref, *rest))
    return hashlib.sha256(text.encode()).hexdigest()[:32]
