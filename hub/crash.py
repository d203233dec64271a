"""Named points at which a test may kill the process: `NRM_CRASH_AT=after_record:17`.

The number says at which passing; without it, at the first. In production the variable is unset
and a point is one dictionary look-up.
"""

from __future__ import annotations

import os

_at = os.environ.get("NRM_CRASH_AT", "")
_name, _, _count = _at.partition(":")
_left = int(_count or "1")


def point(name: str) -> None:
    """Die here, as kill -9 would, if the environment asks for it."""
    global _left  # noqa: PLW0603  the one counter of this process
    if name != _name:
        return
    _left -= 1
    if _left == 0:
        os._exit(137)
