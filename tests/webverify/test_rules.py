"""The page's rules decide as the hub does: scenarios, random cases, another profile."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from hub.deliveries import settle
from hub.domain.case import Case
from hub.domain.parties import Parties, Party
from hub.domain.policy import PolicyProfile, shipped_document
from hub.scenario import shipped
from tests.release.generator import Generator
from tests.scenarios.rules_alone import event_of
from tests.webverify.told import decided_again, played, told

pytestmark = pytest.mark.browser

UNGUARDED, GUARDED, LENGTH = 30, 60, 45


def random_stories() -> list[dict[str, Any]]:
    free = [
        played(f"free {seed}", Generator(seed).scenario(), guarded=False)
        for seed in range(UNGUARDED)
    ]
    lawful = [
        played(
            f"lawful {seed}",
            Generator(10_000 + seed, length=LENGTH, lawful=True).scenario(),
            guarded=True,
        )
        for seed in range(GUARDED)
    ]
    return free + lawful


def test_scenarios_are_decided_again_the_same() -> None:
    stories = [played(name, shipped.load(name), guarded=True) for name in shipped.ids()]
    for one in decided_again(stories):
        assert (one["name"], one["found"]) == (one["name"], [])
        assert one["compared"] > 50


def test_random_cases_are_decided_again_the_same() -> None:
    answers = list(decided_again(random_stories()))
    assert [one for one in answers if one["found"]] == []
    assert sum(one["compared"] for one in answers) > 50_000


@pytest.mark.parametrize("clock_trusted", [True, False])
def test_another_profile_agencies_without_agreement_and_a_clock_not_trusted(
    clock_trusted: bool,
) -> None:
    document = shipped_document("uk")
    profile = PolicyProfile.as_recorded(document)
    stories = []
    for seed in range(12):
        scenario = Generator(500 + seed, length=LENGTH).scenario()
        parties = Parties(
            [
                Party(agency, role, receives=number % 3 != 0)
                for number, (agency, role) in enumerate(sorted(scenario["agencies"].items()))
            ],
            version=7,
        )
        cases: dict[str, Case] = {}
        steps = []
        for position, written in enumerate(scenario["events"], start=1):
            event = event_of(scenario, position, written)
            case = cases.setdefault(written["case"], Case())
            settlement = settle(
                case, event, parties, profile, event.at, clock_trusted=clock_trusted
            )
            steps.append((written["case"], event, settlement))
        stories.append(told(f"uk {seed}", parties, steps, document))
    answers = list(decided_again(stories))
    assert [one for one in answers if one["found"]] == []
    assert sum(one["compared"] for one in answers) > 10_000


def test_sealed_birth_dates_leave_the_age_as_recorded() -> None:
    """What a bundle has: that a date was stated, and the age each decision was made on."""
    stories = random_stories()[:20]
    for story in stories:
        for step in story["events"]:
            for name in ("date_of_birth", "assessed_dob"):
                step["event"]["facts"].pop(name, None)
    assert any("birth_date_stated" in s["event"]["facts"] for t in stories for s in t["events"])
    assert [one for one in decided_again(stories) if one["found"]] == []


def test_an_altered_record_is_noticed() -> None:
    """Each recorded outcome turned round in turn: withheld becomes released, released withheld."""
    story = played("S1", shipped.load("S1"), guarded=True)
    altered = []
    for at, step in enumerate(story["events"]):
        for agency, outcomes in step["settlement"].get("decided", {}).items():
            for category, outcome in outcomes.items():
                other = copy.deepcopy(story)
                turned = ["no_consent"] if isinstance(outcome, str) else "public_task"
                other["events"][at]["settlement"]["decided"][agency][category] = turned
                other["name"] = f"{at} {agency} {category}"
                altered.append(other)
    assert len(altered) > 40
    for one in decided_again(altered):
        assert one["found"], one["name"]
        assert one["name"].startswith(f"{_number(story, one)} ")


def _number(story: dict[str, Any], answer: dict[str, Any]) -> int:
    """Which event of the story was found to differ."""
    ids = [step["event"]["id"] for step in story["events"]]
    return ids.index(answer["found"][0]["event"])
