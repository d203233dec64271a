"""Names that others chose: of tables, columns, files, and what a stranger answers.

Whoever may make a table in a partner's database, or stands between it and the hub, writes no line
of a mapping file, no statement that a DBA runs, and no line of a terminal or a log.
"""

from __future__ import annotations

import csv
import io
import logging
import tomllib
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx2
import pytest
from rich.console import Console
from typer.testing import CliRunner

from connectors.agency.http import check as answered
from connectors.agency.outcomes import Outcome
from connectors.commands.group import Group, Member
from connectors.commands.printed import PlainFormatter, one_line, table, visible
from connectors.errors import StopError
from connectors.workbench.proposing import propose
from connectors.workbench.writing import unused, written
from hub.cli import app
from schemas.registry import Schemas
from tests.connectors.workbench.places import made, read

STEERS = "\x1b]0;title\x07\x1b[2J\r\x9b31m\u202e\u2066\u2028"
CONTROLS = [letter for letter in STEERS if not letter.isprintable()]
MAP = (
    "[[map]]\nevent = 'IdentityRecorded'\ntable = 'leaked'\nkey = { nrm_ref = 'event_ref' }\n"
    "[map.columns]\nsocial_worker = 'given_name'\n#"
)
TABLES = f"""
CREATE TABLE leaked (nrm_ref VARCHAR(64) UNIQUE, social_worker TEXT);
CREATE TABLE "tlkGender
{MAP}" (code CHAR(1) PRIMARY KEY, label VARCHAR(20));
INSERT INTO "tlkGender
{MAP}" VALUES ('F', 'Female'), ('M', 'Male');
CREATE TABLE referrals (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64) UNIQUE, "urgency
{MAP}" VARCHAR(20), "summary
{MAP}" TEXT NOT NULL
);
CREATE TABLE "clients; DROP TABLE referrals; --" (
  id INTEGER PRIMARY KEY, first_name TEXT, last_name TEXT, date_of_birth DATE
);
CREATE TABLE "persons
{MAP}" (
  id INTEGER PRIMARY KEY, nrm_ref VARCHAR(64), "first_name
{STEERS}" TEXT, last_name TEXT, date_of_birth DATE, "café [/bold]" TEXT
);
"""


def test_a_table_writes_no_line_of_the_mapping_file(tmp_path: Path) -> None:
    found = read(made(TABLES, tmp_path))
    proposal = propose(found, Schemas.load())
    text = written(proposal, found.looked_into)
    maps = tomllib.loads(text)["map"]
    assert {one["event"] for one in maps} == {"IdentityRecorded"}
    assert [one for one in maps if one["table"] == "leaked"] == []
    for line in text.splitlines():
        assert "DROP TABLE" not in line or line.startswith(("#", "table = "))
    assert not [letter for letter in text.replace("\n", "") if letter in CONTROLS]


def test_no_statement_is_printed_that_a_tables_name_is_part_of(tmp_path: Path) -> None:
    proposal = propose(read(made(TABLES, tmp_path)), Schemas.load())
    told = [note for note in unused(proposal) if "DROP TABLE" in note]
    assert told
    for note in told:
        assert "ALTER TABLE" not in note
        assert "CREATE UNIQUE INDEX" not in note


def test_a_database_steers_no_terminal(tmp_path: Path) -> None:
    out = tmp_path / "mapping.toml"
    done = CliRunner().invoke(
        app, ["connector", "map", "--url", made(TABLES, tmp_path), "--out", str(out), "--yes"]
    )
    assert done.exit_code == 0, done.output
    assert not [letter for letter in CONTROLS if letter in done.output.replace("\n", "")]


@pytest.mark.parametrize("text", ["[/red]", "[link=http://x]y[/link]", ":bomb:", "a\x1b[31mb"])
def test_a_cell_is_text_and_no_markup(text: str) -> None:
    shown = table("what")
    shown.add_row(text)
    out = io.StringIO()
    Console(file=out, width=200).print(shown)
    assert visible(text) in out.getvalue()
    assert "\x1b" not in out.getvalue()


def test_whoever_answers_in_the_hubs_place_writes_one_line() -> None:
    said = {"code": f"x{STEERS}", "next": "y\nover  hub_down\n" + "z" * 5_000}
    with pytest.raises(StopError) as caught:
        answered(httpx2.Response(403, json=said))
    told = str(caught.value)
    assert "\n" not in told
    assert len(told) < 700


def test_a_message_begins_no_line_of_the_log() -> None:
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.setFormatter(PlainFormatter("%(levelname)s %(message)s"))
    log = logging.Logger("test")
    log.addHandler(handler)
    log.warning("file %s refused", f"a\nWARNING all is well{STEERS}.csv")
    lines = out.getvalue().splitlines()
    assert [one for one in lines if not one.startswith("  ")] == ["WARNING file a"]
    assert not [letter for letter in CONTROLS if letter in out.getvalue()]


def test_line_ends_are_kept_where_a_message_has_lines() -> None:
    assert visible("CREATE TABLE x;\n\tCREATE TABLE y;") == "CREATE TABLE x;\n\tCREATE TABLE y;"
    assert one_line("a\nb") == r"a\nb"


@pytest.mark.parametrize("case", ["=1+1", "+1", "-1", "@x", "\t=1", "＝1", "'x"])
def test_a_list_of_refused_people_is_no_formula(tmp_path: Path, case: str) -> None:
    """A union's sheet may name its people as it likes; who opens the answer runs nothing of it."""
    group = tmp_path / "workers.csv"
    group.write_text("case\nW-1\n")
    (tmp_path / "referral.json").write_text('{"type": "CaseOpened", "case": "{case}", "data": {}}')
    now = datetime(2026, 3, 1, tzinfo=UTC)
    made = Group(tmp_path / "referral.json", group, now)
    refused = Outcome(
        uuid4(),
        b"",
        False,
        None,
        5,
        "not_allowed",
        None,
        "=ask()",
        datetime(2026, 3, 1, tzinfo=UTC),
    )
    made._list([(Member(case, (), ()), refused)])
    with made.refused_at.open(encoding="utf-8", newline="") as file:
        [_, row] = csv.reader(file)
    assert (row[0], row[5]) == (f"'{case}", "'=ask()")
