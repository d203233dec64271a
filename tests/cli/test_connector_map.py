"""`nrm-hub connector map`: proposes, asks, writes, checks; and what it writes is what lands."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from typer.testing import CliRunner

from connectors.mapping import load_mapping
from hub.cli import app
from tests.cli.programs import Done, nrm
from tests.connectors.workbench.places import database


def shelter(folder: Path) -> tuple[str, str]:
    return "--url", database("shelter", folder)


def typed(answers: str, *arguments: str | Path) -> Done:
    """The command with somebody at the keyboard."""
    done = CliRunner().invoke(app, [str(one) for one in arguments], input=answers)
    return Done(done.exit_code, done.stdout, done.stderr)


def test_yes_writes_a_file_that_passes_and_lands(tmp_path: Path) -> None:
    out = tmp_path / "mapping.toml"
    done = nrm("connector", "map", *shelter(tmp_path), "--role", "shelter", "--out", out, "--yes")
    assert done.code == 0, done
    told = " ".join(done.out.split())
    assert "Rows read: of lookup tables (accommodation_type, gender)." in told
    assert "residents first_name IdentityRecorded.given_name 1.00" in told
    assert "Synthetic → first_name Synthetic" in told
    assert "safe_house → accommodation_type SH" in told
    assert "CANARY" not in done.out
    checked = nrm("connector", "map", *shelter_again(tmp_path), "--check", out, "--role", "shelter")
    assert checked.code == 0, checked

    (tmp_path / "partner.toml").write_text(
        f'home = "agency"\n[sink]\nurl = "sqlite:///{tmp_path}/partner.db"\n'
        'mapping = "mapping.toml"\n',
        "utf-8",
    )
    tried = nrm("connector", "try", tmp_path / "partner.toml", "--events", "IdentityRecorded")
    assert tried.code == 0, tried
    assert "first_name=Synthetic, last_name=Person" in tried.out
    with sqlite3.connect(tmp_path / "partner.db") as own:
        assert own.execute("SELECT first_name FROM residents").fetchall() == [("CANARY",)]
    own.close()


def shelter_again(folder: Path) -> tuple[str, str]:
    return "--url", f"sqlite:///{folder}/partner.db"


def test_a_password_need_not_stand_in_the_list_of_processes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (_, url), out = shelter(tmp_path), tmp_path / "mapping.toml"
    monkeypatch.setenv("NRM_TEST_PLACE", url.removeprefix("sqlite:///"))
    done = nrm("connector", "map", "--url", "sqlite:///${NRM_TEST_PLACE}", "--out", out, "--yes")
    assert done.code == 0, done
    missing = nrm("connector", "map", "--url", "sqlite:///${NRM_TEST_NOTHING}", "--out", out)
    assert "NRM_TEST_NOTHING is not set" in missing.err


def test_nothing_is_overwritten_unasked(tmp_path: Path) -> None:
    out = tmp_path / "mapping.toml"
    out.write_text("mine", "utf-8")
    place = shelter(tmp_path)
    done = nrm("connector", "map", *place, "--out", out, "--yes")
    assert done.code == 1
    assert "is there already" in done.err
    done = typed("a\n" * 4 + "n\n", "connector", "map", *place, "--out", out)
    assert "Overwrite it?" in done.out
    assert "Nothing was written." in done.out
    assert out.read_text("utf-8") == "mine"
    done = typed("a\n" * 4 + "y\n", "connector", "map", *place, "--out", out)
    assert done.code == 0, done
    assert load_mapping(out).maps


def test_at_the_keyboard(tmp_path: Path) -> None:
    """Take one, leave one out, ask for help, name a wrong field, take another, leave the rest."""
    out = tmp_path / "mapping.toml"
    lines = ["", "n", "h", "o", "Case.nothing", "o", "IdentityRecorded.birth_place"]
    lines += [*["n"] * 6, "o", "1", "n", "n"]
    done = typed(
        "\n".join(lines) + "\n", "connector", "map", *shelter(tmp_path),
        "--table", "residents", "--out", out,
    )  # fmt: skip
    assert done.code == 0, done
    assert "1 tables." in done.out
    assert "Case.nothing is no field that known_as" in done.out
    columns = {
        column: (one.event, source.name)
        for one in load_mapping(out).maps
        for column, source in one.columns.items()
    }
    assert columns == {
        "first_name": ("IdentityRecorded", "given_name"),
        "known_as": ("IdentityRecorded", "birth_place"),
        "preferred_language": ("ConsentGiven", "language"),
    }


def test_a_table_can_be_skipped(tmp_path: Path) -> None:
    out = tmp_path / "mapping.toml"
    place = shelter(tmp_path)
    done = typed("s\na\ns\ns\n", "connector", "map", *place, "--out", out)
    assert done.code == 0, done
    assert {one.table for one in load_mapping(out).maps} == {"residents"}


@pytest.mark.parametrize("answers", ["q\n", "\n\nq\n"])
def test_stopping_writes_nothing(answers: str, tmp_path: Path) -> None:
    out = tmp_path / "mapping.toml"
    done = typed(answers, "connector", "map", *shelter(tmp_path), "--out", out)
    assert done.code == 0
    assert "Nothing was written." in done.out
    assert not out.exists()


def test_check_tells_everything_and_ends_with_3(tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(
        'version = 1\n[[map]]\nevent = "CaseOpened"\ntable = "residents"\n'
        'key = { nrm_person_ref = "subject_ref" }\n[map.columns]\n'
        'dob = "channel"\nfirst_nam = "channel"\n',
        "utf-8",
    )
    done = nrm("connector", "map", *shelter(tmp_path), "--check", path)
    assert done.code == 3
    assert f"!!  {path}:7: residents.dob is DATE, channel is text → " in done.out
    assert f"!!  {path}:8: residents has no column 'first_nam' (did you mean" in done.out
    alone = nrm("connector", "map", "--check", path)
    assert alone.code == 0
    assert "The file alone was looked at" in alone.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "name the database"),
        (("--url", "sqlite:///none.db"), "there is no such database"),
        (("--url", "nonsense"), "not a database URL"),
        (("partner.toml", "--url", "sqlite:///x.db"), "not both"),
    ],
)
def test_wrong_use(arguments: tuple[str, ...], told: str) -> None:
    done = nrm("connector", "map", *arguments)
    assert done.code == 1
    assert told in done.err


def test_wrong_names(tmp_path: Path) -> None:
    place = shelter(tmp_path)
    assert "there is no role 'boss'" in nrm("connector", "map", *place, "--role", "boss").err
    assert "has no table nope" in nrm("connector", "map", *place, "--table", "nope").err
    assert nrm("connector", "map", *place, "--event", "Nope").code == 2
    with sqlite3.connect(tmp_path / "empty.db") as empty:
        empty.execute("CREATE TABLE weather (day DATE, rain INTEGER)")
    empty.close()
    done = nrm("connector", "map", "--url", f"sqlite:///{tmp_path}/empty.db")
    assert "no column is like a field" in done.err
