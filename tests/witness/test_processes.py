"""`nrm-hub witness` as a process, killed and started again; a whole hub beside bad witnesses."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hub.crash import STATUS, VARIABLE
from hub.home import Home
from hub.hub import Hub
from hub.tlog.checkpoint import open_checkpoint
from hub.tlog.note import NoteSigner, VerifierKey
from hub.witness.book import Book
from tests.cli.programs import ROOT, nrm
from tests.patience import PATIENCE, until
from tests.transparency.logs import KEY, ORIGIN, VKEY
from tests.witness.conftest import Asking, Served
from tests.witness.test_asking import MALLORY, answering, drip

pytestmark = pytest.mark.slow
Ask = Callable[..., Asking]


class Running:
    """A witness process; `url` and `key` as it told them."""

    def __init__(self, home: Path, vkey: object, *options: str, crash_at: str = "") -> None:
        self.home = home
        environment = {**os.environ, VARIABLE: crash_at, "PYTHONPATH": str(ROOT)}
        program = [sys.executable, "-m", "hub.cli", "witness"]
        with (home.parent / "err").open("ab") as errors:
            self.process = subprocess.Popen(
                [*program, "--home", str(home), "--log", str(vkey), *options],
                env={**environment, "PYTHONUNBUFFERED": "1"},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        told = "".join(self._line() for _ in range(3))
        self.url = re.findall(r"http://\S+", told)[0]
        self.key = VerifierKey.parse(told.strip().rpartition(" ")[2])

    def _line(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, (self.home.parent / "err").read_text("utf-8")
        return line

    def kill(self) -> None:
        self.process.kill()
        self.wait()

    def wait(self) -> int:
        code = self.process.wait(PATIENCE)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    running: list[Running] = []

    def one(*options: str, crash_at: str = "", vkey: object = VKEY) -> Running:
        listen = options or ("--name", "w.example", "--listen", "127.0.0.1:0")
        running.append(Running(tmp_path / "w", vkey, *listen, crash_at=crash_at))
        return running[-1]

    yield one
    for process in running:
        if process.process.poll() is None:
            process.kill()


def listening(running: Running) -> tuple[str, str]:
    return "--listen", running.url.removeprefix("http://")


def held(running: Running) -> int:
    book = Book(running.home / "witness.db")
    head = book.head(ORIGIN)
    book.close()
    return head.size if head else 0


def test_killed_between_disk_and_answer(start: Callable[..., Running], asking: Ask) -> None:
    """The new head is held, the hub never heard of it: asked again, it is told and cosigned."""
    first = start(crash_at="witness_after_persist:2")
    hub = asking((first.url, first.key))
    hub.made.grow(10)
    assert hub.step() == 1
    hub.made.grow(10)
    assert hub.step() == 0
    assert first.wait() == STATUS
    assert (held(first), hub.cosigners()) == (20, [])
    second = start(*listening(first))
    assert second.key == first.key
    assert hub.step() == 1
    assert hub.cosigners() == ["w.example"]
    hub.made.grow(10)
    assert hub.step() == 1


def test_killed_at_any_moment_it_never_goes_back(
    start: Callable[..., Running], asking: Ask
) -> None:
    dice = random.Random(11)
    running = start()
    hub = asking((running.url, running.key))
    seen = 0
    for _ in range(3):
        end = time.monotonic() + dice.uniform(0.05, 0.4)
        while time.monotonic() < end:
            hub.made.grow(1)
            hub.step()
        running.kill()
        now = held(running)
        [health] = hub.witnesses.health()
        assert now >= max(seen, health.size), "what was cosigned is held"
        seen = now
        running = start(*listening(running))
    hub.made.grow(1)
    assert hub.step() == 1
    assert not list((running.home / "evidence").iterdir())


def test_a_fork_is_said_loudly_at_the_end_and_at_the_start(
    start: Callable[..., Running], asking: Ask, tmp_path: Path
) -> None:
    running = start()
    told = (running.url, running.key)
    for name in ("true", "false"):
        hub = asking(told, name=name)
        hub.made.grow(5, name)
        hub.step()
    assert hub.troubles == ["not_consistent"]
    running.process.send_signal(signal.SIGTERM)
    assert running.wait() == 3
    assert "!! FORK" in (tmp_path / "err").read_text("utf-8")
    assert '"event": "log_forked"' in (tmp_path / "err").read_text("utf-8")
    (tmp_path / "err").write_bytes(b"")
    start(*listening(running))
    until(lambda: "!! FORK" in (tmp_path / "err").read_text("utf-8"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "--name"),
        (["--name", "w.example"], "--log"),
        (["--name", "w.example", "--log", "x"], "not a verifier key"),
        (["--name", "w.example", "--log", str(VKEY), "--listen", "8442"], "HOST:PORT"),
        (["--name", "w.example", "--certificate", "c.pem"], "--private-key"),
    ],
)
def test_wrong_usage_says_what_to_give(tmp_path: Path, arguments: list[str], says: str) -> None:
    done = nrm("witness", "--home", tmp_path / "w", *arguments)
    assert done.code in (1, 2)
    assert says in " ".join(done.err.split())


# -- a whole hub ----------------------------------------------------------------------------------


def hub_with(folder: Path, *witnesses: tuple[str, VerifierKey]) -> Home:
    home = Home(folder / "hub")
    home.init(hub_id=ORIGIN)
    (home.path / "keys" / "log.key").write_bytes(KEY.private)
    with (home.path / "hub.toml").open("a", encoding="utf-8") as file:
        file.write("\n[log]\npublic = true\n")
        for number, (url, key) in enumerate(witnesses, start=1):
            file.write(f'\n[[witnesses]]\nname = "W{number}"\nurl = "{url}"\nvkey = "{key}"\n')
    return home


@contextmanager
def running(home: Home) -> Iterator[Hub]:
    hub = Hub.open(home)
    hub.start(frozenset({"hub", "consumers", "timers"}))
    try:
        yield hub
    finally:
        hub.stop()


def test_a_bad_witness_holds_up_neither_hub_nor_the_good_one(
    witness: Callable[..., Served], tmp_path: Path
) -> None:
    good = witness()
    good.time = time.time()
    with answering(drip) as bad:
        home = hub_with(tmp_path, (good.serve(), good.key), (bad, MALLORY.verifier))
        assert NoteSigner(ORIGIN, KEY).verifier == VKEY
        with running(home) as hub:
            until(lambda: hub.witnesses.health()[0].size > 0)
            first = hub.witnesses.health()[0].size
            assert hub.failure is None
            until(lambda: hub.exchange.log.counts().checkpoint == hub.exchange.log.head)
            began = time.monotonic()
        assert time.monotonic() - began < 60
    assert first > 0
    told = json.loads(nrm("status", "--home", home.path, "--json").out)["witnesses"]
    assert [(one["name"], one["size"] > 0) for one in told] == [("W1", True), ("W2", False)]
    page = nrm("status", "--home", home.path).out
    assert "!! Witness W2: cosigned 0 entries at never" in page
    note = nrm("audit", "export-log", "--home", home.path, tmp_path / "log")
    assert note.code == 0, note.err
    opened = open_checkpoint(
        (tmp_path / "log" / "checkpoint").read_bytes(),
        origin=ORIGIN,
        log_keys=[VKEY],
        witnesses=[good.key],
    )
    assert len(opened.cosignatures) == 1
    checked = nrm("audit", "check-log", tmp_path / "log", "--quorum", 1)
    assert checked.code == 0, checked.err
    assert "cosigned by w.example/1" in checked.out
