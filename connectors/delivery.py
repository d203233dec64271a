"""Deliveries: a sealed message in, verified and opened items out.

    message   hub signature → HPKE box → DeliveryBatch         (connectors/opening/opener.py)
    delivery  agency evidence → compartments → field values

`Arrived` is what a sink gets. `Poison` stands in for one delivery that cannot be trusted or read:
it is quarantined under its sequence with a reason code, and the next one goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

REASONS: Final[Mapping[str, str]] = {
    # a whole message, not known to be the hub's: kept apart, has no sequence
    "message_malformed": "the bytes on the topic are not a SealedDeliveries message",
    "wrong_hub": "the message is of another hub",
    "wrong_recipient": "the message is for another recipient",
    "unknown_hub_key": "signed with a hub key that is neither pinned nor in the registry",
    "bad_hub_signature": "the hub's signature does not verify",
    # a message of the hub that cannot be read: every sequence it covers
    "unknown_sealing_key": "sealed to a key this identity does not hold: restore it, then redrive",
    "box_unopenable": "the box does not open with the key it names",
    "batch_malformed": "the box does not hold a DeliveryBatch",
    "batch_incomplete": "the batch does not hold the sequences it announces",
    # one delivery
    "delivery_malformed": "the delivery does not decode",
    "wrong_sequence": "the delivery bears another sequence than its place",
    "delivery_incomplete": "parts that a release or recall must have are missing",
    "hub_key_not_valid": "the hub's key was not valid at the position of the decision",
    "unknown_schema": "schema not known here: upgrade, then redrive",
    "unknown_agency_key": "the registry has no such key of the agency: refresh, then redrive",
    "evidence_malformed": "header or batch head do not decode",
    "evidence_mismatch": "the evidence is of another event, agency, schema or hub",
    "bad_batch_path": "the header is not in the signed batch",
    "bad_agency_signature": "the agency's signature does not verify",
    "not_released": "a compartment came along whose category the hub did not release",
    "compartment_unopenable": "a compartment does not open with its key",
    "not_disclosed": "a compartment is not under the signed disclosure root",
    "content_malformed": "a compartment does not decode under its schema",
    # a good delivery that the partner's system does not take
    "code_not_translated": "the mapping has no translation for a code",
    "value_unsuitable": "a value does not fit the type the mapping asks for",
    "sink_refused": "the partner's system refused the row (constraint, type, length)",
    "message_too_large": "the partner's topic takes no message of this size",
    "parent_missing": "a row that this one refers to is not there (foreign key): redrive later",
    "recalled": "recalled while in quarantine; the content was removed",
}
"""Every reason code of a quarantine, with what it means (docs/connectors.md lists them)."""


@dataclass(frozen=True, slots=True)
class Recall:
    """What the hub asks to be removed. `items`: (event_ref, categories)."""

    recall_ref: str
    action: str  # delete, restrict, delete_or_restrict
    due: datetime
    items: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(slots=True)
class Arrived:
    """One delivery, verified and opened; nobody changes one.

    kind: "release" or "recall" (then `recall` is set and all about an event is empty).
    case_ref, subject_ref: this recipient's own pseudonyms; the same case, the same text, always.
    agency: who stated it; None when the hub attests it.
    categories: those delivered now; an event may get further ones in a later delivery.
    fields: category → field → value, JSON-ready: dates and times as ISO 8601, None where empty.
    bases: category → basis of the release.
    evidence: that this agency said it, as it is kept (connectors/opening/evidence.py), with a proof
        for each category; verified when it stands here. None when the hub attests it.
    decision: position of the hub's decision in its log; quote it when asking "why".
    raw: the Delivery as received, for the quarantine.
    """

    sequence: int
    kind: str
    case_ref: str
    subject_ref: str
    decision: int
    event_ref: str = ""
    event_type: str = ""
    schema_id: bytes = b""
    agency: str | None = None
    occurred_at: datetime | None = None
    categories: tuple[str, ...] = ()
    fields: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    bases: Mapping[str, str] = field(default_factory=dict)
    evidence: bytes | None = None
    recall: Recall | None = None
    raw: bytes = b""

    @property
    def values(self) -> dict[str, Any]:
        """All delivered fields in one dict."""
        return {name: value for part in self.fields.values() for name, value in part.items()}


@dataclass(frozen=True, slots=True)
class Poison:
    """A delivery that goes to quarantine. `event_ref` as far as it could be read."""

    sequence: int
    reason: str
    detail: str = ""
    raw: bytes = b""
    event_ref: str = ""


@dataclass(frozen=True, slots=True)
class BadMessage:
    """A message that is not the hub's, or not to us: kept apart, moves no sequence."""

    reason: str
    raw: bytes
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Opened:
    """A message of the hub: one item per sequence from `first` to `last`."""

    first: int
    last: int
    items: tuple[Arrived | Poison, ...]
