"""What a case system's server tells of itself: names, which it may have any way it likes."""

from __future__ import annotations

from typing import Final

_LONGEST: Final = 200


def word(value: object) -> str:
    """A name, type or code as it may stand in a message. TypeError if it is none."""
    if not isinstance(value, str) or not value.isprintable() or len(value) > _LONGEST:
        raise TypeError("what should be a name is none")
    return value
