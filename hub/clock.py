"""The hub's clock: one port, never used for order.

Hub time never goes backwards: `now()` is the later of the previous answer and the source.
A scenario run passes a source that follows the events' own times.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime


def wall_clock() -> datetime:
    return datetime.now(UTC)


class Clock:
    """Monotonic hub time, in UTC. Safe to share between threads."""

    def __init__(self, source: Callable[[], datetime] = wall_clock) -> None:
        self._source = source
        self._last = datetime(1970, 1, 1, tzinfo=UTC)
        self._lock = threading.Lock()

    def now(self) -> datetime:
        with self._lock:
            self._last = max(self._last, self._source())
            return self._last


class ScenarioTime:
    """A source for `Clock` that stands where it was put: a scenario's own time."""

    def __init__(self, start: datetime) -> None:
        self.at = start

    def __call__(self) -> datetime:
        return self.at
