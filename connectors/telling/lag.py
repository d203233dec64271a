"""Lag: how far a connector is behind what the hub holds for it, in deliveries and in seconds.

The hub's messages bear no time, so seconds count from when this connector first knew of a delivery
that it has not applied yet. Numbers only: no reference, no type, no content.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final, Protocol, runtime_checkable

_SAMPLES: Final = 1_000


@runtime_checkable
class Newest(Protocol):
    """An inbox that can say how far it goes without reading it all."""

    def newest(self, after: int) -> int:
        """The last sequence there is for this agency; `after` if there is none behind it.

        TransportDownError while the hub is away.
        """


@dataclass
class Lag:
    """What is known to be there, against what is applied. Times in seconds of one clock."""

    newest: int = 0
    _seen: deque[tuple[float, int]] = field(default_factory=deque)

    def there(self, sequence: int, now: float) -> None:
        """The hub holds deliveries up to `sequence`."""
        if sequence <= self.newest:
            return
        self.newest = sequence
        if len(self._seen) >= _SAMPLES:  # the coarser, the longer it lasts
            kept = list(self._seen)[::2]
            self._seen = deque(kept)
        self._seen.append((now, sequence))

    def deliveries(self, position: int) -> int:
        return max(0, self.newest - position)

    def seconds(self, position: int, now: float) -> float:
        """Since when the oldest delivery not applied is known; 0 if there is none."""
        while self._seen and self._seen[0][1] <= position:
            self._seen.popleft()
        return now - self._seen[0][0] if self._seen else 0.0
