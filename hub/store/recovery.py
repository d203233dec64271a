"""The recovery key: one small file without which no backup of the key store opens.

    "NRMRECOV" ‖ key id 16 ‖ u32be erased ‖ secret ids 16 each
               ‖ u32be nodes ‖ (u8 path length ‖ path, ASCII ‖ key 32) each
               ‖ SHA-256 of the above, first 16 bytes

A backup holds every person's secret sealed under that person's own key from here
(`hub/crypto/puncture.py`). An erasure makes this key forget the person, here and in every copy, so
that backups made before it open for everybody else and never again for whom it erased. The file
also lists the erased, so that a hub restored from an older backup knows them.

Copies. Without a copy elsewhere a lost machine is a lost hub; `keep_copy` makes one and remembers
its place (`recovery.places`). An erasure reaches every copy it can; one that is away (a volume not
mounted) is behind until it is seen again, and `copies` says so: until then that copy, an old
backup and its passphrase together still open what was erased.

What overwriting a file is worth is said in `epoch.py`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.crypto.puncture import KEY_BYTES, PuncturableKey
from hub.store.errors import StoreCorrupt, StoreRefused

MAGIC = b"NRMRECOV"
ID = 16
NONCE = 12


@dataclass(frozen=True, slots=True)
class Recovery:
    """A recovery key: which one it is, whom it forgot, and what it still opens."""

    key_id: bytes
    erased: frozenset[UUID]
    key: PuncturableKey

    @classmethod
    def fresh(cls, randomness: Callable[[int], bytes]) -> Self:
        return cls(randomness(ID), frozenset(), PuncturableKey.fresh(randomness(KEY_BYTES)))

    def without(self, secret_ids: Iterable[UUID]) -> Recovery:
        key, erased = self.key, set(self.erased)
        for one in secret_ids:
            key = key.without(one.bytes)
            erased.add(one)
        return Recovery(self.key_id, frozenset(erased), key)

    def seal(self, one: UUID, secret: bytes, nonce: bytes) -> bytes:
        """A secret as a backup holds it. StoreCorrupt if this key forgot whose it is."""
        key = self.key.key_for(one.bytes)
        if key is None:
            raise StoreCorrupt(f"the recovery key forgot {one}, who has a secret here")
        return nonce + AESGCM(key).encrypt(nonce, secret, self._context(one))

    def unseal(self, one: UUID, sealed: bytes) -> bytes | None:
        """The secret in a backup; None if this key forgot whose it is."""
        key = self.key.key_for(one.bytes)
        if key is None:
            return None
        try:
            return AESGCM(key).decrypt(sealed[:NONCE], sealed[NONCE:], self._context(one))
        except InvalidTag:
            raise StoreCorrupt(f"the backup's secret of {one} does not open") from None

    def _context(self, one: UUID) -> bytes:
        return b"nrm recovery of a secret\x00" + self.key_id + one.bytes

    def to_bytes(self) -> bytes:
        parts = [MAGIC, self.key_id, len(self.erased).to_bytes(4, "big")]
        parts += [one.bytes for one in sorted(self.erased)]
        parts.append(len(self.key.nodes).to_bytes(4, "big"))
        for path, node in sorted(self.key.nodes.items()):
            parts += [bytes((len(path),)), path.encode("ascii"), node]
        body = b"".join(parts)
        return body + hashlib.sha256(body).digest()[:16]

    @classmethod
    def from_bytes(cls, data: bytes) -> Recovery | None:
        """None for anything but a whole recovery key."""
        body, check = data[:-16], data[-16:]
        if body[:8] != MAGIC or hashlib.sha256(body).digest()[:16] != check:
            return None
        try:
            return cls._parsed(body)
        except (IndexError, UnicodeDecodeError):
            return None

    @classmethod
    def _parsed(cls, body: bytes) -> Recovery:
        at = 8 + ID
        count, at = int.from_bytes(body[at : at + 4], "big"), at + 4
        erased = frozenset(UUID(bytes=body[at + ID * n : at + ID * (n + 1)]) for n in range(count))
        at += ID * count
        count, at = int.from_bytes(body[at : at + 4], "big"), at + 4
        nodes: dict[str, bytes] = {}
        for _ in range(count):
            size = body[at]
            path = body[at + 1 : at + 1 + size].decode("ascii")
            at += 1 + size
            nodes[path] = body[at : at + KEY_BYTES]
            at += KEY_BYTES
        return cls(body[8 : 8 + ID], erased, PuncturableKey(nodes))


@dataclass(frozen=True, slots=True)
class KeyBackup:
    """Every secret as a backup holds it, sealed under the recovery key; and who is erased."""

    recovery_id: bytes
    sealed: tuple[tuple[UUID, bytes], ...]
    erased: frozenset[UUID]


@dataclass(frozen=True, slots=True)
class CopyState:
    """A copy that was asked for. behind: erasures it has not been told of; None: it is away."""

    path: Path
    behind: int | None


class RecoveryFile:
    """The file at `path` and its copies. Whoever changes it holds the key store's lock."""

    def __init__(self, path: Path, randomness: Callable[[int], bytes]) -> None:
        self.path = path
        self._places = path.with_name(f"{path.stem}.places")
        self._randomness = randomness

    def read(self) -> Recovery | None:
        """The key, or None if none was ever made."""
        return read_recovery(self.path)

    def read_or_make(self) -> Recovery:
        found = self.read()
        if found is None:
            if self._copied():
                raise StoreRefused(
                    f"{self.path} is missing and copies of it were made: put one back there first"
                )
            found = Recovery.fresh(self._randomness)
            self._put(self.path, found)
        return found

    def put(self, recovery: Recovery) -> None:
        """Take over this key: a restored hub's."""
        self._put(self.path, recovery)

    def forget(self, secret_ids: Iterable[UUID]) -> None:
        """Here and in every copy within reach. Repeating it finishes what was away before."""
        ids = set(secret_ids)
        for path in (self.path, *self._copied()):
            with suppress(OSError):
                held = read_recovery(path)
                if held is not None and not ids <= held.erased:
                    self._put(path, held.without(sorted(ids - held.erased)))

    def keep_copy(self, path: Path) -> None:
        """Make or renew a copy, and remember where. Another key there is not overwritten."""
        recovery = self.read_or_make()
        path = path.expanduser().absolute()
        held = read_recovery(path)
        if held is not None and held.key_id != recovery.key_id:
            raise StoreRefused(f"{path} is another hub's recovery key: choose another place")
        if held is None and path.exists():
            raise StoreRefused(f"{path} exists and is no recovery key: choose another place")
        if held is None or held.erased != recovery.erased:
            self._put(path, recovery)
        if path not in self._copied():
            places = [*self._copied(), path]
            _write(self._places, "".join(f"{one}\n" for one in places).encode())

    def copies(self) -> list[CopyState]:
        """Every copy that was asked for, and how far it is behind."""
        recovery = self.read()
        if recovery is None:
            return []
        states = []
        for path in self._copied():
            try:
                held = read_recovery(path)
            except (OSError, StoreRefused):
                held = None
            behind = None if held is None else len(recovery.erased - held.erased)
            states.append(CopyState(path, behind))
        return states

    def _copied(self) -> list[Path]:
        try:
            return [Path(line) for line in self._places.read_text("utf-8").splitlines() if line]
        except FileNotFoundError:
            return []

    def _put(self, path: Path, recovery: Recovery) -> None:
        """Another key beside the former one, the former one overwritten, then replaced by it."""
        successor = path.with_name(path.name + ".next")
        self._overwrite(successor)
        _write(successor, recovery.to_bytes())
        self._overwrite(path)
        os.replace(successor, path)
        _sync(path.parent)

    def _overwrite(self, path: Path) -> None:
        try:
            file = os.open(path, os.O_WRONLY)
        except FileNotFoundError:
            return
        try:
            os.write(file, self._randomness(os.fstat(file).st_size))
            os.fsync(file)
        finally:
            os.close(file)


def read_recovery(path: Path) -> Recovery | None:
    """The recovery key in this file, or beside it if replacing it was interrupted."""
    there = False
    for one in (path, path.with_name(path.name + ".next")):
        try:
            held = Recovery.from_bytes(one.read_bytes())
        except FileNotFoundError:
            continue
        there = True
        if held is not None:
            return held
    if there:
        raise StoreRefused(f"{path} is damaged or no recovery key: put a copy of it there")
    return None


def _write(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(file, view) :]
        os.fsync(file)
    finally:
        os.close(file)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
