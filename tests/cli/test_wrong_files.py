"""Every file a command reads may be anything: one line says which and why, and nothing is made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hub.domain.policy import default_document
from hub.home import Home
from tests.cli.programs import Done, nrm

WRONG: dict[str, bytes] = {
    "not text": b"\xff\xfe\x00",
    "cut off": b'{"type": "CaseOp',
    "empty": b"",
    "null": b"null",
    "a number": b"17",
    "a text": b'"x"',
    "a list of odd things": b'[1, null, [], {"type": 1}]',
    "too deep": b"[" * 100_000,
    "too long a number": b"1" * 5_000,
    "odd parts": b'{"id": [], "agencies": [], "events": {}, "payloadType": {}, "type": []}',
}

READERS: dict[str, tuple[str, ...]] = {
    "publish": ("publish", "FILE", "--home", "ngo"),
    "approve": ("agency", "approve", "FILE", "--home", "hub", "--yes"),
    "install": ("agency", "install", "FILE", "--home", "ngo"),
    "connector": ("connector", "run", "FILE", "--once"),
    "policy": ("policy", "simulate", "FILE", "--home", "hub"),
    "scenario": ("scenario", "run", "FILE"),
    "profile": ("scenario", "run", "S7", "--profile", "FILE"),
    "first run": ("serve", "--home", "new", "--profile", "FILE"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub and an agency enrolled with it."""
    place = tmp_path_factory.mktemp("wrong")
    Home(place / "hub").init()
    identity, request, answer = place / "ngo", place / "r.json", place / "a.json"
    for arguments in (
        ("init", "NGO-1", "--name", "An NGO", "--role", "ngo_support", "--home", identity),
        ("request", "--home", identity, "--out", request),
        ("approve", request, "--home", place / "hub", "--out", answer, "--yes"),
        ("install", answer, "--home", identity),
    ):
        assert nrm("agency", *arguments).code == 0
    return place


def one_line(done: Done) -> str:
    """What was said: one line on standard error that names a mistake, and nothing else."""
    assert done.code == 1, (done.out, done.err)
    assert done.out == ""
    assert done.err.startswith("Error: ")
    assert "Traceback" not in done.err
    return done.err


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("reader", READERS)
def test_a_file_that_is_not_what_it_should_be(
    place: Path, tmp_path: Path, reader: str, wrong: str
) -> None:
    file = tmp_path / "file.json"
    file.write_bytes(WRONG[wrong])
    there = {"FILE": file, "hub": place / "hub", "ngo": place / "ngo", "new": tmp_path / "new"}
    done = nrm(*(there.get(word, word) for word in READERS[reader]))
    one_line(done)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["hub.toml", "agency.toml"])
@pytest.mark.parametrize("wrong", ["not text", "cut off", "empty", "too deep"])
def test_a_home_whose_settings_are_damaged(tmp_path: Path, name: str, wrong: str) -> None:
    (tmp_path / name).write_bytes(WRONG[wrong])
    command = ("status",) if name == "hub.toml" else ("agency", "show")
    assert str(tmp_path / name) in one_line(nrm(*command, "--home", tmp_path))


@pytest.mark.parametrize("wrong", ["not text", "cut off", "null", "a list of odd things"])
def test_what_was_published_once_is_damaged(place: Path, tmp_path: Path, wrong: str) -> None:
    """Without its ids nothing is published again: that would make other events of the same."""
    event = {
        "type": "CaseOpened",
        "case": "C1",
        "data": {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"},
    }
    (tmp_path / "case.json").write_text(json.dumps(event), "utf-8")
    kept = tmp_path / "case.json.published.json"
    kept.write_bytes(WRONG[wrong])
    done = nrm("publish", tmp_path / "case.json", "--home", place / "ngo")
    assert f"{kept} is damaged: restore it" in one_line(done)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("matrix", []),
        ("matrix", {"police": 1}),
        ("matrix", {"police": {"identity": ["C"]}}),
        ("event_group_gate", {"police": "closure"}),
        ("break_glass", None),
        ("private_bodies", "shelter"),
        ("enforcement_roles", [["police"]]),
        ("evidence", {"police": {}}),
        ("timers", 30),
    ],
)
def test_a_profile_with_a_part_of_another_kind(
    place: Path, tmp_path: Path, part: str, value: Any
) -> None:
    document = {**default_document(), "version": "odd-1", part: value}
    (tmp_path / "profile.json").write_text(json.dumps(document), "utf-8")
    done = nrm("policy", "simulate", tmp_path / "profile.json", "--home", place / "hub")
    assert f"profile.json: {part}" in one_line(done)


def test_an_agencys_home_is_no_hubs(place: Path, tmp_path: Path) -> None:
    told = "is the home of an agency"
    assert told in one_line(nrm("status", "--home", place / "ngo"))
    assert told in one_line(nrm("serve", "--home", place / "ngo"))
    identity = tmp_path / "not-enrolled"
    nrm("agency", "init", "X-1", "--name", "X", "--role", "shelter", "--home", identity)
    assert told in one_line(nrm("serve", "--home", identity))
    assert not (identity / "hub.toml").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("two words", "--name", "X", "--role", "shelter"),
        ("Ünï", "--name", "X", "--role", "shelter"),
        ("x" * 65, "--name", "X", "--role", "shelter"),
        ("X-1", "--name", "X\nFingerprint of its request: 0000", "--role", "shelter"),
        ("X-1", "--name", "\x1b[2J", "--role", "shelter"),
        ("X-1", "--name", "", "--role", "shelter"),
    ],
)
def test_an_identity_no_hub_would_take(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    one_line(nrm("agency", "init", *arguments, "--home", tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_an_unusual_role_is_pointed_out_at_once(tmp_path: Path) -> None:
    done = nrm("agency", "init", "X-1", "--name", "X", "--role", "sheltr", "--home", tmp_path / "x")
    assert done.code == 0
    assert "'sheltr' is no role of the usual policy profile" in done.err
    assert "shelter, trade_union" in done.err
    usual = nrm(
        "agency", "init", "X-1", "--name", "X", "--role", "shelter", "--home", tmp_path / "y"
    )
    assert usual.err == ""


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--store", "postgresql://other/hub"),
        ("--keys", "sqlite:///elsewhere.db"),
        ("--topics", "kafka://other:9092"),
        ("--hub-id", "other"),
    ],
)
def test_options_of_the_first_run_are_not_ignored_later(
    place: Path, option: str, value: str
) -> None:
    told = one_line(nrm("serve", "--home", place / "hub", option, value))
    assert f"{option} is for the first run, and {place / 'hub' / 'hub.toml'} says otherwise" in told


def test_a_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    Home(tmp_path / "hub").init(store="postgresql://hub:${NO_SUCH_PASSWORD}@127.0.0.1:1/hub")
    told = one_line(nrm("status", "--home", tmp_path / "hub"))
    assert "hub.toml: the environment variable NO_SUCH_PASSWORD is not set" in told


def test_a_store_that_is_away_is_told_in_one_line(tmp_path: Path) -> None:
    Home(tmp_path / "hub").init(store="postgresql://hub@127.0.0.1:1/hub")
    told = one_line(nrm("status", "--home", tmp_path / "hub"))
    assert told.count("\n") == 1
    assert "PostgreSQL at 127.0.0.1:1/hub cannot be used: " in told
    assert "refused" in told


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("sqlite:////no/such/folder/x.db", "does its folder exist"),
        ("sqlite:///junk.db", "no SQLite database"),
        ("postgresql://x:canary@127.0.0.1:1/x", "that the server runs"),
    ],
)
def test_a_partners_database_that_is_away(place: Path, tmp_path: Path, url: str, told: str) -> None:
    (tmp_path / "junk.db").write_bytes(b"not a database")
    settings = tmp_path / "partner.toml"
    settings.write_text(f'home = "{place / "ngo"}"\n[sink]\nurl = "{url}"\n', "utf-8")
    done = nrm("connector", "check", settings)
    assert done.code == 1
    text = " ".join((done.out + done.err).split())
    assert told in text
    assert "canary" not in text
    assert "Traceback" not in text


@pytest.mark.parametrize("wrong", WRONG)
def test_a_check_names_the_file_and_what_is_wrong_with_it(tmp_path: Path, wrong: str) -> None:
    file = tmp_path / "partner.toml"
    file.write_bytes(WRONG[wrong])
    done = nrm("connector", "check", file, "--json")
    assert done.code == 1
    assert done.err == ""
    [finding] = json.loads(done.out)
    assert (finding["level"], finding["subject"]) == ("wrong", "settings")
    assert str(file) in finding["text"]
