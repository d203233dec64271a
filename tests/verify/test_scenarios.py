"""The second opinion on recorded cases: every shipped scenario, through the whole hub."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.home import Home
from hub.hub import Hub
from hub.scenario import Servers, run
from hub.scenario.story import read
from hub.store import events as stored
from tests.played import NAMES, play, scenario
from tests.road import Road
from tests.scenarios.completing import completed
from tests.verify.made import checked, made


@pytest.fixture(scope="module", params=NAMES)
def road(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Road]:
    road = play(tmp_path_factory.mktemp(request.param), scenario(request.param))
    yield road
    road.close()


def cases(hub: Hub) -> dict[str, int]:
    """Case id → number of its events."""
    found: dict[str, int] = {}
    for one in hub.exchange.log.read(0, 100_000):
        if isinstance(one.event, stored.EventAccepted):
            name = one.event.originator_id.hex
            found[name] = found.get(name, 0) + 1
    return found


def test_every_case_verifies_and_every_decision_comes_out_the_same(road: Road) -> None:
    released = 0
    for case, events in cases(road.hub).items():
        report = checked(made(road.hub, case=case), road.hub)
        assert report.decided is not None
        assert report.decided.events == events
        assert report.sent.waiting == 0
        released += report.decided.released
    assert released


@pytest.mark.parametrize("seed", [8])
def test_random_stories_on_the_whole_road(seed: int, tmp_path: Path) -> None:
    """Backfill, recalls and sealed dates of birth; tests/verify/test_second_opinion.py has many."""
    story = read(completed(seed, length=60))
    with Servers() as servers:
        run(story, servers, home=tmp_path / "home")
    hub = Hub.open(Home(tmp_path / "home" / "hub"))
    try:
        for case, events in cases(hub).items():
            report = checked(made(hub, case=case), hub)
            assert report.decided is not None
            assert report.decided.events == events
            assert report.sent.releases
    finally:
        hub.stop()


@pytest.mark.postgres
def test_of_a_hub_on_postgresql_with_embedded_topics(
    tmp_path: Path, new_postgres_database: Callable[[], str]
) -> None:
    road = play(tmp_path, scenario("S1"), store=new_postgres_database())
    try:
        for case in cases(road.hub):
            for asked in ({"case": case}, {"case": case, "holder": "NGO-1"}, {"agency": "SH-1"}):
                report = checked(made(road.hub, **asked), road.hub)
                assert report.statements
    finally:
        road.close()
