"""Outcomes: the hub's signed answers to submitted events, verified before anyone sees them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from connectors.agency.identity import AgencyIdentity
from connectors.errors import UntrustedError
from hub.crypto import signing
from hub.tlog import merkle
from schemas import wire
from schemas.avro import AvroError


@dataclass(frozen=True)
class Sent:
    """What a partner was sent, or was being sent, on a consent when it was withdrawn."""

    recipient: str
    event_ref: str
    categories: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """What became of one event.

    accepted with `position` (its place in the hub's log), or refused at admission `step` with
    the stable code `reason`, perhaps the legal `guard`, and in `detail` what to do next.
    in_flight, of a withdrawal: what was on its way already, as far as this agency may know of it,
    and how much more there is; all of it is recalled. Nothing is sent on it from `position` on.
    event_id is None while the hub could not read that far. `signed` is the OutcomeBatch as
    received: the agency's evidence, worth keeping.
    """

    event_id: UUID | None
    digest: bytes
    accepted: bool
    position: int | None
    step: int | None
    reason: str | None
    guard: str | None
    detail: str | None
    recorded_at: datetime
    signed: bytes = b""
    in_flight: tuple[Sent, ...] = ()
    in_flight_more: int = 0


def outcomes_to_sign(hub: str, outcomes: list[bytes]) -> bytes:
    """The bytes a hub signs over: hub, newline, count, newline, RFC 6962 root."""
    root = merkle.Tree([merkle.leaf_hash(outcome) for outcome in outcomes]).root
    return f"{hub}\n{len(outcomes)}\n".encode() + root


def read_outcomes(message: bytes, identity: AgencyIdentity) -> list[Outcome]:
    """The outcomes in a message. UntrustedError unless the pinned hub signed them for us."""
    hub = identity.hub
    try:
        batch: dict[str, Any] = wire.OUTCOME_BATCH.unsingle(message)
        if batch["hub"] != hub.hub or not batch["outcomes"]:
            raise UntrustedError("an outcome comes from another hub than the one pinned")
        key = hub.keys.get(batch["key_id"])
        if key is None:
            raise UntrustedError(
                "an outcome is signed with a hub key that is not pinned: install a new approval"
            )
        signing.verify(
            key.public,
            signing.OUTCOMES,
            outcomes_to_sign(batch["hub"], batch["outcomes"]),
            batch["signature"],
        )
        read, flying = [], {}
        for raw in batch["outcomes"]:
            if raw.startswith(wire.IN_FLIGHT.prefix):
                flight = wire.IN_FLIGHT.unsingle(raw)
                flying[flight["agency"], flight["event_id"]] = flight
            else:
                read.append(wire.OUTCOME.unsingle(raw))
    except (AvroError, signing.SignatureError) as wrong:
        raise UntrustedError(f"an outcome does not verify: {wrong}") from None
    return [
        _outcome(value, message, flying.get((value["agency"], value["event_id"])))
        for value in read
        if value["agency"] == identity.agency
    ]


def _outcome(value: dict[str, Any], message: bytes, flight: dict[str, Any] | None) -> Outcome:
    return Outcome(
        event_id=UUID(bytes=value["event_id"]) if value["event_id"] is not None else None,
        digest=value["digest"],
        accepted=value["accepted"],
        position=value["position"],
        step=value["step"],
        reason=value["reason"],
        guard=value["guard"],
        detail=value["detail"],
        recorded_at=value["recorded_at"],
        signed=message,
        in_flight=tuple(
            Sent(one["recipient"], one["event_ref"], tuple(one["categories"]))
            for one in (flight["items"] if flight else ())
        ),
        in_flight_more=flight["more"] if flight else 0,
    )
