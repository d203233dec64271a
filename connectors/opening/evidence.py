"""Evidence as a partner keeps it: the agency's signed statement, and a proof for each part held.

Kept apart from the data. With the agency's public key anyone can check, without hub or partner,
that this agency said this; of a recalled part nothing is left in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from connectors.delivery import Evidence
from schemas.avro import DEFAULT_LIMIT, AvroError, Codec
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
    }
)


def statement(evidence: Evidence, categories: Sequence[str]) -> bytes:
    """The evidence of these categories only, written field by field as EVIDENCE would."""
    shown = [one for one in evidence.disclosed if one.name.partition("/")[0] in categories]
    header, head, signature = evidence.header, evidence.head, evidence.signature
    path = b"".join(evidence.path)
    out = [long(len(header)), header, long(len(head)), head, long(len(signature)), signature]
    out += (long(evidence.index), long(len(path)), path)
    if shown:
        out.append(long(len(shown)))
        for one in shown:
            name, path = one.name.encode(), b"".join(one.path)
            out += (long(len(name)), name, long(len(one.salt)), one.salt)
            out += (long(len(one.body)), one.body, long(one.index), long(len(path)), path)
    out.append(b"\x00")
    data = b"".join(out)
    if len(data) > DEFAULT_LIMIT:
        raise AvroError(f"{EVIDENCE.name}: over the limit of {DEFAULT_LIMIT} bytes")
    return data


def without(kept: bytes, categories: Sequence[str]) -> bytes | None:
    """The statement less these categories; None if nothing is left to prove."""
    value = EVIDENCE.decode(kept, trusted=True)
    value["disclosed"] = [
        part for part in value["disclosed"] if part["name"].partition("/")[0] not in categories
    ]
    return EVIDENCE.encode(value) if value["disclosed"] else None
