"""Submit: an agency's events, signed and sealed, and the hub's signed answers.

    event → compartments → commitments → header ┐
    event → compartments → commitments → header ┼→ batch tree → one signature → sealed to the hub
    …                                           ┘

Promises
- What does not fit its schema is refused here, before anything is signed, naming event and field.
- The same event (same id, occurred_at and data) always becomes the same bytes, so publishing it
  again after a crash or a lost answer is safe: the hub gives the same outcome again.
- `publish` returns only what the hub has signed. While the answer is unknown it sends the same
  sealed bytes again; it never makes a second event of one.

Absent: any judgement whether the event may be stated or released. The hub decides and says why.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from connectors.agency.identity import AgencyIdentity
from connectors.agency.outcomes import Outcome, read_outcomes
from connectors.agency.split import Event, Noise, schema_of, split
from connectors.agency.transport import Transport
from connectors.errors import InvalidEventError, TransportDownError, UntrustedError
from hub.crypto import signing
from hub.crypto.disclosure import Disclosure
from hub.crypto.sealing import seal, sealing_key_id
from hub.tlog import merkle
from schemas import wire
from schemas.registry import Schemas

__all__ = ["Event", "Limits", "Prepared", "Publisher"]


@dataclass(frozen=True)
class Limits:
    """How events are grouped and how long an answer is waited for.

    batch_events, batch_bytes: a batch is sent when it would pass either.
    linger_seconds: `publish_all` sends a batch that is not full after this long.
    answer_seconds: wait for an outcome before the same bytes are sent again.
    give_up_seconds: after this long without an answer raise TransportDownError.
    """

    batch_events: int = 200
    batch_bytes: int = 900_000
    linger_seconds: float = 0.2
    answer_seconds: float = 10.0
    give_up_seconds: float = 120.0


@dataclass(frozen=True)
class Prepared:
    """A sealed batch, with what its answer will name. `sealed` is what travels."""

    sealed: bytes
    digests: Mapping[UUID, bytes]  # event id → SHA-256 of its header, in batch order


@dataclass(frozen=True)
class _Made:
    header: bytes
    event_id: UUID
    submitted: dict[str, Any]
    size: int = field(default=0)


class Publisher:
    """Publishes events of one agency. Not for use by several threads at once."""

    def __init__(
        self,
        identity: AgencyIdentity,
        outbox: Transport | None = None,
        *,
        schemas: Schemas | None = None,
        limits: Limits | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """`outbox` may be left out when only `prepare` is wanted."""
        self._identity = identity
        self._transport = outbox
        self._schemas = schemas or Schemas.load()
        self._limits = limits or Limits()
        self._clock = clock

    def prepare(self, events: Sequence[Event]) -> bytes:
        """A SealedSubmission ready to send. InvalidEventError names what does not fit."""
        return self.assemble(events).sealed

    def assemble(self, events: Sequence[Event]) -> Prepared:
        """As `prepare`, with the digests the hub will answer with."""
        return self._seal(self._make_all(events))

    def publish(self, events: Sequence[Event]) -> list[Outcome]:
        """Send and wait: one verified outcome per event, in order, refused ones included.

        All events are checked before the first is sent. Raises TransportDownError when the hub
        does not answer: then publish the same events again, with the same event ids.
        """
        batches = [self._seal(batch) for batch in self._grouped(self._make_all(events))]
        outcomes: list[Outcome] = []
        for batch in batches:
            outcomes += self._exchange(batch)
        return outcomes

    def publish_all(self, events: Iterable[Event]) -> Iterator[Outcome]:
        """`publish` for a stream that may be endless: sends full batches, others after `linger`.

        An event waits at most until the next one arrives after `linger_seconds`; a source that
        falls silent should end its iterator.
        """
        waiting: list[Event] = []
        since = 0.0
        for event in events:
            if not waiting:
                since = time.monotonic()
            waiting.append(event)
            full = len(waiting) >= self._limits.batch_events
            if full or time.monotonic() - since >= self._limits.linger_seconds:
                yield from self.publish(waiting)
                waiting = []
        if waiting:
            yield from self.publish(waiting)

    def _make_all(self, events: Sequence[Event]) -> list[_Made]:
        now = self._clock()
        made = [self._make(index, event.settled(now)) for index, event in enumerate(events)]
        seen: set[UUID] = set()
        for index, event in enumerate(made):
            if event.event_id in seen:
                raise InvalidEventError(
                    index, events[index].type, "event_id", "stands twice: each event needs its own"
                )
            seen.add(event.event_id)
        return made

    def _make(self, index: int, event: Event) -> _Made:
        """Compartments, commitments and header of one event."""
        assert event.event_id is not None
        assert event.occurred_at is not None
        if event.occurred_at.tzinfo is None:
            raise InvalidEventError(
                index, event.type, "occurred_at", "has no time zone: give a time with its offset"
            )
        try:
            event.occurred_at.astimezone(UTC)
        except OverflowError:  # which nobody could read again: the hub neither
            raise InvalidEventError(index, event.type, "occurred_at", "not_an_instant") from None
        schema = schema_of(self._schemas, index, event.type)
        bodies = split(self._schemas, schema, index, event)
        noise = Noise(self._identity.salt_secret, event, schema.schema_id, bodies)
        compartments = {
            name: (noise.draw(16, f"salt {name}"), body) for name, body in bodies.items()
        }
        disclosure = Disclosure.build(
            compartments, padding=None, randomness=lambda size: noise.draw(size, "padding")
        )
        header = wire.HEADER.single(
            {
                "event_id": event.event_id.bytes,
                "event_type": event.type,
                "schema": schema.schema_id,
                "agency": self._identity.agency,
                "occurred_at": event.occurred_at,
                "disclosure_root": disclosure.root,
            }
        )
        submitted = {
            "header": header,
            "compartments": [
                {"name": name, "salt": salt, "body": body}
                for name, (salt, body) in compartments.items()
            ],
            "padding": list(disclosure.padding),
        }
        size = len(header) + sum(len(body) + 48 for body in bodies.values())
        return _Made(header, event.event_id, submitted, size + 32 * len(disclosure.padding))

    def _grouped(self, made: Sequence[_Made]) -> Iterator[list[_Made]]:
        batch: list[_Made] = []
        size = 0
        for event in made:
            over = size + event.size > self._limits.batch_bytes
            if batch and (over or len(batch) >= self._limits.batch_events):
                yield batch
                batch, size = [], 0
            batch.append(event)
            size += event.size
        if batch:
            yield batch

    def _seal(self, made: Sequence[_Made]) -> Prepared:
        """One tree, one signature, one box."""
        if not made:
            raise ValueError("a batch holds at least one event")
        hub = self._identity.hub
        tree = merkle.Tree([merkle.leaf_hash(event.header) for event in made])
        head = wire.BATCH_HEAD.single(
            {
                "agency": self._identity.agency,
                "key_id": self._identity.signing.key_id,
                "audience": hub.hub,
                "size": len(made),
                "root": tree.root,
            }
        )
        submission = wire.SUBMISSION.single(
            {
                "head": head,
                "signature": self._identity.signing.sign(signing.BATCH, head),
                "events": [event.submitted for event in made],
            }
        )
        sealed = wire.SEALED_SUBMISSION.single(
            {
                "audience": hub.hub,
                "ingest_key_id": sealing_key_id(hub.ingest_key),
                "sender_hint": self._identity.agency,
                "box": seal(hub.ingest_key, b"nrm.submission.v1\n" + hub.hub.encode(), submission),
            }
        )
        digests = {event.event_id: hashlib.sha256(event.header).digest() for event in made}
        return Prepared(sealed, digests)

    def _exchange(self, batch: Prepared) -> list[Outcome]:
        """Send until every event of the batch has a verified outcome."""
        if self._transport is None:
            raise ValueError("this publisher was made without a transport")
        whole = hashlib.sha256(batch.sealed).digest()
        found: dict[UUID, Outcome] = {}
        give_up = time.monotonic() + self._limits.give_up_seconds
        pause = 0.1
        self._doubt: UntrustedError | None = None
        while True:
            again = time.monotonic() + self._limits.answer_seconds
            try:
                self._transport.send(batch.sealed)
                while time.monotonic() < again:
                    self._collect(batch, whole, found, again - time.monotonic())
                    if len(found) == len(batch.digests):
                        return [found[event_id] for event_id in batch.digests]
            except TransportDownError:
                if time.monotonic() + pause >= give_up:
                    raise
                time.sleep(pause)
                pause = min(pause * 2, 5.0)
            if self._doubt is not None:
                raise self._doubt
            if time.monotonic() >= give_up:
                raise TransportDownError(
                    f"no answer from the hub within {self._limits.give_up_seconds:.0f} s; it is "
                    "unknown whether the events are recorded: publish them again with the same ids"
                )

    def _collect(
        self, batch: Prepared, whole: bytes, found: dict[UUID, Outcome], timeout: float
    ) -> None:
        assert self._transport is not None
        for message in self._transport.outcomes(max(timeout, 0.0)):
            try:
                read = read_outcomes(message, self._identity)
            except UntrustedError as doubt:
                # Junk must not stop an agency; it is reported if no good answer comes beside it.
                self._doubt = doubt
                continue
            for outcome in read:
                if outcome.event_id is None:
                    if outcome.digest == whole:  # the message as a whole was refused
                        found.update({i: replace(outcome, event_id=i) for i in batch.digests})
                    # A header the hub could not read, so that it does not know whose it is.
                    mine = (i for i, one in batch.digests.items() if one == outcome.digest)
                    found.update({i: replace(outcome, event_id=i) for i in mine})
                elif batch.digests.get(outcome.event_id) == outcome.digest:
                    found[outcome.event_id] = outcome
