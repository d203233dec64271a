"""A clock that jumps withholds rather than leaks, and is trusted again when it behaves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hub.clock import DISTRUST, JUMP, Clock

START = datetime(2026, 3, 2, tzinfo=UTC)


class Times:
    def __init__(self) -> None:
        self.wall, self.steady = START, 0.0

    def pass_(self, seconds: float, *, wall: float | None = None) -> None:
        self.steady += seconds
        self.wall += timedelta(seconds=seconds if wall is None else wall)


def clock_of(times: Times) -> Clock:
    return Clock(lambda: times.wall, lambda: times.steady)


def test_time_never_goes_back() -> None:
    times = Times()
    clock = clock_of(times)
    first = clock.now()
    times.pass_(1, wall=-60)
    assert clock.now() == first


def test_small_corrections_are_trusted() -> None:
    times = Times()
    clock = clock_of(times)
    clock.now()
    times.pass_(10, wall=10 + JUMP - 1)
    clock.now()
    assert clock.trusted


def test_a_jump_is_not_trusted_until_the_clocks_go_together_again() -> None:
    times = Times()
    clock = clock_of(times)
    clock.now()
    times.pass_(10, wall=365 * 86_400)
    clock.now()
    assert not clock.trusted
    times.pass_(DISTRUST + 1)
    clock.now()
    assert clock.trusted


def test_creeping_does_not_escape_notice() -> None:
    times = Times()
    clock = clock_of(times)
    clock.now()
    for _ in range(20):
        times.pass_(10, wall=10 + JUMP / 10)
        clock.now()
    assert not clock.trusted
