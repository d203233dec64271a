"""The commands `nrm-hub source …`, and what its settings file may say."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from connectors.agency.identity import AgencyIdentity
from connectors.checks.source import look_at_source
from connectors.errors import SettingsError
from connectors.source import REASONS, SCHEMA_REASONS
from connectors.sources.runner import ALARMS
from connectors.sources.settings import SOURCES, SourceSettings, load_source_settings, open_source
from hub.api.server import serve_api
from hub.home import Home
from hub.hub import Hub
from tests.cli.programs import nrm
from tests.sources.followed import Followed
from tests.sources.site import AT, OPENED
from tests.sources.test_changes import MAPPING, STAY, TABLES

CANARY = "Zlatanova-Canary"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a hub that runs, and NGO-1's identity."""
    folder = tmp_path_factory.mktemp("cli")
    home = Home(folder / "hub")
    home.init()
    hub = Hub.open(home)
    made = AgencyIdentity.create(folder / "NGO-1", "NGO-1", "NGO", "ngo_support")
    made.install_approval(hub.enrolment.approve(made.enrolment_request(), by="operator"))
    hub.ensure_topics()
    hub.start()
    server = serve_api(hub, port=0)
    (folder / "http").write_text(server.url, encoding="utf-8")
    yield folder
    assert hub.failure is None
    server.stop()
    hub.stop()


def outbox_settings(folder: Path, name: str = "outbox") -> Path:
    """As docs/publish-outbox.md has it: the statements as printed, then a settings file."""
    statements = nrm("source", "ddl", "sqlite").out
    database = folder / f"{name}.db"
    if not database.exists():
        with sqlite3.connect(database) as db:
            db.executescript(statements)
        db.close()
    path = folder / f"{name}.toml"
    path.write_text(
        f'home = "NGO-1"\nkind = "outbox"\nname = "{name}"\n'
        f'[database]\nurl = "sqlite:///{name}.db"\n[hub]\ngive_up_seconds = 20\n',
        encoding="utf-8",
    )
    return path


def put(path: Path, case: str, **data: Any) -> None:
    with sqlite3.connect(path.with_suffix(".db")) as db:
        db.execute(
            "INSERT INTO nrm_outbox (event_type, case_ref, occurred_at, data) VALUES (?, ?, ?, ?)",
            ("CaseOpened", case, AT, json.dumps({**OPENED, **data})),
        )
    db.close()


def test_check_run_status_report_retry(running: Path) -> None:
    settings = outbox_settings(running)
    put(settings, "CLI-1")
    put(settings, "CLI-2", channel=CANARY)
    checked = nrm("source", "check", settings)
    assert checked.code == 0, checked.err
    assert "2 ready" in checked.out
    ran = nrm("source", "run", settings, "--once")
    assert ran.code == 3
    assert "1 accepted, 1 refused" in ran.out
    status = nrm("source", "status", settings, "--json")
    assert status.code == 3
    told = json.loads(status.out)
    assert (told["ready"], told["accepted"], told["refused"]) == (0, 1, 1)
    for form in ("table", "csv", "json"):
        report = nrm("source", "report", settings, "--as", form)
        assert report.code == 0
        assert "unknown_code" in report.out
        assert "channel" in report.out
        assert CANARY not in report.out
    again = nrm("source", "retry", settings)
    assert "1 rows are offered again" in again.out
    ran = nrm("source", "run", settings, "--once")
    assert CANARY not in ran.out + ran.err
    assert ran.code == 3  # the row is as it was


def test_all_that_is_missing_is_told_at_once(running: Path, tmp_path: Path) -> None:
    """Of the agency's tables, the mapping and the way to the hub, each with its fix."""
    home = tmp_path / "NGO-1"
    shutil.copytree(running / "NGO-1", home)
    (tmp_path / "changes.toml").write_text(MAPPING.replace('"how"', '"haw"', 1))
    with sqlite3.connect(tmp_path / "casework.db") as db:
        db.execute(TABLES["sqlite"])
    db.close()
    path = tmp_path / "source.toml"
    text = f'home = "{home}"\nkind = "changes"\n[database]\nurl = "sqlite:///casework.db"\n'
    path.write_text(text + 'mapping = "changes.toml"\n[hub]\nurl = "embedded:/nowhere"\n')
    told = nrm("source", "check", path)
    assert told.code == 1
    wrong = re.findall(r"^!! +(\w+) +(.*)\n +-> .+", told.out, re.MULTILINE)
    assert {subject for subject, _ in wrong} == {"tables", "hub"}, told.out
    assert {text for subject, text in wrong if subject == "tables"} == {
        "client has no column haw (did you mean 'how'?)",
        "the database has no table stay",
    }
    assert not (tmp_path / "source.state.db").exists(), "nothing is made"
    listed = json.loads(nrm("source", "check", path, "--json").out)
    assert [one["level"] for one in listed].count("wrong") == len(wrong)
    (home / "hub.toml").unlink()  # while an answer to the request is waited for
    (tmp_path / "casework.db").unlink()
    (tmp_path / "changes.toml").write_text("version = 2")
    [who, what] = [
        one
        for one in look_at_source(path, datetime.now(UTC))
        if one.subject in ("identity", "source")
    ]
    assert "not enrolled" in who.text
    assert "is not there" in what.text
    assert "changes.toml:1" in what.text


def test_a_folder_run_once_takes_what_settles(running: Path) -> None:
    drop = running / "drop"
    drop.mkdir()
    settings = running / "folder.toml"
    settings.write_text(
        'home = "NGO-1"\nkind = "folder"\n[folder]\npath = "drop"\nevent = "CaseOpened"\n'
        "settle_seconds = 0.2\n",
        encoding="utf-8",
    )
    header = "case,occurred_at,jurisdiction,channel,age_status\n"
    (drop / "a.csv").write_text(header + f"F-1,{AT},XX,outreach,adult\n", encoding="utf-8")
    ran = nrm("source", "run", settings, "--once")
    assert (ran.code, ran.out) == (0, "1 accepted, 0 refused\n"), ran.err
    assert (drop / "done" / "a.csv.report.csv").exists()
    assert nrm("source", "retry", settings).code == 1
    (drop / "b.csv").write_text("nothing\n", encoding="utf-8")
    (drop / "c.csv").write_text(header + "F-2,yesterday,XX,outreach,adult\n", encoding="utf-8")
    ran = nrm("source", "run", settings, "--once")
    assert (ran.code, ran.out) == (3, "0 accepted, 2 refused\n"), ran.err
    assert str(drop / "refused") in ran.err
    assert str(drop / "refused") in nrm("source", "report", settings).out


def test_over_http(running: Path) -> None:
    settings = outbox_settings(running, "over-http")
    put(settings, "H-1")
    url = (running / "http").read_text("utf-8")
    text = settings.read_text("utf-8").replace("[hub]", f'[hub]\nvia = "http"\nurl = "{url}"')
    settings.write_text(text, encoding="utf-8")
    ran = nrm("source", "run", settings, "--once")
    assert (ran.code, ran.out) == (0, "1 accepted, 0 refused\n"), ran.err
    assert "ok    hub        reached" in nrm("source", "check", settings).out


def test_a_source_of_another_package(
    running: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named in `kind`, made by what its entry point names."""
    entry = EntryPoint("ledger", f"{__name__}:opened_by_entry", SOURCES)
    monkeypatch.setattr(
        "connectors.sources.settings.entry_points",
        lambda group: [entry] if group == SOURCES else [],
    )
    monkeypatch.setattr(EntryPoint, "load", lambda _: opened_by_entry)
    path = tmp_path / "source.toml"
    text = f'home = "{running / "NGO-1"}"\nkind = "ledger"\n[options]\nyear = 2026\n'
    path.write_text(text, encoding="utf-8")
    loaded = load_source_settings(path)
    made = open_source(loaded, AgencyIdentity.load(loaded.home))
    assert made == ("ledger", "NGO-1", {"year": 2026})


def test_following_the_log_from_nothing(
    running: Path, new_postgres_database: Callable[[], str]
) -> None:
    """As docs/publish-changes.md has it: what is missing is named, printed, run; then it flows."""
    agency = Followed(new_postgres_database(), running)
    agency.do(TABLES["postgres"], STAY)
    (running / "changes.toml").write_text(MAPPING, encoding="utf-8")
    settings = running / "log.toml"
    text = f'home = "NGO-1"\nkind = "changes"\n[database]\nurl = "{agency.url}"\n'
    text += f'mapping = "changes.toml"\nslot = "{agency.slot}"\n[hub]\ngive_up_seconds = 20\n'
    settings.write_text(text, encoding="utf-8")
    settings.chmod(0o600)  # a password stands in it
    checked = nrm("source", "check", settings)
    assert checked.code == 1
    for missing in (
        "log .*no publication",
        "log .*functions",
        "log .*no slot",
        "tables .*read stay",
    ):
        assert re.search(f"^!! +{missing}", checked.out, re.MULTILINE), checked.out
    refused = nrm("source", "run", settings, "--once")
    assert (refused.code, "no publication" in refused.err) == (1, True)
    agency.do(nrm("source", "ddl", "postgresql", "--slot", settings).out)
    agency.do("INSERT INTO client VALUES (1, 'LOG-1', 'outreach', 'A', NULL, NULL, now(), now())")
    checked = nrm("source", "check", settings)
    assert checked.code == 0, checked.out
    assert re.search("^ok +log +slot nrm_.*0 MiB of the server's log kept", checked.out, re.M)
    assert nrm("source", "run", settings, "--once").out == "1 accepted, 0 refused\n"
    assert "log kept; 0 touched rows wait" in nrm("source", "status", settings).out
    assert nrm("source", "ddl", "sqlite", "--slot", settings).code == 1
    page = (Path(__file__).parents[2] / "docs" / "publish-changes.md").read_text("utf-8")
    [ending] = re.findall("```sql\n(.*?)```", page, re.DOTALL)
    agency.do(*ending.replace("nrm_changes", agency.slot).strip().split("\n"))
    assert agency.ask(f"SELECT count(*) FROM pg_roles WHERE rolname = '{agency.slot}_owner'") == 0
    agency.close()


def opened_by_entry(settings: SourceSettings, identity: AgencyIdentity) -> Any:
    return settings.source_name, identity.agency, settings.options


def test_ddl_for_every_database() -> None:
    for dialect in ("postgresql", "mariadb", "sqlite"):
        printed = nrm("source", "ddl", dialect, "--table", "app.outbox", "--trigger").out
        assert "CREATE TABLE app.outbox" in printed
        assert "INSERT INTO app.outbox" in printed
        assert "CREATE TRIGGER" in printed


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "home"),
        ('home = "a"\nkind = "outbox"', "a [database] section is needed"),
        ('home = "a"\nkind = "folder"', "a [folder] section is needed"),
        ('home = "a"\nkind = "changes"\n[database]\nurl = "sqlite:///x"', "mapping is needed"),
        ('home = "a"\nkind = "outbox"\n[database]\ntable = "x"', "one of url and url_file"),
        ('home = "a"\nkind = "x"\nnam = "y"', "nam"),
        ('home = "a"\nkind = "changes"\n[database]\nurl = "x"\nslot = "Y"', "slot's name is nrm_"),
        ('home = "a"\nkind = "x"\nname = "ä"', "name"),
        ('home = "a"\nkind = "outbox"\n[database]\nurl_file = "no"', "url_file cannot be read"),
        ('home = "a"\nkind = "${NO_SUCH_VARIABLE}"', "NO_SUCH_VARIABLE is not set"),
        ("home = ", "source.toml"),
    ],
)
def test_mistakes_in_settings_are_named(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "source.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as wrong:
        load_source_settings(path)
    assert told in str(wrong.value)


@pytest.mark.parametrize(
    ("section", "told"),
    [
        ('kind = "nothing"', "known are outbox, changes, folder"),
        ('kind = "outbox"\n[database]\nurl = "oracle://secret-word@x/y"', "no support for oracle"),
        ('kind = "outbox"\n[database]\nurl = "what?"', "database.url"),
        ('kind = "outbox"\n[database]\nurl = "sqlite:///gone.db"', "is not there"),
        ('kind = "folder"\n[folder]\npath = "x"\nzone = "Mars/Base"', "no time zone"),
    ],
)
def test_sources_that_cannot_be_opened_say_why(
    running: Path, tmp_path: Path, section: str, told: str
) -> None:
    path = tmp_path / "source.toml"
    path.write_text(f'home = "{running / "NGO-1"}"\n{section}\n', encoding="utf-8")
    loaded = load_source_settings(path)
    with pytest.raises(SettingsError) as wrong:
        open_source(loaded, AgencyIdentity.load(loaded.home))
    assert told in str(wrong.value)
    assert "secret-word" not in str(wrong.value)


def test_every_setting_is_documented() -> None:
    pages = "".join(
        (Path(__file__).parents[2] / "docs" / f"publish-{kind}.md").read_text("utf-8")
        for kind in ("outbox", "changes", "folder")
    )
    for name, part in SourceSettings.model_fields.items():
        inner = getattr(part.annotation, "model_fields", None)
        if inner is None and name in ("database", "folder"):
            inner = part.annotation.__args__[0].model_fields
        for one in inner or [name]:
            wanted = f"`{name}.{one}`" if inner else f"`{name}`"
            assert wanted in pages, wanted


def test_every_reason_and_alarm_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "publish-outbox.md").read_text("utf-8")
    for code in (*REASONS, *SCHEMA_REASONS, *ALARMS):
        assert f"| `{code}` |" in page, code


def test_state_files_are_for_this_user_only(running: Path) -> None:
    (running / "private").mkdir()
    settings = running / "private.toml"
    settings.write_text(
        'home = "NGO-1"\nkind = "folder"\nname = "private"\n'
        '[folder]\npath = "private"\nevent = "CaseOpened"\n',
        encoding="utf-8",
    )
    assert nrm("source", "run", settings, "--once").code == 0
    state = running / "private.state.db"
    assert state.exists()
    assert os.stat(state).st_mode & 0o077 == 0
