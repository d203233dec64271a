"""Processes to kill: started quickly, told apart by their own ids, never found by name.

They are forked from a server that has imported everything already, so that a restart costs a
fifth of a second and not two; what they do then is what the programs do. Each has a pipe to this
process: it says `ready` or why it failed, and takes the crash point to die at.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE

_FORKING = multiprocessing.get_context("forkserver")
_FORKING.set_forkserver_preload(["tests.chaos.hub_process", "tests.chaos.connector_process"])

CRASHED = 137  # hub.crash.STATUS, connectors.crash.STATUS


class ChaosError(AssertionError):
    """A process of a test did not do what the test rests on."""


class Child:
    """One process of ours."""

    def __init__(self, name: str, log: Path, main: Callable[..., None], *arguments: Any) -> None:
        self.name = name
        self.log = log
        self._talk, theirs = _FORKING.Pipe()
        self._process = _FORKING.Process(
            target=main, args=(theirs, str(log), *arguments), name=name, daemon=True
        )
        self._process.start()
        theirs.close()
        self.failure = ""

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.is_alive()

    # -- talking -----------------------------------------------------------------------------

    def ready(self, timeout: float = PATIENCE) -> Child:
        """Wait until it works. ChaosError if it ends or says that it cannot."""
        if self._hear("ready", timeout) is None:
            raise ChaosError(f"{self.name} did not start: {self.failure or self.last_words()}")
        return self

    def arm(self, point: str) -> None:
        """Let it die at a crash point: `name` or `name:n`, counted from now."""
        self._talk.send(("arm", point))
        if self._hear("armed", PATIENCE) is None:
            raise ChaosError(f"{self.name} ended before it was armed: {self.last_words()}")

    def _hear(self, wanted: str, timeout: float) -> Any:
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            try:
                if not self._talk.poll(min(0.5, max(0.0, deadline - time.monotonic()))):
                    continue
                what, told = self._talk.recv()
            except (EOFError, OSError):
                return None
            if what == wanted:
                return told
            if what == "failed":
                self.failure = str(told)
        return None

    def last_words(self) -> str:
        return self.log.read_text("utf-8", "replace")[-1500:] if self.log.exists() else ""

    # -- ending ------------------------------------------------------------------------------

    def wait(self, timeout: float) -> int | None:
        """Its exit status; None if it still runs."""
        self._process.join(timeout)
        status = self._process.exitcode
        if status is not None:
            while self._hear("", 0.0) is not None:  # what it said last
                pass
        return status

    def signal(self, number: int) -> None:
        """To this very process, while it is not reaped: its id cannot be another's."""
        if self._process.is_alive():
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self._process.join(30)

    def freeze(self) -> None:
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def stop(self) -> int | None:
        """In order; by force if that takes long."""
        with suppress(OSError):
            self._talk.send(("stop", ""))
        status = self.wait(PATIENCE)
        if status is None:
            self.kill()
        self._talk.close()
        return status
