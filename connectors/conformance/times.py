"""Clocks that jump, partners that are slow: order is by sequence, never by time."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from datetime import datetime, timedelta

from connectors import crash
from connectors.conformance.bench import Bench, claimed
from connectors.conformance.made import CANARY, NOW, identity, opened_case, recalled
from connectors.delivery import Arrived
from connectors.errors import FencedError, SinkDownError
from connectors.sink import Batch

SLOW = 0.2  # seconds


def at(when: datetime, *items: Arrived) -> Batch:
    return Batch(items, when)


class Times:
    def test_a_clock_that_jumps_changes_no_order(self, bench: Bench) -> None:
        years = timedelta(days=366)
        sink = claimed(bench)
        sink.apply(at(NOW, identity(1)))
        sink.apply(at(NOW - 5 * years, opened_case(2)))
        sink.apply(at(NOW + 30 * years, recalled(3, ("e-1", ["identity"]))))
        sink.apply(at(NOW - 30 * years, identity(4, "e-4")))
        assert bench.shown("e-1") is None
        assert (bench.shown("e-4") or {})["given_name"] == CANARY
        assert [(one.first, one.last) for one in sink.owed(10)] == [(n, n) for n in (1, 2, 3, 4)]
        assert claimed(bench).position().sequence == 4
        sink = claimed(bench)
        sink.apply(at(NOW, identity(1)))
        assert bench.shown("e-1") is None, "a recall holds, whatever the clock says"

    def test_what_happened_long_ago_or_later_is_kept(self, bench: Bench) -> None:
        far = 60 * 24 * 365 * 90  # minutes
        sink = claimed(bench)
        past, future = identity(1, "e-1"), identity(2, "e-2")
        assert past.occurred_at is not None
        moved = timedelta(minutes=far)
        sink.apply(
            at(
                NOW,
                replace(past, occurred_at=past.occurred_at - moved),
                replace(future, occurred_at=past.occurred_at + moved),
            )
        )
        assert (bench.shown("e-1") or {})["given_name"] == CANARY
        assert (bench.shown("e-2") or {})["given_name"] == CANARY

    def test_a_second_runner_beside_a_slow_one(self, bench: Bench) -> None:
        """One transaction takes long; meanwhile another runner starts. The effect is one."""
        bench.open()  # what is made once is there
        claims, told = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                slow = claimed(bench)
                os.write(told, b"claimed")
                crash.point = lambda name: time.sleep(SLOW * (name == "before_sink_commit"))
                slow.apply(at(NOW, identity(1)))
            except (FencedError, SinkDownError):
                pass  # overtaken, or locked out: it has written nothing
            finally:
                os._exit(0)
        os.close(told)
        with open(claims, "rb") as first:
            assert first.read(7), "the slow one could not claim the sink"
        time.sleep(SLOW / 2)
        for _ in range(50):
            try:
                second = claimed(bench)
                second.apply(at(NOW, identity(1), opened_case(2)))
                break
            except SinkDownError:
                time.sleep(SLOW / 4)
        os.waitpid(child, 0)
        assert (bench.shown("e-1") or {})["given_name"] == CANARY
        assert second.position().sequence == 2
        owed = [(one.first, one.last) for one in second.owed(10)]
        assert owed in ([(1, 2)], [(1, 1), (2, 2)]), "each sequence has one receipt"
