"""Admission: may this batch of events be recorded?

Numbered steps, the same in code, in `docs/admission.md` and in `tests/submission/`:

    1  size      within the limits, before anything is decoded
    2  framing   addressed to this hub, opens with the ingest key, decodes strictly
    3  signature one Ed25519 signature over the batch tree, under a key valid at this position
    4  commitments  each header's disclosure root covers exactly its compartments
    5  content   every compartment decodes under the event's schema, nothing left over
    6  role      the agency's role may emit this type
    7  state and law  guards and the case's state (asked by `hub/exchange.py`, in log order)

Steps 1 to 3 refuse a whole message, 4 to 7 one event. Pure: what the answer depends on is passed
in. Nothing that was signed is ever encoded again; the bytes that arrived are the bytes kept.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from hub.crypto import signing
from hub.crypto.disclosure import Disclosure, DisclosureError, commit
from hub.crypto.sealing import SealError, SealingKey
from hub.domain.facts import facts_of
from hub.errors import Refused
from hub.membership.agencies import Agencies, Agency
from hub.tlog import merkle
from schemas import wire
from schemas.avro import AvroError
from schemas.registry import EventSchema, Routing, SchemaError, Schemas

MAX_MESSAGE = 8 * 1024 * 1024  # also the largest message a topic takes
MAX_EVENTS = 2_000
MAX_COMPARTMENTS = 64
MAX_LEAVES = 256
MAX_EVENT = 256 * 1024
FUTURE = timedelta(hours=24)  # a sender's clock may be wrong by its time zone, not by more


def revoked() -> Refused:
    """(3) What is said where a key is not valid; asked at admission and where it is recorded."""
    return Refused(3, "revoked_key", "this signing key is no longer valid; rotate")


@dataclass(frozen=True, slots=True)
class AdmittedEvent:
    """One event that passed steps 1 to 6. Bytes are as signed."""

    agency: str
    role: str
    event_id: bytes
    event_type: str
    schema_id: bytes
    digest: bytes
    occurred_at: datetime
    header: bytes
    head: bytes
    signature: bytes
    index: int
    path: tuple[bytes, ...]
    leaves: tuple[bytes, ...]
    compartments: tuple[tuple[str, int, bytes, bytes], ...]  # name, leaf index, salt, body
    categories: tuple[str, ...]
    routing: Routing
    facts: Mapping[str, Any]
    personal: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RefusedEvent:
    """What admission refuses. event_id is None while no header could be trusted."""

    agency: str
    event_id: bytes | None
    digest: bytes
    refusal: Refused


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer for one message: events in their order, refused ones in place.

    key_id: the key that signed; None for a message refused as a whole. It was valid at the
    position admission was asked about, and is asked again where the message is recorded.
    """

    digest: bytes
    sender: str
    events: tuple[AdmittedEvent | RefusedEvent, ...]
    key_id: bytes | None = None

    def refused(self, refusal: Refused) -> Admission:
        """The same message, refused as a whole."""
        return Admission(
            self.digest, self.sender, (RefusedEvent(self.sender, None, self.digest, refusal),)
        )


class Gate:
    """Admits messages for one hub. Holds no state of its own beyond keys and schemas."""

    def __init__(self, hub_id: str, ingest_keys: Sequence[SealingKey], schemas: Schemas) -> None:
        self._hub_id = hub_id
        self._ingest = {key.key_id: key for key in ingest_keys}
        self._info = b"nrm.submission.v1\n" + hub_id.encode()
        self._schemas = schemas

    def admit(self, raw: bytes, agencies: Agencies, position: int, now: datetime) -> Admission:
        """Steps 1 to 6. Never raises on what was sent: every failure is a RefusedEvent.

        position: the log position the batch would be recorded after; keys must be valid there.
        """
        digest = hashlib.sha256(raw).digest()
        sender = ""
        try:
            sender, submission = self._open(raw)
            agency, tree, key_id = self._signed(submission, sender, agencies, position)
        except Refused as refusal:
            return Admission(digest, sender, (RefusedEvent(sender, None, digest, refusal),))
        head, signature = submission["head"], submission["signature"]
        events = tuple(
            self._event(agency, head, signature, tree, index, event, now)
            for index, event in enumerate(submission["events"])
        )
        return Admission(digest, agency.agency, events, key_id)

    def _open(self, raw: bytes) -> tuple[str, dict[str, Any]]:
        # (1) Size, before anything is decoded.
        if len(raw) > MAX_MESSAGE:
            raise Refused(1, "too_large", f"send batches of at most {MAX_MESSAGE} bytes")
        # (2) Framing: ours, opens, decodes with nothing left over.
        try:
            sealed = wire.SEALED_SUBMISSION.unsingle(raw)
        except AvroError:
            raise Refused(2, "malformed", "the message is not a SealedSubmission") from None
        if sealed["audience"] != self._hub_id:
            raise Refused(2, "wrong_audience", f"this hub is {self._hub_id}; seal for it")
        key = self._ingest.get(sealed["ingest_key_id"])
        if key is None:
            raise Refused(2, "unknown_ingest_key", "fetch the hub's current ingest key")
        try:
            opened = key.open(sealed["box"], self._info)
        except SealError:
            raise Refused(
                2, "cannot_open", "the box does not open: damaged, or sealed for another"
            ) from None
        try:
            submission: dict[str, Any] = wire.SUBMISSION.unsingle(opened)
        except AvroError:
            raise Refused(2, "malformed", "the box does not hold a Submission") from None
        if not 1 <= len(submission["events"]) <= MAX_EVENTS:
            raise Refused(1, "too_many_events", f"send 1 to {MAX_EVENTS} events in a batch")
        return sealed["sender_hint"], submission

    def _signed(
        self, submission: dict[str, Any], sender: str, agencies: Agencies, position: int
    ) -> tuple[Agency, merkle.Tree, bytes]:
        # (3) One signature covers all headers; the key is valid at this position.
        try:
            head = wire.BATCH_HEAD.unsingle(submission["head"])
        except AvroError:
            raise Refused(3, "malformed_head", "the batch head does not decode") from None
        agency = agencies.get(head["agency"])
        if agency is None or head["agency"] != sender:
            raise Refused(3, "unknown_agency", "the signing agency is not enrolled here")
        if head["audience"] != self._hub_id:
            raise Refused(3, "wrong_audience", "the batch was signed for another hub")
        key = agency.keys.get(head["key_id"])
        if key is None:
            raise Refused(3, "unknown_key", "enrol this signing key first")
        if not key.valid_at(position + 1):
            raise revoked()
        tree = merkle.Tree([merkle.leaf_hash(e["header"]) for e in submission["events"]])
        if head["size"] != len(submission["events"]) or head["root"] != tree.root:
            raise Refused(3, "batch_mismatch", "the signed batch tree is not over these headers")
        try:
            signing.verify(key.public, signing.BATCH, submission["head"], submission["signature"])
        except signing.SignatureError:
            raise Refused(3, "bad_signature", "the batch signature does not verify") from None
        return agency, tree, key.key_id

    def _event(
        self,
        agency: Agency,
        head: bytes,
        signature: bytes,
        tree: merkle.Tree,
        index: int,
        event: dict[str, Any],
        now: datetime,
    ) -> AdmittedEvent | RefusedEvent:
        header_bytes: bytes = event["header"]
        digest = hashlib.sha256(header_bytes).digest()
        event_id: bytes | None = None
        try:
            header = self._header(event)
            event_id = header["event_id"]
            self._stated_properly(header, agency, now)
            disclosure, positions = self._commitments(header, event)
            schema, data, routing, categories = self._content(header, event)
            # (6) The role may emit this type.
            if agency.role not in schema.emitters and "any_authorised" not in schema.emitters:
                raise Refused(
                    6, "role_may_not_emit", f"{schema.type} is not for role {agency.role}"
                )
            facts, personal = facts_of(schema.type, data, header["occurred_at"].date())
        except Refused as refusal:
            return RefusedEvent(agency.agency, event_id, digest, refusal)
        return AdmittedEvent(
            agency=agency.agency,
            role=agency.role,
            event_id=header["event_id"],
            event_type=schema.type,
            schema_id=header["schema"],
            digest=digest,
            occurred_at=header["occurred_at"],
            header=header_bytes,
            head=head,
            signature=signature,
            index=index,
            path=tuple(tree.path(index)),
            leaves=disclosure.leaves,
            compartments=positions,
            categories=categories,
            routing=routing,
            facts=facts,
            personal=personal,
        )

    @staticmethod
    def _header(event: dict[str, Any]) -> dict[str, Any]:
        # (4) The header decodes; from here on the refusal can name the event.
        try:
            header: dict[str, Any] = wire.HEADER.unsingle(event["header"])
        except AvroError:
            raise Refused(4, "malformed_header", "the header does not decode") from None
        return header

    @staticmethod
    def _stated_properly(header: dict[str, Any], agency: Agency, now: datetime) -> None:
        # (4) By its signer, at a time that can be.
        if header["agency"] != agency.agency:
            raise Refused(4, "wrong_agency", "the header names another agency than the signer")
        if header["occurred_at"] > now + FUTURE:
            raise Refused(4, "occurred_in_future", "occurred_at is over a day ahead of the hub")
        if header["occurred_at"].year < 1990:
            raise Refused(4, "occurred_too_early", "occurred_at is before 1990: check the clock")

    def _commitments(
        self, header: dict[str, Any], event: dict[str, Any]
    ) -> tuple[Disclosure, tuple[tuple[str, int, bytes, bytes], ...]]:
        # (4) The disclosure root covers exactly these compartments and this padding.
        listed = event["compartments"]
        size = len(event["header"]) + sum(len(c["body"]) for c in listed)
        if len(listed) > MAX_COMPARTMENTS or size > MAX_EVENT:
            raise Refused(4, "event_too_large", f"one event may hold {MAX_EVENT} bytes")
        if len(listed) + len(event["padding"]) > MAX_LEAVES:
            raise Refused(4, "event_too_large", f"at most {MAX_LEAVES} leaves per event")
        if len({c["name"] for c in listed}) != len(listed):
            raise Refused(4, "duplicate_compartment", "each compartment may stand once")
        try:
            commitments = [commit(c["name"], c["salt"], c["body"]) for c in listed]
            disclosure = Disclosure(commitments, event["padding"])
        except DisclosureError:
            raise Refused(4, "bad_padding", "pad the disclosure tree to a power of two") from None
        if disclosure.root != header["disclosure_root"]:
            raise Refused(4, "commitment_mismatch", "compartments do not match the signed root")
        return disclosure, tuple(
            (c["name"], disclosure.index(commitment), c["salt"], c["body"])
            for c, commitment in zip(listed, commitments, strict=True)
        )

    def _content(
        self, header: dict[str, Any], event: dict[str, Any]
    ) -> tuple[EventSchema, dict[str, Any], Routing, tuple[str, ...]]:
        # (5) Every compartment decodes under the event's schema, nothing left over.
        schema = self._schemas.by_id(header["schema"])
        if schema is None:
            raise Refused(5, "unknown_schema", "this schema is not registered with the hub")
        if schema.type != header["event_type"]:
            raise Refused(5, "wrong_schema", "the schema is not that of the event type")
        bodies = {c["name"]: c["body"] for c in event["compartments"]}
        try:
            data = schema.join(bodies, whole=True)
            routing = schema.routing(bodies)
        except (AvroError, SchemaError, KeyError) as wrong:
            raise Refused(5, "wrong_content", f"{schema.type}: {_safe(wrong)}") from None
        named = {name.partition("/")[0] for name in bodies} - {"routing"}
        return schema, data, routing, tuple(sorted(named))


def _safe(wrong: Exception) -> str:
    """Only our own errors speak, and they hold no values."""
    return str(wrong) if isinstance(wrong, AvroError | SchemaError) else "a compartment is missing"
