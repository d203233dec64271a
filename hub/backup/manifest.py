"""The manifest of a log archive: what is in it, signed by the hub that made it.

JSON, keys sorted. `signature` is over the document without it; it covers the log's head and root,
also the entries that no checkpoint covered yet.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from hub.crypto import signing
from hub.crypto.signing import SigningKey
from hub.errors import NotReady

FORMAT = 1
NAME = "manifest.json"
LOG = "log.db"
SETTINGS = "hub.toml"
PAGE = 1 << 20


@dataclass(frozen=True)
class Manifest:
    """What a log archive says of itself."""

    hub: str
    made_at: str
    program: str
    head: int
    root: str
    checkpoint: int
    note: str
    rows: dict[str, int]
    files: dict[str, str]
    format: int = FORMAT

    def write(self, folder: Path, key: SigningKey) -> str:
        """Sign and write; returns the digest that names this backup."""
        body = self._body()
        document = {**json.loads(body), "signature": key.sign(signing.BACKUP, body).hex()}
        text = json.dumps(document, indent=1, sort_keys=True)
        with (folder / NAME).open("w", encoding="utf-8") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        return hashlib.sha256(body).hexdigest()

    @classmethod
    def read(cls, folder: Path, public: bytes) -> tuple[Self, str]:
        """The manifest and its digest, its signature verified. NotReady says what is wrong."""
        path = folder / NAME
        try:
            document: dict[str, Any] = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            raise NotReady(f"{folder} holds no backup: {NAME} is missing") from None
        except ValueError:
            raise NotReady(f"{path} cannot be read: the backup is damaged, take another") from None
        try:
            signature = bytes.fromhex(document.pop("signature"))
            if document["format"] != FORMAT:
                raise NotReady(f"{path}: format {document['format']} needs another release")
            found = cls(**document)
            signing.verify(public, signing.BACKUP, found._body(), signature)
        except (KeyError, TypeError, ValueError, signing.SignatureError, AttributeError):
            raise NotReady(
                f"{path} is not signed by the hub whose keys these are: the backup was changed,"
                " or the key archive is another hub's"
            ) from None
        return found, hashlib.sha256(found._body()).hexdigest()

    def _body(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":")).encode()


def digest_of(path: Path, beside: Callable[[bytes], object] = len) -> str:
    """SHA-256 of a file; `beside` gets every piece read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PAGE):
            digest.update(piece)
            beside(piece)
    return digest.hexdigest()
