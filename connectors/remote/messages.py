"""Messages: for systems that are told what happened, one message after another.

    batch → Message per addition, correction and recall → system.send()

Nothing but the books is kept here. A message has an id that is the same however often it is
sent, so that a receiver can tell a repeat. A recall always sends its message, held or not:
an attempt that was cut off may have brought what no book shows.

What such an attempt may have brought of a delivery that was then set aside is taken back, by a
"recalled" without a recall_ref. If the delivery is applied later after all, its message has a new
id, for the receiver has seen the old one: `nrm_taken_back` counts that.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

import sqlalchemy as sa
from sqlalchemy import Connection

from connectors.errors import SinkDownError, SinkRefusedError
from connectors.remote.sink import Intent, Recalled
from connectors.sink import Addition, Correction, Removal


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that happened.

    kind: "event" (these categories of an event, with what they say), "corrected" (fields holds the
    one field, under the category ""), or "recalled" (these categories have to be gone;
    recall_ref is "" where a delivery was set aside after an attempt that was cut off).
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

    refuses_whole = True

    taken: Callable[[Message], object] | None = None
    """Told of each message once the system has taken it; for a trial, that shows what was sent."""

    def __init__(self, system: MessageSystem, metadata: sa.MetaData) -> None:
        self._system = system
        self._waiting: list[Message] = []
        self._known: dict[str, int] | None = None
        self._back = sa.Table(
            "nrm_taken_back",
            metadata,
            sa.Column("event_ref", sa.String(100), primary_key=True),
            sa.Column("times", sa.Integer, nullable=False),
        )
        self._added: dict[str, int] = {}  # event → sequence of what was added last

    def prepare(self) -> None:
        self._system.prepare()

    def begin(self) -> None:
        self._waiting, self._added, self._known = [], {}, None

    def close(self) -> None:
        self._system.close()

    def settle(self, db: Connection, intents: Sequence[Intent]) -> Collection[str]:
        waiting, self._waiting = self._waiting, []
        back = self._taken_back(db, intents, waiting)
        if back:
            try:
                self._system.send(back)
            except SinkRefusedError as refused:
                raise SinkDownError(
                    f"the receiver refused ({refused.detail or refused.reason}) to remove what an "
                    "attempt that was cut off may have brought it: it has to take every recall"
                ) from None
        if waiting:
            self._system.send(waiting)
        if self.taken is not None:
            for one in (*back, *waiting):
                self.taken(one)
        return ()

    def _taken_back(
        self, db: Connection, intents: Sequence[Intent], waiting: Sequence[Message]
    ) -> list[Message]:
        """A recall for each delivery that was set aside and may be with the receiver in part."""
        said = {(o.event_ref, c) for o in waiting if o.kind == "recalled" for c in o.categories}
        found = []
        for one in intents:
            left = tuple(sorted(c for c in one.left if (one.event_ref, c) not in said))
            if not left:
                continue
            times = self._times(db, one.event_ref) + 1
            self._known = None
            db.execute(self._back.delete().where(self._back.c.event_ref == one.event_ref))
            db.execute(self._back.insert(), {"event_ref": one.event_ref, "times": times})
            found.append(
                Message(
                    message_id("recalled", one.sequence, one.event_ref, *left, f"back {times}"),
                    "recalled",
                    one.sequence,
                    one.event_ref,
                    case_ref=one.case_ref,
                    subject_ref=one.subject_ref,
                    categories=left,
                )
            )
        return found

    def _times(self, db: Connection, event_ref: str) -> int:
        if self._known is None:  # few: each is an attempt that was cut off
            self._known = {row.event_ref: row.times for row in db.execute(sa.select(self._back))}
        return self._known.get(event_ref, 0)

    def _again(self, db: Connection, event_ref: str) -> tuple[str, ...]:
        """What an id says beside the rest once something of the event was taken back."""
        times = self._times(db, event_ref)
        return (f"again {times}",) if times else ()

    def ready(self, schemas: Iterable[tuple[str, bytes]]) -> None:
        """Messages need no columns."""

    def add(self, db: Connection, additions: Sequence[Addition]) -> None:
        for addition in additions:
            event, categories = addition.event, tuple(sorted(addition.categories))
            self._added[event.event_ref] = event.sequence
            self._waiting.append(
                Message(
                    message_id(
                        "event",
                        event.sequence,
                        event.event_ref,
                        *categories,
                        *self._again(db, event.event_ref),
                    ),
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

    def correct(self, db: Connection, correction: Correction) -> None:
        # What was released again after a recall is corrected again: that is another message.
        sequence = max(correction.sequence, self._added.get(correction.event_ref, 0))
        cleared = () if correction.value is not None else ("",)
        rest = (*cleared, *self._again(db, correction.event_ref))
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
