"""Forms as browsers send them: what was typed travels in the body, never in an address or a log."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

MOST_FIELDS = 500


class Form:
    """The fields of one form. Unknown fields are empty; unreadable bytes are replaced."""

    def __init__(self, body: bytes) -> None:
        pairs = parse_qsl(
            body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS
        )
        self._fields: dict[str, list[str]] = {}
        for name, value in pairs:
            self._fields.setdefault(name, []).append(value)

    def get(self, name: str) -> str:
        """The field, trimmed; the last one if it came several times."""
        return self._fields.get(name, [""])[-1].strip()

    def all(self, name: str) -> list[str]:
        """Every value of a field, as of boxes that were ticked."""
        return self._fields.get(name, [])


async def _read(request: Request) -> Form:
    try:
        return Form(await request.body())
    except ValueError:  # more fields than any form of ours has
        return Form(b"")


def whole(text: str) -> int | None:
    """A whole number from an address or a field; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else None


Sent = Annotated[Form, Depends(_read)]
