"""The partner's system is away for days: nothing lost, nothing quarantined, receipts late.

class TestOutages(OutageConformance):
    @pytest.fixture
    def bench(self, tmp_path): return MyBench(tmp_path)     # with outage()
"""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.conformance.bench import OutageBench, StumblingBench, claimed
from connectors.conformance.made import CANARY, NOW, batch, identity, opened_case, poison, recalled
from connectors.errors import SinkDownError, SinkRefusedError
from connectors.sink import Batch, Sink

TRIES = 3


class OutageConformance:
    """For sinks whose system can be taken away under the test."""

    def test_it_is_waited_out(self, bench: OutageBench) -> None:
        sink = claimed(bench)
        sink.apply(batch(opened_case(1)))
        later = Batch(
            (identity(2), poison(3), recalled(4, ("e-0", ["case_management"]))),
            NOW + timedelta(days=3),
        )
        with bench.outage():
            for _ in range(TRIES):
                with pytest.raises(SinkDownError):
                    sink.apply(later)
        assert sink.position().sequence == 1
        assert sink.quarantine() == []
        assert [(one.first, one.last) for one in sink.owed(10)] == [(1, 1)]
        sink.apply(later)
        assert (bench.shown("e-1") or {})["given_name"] == CANARY
        assert bench.shown("e-0") is None
        assert [row.sequence for row in sink.quarantine()] == [3]
        [_, late] = sink.owed(10)
        assert (late.first, late.last, late.applied_at) == (2, 4, later.received_at)

    def test_a_process_that_starts_in_it_waits_too(self, bench: OutageBench) -> None:
        claimed(bench).apply(batch(opened_case(1)))

        def start() -> Sink:
            sink = claimed(bench)
            sink.apply(batch(identity(2)))
            return sink

        with bench.outage(), pytest.raises(SinkDownError):
            start()
        assert start().position().sequence == 2
        assert (bench.shown("e-1") or {})["given_name"] == CANARY

    def test_what_it_says_holds_no_content(self, bench: OutageBench) -> None:
        sink = claimed(bench)
        sink.apply(batch(opened_case(1)))
        with bench.outage(), pytest.raises(SinkDownError) as down:
            sink.apply(batch(identity(2)))
        assert CANARY not in str(down.value)
        assert len(str(down.value).split()) > 2, "it says what to look at"


class StumblingConformance:
    """For sinks whose system can be made to fail for one event among others."""

    def test_one_that_fails_is_not_passed_over(self, bench: StumblingBench) -> None:
        sink = claimed(bench)
        three = batch(opened_case(1, "e-0"), identity(2), identity(3, "e-2"))
        with bench.broken("e-1"), pytest.raises((SinkDownError, SinkRefusedError)) as told:
            sink.apply(three)
        assert CANARY not in str(told.value)
        assert sink.position().sequence == 0, "a batch is taken wholly, or not at all"
        assert sink.owed(10) == [], "nothing is answered that was not taken"
        again = claimed(bench)
        again.apply(three)
        for ref, name, value in (("e-0", "channel", "self"), *_BOTH):
            assert (bench.shown(ref) or {})[name] == value


_BOTH = (("e-1", "given_name", CANARY), ("e-2", "given_name", CANARY))
