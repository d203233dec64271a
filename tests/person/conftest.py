"""One whole case, played once; whoever changes it gets a copy."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from tests.person.stories import AGENCIES, everything
from tests.road import START, Road


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a road on which `everything` happened."""
    folder = tmp_path_factory.mktemp("everything") / "road"
    everything(folder).close()
    return folder


@pytest.fixture
def copied(played: Path, tmp_path: Path) -> Callable[[], Road]:
    """A road of one's own on which everything has happened already."""

    def copy() -> Road:
        shutil.copytree(played, tmp_path / "road")
        road = Road.open(tmp_path / "road", AGENCIES)
        road.time.at = START + timedelta(days=4)
        return road

    return copy
