"""Enrolment: how an agency asks to take part, and what the hub answers.

Both are JSON in a DSSE envelope (`hub/crypto/envelope.py`).

Request  (`REQUEST`)  format, agency, name, role, signing_key, sealing_key, replaces
    Signed by the signing key it carries, which proves possession of that key and binds the
    sealing key to it. A rotation names in `replaces` the key id it follows, and is signed by
    that key too.
Approval (`APPROVAL`) format, hub, hub_keys, ingest_key, recipient, agency, role, signing_key_id,
    sealing_key_id, topics, http, position
    Signed by one of the hub keys it carries. The first one is trusted because the operator
    compares its fingerprint with the hub's by another channel; later ones must be signed by a
    key that is pinned already.

Keys are base64 of the raw bytes, key ids are hexadecimal. Pure: bytes in, values out.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from connectors.errors import UntrustedError
from hub.crypto import envelope, signing
from hub.crypto.envelope import EnvelopeError, Opened
from hub.crypto.sealing import SealError, check_sealing_public, sealing_key_id
from hub.crypto.signing import SignatureError, SigningKey

REQUEST: Final = "application/vnd.nrm.enrolment.v1+json"
APPROVAL: Final = "application/vnd.nrm.approval.v1+json"
TOPIC_NAMES: Final = ("ingest", "outcomes", "deliveries", "receipts", "registry")
AGENCY_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True)
class EnrolmentRequest:
    """What an agency asks for. `replaces`: id of the signing key a rotation follows."""

    agency: str
    name: str
    role: str
    signing_public: bytes
    sealing_public: bytes
    replaces: bytes | None = None

    @property
    def fingerprint(self) -> str:
        """For the hub's operator to compare by another channel, e.g. by telephone."""
        return fingerprint(self.signing_public + self.sealing_public)


@dataclass(frozen=True)
class HubKey:
    """A signing key of the hub and the changes of the register it may sign at,
    `[valid_from, valid_to)`."""

    key_id: bytes
    public: bytes
    valid_from: int = 0
    valid_to: int | None = None


@dataclass(frozen=True)
class Approval:
    """Everything an agency needs to know of its hub."""

    hub: str
    hub_keys: tuple[HubKey, ...]
    ingest_key: bytes
    recipient: str
    agency: str
    role: str
    signing_key_id: bytes
    sealing_key_id: bytes
    topics: Mapping[str, str]
    topics_url: str | None
    http_url: str | None
    position: int

    @property
    def fingerprint(self) -> str:
        """Of the hub's first signing key; the hub's operator tells it by another channel."""
        return fingerprint(self.hub_keys[0].public)


def fingerprint(data: bytes) -> str:
    """SHA-256 in eight groups of four digits: 128 bits, short enough to read aloud."""
    digits = hashlib.sha256(data).hexdigest()[:32]
    return " ".join(digits[at : at + 4] for at in range(0, 32, 4))


def sign_request(request: EnrolmentRequest, *keys: SigningKey) -> bytes:
    """The envelope; `keys` are the new signing key and, when rotating, the one it replaces."""
    payload = {
        "format": "nrm.enrolment.1",
        "agency": request.agency,
        "name": request.name,
        "role": request.role,
        "signing_key": envelope.text(request.signing_public),
        "sealing_key": envelope.text(request.sealing_public),
        "replaces": request.replaces.hex() if request.replaces else None,
    }
    return envelope.written(REQUEST, payload, keys)


def verify_request(document: bytes, known: bytes | None = None) -> EnrolmentRequest:
    """The request, or UntrustedError. `known`: public key of the agency's key it replaces.

    Whoever holds no signing key of the agency yet must compare `fingerprint` by another channel.
    """
    opened = _open(document, REQUEST)
    payload = opened.payload
    try:
        request = EnrolmentRequest(
            agency=_string(payload, "agency"),
            name=_string(payload, "name"),
            role=_string(payload, "role"),
            signing_public=_bytes(payload, "signing_key"),
            sealing_public=_bytes(payload, "sealing_key"),
            replaces=bytes.fromhex(payload["replaces"]) if payload["replaces"] else None,
        )
        signing.check_public(request.signing_public)
        check_sealing_public(request.sealing_public)
    except (KeyError, TypeError, ValueError, SealError, SignatureError) as wrong:
        raise UntrustedError(f"the enrolment request is not usable: {wrong}") from None
    _require(opened, request.signing_public, "the key it carries")
    if known is not None:
        if request.replaces != signing.key_id(known):
            raise UntrustedError("the enrolment request replaces another key than the one known")
        _require(opened, known, "the key it replaces")
    return request


def sign_approval(approval: Approval, key: SigningKey) -> bytes:
    """The hub's answer in its envelope."""
    payload = {
        "format": "nrm.approval.1",
        "hub": approval.hub,
        "hub_keys": [
            {
                "key_id": k.key_id.hex(),
                "public": envelope.text(k.public),
                "valid_from": k.valid_from,
                "valid_to": k.valid_to,
            }
            for k in approval.hub_keys
        ],
        "ingest_key": envelope.text(approval.ingest_key),
        "recipient": approval.recipient,
        "agency": approval.agency,
        "role": approval.role,
        "signing_key_id": approval.signing_key_id.hex(),
        "sealing_key_id": approval.sealing_key_id.hex(),
        "topics": {"url": approval.topics_url, **approval.topics},
        "http": approval.http_url,
        "position": approval.position,
    }
    return envelope.written(APPROVAL, payload, [key])


def verify_approval(document: bytes, pinned: Iterable[bytes] = ()) -> Approval:
    """The approval, or UntrustedError. `pinned`: public keys already trusted; none at first."""
    opened = _open(document, APPROVAL)
    try:
        approval = _approval(opened.payload)
        check_sealing_public(approval.ingest_key)
        for key in approval.hub_keys:
            signing.check_public(key.public)
            if signing.key_id(key.public) != key.key_id:
                raise ValueError("a hub key does not match its key id")
        if not approval.hub_keys:
            raise ValueError("it carries no hub key")
    except (KeyError, TypeError, ValueError, SealError, SignatureError) as wrong:
        raise UntrustedError(f"the approval is not usable: {wrong}") from None
    trusted = list(pinned) or [key.public for key in approval.hub_keys]
    for public in trusted:
        try:
            _require(opened, public, "a pinned hub key")
        except UntrustedError:
            continue
        return approval
    raise UntrustedError(
        "the approval is not signed by the hub this identity has pinned: ask the hub's operator"
    )


def _approval(payload: Mapping[str, Any]) -> Approval:
    topics = payload["topics"]
    return Approval(
        hub=_string(payload, "hub"),
        hub_keys=tuple(
            HubKey(
                bytes.fromhex(key["key_id"]),
                _bytes(key, "public"),
                int(key["valid_from"]),
                None if key["valid_to"] is None else int(key["valid_to"]),
            )
            for key in payload["hub_keys"]
        ),
        ingest_key=_bytes(payload, "ingest_key"),
        recipient=_string(payload, "recipient"),
        agency=_string(payload, "agency"),
        role=_string(payload, "role"),
        signing_key_id=bytes.fromhex(payload["signing_key_id"]),
        sealing_key_id=bytes.fromhex(payload["sealing_key_id"]),
        topics={name: _string(topics, name) for name in TOPIC_NAMES},
        topics_url=_address(topics, "url"),
        http_url=_address(payload, "http"),
        position=int(payload["position"]),
    )


def request_for(
    agency: str,
    name: str,
    role: str,
    *,
    signing_key: SigningKey,
    sealing_public: bytes,
    replaces: SigningKey | None = None,
) -> bytes:
    """A signed enrolment or rotation request."""
    request = EnrolmentRequest(
        agency,
        name,
        role,
        signing_key.public,
        sealing_public,
        replaces.key_id if replaces else None,
    )
    return sign_request(request, signing_key, *([replaces] if replaces else []))


def _open(document: bytes, payload_type: str) -> Opened:
    """Nothing is verified yet."""
    try:
        return envelope.opened(document, payload_type)
    except EnvelopeError as wrong:
        raise UntrustedError(str(wrong)) from None


def _require(opened: Opened, public: bytes, whose: str) -> None:
    try:
        opened.require(public, whose)
    except EnvelopeError as wrong:
        raise UntrustedError(str(wrong)) from None


def _bytes(payload: Mapping[str, Any], name: str) -> bytes:
    return base64.b64decode(payload[name], validate=True)


def _address(payload: Mapping[str, Any], name: str) -> str | None:
    return None if payload[name] is None else _string(payload, name)


def _string(payload: Mapping[str, Any], name: str) -> str:
    value = payload[name]
    # One line: it is shown to a person who decides by what the screen says.
    if not isinstance(value, str) or not 0 < len(value) <= 500 or not value.isprintable():
        raise ValueError(f"{name} is not one line of 1 to 500 printable characters")
    return value


__all__ = [
    "AGENCY_ID",
    "APPROVAL",
    "REQUEST",
    "Approval",
    "EnrolmentRequest",
    "HubKey",
    "fingerprint",
    "request_for",
    "sealing_key_id",
    "sign_approval",
    "sign_request",
    "verify_approval",
    "verify_request",
]
