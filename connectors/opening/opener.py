"""Opening: verify a message of the hub, open its box, verify and read every delivery in it.

Numbered steps; each names the reason codes it can end with (`connectors/delivery.py`).

    message   1 framing, addressed to us    2 signature of the pinned hub
    box       3 opens with a key of ours    4 holds exactly the sequences it announces
    delivery  5 decodes, complete           6 the agency's evidence stands, when there is any
              7 compartments: released, open, under the signed root
              8 content decodes under the schema the header names

Pure but for the registry, which may be asked to fetch a newer one when a key is not known.
What is not the hub's raises `NotOurs`; everything after step 2 ends in `Arrived` or `Poison`.

What the pinned hub signed, or an agency signed and the hub admitted, was held to be the one proper
encoding by the hub already: here it must decode with nothing left over, and is not encoded again
to compare. What comes back from the quarantine lay in a partner's database: it is read strictly.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256
from struct import Struct
from typing import Any

from connectors.agency.enrolment import HubKey
from connectors.agency.identity import AgencyIdentity
from connectors.agency.registry_cache import RegistryCache
from connectors.delivery import Arrived, BadMessage, Disclosed, Evidence, Opened, Poison, Recall
from hub.crypto import signing
from hub.crypto.compartment import ATTESTED_ID, CompartmentError, open_compartment
from hub.crypto.disclosure import verify_disclosed
from hub.crypto.sealing import SealError
from hub.tlog import merkle
from schemas import wire
from schemas.avro import AvroError
from schemas.registry import EventSchema, SchemaError, Schemas

_INHERIT = "inherit"
_KNOWN_BATCHES = 1024
_CUTS = {32 * hashes: Struct("32s" * hashes).unpack for hashes in range(17)}


class NotOurs(Exception):
    """The message is not the pinned hub's, or not to us."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unreadable(Exception):
    """One delivery, or the box of a message, cannot be trusted or read."""

    def __init__(self, reason: str, detail: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


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
        self._standing: dict[tuple[bytes, bytes], tuple[dict[str, Any], HubKey]] = {}

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
            if hub_key is not None and not _valid_at(hub_key, delivery["decision"]):
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
        given = _evidence_in(delivery, signed)
        header = None
        path: tuple[bytes, ...] = ()
        if given is not None:
            path = _hashes(given["path"])
            header = self._evidence(delivery, given, path, signed)
        bases = {entry["category"]: entry["basis"] for entry in delivery["bases"]}
        disclosed = self._compartments(delivery, header, bases, signed)
        evidence = None
        if given is not None:
            evidence = Evidence(
                given["header"], given["head"], given["signature"], given["index"], path, disclosed
            )
        # Content that stands under an agency's signed root was read strictly at admission.
        bodies = {part.name: part.body for part in disclosed}
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

    def _evidence(
        self,
        delivery: dict[str, Any],
        given: dict[str, Any],
        path: tuple[bytes, ...],
        signed: bool,
    ) -> dict[str, Any]:
        """(6) This agency said it: returns the header, or Unreadable."""
        try:
            header: dict[str, Any] = wire.HEADER.unsingle(given["header"], trusted=signed)
        except AvroError:
            raise Unreadable("evidence_malformed") from None
        head = self._standing_head(given["head"], given["signature"], delivery)
        if not merkle.verify_inclusion(
            merkle.leaf_hash(given["header"]),
            given["index"],
            head["size"],
            path,
            head["root"],
        ):
            raise Unreadable("bad_batch_path")
        told = (
            _text(header["event_id"]),
            header["event_type"],
            header["schema"],
            header["agency"],
            header["agency"],
            header["occurred_at"],
        )
        expected = (
            delivery["event_ref"],
            delivery["event_type"],
            delivery["schema"],
            delivery["agency"],
            head["agency"],
            delivery["occurred_at"],
        )
        if told != expected:
            raise Unreadable("evidence_mismatch")
        return header

    def _standing_head(
        self, raw: bytes, signature: bytes, delivery: dict[str, Any]
    ) -> dict[str, Any]:
        """A batch head whose signature stands. One verification serves its whole batch."""
        known = self._standing.get((raw, signature))
        if known is not None:
            return _signed_in_time(*known, delivery)
        try:
            head: dict[str, Any] = wire.BATCH_HEAD.unsingle(raw)
        except AvroError:
            raise Unreadable("evidence_malformed") from None
        if head["audience"] != self._hub.hub:
            raise Unreadable("evidence_mismatch", "stated to another hub")
        key = self._registry.signing_key(head["agency"], head["key_id"])
        if key is None and self._refresh():
            key = self._registry.signing_key(head["agency"], head["key_id"])
        if key is None:
            raise Unreadable("unknown_agency_key", f"{head['agency']} {head['key_id'].hex()}")
        try:
            signing.verify(key.public, signing.BATCH, raw, signature)
        except signing.SignatureError:
            raise Unreadable("bad_agency_signature") from None
        if len(self._standing) >= _KNOWN_BATCHES:
            self._standing.clear()
        self._standing[raw, signature] = head, key
        return _signed_in_time(head, key, delivery)

    @staticmethod
    def _compartments(
        delivery: dict[str, Any],
        header: dict[str, Any] | None,
        bases: dict[str, str],
        signed: bool,
    ) -> tuple[Disclosed, ...]:
        """(7) Released, open, and under the signed root."""
        event_id = ATTESTED_ID if header is None else header["event_id"]
        opened: list[Disclosed] = []
        seen: set[str] = set()
        for encoded in delivery["compartments"]:
            try:
                part = wire.DELIVERED_COMPARTMENT.unsingle(encoded, trusted=signed)
            except AvroError:
                raise Unreadable("delivery_malformed") from None
            name = part["name"]
            if _category(name) not in bases or name in seen:
                raise Unreadable("not_released")
            seen.add(name)
            try:
                salt, body = open_compartment(
                    part["key"],
                    part["ciphertext"],
                    event_id=event_id,
                    name=name,
                    schema_id=delivery["schema"],
                )
            except (CompartmentError, ValueError):
                raise Unreadable("compartment_unopenable") from None
            path = _hashes(part["path"])
            if header is not None and not verify_disclosed(
                header["disclosure_root"], name, salt, body, part["index"], path
            ):
                raise Unreadable("not_disclosed")
            opened.append(Disclosed(name, salt, body, part["index"], path))
        return tuple(opened)


def content(
    schema: EventSchema, bodies: Mapping[str, bytes], *, trusted: bool
) -> dict[str, dict[str, Any]]:
    """(8) Values by category, of compartment bodies by name: every field of a delivered category,
    None where it is empty. AvroError, SchemaError or ValueError if a body does not decode."""
    if not bodies:  # the person was erased on the way: there is nothing left to read
        return {}
    if trusted and (told := schema.plain(bodies)) is not None:
        return told
    values = schema.join(bodies, trusted=trusted)
    categories = {_category(name) for name in bodies}
    inherited = categories.difference(schema.categories, (_INHERIT,))
    found: dict[str, dict[str, Any]] = {category: {} for category in sorted(categories)}
    for known in schema.fields:
        category = known.category
        if category == _INHERIT:
            # The value has the corrected field's category: its own compartment if there is one.
            category = next(iter(inherited), "") or next(
                (c for c in sorted(categories) if known.name in values), ""
            )
        if category in found:
            value = values.get(known.name)
            if value is None and known.copies:
                value = values.get(known.copies)
            found[category][known.name] = value
    return found


def _signed_in_time(head: dict[str, Any], key: HubKey, delivery: dict[str, Any]) -> dict[str, Any]:
    """The head, if its key was valid when the event was recorded, by change of the register."""
    if not _valid_at(key, delivery["recorded"]):
        raise Unreadable("unknown_agency_key", f"{head['agency']}: not valid when recorded")
    return head


def _valid_at(key: HubKey, position: int) -> bool:
    return key.valid_from <= position and (key.valid_to is None or position < key.valid_to)


def _evidence_in(delivery: dict[str, Any], signed: bool) -> dict[str, Any] | None:
    if delivery["evidence"] is None:
        return None
    try:
        given: dict[str, Any] = wire.AGENCY_EVIDENCE.unsingle(delivery["evidence"], trusted=signed)
    except AvroError:
        raise Unreadable("evidence_malformed") from None
    return given


def _hashes(path: bytes) -> tuple[bytes, ...]:
    """A path as it travels, cut into its hashes; what is left over makes it no path."""
    cut = _CUTS.get(len(path))
    return cut(path) if cut else tuple(path[at : at + 32] for at in range(0, len(path), 32))


def _text(event_id: bytes) -> str:
    """A UUID's 16 bytes as text."""
    h = event_id.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def _category(name: str) -> str:
    return name.partition("/")[0]
