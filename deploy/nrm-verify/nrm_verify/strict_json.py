"""JSON, read strictly: no name twice, bounded depth, and no number that is none in JSON.

Two readers that disagree on which of two equal names counts would read two documents in one.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

DEEPEST = 32


def read_json(data: bytes | str, deepest: int = DEEPEST, *, fractions: bool = True) -> Any:
    """The value of UTF-8 JSON. fractions: whether numbers may be others than integers.

    Raises ValueError for anything else, and for more levels of objects and lists than `deepest`.
    """
    text = data if isinstance(data, str) else data.decode()
    try:
        value = json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_refused,
            parse_float=float if fractions else _refused,
        )
    except RecursionError:
        raise ValueError("too deep") from None
    if not _shallow(value, deepest):
        raise ValueError("too deep")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name comes twice")
    return found


def _refused(_: str) -> NoReturn:
    raise ValueError("a number is not one that may be here")


def _shallow(value: Any, left: int) -> bool:
    if isinstance(value, dict):
        return left > 0 and all(_shallow(one, left - 1) for one in value.values())
    if isinstance(value, list):
        return left > 0 and all(_shallow(one, left - 1) for one in value)
    return True
