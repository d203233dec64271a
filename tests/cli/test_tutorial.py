"""docs/tutorial.md, typed as it stands: a hub, two agencies, SQLite and PostgreSQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.cli.programs import ROOT
from tests.tutorials.page import Page
from tests.tutorials.reader import reader

PAGE = Page.read(ROOT / "docs" / "tutorial.md")


@pytest.mark.slow
def test_the_page_as_written(tmp_path: Path, new_postgres_database: Callable[[], str]) -> None:
    casework = new_postgres_database()
    with reader(tmp_path, {"CASEWORK_URL": casework}) as somebody:
        told = somebody.read(PAGE)
        codes = somebody.close()
        work = somebody.folder
    assert codes == {"shelter": 0, "hub": 0}

    # What the page says is to be seen was to be seen.
    assert "needs a bed tonight" in told
    assert "Synthetic | Person" in told
    assert "insulin" not in told
    assert "ReferralAccepted" in told
    assert "Everything stands." in told
    with sqlite3.connect(work / "shelter.db") as shelter:
        assert shelter.execute("SELECT count(*) FROM identity_recorded").fetchone() == (0,)
        assert shelter.execute("SELECT summary FROM referral_made").fetchall() == [(None,)]
        kinds = {kind for (kind,) in shelter.execute("SELECT event_type FROM nrm_timeline")}
    assert "ReferralMade" in kinds
    assert "IdentityRecorded" not in kinds
    with psycopg.connect(casework) as ngo:
        found = ngo.execute("SELECT event_type, agency FROM nrm_timeline").fetchall()
    assert found == [("ReferralAccepted", "SH-1")]
    assert b"insulin" not in (work / "shelter.db").read_bytes()


def test_every_block_is_either_run_or_plainly_not_to_be() -> None:
    """A block of another kind would be typed by a reader and not by the test."""
    assert {block.kind for block in PAGE.blocks} == {"sh", "console"}
    assert [block.name for block in PAGE.blocks if block.name] == ["hub", "shelter"]
    assert PAGE.mistakes() == []
