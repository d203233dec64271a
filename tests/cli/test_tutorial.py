"""docs/tutorial.md, typed as it stands: a hub, two agencies, SQLite and PostgreSQL."""

from __future__ import annotations

import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from tests.cli.programs import ROOT, installed

PAGE = ROOT / "docs" / "tutorial.md"
_BLOCK = re.compile(r"^```sh *(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks() -> list[tuple[str, str]]:
    """(name of another terminal or "", commands), in the page's order."""
    return [(match[1], match[2]) for match in _BLOCK.finditer(PAGE.read_text("utf-8"))]


@dataclass
class Reader:
    """A person in front of a shell, with other terminals beside it."""

    folder: Path
    environment: dict[str, str]
    terminals: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    shell: subprocess.Popen[str] | None = None

    def type(self, commands: str) -> str:
        """In the first terminal; the same shell throughout, so variables and functions stay."""
        if self.shell is None:
            self.shell = subprocess.Popen(
                ["bash"], cwd=self.folder, env=self.environment, text=True, bufsize=1,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.write(f"set -e\n{commands}\nset +e; echo; echo '== typed'\n")
        said = []
        for line in self.shell.stdout:
            if line == "== typed\n":
                return "".join(said)
            said.append(line)
        raise AssertionError(f"a command failed:\n{commands}\n{''.join(said)}")

    def open(self, terminal: str, command: str) -> None:
        """Another terminal, left running; a moment passes until the reader types on."""
        log = self.folder / f"{terminal}.log"
        with log.open("wb") as out:
            self.terminals[terminal] = subprocess.Popen(
                ["bash", "-c", f"exec {command.strip()}"], cwd=self.folder, env=self.environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        deadline = time.monotonic() + 30
        while not log.read_bytes():
            assert time.monotonic() < deadline, f"{terminal} says nothing"
            assert self.terminals[terminal].poll() is None
            time.sleep(0.1)

    def close(self) -> dict[str, int]:
        """Ctrl-C in every terminal; their exit codes."""
        codes = {}
        for name, process in reversed(self.terminals.items()):
            process.send_signal(signal.SIGINT)
            codes[name] = process.wait(30)
        if self.shell is not None:
            self.shell.kill()
            self.shell.communicate()
        return codes


@contextmanager
def reader(folder: Path, casework: str) -> Iterator[Reader]:
    environment = dict(installed(folder / "bin"))
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        environment["NRM_HUB_PORT"] = str(one.getsockname()[1])  # 8441 may be taken here
    environment["CASEWORK_URL"] = casework
    for programs in sorted(Path("/usr/lib/postgresql").glob("*/bin")):
        environment["PATH"] += f":{programs}"
    (folder / "work").mkdir()
    somebody = Reader(folder / "work", environment)
    try:
        yield somebody
    finally:
        for process in somebody.terminals.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        if somebody.shell is not None and somebody.shell.poll() is None:
            somebody.shell.kill()
            somebody.shell.communicate()


@pytest.mark.slow
def test_the_page_as_written(tmp_path: Path, new_postgres_database: Callable[[], str]) -> None:
    assert shutil.which("bash")
    casework = new_postgres_database()
    said: list[str] = []
    with reader(tmp_path, casework) as somebody:
        for terminal, commands in blocks():
            if terminal:
                somebody.open(terminal, commands)
            else:
                said.append(somebody.type(commands))
        codes = somebody.close()
        work = somebody.folder
    assert codes == {"shelter": 0, "hub": 0}
    told = "\n".join(said)

    # What the page says is to be seen was to be seen.
    assert "needs a bed tonight" in told
    assert "Synthetic | Person" in told
    assert "insulin" not in told
    assert "ReferralAccepted" in told
    assert "Everything stands." in told
    with sqlite3.connect(work / "shelter.db") as shelter:
        assert shelter.execute("SELECT count(*) FROM identity_recorded").fetchone() == (0,)
        assert shelter.execute("SELECT summary FROM referral_made").fetchall() == [(None,)]
        kinds = {kind for (kind,) in shelter.execute("SELECT event_type FROM nrm_timeline")}
    assert "ReferralMade" in kinds
    assert "IdentityRecorded" not in kinds
    with psycopg.connect(casework) as ngo:
        found = ngo.execute("SELECT event_type, agency FROM nrm_timeline").fetchall()
    assert found == [("ReferralAccepted", "SH-1")]
    assert b"insulin" not in (work / "shelter.db").read_bytes()


def test_every_block_is_either_run_or_plainly_not_to_be() -> None:
    """A block of another kind would be typed by a reader and not by the test."""
    kinds = re.findall(r"^```(\w+)", PAGE.read_text("utf-8"), re.MULTILINE)
    assert set(kinds) == {"sh", "console"}
    assert len(blocks()) == kinds.count("sh")
    assert [terminal for terminal, _ in blocks() if terminal] == ["hub", "shelter"]
