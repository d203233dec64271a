"""`nrm-hub demo`: the whole of it, a second time, and interrupted."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from hub.scenario import shipped
from tests.cli.programs import installed
from tests.patience import PATIENCE, until


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    return installed(tmp_path_factory.mktemp("bin"))


def demo(
    folder: Path, environment: Mapping[str, str], *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["nrm-hub", "demo", *arguments], cwd=folder, env=environment, text=True,
        executable=f"{environment['PATH'].partition(os.pathsep)[0]}/nrm-hub",
        stdin=subprocess.DEVNULL, capture_output=True, timeout=240, check=False,
    )  # fmt: skip


def connectors_of(folder: Path) -> list[str]:
    """Command lines of connectors that work in this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = entry.read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if "connector run" in line and str(folder) in line:
            found.append(line)
    return found


@pytest.mark.slow
def test_a_story_played_live(tmp_path: Path, environment: Mapping[str, str]) -> None:
    done = demo(tmp_path, environment, "--scenario", "S7")
    assert done.returncode == 0, done.stderr + done.stdout
    lines = done.stdout.splitlines()

    # A menu first: every story in a line, and how to play it.
    told = {line.split()[0]: line for line in lines[:10] if line}
    for one in shipped.ids():
        assert shipped.load(one)["title"] in told[one]
        assert ("this one" if one == "S7" else f"--scenario {one}") in told[one]

    # Which partner holds what, what was withheld and why, and how long it took.
    [header] = [line for line in lines if line.startswith("event ")]
    assert header.split() == ["event", "CA-1", "IMMENF", "NGO-1", "POL-1", "RAP-1"]
    [linked] = [line for line in lines if line.startswith("S7.011 CaseLinkDecided")]
    assert "no consent, linkage: no_consent" in linked
    [notified] = [line for line in lines if line.startswith("S7.003")]
    assert "deidentified_account, demographics" in notified
    assert any("Every partner holds exactly what was released to it" in line for line in lines)
    [timed] = [line for line in lines if "p50" in line]
    assert "p99" in timed
    assert "(0 deliveries)" not in timed
    assert connectors_of(tmp_path) == []

    # Three commands to try next: they work as printed.
    commands = lines[lines.index("Try next:") + 1 :]
    assert len(commands) == 3
    said = []
    for command in commands:
        tried = subprocess.run(
            command, shell=True, cwd=tmp_path, env=environment, text=True, capture_output=True,
            timeout=240, check=False,
        )  # fmt: skip
        assert tried.returncode == 0, f"{command}\n{tried.stderr}"
        said.append(tried.stdout)
    assert "CaseOpened" in said[0]
    assert "same" in said[1]
    assert "Everything stands." in said[2]

    # A second time it says what to do, and does it when told.
    again = demo(tmp_path, environment, "--scenario", "S8")
    assert again.returncode == 1
    assert again.stderr.count("\n") == 1
    assert "add --fresh to replace it" in again.stderr
    (tmp_path / "demo-home" / "mine.txt").write_text("not the demo's", "utf-8")
    fresh = demo(tmp_path, environment, "--scenario", "S8", "--fresh")
    assert fresh.returncode == 0, fresh.stderr
    assert "S8: " in fresh.stdout
    assert (tmp_path / "demo-home" / "mine.txt").exists()


def test_what_is_not_a_demos_is_never_touched(
    tmp_path: Path, environment: Mapping[str, str]
) -> None:
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "precious").write_text("x", "utf-8")
    for arguments in ((), ("--fresh",)):
        done = demo(tmp_path, environment, "--home", ".", *arguments)
        assert done.returncode == 1
        assert "give another --home" in done.stderr
    assert (tmp_path / "hub" / "precious").exists()


def test_an_unknown_scenario(tmp_path: Path, environment: Mapping[str, str]) -> None:
    done = demo(tmp_path, environment, "--scenario", "S99")
    assert done.returncode == 2
    assert "S10" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_leaves_no_process_behind(
    tmp_path: Path, environment: Mapping[str, str], number: int
) -> None:
    command = shlex.split("nrm-hub demo --scenario S1")
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment,
        executable=f"{environment['PATH'].partition(os.pathsep)[0]}/nrm-hub",
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        until(lambda: len(connectors_of(tmp_path)) == 6 or process.poll() is not None, every=0.2)
        assert process.poll() is None
        process.send_signal(number)
        _, err = process.communicate(timeout=PATIENCE)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    assert process.returncode not in (0, None)
    assert b"Traceback" not in err
    assert connectors_of(tmp_path) == []
