"""HTTP with the hub: media type, and how a request says who sends it.

A request carries four headers; the signature is Ed25519 over the DSSE encoding, payload type
`application/vnd.nrm.request.v1`, of six lines joined by newlines:

    hub, method, path with query, nrm-time, nrm-nonce, SHA-256 of the body in hexadecimal

    nrm-agency     the agency's identifier
    nrm-time       RFC 3339, UTC; the hub accepts a few minutes of difference
    nrm-nonce      32 hexadecimal digits, never used twice
    nrm-signature  key id in hexadecimal, colon, signature in base64

The signature binds hub, method and path, so a request taken off the wire serves nowhere else;
TLS is still wanted, for what lengths and times would tell.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from connectors.identity import AgencyIdentity

HUB_MESSAGE: Final = "application/vnd.nrm.message.v1"
HUB_MESSAGES: Final = "application/vnd.nrm.messages.v1"
"""A sequence of messages, each behind its length as four bytes, big-endian."""

REQUEST: Final = "application/vnd.nrm.request.v1"

Auth = Callable[[str, str, bytes], Mapping[str, str]]
"""(method, path with query, body) → headers that authenticate the request."""


def no_auth(method: str, path: str, body: bytes) -> Mapping[str, str]:  # noqa: ARG001
    """For a hub behind a gateway that authenticates by other means."""
    return {}


def request_to_sign(
    hub: str, method: str, path: str, *, time: str, nonce: str, body: bytes
) -> bytes:
    """The six lines."""
    return "\n".join((hub, method, path, time, nonce, hashlib.sha256(body).hexdigest())).encode()


def signed_requests(identity: AgencyIdentity) -> Auth:
    """Headers signed with the agency's key."""

    def auth(method: str, path: str, body: bytes) -> Mapping[str, str]:
        time = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        nonce = secrets.token_hex(16)
        to_sign = request_to_sign(identity.hub.hub, method, path, time=time, nonce=nonce, body=body)
        signature = base64.b64encode(identity.signing.sign(REQUEST, to_sign)).decode()
        return {
            "nrm-agency": identity.agency,
            "nrm-time": time,
            "nrm-nonce": nonce,
            "nrm-signature": f"{identity.signing.key_id.hex()}:{signature}",
        }

    return auth


def split_messages(body: bytes) -> list[bytes]:
    """The messages of a `HUB_MESSAGES` body; ValueError if it is cut short."""
    messages = []
    at = 0
    while at < len(body):
        size = int.from_bytes(body[at : at + 4], "big")
        message = body[at + 4 : at + 4 + size]
        if len(message) != size or at + 4 > len(body):
            raise ValueError("the response is cut short")
        messages.append(message)
        at += 4 + size
    return messages


def join_messages(messages: list[bytes]) -> bytes:
    """The counterpart of `split_messages`."""
    return b"".join(len(message).to_bytes(4, "big") + message for message in messages)
