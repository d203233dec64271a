"""Break-glass windows: short, narrow, reviewed (docs/release.md 2.10, 6.5)."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from datetime import datetime, timedelta

LONGEST = timedelta(hours=24)


@dataclass(slots=True)
class Window:
    """What one `BreakGlassInvoked` opened: `[opens, closes)`, for the invoker alone.

    requested: categories asked for; which of them open is for the profile to say, by role.
    closed: a review found it not justified; it stays shut.
    """

    event_id: str
    agency: str
    opens: datetime
    closes: datetime
    requested: Set[str]
    closed: bool = False

    @classmethod
    def of(
        cls,
        event_id: str,
        agency: str,
        at: datetime,
        expires_at: datetime | None,
        requested: Set[str],
    ) -> Window:
        latest = at + LONGEST
        closes = latest if expires_at is None else min(latest, expires_at)
        return cls(event_id, agency, at, closes, requested)

    def open(self, now: datetime) -> bool:
        return not self.closed and self.opens <= now < self.closes
