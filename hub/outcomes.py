"""Outcomes: the hub's signed answers, kept by agencies as evidence.

One signature covers all outcomes sent together (an RFC 6962 tree over them); an agency can keep a
single outcome with its path and prove years later what the hub acknowledged, even if the hub
should later leave the event out. The outcome of a withdrawal is followed by what was in flight.
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.crypto import signing
from hub.crypto.signing import SigningKey
from hub.recalling.in_flight import MOST_TOLD
from hub.recording.answered import OutcomeFacts
from hub.tlog import merkle
from schemas import wire


def outcome_batch(hub_id: str, key: SigningKey, answers: Sequence[OutcomeFacts]) -> bytes:
    """A signed OutcomeBatch, single-object encoded, in the order given."""
    outcomes = [encoded for answer in answers for encoded in _encoded(answer)]
    root = merkle.root([merkle.leaf_hash(outcome) for outcome in outcomes])
    return wire.OUTCOME_BATCH.single(
        {
            "hub": hub_id,
            "key_id": key.key_id,
            "outcomes": outcomes,
            "signature": key.sign(
                signing.OUTCOMES, b"%b\n%d\n%b" % (hub_id.encode(), len(outcomes), root)
            ),
        }
    )


def _encoded(answer: OutcomeFacts) -> list[bytes]:
    """The outcome and, if a withdrawal overtook something, what was in flight."""
    outcome = wire.OUTCOME.single(_fields(answer))
    if not answer.in_flight:
        return [outcome]
    listed = [
        {"recipient": to, "event_ref": event, "categories": list(names)}
        for to, event, names in answer.in_flight[:MOST_TOLD]
    ]
    flight = {
        "agency": answer.agency,
        "event_id": answer.event_id,
        "position": answer.position,
        "items": listed,
        "more": len(answer.in_flight) - len(listed),
    }
    return [outcome, wire.IN_FLIGHT.single(flight)]


def _fields(answer: OutcomeFacts) -> dict[str, object]:
    refusal = answer.refusal
    return {
        "agency": answer.agency,
        "event_id": answer.event_id,
        "digest": answer.digest,
        "accepted": answer.accepted,
        "position": answer.position,
        "step": refusal.step if refusal else None,
        "reason": refusal.reason if refusal else None,
        "guard": refusal.guard if refusal else None,
        "detail": refusal.detail if refusal else None,
        "recorded_at": answer.recorded_at,
    }
