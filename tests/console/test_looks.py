"""Every look is a row of the log before anything is shown, and disturbs nothing else there."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from hub.audit import conservation, verify_log
from hub.audit.looks import looks, position_before
from hub.authority.viewers import PASSKEY, Grant
from hub.console.app import create_console
from hub.console.browsing import BrowsingLimits
from hub.console.desk import COOKIE, Console
from hub.console.grants import GrantsOnRecord, viewer_of
from hub.console.looking import RecordedLooks
from hub.console.sessions import Sessions
from hub.console.viewer import Viewer
from hub.errors import Refused
from hub.home import Home
from hub.hub import Deciding, Hub
from tests.cli.programs import nrm
from tests.console.admitted import Office
from tests.patience import until
from tests.policy.officers import HUB_ID

CASE = "0c4b7a526d0f5e449f0e5b7c2a7d9f31"


class Desk:
    """A console whose looks are recorded, and people who are granted."""

    def __init__(self, home: Home, **limits: int) -> None:
        self.deciding = Deciding.open(home)
        exchange = self.deciding.reading.exchange
        self.office = Office(exchange)
        self.grants = GrantsOnRecord(exchange.log, HUB_ID)
        self.looks = RecordedLooks(exchange, self.grants, BrowsingLimits(**limits))
        self.console = Console(self.deciding, self.looks, Sessions(), self.grants)
        self.clients: list[TestClient] = []

    def viewer(self, name: str = "audit-1", role: Any = "auditor") -> Viewer:
        return viewer_of(self.office.grant(Grant(name, role, "", PASSKEY))[0])

    def client(self, viewer: Viewer) -> TestClient:
        client = TestClient(create_console(self.console), follow_redirects=False)
        name = self.console.sessions.begin(viewer, self.grants.of(viewer))
        client.cookies.set(COOKIE, name)
        self.clients.append(client)
        return client

    def recorded(self, **which: Any) -> list[tuple[str, str, str, str]]:
        log = self.deciding.reading.exchange.log
        return [(one.viewer, one.page, one.about, one.refused) for one in looks(log, **which)]

    def close(self) -> None:
        for client in self.clients:
            client.close()
        self.deciding.__exit__()


@pytest.fixture
def desk(home: Home) -> Iterator[Desk]:
    one = Desk(home)
    yield one
    one.close()


def test_a_page_is_recorded_and_then_shown(desk: Desk) -> None:
    client = desk.client(desk.viewer())
    assert client.get("/").status_code == 200
    assert desk.recorded() == [("audit-1", "overview", "", "")]


def test_a_look_that_cannot_be_recorded_shows_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = desk.client(desk.viewer())

    def full(*_: Any, **__: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(desk.deciding.reading.exchange.log, "append", full)
    client = TestClient(client.app, cookies=client.cookies, raise_server_exceptions=False)
    answer = client.get("/")
    assert answer.status_code == 500
    assert "Entries in the log" not in answer.text
    assert "no space" not in answer.text
    client.close()


def test_a_full_disk_shows_nothing_and_the_next_look_is_shown_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = desk.client(desk.viewer())
    append = desk.deciding.reading.exchange.log.append
    for wrong in (sqlite3.OperationalError("database or disk is full"), OSError(28, "full")):

        def fails(*_: Any, wrong: Exception = wrong, **__: Any) -> Any:
            raise wrong

        with monkeypatch.context() as full:
            full.setattr(desk.deciding.reading.exchange.log, "append", fails)
            for path in ("/cases", "/looks", "/api/questions", "/api/questions/Q06"):
                answer = client.get(path)
                assert answer.status_code >= 500, path
                assert "full" not in answer.text
                assert "<table" not in answer.text
        assert desk.deciding.reading.exchange.log.append == append
        assert client.get("/cases").status_code == 200


def test_what_is_for_another_role_is_recorded_as_refused(desk: Desk) -> None:
    client = desk.client(desk.viewer("operator-1", "operator"))
    answer = client.get("/looks?about=C1")
    assert answer.status_code == 403
    assert "for another role" in answer.text
    assert desk.recorded() == [("operator-1", "/looks", "", "not_for_this_role")]


def test_a_question_of_another_role_is_recorded_as_refused_on_each_way(desk: Desk) -> None:
    client = desk.client(desk.viewer("rapporteur-1", "rapporteur"))
    session = desk.console.sessions.find(client.cookies[COOKIE])
    assert session is not None
    assert client.get("/questions/Q06").status_code == 403
    assert client.post("/questions/Q06", data={"token": session.token}).status_code == 403
    assert client.get("/api/questions/Q06").status_code == 403
    assert [(page, why) for _, page, _, why in desk.recorded()] == [
        ("/questions/{question_id}", "not_for_this_role"),
        ("/questions/{question_id}", "not_for_this_role"),
        ("/api/questions/{question_id}", "not_for_this_role"),
    ]


def test_an_id_is_recorded_in_one_spelling(desk: Desk) -> None:
    viewer = desk.viewer()
    for spelling in (CASE, CASE.upper(), "0c4b7a52-6d0f-5e44-9f0e-5b7c2a7d9f31"):
        desk.looks.record(viewer, "case", spelling)
    desk.looks.record(viewer, "agency", "SH-1")
    desk.looks.record(viewer, "agency", "x" * 500)
    assert [about for _, _, about, _ in desk.recorded()] == [CASE] * 3 + ["SH-1", "x" * 100]


def test_many_at_once_are_few_transactions_and_none_is_lost(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewers = [desk.viewer(f"audit-{n}") for n in range(1, 4)]
    commits: list[int] = []
    commit = desk.looks._commit

    def counted(batch: list[Any]) -> None:
        commits.append(len(batch))
        if len(commits) == 1:  # the others ask while the first is written
            until(lambda: len(batch) + len(desk.looks._waiting) == 24)
        commit(batch)

    monkeypatch.setattr(desk.looks, "_commit", counted)
    gate = threading.Barrier(24)

    def look(at: int) -> None:
        gate.wait()
        desk.looks.record(viewers[at % 3], "case", f"{at:032x}")

    threads = [threading.Thread(target=look, args=(at,)) for at in range(24)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(about for _, _, about, _ in desk.recorded()) == [f"{n:032x}" for n in range(24)]
    assert sum(commits) == 24
    assert len(commits) <= 2


def test_a_failure_reaches_everybody_whose_look_was_in_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    viewer, failures = desk.viewer(), []

    def full(*_: Any, **__: Any) -> None:
        raise OSError

    monkeypatch.setattr(desk.deciding.reading.exchange.log, "append", full)

    def look() -> None:
        try:
            desk.looks.record(viewer, "case", CASE)
        except OSError as wrong:
            failures.append(wrong)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(failures) == 8
    monkeypatch.undo()
    desk.looks.record(viewer, "case", CASE)
    assert len(desk.recorded()) == 1


# -- read again ------------------------------------------------------------------------------


def test_looks_by_viewer_by_case_and_since(desk: Desk) -> None:
    first, second = desk.viewer(), desk.viewer("audit-2")
    desk.looks.record(first, "case", CASE)
    middle = desk.deciding.reading.exchange.log.head
    desk.looks.record(second, "case", CASE)
    desk.looks.record(second, "health")
    assert [row[0] for row in desk.recorded(about=CASE)] == ["audit-1", "audit-2"]
    assert [row[1] for row in desk.recorded(viewer="audit-2")] == ["case", "health"]
    assert desk.recorded(after=middle, viewer="audit-1") == []
    assert [row[0] for row in desk.recorded(after=middle, about=CASE)] == ["audit-2"]
    log = desk.deciding.reading.exchange.log
    assert position_before(log, "7") == 7
    assert position_before(log, "2000-01-01") == 0
    assert position_before(log, "2999-01-01") == log.head
    with pytest.raises(Refused, match="bad_since"):
        position_before(log, "yesterday")


def test_the_command_and_the_page_tell_the_same(desk: Desk, home: Home) -> None:
    auditor, operator = desk.viewer(), desk.viewer("operator-1", "operator")
    desk.looks.record(operator, "case", CASE)
    desk.client(operator).get("/looks")
    told = json.loads(nrm("audit", "looks", "--json", "--home", home.path).out)
    assert [(one["page"], one["refused"]) for one in told] == [
        ("case", ""),
        ("/looks", "not_for_this_role"),
    ]
    assert "operator-1" in nrm("audit", "looks", "--home", home.path).out
    only = nrm("audit", "looks", "--viewer", "audit-1", "--home", home.path)
    assert only.out.strip() == "Nobody looked."
    page = desk.client(auditor).get("/looks").text
    assert CASE in page
    assert "not_for_this_role" in page
    assert "audit-1" in page  # the look at this very page
    one = desk.client(auditor).get(f"/looks?about={CASE}&viewer=operator-1&days=1").text
    assert "not_for_this_role" not in one
    assert CASE in one


@pytest.mark.parametrize(
    "query",
    ["days=x", "days=-1", "days=99999", "viewer=%00", "about=%F0%9F", "viewer=<b>", "about='--"],
)
def test_the_page_takes_any_address(desk: Desk, query: str) -> None:
    answer = desk.client(desk.viewer()).get(f"/looks?{query}")
    assert answer.status_code == 200
    assert "<b>" not in answer.text


# -- nothing else moves ------------------------------------------------------------------------


def test_looks_change_no_decision_no_timer_and_no_sum(home: Home) -> None:
    hub = Hub.open(home)
    try:
        hub.attend()
        before = (list(hub.exchange.log.work.standing(limit=1_000)), hub.exchange.policy())
        desk = Desk(home, cases_per_night=100)
        viewer = desk.viewer()
        for at in range(20):
            desk.looks.record(viewer, "case", f"{at:032x}")
        desk.close()
        while hub.step():
            pass
        hub.attend()
        after = (list(hub.exchange.log.work.standing(limit=1_000)), hub.exchange.policy())
        assert after == before
        assert conservation(hub.exchange.log).even
        with Deciding.open(home) as deciding:
            *_, verdict = verify_log(hub.exchange.log, HUB_ID, deciding.reading.log_verifier)
        assert verdict.problems == []
        assert verdict.covered == hub.exchange.log.head
        hub.work.rebuild()
        assert list(hub.exchange.log.work.standing(limit=1_000)) == before[0]
    finally:
        hub.stop()


def test_the_same_on_postgresql(postgres_url: str, tmp_path: Path) -> None:
    place = Home(tmp_path / "hub")
    place.init(store=postgres_url)
    Hub.open(place).stop()
    desk = Desk(place)
    try:
        viewer = desk.viewer()
        granted = desk.grants.of(viewer)
        for _ in range(2):
            desk.looks.record(viewer, "case", CASE)
        assert desk.recorded(about=CASE) == [("audit-1", "case", CASE, "")] * 2
        assert desk.grants.stand(viewer, granted)
        with Deciding.open(place) as other:
            again = GrantsOnRecord(other.reading.exchange.log, HUB_ID)
            assert again.stand(viewer, granted)
            desk.office.revoke()
            assert not again.stand(viewer, granted)
    finally:
        desk.close()
