"""The file: members in one canonical form, and the signed manifest over them. Pure.

The same members give the same bytes, down to the last header (docs/evidence.md 3 and 4).
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from hub.crypto import signing
from hub.crypto.signing import SigningKey
from hub.errors import Refused

FORMAT: Final = "nrm-evidence/1"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
LARGEST_FILE: Final = 256 * 1024 * 1024
LARGEST_MEMBER: Final = 64 * 1024 * 1024
LARGEST_MANIFEST: Final = 16 * 1024 * 1024
MOST_MEMBERS: Final = 60_000

_LOCAL: Final = struct.Struct("<4s5H3I2H")
_CENTRAL: Final = struct.Struct("<4s6H3I5H2I")
_END: Final = struct.Struct("<4s4H2IH")
_NEEDED: Final = 10
_DATE: Final = 0x21  # 1980-01-01, the first day a ZIP knows


def written(members: Mapping[str, bytes], claims: Mapping[str, Any], key: SigningKey) -> bytes:
    """The file. members: all but manifest and signature; claims: the manifest but its members.

    Raises Refused `bundle_too_large` for more than a verifier takes.
    """
    ordered = {name: members[name] for name in sorted(members, key=str.encode)}
    manifest = json.dumps(
        {
            **claims,
            "format": FORMAT,
            "members": [
                [name, len(data), sha256(data).hexdigest()] for name, data in ordered.items()
            ],
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    ).encode()
    whole = {
        MANIFEST: manifest,
        SIGNATURE: key.sign(signing.EVIDENCE, manifest),
        **ordered,
    }
    size = sum(map(len, whole.values())) + 200 * len(whole)
    if (
        len(whole) > MOST_MEMBERS
        or size > LARGEST_FILE
        or len(manifest) > LARGEST_MANIFEST
        or max(map(len, whole.values())) > LARGEST_MEMBER
    ):
        raise Refused(
            0,
            "bundle_too_large",
            "ask for less: one --event, or an earlier --as-of; docs/evidence.md",
        )
    return archive(whole)


def archive(members: Mapping[str, bytes]) -> bytes:
    """A ZIP of stored members in this order; every other byte follows from them."""
    body, directory = bytearray(), bytearray()
    for name, data in members.items():
        label, checksum, length = name.encode(), zlib.crc32(data), len(data)
        directory += _CENTRAL.pack(
            b"PK\x01\x02", _NEEDED, _NEEDED, 0, 0, 0, _DATE, checksum, length, length,
            len(label), 0, 0, 0, 0, 0, len(body),
        ) + label  # fmt: skip
        body += _LOCAL.pack(
            b"PK\x03\x04", _NEEDED, 0, 0, 0, _DATE, checksum, length, length, len(label), 0
        )
        body += label + data
    count = len(members)
    end = _END.pack(b"PK\x05\x06", 0, 0, count, count, len(directory), len(body), 0)
    return bytes(body + directory + end)
