"""Page and program give the same verdict on the same file: exit code, step and reason code."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.played import NAMES
from tests.webverify import damage
from tests.webverify.corpus import Place, good, lived
from tests.webverify.questions import Question, by_the_page, disagreements, verdict

pytestmark = pytest.mark.browser

Lived = Callable[[str], Place]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lived]:
    """Hubs that lived a scenario, one of each for this module."""
    places: dict[str, Place] = {}

    def get(name: str) -> Place:
        if name not in places:
            places[name] = lived(tmp_path_factory.mktemp("lived"), name)
        return places[name]

    yield get
    for one in places.values():
        one.road.close()


@pytest.mark.parametrize("name", NAMES)
def test_what_a_hub_makes_verifies_by_both(place: Lived, name: str) -> None:
    questions = list(good(place(name)))
    assert len(questions) > 5
    answers = by_the_page(questions)
    for question, answer in zip(questions, answers, strict=True):
        assert (question.name, verdict(answer)) == (question.name, (0, 0, ""))
    assert not disagreements(questions)


def told_alike(damaged: damage.Damaged) -> None:
    """Each kind of damage is found under its code, by both, at the same step."""
    expected, questions = zip(*damaged, strict=True)
    found = [
        f"{question.name}: page {verdict(answer)} at {answer.get('where')}"
        for code, question, answer in zip(expected, questions, by_the_page(questions), strict=True)
        if answer["code"] != code
    ]
    assert not found, "\n".join(found)
    assert not (other := disagreements(questions)), "\n".join(other)


def test_damage_to_the_container(place: Lived) -> None:
    told_alike(damage.container_damage(place("S1")))


def test_damage_signed_by_the_hub(place: Lived) -> None:
    told_alike(damage.signed_damage(place("S1")))


def test_a_log_forged_with_every_key_but_the_agencies(place: Lived) -> None:
    told_alike(damage.forged_damage(place("S1")))


def test_content_that_is_not_the_holders(place: Lived) -> None:
    told_alike(damage.holder_damage(place("S1"), "NGO-1"))


def test_statements_of_absence(place: Lived) -> None:
    told_alike(damage.absence_damage(place("S1"), "RAP-1"))


def test_frozen_bundles_are_told_as_they_are_listed() -> None:
    folder = Path(__file__).parents[1] / "vectors" / "evidence"
    listed = json.loads((folder / "expected.json").read_text("utf-8"))
    key = listed["log_key"]
    good = [Question(name, folder / name, key) for name in listed["good"]]
    assert [verdict(one) for one in by_the_page(good)] == [(0, 0, "")] * len(good)
    bad = [
        Question(
            str(one),
            folder / one["file"],
            key,
            flip=(one["at"], one["xor"]) if "at" in one else None,
            cut=one.get("cut"),
        )
        for one in listed["bad"]
    ]
    told = [(one["step"], one["code"]) for one in by_the_page(bad)]
    assert told == [(one["step"], one["code"]) for one in listed["bad"]]
