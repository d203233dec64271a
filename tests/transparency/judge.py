"""The independent judge: a Go program (tests/tlog/go) built from modules that are here already."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).parents[1] / "tlog" / "go"
PLACES = ("go", "/usr/local/go/bin/go", *(f"/usr/lib/go-1.{n}/bin/go" for n in range(24, 30)))
OLDEST = (1, 24)
SECONDS = 240
ENVIRONMENT = {
    **os.environ,
    "GOFLAGS": "-mod=readonly",
    "GOPROXY": "off",
    "GOTOOLCHAIN": "local",
    "CGO_ENABLED": "0",
}


def go() -> str:
    """A Go that is new enough, wherever it is (as deploy/setup-test-services.sh finds it)."""
    for place in PLACES:
        found = shutil.which(place)
        if found:
            told = subprocess.run(
                [found, "env", "GOVERSION"], env=ENVIRONMENT, capture_output=True, text=True
            )
            version = re.match(r"go(\d+)\.(\d+)", told.stdout)
            if version and tuple(map(int, version.groups())) >= OLDEST:
                return found
    pytest.fail("The tests need Go 1.24 or newer: run `make test-services`")


def built(folder: Path, name: str) -> Path:
    """One of the programs. Nothing is fetched: `make test-services` has done that."""
    program = folder / name
    done = subprocess.run(
        [go(), "build", "-trimpath", "-o", str(program), f"./{name}"],
        cwd=SOURCE,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, f"{done.stderr}\nRun `make test-services` first."
    return program


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
        return cls(built(folder, "judge"))

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
