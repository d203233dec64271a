"""Opening: verify a message of the hub, open its box, verify and read every delivery in it.

Numbered steps; each names the reason codes it can end with (`connectors/delivery.py`).

    message   1 framing, addressed to us    2 signature of the pinned hub
    box       3 opens with a key of ours    4 holds exactly the sequences it announces
    delivery  5 decodes, complete           6 the agency's evidence stands, when there is any
              7 compartments: released, open, under the signed root
              8 content decodes under the schema the header names

Here are the steps of a message and its box; those of a delivery are in
`connectors/opening/deliveries.py`.

Pure but for the registry, which may be asked to fetch a newer one when a key is not known.
What is not the hub's raises `NotOurs`; everything after step 2 ends in `Arrived` or `Poison`.

What the pinned hub signed, or an agency signed and the hub admitted, was held to be the one proper
encoding by the hub already: here it must decode with nothing left over, and is not encoded again
to compare. What comes back from the quarantine lay in a partner's database: it is read strictly.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from connectors.agency.enrolment import HubKey
from connectors.agency.identity import AgencyIdentity
from connectors.agency.registry_cache import RegistryCache
from connectors.delivery import Arrived, BadMessage, Opened, Poison
from connectors.opening.deliveries import Deliveries
from connectors.opening.stated import Statements
from connectors.opening.unreadable import Unreadable
from hub.crypto import signing
from hub.crypto.sealing import SealError
from schemas import wire
from schemas.avro import AvroError
from schemas.registry import Schemas


class NotOurs(Exception):
    """The message is not the pinned hub's, or not to us."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def deliveries_info(hub: str, recipient: str, first: int, last: int) -> bytes:
    """What the box is bound to and the hub's signature begins with."""
    return f"nrm.deliveries.v1\n{hub}\n{recipient}\n{first}\n{last}".encode()


class Opener:
    """Opens messages for one identity. Not for use by several threads at once."""

    def __init__(
        self,
        identity: AgencyIdentity,
        registry: RegistryCache,
        schemas: Schemas | None = None,
        *,
        refresh: Callable[[], bool] = lambda: False,
    ) -> None:
        """refresh: fetches a newer registry into `registry`; True if there was one. What it
        raises goes through: that the hub is away says nothing about a key."""
        self._identity = identity
        self._hub = identity.hub
        self._sealing = identity.sealing_keys
        self._registry = registry
        self._refresh = refresh
        self._deliveries = Deliveries(
            Statements(self._hub.hub, registry, refresh), schemas or Schemas.load()
        )

    def open(self, raw: bytes, expected: int | None = None) -> Opened | BadMessage:
        """Never raises on what was sent; RetryError when the registry is needed and away.

        expected: a message that does not hold this sequence is verified but not opened: it has
        no items.
        """
        try:
            message, hub_key = self._authentic(raw)
        except NotOurs as wrong:
            return BadMessage(wrong.reason, raw)
        first, last = message["first_sequence"], message["last_sequence"]
        if expected is not None and not first <= expected <= last:
            return Opened(first, last, ())
        try:
            deliveries = self._unboxed(message)
        except Unreadable as wrong:
            # The hub did send these: each sequence is answered as quarantined. The first keeps
            # the message, so that a redrive can open all of it once the key is back.
            items = [
                Poison(sequence, wrong.reason, wrong.detail, raw if sequence == first else b"")
                for sequence in range(first, last + 1)
            ]
            return Opened(first, last, tuple(items))
        return Opened(first, last, tuple(self._deliveries.read(first, deliveries, hub_key)))

    def reopen(self, raw: bytes, sequence: int) -> list[Arrived | Poison]:
        """What a quarantine row holds, tried again: a delivery, or a message that did not open."""
        if raw.startswith(wire.SEALED_DELIVERIES.prefix):
            opened = self.open(raw)
            if isinstance(opened, BadMessage):
                return [Poison(sequence, opened.reason, raw=raw)]
            return list(opened.items)
        return self._deliveries.read(sequence, [raw], None)

    def _authentic(self, raw: bytes) -> tuple[dict[str, Any], HubKey]:
        # (1) Framing, addressed to us.
        try:
            message: dict[str, Any] = wire.SEALED_DELIVERIES.unsingle(raw)
        except AvroError:
            raise NotOurs("message_malformed") from None
        if message["hub"] != self._hub.hub:
            raise NotOurs("wrong_hub")
        if message["recipient"] != self._hub.recipient:
            raise NotOurs("wrong_recipient")
        first, last = message["first_sequence"], message["last_sequence"]
        if not 1 <= first <= last:
            raise NotOurs("message_malformed")
        # (2) Signature of the pinned hub, over what the box is bound to and the box itself.
        key = self._registry.hub_key(message["signing_key_id"])
        if key is None and self._refresh():
            key = self._registry.hub_key(message["signing_key_id"])
        if key is None:
            raise NotOurs("unknown_hub_key")
        info = deliveries_info(message["hub"], message["recipient"], first, last)
        try:
            signing.verify(
                key.public,
                signing.DELIVERIES,
                info + b"\n" + sha256(message["box"]).digest(),
                message["signature"],
            )
        except signing.SignatureError:
            raise NotOurs("bad_hub_signature") from None
        return message, key

    def _unboxed(self, message: dict[str, Any]) -> list[bytes]:
        # (3) The box opens with a key of ours; a key retired or restored meanwhile is found.
        key_id = message["sealing_key_id"]
        if key_id not in self._sealing:
            self._sealing = self._identity.sealing_keys
        key = self._sealing.get(key_id)
        if key is None:
            raise Unreadable("unknown_sealing_key", f"key id {key_id.hex()}")
        first, last = message["first_sequence"], message["last_sequence"]
        info = deliveries_info(message["hub"], message["recipient"], first, last)
        try:
            plain = key.open(message["box"], info)
        except SealError:
            raise Unreadable("box_unopenable") from None
        # (4) It holds exactly the sequences it announces.
        try:
            batch = wire.DELIVERY_BATCH.unsingle(plain, trusted=True)
        except AvroError:
            raise Unreadable("batch_malformed") from None
        deliveries: list[bytes] = batch["deliveries"]
        if len(deliveries) != last - first + 1:
            raise Unreadable("batch_incomplete", f"{len(deliveries)} deliveries")
        return deliveries
