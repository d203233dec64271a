"""How long a test waits for what has to come.

What a test waits for comes at once on a free machine, and late on one that is ten or twenty times
as slow; only what hangs never comes. So a wait ends after two minutes and not before, and a test
goes on as soon as what it waits for is there. None rests on how quick anything was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

PATIENCE: Final = 120.0
"""Seconds. Less than pytest's own limit for a test."""


def until(so: Callable[[], Any], *otherwise: object, every: float = 0.02) -> None:
    """Wait until it is so. AssertionError, with what `otherwise` holds, if it never is."""
    give_up = time.monotonic() + PATIENCE
    while not so():
        assert time.monotonic() < give_up, ("it did not happen in time", *otherwise)
        time.sleep(every)
