"""The key archive: the hub's own keys and everyone's sealed secret, in one file under a passphrase.

    "NRMKEYS1" ‖ u8 scrypt work factor (log2 N) ‖ salt 16 ‖ nonce 12 ‖ AES-256-GCM box

The key is scrypt(passphrase, salt, N, r=8, p=1); the first 37 bytes are associated data. Inside is
JSON. The passphrase keeps the hub's keys; that nobody erased is in reach is the recovery key's work
(`hub/store/recovery.py`), which this file must never be kept with.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from hub.errors import NotReady
from hub.store.recovery import KeyBackup

MAGIC = b"NRMKEYS1"
WORK = 17  # OWASP 2024: N = 2^17, r = 8, p = 1; 128 MiB and about half a second
MOST_WORK = 20
SHORTEST = 12
HEAD = len(MAGIC) + 1 + 16 + 12


@dataclass(frozen=True)
class KeyArchive:
    """What the file holds. hub_keys: everything in the home's `keys`, by path."""

    hub: str
    position: int
    hub_keys: Mapping[str, bytes]
    secrets: KeyBackup


def write_keys(path: Path, archive: KeyArchive, passphrase: str, *, work: int = WORK) -> None:
    """Make the file; it must not exist yet. A short passphrase is refused."""
    if len(passphrase) < SHORTEST:
        raise NotReady(f"choose a passphrase of {SHORTEST} characters or more")
    document = {
        "hub": archive.hub,
        "position": archive.position,
        "hub_keys": {name: key.hex() for name, key in archive.hub_keys.items()},
        "recovery": archive.secrets.recovery_id.hex(),
        "secrets": [[one.hex, sealed.hex()] for one, sealed in archive.secrets.sealed],
        "erased": sorted(one.hex for one in archive.secrets.erased),
    }
    head = MAGIC + bytes((work,)) + os.urandom(16) + os.urandom(12)
    box = _box(head, passphrase).encrypt(head[-12:], json.dumps(document).encode(), head)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise NotReady(f"{path} exists already: choose another name for this key archive") from None
    with os.fdopen(file, "wb") as out:
        out.write(head + box)
        out.flush()
        os.fsync(out.fileno())


def read_keys(path: Path, passphrase: str) -> KeyArchive:
    """Open the file. NotReady if it is not one, or the passphrase is not its own."""
    data = path.read_bytes()
    head, box = data[:HEAD], data[HEAD:]
    if head[:8] != MAGIC or len(box) < 16 or not 1 <= head[8] <= MOST_WORK:
        raise NotReady(f"{path} is no key archive of NRM Hub")
    try:
        document = json.loads(_box(head, passphrase).decrypt(head[-12:], box, head))
    except InvalidTag:
        raise NotReady(f"{path} does not open: another passphrase, or it is damaged") from None
    return KeyArchive(
        document["hub"],
        document["position"],
        {name: bytes.fromhex(key) for name, key in document["hub_keys"].items()},
        KeyBackup(
            bytes.fromhex(document["recovery"]),
            tuple((UUID(hex=one), bytes.fromhex(sealed)) for one, sealed in document["secrets"]),
            frozenset(UUID(hex=one) for one in document["erased"]),
        ),
    )


def _box(head: bytes, passphrase: str) -> AESGCM:
    derived = Scrypt(salt=head[9:25], length=32, n=1 << head[8], r=8, p=1)
    return AESGCM(derived.derive(passphrase.encode()))
