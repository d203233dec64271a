"""Witnesses and hubs for tests: every part is the real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from consumers.witnesses import Witnesses
from consumers.witnesses.settings import LogSettings, WitnessSettings
from hub.api.server import ApiServer
from hub.clock import Clock, ScenarioTime
from hub.tlog.note import Note, VerifierKey
from hub.witness.book import Book
from hub.witness.home import WitnessHome
from hub.witness.server import serve_witness
from hub.witness.witness import Witness
from tests.transparency.logs import VKEY, Made

START = 1_800_000_000


@dataclass
class Served:
    """A witness and, once asked for, its server."""

    home: WitnessHome
    logs: list[VerifierKey]
    time: float = START
    servers: list[ApiServer] = field(default_factory=list)
    books: list[Book] = field(default_factory=list)

    def open(self) -> Witness:
        self.books.append(Book(self.home.path / "witness.db"))
        return Witness(self.home, self.books[-1], self.logs, lambda: self.time)

    @property
    def key(self) -> VerifierKey:
        return self.home.cosigner().verifier

    def serve(self) -> str:
        self.servers.append(serve_witness(self.open(), "127.0.0.1", 0))
        return self.servers[-1].url

    def stop(self) -> None:
        for server in self.servers:
            server.stop()
        for book in self.books:
            book.close()


@pytest.fixture
def witness(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    made: list[Served] = []

    def one(name: str = "w.example/1", logs: list[VerifierKey] | None = None) -> Served:
        home = WitnessHome(tmp_path / f"witness-{len(made)}")
        home.init(name)
        home.watch(str(key) for key in logs or [VKEY])
        made.append(Served(home, home.logs()))
        return made[-1]

    yield one
    for served in made:
        served.stop()


@dataclass
class Asking:
    """A hub's log and its lines to witnesses, moved by hand."""

    made: Made
    witnesses: Witnesses
    time: ScenarioTime
    steady: list[float]

    def step(self, seconds: float = 120.0) -> int:
        """Time passes, and every witness is asked."""
        self.steady[0] += seconds
        return self.witnesses.step()

    def cosigners(self) -> list[str]:
        """Names under the newest checkpoint that are not the log's."""
        note = Note.parse(self.made.newest)
        return [one.name for one in note.signatures if one.name != self.made.key.name]

    @property
    def troubles(self) -> list[str]:
        return [line.trouble for line in self.witnesses.lines]


@pytest.fixture
def asking(tmp_path: Path) -> Iterator[Callable[..., Asking]]:
    made: list[Made] = []

    def one(*witnesses: tuple[str, VerifierKey], name: str = "hub", **options: Any) -> Asking:
        made.append(Made(tmp_path / name, **options))
        time, steady = ScenarioTime(datetime.fromtimestamp(START, UTC)), [1_000.0]
        told = tuple(
            WitnessSettings(f"W{number}", url, key)
            for number, (url, key) in enumerate(witnesses, start=1)
        )
        return Asking(
            made[-1],
            Witnesses(
                made[-1].log,
                LogSettings(witnesses=told),
                Clock(time, steady=None),
                lambda: steady[0],
            ),
            time,
            steady,
        )

    yield one
    for log in made:
        log.close()
