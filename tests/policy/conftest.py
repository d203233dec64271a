from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.home import Home
from hub.hub import Hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    home = Home(tmp_path / "hub")
    home.init()
    hub = Hub.open(home)
    yield hub
    hub.stop()
