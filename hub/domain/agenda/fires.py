"""What the hub itself publishes when an item falls due, and only while it is still so.

The case decides, not the item: a consent that was renewed, a referral that was answered or a hold
that was placed since needs no event, whoever may have closed an item about it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid5

from hub.domain.case import Case
from hub.domain.consent import GIVEN
from hub.domain.referral import REFERRAL
from hub.domain.timers import end_of
from hub.domain.work import WorkItem


@dataclass(frozen=True, slots=True)
class OwnEvent:
    """One event the hub states: its type and its fields."""

    type: str
    data: dict[str, Any]


def own_events(item: WorkItem, case: Case, now: datetime) -> list[OwnEvent]:
    """What is to be published for an item that fell due; nothing where a person has to act."""
    match item.kind:
        case "consent_expiring":
            consent = case.consents.get(item.ref)
            if consent is None or consent.state != GIVEN or now < end_of(consent.valid_until):
                return []
            return [OwnEvent("ConsentExpired", {"consent_id": item.ref})]
        case "referral_unanswered":
            referral = case.involvement.referrals.get((REFERRAL, item.ref))
            if referral is None or not referral.pending:
                return []
            if referral.respond_by is not None and now <= referral.respond_by:
                return []
            return [OwnEvent("ReferralEnded", {"referral_id": item.ref, "outcome": "expired"})]
        case "removal_hold_due":
            until = case.progress.recovery_ends
            held = case.progress.held_until
            if until is None or case.progress.recovery_over or (held and held >= until):
                return []
            assert case.case_id is not None
            hold = f"hold-{uuid5(case.case_id, 'removal hold').hex[:20]}"
            return [OwnEvent("RemovalHoldPlaced", {"hold_ref": hold, "until": until.isoformat()})]
        case "retention_due" if item.detail.get("erase") is True and case.progress.closed:
            request = f"retention-{item.item.hex[:12]}"
            due = item.due.date() if item.due is not None else now.date()
            return [
                OwnEvent(
                    "SubjectRequestReceived",
                    {"request_id": request, "right": "erasure", "due_on": due.isoformat()},
                ),
                OwnEvent(
                    "SubjectRequestDecided",
                    {
                        "request_id": request,
                        "outcome": "granted",
                        "exemption": "none",
                        "action": "key_destroyed",
                    },
                ),
            ]
        case _:
            return []
