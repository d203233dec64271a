"""As written: rows of our own books that somebody, or a failing disk, has changed.

What a row of ours holds is taken as it is: a time that is none, a list that is no JSON, a text
where bytes were. Whoever reads it waits then, as if the books were away, until they are put back.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from connectors.errors import SinkDownError
from schemas.avro import AvroError

P = ParamSpec("P")
R = TypeVar("R")


def as_written(read: Callable[P, R]) -> Callable[P, R]:
    """SinkDownError where a row does not read; what stands in it is not repeated."""

    @wraps(read)
    def checked(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return read(*args, **kwargs)
        except (ValueError, TypeError, KeyError, AvroError):
            raise SinkDownError(
                f"the connector's books are not as they were written ({read.__name__}): stop it, "
                "put the database or state file back from a copy, and start it again"
            ) from None

    return checked
