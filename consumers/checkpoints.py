"""Checkpoints: the audit log's signed tree head, at least once a second while events arrive.

Follows the log's leaves, cuts them into C2SP tiles and signs a C2SP checkpoint over them; tiles
and checkpoint are stored in one transaction. An acknowledged event is in the log before it is
under a checkpoint: the agency's signed outcome is its evidence until then. If no checkpoint can be
made for a minute while events wait, `age` says so and readiness fails; the hub keeps accepting.
"""

from __future__ import annotations

import time
from datetime import timedelta

from hub import crash
from hub.clock import Clock
from hub.crypto.signing import SigningKey
from hub.errors import Inconsistent
from hub.spans import span
from hub.store.errors import StoreConflict
from hub.store.log import HubLog
from hub.tlog.checkpoint import Checkpoint, CheckpointError, open_checkpoint
from hub.tlog.merkle import EMPTY_ROOT
from hub.tlog.note import NoteError, NoteSigner, VerifierKey
from hub.tlog.tiles import Staged, TileReader, TileWriter

EVERY = 1.0  # seconds between two checkpoints while events arrive
GROUP = 20_000  # leaves per checkpoint at most
LATE = timedelta(seconds=60)


class Checkpoints:
    """Signs the log of one hub. One instance per hub, in one process."""

    def __init__(self, log: HubLog, origin: str, key: SigningKey, clock: Clock) -> None:
        self._log = log
        self._origin = origin
        self._signer = NoteSigner(origin, key)
        self._clock = clock
        self.size, self._root = 0, EMPTY_ROOT
        self._resume()
        self._signed_at = -EVERY
        self.waiting_since: float | None = None

    @property
    def verifier(self) -> VerifierKey:
        """The vkey an auditor checks checkpoints with."""
        return self._signer.verifier

    def step(self, *, now: bool = False) -> int:
        """Sign what is new, unless the last checkpoint is younger than a second. `now`: at once.

        Returns the number of new leaves covered.
        """
        if not now and time.monotonic() - self._signed_at < EVERY:
            return 0
        leaves = self._log.leaves(self.size + 1, GROUP)
        if not leaves:
            self.waiting_since = None
            self._signed_at = time.monotonic()
            return 0
        if self.waiting_since is None:
            self.waiting_since = time.monotonic()
        with span("nrm.checkpoint", leaves=len(leaves)):
            return self._sign(leaves)

    def _sign(self, leaves: list[tuple[int, bytes]]) -> int:
        staged = Staged(self._log.read_tile)
        if self.size and TileReader(staged.read, self.size).root() != self._root:
            raise Inconsistent("tiles differ from the last checkpoint: somebody changed the store")
        writer = TileWriter(staged.read, staged.write, self.size)
        full = writer.append_entries([entry for _, entry in leaves])
        root = TileReader(staged.read, writer.size).root()
        signed = Checkpoint(self._origin, writer.size, root).sign([self._signer])
        crash.point("before_checkpoint")
        try:
            self._log.put_checkpoint(
                writer.size,
                signed.decode(),
                tiles=staged.tiles,
                dropped=[path for tile in full for path in tile.partials()],
            )
        except StoreConflict:  # another process signed further: go on from there
            self._resume()
            return 0
        crash.point("after_checkpoint")
        self.size, self._root = writer.size, root
        self._signed_at = time.monotonic()
        self.waiting_since = None
        return len(leaves)

    def _resume(self) -> None:
        latest = self._log.latest_checkpoint()
        if latest is not None:
            self.size, self._root = latest[0], self._signed_root(latest[1])

    def _signed_root(self, note: str) -> bytes:
        try:
            opened = open_checkpoint(
                note.encode(), origin=self._origin, log_keys=[self._signer.verifier]
            )
        except (CheckpointError, NoteError):
            raise Inconsistent("the last checkpoint is not signed by this hub's log key") from None
        return opened.checkpoint.root

    @property
    def late(self) -> bool:
        """Whether leaves have waited for a checkpoint for over a minute."""
        return (
            self.waiting_since is not None
            and time.monotonic() - self.waiting_since > LATE.total_seconds()
        )
