"""Opening: verify a message of the hub, open its box, verify and read every delivery in it.

Numbered steps; each names the reason codes it can end with (`connectors/delivery.py`).

    message   1 framing, addressed to us    2 signature of the pinned hub
    box       3 opens with a key of ours    4 holds exactly the sequences it announces
    delivery  5 decodes, complete           6 the agency's evidence stands, when there is any
              7 compartments: released, open, under the signed root
              8 content decodes under the schema the header names

Step 6 is `connectors/opening/stated.py`, steps 7 and 8 are `connectors/opening/disclosed.py`.

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
from connectors.delivery import Arrived, BadMessage, Evidence, Opened, Poison, Recall
from connectors.opening.disclosed import content, disclosed
from connectors.opening.stated import Statements, evidence_in, hashes, valid_at
from connectors.opening.unreadable import Unreadable
from hub.crypto import signing
from hub.crypto.sealing import SealError
from schemas import wire
from schemas.avro import AvroError
from schemas.registry import SchemaError, Schemas


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
        self._schemas = schemas or Schemas.load()
        self._refresh = refresh
        self._statements = Statements(self._hub.hub, registry, refresh)

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
        return Opened(
            first,
            last,
            tuple(
                self._item(first + index, delivery, hub_key)
                for index, delivery in enumerate(deliveries)
            ),
        )

    def reopen(self, raw: bytes, sequence: int) -> list[Arrived | Poison]:
        """What a quarantine row holds, tried again: a delivery, or a message that did not open."""
        if raw.startswith(wire.SEALED_DELIVERIES.prefix):
            opened = self.open(raw)
            if isinstance(opened, BadMessage):
                return [Poison(sequence, opened.reason, raw=raw)]
            return list(opened.items)
        return [self._item(sequence, raw, None)]

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

    def _item(self, sequence: int, raw: bytes, hub_key: HubKey | None) -> Arrived | Poison:
        event_ref = ""
        try:
            # (5) Decodes, complete.
            signed = hub_key is not None
            try:
                delivery = wire.DELIVERY.unsingle(raw, trusted=signed)
            except AvroError:
                raise Unreadable("delivery_malformed") from None
            event_ref = delivery["event_ref"] or ""
            if delivery["sequence"] != sequence:
                raise Unreadable("wrong_sequence", f"it says {delivery['sequence']}")
            if hub_key is not None and not valid_at(hub_key, delivery["decision"]):
                raise Unreadable("hub_key_not_valid")
            if delivery["kind"] == "recall":
                return self._recall(delivery, raw)
            return self._release(delivery, raw, signed)
        except Unreadable as wrong:
            return Poison(sequence, wrong.reason, wrong.detail, raw, event_ref)

    @staticmethod
    def _recall(delivery: dict[str, Any], raw: bytes) -> Arrived:
        recall = delivery["recall"]
        if recall is None or delivery["compartments"] or delivery["event_ref"] is not None:
            raise Unreadable("delivery_incomplete", "a recall without its items")
        return Arrived(
            sequence=delivery["sequence"],
            kind="recall",
            case_ref=delivery["case_ref"],
            subject_ref=delivery["subject_ref"],
            decision=delivery["decision"],
            recall=Recall(
                recall["recall_ref"],
                recall["action"],
                recall["due"],
                tuple((i["event_ref"], tuple(i["categories"])) for i in recall["items"]),
            ),
            raw=raw,
        )

    def _release(self, delivery: dict[str, Any], raw: bytes, signed: bool) -> Arrived:
        needed = ("event_ref", "event_type", "schema", "occurred_at")
        if delivery["recall"] is not None or any(delivery[name] is None for name in needed):
            raise Unreadable("delivery_incomplete", "a release without its event")
        if (delivery["evidence"] is None) != (delivery["agency"] is None):
            raise Unreadable("delivery_incomplete", "an agency without evidence, or the reverse")
        schema = self._schemas.by_id(delivery["schema"])
        if schema is None or schema.type != delivery["event_type"]:
            raise Unreadable("unknown_schema", f"{delivery['event_type']}")
        given = evidence_in(delivery, signed)
        header = None
        path: tuple[bytes, ...] = ()
        if given is not None:
            path = hashes(given["path"])
            header = self._statements.header(delivery, given, path, signed)
        bases = {entry["category"]: entry["basis"] for entry in delivery["bases"]}
        parts = disclosed(delivery, header, bases, signed)
        evidence = None
        if given is not None:
            evidence = Evidence(
                given["header"], given["head"], given["signature"], given["index"], path, parts
            )
        # Content that stands under an agency's signed root was read strictly at admission.
        bodies = {part.name: part.body for part in parts}
        try:
            fields = content(schema, bodies, trusted=signed and header is not None)
        except (AvroError, SchemaError, ValueError):
            raise Unreadable("content_malformed") from None
        return Arrived(
            sequence=delivery["sequence"],
            kind="release",
            case_ref=delivery["case_ref"],
            subject_ref=delivery["subject_ref"],
            decision=delivery["decision"],
            event_ref=delivery["event_ref"],
            event_type=delivery["event_type"],
            schema_id=delivery["schema"],
            agency=delivery["agency"],
            occurred_at=delivery["occurred_at"],
            categories=tuple(fields),
            fields=fields,
            bases=bases,
            evidence=evidence,
            raw=raw,
        )
