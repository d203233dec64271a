"""How deep tests go: `make test` holds every promise, `make thorough` repeats more of the same.

A test takes its numbers from `depth(usual, thorough)`; one that only shows again, in another story
or at another size, what its neighbours show has the marker `deep`.
"""

from __future__ import annotations

import os
from typing import Final, TypeVar

import pytest

THOROUGH: Final = bool(os.environ.get("NRM_THOROUGH"))

T = TypeVar("T")


def depth(usual: T, thorough: T) -> T:
    return thorough if THOROUGH else usual


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if THOROUGH:
        return
    deep = [item for item in items if item.get_closest_marker("deep")]
    if deep:
        config.hook.pytest_deselected(items=deep)
        items[:] = [item for item in items if not item.get_closest_marker("deep")]
