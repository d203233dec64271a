"""The bench: how the suite opens a sink, looks at what the partner sees, and kills it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, Protocol

from connectors import crash
from connectors.sink import Batch, RecallPolicy, Sink
from schemas.registry import Schemas

POINTS = ("before_remote", "after_remote", "before_sink_commit", "after_sink_commit")
"""Every crash point of the sinks over `connectors/landing.py` and `connectors/remote/`; not every
sink passes all."""


class Bench(Protocol):
    """The sink under test and its storage.

    May have close(), which ends what it opened.
    """

    schemas: Schemas

    def open(self, recalls: RecallPolicy | None = None) -> Sink:
        """A sink on the same storage, prepared, not yet claimed; as a new process would."""

    def shown(self, event_ref: str) -> dict[str, Any] | None:
        """The event's fields as the partner sees them, by name; None if the event is not there.

        AssertionError, or any other error, if it is there twice.
        """

    def stored(self) -> bytes:
        """Every byte of the storage, to look for what must be gone; b"" if it cannot be had."""


class OutageBench(Bench, Protocol):
    """A bench whose storage can be taken away."""

    def outage(self) -> AbstractContextManager[None]:
        """While it lasts the partner's system cannot be reached or does not work; nothing is lost.

        Also sinks opened before must notice.
        """


class StumblingBench(Bench, Protocol):
    """A bench whose storage can be made to fail for one event among others."""

    def broken(self, event_ref: str) -> AbstractContextManager[None]:
        """While it lasts the partner's system fails at whatever is written for this event: one file
        that cannot be opened, one row that a rule refuses. It takes everything else."""


def claimed(bench: Bench, recalls: RecallPolicy | None = None) -> Sink:
    sink = bench.open(recalls)
    sink.claim()
    return sink


def killed(bench: Bench, point: str, act: Callable[[Sink], object]) -> bool:
    """Act on the sink in a child process that dies at a crash point, as kill -9 would.

    True if it died there; False if the act ended without passing the point.
    """
    child = os.fork()
    if child == 0:
        status = 1
        try:
            sink = claimed(bench)
            crash.arm(point)
            act(sink)
            status = 0
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, crash.STATUS), "the act failed in itself"
    return status == crash.STATUS


def dies_applying(bench: Bench, what: Batch, point: str) -> None:
    """Apply in a child process that is killed at a crash point."""
    assert killed(bench, point, lambda sink: sink.apply(what)), f"{point} was not passed"
