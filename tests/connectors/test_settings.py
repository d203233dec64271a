"""Settings: what a partner.toml may say, and how mistakes and secrets are handled."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from connectors import settings as module
from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import HttpInbox, TopicInbox
from connectors.delivery import REASONS
from connectors.errors import SettingsError
from connectors.jsonl import JsonlSink
from connectors.secret import Secret
from connectors.settings import PartnerSettings, load_settings, open_inbox, open_sink
from connectors.sql import SqlSink
from connectors.telling.alarms import ALARMS
from tests.connectors.builder import MiniHub

DOCS = Path(__file__).parents[2] / "docs" / "connectors.md"


def written(folder: Path, text: str) -> Path:
    path = folder / "partner.toml"
    path.write_text(text)
    return path


def test_the_least_there_can_be(tmp_path: Path) -> None:
    path = written(tmp_path, 'home = "agency"\n[sink]\nurl = "sqlite:///partner.db"\n')
    loaded = load_settings(path)
    assert loaded.home == tmp_path / "agency"
    assert loaded.sink.url == f"sqlite:///{tmp_path}/partner.db"
    assert loaded.inbox.via == "topics"
    assert loaded.recalls.prefer == "delete"
    assert loaded.pace.pace().poll == 1.0


def test_secrets_come_from_the_environment_or_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "s3cret")
    url = 'home = "a"\n[sink]\nurl = "postgresql://u:${DB_PASSWORD}@h/db"\n'
    assert load_settings(written(tmp_path, url)).sink.url == "postgresql://u:s3cret@h/db"
    (tmp_path / "url.txt").write_text("postgresql://u:other@h/db\n")
    from_file = 'home = "a"\n[sink]\nurl_file = "url.txt"\n'
    assert load_settings(written(tmp_path, from_file)).sink.url == "postgresql://u:other@h/db"


def test_a_secret_that_others_may_read_is_told_when_it_is_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret = tmp_path / "url.txt"
    secret.write_text("postgresql://u:CANARY-pw@h/db\n")
    settings = written(tmp_path, 'home = "a"\n[sink]\nurl_file = "url.txt"\n')
    for mode, told in ((0o600, 0), (0o640, 1)):
        secret.chmod(mode)
        load_settings(settings)
        Secret(file=secret).read(tmp_path)
        assert caplog.text.count("can be read by others") == 2 * told
    assert f"chmod 600 {secret}" in caplog.text
    assert "CANARY" not in caplog.text


def test_a_secret_that_is_no_text_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "url.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="url_file cannot be read"):
        load_settings(written(tmp_path, 'home = "a"\n[sink]\nurl_file = "url.txt"\n'))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "home"),
        ('home = "a"\n[sink]\n', "one of url and url_file"),
        ('home = "a"\n[sink]\nkind = "jsonl"\n', "path of the file"),
        ('home = "a"\n[sink]\nurl = "sqlite:///x"\nurI = "y"\n', "sink.urI"),
        ('home = "a"\n[sink]\nurl = "sqlite:///x"\n[pace]\npoll_seconds = 0\n', "pace.poll_sec"),
        ('home = "a"\n[sink]\nurl = "${NOT_SET_ANYWHERE}"\n', "NOT_SET_ANYWHERE is not set"),
        ('home = "a"\n[sink]\nurl_file = "none"\n', "url_file"),
        ("home = ", "Invalid value"),
        (
            'home = "a"\n[sink]\nurl = "sqlite:///x"\n[recalls.own_basis]\nidentiy = "Act 1"\n',
            "no category 'identiy'",
        ),
        (
            'home = "a"\n[sink]\nurl = "sqlite:///x"\n[recalls.own_basis]\nidentity = " "\n',
            "name the law that keeps identity",
        ),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load_settings(written(tmp_path, text))


def test_a_mistake_never_repeats_a_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "s3cret")
    text = 'home = "a"\n[sink]\nurl = ["${DB_PASSWORD}"]\n'
    with pytest.raises(SettingsError) as caught:
        load_settings(written(tmp_path, text))
    assert "s3cret" not in str(caught.value)


def test_what_the_settings_open(tmp_path: Path) -> None:
    hub = MiniHub(topics_url=f"embedded:///{tmp_path}/topics.db")
    identity = hub.enrol(tmp_path, "POL-1")
    for text, inbox_kind, sink_kind in (
        ('[sink]\nurl = "sqlite:///p.db"', TopicInbox, SqlSink),
        ('[inbox]\nvia = "http"\n[sink]\nkind = "jsonl"\npath = "d.jsonl"', HttpInbox, JsonlSink),
    ):
        loaded = load_settings(written(tmp_path, f'home = "POL-1"\n{text}\n'))
        inbox, sink = open_inbox(loaded, identity), open_sink(loaded, identity)
        assert isinstance(inbox, inbox_kind)
        assert isinstance(sink, sink_kind)
        inbox.close()
        sink.close()


def test_a_sink_nobody_registered(tmp_path: Path, police: AgencyIdentity) -> None:
    loaded = load_settings(written(tmp_path, 'home = "a"\n[sink]\nkind = "dhis9"\n'))
    with pytest.raises(SettingsError, match="known are sql, jsonl"):
        open_sink(loaded, police)


def _settings(model: type[BaseModel], prefix: str = "") -> list[tuple[str, str | None]]:
    listed: list[tuple[str, str | None]] = []
    for name, info in model.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            listed += _settings(kind, f"{prefix}{name}.")
        else:
            listed.append((prefix + name, info.description))
    return listed


def test_every_setting_reason_and_alarm_is_documented() -> None:
    text = DOCS.read_text(encoding="utf-8")
    for name, description in _settings(PartnerSettings):
        assert description, f"{name} says nothing of itself"
        assert f"`{name}`" in text, f"{name} is not in docs/connectors.md"
    for code in (*REASONS, *ALARMS):
        assert f"`{code}`" in text, f"{code} is not in docs/connectors.md"


def test_every_error_in_the_code_uses_a_known_reason() -> None:
    folder = Path(module.__file__).parent
    used: set[str] = set()
    for path in folder.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        used |= set(re.findall(r'(?:Unreadable|NotOurs|SinkRefusedError)\(\s*"([a-z_]+)"', text))
    assert used
    assert used <= set(REASONS)
