"""What an address asks for. Anything it cannot mean is read as not asked: an address is typed by
hand, shared and bookmarked, and a page answers with what it has."""

from __future__ import annotations

from collections.abc import Collection

from starlette.requests import Request

MOST = 80  # characters of a value; longer ones are nobody's


def word(request: Request, name: str, among: Collection[str] | None = None) -> str | None:
    """The value, if there is one and it is among those there are."""
    value = request.query_params.get(name, "").strip()
    if not value or len(value) > MOST or (among is not None and value not in among):
        return None
    return value


def number(request: Request, name: str, most: int, default: int = 0) -> int:
    """A number from 0 to `most`."""
    value = request.query_params.get(name, "")
    if not value.isascii() or not value.isdecimal() or len(value) > len(str(most)):
        return default
    return min(int(value), most)


def ticked(request: Request, name: str) -> bool:
    return request.query_params.get(name) == "yes"
