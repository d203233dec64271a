"""nrm-verify and the two commands at the hub, as people run them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.programs import nrm
from tests.road import Road
from tests.verify.conftest import small
from tests.verify.made import members, program

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Road]]:
    folder = tmp_path_factory.mktemp("program")
    road = small(folder)
    road.hub.checkpoints.step(now=True)
    yield folder / "hub", road
    road.close()


def test_from_the_hub_to_somebody_elses_desk(
    home: tuple[Path, Road], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub, road = home
    out = tmp_path / "c1.zip"
    done = nrm("audit", "bundle", "--home", hub, "--case", "C1", "--out", out)
    assert done.code == 0, done.err
    assert "nrm-verify" in done.out
    vkey = str(road.hub.checkpoints.verifier)
    assert vkey in done.out
    code, told = program(capsys, out, "--log-key", vkey)
    assert code == 0
    assert told.rstrip().endswith("VERIFIES")
    assert "ONLY FROM INSIDE" not in told
    assert "5 decisions made again" in told
    assert "SH-1 signed for deliveries 1 to 3" in told
    code, told = program(capsys, out)
    assert code == 0
    assert "ONLY FROM INSIDE THE FILE" in told
    assert vkey in told


def test_a_key_in_a_file_will_do(
    home: tuple[Path, Road], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub, road = home
    out, key = tmp_path / "c1.zip", tmp_path / "vkey.txt"
    key.write_text(f"{road.hub.checkpoints.verifier}\n", "utf-8")
    nrm("audit", "bundle", "--home", hub, "--agency", "SH-1", "--out", out)
    assert program(capsys, out, "--log-key", key)[0] == 0


def test_json_for_programs(
    home: tuple[Path, Road], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub, _ = home
    out = tmp_path / "share.zip"
    done = nrm("audit", "bundle", "--home", hub, "--case", "C1", "--holder", "SH-1", "--out", out)
    assert done.code == 0, done.err
    assert "2 parts opened, for SH-1" in done.out
    assert "1 events are left out" in done.out
    assert out.stat().st_mode & 0o077 == 0, "content in clear is for its owner"
    code, told = program(capsys, out, "--json")
    assert code == 0
    answer = json.loads(told)
    assert answer["verifies"] is True
    assert answer["log_key_given"] is False
    assert {one["step"]: one["result"] for one in answer["steps"]}[10] == "not in this bundle"
    assert any("decisions" in one for one in answer["not_proved"])
    out.write_bytes(out.read_bytes()[:-1])
    code, told = program(capsys, out, "--json")
    assert code == 4
    answer = json.loads(told)
    assert (answer["verifies"], answer["step"], answer["code"]) == (False, 1, "truncated")


def test_absence_and_its_refusal(
    home: tuple[Path, Road], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub, _ = home
    out = tmp_path / "no.zip"
    asked = ("audit", "absence", "--home", hub, "--case", "C1")
    done = nrm(*asked, "--agency", "POL-1", "--out", out)
    assert done.code == 0, done.err
    code, told = program(capsys, out)
    assert code == 0
    assert "ABSENCE" in told
    assert "outside the log" in told
    done = nrm(*asked, "--agency", "SH-1", "--out", tmp_path / "other.zip")
    assert done.code == 1
    assert "was_released" in done.err
    assert not (tmp_path / "other.zip").exists()
    done = nrm(*asked, "--agency", "SH-1", "--category", "health", "--out", tmp_path / "h.zip")
    assert done.code == 0
    # Nothing is written over.
    done = nrm(*asked, "--agency", "POL-1", "--out", out)
    assert (done.code, "file_exists" in done.err) == (1, True)


def test_an_earlier_checkpoint(
    home: tuple[Path, Road], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hub, road = home
    notes = dict(road.hub.exchange.log.checkpoints())
    kept = tmp_path / "kept"
    kept.write_text(notes[min(notes)], "utf-8")
    out = tmp_path / "c1.zip"
    done = nrm("audit", "bundle", "--home", hub, "--case", "C1", "--earlier", kept, "--out", out)
    assert done.code == 0, done.err
    assert "log/consistency" in members(out.read_bytes())
    code, told = program(capsys, out, "--earlier", kept)
    assert code == 0
    assert "nothing up to entry" in told
    code, told = program(capsys, out, "--earlier", out)
    assert (code, "no checkpoint" in told) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["nowhere.zip"],
        [".", "--log-key", "x"],
        ["x.zip", "--log-key", "a+b+c"],
        ["x.zip", "--witness", "nonsense+1+2"],
        ["x.zip", "--quorum", "-1"],
    ],
)
def test_wrong_use_is_exit_code_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    code, told = program(capsys, *arguments)
    assert code == 2
    assert "Traceback" not in told
    assert told.startswith("nrm-verify: ")


def test_a_log_is_not_its_own_witness(
    home: tuple[Path, Road], capsys: pytest.CaptureFixture[str]
) -> None:
    key = str(home[1].hub.checkpoints.verifier)
    code, told = program(capsys, "x.zip", "--log-key", key, "--witness", key, "--quorum", "1")
    assert code == 2
    assert "a log's key where a witness's is asked for" in told


def test_control_characters_never_reach_the_terminal(
    home: tuple[Path, Road], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x.zip"
    out.write_bytes(b"PK\x03\x04\x1b[2J")
    code, told = program(capsys, out)
    assert code == 4
    assert "\x1b" not in told


def test_as_a_program_of_its_own(home: tuple[Path, Road], tmp_path: Path) -> None:
    """In a process that cannot see the hub's code, without network needs."""
    hub, _ = home
    out = tmp_path / "c1.zip"
    assert nrm("audit", "bundle", "--home", hub, "--case", "C1", "--out", out).code == 0
    done = subprocess.run(
        [sys.executable, "-m", "nrm_verify", str(out)],
        cwd=ROOT / "deploy" / "nrm-verify",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.rstrip().endswith("VERIFIES")
    assert done.stderr == ""
