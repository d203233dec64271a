"""Step 6 of opening: that an agency said it.

    signature  of the agency, with a key that was valid when the hub recorded the event
      head     of the batch: agency, hub, size and root
        header of the event: id, type, schema, agency, time, disclosure root; in the batch by path

One signature is verified for a whole batch, and again once the registry has changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from connectors.agency.enrolment import HubKey
from connectors.agency.registry_cache import RegistryCache
from connectors.opening.unreadable import Unreadable
from hub.crypto import signing
from hub.tlog import merkle
from schemas import wire
from schemas.avro import AvroError

_KNOWN_BATCHES = 1024


@dataclass(frozen=True, slots=True)
class _Head:
    """A batch head whose signature stands. told: its fields. key: of the agency that signed it."""

    told: dict[str, Any]
    key: HubKey
    leaves: merkle.Leaves


class Statements:
    """Verifies statements of agencies to one hub. Not for use by several threads at once."""

    def __init__(self, hub: str, registry: RegistryCache, refresh: Callable[[], bool]) -> None:
        """refresh: as an opener's; asked for when an agency's key is not known."""
        self._hub = hub
        self._registry = registry
        self._refresh = refresh
        self._standing: dict[tuple[bytes, bytes], _Head] = {}
        self._position = registry.position

    def header(
        self,
        delivery: dict[str, Any],
        given: dict[str, Any],
        signed: bool,
    ) -> dict[str, Any]:
        """The header this delivery is about; Unreadable if its agency did not say it.

        given: the evidence as it came along. signed: the hub signed the delivery."""
        try:
            header: dict[str, Any] = wire.HEADER.unsingle(given["header"], trusted=signed)
        except AvroError:
            raise Unreadable("evidence_malformed") from None
        head = self._standing_head(given["head"], given["signature"], delivery)
        leaf = merkle.leaf_hash(given["header"])
        if not head.leaves.verify(leaf, given["index"], given["path"]):
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
            head.told["agency"],
            delivery["occurred_at"],
        )
        if told != expected:
            raise Unreadable("evidence_mismatch")
        return header

    def _standing_head(self, raw: bytes, signature: bytes, delivery: dict[str, Any]) -> _Head:
        """A batch head whose signature stands. One verification serves its whole batch."""
        if self._registry.position != self._position:  # a key may have been revoked since
            self._standing.clear()
            self._position = self._registry.position
        known = self._standing.get((raw, signature))
        if known is not None:
            return _signed_in_time(known, delivery)
        try:
            head: dict[str, Any] = wire.BATCH_HEAD.unsingle(raw)
        except AvroError:
            raise Unreadable("evidence_malformed") from None
        if head["audience"] != self._hub:
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
        standing = _Head(head, key, merkle.Leaves(head["size"], head["root"]))
        self._standing[raw, signature] = standing
        return _signed_in_time(standing, delivery)


def evidence_in(delivery: dict[str, Any], signed: bool) -> dict[str, Any] | None:
    """The evidence that came along; None where the hub attests alone."""
    if delivery["evidence"] is None:
        return None
    try:
        given: dict[str, Any] = wire.AGENCY_EVIDENCE.unsingle(delivery["evidence"], trusted=signed)
    except AvroError:
        raise Unreadable("evidence_malformed") from None
    return given


def valid_at(key: HubKey, position: int) -> bool:
    """Whether the key was valid at this change of the register."""
    return key.valid_from <= position and (key.valid_to is None or position < key.valid_to)


def _signed_in_time(head: _Head, delivery: dict[str, Any]) -> _Head:
    """The head, if its key was valid when the event was recorded, by change of the register."""
    if not valid_at(head.key, delivery["recorded"]):
        raise Unreadable("unknown_agency_key", f"{head.told['agency']}: not valid when recorded")
    return head


def _text(event_id: bytes) -> str:
    """A UUID's 16 bytes as text."""
    h = event_id.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
