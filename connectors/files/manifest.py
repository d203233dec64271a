"""Manifests: what a batch of files is, and lists of what was recalled, signed by the agency.

    batch-0000000001-0000000050.manifest.json      put last: until then the batch is not complete
    {"version": 1, "hub": …, "agency": …, "first": 1, "last": 50, "files": [
       {"name": …, "event_type": …, "rows": 3, "bytes": 812, "sha256": …, "edition": 1,
        "encryption": "age" or "openpgp" or null}]}

    recall-0000000051.json
    {"version": 1, "hub": …, "agency": …, "sequence": 51, "recall_ref": …, "answer": … or null,
     "items": [{"event_ref": …, "case_ref": …, "subject_ref": …, "categories": […],
                "taken": [names of files that hold it and are no longer here]}]}

Beside each lies its signature, `NAME.sig`: the key's id and the Ed25519 signature in Base64, over
the DSSE pre-authentication encoding of MEDIA_TYPE and the file's bytes as they lie there. A file
rewritten after a recall or a correction is of the next edition, and so its manifest is new.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from connectors.files.seal import encryption, plain_name
from connectors.remote.sink import Recalled
from hub.crypto.signing import SigningKey, pae, verify_raw

MEDIA_TYPE: Final = "application/vnd.nrm.files.v1+json"
SIGNATURE: Final = ".sig"
ANSWER: Final = ".done"


@dataclass(frozen=True, slots=True)
class Listed:
    """One file of a batch. event_type: None where a file holds events of any type."""

    name: str
    event_type: str | None
    rows: int
    bytes: int
    sha256: str
    edition: int


def batch_name(stem: str) -> str:
    return f"batch-{stem}.manifest.json"


def recall_name(sequence: int) -> str:
    return f"recall-{sequence:010d}.json"


def span(first: int, last: int) -> str:
    """Sequences as names have them: so many digits that names sort as deliveries do."""
    return f"{first:010d}-{last:010d}"


def last_of(name: str) -> int:
    """The last sequence a data file or manifest of ours says it holds; 0 of any other name."""
    found = _SPAN.fullmatch(plain_name(name))
    return 0 if found is None else int(found[1])


_SPAN: Final = re.compile(
    r"[a-z][a-z0-9_]*-\d{10}-(\d{10})(?:-\d+)?\.(?:manifest\.json|(?:csv|jsonl|parquet))",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Signer:
    """Writes documents in the name of one agency."""

    agency: str
    hub: str
    key: SigningKey

    def batch(self, name: str, files: Sequence[Listed]) -> bytes:
        """The manifest of this name."""
        first, last = name.removeprefix("batch-").split(".")[0].split("-")[:2]
        listed = [
            {
                "name": one.name,
                "event_type": one.event_type,
                "rows": one.rows,
                "bytes": one.bytes,
                "sha256": one.sha256,
                "edition": one.edition,
                "encryption": encryption(one.name),
            }
            for one in sorted(files, key=lambda one: one.name)
        ]
        return self._document(first=int(first), last=int(last), files=listed)

    def recall(self, items: Sequence[tuple[Recalled, Sequence[str]]], answer: str | None) -> bytes:
        """items: of one delivery, each with the taken files that hold it."""
        first = items[0][0]
        listed = [
            {
                "event_ref": one.event_ref,
                "case_ref": one.case_ref,
                "subject_ref": one.subject_ref,
                "categories": sorted(one.categories),
                "taken": sorted(taken),
            }
            for one, taken in items
        ]
        return self._document(
            sequence=first.sequence, recall_ref=first.recall_ref, answer=answer, items=listed
        )

    def signature(self, document: bytes) -> bytes:
        """The content of NAME.sig."""
        signed = base64.b64encode(self.key.sign(MEDIA_TYPE, document)).decode()
        return f"{self.key.key_id.hex()} {signed}\n".encode()

    def _document(self, **members: Any) -> bytes:
        head = {"version": 1, "hub": self.hub, "agency": self.agency}
        return (json.dumps({**head, **members}, indent=1) + "\n").encode()


def verify(public: bytes, document: bytes, signature: bytes) -> None:
    """SignatureError unless NAME.sig is this key's over the document; ValueError if it is none."""
    _, _, text = signature.decode("ascii").strip().partition(" ")
    verify_raw(public, pae(MEDIA_TYPE, document), base64.b64decode(text, validate=True))
