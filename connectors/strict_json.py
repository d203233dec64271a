"""JSON from others, read so that nothing can be meant twice and nothing runs away.

Refused, beside what is no JSON: a name that stands twice in an object (of which readers take the
first, the last or both), NaN and Infinity, nesting deeper than anything of ours has. Deep nesting
is refused here since what is read may be written again, and writing takes more of the stack.
"""

from __future__ import annotations

import json
from typing import Any, Final

MOST_DEPTH: Final = 64


def read_json(text: str | bytes) -> Any:
    """The value. ValueError for what is refused; its text is of the reader, and not repeated."""
    try:
        value = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deep") from None
    if too_deep(value, text):
        raise ValueError("nested too deep")
    return value


def too_deep(value: Any, text: str | bytes) -> bool:
    """Whether a value is nested deeper than MOST_DEPTH. text: what it was read from."""
    if isinstance(text, bytes):
        opened = text.count(b"[") + text.count(b"{")
    else:
        opened = text.count("[") + text.count("{")
    if opened <= MOST_DEPTH:
        return False
    level = [value]
    for _ in range(MOST_DEPTH + 1):
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner += one.values()
            elif isinstance(one, list):
                inner += one
        if not inner:
            return False
        level = [one for one in inner if isinstance(one, dict | list)]
    return bool(level)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in an object")
    return found


def _no_number(_name: str) -> Any:
    raise ValueError("NaN and Infinity are no JSON")
