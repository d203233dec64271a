"""An accepted event as it is recorded: signed bytes kept, compartments and birth dates sealed.

Everything an agency said about a person lies under that person's secret; beside it stand only the
non-personal facts that later decisions need (`hub/domain/facts.py`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID, uuid5

import orjson

from hub.crypto.compartment import compartment_key, open_compartment, seal_compartment
from hub.domain.case import CaseEvent
from hub.store import events as stored
from hub.store.keystore import KeyStore
from hub.submission import AdmittedEvent

ERASING = "SubjectRequestDecided"  # the event type that may order an erasure
PERSONAL = "facts"  # compartment name under which personal facts are sealed
AFTER_ERASURE = "after erasure"  # name under which a person's next secret is derived


def key_context(digest: bytes) -> bytes:
    """What a compartment's key is derived from besides secret and name: the signed header.

    An event id alone would not do: two agencies may choose the same one, and a key must never
    seal two contents.
    """
    return digest[:16]


def facts_bytes(facts: Mapping[str, Any] | list[Any]) -> bytes:
    """Facts or a decision as they are recorded: JSON, keys sorted, so that equal means equal."""
    return orjson.dumps(facts, option=orjson.OPT_SORT_KEYS)


def orders_erasure(event_type: str, facts: Mapping[str, Any]) -> bool:
    """Whether this event destroys everything the person had before it."""
    return event_type == ERASING and facts.get("action") == "key_destroyed"


def next_secret(secret_id: UUID) -> UUID:
    """Id of the secret that follows this one in a person's chain."""
    return uuid5(secret_id, AFTER_ERASURE)


class Secrets(Protocol):
    """Where the secrets of persons are looked up; one that was erased is left out."""

    def secrets(self, subjects: Collection[UUID]) -> dict[UUID, bytes]: ...


@dataclass(frozen=True, slots=True)
class Person:
    """Whom an event concerns, and the secret it is sealed under."""

    subject: UUID
    secret_id: UUID
    secret: bytes


def persons(secrets: KeyStore, current: Mapping[UUID, UUID]) -> dict[UUID, Person]:
    """Everyone concerned, by subject; new secrets are durable before anything is recorded.

    current: subject → first secret since the last erasure on record, which counts from its
    position on, also before the secret before it is destroyed.
    """
    ids = dict(current)
    gone = secrets.erased_among(set(ids.values()))
    for subject in [one for one, secret in ids.items() if secret in gone]:
        while secrets.erased(ids[subject]):
            ids[subject] = next_secret(ids[subject])
    found = secrets.ensure(set(ids.values()))
    return {
        subject: Person(subject, secret_id, found[secret_id]) for subject, secret_id in ids.items()
    }


def after_erasure(secrets: KeyStore, person: Person) -> Person:
    """Under the next secret: what they had before is destroyed, what comes now outlives it."""
    secret_id = next_secret(person.secret_id)
    return Person(person.subject, secret_id, secrets.ensure({secret_id})[secret_id])


def accepted(
    event: AdmittedEvent, stream: UUID, version: int, person: Person, now: datetime
) -> stored.EventAccepted:
    """The row to record for an admitted event."""
    context = key_context(event.digest)

    def sealed(name: str, salt: bytes, body: bytes) -> bytes:
        return seal_compartment(
            compartment_key(person.secret, context, name),
            event_id=event.event_id,
            name=name,
            schema_id=event.schema_id,
            salt=salt,
            body=body,
        )

    personal = sealed(PERSONAL, bytes(16), facts_bytes(event.personal)) if event.personal else b""
    return stored.EventAccepted(
        originator_id=stream,
        originator_version=version,
        timestamp=now,
        event_id=event.event_id,
        event_type=event.event_type,
        emitter=event.agency,
        role=event.role,
        schema_id=event.schema_id,
        header=event.header,
        head=event.head,
        signature=event.signature,
        index=event.index,
        path=event.path,
        leaves=event.leaves,
        compartments=tuple(
            stored.SealedCompartment(name, index, sealed(name, salt, body))
            for name, index, salt, body in event.compartments
        ),
        categories=event.categories,
        facts=facts_bytes(event.facts),
        personal=personal,
        subject_id=person.subject.bytes,
        secret_id=person.secret_id.bytes,
        occurred_at=event.occurred_at,
        digest=event.digest,
    )


def case_event(event: stored.EventAccepted, secrets: Secrets, position: int = 0) -> CaseEvent:
    """The recorded event as the rules see it. Personal facts are gone once shredded."""
    return CaseEvent(
        position=position,
        event_id=str(UUID(bytes=event.event_id)),
        type=event.event_type,
        emitter=event.emitter,
        role=event.role,
        at=event.timestamp,
        categories=tuple(event.categories),
        facts={**orjson.loads(event.facts), **_personal(event, secrets)},
    )


def _personal(event: stored.EventAccepted, secrets: Secrets) -> dict[str, Any]:
    if not event.personal:
        return {}
    secret_id = UUID(bytes=event.secret_id)
    secret = secrets.secrets({secret_id}).get(secret_id)
    if secret is None:
        return {}
    _, body = open_compartment(
        compartment_key(secret, key_context(event.digest), PERSONAL),
        event.personal,
        event_id=event.event_id,
        name=PERSONAL,
        schema_id=event.schema_id,
    )
    facts: dict[str, Any] = json.loads(body)
    return facts
