"""Settings files and mappings with odd values in every place: read, or refused in words.

Each run takes a part of all pairs of place and value; `make thorough` takes all.
"""

from __future__ import annotations

import base64
import os
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.agency.identity import AgencyIdentity
from connectors.case_systems import dhis2_program
from connectors.case_systems.mapping import load_case_mapping
from connectors.errors import ConnectorError, SettingsError
from connectors.given import filled
from connectors.mapping import load_mapping
from connectors.settings import load_settings, open_notices, open_sink
from connectors.sources.changes.mapping import load_changes_mapping
from connectors.sources.settings import load_source_settings, open_source
from tests.connectors.bad_input.test_bad_input_sql import MAPPING
from tests.depth import depth
from tests.odd import ODD_SETTINGS, document, places, put

LONGEST = 25_000  # of a message
EVERY = depth(29, 1)
SECRET = "whsec_" + base64.b64encode(bytes(32)).decode()
PACE = {"messages": 5, "poll_seconds": 1.0, "registry_seconds": 1.0}
NOTICE = {
    "to": ["a@b.example"], "sender": "n@b.example", "host": "localhost", "ca_file": "ca.pem",
    "user": "u", "password": "p", "state": "n.json",
}  # fmt: skip
SINKS: dict[str, dict[str, Any]] = {
    "jsonl": {"path": "d.jsonl"},
    "sql": {"url": "sqlite:///p.db", "mapping": "m.toml"},
    "folder": {"options": {"path": "drop", "format": "csv", "state": "f.db"}},
    "webhook": {"options": {"url": "https://h/x", "secrets": [SECRET], "seconds": 3.0}},
    "fhir": {"options": {"url": "https://h/x", "token": "t", "most": 100, "state": "x.db"}},
}
SOURCES: dict[str, dict[str, Any]] = {
    "outbox": {"database": {"url": "sqlite:///own.db", "table": "nrm_outbox", "after": "keep"}},
    "folder": {
        "folder": {
            "path": "in", "event": "CaseOpened", "encoding": "utf-8", "delimiter": ",",
            "zone": "Europe/Vienna", "key": ["case"], "columns": {"A": "case"},
            "codes": {"channel": {"*": "self"}}, "settle_seconds": 0.0,
        }
    },
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, police: AgencyIdentity, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("in", "drop"):
        (tmp_path / name).mkdir()
    (tmp_path / "own.db").touch()
    (tmp_path / "m.toml").write_text(MAPPING, "utf-8")
    return tmp_path


def odd(base: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """(what was put where, the file's text)."""
    pairs = [(place, value) for place in places(base) for value in ODD_SETTINGS]
    for place, value in pairs[::EVERY]:
        yield f"{place}: {value!r:.40}", document(put(base, place, value))


def waits(*seconds: float) -> None:
    """As a runner would: the wait itself is over at once."""
    for one in seconds:
        if one > threading.TIMEOUT_MAX:
            raise OverflowError(one)


@pytest.mark.parametrize("kind", SINKS)
def test_partner_toml(kind: str, folder: Path, police: AgencyIdentity) -> None:
    more = {"pace": PACE, "notice": NOTICE} if kind == "jsonl" else {}
    base = {"home": "POL-1", "sink": {"kind": kind, **SINKS[kind]}, **more}
    path = folder / "partner.toml"
    path.write_text(document({**base, "notice": {**NOTICE, "ca_file": "gone"}}), "utf-8")
    open_sink(load_settings(path), police).close()
    for what, text in odd(base):
        path.write_text(text, "utf-8")
        try:
            settings = load_settings(path)
            waits(settings.pace.poll_seconds, settings.pace.registry_seconds)
            open_sink(settings, police).close()
            open_notices(settings, police)
        except Exception as wrong:
            refused_in_words(what, wrong)


@pytest.mark.parametrize("kind", SOURCES)
def test_source_toml(kind: str, folder: Path, police: AgencyIdentity) -> None:
    base = {"home": "POL-1", "kind": kind, "state": "s.db", "pace": {"rows": 5}, **SOURCES[kind]}
    path = folder / "source.toml"
    for what, text in odd(base):
        path.write_text(text, "utf-8")
        try:
            settings = load_source_settings(path)
            source = open_source(settings, police)
            try:
                source.prepare()
                source.read(settings.pace.rows)
            finally:
                source.close()
        except Exception as wrong:
            refused_in_words(what, wrong)


CHANGES = """version = 1
zone = "Europe/Vienna"
[codes.age]
A = "adult"
[[map]]
event = "CaseOpened"
table = "t"
key = ["id"]
changed = "u"
case = { via = "a", table = "b", key = "c", column = "d" }
when = { status = ["a", 1] }
[map.fields]
jurisdiction = { constant = "XX" }
channel = "x"
age_status = { column = "y", codes = "age" }
local_case_ref = { text = "c-{a}" }
"""
CASES = """version = 1
[codes.age]
adult = "A"
[[map]]
event = "CaseOpened"
stage = "st"
[map.attributes]
aa = { field = "age_status", codes = "age", owner = "partner" }
[map.data]
bb = { from = "fields" }
cc = { constant = "x", type = "text" }
"""
MAPPINGS = {
    "sql": (MAPPING + 'must = { constant = "a", type = "text" }\n', load_mapping),
    "changes": (CHANGES, load_changes_mapping),
    "case": (CASES, lambda path: load_case_mapping(path, dhis2_program.FORM)),
}


@pytest.mark.parametrize("kind", MAPPINGS)
def test_mappings(kind: str, tmp_path: Path) -> None:
    text, read = MAPPINGS[kind]
    path = tmp_path / "mapping.toml"
    path.write_text(text, "utf-8")
    read(path)
    for what, changed in odd(tomllib.loads(text)):
        path.write_text(changed, "utf-8")
        try:
            read(path)
        except Exception as wrong:
            refused_in_words(what, wrong)


def refused_in_words(what: str, wrong: Exception) -> None:
    if not isinstance(wrong, ConnectorError) or len(str(wrong)) > LONGEST:
        raise AssertionError(what) from wrong


@pytest.mark.parametrize(
    ("kind", "place", "value", "told"),
    [
        ("jsonl", ("home",), "~nobody-of-this-name/x", "write the path out"),
        ("jsonl", ("sink", "path"), "a\0b", "sink.path: a NUL"),
        ("jsonl", ("sink", "path"), "/", "no name of a file"),
        ("jsonl", ("sink", "path"), "x" * 300, "too long"),
        ("jsonl", ("pace", "poll_seconds"), float("inf"), "pace.poll_seconds: give a number"),
        ("jsonl", ("pace", "poll_seconds"), 1e12, "pace.poll_seconds"),
        ("jsonl", ("pace", "messages"), 10**30, "pace.messages: the number is too large"),
        ("jsonl", ("notice", "ca_file"), "~nobody-of-this-name/x", "write the path out"),
        ("fhir", ("sink", "options", "url"), "http://[", "no such host or port"),
        ("webhook", ("sink", "options", "state"), "a\0b", "a NUL"),
        ("sql", ("sink", "url"), "sqlite:///" + "x" * 300, "can have that name"),
        ("sql", ("sink", "kind"), "x" * 15_000, "there is no sink"),
    ],
)
def test_mistakes_that_ended_in_tracebacks(
    kind: str,
    place: tuple[str, ...],
    value: object,
    told: str,
    folder: Path,
    police: AgencyIdentity,
) -> None:
    base = {"home": "POL-1", "sink": {"kind": kind, **SINKS[kind]}, "pace": PACE, "notice": NOTICE}
    path = folder / "partner.toml"
    path.write_text(document(put(base, place, value)), "utf-8")
    with pytest.raises(ConnectorError, match=told) as caught:
        settings = load_settings(path)
        if place[0] == "notice":
            open_notices(settings, police)
        open_sink(settings, police)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        (("folder", "encoding"), "undefined", "byte by byte"),
        (("folder", "encoding"), "utf-16", "byte by byte"),
        (("folder", "path"), "~nobody-of-this-name/x", "write the path out"),
        (("folder", "zone"), "x" * 15_000, "there is no time zone"),
        (("pace", "rows"), 10**15, "pace.rows"),
        (("state",), "x" * 300, "too long"),
    ],
)
def test_such_mistakes_of_a_source(
    place: tuple[str, ...], value: object, told: str, folder: Path, police: AgencyIdentity
) -> None:
    base = {"home": "POL-1", "kind": "folder", "pace": {"rows": 5}, **SOURCES["folder"]}
    path = folder / "source.toml"
    path.write_text(document(put({"state": "s.db", **base}, place, value)), "utf-8")
    with pytest.raises(ConnectorError, match=told) as caught:
        open_source(load_source_settings(path), police).prepare()
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize("name", ["codes", "type", "from"])
def test_a_list_where_a_mapping_wants_a_name(name: str, tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(MAPPING.replace('"age_status"', f'"age_status", {name} = ["a"]', 1), "utf-8")
    with pytest.raises(SettingsError):
        load_mapping(path)


@pytest.mark.parametrize("load", [load_settings, load_source_settings, load_mapping])
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff\xfea\0", "save it as UTF-8"),
        (b"[" + b".".join([b"a"] * 2000) + b"]\n", "too deep|home|version"),
        (b"a = " + b"[" * 3000 + b"]" * 3000, "too deep"),
        (b"a = " + b"9" * 5000, "file|limit"),
        (b"#" * 2_000_000, "is it another file"),
        (b"\0", "partner.toml"),
    ],
    ids=["UTF-16", "deep table", "deep list", "long number", "large", "NUL"],
)
def test_files_that_are_none(load: Any, content: bytes, told: str, tmp_path: Path) -> None:
    path = tmp_path / "partner.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError, match=told) as caught:
        load(path)
    assert len(str(caught.value)) < 1000


def test_a_byte_order_mark_and_line_ends_of_windows_do_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    path.write_bytes(b"\xef\xbb\xbf" + MAPPING.replace("\n", "\r\n").encode())
    assert load_mapping(path).maps


def test_what_the_environment_holds_is_looked_at_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "LONG", "s3cret" * 10_000)
    with pytest.raises(SettingsError, match="more than") as caught:
        filled({"sink": {"url": "${LONG}"}}, Path("partner.toml"))
    assert "s3cret" not in str(caught.value)
    assert "sink.url" in str(caught.value)
