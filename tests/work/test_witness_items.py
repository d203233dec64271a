"""Witnesses on the work list: one that is silent for half an hour, one that disagrees."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from hub.tlog.note import NoteSigner
from hub.witness.book import Book, Head
from hub.witness.home import WitnessHome
from hub.witness.server import serve_witness
from hub.witness.witness import Witness
from tests.work.office import ADULT, OPEN, Office, office

HALF_AN_HOUR = timedelta(minutes=30)
KINDS = {"witness_silent", "witness_disagrees"}


class Judge:
    """A witness whose server can be stopped and started again on its port."""

    def __init__(self, folder: Path, desk: Office) -> None:
        self.home = WitnessHome(folder)
        self.home.init("w.example")
        key = NoteSigner(desk.hub.settings.hub_id, desk.hub.keys.log).verifier
        self.book = Book(self.home.path / "witness.db")
        self._judge = Witness(self.home, self.book, [key], lambda: desk.time.at.timestamp())
        self._server = serve_witness(self._judge, "127.0.0.1", 0)
        self.port = self._server.port

    def start(self) -> None:
        self._server = serve_witness(self._judge, "127.0.0.1", self.port)

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture
def witnessed(tmp_path: Path) -> Iterator[tuple[Office, Judge]]:
    desk = office(tmp_path)
    judge = Judge(tmp_path / "w", desk)
    with (desk.folder / "hub" / "hub.toml").open("a", encoding="utf-8") as file:
        vkey = judge.home.cosigner().verifier
        file.write(f'\n[[witnesses]]\nname = "W"\nurl = "http://127.0.0.1:{judge.port}"\n')
        file.write(f'vkey = "{vkey}"\n')
    desk.reopen()
    yield desk, judge
    assert desk.hub.failure is None
    judge.stop()
    judge.book.close()
    desk.close()


def ask(desk: Office) -> None:
    desk.hub.checkpoints.step(now=True)
    for line in desk.hub.witnesses.lines:
        line._try_at = float("-inf")
    desk.hub.witnesses._chosen_at = float("-inf")
    desk.hub.witnesses.step()


def look(desk: Office) -> set[str]:
    desk.hub.work.catch_up()
    desk.hub.stalls.look()
    desk.hub.work.catch_up()
    return {one.kind for one in desk.items(None, OPEN)} & KINDS


def test_one_that_is_silent(witnessed: tuple[Office, Judge]) -> None:
    desk, judge = witnessed
    ask(desk)
    assert look(desk) == set()
    judge.stop()
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.time.at += HALF_AN_HOUR
    ask(desk)
    assert look(desk) == set()
    desk.time.at += timedelta(seconds=1)
    ask(desk)
    assert look(desk) == {"witness_silent"}
    item = desk.item("witness_silent")
    assert (item.role, item.detail) == ("operator", {"agency": "W"})
    desk.time.at += HALF_AN_HOUR
    ask(desk)
    assert look(desk) == {"witness_silent"}
    assert len(desk.items("witness_silent")) == 1, "the same silence"
    judge.start()
    ask(desk)
    assert look(desk) == set()


def test_one_that_never_cosigned(witnessed: tuple[Office, Judge]) -> None:
    """Counted from when the hub was started."""
    desk, judge = witnessed
    judge.stop()
    ask(desk)
    desk.time.at += HALF_AN_HOUR
    assert look(desk) == set()
    desk.time.at += timedelta(seconds=1)
    assert look(desk) == {"witness_silent"}


def test_one_that_has_seen_more_than_there_is(witnessed: tuple[Office, Judge]) -> None:
    desk, judge = witnessed
    ask(desk)
    size = desk.hub.checkpoints.size
    with judge.book.changing(desk.hub.settings.hub_id) as (held, update):
        assert held is not None
        update(Head(size + 1_000, bytes(32), held.note))
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    ask(desk)
    assert look(desk) == {"witness_disagrees"}
    assert desk.item("witness_disagrees").role == "operator"
    with judge.book.changing(desk.hub.settings.hub_id) as (_, update):
        update(held)
    ask(desk)
    assert look(desk) == set()


def test_metrics_tell(witnessed: tuple[Office, Judge]) -> None:
    from hub.api.metrics import Metrics

    desk, _ = witnessed
    metrics = Metrics(desk.hub)
    assert 'nrm_witness_size{witness="W"} 0.0' in metrics.text().decode()
    ask(desk)
    desk.time.at += timedelta(seconds=90)
    told = metrics.text().decode()
    assert f'nrm_witness_size{{witness="W"}} {desk.hub.checkpoints.size}.0' in told
    assert 'nrm_witness_age_seconds{witness="W"} 90.0' in told
    assert 'nrm_witness_disagrees{witness="W"} 0.0' in told
