"""Rows with what a database lets into them: each has its answer, and keeps no other from going."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import SettingsError
from connectors.sources.captured import CapturedSource
from connectors.sources.changes.capture import ChangesCapture
from connectors.sources.changes.mapping import load_changes_mapping
from connectors.sources.changes.tables import earlier, kept_value, not_before, text_earlier
from connectors.sources.database import SourceDatabase


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


ODD = """
version = 1
zone = "UTC"

[[map]]
event = "CaseOpened"
table = "odd"
key = ["k"]
changed = "upd"
case = "case_no"
when = { active = true }

[map.fields]
jurisdiction = { constant = "XX" }
channel = { constant = "outreach" }
age_status = { constant = "adult" }
local_case_ref = "v"

[[map]]
event = "NeedsAssessed"
table = "odd"
key = ["k"]
case = "case_no"
at = "upd"

[map.fields]
domains = "tags"
"""
NOW = "'2026-03-02 09:00:00'"
SPOILED = {
    "sqlite": (
        "k BLOB, case_no TEXT, v TEXT, tags TEXT, active INTEGER, upd TEXT",
        f"(x'01', 'C-1', 'fine', 'housing', 1, {NOW})",
        f"(x'02', 'C-2', CAST(x'ff' AS TEXT), 'housing', 1, {NOW})",
        f"(x'03', CAST(x'ff' AS TEXT), 'fine', 'housing', 1, {NOW})",
        "(x'04', 'C-4', 'fine', 'housing', 1, 'yesterday')",
    ),
    "postgres": (
        "k BYTEA, case_no TEXT, v NUMERIC, tags JSON, active BOOLEAN, upd TIMESTAMPTZ",
        f"('a', 'C-1', 1, '[\"housing\"]', true, {NOW})",
        f"('b', 'C-2', 'NaN', '[\"housing\"]', true, {NOW})",
        f"('c', 'C-3', 1, ('{'[' * 3000}{']' * 3000}')::json, true, {NOW})",
        "('d', 'C-4', 1, '[\"housing\"]', true, 'infinity')",
    ),
    "mariadb": (
        "k BINARY(2), case_no VARCHAR(9), v BLOB, tags TEXT, active BIT(1), upd DATETIME",
        f"(x'01ff', 'C-1', 'fine', 'housing', b'1', {NOW})",
        f"(x'02ff', 'C-2', x'ff', 'housing', b'1', {NOW})",
        f"(NULL, 'C-3', 'fine', 'housing', b'1', {NOW})",
        "(x'04ff', 'C-4', 'fine', 'housing', b'1', '0000-00-00 00:00:00')",
    ),
}
REFUSED = {
    "sqlite": {"not_a_text v", "missing_column case_no", "not_an_instant upd"},
    "postgres": {"not_a_number v", "not_json tags", "not_an_instant upd"},
    "mariadb": {"not_a_text v", "missing_column k", "not_an_instant upd"},
}


@pytest.mark.parametrize("kind", ["sqlite", "postgres", "mariadb"])
def test_an_odd_row_keeps_no_other_from_going(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Infinity, a date of zeros, NaN, bytes that are no text, JSON too deep to read, no key."""
    if kind == "sqlite":
        (tmp_path / "odd.db").touch()
        url = f"sqlite:///{tmp_path / 'odd.db'}"
    else:
        new: Callable[[], str] = request.getfixturevalue(f"new_{kind}_database")
        url = new()
    database = SourceDatabase(url)
    columns, *rows = SPOILED[kind]
    with database.writing() as db:
        if kind == "mariadb":
            db.exec_driver_sql("SET SESSION sql_mode = ''")
        for one in (
            f"CREATE TABLE odd ({columns})",
            *(f"INSERT INTO odd VALUES {r}" for r in rows),
        ):
            db.exec_driver_sql(one)
    (tmp_path / "changes.toml").write_text(ODD, encoding="utf-8")
    mapping = load_changes_mapping(tmp_path / "changes.toml")
    capture: Any = ChangesCapture(database, mapping, b"secret", sweep_seconds=0)
    source = CapturedSource(capture, tmp_path / "state.db", name="odd", holds_cases=False)
    source.prepare()
    found = {(one.event.case, one.event.type) for one in source.read(99) if one.event is not None}
    assert {("C-1", "CaseOpened"), ("C-1", "NeedsAssessed"), ("C-4", "CaseOpened")} <= found
    told = {f"{one.reason} {one.field}" for one in source.report(99)}
    assert told == REFUSED[kind]
    assert len(source.read(99)) == len(found), "the same rows once more: nothing new"
    source.close()
