"""The key of one comparison: sealed to the partner, signed by the hub, in a small JSON file.

Under it both sides turn the content of a partner's tables into digests
(`connectors/tables/row_digest.py`). The hub makes it, for one partner and the state after one
delivery. Whoever carries the file cannot read the key; a partner uses none that its hub has not
signed, since with a key of somebody else's choosing its digests could be tried out.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass

from connectors.errors import UntrustedError
from hub.crypto import signing
from hub.crypto.sealing import SealError, SealingKey, seal, sealing_key_id
from hub.crypto.signing import SigningKey

KEY_BYTES = 32


@dataclass(frozen=True)
class ComparisonKey:
    """Under which digests are made, and of which state: after this delivery."""

    agency: str
    hub: str
    sequence: int
    key: bytes


def sealed(one: ComparisonKey, sealing_public: bytes, hub_key: SigningKey) -> bytes:
    """The file."""
    document = {
        "agency": one.agency,
        "hub": one.hub,
        "sequence": one.sequence,
        "sealing_key_id": sealing_key_id(sealing_public).hex(),
        "box": _text(seal(sealing_public, _info(one.agency, one.hub, one.sequence), one.key)),
    }
    body = json.dumps(document, sort_keys=True, separators=(",", ":"))
    signature = hub_key.sign(signing.COMPARISON, body.encode())
    envelope = {
        "body": body,
        "signing_key_id": hub_key.key_id.hex(),
        "signature": _text(signature),
    }
    return json.dumps(envelope, indent=1).encode() + b"\n"


def opened(
    file: bytes,
    agency: str,
    hub: str,
    public_of: Callable[[bytes], bytes | None],
    sealing_keys: dict[bytes, SealingKey],
) -> ComparisonKey:
    """The key in a file, for this agency. public_of: key id → the hub's public key, if known.

    UntrustedError if it is not the pinned hub's, is for another agency, or does not open.
    """
    try:
        envelope = json.loads(file)
        body: str = envelope["body"]
        signature = base64.b64decode(envelope["signature"], validate=True)
        public = public_of(bytes.fromhex(envelope["signing_key_id"]))
        if public is None:
            raise UntrustedError(
                "the key file is signed with a hub key that is not known here: let the connector "
                "run once, then try again"
            )
        signing.verify(public, signing.COMPARISON, body.encode(), signature)
        document = json.loads(body)
        if (document["agency"], document["hub"]) != (agency, hub):
            raise UntrustedError("the key file is for another agency, or of another hub")
        sealing = sealing_keys.get(bytes.fromhex(document["sealing_key_id"]))
        if sealing is None:
            raise UntrustedError(
                "the key file is sealed to a key this identity does not hold: ask for a new one"
            )
        sequence = int(document["sequence"])
        key = sealing.open(base64.b64decode(document["box"]), _info(agency, hub, sequence))
    except (ValueError, KeyError, TypeError):
        raise UntrustedError("this is no key file of a comparison") from None
    except (signing.SignatureError, SealError) as wrong:
        raise UntrustedError(f"the key file cannot be trusted: {wrong}") from None
    return ComparisonKey(agency, hub, sequence, key)


def _info(agency: str, hub: str, sequence: int) -> bytes:
    return f"nrm.comparison.v1\n{hub}\n{agency}\n{sequence}".encode()


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
