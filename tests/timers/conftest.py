from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.work.office import Office, office


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Office]:
    made = office(tmp_path)
    yield made
    assert made.hub.failure is None
    made.close()
