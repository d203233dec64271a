"""A person in front of a shell, with other terminals beside it."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from hub.topics.local_ports import free_port
from tests.cli.programs import installed
from tests.patience import PATIENCE, until
from tests.tutorials.page import Page, missing


@dataclass
class Reader:
    """Types what a page says. `folder` is where it types, empty at first."""

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
        process = self.terminals[terminal]
        until(lambda: log.read_bytes() or process.poll() is not None, terminal, "says nothing")
        assert process.poll() is None

    def read(self, page: Page) -> str:
        """Type a whole page, hold what was said against what it shows; returns all of it."""
        said: list[str] = []
        for block in page.blocks:
            if block.kind == "sh" and block.name:
                self.open(block.name, block.text)
            elif block.kind == "sh":
                said.append(self.type(block.text))
            elif (block.kind, block.name) == ("text", "output"):
                line = missing(block.text, said[-1])
                assert line is None, f"{page.path.name}: {line!r} was not said:\n{said[-1]}"
        return "\n".join(said)

    def close(self) -> dict[str, int]:
        """Ctrl-C in every terminal; their exit codes. All must have run until now."""
        codes = {}
        for name, process in reversed(self.terminals.items()):
            log = (self.folder / f"{name}.log").read_text("utf-8", "replace")
            assert process.poll() is None, f"{name} has ended:\n{log}"
            process.send_signal(signal.SIGINT)
            codes[name] = process.wait(PATIENCE)
        if self.shell is not None:
            self.shell.kill()
            self.shell.communicate()
        return codes


@contextmanager
def reader(folder: Path, given: Mapping[str, str]) -> Iterator[Reader]:
    """Somebody with this checkout installed and these variables set."""
    assert shutil.which("bash")
    port = str(free_port())  # 8441 may be taken here
    environment = {**installed(folder / "bin"), "NRM_HUB_PORT": port}
    environment.update(given)
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
        if somebody.shell is not None:
            somebody.shell.kill()
            if not somebody.shell.stdout.closed:  # type: ignore[union-attr]
                somebody.shell.communicate()
