"""Receipts: the partner's signed word on what became of its deliveries.

Made from the sink's outbox when it is sent, so that one which waited through a key rotation is
signed with a key the hub still takes. The same receipt signed again is the same bytes.
"""

from __future__ import annotations

from connectors.agency.identity import AgencyIdentity
from connectors.sink import OwedReceipt
from hub.crypto import signing
from schemas import wire


def sign_receipt(identity: AgencyIdentity, owed: OwedReceipt) -> bytes:
    """A SignedReceipt, single-object encoded."""
    body = wire.RECEIPT.single(
        {
            "agency": identity.agency,
            "hub": identity.hub.hub,
            "key_id": identity.signing.key_id,
            "first_sequence": owed.first,
            "last_sequence": owed.last,
            "applied_at": owed.applied_at,
            "exceptions": [
                {
                    "sequence": one.sequence,
                    "outcome": one.outcome,
                    "recall_ref": one.recall_ref,
                    "detail": one.detail,
                }
                for one in owed.exceptions
            ],
        }
    )
    signature = identity.signing.sign(signing.RECEIPT, body)
    return wire.SIGNED_RECEIPT.single({"receipt": body, "signature": signature})
