"""One entry proved with no network: a *.tlog-proof (C2SP) made at the hub and checked anywhere.

The proof carries the entry itself as its extra data. That is not authenticated as such, and need
not be: its leaf hash must be in the tree the log signed. Which row of the hub the entry stands for,
only the row can tell: `entry_of_row`.
"""

from __future__ import annotations

from dataclasses import dataclass

from hub.errors import Refused
from hub.store.log import HubLog, leaf_entry
from hub.tlog.merkle import leaf_hash
from hub.tlog.note import VerifierKey
from hub.tlog.proof import TlogProof, TlogProofError
from hub.tlog.tiles import TileReader
from hub.transparency.check import Trust
from hub.transparency.export import published_checkpoint


@dataclass(frozen=True)
class Proved:
    """What a proof proves: this entry stands at this position of a log of that size."""

    position: int
    entry: bytes
    size: int
    witnesses: tuple[str, ...]


def prove(
    log: HubLog, position: int, *, witnesses: tuple[VerifierKey, ...] = (), now: float
) -> TlogProof:
    """A proof for the row at `position`, under the checkpoint this hub shows. Raises Refused."""
    if not 0 < position <= log.head:
        raise Refused(0, "unknown_position", f"positions run from 1 to {log.head}")
    shown = published_checkpoint(log, witnesses, now)
    if shown is None or shown[0] < position:
        shown = log.latest_checkpoint()  # newer, and not cosigned yet
    if shown is None or shown[0] < position:
        raise Refused(0, "not_covered", "no checkpoint covers it yet; run the hub for a second")
    size, note = shown
    reader = TileReader(log.read_tile, size)
    path = reader.inclusion_path(position - 1)
    return TlogProof(position - 1, path, note.encode(), reader.entry(position - 1))


def check_proof(data: bytes, trust: Trust) -> Proved:
    """Check a proof. Raises TlogProofError with what does not hold."""
    proof = TlogProof.parse(data)
    if proof.extra is None:
        raise TlogProofError("the proof carries no entry")
    opened = proof.verify(
        leaf_hash(proof.extra),
        origin=trust.origin,
        log_keys=trust.log_keys,
        witnesses=trust.witnesses,
        quorum=trust.quorum,
    )
    names = tuple(sorted({one.key.name for one in opened.cosignatures}))
    return Proved(proof.index + 1, proof.extra, opened.checkpoint.size, names)


def entry_of_row(log: HubLog, position: int) -> bytes | None:
    """The entry the row at this position makes now; None if it makes none."""
    try:
        rows = log.rows(position - 1, 1)
        return leaf_entry(rows[0]) if rows and rows[0].id == position else None
    except Exception:  # a text or nothing where bytes belong: whatever the database lets in
        return None
