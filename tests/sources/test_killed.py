"""Killed anywhere, source and hub: every row is one event in the hub's log, and told so."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from connectors.agency.identity import AgencyIdentity
from connectors.source import SourceStatus
from connectors.sources.database import SourceDatabase
from connectors.sources.settings import load_source_settings, open_source
from hub.home import Home
from hub.hub import Hub
from hub.store import events as stored
from tests.chaos import hub_process
from tests.chaos.processes import CRASHED, Child
from tests.patience import PATIENCE, until
from tests.road import Road
from tests.sources import source_process
from tests.sources.followed import Followed
from tests.sources.site import AT, make_outbox
from tests.sources.test_folder import HEADER, row
from tests.sources.test_outbox import put

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
RUNNER = ("source_after_read", "source_before_send", "source_after_answer", "source_after_mark")
FOLDER = ("source_after_claim", "source_after_rows", "source_before_move", "source_after_move")
LOG = ("source_after_listen", "source_after_advance")
PACE = (
    "[pace]\nrows = 4\npoll_seconds = 0.05\npause_first_seconds = 0.05\npause_most_seconds = 0.2\n"
)
CHANGES = """
version = 1
[[map]]
event = "CaseOpened"
table = "client"
key = ["id"]
changed = "updated_at"
case = "case_no"
[map.fields]
jurisdiction = { constant = "XX" }
channel = { constant = "outreach" }
age_status = "age"
"""


@dataclass
class Place:
    """A hub and one source, each in a process, and how many rows the source was given."""

    folder: Path
    kind: str
    settings: Path
    hub: Child
    followed: Followed | None = None
    given: int = 0
    opened: list[Child] = field(default_factory=list)

    def start(self, point: str = "") -> Child:
        child = Child(
            "source", self.folder / "source.log", source_process.main, str(self.settings), point
        )
        self.opened.append(child)
        return child.ready()

    def restart_hub(self) -> None:
        self.hub.kill()
        self.hub = _hub(self.folder)

    def give(self, count: int) -> None:
        """So many rows more, written as the agency writes them."""
        names = [f"{self.kind}-{self.given + number}" for number in range(count)]
        if self.kind == "folder":
            part = self.folder / "drop" / ".part"
            part.write_text(HEADER + "".join(map(row, names)), encoding="utf-8")
            part.rename(self.folder / "drop" / f"{self.given:05}.csv")
        elif self.followed is not None:
            self.followed.do(
                *(
                    f"INSERT INTO client VALUES ({number}, '{name}', 'adult', '{AT}')"
                    for number, name in enumerate(names, start=self.given)
                )
            )
        else:
            database = SourceDatabase(f"sqlite:///{self.folder / 'casework.db'}")
            with database.writing() as db:
                for number, name in enumerate(names, start=self.given):
                    if self.kind == "outbox":
                        put(db, name)
                    else:
                        db.exec_driver_sql(
                            f"INSERT INTO client VALUES ({number}, '{name}', 'adult', '{AT}')"
                        )
            database.close()
        self.given += count

    def status(self) -> SourceStatus:
        loaded = load_source_settings(self.settings)
        source = open_source(loaded, AgencyIdentity.load(loaded.home))
        try:
            return source.status()
        finally:
            source.close()

    def wait(self, over: Callable[[], bool]) -> None:
        until(over, self.folder / "source.log")

    @property
    def done(self) -> bool:
        if self.kind == "folder":
            reports = (self.folder / "drop" / "done").glob("*.report.csv")
            return (
                sum(len(one.read_text("utf-8").splitlines()) - 1 for one in reports) == self.given
            )
        return self.status().accepted == self.given


def _hub(folder: Path) -> Child:
    return Child("hub", folder / "hub.log", hub_process.main, str(folder / "hub")).ready()


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    kind, followed = request.param, None
    Road.open(tmp_path, {"NGO-1": "ngo_support"}).close()
    kind_of = "changes" if kind == "postgres log" else kind
    text = f'home = "NGO-1"\nkind = "{kind_of}"\n{PACE}'
    if kind == "folder":
        (tmp_path / "drop").mkdir()
        text += '[folder]\npath = "drop"\nevent = "CaseOpened"\nsettle_seconds = 0.1\n'
    elif kind == "postgres log":
        made: Callable[[], str] = request.getfixturevalue("new_postgres_database")
        followed = Followed(made(), tmp_path)
        columns = "id INTEGER PRIMARY KEY, case_no TEXT, age TEXT, updated_at TEXT"
        followed.do(f"CREATE TABLE client ({columns})")
        followed.follow(CHANGES)
        text += f'[database]\nurl = "{followed.url}"\nmapping = "changes.toml"\n'
        text += f'slot = "{followed.slot}"\n'
    else:
        database = make_outbox(f"sqlite:///{tmp_path / 'casework.db'}")
        with database.writing() as db:
            db.exec_driver_sql("PRAGMA journal_mode")
            columns = "id INTEGER PRIMARY KEY, case_no TEXT, age TEXT, updated_at TEXT"
            db.exec_driver_sql(f"CREATE TABLE client ({columns})")
        database.close()
        text += '[database]\nurl = "sqlite:///casework.db"\nmapping = "changes.toml"\n'
    (tmp_path / "changes.toml").write_text(CHANGES, encoding="utf-8")
    settings = tmp_path / "source.toml"
    settings.write_text(text, encoding="utf-8")
    found = Place(tmp_path, kind, settings, _hub(tmp_path), followed)
    yield found
    for child in found.opened:
        child.kill()
    found.hub.kill()
    if followed is not None:
        followed.close()


def judge(place: Place) -> None:
    """Each row is one event, and nothing was refused on the way."""
    assert place.hub.stop() == 0
    hub = Hub.open(Home(place.folder / "hub"))
    try:
        events = [one.event for one in hub.exchange.log.read(0, 100_000)]
    finally:
        hub.stop()
    opened = [one for one in events if isinstance(one, stored.EventAccepted)]
    assert len(opened) == place.given
    assert len({one.originator_id for one in opened}) == place.given
    assert not [one for one in events if isinstance(one, stored.Refused)]


@pytest.mark.parametrize("place", ["outbox", "changes", "folder", "postgres log"], indirect=True)
def test_killed_at_every_point(place: Place) -> None:
    for point in (*RUNNER, *{"folder": FOLDER, "postgres log": LOG}.get(place.kind, ())):
        child = place.start(point)
        place.give(3)
        assert child.wait(PATIENCE) == CRASHED, (point, child.last_words())
    last = place.start()
    place.wait(lambda: place.done)
    assert last.stop() == 0
    judge(place)


@pytest.mark.parametrize("place", ["outbox", "folder"], indirect=True)
def test_killed_at_random_while_rows_come(place: Place) -> None:
    chance = random.Random(20)
    child = place.start()
    for turn in range(8):
        place.give(chance.randint(1, 9))
        time.sleep(chance.random() * 0.25)
        if turn % 4 == 3:
            place.restart_hub()
        else:
            child.kill()
            child = place.start()
    place.wait(lambda: place.done)
    assert child.stop() == 0
    judge(place)


def test_every_crash_point_of_sources_is_tried() -> None:
    named = set()
    for path in (ROOT / "connectors").rglob("*.py"):
        named |= set(re.findall(r'crash\.point\("(source_\w+)"\)', path.read_text("utf-8")))
    assert named == {*RUNNER, *FOLDER, *LOG}
