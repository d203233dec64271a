"""The independent judge: a Go program (tests/tlog/go) built from modules that are here already."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parents[1] / "tlog" / "go"
PLACES = ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")
SECONDS = 240


def go() -> str:
    """The Go command, wherever it is."""
    found = shutil.which("go") or next((one for one in PLACES if Path(one).exists()), None)
    assert found, "The tests need Go 1.24 or newer: run `make test-services`"
    return found


@dataclass(frozen=True)
class Judged:
    """What the judge said: `said` if all held, `why` if not."""

    stands: bool
    said: dict[str, Any]
    why: str


@dataclass(frozen=True)
class Judge:
    """The built program."""

    program: Path

    @classmethod
    def build(cls, folder: Path) -> Judge:
        """Nothing is fetched: `make test-services` has done that."""
        environment = {**os.environ, "GOFLAGS": "-mod=readonly", "GOPROXY": "off"}
        environment |= {"GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
        done = subprocess.run(
            [go(), "build", "-trimpath", "-o", str(folder / "judge"), "./judge"],
            cwd=SOURCE,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{done.stderr}\nRun `make test-services` first."
        return cls(folder / "judge")

    def ask(self, command: str, *arguments: object) -> Judged:
        done = subprocess.run(
            [str(self.program), command, *(str(one) for one in arguments)],
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        stands = done.returncode == 0
        return Judged(stands, json.loads(done.stdout) if stands else {}, done.stderr)

    def log(self, source: object, vkey: object, *options: object) -> Judged:
        return self.ask("log", "--source", source, "--vkey", vkey, *options)

    def fsck(self, source: object, vkey: object) -> Judged:
        return self.ask("fsck", "--source", source, "--vkey", vkey)
