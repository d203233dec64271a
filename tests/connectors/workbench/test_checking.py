"""Every mistake of a mapping file is told with its line, all at once, and with what to do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from connectors.database.definitions import Found
from connectors.mapping.checking import check
from connectors.sql import SqlDatabase
from connectors.workbench.lookups import read_named
from hub.cli.role_matrix import withheld_for
from schemas.registry import Schemas
from tests.connectors.workbench.places import made, read

DDL = """
CREATE TABLE kind (code VARCHAR(4) PRIMARY KEY, label TEXT);
INSERT INTO kind VALUES ('A', 'Adult'), ('C', 'Child'), ('U', 'Unknown');
CREATE TABLE client (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(40) UNIQUE, short_ref VARCHAR(20) UNIQUE, number INTEGER,
  name VARCHAR(60), age_kind VARCHAR(4) REFERENCES kind(code), born DATE, tiny VARCHAR(3),
  must VARCHAR(20) NOT NULL DEFAULT '', flag BOOLEAN, since TIMESTAMP, free TEXT, other_ref TEXT
);
CREATE TABLE nature (id INTEGER PRIMARY KEY, code VARCHAR(4) UNIQUE, label TEXT);
INSERT INTO nature (code, label) VALUES ('A', 'Adult'), ('C', 'Child'), ('U', 'Unknown');
CREATE TABLE by_code (nrm_ref VARCHAR(40) UNIQUE, nature VARCHAR(4) REFERENCES nature(code));
CREATE VIEW shown AS SELECT nrm_ref, name FROM client;
CREATE TABLE strict (nrm_ref VARCHAR(40) UNIQUE, name TEXT, owner INTEGER NOT NULL);
"""
HEAD = """version = 1
[codes.age]
adult = "A"
child = "C"
"*" = "U"
"""
MAP = """[[map]]
event = "{event}"
table = "{table}"
key = {{ {key} = "subject_ref" }}
[map.columns]
{column}
"""


def findings(
    folder: Path, text: str, role: str | None = None, *, database: bool = True
) -> list[tuple[str, str, str, str]]:
    """(level, line, what, fix)"""
    path = folder / "mapping.toml"
    path.write_text(text, "utf-8")
    found = read(made(DDL, folder)) if database else None
    withheld = withheld_for(role) if role else None
    told = check(path, None if found is None else lambda _: found, Schemas.load(), withheld)
    return [(one.level, one.subject.removeprefix(f"{path}:"), one.text, one.fix) for one in told]


def one_map(
    column: str, event: str = "CaseOpened", table: str = "client", key: str = "nrm_ref"
) -> str:
    return HEAD + MAP.format(event=event, table=table, key=key, column=column)


@pytest.mark.parametrize(
    "column",
    [
        'age_kind = { field = "age_status", codes = "age" }',
        'since = { from = "occurred_at" }',
        'born = { from = "occurred_at", type = "date" }',
        'name = { constant = "NRM" }',
        'free = "local_case_ref"',
        'name = "channel"',
        'number = { from = "sequence" }',
    ],
)
def test_what_fits_is_not_complained_about(column: str, tmp_path: Path) -> None:
    assert findings(tmp_path, one_map(column)) == []


IDENTITY = "IdentityRecorded"


@pytest.mark.parametrize(
    ("text", "level", "line", "what", "fix"),
    [
        (
            one_map('born = "channel"'),
            "wrong",
            "11",
            "client.born is DATE, channel is text",
            "map it",
        ),
        (
            one_map('flag = "date_of_birth"', IDENTITY),
            "wrong",
            "11",
            "date_of_birth is date",
            "map",
        ),
        (
            one_map('number = "citizenships"', IDENTITY),
            "wrong",
            "11",
            "is a list",
            'pick = "first"',
        ),
        (
            one_map('tiny = "channel"'),
            "wrong",
            "11",
            "holds 3 letters, 'third_party' has 11",
            "longer",
        ),
        (one_map('age_kind = "age_status"'), "wrong", "11", "takes A, C, U, not", "translate:"),
        (one_map('must = "channel"'), "wrong", "11", "client.must is NOT NULL", "allow NULL"),
        (
            one_map('nam = "channel"'),
            "wrong",
            "11",
            "no column 'nam' (did you mean 'name'?)",
            "it has",
        ),
        (one_map('name = "chanel"'), "wrong", "11", "did you mean 'channel'?", ""),
        (
            one_map('name = "channel"', table="clients"),
            "wrong",
            "6",
            "did you mean 'client'?",
            "name",
        ),
        (
            one_map('name = "channel"', event="CaseOpend"),
            "wrong",
            "7",
            "did you mean 'CaseOpened'?",
            "",
        ),
        (
            one_map('name = "channel"', key="short_ref"),
            "wrong",
            "6",
            "is VARCHAR(20), too narrow",
            "VARCHAR(36)",
        ),
        (one_map('name = "channel"', key="number"), "wrong", "6", "references are text", "VARCHAR"),
        (
            one_map('name = "channel"', key="other_ref"),
            "warning",
            "6",
            "is not unique",
            "CREATE UNIQUE",
        ),
        (
            one_map('name = "channel"', table="strict"),
            "wrong",
            "6",
            "owner is NOT NULL",
            "constant",
        ),
        (
            one_map('number = { constant = "x" }'),
            "wrong",
            "11",
            "'x' is no whole number",
            "correct",
        ),
        (one_map('tiny = { constant = "NRMX" }'), "wrong", "11", "'NRMX' has 4", "longer"),
        (one_map('name = { field = "channel", pick = "first" }'), "wrong", "11", "is no list", ""),
        (
            one_map('tiny = "citizenships"', event="IdentityRecorded"),
            "wrong",
            "11",
            "holds 3 letters, a list of one is longer",
            'pick = "first"',
        ),
        (
            one_map('name = { field = "channel", pick = "last" }'),
            "wrong",
            "11",
            'pick is "first"',
            "",
        ),
        ("version = 1\n[[map]", "wrong", None, "", "correct it"),
    ],
    ids=lambda value: None,
)
def test_each_mistake_is_told_with_line_and_remedy(
    text: str, level: str, line: str | None, what: str, fix: str, tmp_path: Path
) -> None:
    told = findings(tmp_path, text)
    if line is None:
        assert told[0][0] == level
        assert "mapping.toml" in told[0][2]
        assert fix in told[0][3]
        return
    assert any(
        one[0] == level and one[1] == line and what in one[2] and fix in one[3] for one in told
    ), told


@pytest.mark.parametrize(
    ("codes", "level", "what"),
    [
        ('adult = "A"', "warning", "no translation of child"),
        (
            'adult = "A"\nchild = "C"\nunknown = "U"\nadlt = "A"\n"*" = "U"',
            "warning",
            "no code 'adlt'",
        ),
        ('adult = "ADULT"\n"*" = "U"', "wrong", "'ADULT' has 5"),
        ('adult = "B"\n"*" = "U"', "wrong", "takes A, C, U, not B"),
    ],
)
def test_code_tables_are_held_against_both_lists(
    codes: str, level: str, what: str, tmp_path: Path
) -> None:
    mapped = 'age_kind = { field = "age_status", codes = "age" }'
    text = f"version = 1\n[codes.age]\n{codes}\n" + one_map(mapped).removeprefix(HEAD)
    told = findings(tmp_path, text)
    assert any(one[0] == level and what in one[2] for one in told), told


def test_a_list_is_that_of_the_column_referred_to(tmp_path: Path) -> None:
    """Not of the list's own numbers."""
    mapped = 'nature = { field = "age_status", codes = "age" }'
    assert findings(tmp_path, one_map(mapped, table="by_code")) == []
    (tmp_path / "partner.db").unlink()
    [told] = findings(tmp_path, one_map('nature = { constant = "B" }', table="by_code"))
    assert "takes A, C, U, not B" in told[2]


def test_a_view_is_looked_into_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(one_map('name = "channel"', table="shown"), "utf-8")
    opened = SqlDatabase(made(DDL, tmp_path))

    def look(names: Iterable[str]) -> Found:
        with opened.reading() as db:
            return read_named(db, names)

    assert {one.level for one in check(path, look, Schemas.load())} == {"warning"}
    opened.close()


def test_what_another_map_fills_is_a_warning(tmp_path: Path) -> None:
    """The other may come first, and make the row."""
    first = one_map("owner = { constant = 1 }", table="strict")
    second = MAP.format(event=IDENTITY, table="strict", key="nrm_ref", column='name = "given_name"')
    [told] = findings(tmp_path, first + second)
    assert told[:2] == ("warning", "12")
    assert "IdentityRecorded could make no new row" in told[2]


def test_a_date_that_stays_after_a_recall_is_a_warning(tmp_path: Path) -> None:
    text = one_map('must = { from = "occurred_at" }')
    [(level, _, what, fix)] = findings(tmp_path, text)
    assert (level, what) == (
        "warning",
        "client.must is NOT NULL: after a recall occurred_at stays in it",
    )
    assert 'when_empty = "delete"' in fix
    deleted = text.replace("[map.c", 'when_empty = "delete"\n[map.c')
    (tmp_path / "partner.db").unlink()
    assert findings(tmp_path, deleted) == []


def test_all_at_once_and_in_order(tmp_path: Path) -> None:
    text = (
        one_map('born = "channel"\ntiny = "channel"\nnam = "channel"\nname = "chanel"')
        + MAP.format(event="Nothing", table="client", key="nrm_ref", column='free = "x"')
    )  # fmt: skip
    lines = [int(one[1]) for one in findings(tmp_path, text)]
    assert lines == sorted(lines)
    assert {11, 12, 13, 14, 16} <= set(lines)


def test_what_the_role_is_never_given_is_a_warning(tmp_path: Path) -> None:
    text = one_map('free = "health_needs"', "NeedsAssessed")
    [one] = findings(tmp_path, text, "police")
    assert one[:2] == ("warning", "11")
    assert "will stay empty: police is never given health" in one[2]
    assert findings(tmp_path, text, "ngo_support", database=False) == []


def test_maps_into_one_table_have_one_key(tmp_path: Path) -> None:
    second = MAP.format(
        event=IDENTITY, table="client", key="other_ref", column='free = "given_name"'
    )
    told = findings(tmp_path, one_map('name = "channel"') + second)
    assert ("wrong", "12") in [one[:2] for one in told]
    assert any("another key or when_empty in line 6" in one[2] for one in told)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    [one] = check(tmp_path / "none.toml", None, Schemas.load())
    assert (one.level, one.fix) == ("wrong", "name a mapping file, or correct it")
