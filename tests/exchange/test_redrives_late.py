"""Between the order of a redrive and its sending the case moves on: nothing comes back by it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from connectors.redriving import redrive
from hub import crash
from hub.errors import Refused
from hub.home import Home
from hub.hub import Hub
from hub.sending import redrives
from hub.topics import Message
from tests.consent.stage import CANARY, ROLES, close, withdraw
from tests.exchange.test_redrives import held, set_aside
from tests.noted import noted
from tests.road import Road


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    made = Road.open(tmp_path, ROLES)
    yield made
    close(made)


@pytest.fixture
def appended(road: Road) -> list[tuple[str, Message]]:
    """Topics something was appended to, in order, and what, from here on."""
    return noted(road.hub.topics)


def order(road: Road, sequence: int) -> int:
    return redrives.order(road.hub.exchange, "SH-1", sequence, by="A. Operator")


def applied(road: Road) -> str:
    """All that lies in SH-1's database, opened."""
    road.settle()
    return "".join(path.read_bytes().decode("latin-1") for path in road.folder.glob("SH-1.db*"))


def test_a_withdrawal_recorded_and_not_marked_yet_holds_the_redrive_back(
    road: Road, appended: list[tuple[str, Message]]
) -> None:
    sink, sequence = set_aside(road)
    publisher, topic = road.hub.publisher, road.hub.exchange.pseudonyms.topic("nrm.d", "SH-1")
    order(road, sequence)
    withdraw(road, "C1")
    appended.clear()
    assert publisher.redrive() == 0, "the recall is marked first"
    assert topic not in {one for one, _ in appended}
    assert CANARY not in applied(road)
    assert publisher.redrive() == 0, "carried out, nothing waits"
    assert road.hub.exchange.log.tracking(redrives.FOLLOWER) == 1
    assert sink.quarantine() == []


def test_what_was_withdrawn_cannot_be_ordered_before_its_recall_is_marked(road: Road) -> None:
    _, sequence = set_aside(road)
    withdraw(road, "C1")
    with pytest.raises(Refused) as refused:
        order(road, sequence)
    assert refused.value.reason == "no_longer_stands"


def test_what_rests_on_nothing_any_more_is_not_sent_and_holds_nobody_up(
    road: Road, appended: list[tuple[str, Message]]
) -> None:
    """A consent that is over by the calendar, and whose end is not in the log yet."""
    sink, sequence = set_aside(road)
    topic = road.hub.exchange.pseudonyms.topic("nrm.d", "SH-1")
    order(road, sequence)
    road.time.at = road.time.at.replace(year=2027, month=6)
    road.hub.publisher.mark()
    appended.clear()
    assert road.hub.publisher.redrive() == 1
    assert topic not in {one for one, _ in appended}
    assert [one.sequence for one in sink.quarantine()] == [sequence]
    assert held(road)["quarantined"] > 0


def test_ordered_twice_and_redriven_by_the_partner_it_is_applied_once(road: Road) -> None:
    sink, sequence = set_aside(road)
    runner = road.partners["SH-1"]
    order(road, sequence)
    order(road, sequence)
    road.hub.step()
    assert redrive(sink, runner.reader.opener, at=road.time.at) == (1, 0)
    road.settle()
    assert sink.quarantine() == []
    with closing(sqlite3.connect(road.folder / "SH-1.db")) as db:
        [(count,)] = db.execute("SELECT count(*) FROM needs_assessed").fetchall()
    assert count == 1
    assert held(road)["quarantined"] == 0


@pytest.mark.parametrize("point", ["before_redrive", "after_redrive"])
def test_killed_between_order_and_sending_it_is_sent_by_the_next(road: Road, point: str) -> None:
    sink, sequence = set_aside(road)
    order(road, sequence)
    child = os.fork()
    if not child:
        crash.arm(point)
        hub = Hub.open(Home(road.folder / "hub"), road.hub.exchange.clock)
        while hub.step():
            pass
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == crash.STATUS
    assert road.hub.exchange.log.tracking(redrives.FOLLOWER) == 0
    road.settle()
    assert sink.quarantine() == []
    assert held(road)["quarantined"] == 0
