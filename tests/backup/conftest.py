"""Key archives made here are sealed with little work: half a second each would be felt."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hub.backup.keys import write_keys


@pytest.fixture(scope="session", autouse=True)
def _little_work() -> Iterator[None]:
    defaults = write_keys.__kwdefaults__
    before, defaults["work"] = defaults["work"], 10
    yield
    defaults["work"] = before
