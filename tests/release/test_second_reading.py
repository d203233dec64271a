"""The product against a second, literal reading of docs/release.md, on many random scenarios."""

from __future__ import annotations

from typing import Any

import pytest

from hub import scenarios
from hub.domain.case import Case
from hub.domain.policy import default_document, default_profile
from hub.scenarios.play import canonical, holdings, play, shape
from schemas.registry import Schemas
from tests.release.generator import Generator
from tests.release.oracle import Oracle

PROFILE = default_profile()
DOCUMENT = default_document()
GROUPS = {name: Schemas.load().by_type(name).group for name in Schemas.load().types()}
SEEDS = 60


def compare(scenario: dict[str, Any], *, guarded: bool) -> int:
    """Play through both; the second reading sees what was not refused. Returns events compared."""
    steps = list(play(scenario, PROFILE, guarded=guarded))
    taken = [
        (written, step)
        for written, step in zip(scenario["events"], steps, strict=True)
        if step.settlement is not None
    ]
    oracle = Oracle({**scenario, "events": [written for written, _ in taken]}, DOCUMENT, GROUPS)
    cases: dict[str, Case] = {}
    for written, step in taken:
        assert step.settlement is not None
        expected = oracle.answers[written["id"]]
        assert (written["id"], shape(step.settlement)) == (written["id"], canonical(expected))
        cases[written["case"]] = step.case
    assert holdings(cases.items()) == oracle.final_holdings()
    for name, case in cases.items():
        held = {
            (agency, *item): basis
            for agency, items in case.holdings.items()
            for item, basis in items.items()
        }
        assert held == oracle.held[name]
    return len(taken)


@pytest.mark.parametrize("scenario_id", scenarios.ids())
def test_the_second_reading_agrees_with_the_scenarios_too(scenario_id: str) -> None:
    scenario = scenarios.load(scenario_id)
    oracle = Oracle(scenario, DOCUMENT, GROUPS)
    for event in scenario["events"]:
        assert canonical(oracle.answers[event["id"]]) == canonical(event["expected"])


@pytest.mark.parametrize("batch", range(6))
def test_random_scenarios_without_guards(batch: int) -> None:
    for seed in range(batch * SEEDS // 6, (batch + 1) * SEEDS // 6):
        assert compare(Generator(seed).scenario(), guarded=False) >= 40, seed


@pytest.mark.parametrize("batch", range(6))
def test_random_scenarios_with_guards(batch: int) -> None:
    compared = 0
    for seed in range(batch * SEEDS // 6, (batch + 1) * SEEDS // 6):
        compared += compare(Generator(10_000 + seed).scenario(), guarded=True)
    assert compared > SEEDS  # guards refuse much of it, never nearly all
