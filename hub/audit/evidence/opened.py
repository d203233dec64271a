"""Opened: what a holder was sent of an event and still holds, in the clear; nobody else's business.

Sealed compartments are chosen and opened, never encoded again: salt, name and body are the very
bytes the agency committed to. Which ones is what `hub/release.py` decided, what the publisher sent
on it and what no recall took back; no consent is asked about here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Set
from uuid import UUID

from hub.crypto.compartment import compartment_key, open_compartment
from hub.errors import Refused
from hub.exchange import Exchange
from hub.recording.accepted import key_context
from hub.sending.parts import released
from hub.store import events as stored
from schemas.registry import Schemas

_DERIVED = {  # plain facts that are no field, and the field they are made from
    "two_persons": "two_person_ref",
    "interpreter_lapsed": "interpreter_accredited_until",
    "small_cells": "cells",
    "birth_date_stated": "date_of_birth",
}


def may_hold(exchange: Exchange, holder: str) -> None:
    """Refuse a holder that would be told more by rows than by its deliveries, or nothing at all."""
    party = exchange.agencies.parties().get(holder)
    if party is None:
        raise Refused(0, "unknown_agency", f"{holder[:64]} is not enrolled")
    if not party.receives:
        raise Refused(0, "no_agreement", f"{holder} has no data-sharing agreement: sign one first")
    if exchange.policy().evidence_for(party.role) == "hub":
        raise Refused(
            0,
            "hub_attested",
            f"{holder} is sent the hub's word only, so that nothing can be joined; rows would be: "
            "make the bundle without --holder, for an auditor",
        )


def tells_more(event: stored.EventAccepted, held: Set[str], holder: str) -> bool:
    """Whether the event's row tells the holder of categories it does not hold.

    A row has the event's plain facts whole: of a consent's scope everybody's part, of a decision
    its outcome.
    """
    if event.emitter == holder:
        return False
    schema = Schemas.load().by_id(event.schema_id)
    if schema is None or any(field.per_party for field in schema.fields):
        return True
    for name in json.loads(event.facts):
        field = schema.field(name) or schema.field(_DERIVED.get(name, ""))
        category = field.category if field is not None else None
        if category is None and name == "birth_date_stated":
            category = "identity"  # an assessment's or a correction's
        if category not in held:
            return True
    return False


def opened(
    exchange: Exchange, event: stored.EventAccepted, held: Set[str], holder: str
) -> Iterator[tuple[int, bytes]]:
    """(leaf index, salt ‖ name's length ‖ name ‖ body) of each part; nothing once erased."""
    secret_id = UUID(bytes=event.secret_id)
    secret = exchange.secrets.secrets({secret_id}).get(secret_id)
    if secret is None:
        return
    bases = dict.fromkeys(held, "")
    for sealed in event.compartments:
        if not released(sealed.name, bases, holder):
            continue
        salt, body = open_compartment(
            compartment_key(secret, key_context(event.digest), sealed.name),
            sealed.ciphertext,
            event_id=event.event_id,
            name=sealed.name,
            schema_id=event.schema_id,
        )
        label = sealed.name.encode()
        yield sealed.index, salt + bytes([len(label)]) + label + body
