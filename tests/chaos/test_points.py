"""Killed at every named point, once each, under load: nothing acknowledged is lost or done twice.

After each death the process is started again, everything is let arrive, and the checker holds hub
and partners to what the agencies were told. The town of a place lives through all of its points.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.chaos.checker import judge
from tests.chaos.conftest import SERVERS
from tests.chaos.processes import CRASHED
from tests.chaos.town import Town
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

HUB = {  # point → how often it may be passed before the process dies there
    "store_before_commit": 20,
    "store_after_commit": 20,
    "after_record": 6,
    "after_ingest_record": 4,
    "after_answers": 4,
    "after_mark": 4,
    "after_append": 4,
    "after_send": 4,
    "after_trim": 2,
    "after_receipts_record": 3,
    "before_checkpoint": 2,
    "after_checkpoint": 2,
    "shred_after_mark": 1,
    "shred_after_key": 1,
    "shred_before_commit": 1,
    "shred_after_rewrap": 1,
    "shred_after_overwrite": 1,
    "shred_after_replace": 1,
    "after_shred": 1,
}
CONNECTOR = {
    "before_sink_commit": 5,
    "after_sink_commit": 5,
    "before_receipts": 5,
    "after_receipts": 5,
}
ELSEWHERE = {
    *("after_own_event", "after_fired"),  # tests/timers/test_killed.py
    *("before_redrive", "after_redrive"),  # tests/exchange/test_redrives_late.py
    "witness_after_persist",  # tests/witness/test_processes.py
    *("before_remote", "after_remote", "before_forgotten"),  # tests/connectors/relay/test_relay.py
    *("held", "before_rename", "after_rename", "removing"),  # tests/connectors
    # tests/sources/test_killed.py
    *("source_after_read", "source_before_send", "source_after_answer", "source_after_mark"),
    *("source_after_claim", "source_after_rows", "source_before_move", "source_after_move"),
    *("source_after_listen", "source_after_advance"),
}
PLACES = ["embedded", SERVERS]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def street(towns: Callable[..., Town]) -> Callable[[str], Town]:
    """The town of a place; another one after something went wrong there."""
    standing: dict[str, Town] = {}

    def town(place: str) -> Town:
        known = standing.get(place)
        if known is None or known.problems:
            known = standing[place] = towns(place)
            known.start(seed=7, desks=2, cases=1, pause=0.02)
        return known

    return town


def by_turns() -> list[object]:
    """Every point at one of the two places, by turns; in `make thorough` each at both."""
    return [
        pytest.param(place, point, marks=[*marks, *[pytest.mark.deep] * ((number + turn) % 2)])
        for turn, (place, marks) in enumerate((("embedded", ()), ("servers", SERVERS.marks)))
        for number, point in enumerate([*HUB, *CONNECTOR])
    ]


@pytest.mark.parametrize(("place", "point"), by_turns())
def test_killed_at(street: Callable[[str], Town], place: str, point: str) -> None:
    town = street(place)
    assert town.desks is not None
    assert town.hub is not None
    town.desks.erasing = 0.8 if "shred" in point else 0.1
    passes = random.Random(f"{place}/{point}").randint(1, {**HUB, **CONNECTOR}[point])
    victim = town.hub if point in HUB else town.connectors["SH-1"]
    town.desks.work()
    victim.arm(f"{point}:{passes}")
    status = victim.wait(PATIENCE)
    town.look()
    if status != CRASHED:
        town.problems.append(f"{victim.name} was to die at {point}:{passes}, ended with {status}")
    elif point in HUB:
        town.start_hub()
    else:
        town.start_connector("SH-1")
    town.settle(covered=True)
    found = judge(town, resubmit=False)
    town.problems += found
    assert not found, "\n".join(found)


@pytest.mark.parametrize("place", PLACES)
def test_everything_stated_again_is_answered_the_same(
    street: Callable[[str], Town], place: str
) -> None:
    town = street(place)
    town.settle(covered=True)
    assert judge(town) == []


def test_no_point_is_left_out() -> None:
    named: dict[str, set[str]] = {"hub": set(), "connectors": set()}
    for folder in ("hub", "consumers", "connectors"):
        for path in (ROOT / folder).rglob("*.py"):
            found = re.findall(r'\bpoint\("(\w+)"\)', path.read_text("utf-8"))
            named["connectors" if folder == "connectors" else "hub"].update(found)
    assert named["hub"] - {"name"} - ELSEWHERE == set(HUB)
    assert named["connectors"] - {"name"} - ELSEWHERE == set(CONNECTOR)
