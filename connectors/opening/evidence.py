"""Evidence as a partner keeps it: the agency's signed statement, and a proof for each part held.

Kept apart from the data. With the agency's public key anyone can check, without hub or partner,
that this agency said this; of a recalled part nothing is left in it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, NamedTuple

from schemas.avro import Codec
from schemas.wire import BATCH_LIMIT
from schemas.writing import long

EVIDENCE: Final = Codec(
    {
        "type": "record",
        "name": "KeptEvidence",
        "namespace": "nrm.connector",
        "doc": "Agency evidence as kept by a partner; fields as in nrm.wire.Delivery.",
        "fields": [
            {"name": "header", "type": "bytes"},
            {"name": "head", "type": "bytes"},
            {"name": "signature", "type": "bytes"},
            {"name": "index", "type": "long"},
            {"name": "path", "type": "bytes"},
            {
                "name": "disclosed",
                "type": {
                    "type": "array",
                    "items": {
                        "type": "record",
                        "name": "KeptDisclosure",
                        "fields": [
                            {"name": "name", "type": "string"},
                            {"name": "salt", "type": "bytes"},
                            {"name": "body", "type": "bytes"},
                            {"name": "index", "type": "int"},
                            {"name": "path", "type": "bytes"},
                        ],
                    },
                },
            },
        ],
    },
    max_bytes=BATCH_LIMIT,  # no statement is larger than the message it came in
)


class Disclosed(NamedTuple):
    """One compartment with its proof: anybody can check it against the header's root."""

    name: str
    salt: bytes
    body: bytes
    place: int
    path: bytes


def statement(evidence: Mapping[str, Any], shown: Sequence[Disclosed]) -> bytes:
    """The agency's statement about an event and what is shown of it, written as EVIDENCE would.

    evidence: fields of an AgencyEvidence, whose names and order these are.
    """
    header, head, signature = evidence["header"], evidence["head"], evidence["signature"]
    index, path = evidence["index"], evidence["path"]
    out = [long(len(header)), header, long(len(head)), head, long(len(signature)), signature]
    out += (long(index), long(len(path)), path)
    if shown:
        out.append(long(len(shown)))
        for name, salt, body, place, path in shown:
            label = name.encode()
            out += (long(len(label)), label, long(len(salt)), salt, long(len(body)), body)
            out += (long(place), long(len(path)), path)
    out.append(b"\x00")
    return b"".join(out)


def without(kept: bytes, categories: Collection[str]) -> bytes | None:
    """The statement less these categories; None if nothing is left to prove."""
    value = EVIDENCE.decode(kept, trusted=True)
    value["disclosed"] = [
        part for part in value["disclosed"] if part["name"].partition("/")[0] not in categories
    ]
    return EVIDENCE.encode(value) if value["disclosed"] else None
