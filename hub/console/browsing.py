"""Browsing: how much one viewer opens, and when that is more than work asks for.

Counted per viewer and clock hour (UTC), and per night. Two thresholds each: beyond the first an
alarm is raised for others to look at, once per hour or night; beyond the second nothing more is
shown until the hour is over. What is counted is in the log, so a restart forgets nothing, and a
look costs the same however many there were before.

Pure: recorded looks in, counts out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from hub.store.events import ConsoleLooked

HOUR: Final = timedelta(hours=1)
KEPT: Final = timedelta(hours=36)  # longer than any window; read back at the start

NEVER_COUNTED: Final = frozenset({"too_many_looks"})
"""Refusals that follow from a limit: they must not keep it shut."""


class BrowsingLimits(BaseModel):
    """Thresholds per viewer; `_stop` is where nothing more is shown. 0 switches one off."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cases_per_hour: int = Field(default=30, ge=0)
    cases_per_hour_stop: int = Field(default=120, ge=0)
    looks_per_hour: int = Field(default=300, ge=0)
    looks_per_hour_stop: int = Field(default=1_500, ge=0)
    refusals_per_hour: int = Field(default=10, ge=0)
    refusals_per_hour_stop: int = Field(default=60, ge=0)
    cases_per_night: int = Field(default=10, ge=0)
    night_begins: int = Field(default=21, ge=0, le=23)
    """Hour, UTC."""
    night_ends: int = Field(default=4, ge=0, le=23)


@dataclass(frozen=True, slots=True)
class Crossing:
    """A threshold that a viewer is beyond. window: when it began."""

    rule: str
    window: datetime
    count: int
    limit: int


@dataclass
class _Counts:
    cases: set[str] = field(default_factory=set)
    looks: int = 0
    refusals: int = 0


@dataclass
class Browsing:
    """Counts of every viewer, by the grant's log position."""

    limits: BrowsingLimits
    _hours: dict[tuple[int, datetime], _Counts] = field(default_factory=dict)
    _nights: dict[tuple[int, datetime], set[str]] = field(default_factory=dict)
    _newest: datetime | None = None

    def note(self, row: ConsoleLooked) -> None:
        """Count one recorded look or refusal."""
        if row.refused in NEVER_COUNTED:
            return
        hour = hour_of(row.timestamp)
        if self._newest is None or hour > self._newest:
            self._newest = hour
            self._forget(row.timestamp)
        counts = self._hours.setdefault((row.granted, hour), _Counts())
        if row.refused:
            counts.refusals += 1
            return
        counts.looks += 1
        if _is_case(row.about):
            counts.cases.add(row.about)
            night = self._night(row.timestamp)
            if night is not None:
                self._nights.setdefault((row.granted, night), set()).add(row.about)

    def crossed(self, granted: int, now: datetime) -> Iterator[Crossing]:
        """Every first threshold this viewer is beyond."""
        limits, hour = self.limits, hour_of(now)
        counts = self._hours.get((granted, hour), _NONE)
        yield from _over("cases_per_hour", hour, len(counts.cases), limits.cases_per_hour)
        yield from _over("looks_per_hour", hour, counts.looks, limits.looks_per_hour)
        yield from _over("refusals_per_hour", hour, counts.refusals, limits.refusals_per_hour)
        night = self._night(now)
        if night is not None:
            cases = len(self._nights.get((granted, night), ()))
            yield from _over("cases_per_night", night, cases, limits.cases_per_night)

    def shut(self, granted: int, now: datetime, about: str = "") -> Crossing | None:
        """The second threshold that another look would pass, if any.

        A case that was opened this hour already may be opened again.
        """
        limits, hour = self.limits, hour_of(now)
        counts = self._hours.get((granted, hour), _NONE)
        new = int(_is_case(about) and about not in counts.cases)
        for rule, count, limit in (
            ("cases_per_hour", len(counts.cases) + new, limits.cases_per_hour_stop),
            ("looks_per_hour", counts.looks + 1, limits.looks_per_hour_stop),
            ("refusals_per_hour", counts.refusals + 1, limits.refusals_per_hour_stop),
        ):
            if not new and rule == "cases_per_hour":
                continue
            for crossing in _over(rule, hour, count, limit):
                return crossing
        return None

    def _night(self, at: datetime) -> datetime | None:
        """When the night of this instant began; None by day."""
        begins, ends = self.limits.night_begins, self.limits.night_ends
        hours_in = (at.hour - begins) % 24
        if hours_in >= (ends - begins) % 24:
            return None
        return hour_of(at) - timedelta(hours=hours_in)

    def _forget(self, now: datetime) -> None:
        for hour in [key for key in self._hours if now - key[1] > 2 * HOUR]:
            del self._hours[hour]
        for night in [key for key in self._nights if now - key[1] > KEPT]:
            del self._nights[night]


_NONE: Final = _Counts()


def hour_of(at: datetime) -> datetime:
    """When the clock hour of an instant began."""
    return at.replace(minute=0, second=0, microsecond=0)


def _over(rule: str, window: datetime, count: int, limit: int) -> Iterator[Crossing]:
    if limit and count > limit:
        yield Crossing(rule, window, count, limit)


def _is_case(about: str) -> bool:
    try:
        UUID(about)
    except ValueError:
        return False
    return True
