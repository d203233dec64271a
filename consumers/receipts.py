"""Receipts: what partners say became of their deliveries, verified and recorded.

The last stop on the road. A receipt is the partner's own signed statement, made after its own
commit; the hub records it as it was signed (it is a leaf of the audit log) and keeps per partner
the highest sequence up to which everything is answered. Receipts may come twice or out of order;
recording one again changes nothing. Behind what is acknowledged the partner's topic is trimmed.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from hub import crash
from hub.crypto import signing
from hub.errors import Inconsistent
from hub.exchange import Exchange
from hub.ingest import topic_follower
from hub.membership.agencies import Agencies
from hub.recording.draft import Draft, delivery_stream, stream_id
from hub.spans import span
from hub.store import events as stored
from hub.store.errors import StoreConflict
from hub.topics.port import Received, Topics
from schemas import wire
from schemas.avro import AvroError

RECEIPTS_TOPIC = "nrm.receipts"
GROUP = 200
TRIM_EVERY = 5.0  # seconds


class ReceiptError(Exception):
    """A receipt that proves nothing: damaged, for another hub, or not signed by its agency."""


@dataclass(frozen=True, slots=True)
class Verified:
    """A receipt whose signature stands."""

    receipt: dict[str, Any]
    body: bytes
    signature: bytes


def verify_receipt(raw: bytes, hub_id: str, agencies: Agencies, position: int) -> Verified:
    """The receipt, or ReceiptError with a stable reason as its text."""
    try:
        signed = wire.SIGNED_RECEIPT.unsingle(raw)
        receipt = wire.RECEIPT.unsingle(signed["receipt"])
    except AvroError:
        raise ReceiptError("malformed") from None
    if receipt["hub"] != hub_id:
        raise ReceiptError("wrong_audience")
    agency = agencies.get(receipt["agency"])
    key = agency.keys.get(receipt["key_id"]) if agency else None
    if key is None:
        raise ReceiptError("unknown_key")
    if not key.valid_at(position + 1):
        raise ReceiptError("revoked_key")
    try:
        signing.verify(key.public, signing.RECEIPT, signed["receipt"], signed["signature"])
    except signing.SignatureError:
        raise ReceiptError("bad_signature") from None
    if not 1 <= receipt["first_sequence"] <= receipt["last_sequence"]:
        raise ReceiptError("bad_range")
    return Verified(receipt, signed["receipt"], signed["signature"])


def receipts_from(topics: Topics) -> tuple[str, int]:
    """Name under which the receipts topic is followed, and its first offset that is still kept."""
    end = topics.end(RECEIPTS_TOPIC)
    kept = topics.read(RECEIPTS_TOPIC, None, 1, 0.0)
    return topic_follower(topics, RECEIPTS_TOPIC), kept[0].offset if kept else end


class Receipts:
    """Records receipts from the receipts topic, and from HTTP through `receive`."""

    def __init__(self, exchange: Exchange, topics: Topics, hub_id: str) -> None:
        self._exchange = exchange
        self._topics = topics
        self._hub_id = hub_id
        self.refused: dict[str, int] = {}
        self._trimmed_at = 0.0

    def check(self) -> None:
        """Raise Inconsistent if receipts were recorded and trimmed that this log does not hold.

        Then the log was put back to an older state than it had.
        """
        follower, first = receipts_from(self._topics)
        if first > self._exchange.log.tracking(follower):
            raise Inconsistent(
                "receipts were recorded that this log does not hold: it was put back to an older"
                " state. Nothing is done on it; read docs/operations-backup.md"
            )

    def step(self, timeout: float = 0.0) -> int:
        """Take what lies on the topic; returns the number of messages taken."""
        follower = topic_follower(self._topics, RECEIPTS_TOPIC)
        offset = self._exchange.log.tracking(follower) or None
        messages = self._topics.read(RECEIPTS_TOPIC, offset, GROUP, timeout)
        if not messages:
            return 0
        with span("nrm.receipts", messages=len(messages)):
            return self._take(messages, follower)

    def _take(self, messages: list[Received], follower: str) -> int:
        self._exchange.catch_up()
        verified = []
        for message in messages:
            try:
                verified.append(self._verify(message.value))
            except ReceiptError as wrong:
                self.refused[str(wrong)] = self.refused.get(str(wrong), 0) + 1
        end = messages[-1].offset + 1
        try:
            self._record(verified, {follower: end})
        except StoreConflict:
            if self._exchange.log.tracking(follower) < end:
                raise
            # else another process recorded them
        crash.point("after_receipts_record")
        if time.monotonic() - self._trimmed_at > TRIM_EVERY:
            self._trimmed_at = time.monotonic()
            self._topics.trim(RECEIPTS_TOPIC, end)
        return len(messages)

    def receive(self, raw: bytes) -> None:
        """One receipt over HTTP. Raises ReceiptError."""
        self._record([self._verify(raw)], {})

    def _verify(self, raw: bytes) -> Verified:
        exchange = self._exchange
        return verify_receipt(raw, self._hub_id, exchange.agencies, exchange.position)

    def _record(self, verified: list[Verified], tracking: dict[str, int]) -> None:
        def work(draft: Draft) -> dict[str, int]:
            acknowledged: dict[str, int] = {}
            followers = self._exchange.log.followers() if verified else {}
            draft.tracking.update(tracking)
            for one in verified:
                agency = one.receipt["agency"]
                known = acknowledged.get(agency, followers.get(f"acknowledged/{agency}", 0))
                first, last = one.receipt["first_sequence"], one.receipt["last_sequence"]
                if last <= known and not one.receipt["exceptions"]:
                    continue  # told before
                if last > self._exchange.last_version(delivery_stream(agency)):
                    if not tracking:
                        raise ReceiptError("never_sent")
                    self.refused["never_sent"] = self.refused.get("never_sent", 0) + 1
                    continue  # a receipt for what was never sent proves nothing
                stream = stream_id("receipts", agency)
                draft.add(
                    stored.Received(
                        originator_id=stream,
                        originator_version=self._exchange.version_of(draft, stream) + 1,
                        timestamp=draft.now,
                        agency=agency,
                        first_sequence=first,
                        last_sequence=last,
                        receipt=one.body,
                        signature=one.signature,
                    )
                )
                if first <= known + 1 and last > known:
                    draft.tracking[f"acknowledged/{agency}"] = acknowledged[agency] = last
            return acknowledged

        self._exchange.commit(work)

    def acknowledged(self, agency: str) -> int:
        """Highest sequence up to which the partner has answered everything."""
        return self._exchange.log.tracking(f"acknowledged/{agency}")
