"""I3: a withdrawal racing deliveries thousands of times, and with real threads and processes.

To play a failing schedule again: RACE=seed:steps pytest tests/consent/test_race.py -k again
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub import exchange as exchanging
from hub.hub import Hub
from hub.sending import marking
from tests.consent.race import Verdict, check, fewest, run, world

STEPS = 10_000  # more than any schedule takes


def judged(seed: int, steps: int = STEPS) -> Verdict:
    verdict = run(seed, steps)
    if verdict.problems:
        least = fewest(verdict.steps, lambda middle: bool(run(seed, middle).problems))
        shown = "\n".join(verdict.problems[:5])
        pytest.fail(f"RACE={seed}:{least} plays the shortest schedule found again:\n{shown}")
    return verdict


@pytest.mark.parametrize(
    "seeds", [range(2), pytest.param(range(2, 10), marks=pytest.mark.deep)], ids=["some", "rest"]
)
def test_thousands_of_withdrawals_race_their_deliveries(seeds: range) -> None:
    """Two hundred to a seed; two thousand in all in `make thorough`."""
    verdicts = [judged(seed) for seed in seeds]
    most = len(seeds) * 200
    assert sum(one.withdrawals for one in verdicts) == most
    assert sum(one.overtaken for one in verdicts) > most / 8, "something was in flight"
    assert sum(one.held_back for one in verdicts) > most / 8, "something was not marked yet"
    assert sum(one.told["intruded"] for one in verdicts) > most / 40, "before its commit"
    assert all(one.told["restart"] > 0 for one in verdicts)


def test_again() -> None:
    """The schedule RACE names; without it, that a seed and its steps are the same schedule."""
    named = os.environ.get("RACE")
    if named is not None:
        seed, _, steps = named.partition(":")
        assert run(int(seed), int(steps)).problems == []
        return
    first, second = (run(3, 60, cases=20) for _ in range(2))
    assert first == second
    assert first.problems == []


def no_second_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(marking, "standing", lambda _case, _to, _event, bases, *_: dict(bases))


def no_recall(monkeypatch: pytest.MonkeyPatch) -> None:
    from hub import deliveries

    monkeypatch.setattr(deliveries, "recalls", lambda *_: ((), {}))


def no_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that takes a draft although the log has moved on since it was made."""
    from hub.store.log import HubLog

    whole = HubLog.append

    def append(self: HubLog, events: Any, *, expected_head: int, **options: Any) -> None:
        whole(self, events, expected_head=max(expected_head, self.head), **options)

    monkeypatch.setattr(HubLog, "append", append)


def everything_in_flight(monkeypatch: pytest.MonkeyPatch) -> None:
    """An acknowledgement that also lists what was decided and never marked."""
    monkeypatch.setattr(
        exchanging,
        "in_flight",
        lambda settlement, _marked: [
            (one.to, *item) for one in settlement.recalls for item in one.items
        ],
    )


PLANTS: list[Callable[[pytest.MonkeyPatch], None]] = [
    no_second_look,
    no_recall,
    no_fence,
    everything_in_flight,
]


@pytest.mark.parametrize("plant", PLANTS, ids=lambda one: one.__name__)
def test_the_check_sees_red(
    plant: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault planted in the product is found, and its schedule shortened."""
    plant(monkeypatch)

    def fails(steps: int) -> bool:
        try:
            return bool(run(1, steps, cases=30, cycles=2).problems)
        except Exception:  # a store without its fence may well stop the hub first
            return plant is no_fence

    assert fails(STEPS)


def test_a_failing_schedule_is_shortened() -> None:
    asked: list[int] = []

    def fails(steps: int) -> bool:
        asked.append(steps)
        return steps >= 37

    assert fewest(400, fails) == 37
    assert len(asked) < 12


# -- threads and processes -----------------------------------------------------------------------


def test_real_threads_of_two_hubs() -> None:
    """Two hubs that publish on their own, and a thread per case that says its script."""
    with world(7, cases=8, cycles=6) as one:
        wrong: list[BaseException] = []

        def say(number: int) -> None:
            case, hub = one.cases[number], one.hubs[number % 2]
            try:
                for admission in case.script:
                    [[outcome]] = hub.exchange.record([admission])
                    assert outcome.accepted, outcome.refusal
            except BaseException as failure:
                wrong.append(failure)

        for hub in one.hubs:
            hub.start(frozenset({"hub"}))
        threads = [threading.Thread(target=say, args=(n,)) for n in range(len(one.cases))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        settle(one.hubs[0])
        assert wrong == []
        assert [hub.failure for hub in one.hubs] == [None, None]
        verdict = check(one.road.hub.exchange.log)
        assert verdict.problems == []
        assert verdict.withdrawals == 8 * 6


PROCESS = """
import sys
from pathlib import Path
from hub.clock import Clock
from hub.home import Home
from hub.hub import Hub
from tests.road import START
hub = Hub.open(Home(Path(sys.argv[1])), Clock(lambda: START, steady=None))
hub.start(frozenset({"hub"}))
print("ready", flush=True)
sys.stdin.readline()
failed = hub.failure
hub.stop()
sys.exit(1 if failed else 0)
"""


def test_another_process_publishes_what_this_one_records() -> None:
    root = Path(__file__).parents[2]
    with world(11, cases=8, cycles=6) as one:
        home = str(one.road.folder / "hub")
        child = subprocess.Popen(
            [sys.executable, "-c", PROCESS, home],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root,
        )  # fmt: skip
        try:
            assert child.stdout is not None
            assert child.stdout.readline().strip() == "ready"
            while not all(case.over for case in one.cases):
                one.record(one.hubs[one.chance.randrange(2)])
                if one.chance.random() < 0.3:
                    one.mark(one.hubs[1])
            settle(one.hubs[0])
            child.communicate("stop\n", timeout=60)
            assert child.returncode == 0
        finally:
            child.kill()
            child.wait()
        verdict = check(one.road.hub.exchange.log)
        assert verdict.problems == []
        assert verdict.withdrawals == 8 * 6


def settle(hub: Hub) -> None:
    """Until everything recorded is marked, whoever marks it."""
    for _ in range(10_000):
        hub.exchange.catch_up()
        hub.publisher.mark()
        if hub.publisher._marked_to >= hub.exchange.log.head:
            return
    pytest.fail("marking does not come to an end")
