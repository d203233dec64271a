"""A column that tells of changes, with what SQLite lets into it: words to an operator, no crash."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from connectors.errors import SettingsError
from connectors.sources.changes.tables import earlier, kept_value, not_before, text_earlier


def test_marks_of_two_kinds_are_not_compared() -> None:
    assert not_before(kept_value(7), kept_value(7))
    assert not not_before(kept_value("2026-01-01"), kept_value("2026-01-02"))
    for one, other in ((7, "x"), ("2026-01-01", 7), (7, datetime(2026, 1, 1, tzinfo=UTC))):
        with pytest.raises(SettingsError, match="make them alike"):
            not_before(kept_value(one), kept_value(other))


def test_the_calendar_begins_where_it_begins() -> None:
    first = datetime(1, 1, 1, tzinfo=UTC)
    assert earlier(first, 300.0) == first
    assert text_earlier("0001-01-01 00:00:00", 300.0) == "0001-01-01 00:00:00"


@pytest.mark.parametrize("value", [True, 1.5, b"x", None, [1]])
def test_what_is_no_mark(value: object) -> None:
    with pytest.raises(SettingsError, match="neither times nor whole numbers"):
        kept_value(value)
