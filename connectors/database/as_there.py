"""As there: what SQLite holds in a column, also where it is not of the column's type.

SQLite checks no types, and people have editors. A date that is none or a text that is no JSON is
read as the text it is: then it is a difference that `reconcile` names, or a cell that does not do,
and not an error from below that nobody can do anything about. `as_there_postgresql.py` is the same
for what PostgreSQL has and Python has not.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect

Read = Callable[[Any], Any]


def read_as_there(engine: sa.Engine) -> None:
    """To be called before the engine is used."""
    kinds = {sa.Date: _Date, sa.DateTime: _DateTime, sa.Time: _Time, sa.JSON: _Json}
    engine.dialect.colspecs = {**engine.dialect.colspecs, **kinds, sa.Numeric: _Numeric}


def _tried(typed: Read | None) -> Read | None:
    if typed is None:
        return None

    def read(value: Any) -> Any:
        try:
            return typed(value)
        except (ValueError, TypeError, ArithmeticError):
            return value

    return read


class _Date(sqlite.DATE):
    def result_processor(self, dialect: Dialect, coltype: object) -> Read | None:
        return _tried(super().result_processor(dialect, coltype))


class _DateTime(sqlite.DATETIME):
    def result_processor(self, dialect: Dialect, coltype: object) -> Read | None:
        return _tried(super().result_processor(dialect, coltype))


class _Time(sqlite.TIME):
    def result_processor(self, dialect: Dialect, coltype: object) -> Read | None:
        return _tried(super().result_processor(dialect, coltype))  # type: ignore[no-untyped-call]


class _Json(sqlite.JSON):
    def result_processor(self, dialect: Dialect, coltype: object) -> Read | None:
        return _tried(super().result_processor(dialect, coltype))


class _Numeric(sa.Numeric[Any]):
    def result_processor(self, dialect: Dialect, coltype: object) -> Read | None:
        return _tried(super().result_processor(dialect, coltype))  # type: ignore[no-untyped-call]
