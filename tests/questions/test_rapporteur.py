"""Q15 to Q22: published editions and nothing else, with the marks they were published with."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from hub.audit.questions import QUESTIONS, Hub
from hub.clock import Clock, ScenarioTime
from hub.errors import Refused
from hub.exchange import Exchange
from hub.home import Home
from hub.hub import Hub as RunningHub
from hub.statistics.editions import Ledger
from hub.statistics.periods import Period
from hub.statistics.tables import TABLES
from hub.store.copying import copy_in, copy_out
from hub.store.log import HubLog
from tests.cli.programs import nrm
from tests.questions.asked import Told, hub_of
from tests.road import Road
from tests.statistics.town import NOW, ROLES, open_town, people, publish

PERIOD = "2026-Q1"
ASKED = [one for one in QUESTIONS.values() if one.who == "rapporteur"]


def build_town(folder: Path) -> None:
    """A town of ninety people whose first quarter was published, one table twice."""
    open_town(folder, 90).close()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("hub.hub.Clock", lambda: Clock(ScenarioTime(NOW), steady=None))
        _publish(folder, "all")
        road = road_of(folder)
        publish(road, people(40, date(2026, 2, 1), date(2026, 3, 1), seed=3, start=500))
        road.settle()
        road.close()
        _publish(folder, "funnel", "--revise")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("asked-town")
    build_town(folder)
    return folder


def _publish(folder: Path, *arguments: str) -> None:
    home = ("--home", str(folder / "hub"), "--as", str(folder / "CA-1"))
    done = nrm("statistics", "publish", *arguments, "--period", PERIOD, "--by", "desk", *home)
    assert done.code == 0, done.err


def road_of(folder: Path) -> Road:
    time = ScenarioTime(NOW)
    road = Road(folder, RunningHub.open(Home(folder / "hub"), Clock(time, steady=None)), time)
    for agency, role in ROLES.items():
        road.enrol(agency, role)
    return road


@pytest.fixture
def town(built: Path, tmp_path: Path) -> Iterator[Told]:
    shutil.copytree(built, tmp_path / "town")
    road = road_of(tmp_path / "town")
    yield Told(hub_of(road.hub), {})
    road.close()


@pytest.mark.parametrize("question", [one.id for one in ASKED if one.id != "Q17"])
def test_the_answer_is_what_the_newest_edition_shows(question: str, town: Told) -> None:
    found = town.ask(question, period=PERIOD)
    ledger = Ledger.read(town.hub.exchange.log)
    shown: dict[str, dict[str, Any]] = {}
    for row in found.as_dict()["rows"]:
        shown.setdefault(row["table"], {})[row["part"]] = row["figure"]
    assert shown
    for name, figures in shown.items():
        newest = ledger.of(TABLES[name], Period.parse(PERIOD))[-1]
        whole = newest.figures
        assert figures["all"] == str(whole["all"] if isinstance(whole, dict) else whole)
        for code, part in (whole.get("by", {}) if isinstance(whole, dict) else {}).items():
            figure = part["all"] if isinstance(part, dict) else part
            assert figures.get(code, "0") == str(figure)


@pytest.mark.parametrize("question", [one.id for one in ASKED])
def test_no_small_number_is_in_any_answer(question: str, town: Told) -> None:
    given = {"table": "funnel"} if question == "Q17" else {}
    for row in town.rows(question, period=PERIOD, **given):
        for name in ("figure", "then", "now"):
            text = str(row.get(name, "0")).rstrip("*")
            assert not (text.isdigit() and 0 < int(text) < 5), row
        difference = str(row.get("difference", "")).lstrip("+-")
        assert not (difference.isdigit() and 0 < int(difference) < 5), row


@pytest.mark.parametrize("question", [one.id for one in ASKED])
def test_what_is_not_published_is_not_answered(question: str, town: Told) -> None:
    given = {"table": "funnel"} if question == "Q17" else {}
    with pytest.raises(Refused, match="not_published"):
        town.ask(question, period="2026-Q2", **given)
    with pytest.raises(Refused, match=f"{question} needs --"):
        town.ask(question)


def test_q17_is_the_first_edition_beside_the_newest(town: Told) -> None:
    rows = town.rows("Q17", table="funnel", period=PERIOD)
    first, last = Ledger.read(town.hub.exchange.log).of(TABLES["funnel"], Period.parse(PERIOD))
    assert (rows[0]["then"], rows[0]["now"]) == (
        str(first.figures["all"]),
        str(last.figures["all"]),
    )
    assert int(rows[0]["difference"]) == last.figures["all"] - first.figures["all"]
    one = town.ask("Q17", table="overlap", period=PERIOD)
    assert {row["difference"] for row in one.as_dict()["rows"]} <= {"", "0"}
    assert any("One edition" in note for note in one.notes)


def test_as_of_before_the_second_edition_there_was_one(town: Told) -> None:
    log = town.hub.exchange.log
    second = log.head
    while town.ask("Q20", period=PERIOD, table="funnel", as_of=str(second)).rows[0][1] == 2:
        second -= 1
    rows = town.rows("Q20", period=PERIOD, table="funnel", as_of=str(second))
    assert {row["edition"] for row in rows} == {1}
    assert {row["edition"] for row in town.rows("Q20", period=PERIOD, table="funnel")} == {2}


def test_counting_is_not_how_an_answer_is_made(town: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lives are never folded for an answer, so nothing unpublished can be in one."""

    def never(*_: object) -> None:
        raise AssertionError("somebody was counted")

    monkeypatch.setattr("hub.statistics.tables.Table.count", never)
    monkeypatch.setattr("consumers.statistics.Statistics.read", never)
    for question in ASKED:
        given = {"table": "funnel"} if question.id == "Q17" else {}
        assert town.ask(question.id, period=PERIOD, **given).rows


def test_both_databases_give_the_same_answers(
    town: Told, tmp_path: Path, postgres_url: str
) -> None:
    exchange = town.hub.exchange
    copy_out(exchange.log.url, tmp_path / "town.copy")
    with HubLog.open(f"{postgres_url}?schema=asked_town") as log:
        copy_in(tmp_path / "town.copy", log)
        there = Exchange(log, exchange.secrets, exchange.pseudonyms, exchange.clock)
        postgres = Told(Hub(there, town.hub.hub_id, town.hub.verifier), {})
        for question in ASKED:
            given = {"table": "funnel"} if question.id == "Q17" else {}
            here = town.ask(question.id, period=PERIOD, **given)
            other = postgres.ask(question.id, period=PERIOD, **given)
            assert (list(other.rows), other.summary) == (list(here.rows), here.summary)
