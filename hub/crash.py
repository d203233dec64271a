"""Crash points: named places where a test may kill the process.

`NRM_CRASH_AT=name` ends the process at the first `point("name")`, `NRM_CRASH_AT=name:17` at the
seventeenth, as a kill -9 would: no handler runs, no buffer is flushed, exit status 137. Without
the variable a point costs one comparison. Read once, when this module is imported.
"""

from __future__ import annotations

import os

VARIABLE = "NRM_CRASH_AT"
STATUS = 137


def _wanted(text: str) -> tuple[str, int]:
    name, _, count = text.partition(":")
    return name, int(count or 1)


_name, _left = _wanted(os.environ.get(VARIABLE, ""))


def point(name: str) -> None:
    """Die here if the environment asked for it."""
    global _left  # noqa: PLW0603 - the count belongs to the process
    if name == _name:
        _left -= 1
        if _left == 0:
            os._exit(STATUS)


def arm(text: str) -> None:
    """As the environment variable, for a process that is running already (a forked test)."""
    global _name, _left
    _name, _left = _wanted(text)
