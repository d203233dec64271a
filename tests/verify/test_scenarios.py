"""The second opinion on recorded cases: every shipped scenario, through the whole hub."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.store import events as stored
from tests.played import NAMES, play, scenario
from tests.road import Road
from tests.verify.made import checked, made


@pytest.fixture(scope="module", params=NAMES)
def road(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Road]:
    road = play(tmp_path_factory.mktemp(request.param), scenario(request.param))
    yield road
    road.close()


def cases(road: Road) -> dict[str, int]:
    """Case id → number of its events."""
    found: dict[str, int] = {}
    for one in road.hub.exchange.log.read(0, 100_000):
        if isinstance(one.event, stored.EventAccepted):
            name = one.event.originator_id.hex
            found[name] = found.get(name, 0) + 1
    return found


def test_every_case_verifies_and_every_decision_comes_out_the_same(road: Road) -> None:
    released = 0
    for case, events in cases(road).items():
        report = checked(made(road.hub, case=case), road.hub)
        assert report.decided is not None
        assert report.decided.events == events
        assert report.sent.waiting == 0
        released += report.decided.released
    assert released
