"""Sealed: deliveries as their recipient opens them, in as few messages as topics take.

One HPKE box and one signature per recipient and batch; its size is padded, so that it tells little
of what is inside. Only compartments that were sealed at admission leave here, by choice, never
re-encoded (`parts.py`). Where the policy says hub-attested, the same bytes are sealed afresh and
everything is called by a name for this recipient alone, so that nothing (ciphertext, event id,
signature, time) can be matched between two recipients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any
from uuid import UUID

import orjson

from hub.crypto import signing
from hub.crypto.pseudonyms import Pseudonyms
from hub.crypto.sealing import padme, seal, sealing_key_id
from hub.crypto.signing import SigningKey
from hub.exchange import Exchange
from hub.recalling.recalled import Item, left_of
from hub.release import CONSENT
from hub.sending.parts import Parts, PartsCache, released, what
from hub.store import events as stored
from hub.topics.port import Message
from schemas import wire

SEND_BYTES = 4 * 1024 * 1024  # of deliveries in one message
KEPT_NAMES = 50_000  # pseudonyms of recipients' cases kept in memory

_NOTHING_STATED = wire.DELIVERY_ABOUT.encode(
    {
        "recorded": 0,
        "event_ref": None,
        "event_type": None,
        "schema": None,
        "agency": None,
        "occurred_at": None,
        "evidence": None,
    }
)
NOTHING_RELEASED = what((), {})


def told_basis(names: Pseudonyms, agency: str, case_id: UUID, basis: str) -> str:
    """A basis as a hub-attested recipient is told it: a consent's id is the same at everybody."""
    if not basis.startswith(CONSENT):
        return basis
    return CONSENT + names.consent(agency, case_id, basis.removeprefix(CONSENT))


class Sealed:
    """What one hub has marked, sealed under its key. Any thread."""

    def __init__(self, exchange: Exchange, parts: PartsCache, hub_id: str, key: SigningKey) -> None:
        self._exchange = exchange
        self._parts = parts
        self._hub_id = hub_id
        self._key = key
        self._named: dict[tuple[str, bytes, bytes], tuple[str, str]] = {}

    def messages(
        self,
        agency: str,
        sealing_public: bytes,
        batch: Sequence[stored.Sending],
        recalled: Mapping[Item, int],
    ) -> list[Message]:
        """The batch sealed, in as few messages as topics take."""
        attested = self._attested(agency)
        encoded = [self._delivery(agency, attested, one, recalled) for one in batch]
        messages = []
        start = 0
        while start < len(batch):
            end, size = start, 0
            while end < len(batch) and (end == start or size + len(encoded[end]) <= SEND_BYTES):
                size += len(encoded[end])
                end += 1
            part = slice(start, end)
            messages.append(self._message(agency, sealing_public, batch[part], encoded[part]))
            start = end
        return messages

    def _message(
        self,
        agency: str,
        sealing_public: bytes,
        batch: Sequence[stored.Sending],
        encoded: Sequence[bytes],
    ) -> Message:
        recipient = self._exchange.pseudonyms.recipient_ref(agency)
        first, last = batch[0].originator_version, batch[-1].originator_version
        info = f"nrm.deliveries.v1\n{self._hub_id}\n{recipient}\n{first}\n{last}".encode()
        size = sum(len(one) + 4 for one in encoded)
        plain = wire.DELIVERY_BATCH.single(
            {"deliveries": list(encoded), "padding": bytes(padme(size) - size)}
        )
        box = seal(sealing_public, info, plain)
        value = wire.SEALED_DELIVERIES.single(
            {
                "hub": self._hub_id,
                "recipient": recipient,
                "first_sequence": first,
                "last_sequence": last,
                "sealing_key_id": sealing_key_id(sealing_public),
                "signing_key_id": self._key.key_id,
                "box": box,
                "signature": self._key.sign(
                    signing.DELIVERIES, info + b"\n" + sha256(box).digest()
                ),
            }
        )
        return Message(value)

    def _delivery(
        self,
        agency: str,
        attested: bool,
        sending: stored.Sending,
        recalled: Mapping[Item, int],
    ) -> bytes:
        """One Delivery, single-object encoded, put together from its three parts."""
        case_ref, subject_ref = self._refs(agency, sending.case_id, sending.subject_id)
        # By change of the register: a log position would count what was recorded about others.
        change_at = self._exchange.agencies.change_at
        decision = 0 if attested else change_at(sending.decision)
        to = wire.DELIVERY_TO.encode(
            {
                "sequence": sending.originator_version,
                "kind": sending.kind,
                "case_ref": case_ref,
                "subject_ref": subject_ref,
                "decision": decision,
            }
        )
        body = orjson.loads(sending.items)
        if sending.kind == "recall":
            about, end = _NOTHING_STATED, self._recall(agency, attested, sending, body)
        else:
            parts = self._parts.of(sending.event_position)
            if attested:
                about = parts.about_attested(self._event_ref(agency, attested, parts.event_id))
            else:
                about = parts.about(change_at(sending.event_position))
            bases = body["bases"]
            if recalled:
                bases = left_of(bases, parts.event_id, sending.originator_version, recalled)
            if parts.secret is None:  # the person was erased after marking
                end = NOTHING_RELEASED
            elif attested:
                end = self._attest(agency, UUID(bytes=sending.case_id), parts, bases)
            else:
                end = parts.told(bases, agency)
        return b"".join((wire.DELIVERY.prefix, to, about, end))

    def _recall(
        self, agency: str, attested: bool, sending: stored.Sending, body: Mapping[str, Any]
    ) -> bytes:
        recall = {
            "recall_ref": f"r{sending.originator_version}",
            "action": body["action"],
            "due": datetime.fromisoformat(body["due"]),
            "items": [
                {
                    "event_ref": self._event_ref(agency, attested, event_id),
                    "categories": categories,
                }
                for event_id, categories in body["items"]
            ],
        }
        return wire.DELIVERY_WHAT.encode({"compartments": [], "bases": [], "recall": recall})

    def _attest(self, agency: str, case_id: UUID, parts: Parts, bases: Mapping[str, str]) -> bytes:
        """The same content and bases, under names that are this recipient's alone."""
        names = self._exchange.pseudonyms
        rename = partial(names.event_for, agency, parts.event.emitter)
        return what(
            (
                parts.attest(sealed, rename)
                for sealed in parts.event.compartments
                if released(sealed.name, bases, agency)
            ),
            {
                category: told_basis(names, agency, case_id, basis)
                for category, basis in bases.items()
            },
        )

    def _refs(self, agency: str, case_id: bytes, subject_id: bytes) -> tuple[str, str]:
        """What the recipient calls this case and this person."""
        known = self._named.get((agency, case_id, subject_id))
        if known is None:
            names = self._exchange.pseudonyms
            known = (
                names.pseudonym(agency, "case", UUID(bytes=case_id)),
                names.pseudonym(agency, "subject", UUID(bytes=subject_id)),
            )
            if len(self._named) >= KEPT_NAMES:
                self._named.clear()
            self._named[agency, case_id, subject_id] = known
        return known

    def _attested(self, agency: str) -> bool:
        party = self._exchange.agencies.get(agency)
        assert party is not None
        return self._exchange.policy().evidence_for(party.role) == "hub"

    def _event_ref(self, agency: str, attested: bool, event_id: str) -> str:
        if attested:
            return self._exchange.pseudonyms.pseudonym(agency, "event", UUID(event_id))
        return event_id
