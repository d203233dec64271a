"""Writing state: Avro bytes straight from an event's attributes, by `schemas/writing.py`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from schemas import writing
from schemas.writing import EPOCH

MICROSECOND = timedelta(microseconds=1)


def micros(time: datetime) -> int:
    """Microseconds since 1970. A time without a zone raises TypeError: it could be any hour."""
    return (time - EPOCH) // MICROSECOND


def from_micros(value: int) -> datetime:
    """The instant so many microseconds after 1970, in UTC."""
    return EPOCH + value * MICROSECOND


@cache
def written(text: str) -> bytes:
    """A text as it stands in every state that holds it: its length and its UTF-8 bytes."""
    encoded = text.encode()
    assert len(encoded) < 64, "a length of one byte"
    return bytes((len(encoded) << 1,)) + encoded


def writer(schema: dict[str, Any], prefix: bytes) -> Callable[[Any], bytes]:
    """A function from an object with the schema's attributes to prefix and Avro body."""
    return writing.writer(schema, prefix, writing.of_object)
