"""A person's secret as a row holds it: under the epoch key, for this store, epoch and person only.

    wrapped = nonce 12 ‖ AES-256-GCM(epoch key, secret, context)
    context = "nrm subject secret" 00 ‖ store ‖ u64be epoch ‖ subject

A row put back from a backup, or moved onto another person, does not unwrap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hub.store.errors import StoreCorrupt
from hub.store.tables import Cursor, Row

NONCE = 12
STATE = "SELECT store, epoch, generation FROM state"
PAGE = 5000


@dataclass(frozen=True, slots=True)
class KeyState:
    """Which store and epoch, and how often either changed who has a secret."""

    store: bytes
    epoch: int
    generation: int


def read_state(c: Cursor) -> KeyState:
    """Where the key store stands."""
    c.execute(STATE)
    return told_state(c.fetchall())


def told_state(rows: Sequence[Row]) -> KeyState:
    """What asking for STATE has told."""
    row = rows[0]
    return KeyState(bytes(row["store"]), row["epoch"], row["generation"])


def wrapped_of(c: Cursor, subjects: Sequence[UUID]) -> list[tuple[bytes, bytes]]:
    """(subject, wrapped secret) of those who have one."""
    found: list[tuple[bytes, bytes]] = []
    for start in range(0, len(subjects), 500):
        some = [one.bytes for one in subjects[start : start + 500]]
        marks = ", ".join("?" * len(some))
        c.execute(f"SELECT * FROM secrets WHERE subject_id IN ({marks})", some)  # noqa: S608
        found += [(bytes(row["subject_id"]), bytes(row["wrapped"])) for row in c.fetchall()]
    return found


def wrapped_after(c: Cursor, after: bytes) -> list[tuple[bytes, bytes]]:
    """The same of everybody, some thousands at a time: those behind `after`, in order."""
    c.execute(
        "SELECT * FROM secrets WHERE subject_id > ? ORDER BY subject_id LIMIT ?", (after, PAGE)
    )
    return [(bytes(row["subject_id"]), bytes(row["wrapped"])) for row in c.fetchall()]


def _context(state: KeyState, subject: bytes) -> bytes:
    return b"nrm subject secret\x00" + state.store + state.epoch.to_bytes(8, "big") + subject


def wrap(key: AESGCM, state: KeyState, subject: bytes, secret: bytes, nonce: bytes) -> bytes:
    return nonce + key.encrypt(nonce, secret, _context(state, subject))


def unwrap(key: AESGCM, state: KeyState, subject: bytes, wrapped: bytes) -> bytes:
    """StoreCorrupt for another store's, epoch's or person's, or a changed one."""
    try:
        return key.decrypt(wrapped[:NONCE], wrapped[NONCE:], _context(state, subject))
    except InvalidTag as error:
        raise StoreCorrupt(f"the secret of {UUID(bytes=subject)} does not unwrap") from error
