"""Killed between any two steps of anything a sink does, and overtaken by a second runner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from connectors.conformance.bench import POINTS, Bench, claimed, dies_applying, killed
from connectors.conformance.made import (
    CANARY,
    NOW,
    batch,
    corrected,
    demographics,
    identity,
    opened_case,
    poison,
    recalled,
)
from connectors.delivery import Arrived, Poison
from connectors.errors import FencedError
from connectors.remote.sink import RemoteSink
from connectors.sink import Sink

Items = Sequence[Arrived | Poison]


@dataclass(frozen=True)
class Act:
    """Something a sink does. first: the sequence it starts at; ref: the event it is about.

    before: what is applied beforehand. does: the act, which may be done again. done: whether its
    effect is there. about: the sequence it is answered for, from first. receipts: how many name
    that sequence in the end.
    """

    before: Callable[[int, str], Items]
    does: Callable[[Sink, int, str], None]
    done: Callable[[Bench, Sink, str], bool]
    about: int = 0
    receipts: int = 1


def _shows(bench: Bench, ref: str, name: str, value: object) -> bool:
    return (bench.shown(ref) or {}).get(name) == value


def _redrive(sink: Sink, sequence: int, item: Arrived) -> None:
    for row in sink.quarantine():
        if row.sequence == sequence:
            sink.redrive(row.id, [item], NOW)


def _discard(sink: Sink, sequence: int) -> None:
    for row in sink.quarantine():
        if row.sequence == sequence:
            sink.discard(row.id, "not_needed", "", NOW)


ACTS = {
    "a release": Act(
        lambda first, ref: [],
        lambda sink, first, ref: sink.apply(batch(identity(first, ref))),
        lambda bench, sink, ref: _shows(bench, ref, "given_name", CANARY),
    ),
    "a further category": Act(
        lambda first, ref: [identity(first, ref)],
        lambda sink, first, ref: sink.apply(batch(demographics(first + 1, ref))),
        lambda bench, sink, ref: _shows(bench, ref, "gender", "f"),
        about=1,
    ),
    "a correction": Act(
        lambda first, ref: [identity(first, ref)],
        lambda sink, first, ref: sink.apply(
            batch(corrected(first + 1, ref, "family_name", "Right", f"{ref}-c"))
        ),
        lambda bench, sink, ref: _shows(bench, ref, "family_name", "Right"),
        about=1,
    ),
    "a recall": Act(
        lambda first, ref: [identity(first, ref)],
        lambda sink, first, ref: sink.apply(batch(recalled(first + 1, (ref, ["identity"])))),
        lambda bench, sink, ref: bench.shown(ref) is None,
        about=1,
    ),
    "release and recall at once": Act(
        lambda first, ref: [],
        lambda sink, first, ref: sink.apply(
            batch(identity(first, ref), recalled(first + 1, (ref, ["identity"])))
        ),
        lambda bench, sink, ref: bench.shown(ref) is None,
        about=1,
    ),
    "poison": Act(
        lambda first, ref: [],
        lambda sink, first, ref: sink.apply(batch(poison(first, ref))),
        lambda bench, sink, ref: any(row.event_ref == ref for row in sink.quarantine()),
    ),
    "a redrive": Act(
        lambda first, ref: [poison(first, ref)],
        lambda sink, first, ref: _redrive(sink, first, identity(first, ref)),
        lambda bench, sink, ref: _shows(bench, ref, "given_name", CANARY),
        receipts=2,
    ),
    "a recall redriven": Act(
        lambda first, ref: [identity(first, ref), poison(first + 1)],
        lambda sink, first, ref: _redrive(
            sink, first + 1, recalled(first + 1, (ref, ["identity"]))
        ),
        lambda bench, sink, ref: bench.shown(ref) is None,
        about=1,
        receipts=2,
    ),
    "a discard": Act(
        lambda first, ref: [poison(first, ref)],
        lambda sink, first, ref: _discard(sink, first),
        lambda bench, sink, ref: all(row.event_ref != ref for row in sink.quarantine()),
        receipts=2,
    ),
}


def _points(sink: Sink) -> Sequence[str]:
    """Those this sink passes: only a system beside the books has steps of its own."""
    return POINTS if isinstance(sink, RemoteSink) else POINTS[2:]


def _answers(sink: Sink, sequence: int) -> int:
    return sum(one.first <= sequence <= one.last for one in sink.owed(1000))


class Crashing:
    @pytest.mark.parametrize("name", ACTS)
    def test_killed_between_any_two_steps(self, bench: Bench, name: str) -> None:
        """Whatever the step: no answer before the effect, and done again it is done once."""
        act = ACTS[name]
        passed = []
        sink = claimed(bench)
        for number, point in enumerate(_points(sink)):
            ref = f"e-{number}"
            first = sink.position().sequence + 1
            before = act.before(first, ref)
            if before:
                sink.apply(batch(*before))
            about = first + act.about
            answers = _answers(sink, about)
            if killed(bench, point, lambda one: act.does(one, first, ref)):  # noqa: B023
                passed.append(point)
            sink = claimed(bench)
            if _answers(sink, about) > answers:
                assert act.done(bench, sink, ref), f"{name}, {point}: answered, and not done"
            act.does(sink, first, ref)
            assert act.done(bench, sink, ref), f"{name}, {point}: done again, and not there"
            assert _answers(sink, about) == act.receipts, f"{name}, {point}"
        missing = set(POINTS[2:]) - set(passed)
        assert not missing, f"the sink calls crash.point() here too: {missing}"
        if "recall" in name:
            assert CANARY.encode() not in bench.stored()

    def test_killed_before_the_commit_nothing_is_there(self, bench: Bench) -> None:
        claimed(bench).apply(batch(opened_case(1)))
        dies_applying(bench, batch(identity(2), poison(3)), "before_sink_commit")
        sink = claimed(bench)
        assert sink.position().sequence == 1
        assert bench.shown("e-1") is None
        assert sink.quarantine() == []
        assert [(one.first, one.last) for one in sink.owed(10)] == [(1, 1)]
        sink.apply(batch(identity(2), poison(3)))
        assert (bench.shown("e-1") or {})["given_name"] == CANARY

    def test_killed_after_the_commit_everything_is_there(self, bench: Bench) -> None:
        dies_applying(bench, batch(identity(1), poison(2)), "after_sink_commit")
        sink = claimed(bench)
        assert sink.position().sequence == 2
        assert (bench.shown("e-1") or {})["given_name"] == CANARY
        assert len(sink.quarantine()) == 1
        assert [(one.first, one.last) for one in sink.owed(10)] == [(1, 2)]

    @pytest.mark.parametrize("point", ["before_sink_commit", "after_sink_commit"])
    def test_killed_during_a_recall(self, bench: Bench, point: str) -> None:
        recall = batch(recalled(3, ("e-1", ["identity"])))
        claimed(bench).apply(batch(identity(1), demographics(2)))
        dies_applying(bench, recall, point)
        claimed(bench).apply(recall)
        assert (bench.shown("e-1") or {})["given_name"] is None
        assert CANARY.encode() not in bench.stored()

    def test_a_second_runner_fences_the_first(self, bench: Bench) -> None:
        first = claimed(bench)
        first.apply(batch(opened_case(1)))
        second = claimed(bench)
        with pytest.raises(FencedError):
            first.apply(batch(identity(2)))
        assert bench.shown("e-1") is None
        second.apply(batch(identity(2)))
        assert (bench.shown("e-1") or {})["given_name"] == CANARY

    def test_an_unclaimed_sink_does_not_write(self, bench: Bench) -> None:
        with pytest.raises(FencedError):
            bench.open().apply(batch(identity(1)))
