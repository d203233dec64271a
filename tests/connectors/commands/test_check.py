"""`nrm-hub connector check`: every kind of trouble is named before anything flows."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from connectors.agency.identity import AgencyIdentity
from connectors.checks import look
from connectors.checks.files import disk_findings, settings_findings
from connectors.checks.hub import _encryption
from connectors.findings import Finding
from connectors.settings import load_settings
from connectors.sql import SqlSink
from hub.topics import Message, Topics
from tests.connectors.builder import MiniHub
from tests.connectors.commands.saying import delivered, said

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)


@pytest.fixture
def partner(partner: Path, hub: MiniHub, topics: Topics) -> Path:
    topics.append("nrm.registry", [Message(hub.registry())])
    return partner


def found(path: Path, level: str = "") -> dict[str, Finding]:
    """Findings by subject, of this level."""
    return {one.subject: one for one in look(path, datetime.now(UTC)) if level in ("", one.level)}


def test_all_is_well(partner: Path) -> None:
    everything = look(partner, datetime.now(UTC))
    assert {one.level for one in everything} == {"ok"}, everything
    assert {one.subject for one in everything} >= {
        "settings", "identity", "keys", "disk", "sink", "rights", "hub", "tls", "lag",
    }  # fmt: skip
    assert all(one.text for one in everything)


def test_as_a_table_and_as_json(partner: Path) -> None:
    shown = said("connector", "check", partner)
    assert "at sequence 0" in shown
    listed = json.loads(said("connector", "check", partner, "--json"))
    assert {one["level"] for one in listed} == {"ok"}
    assert set(listed[0]) == {"level", "subject", "text", "fix"}
    (partner.parent / "POL-1" / "signing.key").chmod(0o644)
    assert "chmod 600" in said("connector", "check", partner, code=1)
    assert json.loads(said("connector", "check", partner, "--json", code=1))


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    assert found(tmp_path / "none.toml", "wrong")["settings"].fix
    path = tmp_path / "partner.toml"
    path.write_text("home = 1\n[sink]\nkind = 3\n")
    assert "home" in found(path, "wrong")["settings"].text


def test_an_identity_that_is_missing_or_not_enrolled(tmp_path: Path) -> None:
    path = tmp_path / "partner.toml"
    path.write_text('home = "POL-1"\n[sink]\nurl = "sqlite:///partner.db"\n')
    assert "agency init" in found(path, "wrong")["identity"].text
    AgencyIdentity.create(tmp_path / "POL-1", "POL-1", "Police", "police")
    assert "not enrolled" in found(path, "wrong")["identity"].text
    assert not (tmp_path / "partner.db").exists(), "nothing is made"


def test_the_sink_is_looked_at_while_the_approval_is_waited_for(tmp_path: Path) -> None:
    """That can take days; whoever set it up wants to know now what is wrong with it."""
    path = tmp_path / "partner.toml"
    AgencyIdentity.create(tmp_path / "POL-1", "POL-1", "Police", "police")
    path.write_text('home = "POL-1"\n[sink]\nkind = "webhok"\n')
    assert "there is no sink 'webhok'; known are" in found(path, "wrong")["sink"].text
    path.write_text('home = "POL-1"\n[sink]\nkind = "webhook"\n')
    assert "sink.options.secrets" in found(path, "wrong")["sink"].text
    (tmp_path / "partner.db").touch(0o644)
    path.write_text('home = "POL-1"\n[sink]\nurl = "sqlite:///partner.db"\n')
    assert "chmod 600" in found(path, "warning")["file"].fix
    assert (tmp_path / "partner.db").stat().st_size == 0, "nothing is made"


@pytest.mark.parametrize("name", ["signing.key", "sealing.key", "salt.key"])
def test_keys_that_others_may_read(partner: Path, name: str) -> None:
    (partner.parent / "POL-1" / name).chmod(0o640)
    assert any(name in one.text for one in look(partner, NOW) if one.level == "wrong")


def test_files_of_secrets(partner: Path) -> None:
    secret = partner.parent / "url"
    secret.write_text(f"sqlite:///{partner.parent}/partner.db\n")
    partner.write_text('home = "POL-1"\n[sink]\nurl_file = "url"\n')
    secret.chmod(0o604)
    assert str(secret) in found(partner, "wrong")["secrets"].fix
    secret.chmod(0o600)
    assert found(partner)["secrets"].level == "ok"


@pytest.mark.parametrize(
    ("sink", "secret"),
    [
        ('kind = "webhook"\n[sink.options]\nurl = "https://x"\nsecrets = ["whsec_x"]', True),
        ('kind = "fhir"\n[sink.options]\nurl = "https://x"\nsmart = { key = "-----BEGIN PRIVATE '
         'KEY-----", token_url = "https://x", client_id = "c" }', True),
        ('url = "sqlite:///p.db"\n[notice]\nto = ["a@b.c"]\nsender = "d@e.f"\nhost = "h"\n'
         'user = "u"\npassword = "CANARY-pw"', True),
        ('url = "postgresql://a@127.0.0.1:1/x?password=CANARY-pw"', True),
        ('kind = "fhir"\n[sink.options]\nurl = "https://x"\ntoken = { file = "url" }', False),
        ('kind = "fhir"\n[sink.options]\nurl = "https://x"\nsmart = { key = { file = "url" }, '
         'token_url = "https://x", client_id = "c" }', False),
    ],
)  # fmt: skip
def test_secrets_in_the_settings_wherever_they_stand(
    partner: Path, sink: str, secret: bool
) -> None:
    partner.write_text(f'home = "POL-1"\n[sink]\n{sink}\n')
    partner.chmod(0o644)
    (partner.parent / "url").touch(mode=0o600)
    told = [one for one in settings_findings(partner) if one.level == "wrong"]
    assert bool(told) == secret
    assert "CANARY" not in repr(told)


@pytest.mark.parametrize("name", ["key_file", "certificate_key", "key"])
def test_private_keys_of_other_systems(partner: Path, name: str) -> None:
    key = partner.parent / "id"
    key.touch(mode=0o600)
    partner.write_text(
        'home = "POL-1"\n[sink]\nkind = "x"\n[sink.options]\ncertificate = "c.pem"\n'
        f'{name} = "id"\n'
    )
    assert {one.level for one in settings_findings(partner)} == {"ok"}
    key.chmod(0o640)
    assert [one.fix for one in settings_findings(partner)] == [f"chmod 600 {key}"]


def test_a_password_in_a_file_that_others_may_read(partner: Path) -> None:
    partner.write_text('home = "POL-1"\n[sink]\nurl = "postgresql://a:CANARY-pw@127.0.0.1:1/x"\n')
    partner.chmod(0o644)
    looked = look(partner, NOW)
    assert "secrets" in {one.subject for one in looked if one.level == "wrong"}
    assert "sink" in {one.subject for one in looked if one.level == "wrong"}
    assert "CANARY-pw" not in repr(looked)
    partner.chmod(0o600)
    assert "secrets" not in found(partner, "wrong")


def test_a_rotation_that_waits(partner: Path) -> None:
    said("agency", "rotate", "--home", partner.parent / "POL-1")
    assert "approval" in found(partner, "warning")["keys"].text


def test_a_full_disk(partner: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings(partner)
    for free, level in ((1 << 20, "wrong"), (1 << 29, "warning"), (1 << 40, "ok")):
        usage = SimpleNamespace(free=free)
        monkeypatch.setattr("shutil.disk_usage", lambda _, usage=usage: usage)
        assert {one.level for one in disk_findings(settings)} == {level}


def test_a_database_that_others_may_read(partner: Path) -> None:
    look(partner, NOW)
    database = partner.parent / "partner.db"
    assert database.stat().st_mode & 0o077 == 0, "what the connector makes is its owner's"
    database.chmod(0o644)
    assert "partner.db" in found(partner, "warning")["file"].text


def test_a_file_that_others_may_read(partner: Path) -> None:
    partner.write_text('home = "POL-1"\n[sink]\nkind = "jsonl"\npath = "lines.jsonl"\n')
    assert found(partner)["file"].level == "ok"
    (partner.parent / "lines.jsonl").chmod(0o604)
    assert "chmod 600" in found(partner, "warning")["file"].fix


def test_a_sink_that_does_not_work(partner: Path) -> None:
    (partner.parent / "partner.db").mkdir()
    assert "SQLITE_CANTOPEN" in found(partner, "wrong")["sink"].text
    assert found(partner)["hub"].level == "ok", "the hub is looked at all the same"


def test_a_sink_of_others_that_fails_shows_no_text_of_its_own(
    partner: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def prepare(self) -> None:
            raise RuntimeError("CANARY-pw is not accepted")

        def close(self) -> None:
            """Nothing is open."""

    monkeypatch.setattr("connectors.checks.open_sink", lambda *_: Broken())
    wrong = found(partner, "wrong")["sink"]
    assert "RuntimeError" in wrong.text
    assert "CANARY" not in repr(wrong)


def test_what_the_sink_finds_itself_is_told(partner: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = [Finding("warning", "rights", "it may delete everything", "take that right away")]
    monkeypatch.setattr(SqlSink, "check", lambda self: told, raising=False)
    assert found(partner, "warning")["rights"] is told[0]


def test_quarantine_and_receipts_that_wait(
    hub: MiniHub, topics: Topics, partner: Path, tmp_path: Path
) -> None:
    delivered(hub, topics, tmp_path, spoil=True)
    assert "1 messages wait" in found(partner)["lag"].text
    said("connector", "run", partner, "--once")
    assert "0 messages wait" in found(partner)["lag"].text
    waiting = found(partner, "warning")["quarantine"]
    assert "1 in quarantine" in waiting.text
    assert "the hub's operator" in waiting.text
    engine = sa.create_engine(f"sqlite:///{tmp_path}/partner.db")
    with engine.begin() as db:
        db.execute(sa.text("UPDATE nrm_receipt_outbox SET sent_at = NULL, applied_at = "
                           "'2026-01-01T00:00:00.000000Z'"))  # fmt: skip
    engine.dispose()
    assert "2026-01-01" in found(partner, "warning")["receipts"].text


def test_a_hub_that_is_not_there(hub: MiniHub, partner: Path, tmp_path: Path) -> None:
    text = partner.read_text()
    partner.write_text(text + '[inbox]\nvia = "http"\nurl = "http://127.0.0.1:9"\n')
    wrong = found(partner, "wrong")
    assert "does not answer" in wrong["hub"].text
    partner.write_text(text + '[inbox]\nurl = "nonsense"\n')
    assert found(partner, "wrong")["hub"].fix
    (tmp_path / "topics.db").unlink()
    partner.write_text(text)


@pytest.mark.parametrize(
    ("url", "level"),
    [
        ("http://user:CANARY-pw@hub.example/api", "warning"),
        ("kafka://broker.example:9092", "warning"),
        ("kafka://broker.example:9093?security=sasl_ssl", "ok"),
        ("https://hub.example", "ok"),
        ("http://127.0.0.1:8080", "ok"),
    ],
)
def test_a_way_that_is_not_encrypted(url: str, level: str) -> None:
    one = _encryption(url)
    assert one.level == level
    assert "CANARY-pw" not in repr(one)


def test_a_key_the_hub_does_not_know_or_has_revoked(
    hub: MiniHub, topics: Topics, partner: Path, tmp_path: Path
) -> None:
    said("agency", "rotate", "--home", tmp_path / "POL-1")
    request = said("agency", "rotate", "--home", tmp_path / "POL-1")
    approval = tmp_path / "approval.json"
    approval.write_bytes(hub.approve(request[: request.rindex("}") + 1].encode()))
    topics.append("nrm.registry", [Message(hub.registry())])
    assert "revoked" in found(partner, "wrong")["registry"].text
    said("agency", "install", approval, "--home", tmp_path / "POL-1")
    assert "registry" not in found(partner, "wrong")


# -- codes -------------------------------------------------------------------------------------

MAPPING = """
version = 1
[codes.age]
adult = "A"
child = "CHILD"
%s
[[map]]
event = "CaseOpened"
table = "client"
key = { nrm_ref = "case_ref" }
[map.columns]
age_group = { field = "age_status", codes = "age" }
"""


@pytest.mark.parametrize(
    ("column", "rest", "level", "words"),
    [
        ("text", '"*" = "U"', "ok", "its codes too"),
        ("text", "", "warning", "no translation of"),
        ("varchar(3)", '"*" = "U"', "wrong", "holds 3 letters, 'CHILD' has 5"),
        ("text references age(code)", '"*" = "U"', "wrong", "takes A, U, not CHILD"),
    ],
)
def test_codes_against_the_database(
    partner: Path, column: str, rest: str, level: str, words: str
) -> None:
    engine = sa.create_engine(f"sqlite:///{partner.parent}/partner.db")
    with engine.begin() as db:
        db.execute(sa.text("CREATE TABLE age (code text PRIMARY KEY)"))
        db.execute(sa.text("INSERT INTO age VALUES ('A'), ('U')"))
        db.execute(sa.text(f"CREATE TABLE client (nrm_ref text PRIMARY KEY, age_group {column})"))
    engine.dispose()
    (partner.parent / "mapping.toml").write_text(MAPPING % rest)
    partner.write_text(partner.read_text() + 'mapping = "mapping.toml"\n')
    told = look(partner, NOW)
    assert {one.level for one in told if words in one.text} == {level}
    if level == "wrong":
        assert any(one.subject.endswith("mapping.toml:12") for one in told)


# -- rights on a real PostgreSQL ---------------------------------------------------------------


def test_rights_on_postgresql(new_postgres_database: Callable[[], str]) -> None:
    url = sa.make_url(new_postgres_database())
    mighty = SqlSink(url.render_as_string(hide_password=False), "POL-1", "test-hub")
    mighty.prepare()
    told = {one.subject: one for one in mighty.check()}
    assert told["rights"].level == "warning"
    assert "superuser" in told["rights"].text
    assert told["encryption"].level == "ok"
    user = f"nrm_{url.database}"
    with mighty.database.engine.begin() as db:
        for statement in (
            f"CREATE ROLE \"{user}\" LOGIN PASSWORD '{url.password or 'x'}'",
            f'CREATE SCHEMA "{user}"',
            f'GRANT USAGE ON SCHEMA "{user}" TO "{user}"',
            f'ALTER ROLE "{user}" SET search_path = "{user}"',
        ):
            db.execute(sa.text(statement))
    own = url.set(username=user, password=url.password or "x")
    humble = SqlSink(own.render_as_string(hide_password=False), "POL-1", "test-hub")
    told = {one.subject: one for one in humble.check()}
    assert (told["tables"].level, told["rights"].level) == ("wrong", "ok")
    with mighty.database.engine.begin() as db:
        db.execute(sa.text(f'GRANT CREATE ON SCHEMA "{user}" TO "{user}"'))
    assert {one.level for one in humble.check()} == {"ok"}
    humble.prepare()
    humble.claim()
    humble.close()
    with mighty.database.engine.begin() as db:
        db.execute(sa.text(f'DROP OWNED BY "{user}"'))
        db.execute(sa.text(f'DROP SCHEMA "{user}" CASCADE'))
        db.execute(sa.text(f'DROP ROLE "{user}"'))
    mighty.close()


def test_a_table_that_is_gone_while_the_books_hold_rows_of_it(
    partner: Path, hub: MiniHub, topics: Topics
) -> None:
    delivered(hub, topics, partner.parent)
    assert said("connector", "run", partner, "--once")
    with closing(sqlite3.connect(partner.parent / "partner.db")) as own:
        own.execute("DROP TABLE case_opened")
        own.commit()
    lost = found(partner, "wrong")["tables"]
    assert "case_opened is gone" in lost.text
    assert "reconcile" in lost.fix
