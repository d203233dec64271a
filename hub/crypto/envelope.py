"""Signed documents of our own: JSON in a DSSE envelope (secure-systems-lab/dsse, envelope.md).

    {"payload": base64 JSON, "payloadType": "...", "signatures": [{"keyid": hex, "sig": base64}]}

What is signed is the payload's bytes with their type, so a signature says what it is about and
cannot be taken for another kind of document. Opening verifies nothing: call `require` for every
key that must have signed. Pure: bytes in, values out.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hub.crypto import signing
from hub.crypto.signing import SignatureError, SigningKey

MAX_BYTES = 64 * 1024


class EnvelopeError(Exception):
    """The document is damaged, of another kind, or not signed by the key that had to sign it."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An envelope's content, as long as nothing more is asked of it: unverified."""

    payload_type: str
    payload: Mapping[str, Any]
    body: bytes
    signatures: Mapping[bytes, bytes]

    def require(self, public: bytes, whose: str) -> None:
        """Raise EnvelopeError unless this key signed exactly this body as this type."""
        signature = self.signatures.get(signing.key_id(public))
        try:
            if signature is None:
                raise SignatureError
            signing.verify(public, self.payload_type, self.body, signature)
        except SignatureError:
            raise EnvelopeError(f"the document is not signed by {whose}") from None

    def text(self, name: str) -> str:
        """A text of 1 to 500 characters. KeyError or ValueError if it is none."""
        value = self.payload[name]
        if not isinstance(value, str) or not 0 < len(value) <= 500:
            raise ValueError(f"{name} is not a text of 1 to 500 characters")
        return value

    def octets(self, name: str) -> bytes:
        return base64.b64decode(self.payload[name], validate=True)


def written(payload_type: str, payload: Mapping[str, Any], keys: Iterable[SigningKey]) -> bytes:
    """The envelope, signed by each key."""
    body = json.dumps(payload, ensure_ascii=False, sort_keys=True).encode()
    envelope = {
        "payload": text(body),
        "payloadType": payload_type,
        "signatures": [
            {"keyid": key.key_id.hex(), "sig": text(key.sign(payload_type, body))} for key in keys
        ],
    }
    return json.dumps(envelope, indent=2).encode() + b"\n"


def opened(document: bytes, payload_type: str) -> Opened:
    """Payload, the bytes signed, signatures by key id. Nothing is verified yet."""
    if len(document) > MAX_BYTES:
        raise EnvelopeError("the document is too large to be one of ours")
    try:
        envelope = json.loads(document)
        if envelope["payloadType"] != payload_type:
            raise EnvelopeError(f"the document is not of type {payload_type}")
        body = base64.b64decode(envelope["payload"], validate=True)
        signatures = {
            bytes.fromhex(entry["keyid"]): base64.b64decode(entry["sig"], validate=True)
            for entry in envelope["signatures"]
        }
        payload = json.loads(body)
        if not isinstance(payload, dict):
            raise TypeError
    except (KeyError, TypeError, ValueError, RecursionError):
        raise EnvelopeError("the document is damaged: it is not a signed envelope") from None
    return Opened(payload_type, payload, body, signatures)


def text(data: bytes) -> str:
    """Bytes as they stand in a payload."""
    return base64.b64encode(data).decode()
