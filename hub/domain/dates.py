"""Reading dates and instants out of facts, where they are ISO text."""

from __future__ import annotations

from datetime import UTC, date, datetime


def day(value: object) -> date | None:
    """A UTC day, or None for anything that is not one."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).date()
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        try:
            return date.fromisoformat(value[:10])
        except ValueError:
            return None
    return None


def instant(value: object) -> datetime | None:
    """An instant with a zone, or None for anything that is not one."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        return None
    return value
