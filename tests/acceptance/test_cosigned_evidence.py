"""docs/transparency.md and docs/evidence.md as typed: two agencies' witnesses, a hub, an auditor.

Witnesses and hub are processes of their own; what the auditor gets is checked by both verifiers.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from nrm_verify.cli import main as nrm_verify
from tests.cli.programs import installed, nrm
from tests.patience import PATIENCE, until
from tests.played import play, scenario
from tests.webverify.questions import Question, by_the_page, by_the_program, verdict

pytestmark = pytest.mark.slow


@contextmanager
def process(folder: Path, *arguments: str | Path) -> Iterator[Path]:
    """`nrm-hub …` until the end of the block; the file it writes to."""
    out = folder / f"{time.monotonic_ns()}.out"
    with out.open("wb") as file:
        running = subprocess.Popen(
            [sys.executable, "-m", "hub.cli", *map(str, arguments)],
            env=dict(installed(folder / "bin")),
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield out
    finally:
        running.send_signal(signal.SIGTERM)
        running.wait(PATIENCE)


def told(file: Path, pattern: str) -> str:
    """What a process says, once it has."""
    until(lambda: re.search(pattern, file.read_text("utf-8")), file)
    return re.findall(pattern, file.read_text("utf-8"))[0]


@contextmanager
def witness(folder: Path, number: int, vkey: str) -> Iterator[tuple[str, str]]:
    """Address and key of a witness of its own agency."""
    with process(
        folder,
        *("witness", "--home", folder / f"witness-{number}", "--log", vkey),
        *("--name", f"w{number}.example/nrm", "--listen", "127.0.0.1:0"),
    ) as out:
        yield told(out, r"(http://\S+) for"), told(out, r"vkey, .*: (\S+)")


def cosigned(home: Path) -> None:
    """Wait until both witnesses have cosigned all there is."""

    def behind() -> list[int]:
        status = json.loads(nrm("status", "--home", home, "--json").out)
        return [one["behind"] for one in status["witnesses"]]

    until(lambda: behind() == [0, 0], every=0.2)


def test_two_witnesses_cosign_what_an_auditor_then_checks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    play(tmp_path, scenario("S1")).close()
    home = tmp_path / "hub"
    log_key = nrm("audit", "verify", "--home", home).out.partition("log key: ")[2].split()[0]
    with witness(tmp_path, 1, log_key) as one, witness(tmp_path, 2, log_key) as two:
        with (home / "hub.toml").open("a", encoding="utf-8") as settings:
            for number, (url, vkey) in enumerate((one, two), 1):
                settings.write(
                    f'\n[[witnesses]]\nname = "W{number}"\nurl = "{url}"\nvkey = "{vkey}"\n'
                )
        text = re.sub("port = 8441", "port = 0", (home / "hub.toml").read_text("utf-8"))
        (home / "hub.toml").write_text(text, "utf-8")
        with process(tmp_path, "serve", "--home", home) as serving:
            told(serving, "(is running)")
            cosigned(home)
            exported = nrm("audit", "export-log", "--home", home, tmp_path / "log")
            assert exported.code == 0, exported.err
            case = scenario("S1")["events"][0]["case"]
            bundle = tmp_path / "bundle.zip"
            made = nrm("audit", "bundle", "--home", home, "--case", case, "--out", bundle)
            assert made.code == 0, made.err
    witnesses = [one[1], two[1]]
    assert all(f"--witness '{key}'" in made.out for key in witnesses)
    keys = [word for key in (log_key, *witnesses) for word in ("--vkey", key)]
    for quorum, code in ((2, 0), (3, 3)):
        checked = nrm("audit", "check-log", tmp_path / "log", *keys, "--quorum", str(quorum))
        assert checked.code == code, checked.err

    options = [word for key in witnesses for word in ("--witness", key)]
    for quorum, code in ((2, 0), (3, 5)):
        asked = [str(bundle), "--log-key", log_key, *options, "--quorum", str(quorum)]
        assert nrm_verify(asked) == code, capsys.readouterr()
    assert "few_witnesses" in capsys.readouterr().out
    assert nrm_verify([str(bundle), "--log-key", log_key, "--witness", log_key]) == 2

    questions = [
        Question("both", bundle, log_key, witnesses, 2),
        Question("one", bundle, log_key, witnesses[:1], 1),
        Question("no witness", bundle, log_key, [log_key], 1),
    ]
    answers = by_the_page(questions)
    assert [verdict(answer)[0] for answer in answers] == [0, 0, 2]
    assert sorted(answers[0]["cosigned"]) == ["w1.example/nrm", "w2.example/nrm"]
    assert [by_the_program(question)[0] for question in questions[:2]] == [0, 0]
