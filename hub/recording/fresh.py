"""Fresh rows: what this process has just recorded, for followers that would only read it back.

Kept until every follower that asks for them has passed, and never beyond `KEPT_ROWS`; who is too
late, or starts, reads the log. Rows are without gap: as soon as another process has recorded
something, nothing of before is kept. With a row lies its person's secret, so all of it is forgotten
at an erasure, and nothing is kept in a process in which nobody asks.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterable
from itertools import islice

from hub.recording.draft import Fresh

KEPT_ROWS = 30_000


class FreshRows:
    """For any thread. A follower begins to count with its first question."""

    def __init__(self) -> None:
        self._rows: deque[Fresh] = deque(maxlen=KEPT_ROWS)
        self._passed: dict[str, int] = {}  # follower → the position it asked after last
        self._lock = threading.Lock()

    def add(self, rows: Iterable[Fresh]) -> None:
        """Recorded behind all others there are."""
        with self._lock:
            if self._passed:
                self._rows.extend(rows)

    def after(self, follower: str, position: int, limit: int) -> list[Fresh]:
        """Rows recorded next after `position`; empty if they must be read back."""
        with self._lock:
            self._passed[follower] = position
            all_passed = min(self._passed.values())
            while self._rows and self._rows[0].position <= all_passed:
                self._rows.popleft()
            if not self._rows or self._rows[0].position > position + 1:
                return []
            start = position + 1 - self._rows[0].position
            return list(islice(self._rows, start, start + limit))

    def forget(self) -> None:
        """Followers read back from the log from here on."""
        with self._lock:
            self._rows.clear()
