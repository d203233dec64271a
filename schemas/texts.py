"""Texts an agency may state: their length and their characters.

No control characters but tab and line ends, and nothing that hides or reorders what a person reads.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

Convert = Callable[[Any], Any]

SHORT: Final = 8 * 1024  # bytes of UTF-8
LONG: Final = 64 * 1024
CODE: Final = 64
REFERENCE: Final = 200
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
# Also characters that hide or reorder what a person reads (bidirectional controls), and halves
# of surrogate pairs, which no UTF-8 can carry.
_FORBIDDEN = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


class ValueProblem(ValueError):
    """Reason code of a value that does not fit its field."""


def text_in(limit: int) -> Convert:
    """A text of at most so many bytes."""

    def convert(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueProblem("not_a_text")
        if value.isascii():  # the common case, without looking at each character in Python
            if len(value) > limit:
                raise ValueProblem("too_long")
            if not value.isprintable() and _CONTROL.search(value):
                raise ValueProblem("forbidden_character")
            return value
        if len(value) > limit or len(value.encode("utf-8", "surrogatepass")) > limit:
            raise ValueProblem("too_long")
        if _FORBIDDEN.search(value):
            raise ValueProblem("forbidden_character")
        return value

    return convert


def word_in(limit: int) -> Convert:
    """A code or reference: one line of 1 to `limit` printable characters, no space at its ends."""

    def convert(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueProblem("not_a_text")
        if not value:
            raise ValueProblem("empty")
        if not value.isprintable() or value[0] == " " or value[-1] == " ":
            raise ValueProblem("forbidden_character")
        if len(value) > limit or (not value.isascii() and len(value.encode()) > limit * 2):
            raise ValueProblem("too_long")
        return value

    return convert


code = word_in(CODE)
reference = word_in(REFERENCE)
