"""Scenarios played once, and asking them. Whoever writes into a log gets a copy of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.clock import Clock, ScenarioTime
from hub.home import Home
from hub.hub import Hub as RunningHub
from hub.hub import Reading
from tests.played import play, scenario
from tests.questions.asked import NOW, Told, hub_of

Played = Callable[[str], Told]


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of a scenario that was played to its end and checkpointed."""
    made: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp(f"asked-{name}")
            road = play(made[name], scenario(name))
            road.hub.checkpoints.step(now=True)
            road.close()
        return made[name]

    return folder


@pytest.fixture
def read(folders: Callable[[str], Path]) -> Iterator[Played]:
    """A played scenario, opened to be read."""
    opened: list[Reading] = []

    def open_(name: str) -> Told:
        reading = Reading.open(Home(folders(name) / "hub"))
        opened.append(reading)
        return Told(hub_of(reading), scenario(name))

    yield open_
    for reading in opened:
        reading.__exit__()


@pytest.fixture
def copied(folders: Callable[[str], Path], tmp_path: Path) -> Iterator[Callable[[str], Told]]:
    """A copy of a played scenario, to be written into."""
    opened: list[RunningHub] = []

    def open_(name: str) -> Told:
        shutil.copytree(folders(name), tmp_path / name)
        time = ScenarioTime(NOW)
        hub = RunningHub.open(Home(tmp_path / name / "hub"), Clock(time, steady=None))
        opened.append(hub)
        return Told(hub_of(hub), scenario(name))

    yield open_
    for hub in opened:
        hub.stop()
