"""As there, PostgreSQL: infinity, years before Christ and after 9999, JSON of any depth.

Python has no such values, and the driver would fail at the whole statement: one row would keep all
others from being read. They come as the text they are (`as_there.py` says why).
"""

from __future__ import annotations

import json
from typing import Any, Final

import sqlalchemy as sa
from psycopg import DataError
from psycopg.adapt import Loader
from psycopg.types.datetime import (
    DateLoader,
    IntervalLoader,
    TimeLoader,
    TimestampLoader,
    TimestamptzLoader,
    TimetzLoader,
)
from psycopg.types.json import set_json_loads
from sqlalchemy import event


def read_postgresql_as_there(engine: sa.Engine) -> None:
    """To be called before the engine is used."""

    @event.listens_for(engine, "connect")
    def connected(connection: Any, record: Any) -> None:  # noqa: ARG001
        for name, loader in _LOADERS.items():
            connection.adapters.register_loader(name, loader)
        set_json_loads(_json, connection)


def _json(text: str | bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.decode() if isinstance(text, bytes) else text


def _or_text(typed: type[Loader]) -> type[Loader]:
    class OrText(typed):  # type: ignore[valid-type, misc]
        def load(self, data: Any) -> Any:
            try:
                return super().load(data)
            except (DataError, ValueError, OverflowError):
                return bytes(data).decode()

    return OrText


_LOADERS: Final = {
    "date": _or_text(DateLoader),
    "timestamp": _or_text(TimestampLoader),
    "timestamptz": _or_text(TimestamptzLoader),
    "time": _or_text(TimeLoader),
    "timetz": _or_text(TimetzLoader),
    "interval": _or_text(IntervalLoader),
}
