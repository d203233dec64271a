"""`nrm-hub connector try` and `practice`: invented persons land, are shown, and leave nothing."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

from connectors import kinds, landed
from connectors import settings as settings_module
from connectors.errors import SettingsError
from connectors.kinds import Kind
from connectors.settings import load_settings, open_sink
from hub.scenario.practice import Practice, brought, chosen
from hub.scenario.stage import StageError
from hub.scenario.trial import Trial
from tests.cli.programs import Done, installed, nrm
from tests.connectors.builder import MiniHub
from tests.connectors.remote.receiver import SECRET, Receiver
from tests.patience import PATIENCE, until

MAPPING = """version = 1
default_tables = "none"

[[map]]
event = "IdentityRecorded"
table = "client"
key = { nrm_ref = "subject_ref" }
when_empty = "WHEN_EMPTY"

[map.columns]
first_name = "given_name"
born = "date_of_birth"
"""


def partner(folder: Path, mapping: str | None = MAPPING, more: str = "") -> Path:
    """A shelter with a case file of its own: one real client, one mapped table."""
    with sqlite3.connect(folder / "own.db") as own:
        own.execute(
            "CREATE TABLE client (id INTEGER PRIMARY KEY, nrm_ref TEXT, first_name TEXT, born DATE)"
        )
        own.execute("INSERT INTO client VALUES (1, NULL, 'Kept', '1990-01-01')")
    own.close()
    text = 'home = "agency"\n[sink]\nurl = "sqlite:///own.db"\n'
    if mapping is not None:
        (folder / "mapping.toml").write_text(mapping.replace("WHEN_EMPTY", "delete"), "utf-8")
        text += 'mapping = "mapping.toml"\n'
    (folder / "partner.toml").write_text(text + more, "utf-8")
    return folder / "partner.toml"


def dump(path: Path) -> list[str]:
    with sqlite3.connect(path) as database:
        told = list(database.iterdump())
    database.close()
    return told


def told(done: Done) -> str:
    return " ".join((done.out + done.err).split())


def test_without_anything_a_shelter_sees_what_would_land(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    done = nrm("connector", "try")
    assert done.code == 0, done
    assert "8 deliveries, 8 answered with a signed receipt." in done.out
    assert "given_name=Synthetic" in done.out
    assert "Gone: the books hold nothing, and nothing of it was found." in done.out
    assert list(tmp_path.iterdir()) == []


def test_into_tables_of_its_own_and_nothing_else_is_touched(tmp_path: Path) -> None:
    settings = partner(tmp_path)
    before = dump(tmp_path / "own.db")
    done = nrm("connector", "try", settings)
    assert done.code == 0, done
    assert "first_name=Synthetic, born=1999-01-01" in told(done)
    assert dump(tmp_path / "own.db") == before


def test_a_row_that_stays_emptied_is_told_and_then_taken_away(tmp_path: Path) -> None:
    settings = partner(tmp_path)
    mapping = tmp_path / "mapping.toml"
    mapping.write_text(MAPPING.replace("WHEN_EMPTY", "null"), "utf-8")
    before = dump(tmp_path / "own.db")
    done = nrm("connector", "try", settings)
    assert "A row stays in client, emptied" in told(done)
    assert dump(tmp_path / "own.db") == before


def test_json_lines(tmp_path: Path) -> None:
    (tmp_path / "partner.toml").write_text(
        'home = "agency"\n[sink]\nkind = "jsonl"\npath = "lines.jsonl"\n', "utf-8"
    )
    done = nrm("connector", "try", tmp_path / "partner.toml", "--role", "police")
    assert done.code == 0, done
    assert "lines.jsonl IdentityRecorded" in told(done)
    assert "given_name=Synthetic" in done.out
    assert [path.name for path in tmp_path.iterdir()] == ["partner.toml"]


def test_a_file_that_is_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").write_text("mine\n", "utf-8")
    (tmp_path / "partner.toml").write_text(
        'home = "agency"\n[sink]\nkind = "jsonl"\npath = "lines.jsonl"\n', "utf-8"
    )
    done = nrm("connector", "try", tmp_path / "partner.toml")
    assert done.code == 1
    assert "is there already: try it into another file with --into" in done.err
    assert (tmp_path / "lines.jsonl").read_text("utf-8") == "mine\n"


@pytest.mark.parametrize("agency", ["POL-1", "SH-1"])
def test_never_where_deliveries_of_a_real_hub_are(tmp_path: Path, agency: str) -> None:
    """Whichever agency they are for: the trial's shelter is SH-1, too."""
    identity = MiniHub("real-hub").enrol(tmp_path, agency, "police")
    settings = partner(tmp_path, more=f"\n# {agency}\n")
    text = settings.read_text("utf-8").replace('"agency"', json.dumps(agency))
    settings.write_text(text, "utf-8")
    sink = open_sink(load_settings(settings), identity)
    sink.prepare()
    sink.claim()
    sink.close()
    before = dump(tmp_path / "own.db")
    done = nrm("connector", "try", settings)
    assert done.code == 1
    assert "deliveries of hub 'real-hub': invented persons are never brought" in told(done)
    assert dump(tmp_path / "own.db") == before
    if agency == "POL-1":
        return
    assert nrm("connector", "try", settings, "--undo").code == 1
    assert dump(tmp_path / "own.db") == before

    # On a twin it can be tried, and the real one is only read for what its tables are.
    done = nrm("connector", "try", settings, "--into", f"sqlite:///{tmp_path}/twin.db")
    assert done.code == 0, done
    assert "first_name=Synthetic, born=1999-01-01" in told(done)
    assert dump(tmp_path / "own.db") == before


def test_the_books_of_one_hub_refuse_another_whatever_the_agency(tmp_path: Path) -> None:
    settings = load_settings(partner(tmp_path, mapping=None))
    for hub, agency in (("one", "POL-1"), ("two", "SH-1")):
        sink = open_sink(settings, MiniHub(hub).enrol(tmp_path / hub, agency))
        sink.prepare()
        if hub == "one":
            sink.claim()
        else:
            with pytest.raises(SettingsError, match="holds deliveries of hub 'one'"):
                sink.claim()
        sink.close()


def test_rows_found_by_agency_alone_may_be_real(tmp_path: Path) -> None:
    settings = partner(tmp_path, MAPPING.replace("subject_ref", "agency"))
    before = dump(tmp_path / "own.db")
    done = nrm("connector", "try", settings)
    assert done.code == 1
    assert "found by agency alone" in told(done)
    assert dump(tmp_path / "own.db") == before


def test_what_the_partner_does_not_take_is_told(tmp_path: Path) -> None:
    mapping = MAPPING + 'born_code = { field = "dob_precision", codes = "precision" }\n'
    settings = partner(tmp_path, mapping + '\n[codes.precision]\nyear = "Y"\n')
    with sqlite3.connect(tmp_path / "own.db") as own:
        own.execute("ALTER TABLE client ADD COLUMN born_code TEXT")
    own.close()
    done = nrm("connector", "try", settings)
    assert done.code == 3, done
    assert "code_not_translated" in done.out
    assert not [line for line in dump(tmp_path / "own.db") if "nrm_holding" in line]


def test_what_a_law_keeps_is_told(tmp_path: Path) -> None:
    settings = partner(tmp_path, more='[recalls.own_basis]\nidentity = "Archive Act s. 3"\n')
    before = dump(tmp_path / "own.db")
    done = nrm("connector", "try", settings)
    assert done.code == 0, done
    assert "IdentityRecorded identity own:Archive Act s. 3" in told(done)
    assert dump(tmp_path / "own.db") == before


def test_killed_it_is_taken_away_by_the_next(tmp_path: Path) -> None:
    settings = load_settings(partner(tmp_path))
    before = dump(tmp_path / "own.db")
    story, agency = chosen("shelter")
    practice = Practice.begin(tmp_path / "scratch", story, agency)
    trial = Trial.open(practice, settings)
    assert trial.deliver().rows
    trial.sink.close()  # killed here
    practice.close()

    again = nrm("connector", "try", tmp_path / "partner.toml")
    assert again.code == 1
    assert "nrm-hub connector try … --undo" in again.err
    sink = open_sink(settings, MiniHub("real").enrol(tmp_path, "SH-9", "shelter"))
    sink.prepare()
    with pytest.raises(SettingsError, match="practice-"):
        sink.claim()
    sink.close()
    assert nrm("connector", "try", tmp_path / "partner.toml", "--undo").out == "Taken away.\n"
    assert dump(tmp_path / "own.db") == before
    done = nrm("connector", "try", tmp_path / "partner.toml", "--undo")
    assert "nothing of a trial" in done.out


def test_a_default_table_with_rows_of_others_is_left(tmp_path: Path) -> None:
    """It may be the partner's own, or of books that were lost."""
    settings = load_settings(partner(tmp_path, mapping=None))
    story, agency = chosen("shelter")
    practice = Practice.begin(tmp_path / "scratch", story, agency)
    trial = Trial.open(practice, settings)
    trial.deliver()
    with sqlite3.connect(tmp_path / "own.db") as own:
        own.execute("UPDATE identity_recorded SET event_ref = 'theirs'")
    own.close()
    trial.recalled = True
    trial.close()
    practice.close()
    left = [line for line in dump(tmp_path / "own.db") if line.startswith("CREATE TABLE")]
    assert len(left) == 2, left
    assert any("identity_recorded" in line for line in left)


def test_ctrl_c_takes_everything_away(tmp_path: Path) -> None:
    settings = partner(tmp_path)
    before = dump(tmp_path / "own.db")
    environment = {**installed(tmp_path / "bin"), "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [f"{tmp_path}/bin/nrm-hub", "connector", "try", str(settings)],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until(
        lambda: len(dump(tmp_path / "own.db")) > len(before) or process.poll() is not None,
        every=0.005,
    )
    assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    process.wait(PATIENCE)
    assert dump(tmp_path / "own.db") == before


@pytest.mark.parametrize("statement", [0, 15, 45, 80])
def test_interrupted_amid_a_statement_it_ends_after_the_step(
    tmp_path: Path, statement: int
) -> None:
    """Ended inside it, the statement's cursor would hold its tables locked while all is undone."""
    settings = partner(tmp_path)
    before = dump(tmp_path / "own.db")
    into_own: list[str] = []

    def count(connection: sa.Connection, _cursor: object, text: str, *_: object) -> None:
        if str(connection.engine.url.database).endswith("own.db"):
            if len(into_own) == statement:
                signal.raise_signal(signal.SIGINT)
            into_own.append(text)

    sa.event.listen(sa.Engine, "after_cursor_execute", count)
    try:
        done = nrm("connector", "try", settings)
    finally:
        sa.event.remove(sa.Engine, "after_cursor_execute", count)
    assert len(into_own) > statement
    assert done.code not in (0, 3), done
    assert dump(tmp_path / "own.db") == before
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_story_that_brings_an_event_type_is_chosen() -> None:
    assert chosen("shelter")[0].id == "S1"
    for role, wanted in (("police", "AgeDisputed"), ("embassy", "ReturnAgreed")):
        story, agency = chosen(role, events=[wanted])
        assert wanted in brought(story, agency), role
    assert chosen("police")[0].id == "S1", "of two the one that tells who the person is"
    with pytest.raises(StageError, match=r"there is something for .*shelter"):
        chosen("astronaut")
    with pytest.raises(StageError, match="choose S1"):
        chosen("shelter", "S99")


def test_an_event_type_nobody_knows_is_wrong_usage() -> None:
    done = nrm("connector", "try", "--event", "Nothing")
    assert done.code == 2
    assert "is no event type" in told(done)


def test_a_practice_hub_goes_on_where_it_was(tmp_path: Path) -> None:
    home = tmp_path / "practice"
    assert nrm("connector", "practice", "--home", home, "--role", "police").code == 0
    again = nrm("connector", "practice", "--home", home)
    assert "holds a practice hub already" in again.err
    (tmp_path / "partner.toml").write_text(
        f'home = "{home}/POL-1"\n[sink]\nurl = "sqlite:///police.db"\n', "utf-8"
    )
    run = ("connector", "run", tmp_path / "partner.toml", "--once")
    assert nrm(*run).out == "8 applied, 0 quarantined\n"
    assert nrm("connector", "practice", "--home", home, "--recall").code == 0
    assert nrm(*run).out == "1 applied, 0 quarantined\n"
    settings = load_settings(tmp_path / "partner.toml")
    practice_identity = open_sink(settings, MiniHub("x").enrol(tmp_path, "A"))
    assert landed.holdings(practice_identity) == {}
    practice_identity.close()
    twice = nrm("connector", "practice", "--home", home, "--recall")
    assert "recalled here already" in twice.err
    assert (
        "holds no practice hub" in nrm("connector", "practice", "--recall", "--home", tmp_path).err
    )


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    made = Receiver(tmp_path_factory.mktemp("receiver"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings of a sink whose books lie beside the partner's system, at the identity's home."""
    monkeypatch.setattr(kinds, "KINDS", {"folder": Kind("tests.cli.remote_kind", "a folder")})
    monkeypatch.setattr(settings_module, "KINDS", kinds.KINDS)
    path = tmp_path / "partner.toml"
    path.write_text(
        'home = "SH-1"\n[sink]\nkind = "folder"\n[sink.options]\nfolder = "documents"\n', "utf-8"
    )
    return path


def test_a_system_that_cannot_hold_our_books(documents: Path, tmp_path: Path) -> None:
    done = nrm("connector", "try", documents)
    assert done.code == 0, done
    assert "'given_name': 'Synthetic'" in done.out
    assert "Gone: the books hold nothing" in done.out
    assert list((tmp_path / "documents").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["documents", "partner.toml"]


def test_books_at_the_real_home_refuse_a_trial(documents: Path, tmp_path: Path) -> None:
    """The trial has books of its own; the real ones are looked for where they are kept."""
    identity = MiniHub("real-hub").enrol(tmp_path, "SH-1", "shelter")
    sink = open_sink(load_settings(documents), identity)
    sink.prepare()
    sink.claim()
    sink.close()
    done = nrm("connector", "try", documents)
    assert done.code == 1
    assert "deliveries of hub 'real-hub'" in done.err
    assert list((tmp_path / "documents").iterdir()) == []


def test_files_are_read_back_and_taken_away(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "partner.toml").write_text(
        'home = "agency"\n[sink]\nkind = "folder"\n[sink.options]\npath = "out"\n', "utf-8"
    )
    done = nrm("connector", "try", tmp_path / "partner.toml")
    assert done.code == 0, done
    assert "given_name=Synthetic" in done.out
    assert "Gone: the books hold nothing, and nothing of it was found." in done.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "partner.toml"]
    assert list((tmp_path / "out").iterdir()) == [], "lists of what was recalled go too"


def test_a_shipped_kind_that_cannot_be_read_back(tmp_path: Path, receiver: Receiver) -> None:
    """What the receiver took is shown, to be compared by eye, and no more is claimed."""
    receiver.empty()
    (tmp_path / "partner.toml").write_text(
        'home = "agency"\n[sink]\nkind = "webhook"\n[sink.options]\n'
        f'url = "{receiver.url}"\nsecrets = ["{SECRET}"]\nca_file = "{receiver.ca}"\n',
        "utf-8",
    )
    done = nrm("connector", "try", tmp_path / "partner.toml")
    assert done.code == 0, done
    assert "5 event IdentityRecorded given_name=Synthetic" in told(done)
    assert "Your system took 8 recalls, and its answers are its word" in done.out
    assert [path.name for path in tmp_path.iterdir()] == ["partner.toml"]


@pytest.mark.postgres
def test_on_postgres_in_a_schema_of_its_own(
    new_postgres_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_postgres_database()
    with psycopg.connect(url) as own:
        own.execute("CREATE SCHEMA hub")
        own.execute("CREATE TABLE client (nrm_ref TEXT UNIQUE, first_name TEXT, born DATE)")
    (tmp_path / "mapping.toml").write_text(MAPPING.replace("WHEN_EMPTY", "null"), "utf-8")
    (tmp_path / "partner.toml").write_text(
        f'home = "agency"\n[sink]\nurl = "{url}"\ndb_schema = "hub"\nmapping = "mapping.toml"\n',
        "utf-8",
    )
    done = nrm("connector", "try", tmp_path / "partner.toml")
    assert done.code == 0, done
    assert "first_name=Synthetic, born=1999-01-01" in told(done)
    assert "A row stays in client, emptied" in told(done)
    with psycopg.connect(url) as own:
        left = own.execute("SELECT tablename FROM pg_tables WHERE schemaname IN ('hub', 'public')")
        assert left.fetchall() == [("client",)]
        assert own.execute("SELECT count(*) FROM client").fetchone() == (0,)
