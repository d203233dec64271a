"""Periods: the months, quarters and years that tables are about, in UTC days.

`2026`, `2026-Q1`, `2026-03`; written in one way only, so that a period has one name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta

from hub.errors import Refused

_NAME = re.compile(r"(19[89]\d|20\d\d|21\d\d)(?:-Q([1-4])|-(0[1-9]|1[0-2]))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Period:
    """From its first day up to and including its last."""

    name: str
    first: date
    last: date

    @classmethod
    def parse(cls, name: str) -> Period:
        """Raises Refused(bad_period) for anything else."""
        match = _NAME.fullmatch(name)
        if match is None:
            raise Refused(
                0, "bad_period", "a period is a year (2026), quarter (2026-Q1) or month (2026-03)"
            )
        year, quarter, month = int(match[1]), match[2], match[3]
        start, months = 1, 12
        if quarter:
            start, months = 3 * int(quarter) - 2, 3
        elif month:
            start, months = int(month), 1
        after = year * 12 + start - 1 + months
        end = date(after // 12, after % 12 + 1, 1) - timedelta(days=1)
        return cls(name, date(year, start, 1), end)

    def __contains__(self, day: date | None) -> bool:
        return day is not None and self.first <= day <= self.last

    def overlaps(self, other: Period) -> bool:
        return self.first <= other.last and other.first <= self.last
