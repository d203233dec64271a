"""Odd values, and every place of a document they can be put: for tests of what others send us."""

from __future__ import annotations

import copy
import datetime
import json
import math
from collections.abc import Iterator
from typing import Any, Final

Place = tuple[str | int, ...]


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1.5, 10**30, 1e308, "", " ", "x", "a\0b", "a\nb", "x" * 30_000,
    [], [[]], [None], ["a", 1], {}, {"a": 1}, {"a": {}}, [{}], {"": {"": []}}, nested(70),
)  # fmt: skip
"""As JSON has them."""

ODD_SETTINGS: Final[tuple[Any, ...]] = (
    *(one for one in ODD if one is not None and one not in ([None],)),
    float("inf"), float("nan"), 1e-320, -(10**30), "~nobody-of-this-name/x", "${NOT_SET}", "${}",
    ["a\0b"], {"file": "a\0b"}, {"file": "~nobody-of-this-name/x"}, {"file": "."}, "..", "/",
    "http://[", "https://a b", "https://\0", "https://h:99999", "https://h" + "a" * 300, "kafka://",
    "undefined", "utf-16", "idna", datetime.date(2020, 1, 1), datetime.datetime(2020, 1, 1),
    datetime.time(1, 2),
)  # fmt: skip
"""As TOML has them, and what settings may be taken for."""


def places(value: Any, at: Place = ()) -> Iterator[Place]:
    """Every place below the top."""
    inside = value.items() if isinstance(value, dict) else ()
    inside = enumerate(value) if isinstance(value, list) else inside
    for name, one in inside:
        yield (*at, name)
        yield from places(one, (*at, name))


def put(value: Any, at: Place, new: Any) -> Any:
    """A copy with this at that place."""
    found = inner = copy.deepcopy(value)
    for step in at[:-1]:
        inner = inner[step]
    inner[at[-1]] = new
    return found


def toml(value: Any) -> str:
    """A value of TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k)} = {toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf"
    return value.isoformat() if hasattr(value, "isoformat") else repr(value)


def document(value: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(name)} = {toml(one)}\n" for name, one in value.items())
