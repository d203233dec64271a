"""One town for all tests of a run; whoever changes it gets a copy."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.clock import Clock, ScenarioTime
from hub.home import Home
from hub.hub import Hub
from tests.road import Road
from tests.statistics.town import NOW, ROLES, open_town


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("town")
    open_town(folder).close()
    return folder


@pytest.fixture
def town(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the town's folder; commands run on it at NOW, whatever the day is."""
    copy = tmp_path / "town"
    shutil.copytree(built, copy)
    monkeypatch.setattr("hub.hub.Clock", lambda: Clock(ScenarioTime(NOW), steady=None))
    return copy


@pytest.fixture
def road(town: Path) -> Iterator[Road]:
    """The town's hub, opened to go on with."""
    time = ScenarioTime(NOW)
    road = Road(town, Hub.open(Home(town / "hub"), Clock(time, steady=None)), time)
    for agency, role in ROLES.items():
        road.enrol(agency, role)
    yield road
    road.close()
