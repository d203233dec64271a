"""What the tests of the log in others' hands share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.transparency.judge import Judge
from tests.transparency.logs import Made


@pytest.fixture(scope="session")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Judge:
    return Judge.build(tmp_path_factory.mktemp("judge"))


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Made]]:
    """Logs that are closed afterwards."""
    made: list[Made] = []

    def one(name: str = "hub", **options: Any) -> Made:
        made.append(Made(tmp_path / name, **options))
        return made[-1]

    yield one
    for log in made:
        log.close()
