"""`nrm-hub backup` and `restore` as typed: three places, and back."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hub.home import Home
from tests.cli.programs import nrm


@pytest.fixture
def place(tmp_path: Path) -> Path:
    Home(tmp_path / "hub").init()
    for name in ("vault", "safe"):
        (tmp_path / name).mkdir()
    (tmp_path / "vault" / "passphrase").write_text("a long passphrase\n")
    identity = tmp_path / "SH-1"
    for arguments in (
        ("agency", "init", "SH-1", "--name", "A", "--role", "shelter", "--home", identity),
        ("agency", "request", "--home", identity, "--out", tmp_path / "r.json"),
        ("agency", "approve", tmp_path / "r.json", "--home", tmp_path / "hub", "--yes"),
    ):
        assert nrm(*arguments).code == 0
    return tmp_path


def parts(place: Path) -> tuple[str | Path, ...]:
    return (
        "--keys-to", place / "vault" / "monday.keys",
        "--passphrase-file", place / "vault" / "passphrase",
        "--recovery-key-to", place / "safe" / "recovery.key",
    )  # fmt: skip


def restoring(place: Path) -> tuple[str | Path, ...]:
    return (
        "restore", place / "backup" / "monday", "--home", place / "new",
        "--keys", place / "vault" / "monday.keys",
        "--passphrase-file", place / "vault" / "passphrase",
        "--recovery-key", place / "safe" / "recovery.key",
    )  # fmt: skip


def test_there_and_back(place: Path) -> None:
    made = nrm(
        "backup", "--home", place / "hub", "--to", place / "backup" / "monday", *parts(place)
    )
    assert made.code == 0, made.err
    assert "Log archive in" in made.out
    assert "Recovery key copied to" in made.out

    status = json.loads(nrm("status", "--home", place / "hub", "--json").out)
    refused = nrm(*restoring(place))
    assert refused.code == 1
    assert "(unproven)" in refused.err
    assert refused.err.count("\n") == 1
    assert not list((place / "new").iterdir())

    done = nrm(*restoring(place), "--after-loss", "--sequence", "SH-1=0", "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert told["head"] == status["position"]
    assert told["after_loss"] is True
    again = json.loads(nrm("status", "--home", place / "new", "--json").out)
    assert again["position"] == status["position"] + 1, "the restore is on record"
    assert "Everything stands." in nrm("audit", "verify", "--home", place / "new").out


def test_status_says_which_copy_of_the_recovery_key_is_away(place: Path) -> None:
    made = nrm(
        "backup", "--home", place / "hub", "--to", place / "backup" / "monday", *parts(place)
    )
    assert made.code == 0
    assert "!!" not in nrm("status", "--home", place / "hub").out
    (place / "safe").rename(place / "unmounted")
    told = nrm("status", "--home", place / "hub").out
    assert "!! Recovery key's copy" in told
    assert "is away" in told
    [copy] = json.loads(nrm("status", "--home", place / "hub", "--json").out)["recovery_copies"]
    assert copy["behind"] is None


def test_what_is_left_out_is_said(place: Path) -> None:
    made = nrm("backup", "--home", place / "hub", "--to", place / "backup")
    assert made.code == 0
    assert "No key archive" in made.err
    assert "The recovery key has no copy" in made.err
    told = json.loads(
        nrm("backup", "--home", place / "hub", "--to", place / "second", "--json").out
    )
    assert told["persons"] is None


@pytest.mark.parametrize(
    ("extra", "code", "told"),
    [
        (("--sequence", "SH-1"), 2, "AGENCY=NUMBER"),
        (("--checkpoint", "nowhere.txt"), 1, "nowhere.txt: No such file"),
    ],
)
def test_restore_wrongly_asked(place: Path, extra: tuple[str, ...], code: int, told: str) -> None:
    nrm("backup", "--home", place / "hub", "--to", place / "backup" / "monday", *parts(place))
    done = nrm(*restoring(place), *extra)
    assert done.code == code
    assert told in done.err


def test_nothing_there(place: Path) -> None:
    assert "no hub in" in nrm("backup", "--home", place / "none", "--to", place / "b").err
    done = nrm(*restoring(place))
    assert done.code == 1
    assert "monday.keys: No such file or directory" in done.err
    (place / "vault" / "passphrase").write_text("")
    assert "its first line is the passphrase" in nrm(*restoring(place)).err
