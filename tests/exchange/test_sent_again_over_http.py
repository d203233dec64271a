"""What the hub sends once more reaches a partner over HTTP as it reaches one that reads topics."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest

from connectors.agency.http import AGAIN, AGAIN_MARK, ANSWERED, split_messages
from connectors.agency.http_auth import sign_request, signed_requests
from connectors.agency.inbox import HttpInbox, Inbox, TopicInbox
from connectors.runner import Runner
from connectors.sink import Sink
from hub.api.server import ApiServer, serve_api
from hub.sending import redrives
from hub.store import events as stored
from hub.topics import open_topics
from schemas import wire
from schemas.registry import Schemas
from tests.consent.stage import CANARY, ROLES, close, needs, open_case, sink_of, withdraw
from tests.exchange.test_redrives import held, without_needs
from tests.patience import PATIENCE
from tests.road import Road

HELD = ("protection", "health")


@dataclass
class Shelter:
    """SH-1 with its connector; `settle` moves hub and connector."""

    road: Road
    via: str
    sink: Sink
    server: ApiServer | None = None

    def connect(self, schemas: Schemas | None = None) -> None:
        """Start its connector, in place of the one that runs."""
        self.stop()
        identity = self.road.identities["SH-1"]
        inbox: Inbox = TopicInbox(open_topics(self.road.hub.settings.topics_url), identity)
        if self.via == "http":
            inbox.close()
            self.server = self.server or serve_api(self.road.hub, port=0)
            inbox = HttpInbox(self.server.url, signed_requests(identity))
        runner = Runner(inbox, self.sink, identity, schemas=schemas)
        self.road.partners["SH-1"] = runner

    def stop(self) -> None:
        runner = self.road.partners.pop("SH-1", None)
        if runner is not None:
            runner._inbox.close()

    def stop_serving(self) -> None:
        if self.server is not None:
            self.server.stop()
            self.server = None

    def set_aside(self, *cases: str) -> list[int]:
        """It could not read the needs of these cases, and was upgraded since; their sequences."""
        self.connect(without_needs())
        for case in cases:
            open_case(self.road, case, {"SH-1": list(HELD)})
            needs(self.road, case, f"{CANARY} {case}")
            self.road.settle()
        self.connect()
        self.road.settle()
        waiting = [one.sequence for one in self.sink.quarantine() if one.sequence]
        assert len(waiting) == len(cases)
        return waiting

    def order(self, sequence: int) -> None:
        redrives.order(self.road.hub.exchange, "SH-1", sequence, by="A. Operator")

    def pull(self, query: str) -> httpx2.Response:
        assert self.server is not None
        path = f"/v1/deliveries?{query}"
        signed = sign_request(self.road.identities["SH-1"], "GET", path, b"")
        return httpx2.get(self.server.url + path, headers=dict(signed), timeout=30)

    def sequences(self, query: str) -> list[tuple[int, int]]:
        answer = self.pull(query)
        sealed = map(wire.SEALED_DELIVERIES.unsingle, split_messages(answer.content))
        return [(one["first_sequence"], one["last_sequence"]) for one in sealed]

    def holds(self) -> str:
        """All that lies in its database."""
        files = self.road.folder.glob("SH-1.db*")
        return "".join(path.read_bytes().decode("latin-1") for path in files)

    def state(self) -> dict[str, Any]:
        """What it holds, and what the hub says of it, but for names that are of one hub only."""
        self.road.hub.work.catch_up()
        log = self.road.hub.exchange.log
        followers = log.followers()
        with closing(sqlite3.connect(self.road.folder / "SH-1.db")) as db:
            tables = {
                name: db.execute(f"SELECT {columns} FROM {name} ORDER BY {columns}").fetchall()
                for name, columns in (
                    ("needs_assessed", "sequence, domains, health_needs"),
                    ("nrm_holding", "event_type, category, sequence"),
                    ("nrm_quarantine", "sequence, reason, state"),
                    ("nrm_tombstone", "category, sequence"),
                    ("nrm_connector_state", "last_sequence"),
                )
            }
        return {
            **tables,
            "answered": followers["acknowledged/SH-1"],
            "sent": followers["sent/SH-1"],
            "balance": held(self.road),
            "work": Counter(
                (one.kind, one.state) for one in log.work.all() if one.agency == "SH-1"
            ),
        }


def shelter(folder: Path, via: str) -> Shelter:
    road = Road.open(folder, ROLES)
    return Shelter(road, via, sink_of(road, "SH-1", "sqlite"))


def closed(site: Shelter) -> None:
    site.stop_serving()
    close(site.road)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Shelter]:
    made = shelter(tmp_path, "http")
    yield made
    closed(made)


def reopened(site: Shelter, copy: Path, *, put_back: bool) -> None:
    """The hub and the connector stop and start; in between a copy is made of the hub, or put back
    in its place, on topics that are new."""
    site.stop()
    site.stop_serving()
    site.road.hub.stop()
    home = site.road.folder / "hub"
    if put_back:
        shutil.rmtree(home)
        shutil.copytree(copy, home)
        for path in home.glob("topics.db*"):
            path.unlink()
    else:
        shutil.copytree(home, copy)
    again = Road.open(site.road.folder, ROLES)
    site.road.hub, site.road.time = again.hub, again.time
    site.connect()


def story(site: Shelter) -> dict[str, Any]:
    road = site.road
    whole, part, none = site.set_aside("C1", "C2", "C3")
    # Sent once more as it is; sent once more after a recall took a part of it; sent once more and
    # withdrawn before it was.
    site.order(whole)
    withdraw(road, "C2", extent="categories", categories=["health"])
    road.settle()
    site.order(part)
    site.order(none)
    withdraw(road, "C3")
    road.settle()
    assert site.sink.quarantine() == []
    # The hub loses what it recorded last: a receipt that the partner sent is among it.
    needs(road, "C1", "told before the hub was lost")
    while road.hub.step():
        pass
    lost = road.hub.exchange.log.tracking("sent/SH-1")
    reopened(site, road.folder / "copy", put_back=False)
    road.settle()
    assert road.hub.receipts.acknowledged("SH-1") == lost
    reopened(site, road.folder / "copy", put_back=True)
    assert road.hub.receipts.acknowledged("SH-1") < lost
    road.settle()
    return site.state()


def test_one_story_over_topics_and_over_http_ends_alike(tmp_path: Path) -> None:
    ends = {}
    for via in ("topics", "http"):
        site = shelter(tmp_path / via, via)
        try:
            ends[via] = story(site)
            text = site.holds()
            assert f"{CANARY} C1" in text
            assert f"{CANARY} C2" not in text, "its health was taken back"
            assert f"{CANARY} C3" not in text, "all of it was taken back"
        finally:
            closed(site)
    assert ends["http"] == ends["topics"]
    assert ends["http"]["answered"] == ends["http"]["sent"]
    assert ends["http"]["balance"]["quarantined"] == 0
    assert len(ends["http"]["needs_assessed"]) == 3


def test_asked_twice_it_is_handed_out_twice_and_applied_once(site: Shelter) -> None:
    [sequence] = site.set_aside("C1")
    last = site.road.hub.exchange.log.tracking("sent/SH-1")
    site.order(sequence)
    site.order(sequence)
    site.road.hub.step()
    for _ in range(2):
        assert site.sequences(f"after={last}&again=0") == [(sequence, sequence)], "sealed once"
    assert site.pull(f"after={last}&again=2").status_code == 204
    assert site.pull(f"after={last}").status_code == 204, "a client that does not know of it"
    assert AGAIN not in site.pull(f"after={last}").headers
    answer = site.pull(f"after={last}&again=0")
    assert (answer.headers[AGAIN], answer.headers[ANSWERED]) == ("2", str(last))
    site.road.settle()
    assert site.sink.quarantine() == []
    assert held(site.road)["quarantined"] == 0
    site.connect()  # from its books
    site.road.settle()
    inbox = site.road.partners["SH-1"]._inbox
    assert isinstance(inbox, HttpInbox)
    assert inbox._again == 2, "it knows which it has had"


def test_before_what_comes_next_and_no_more_than_asked_for(site: Shelter) -> None:
    first, second = site.set_aside("C1", "C2")
    last = site.road.hub.exchange.log.tracking("sent/SH-1")
    site.stop()
    site.order(first)
    site.order(second)
    needs(site.road, "C1", "news")
    site.road.settle()
    end = site.road.hub.exchange.log.tracking("sent/SH-1")
    assert end > last
    assert site.sequences(f"after={last}&again=0") == [
        (first, first),
        (second, second),
        (last + 1, end),
    ]
    one = site.pull(f"after={last}&again=0&limit=1")
    assert (len(split_messages(one.content)), one.headers[AGAIN]) == (1, "1")
    # What lies behind where the caller stands it is handed in its turn, once.
    assert site.sequences(f"after={first}&again=0") == [(first, first), (first + 1, end)]
    assert site.pull(f"after={first}&again=0").headers[AGAIN] == "2"
    site.connect()
    site.road.settle()
    assert site.sink.quarantine() == []


def test_a_withdrawal_whose_recall_is_not_marked_yet_holds_it_back(site: Shelter) -> None:
    [sequence] = site.set_aside("C1")
    last = site.road.hub.exchange.log.tracking("sent/SH-1")
    site.order(sequence)
    site.road.hub.step()
    assert site.sequences(f"after={last}&again=0") == [(sequence, sequence)]
    withdraw(site.road, "C1")
    answer = site.pull(f"after={last}&again=0")
    assert (answer.status_code, answer.headers[AGAIN]) == (204, "0")
    site.road.settle()
    assert CANARY not in site.holds()
    assert site.sink.quarantine() == []


def test_what_rests_on_nothing_any_more_is_not_sent_and_holds_nothing_up(site: Shelter) -> None:
    """A consent that is over by the calendar, and whose end is not in the log yet."""
    first, second = site.set_aside("C1", "C2")
    last = site.road.hub.exchange.log.tracking("sent/SH-1")
    site.order(first)
    site.road.hub.step()
    site.road.time.at = site.road.time.at.replace(year=2027, month=6)
    site.road.hub.publisher.mark()
    answer = site.pull(f"after={last}&again=0")
    assert (answer.status_code, answer.headers[AGAIN]) == (204, "1")
    assert {one.sequence for one in site.sink.quarantine()} == {first, second}


def test_who_waits_is_told_and_another_partner_is_not(site: Shelter) -> None:
    [sequence] = site.set_aside("C1")
    assert site.server is not None
    last = site.road.hub.exchange.log.tracking("sent/SH-1")
    police, answers = site.road.identities["POL-1"], {}

    def wait(agency: str, query: str) -> None:
        assert site.server is not None
        path = f"/v1/deliveries?{query}"
        signed = sign_request(site.road.identities[agency], "GET", path, b"")
        answer = httpx2.get(site.server.url + path, headers=dict(signed), timeout=30)
        answers[agency] = (answer.status_code, time.monotonic())

    theirs = site.road.hub.exchange.log.tracking(f"sent/{police.agency}")
    asked = {"SH-1": f"after={last}&again=0&wait=20", "POL-1": f"after={theirs}&again=0&wait=2"}
    waiting = [threading.Thread(target=wait, args=one) for one in asked.items()]
    started = time.monotonic()
    for one in waiting:
        one.start()
    time.sleep(0.3)
    site.order(sequence)
    site.road.hub.step()
    for one in waiting:
        one.join(PATIENCE)
    assert answers["SH-1"][0] == 200
    assert answers["SH-1"][1] - started < 20
    assert answers["POL-1"][0] == 204
    assert answers["POL-1"][1] - started > 1.9, "it cannot tell that somebody was sent something"


def test_a_hub_put_back_to_fewer_orders_sends_what_it_has(site: Shelter) -> None:
    [sequence] = site.set_aside("C1")
    last = site.road.hub.exchange.log.tracking("sent/SH-1")
    site.order(sequence)
    site.road.hub.step()
    answer = site.pull(f"after={last}&again=7")
    assert len(split_messages(answer.content)) == 1
    assert answer.headers[AGAIN] == "1"
    mine = answer.headers[AGAIN_MARK]
    assert site.pull(f"after={last}&again=1&again_mark={mine}").status_code == 204
    # Of a log that was put back, and in which another order is the first now.
    other = site.pull(f"after={last}&again=1&again_mark={'0' * len(mine)}")
    assert len(split_messages(other.content)) == 1
    assert (other.headers[AGAIN], other.headers[AGAIN_MARK]) == ("1", mine)


def test_a_mark_follows_from_the_recipients_own_orders() -> None:
    """Whatever was ordered for others; and from when, so that an order given anew has another."""

    def marks(*given: tuple[str, int]) -> list[str]:
        orders = [
            SimpleNamespace(event=stored.RedriveOrdered(
                originator_id=redrives.STREAM, originator_version=number, agency=agency,
                timestamp=datetime(2026, 3, day, tzinfo=UTC), sequence=4, by="A. Operator",
            ))
            for number, (agency, day) in enumerate(given, start=1)
        ]  # fmt: skip
        log: Any = SimpleNamespace(stream=lambda _, after, most: orders[after : after + most])
        found = redrives.CarriedOut(log)
        found.look(len(orders))
        return [found.mark("SH-1", count) for count in range(4)]

    mine = marks(("SH-1", 1), ("POL-1", 2), ("SH-1", 3))
    assert mine == marks(("SH-1", 1), ("SH-1", 3))
    anew = marks(("SH-1", 1), ("SH-1", 5))
    assert [one == other for one, other in zip(mine, anew, strict=True)] == [
        True,
        True,
        False,
        True,
    ]
    assert (mine[0], mine[3]) == ("", "")
