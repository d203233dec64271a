"""Outcomes: the hub's signed answers, kept by agencies as evidence.

One signature covers all outcomes sent together (an RFC 6962 tree over them); an agency can keep a
single outcome with its path and prove years later what the hub acknowledged, even if the hub
should later leave the event out.
"""

from __future__ import annotations

from collections.abc import Sequence

from hub.crypto import signing
from hub.crypto.signing import SigningKey
from hub.exchange import OutcomeFacts
from hub.tlog import merkle
from schemas import wire


def outcome_batch(hub_id: str, key: SigningKey, answers: Sequence[OutcomeFacts]) -> bytes:
    """A signed OutcomeBatch, single-object encoded, in the order given."""
    outcomes = [wire.OUTCOME.single(_fields(answer)) for answer in answers]
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
