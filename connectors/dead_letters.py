"""Dead letters: what lies in quarantine, which side has to act, and how it may end.

    waiting ──redrive──▶ redriven    applied after all; the receipt says `applied`
       │────recall────▶ recalled    its content was taken back
       └────discard───▶ discarded   never applied, for a reason; the receipt says so

A discard is the only way to leave a delivery unapplied on purpose. Its reason is a code, because
the receipt is a leaf of the hub's log and stays for ever: free text would sooner or later name a
person. A note stays at the partner's site, and goes with a recall.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from connectors.delivery import Arrived, Poison
from schemas import wire

PARTNER: Final = "partner"
HUB: Final = "hub"
AGENCY: Final = "agency"

SIDES: Final[Mapping[str, str]] = {
    PARTNER: "this site's IT",
    HUB: "the hub's operator",
    AGENCY: "the agency that stated it, through the hub",
}

OWNERS: Final[Mapping[str, str]] = {
    "message_malformed": HUB,
    "wrong_hub": HUB,
    "wrong_recipient": HUB,
    "unknown_hub_key": PARTNER,
    "bad_hub_signature": HUB,
    "unknown_sealing_key": PARTNER,
    "box_unopenable": HUB,
    "batch_malformed": HUB,
    "batch_incomplete": HUB,
    "delivery_malformed": HUB,
    "wrong_sequence": HUB,
    "delivery_incomplete": HUB,
    "hub_key_not_valid": HUB,
    "unknown_schema": PARTNER,
    "unknown_agency_key": HUB,
    "evidence_malformed": AGENCY,
    "evidence_mismatch": HUB,
    "bad_batch_path": HUB,
    "bad_agency_signature": AGENCY,
    "not_released": HUB,
    "compartment_unopenable": HUB,
    "not_disclosed": HUB,
    "content_malformed": AGENCY,
    "code_not_translated": PARTNER,
    "value_unsuitable": PARTNER,
    "sink_refused": PARTNER,
    "message_too_large": PARTNER,
    "parent_missing": PARTNER,
    "recalled": PARTNER,
}
"""Who can remove the cause, by reason code. A sink's own codes are its partner's."""

DISCARDS: Final[Mapping[str, str]] = {
    "entered_by_hand": "the content was put into this site's system by hand",
    "held_already": "this site holds the same from elsewhere",
    "not_needed": "this site has nothing to do with the case any more",
    "wrongly_sent": "it should not have come to this site; the hub's operator was told",
    "unreadable": "it was sent again and still cannot be read",
    "test_data": "it is of a trial, not of a person",
}
"""Why a delivery is never to be applied."""


HELD_ELSEWHERE: Final = ("entered_by_hand", "held_already")
"""Then this site holds it where no connector can take it back."""

RECALLED_SINCE: Final = "recalled since: take it out where it was put in"


def owner(reason: str) -> str:
    """Which side acts on this reason: partner, hub or agency."""
    return OWNERS.get(reason, PARTNER)


def told(discard: str) -> str:
    """What the receipt's detail says of a discard."""
    return wire.DISCARDED + discard


def a_recall(items: Iterable[Arrived | Poison]) -> bool:
    """Whether a recall is among what a quarantine row holds: that must be answered."""
    return any(isinstance(item, Arrived) and item.recall is not None for item in items)
