"""Reading consent records from the log: opens what the key store still opens, no more."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any
from uuid import UUID

from hub.consent.records import RISKY, ConsentRecord, Statement, records
from hub.crypto.compartment import compartment_key, open_compartment
from hub.domain.catalogue import CONSENT_GROUP, group_of
from hub.errors import Refused
from hub.exchange import Exchange
from hub.recording.accepted import key_context
from hub.store import events as stored
from hub.store.keystore import KeyStore
from hub.store.log import Recorded
from schemas.registry import EventSchema, Schemas


def consent_records(exchange: Exchange, case_ref: str, today: date) -> list[ConsentRecord]:
    """Every consent record of a case, by its common reference. Refused if there is no such case."""
    case_id = exchange.pseudonyms.canonical("case", case_ref)
    recorded = exchange.log.stream(case_id)
    if not recorded:
        raise Refused(0, "unknown_case", "no such case; check the reference")
    accepted = list(_accepted(recorded))
    flights = _in_flight(recorded)
    return records(
        case_ref,
        [
            _statement(position, event, exchange.secrets, flights.get(position, {}))
            for position, event in accepted
            if group_of(event.event_type) == CONSENT_GROUP
        ],
        today,
        jurisdiction=_jurisdiction([event for _, event in accepted], exchange.secrets),
        retention_until=_retention([event for _, event in accepted]),
    )


def consent_record(
    exchange: Exchange, case_ref: str, consent_id: str, today: date
) -> ConsentRecord:
    """One of them. Refused, with the ids there are, if the case has none of this id."""
    known = consent_records(exchange, case_ref, today)
    for record in known:
        if record.consent_id == consent_id:
            return record
    ids = ", ".join(record.consent_id for record in known) or "none"
    raise Refused(0, "unknown_consent", f"the case has no such consent record; it has: {ids}")


def consents_to_review(exchange: Exchange) -> list[dict[str, Any]]:
    """Every consent given of which somebody noted a risk of coercion; the whole log is read.

    The note is a plain fact: it is found without opening anything, also after an erasure. The
    case's common reference is not, and is None then.
    """
    found = []
    for one in exchange.log.every(frozenset({stored.EventAccepted.TOPIC})):
        event = one.event
        if not isinstance(event, stored.EventAccepted) or event.event_type != "ConsentGiven":
            continue
        facts = json.loads(event.facts)
        if facts.get("coercion_risk") in RISKY:
            found.append(
                {
                    "position": one.position,
                    "recorded": event.timestamp.isoformat(),
                    "case": _case_reference(event, exchange.secrets),
                    "consent": facts["consent_id"],
                    "agency": event.emitter,
                    "coercion_risk": facts["coercion_risk"],
                }
            )
    return found


def content(event: stored.EventAccepted, secrets: KeyStore) -> dict[str, Any] | None:
    """What an event says, all categories; None once the person's secret was destroyed."""
    opened = _opened(event, secrets)
    return None if opened is None else opened[0].join(opened[1], trusted=True)


def _case_reference(event: stored.EventAccepted, secrets: KeyStore) -> str | None:
    opened = _opened(event, secrets)
    return None if opened is None else opened[0].routing(opened[1], trusted=True).case


def _opened(
    event: stored.EventAccepted, secrets: KeyStore
) -> tuple[EventSchema, dict[str, bytes]] | None:
    secret_id = UUID(bytes=event.secret_id)
    secret = secrets.secrets({secret_id}).get(secret_id)
    schema = Schemas.load().by_id(event.schema_id)
    if secret is None or schema is None:
        return None
    bodies = {
        one.name: open_compartment(
            compartment_key(secret, key_context(event.digest), one.name),
            one.ciphertext,
            event_id=event.event_id,
            name=one.name,
            schema_id=event.schema_id,
        )[1]
        for one in event.compartments
    }
    return schema, bodies


def _accepted(recorded: list[Recorded]) -> Iterator[tuple[int, stored.EventAccepted]]:
    for one in recorded:
        if isinstance(one.event, stored.EventAccepted):
            yield one.position, one.event


def _in_flight(recorded: list[Recorded]) -> dict[int, Counter[str]]:
    """Position of a withdrawal → recipient → events of which something was on its way."""
    return {
        one.event.position: Counter(to for to, _, _ in json.loads(one.event.items))
        for one in recorded
        if isinstance(one.event, stored.InFlight)
    }


def _statement(
    position: int, event: stored.EventAccepted, secrets: KeyStore, flight: Mapping[str, int]
) -> Statement:
    return Statement(
        position=position,
        event_id=str(UUID(bytes=event.event_id)),
        type=event.event_type,
        agency=event.emitter,
        role=event.role,
        occurred_at=event.occurred_at,
        recorded_at=event.timestamp,
        facts=json.loads(event.facts),
        content=content(event, secrets),
        in_flight=flight,
    )


def _jurisdiction(accepted: list[stored.EventAccepted], secrets: KeyStore) -> str | None:
    opened = next((one for one in accepted if one.event_type == "CaseOpened"), None)
    said = content(opened, secrets) if opened is not None else None
    return None if said is None else said.get("jurisdiction")


def _retention(accepted: list[stored.EventAccepted]) -> str | None:
    closed = [json.loads(one.facts) for one in accepted if one.event_type == "CaseClosed"]
    return closed[-1].get("retention_until") if closed else None
