"""Referrals and transfers: offered, answered, ended (docs/release.md 2.3).

Both have one lifecycle, so one class holds both; their ids are separate.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from hub.domain.parties import HUB_ROLE

PENDING, ACCEPTED, DECLINED, ENDED = "pending", "accepted", "declined", "ended"
REFERRAL, TRANSFER = "referral", "transfer"

# Message type → (kind, field that holds the id). The messages of rule 4.7.
MESSAGES = {
    "ReferralMade": (REFERRAL, "referral_id"),
    "ReferralAccepted": (REFERRAL, "referral_id"),
    "ReferralDeclined": (REFERRAL, "referral_id"),
    "ReferralEnded": (REFERRAL, "referral_id"),
    "TransferOffered": (TRANSFER, "transfer_id"),
    "TransferAnswered": (TRANSFER, "transfer_id"),
}


@dataclass(slots=True)
class Referral:
    """One referral or transfer.

    made: event id of the message that made it; its items are what a decline recalls.
    void: its ground of involvement was lost by leaving; a later referral restores it, this one
        does not.
    """

    kind: str
    referral_id: str
    sender: str
    recipient: str
    made: str
    respond_by: datetime | None = None
    state: str = PENDING
    void: bool = False

    @property
    def pending(self) -> bool:
        return self.state == PENDING

    @property
    def open(self) -> bool:
        return self.state in (PENDING, ACCEPTED)

    def may_be_ended_by(self, agency: str, role: str) -> bool:
        """Pending or accepted, and asked for by sender, recipient or the hub."""
        return self.open and (agency in (self.sender, self.recipient) or role == HUB_ROLE)

    @property
    def involves(self) -> bool:
        return self.state == ACCEPTED and not self.void
