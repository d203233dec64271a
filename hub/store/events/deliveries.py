"""Rows of a recipient: its delivery log, and the receipts it signed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hub.store.events.event import StoreEvent


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending(StoreEvent):
    """One delivery. Its `originator_version` is the recipient's gapless delivery sequence."""

    TOPIC = "nrm.DeliveryLog.Sending"

    agency: str
    kind: Literal["release", "recall"]
    case_id: bytes
    subject_id: bytes
    decision: int
    items: bytes
    event_position: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RedriveOrdered(StoreEvent):
    """A delivery that its recipient set aside is to be sent once more, sealed anew."""

    TOPIC = "nrm.DeliveryLog.RedriveOrdered"

    agency: str
    sequence: int
    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Received(StoreEvent):
    """A partner's signed receipt, as sent."""

    TOPIC = "nrm.ReceiptLog.Received"

    agency: str
    first_sequence: int
    last_sequence: int
    receipt: bytes
    signature: bytes
