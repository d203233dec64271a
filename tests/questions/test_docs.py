"""docs/questions.md says what the questions are, and its examples are what they answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub.clock import Clock, ScenarioTime
from hub.home import Home
from hub.hub import Hub as RunningHub
from tests.cli.programs import ROOT
from tests.played import scenario
from tests.questions.asked import NOW, Told, hub_of
from tests.questions.examples import generated
from tests.questions.stage import erased_person
from tests.questions.test_rapporteur import build_town, road_of
from tests.road import Road
from tests.test_docs import commands

COMMAND = re.compile(r"nrm-hub ([a-z]+ [a-z]+(?:-[a-z]+)*)")
PAGE = ROOT / "docs" / "questions.md"


@pytest.fixture
def places(folders: Callable[[str], Path], tmp_path: Path) -> Iterator[Callable[[str], Told]]:
    opened: dict[str, tuple[Told, Callable[[], None]]] = {}

    def road(made: Road) -> tuple[Told, Callable[[], None]]:
        return Told(hub_of(made.hub), {}), made.close

    def place(name: str) -> Told:
        if name not in opened:
            if name == "town":
                build_town(tmp_path / name)
                opened[name] = road(road_of(tmp_path / name))
            elif name == "erased":
                (tmp_path / name).mkdir()
                opened[name] = road(erased_person(tmp_path / name))
            else:
                clock = Clock(ScenarioTime(NOW), steady=None)
                hub = RunningHub.open(Home(folders(name) / "hub"), clock)
                opened[name] = Told(hub_of(hub), scenario(name)), hub.stop
        return opened[name][0]

    yield place
    for _, close in opened.values():
        close()


def test_the_page_is_what_the_questions_say(places: Callable[[str], Told], tmp_path: Path) -> None:
    """If this fails: python -m tests.questions.examples prints the part after the heading."""
    _, _, told = PAGE.read_text("utf-8").partition("## Every question\n")
    assert told.strip() == generated(places, tmp_path)


def test_commands_an_answer_names_are_there() -> None:
    known = commands()
    found = set()
    for path in (ROOT / "hub/audit/questions").glob("*.py"):
        text = re.sub(r'"\s*"', "", path.read_text("utf-8"))
        found |= set(COMMAND.findall(text))
    assert {"audit ask", "connector redrive", "statistics publish"} <= found
    for words in found:
        first, _, second = words.partition(" ")
        assert second in known[first], words


def test_every_code_of_a_refusal_is_explained() -> None:
    text = PAGE.read_text("utf-8")
    folders = ("hub/audit/questions", "hub/console")
    sources = [path for one in folders for path in (ROOT / one).glob("questions.py")]
    sources += list((ROOT / "hub/audit/questions").glob("*.py"))
    codes = {
        code
        for path in sources
        for code in re.findall(r"(?:Refused|Problem)\(\s*\d+,\s*\"(\w+)\"", path.read_text("utf-8"))
    }
    assert len(codes) > 10
    assert {code for code in codes if f"`{code}`" not in text} == set()
