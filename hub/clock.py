"""The hub's clock: one port, never used for order.

Hub time never goes backwards: `now()` is the later of the previous answer and the source. When the
source jumps against the machine's steady clock by more than five minutes, `trusted` is False until
the two have gone together again for ten: whatever can expire then counts as expired, so a wrong
clock withholds rather than leaks, and says so. A scenario run passes a source that follows the
events' own times, and no steady clock.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

JUMP = 300.0  # seconds
DISTRUST = 600.0  # seconds


def wall_clock() -> datetime:
    return datetime.now(UTC)


class Clock:
    """Monotonic hub time, in UTC. Safe to share between threads."""

    def __init__(
        self,
        source: Callable[[], datetime] = wall_clock,
        steady: Callable[[], float] | None = time.monotonic,
    ) -> None:
        """steady: seconds of a clock nobody can set; None where time is told, not measured."""
        self._source = source
        self._steady = steady
        self._last = datetime(1970, 1, 1, tzinfo=UTC)
        self._lock = threading.Lock()
        self._offset: float | None = None
        self._distrusted_until = float("-inf")

    def now(self) -> datetime:
        with self._lock:
            told = self._source()
            self._compare(told)
            self._last = max(self._last, told)
            return self._last

    @property
    def trusted(self) -> bool:
        """Whether the source and the steady clock have gone together lately."""
        return self._steady is None or self._steady() >= self._distrusted_until

    def _compare(self, told: datetime) -> None:
        if self._steady is None:
            return
        steady = self._steady()
        offset = told.timestamp() - steady
        if self._offset is not None and abs(offset - self._offset) > JUMP:
            self._distrusted_until = steady + DISTRUST
        if self._offset is None or abs(offset - self._offset) > JUMP:
            self._offset = offset


class ScenarioTime:
    """A source for `Clock` that stands where it was put: a scenario's own time."""

    def __init__(self, start: datetime) -> None:
        self.at = start

    def __call__(self) -> datetime:
        return self.at
