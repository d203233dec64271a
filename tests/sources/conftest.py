from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sources.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An agency NGO-1 beside a hub."""
    site = Site.open(tmp_path)
    yield site
    site.close()
