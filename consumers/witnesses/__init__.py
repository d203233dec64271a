"""Witnesses: other agencies' machines that cosign this hub's checkpoints (C2SP tlog-witness).

Each witness is asked in a thread of its own, never in the loop that signs checkpoints, and nothing
waits for its answer. It is sent the newest checkpoint with a proof from the size it last cosigned,
and at least every ten minutes the same one again, so that its silence shows. What it answers is
checked, put under the checkpoint in the store, and published from there.

A witness that says it has seen more of this log than there is (409), or that the proof does not
hold (422), says that the log was rolled back or forked. That, and half an hour of silence, come on
the work list (consumers/stalls.py).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

import structlog

from consumers.witnesses.asking import Answer, UnansweredError, ask
from consumers.witnesses.health import WitnessHealth, witness_health
from consumers.witnesses.settings import LogSettings, WitnessSettings
from hub.clock import Clock
from hub.errors import HubError
from hub.store.log import HubLog
from hub.tlog.cosigning import (
    SIZE_MEDIA_TYPE,
    AddCheckpoint,
    WitnessError,
    cosignature_in,
    cosigned_by,
    size_told,
)
from hub.tlog.note import Note, NoteSignature
from hub.tlog.tiles import TileError, TileReader

log = structlog.get_logger("hub.witnesses")

ROUND: Final = 2.0  # seconds all witnesses are asked for the same checkpoint
AGAIN: Final = 600.0  # seconds after which an unchanged checkpoint is cosigned again
AHEAD: Final = 300  # seconds a witness's clock may be ahead of ours
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
ATTEMPTS: Final = 3  # requests in one step: the size it tells may move once more
DISAGREES: Final = frozenset({"ahead_of_log", "not_consistent"})


class Line:
    """The line to one witness. For one thread, but `trouble` may be read by any."""

    def __init__(
        self,
        witness: WitnessSettings,
        store: HubLog,
        clock: Clock,
        newest: Callable[[], tuple[int, str] | None],
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """newest: the checkpoint all witnesses are asked for now."""
        self.witness = witness
        self.trouble = ""
        self._store = store
        self._clock = clock
        self._newest = newest
        self._steady = steady
        latest, known = store.latest_checkpoint(), store.tracking(witness.follower)
        # A log restored after a loss may be shorter than that: the witness itself has to say so.
        self._known = known if latest is not None and known <= latest[0] else 0
        self._pause = FIRST_PAUSE
        self._try_at = float("-inf")

    def turn(self, _wait: float) -> int:
        """A step of the hub's loops, which stop for the store's failures, never for a witness."""
        try:
            return self.step()
        except HubError:
            raise
        except Exception as failure:
            log.error("not_cosigned", witness=self.witness.name, error=type(failure).__name__)
            self.trouble = "failed"
            self._rest()
            return 0

    def step(self) -> int:
        """Ask, if there is something to ask for and it is time. 1 for a new cosignature."""
        if self._steady() < self._try_at:
            return 0
        newest = self._newest()
        if newest is None:
            return 0
        if self._is_fresh(newest[1]):  # by us, or by another process of this hub
            self.trouble = ""
            return 0
        self.trouble = self._cosign(*newest)
        if self.trouble:
            log.warning("not_cosigned", witness=self.witness.name, why=self.trouble)
            self._rest()
            return 0
        self._pause = FIRST_PAUSE
        return 1

    def _rest(self) -> None:
        self._try_at = self._steady() + self._pause
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _is_fresh(self, note: str) -> bool:
        time_ = cosigned_by(note, [self.witness.key]).get(self.witness.key)
        return time_ is not None and self._clock.now().timestamp() - time_ < AGAIN

    def _cosign(self, size: int, note: str) -> str:
        """Get one cosignature. A code of what went wrong, or nothing."""
        for _ in range(ATTEMPTS):
            if self._known > size:  # it has seen a later one of ours, or one that is not ours
                latest = self._store.latest_checkpoint()
                if latest is None or self._known > latest[0]:
                    known, self._known = self._known, 0  # ask anew next time
                    log.error("witness_disagrees", witness=self.witness.name, size=known)
                    return "ahead_of_log"
                size, note = latest
            try:
                answer = ask(self.witness.url, self._request(size, note))
                told = self._understood(answer, size, note)
            except (UnansweredError, WitnessError, TileError) as failure:
                return str(failure)
            if told != "size":
                return told
        return "conflicts"

    def _request(self, size: int, note: str) -> bytes:
        reader = TileReader(self._store.read_tile, size)
        proof = reader.consistency_proof(self._known, size)
        # Without the cosignatures: a witness has no use for those of others.
        own = Note.parse(note.encode())
        return bytes(AddCheckpoint(self._known, proof, bytes(Note(own.text, own.signatures[:1]))))

    def _understood(self, answer: Answer, size: int, note: str) -> str:
        if answer.status == 200:
            line, verified = cosignature_in(
                answer.body, Note.parse(note.encode()).text, [self.witness.key]
            )
            if (verified.time or 0) > self._clock.now().timestamp() + AHEAD:
                return "clock_ahead"
            self._keep(size, line)
            self._known = size
            return ""
        if answer.status == 409:
            if answer.media_type != SIZE_MEDIA_TYPE:
                return "conflict_without_size"
            told = size_told(answer.body)
            if told == self._known:
                return "conflict_without_cause"
            self._known = told
            return "size"
        if answer.status == 422:
            log.error("witness_disagrees", witness=self.witness.name, size=size)
            self._known = 0
            return "not_consistent"
        return {403: "key_not_trusted", 404: "log_not_known"}.get(
            answer.status, f"status_{answer.status}"
        )

    def _keep(self, size: int, line: NoteSignature) -> None:
        """Put it under the checkpoint, whoever else does the same at this moment."""
        while True:
            [(found, note)] = self._store.checkpoints(size - 1, 1)
            assert found == size
            merged = bytes(Note.parse(note.encode()).cosigned(line)).decode()
            if self._store.cosign(size, note, merged, self.witness.follower):
                return


class Witnesses:
    """All witnesses of one hub."""

    def __init__(
        self,
        store: HubLog,
        settings: LogSettings,
        clock: Clock,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._steady = steady
        self._chosen: tuple[int, str] | None = None
        self._chosen_at = float("-inf")
        self._lock = threading.Lock()
        self.settings = settings
        self.since: datetime = clock.now()
        self.lines = tuple(
            Line(one, store, clock, self._newest, steady) for one in settings.witnesses
        )

    def step(self) -> int:
        """Ask all of them, one after the other: for tests and scenario runs."""
        return sum(line.step() for line in self.lines)

    def health(self) -> list[WitnessHealth]:
        return witness_health(self._store, self.settings.witnesses)

    def _newest(self) -> tuple[int, str] | None:
        """The checkpoint of this round, with the cosignatures it has by now."""
        with self._lock:
            if self._chosen is None or self._steady() - self._chosen_at >= ROUND:
                self._chosen = self._store.latest_checkpoint()
                self._chosen_at = self._steady()
            if self._chosen is None:
                return None
            size = self._chosen[0]
        found = self._store.checkpoints(size - 1, 1)
        return found[0] if found else None


__all__ = ["Line", "LogSettings", "WitnessHealth", "Witnesses", "witness_health"]
