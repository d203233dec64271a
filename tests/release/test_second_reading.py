"""The product against a second, literal reading of docs/release.md, on many random scenarios."""

from __future__ import annotations

from typing import Any

import pytest

from hub.domain.case import Case
from hub.domain.policy import default_document, default_profile
from hub.domain.reasons import BASES, WITHHELD
from hub.recalling.recalls import RECALLING
from hub.release import RULES
from hub.scenario import shipped
from schemas.registry import Schemas
from tests.release.generator import Generator
from tests.release.oracle import Oracle
from tests.release.reached import reached_by
from tests.scenarios.rules_alone import canonical, holdings, play, shape

PROFILE = default_profile()
DOCUMENT = default_document()
GROUPS = {name: Schemas.load().by_type(name).group for name in Schemas.load().types()}
UNGUARDED, GUARDED, BATCHES = 100, 200, 6  # seeds; about 25 seconds


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


@pytest.mark.parametrize("scenario_id", shipped.ids())
def test_the_second_reading_agrees_with_the_scenarios_too(scenario_id: str) -> None:
    scenario = shipped.load(scenario_id)
    oracle = Oracle(scenario, DOCUMENT, GROUPS)
    for event in scenario["events"]:
        assert canonical(oracle.answers[event["id"]]) == canonical(event["expected"])


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_scenarios_without_guards(batch: int) -> None:
    for seed in range(batch, UNGUARDED, BATCHES):
        assert compare(Generator(seed).scenario(), guarded=False) >= 40, seed


@pytest.mark.parametrize("batch", range(BATCHES))
def test_random_scenarios_with_guards(batch: int) -> None:
    compared = 0
    for seed in range(batch, GUARDED, BATCHES):
        compared += compare(lawful(seed), guarded=True)
    assert compared > 20 * GUARDED // BATCHES  # guards refuse some of it, never nearly all


def lawful(seed: int) -> dict[str, Any]:
    return Generator(10_000 + seed, length=45, lawful=True).scenario()


def test_the_seeds_reach_every_rule_reason_basis_recall_and_backfill(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A comparison proves nothing about what no seed reaches."""
    seeds = [(Generator(seed).scenario(), False) for seed in range(UNGUARDED)]
    seeds += [(lawful(seed), True) for seed in range(GUARDED)]
    reached = reached_by(seeds, monkeypatch)
    answering = {rule.__name__ for rule in RULES} - {"rule_11_complaints"}
    assert set(reached.rules) == answering
    assert set(reached.narrowed) == {"rule_5_always", "rule_11_complaints"}
    assert set(reached.bases) == set(BASES)
    # Every agency of a scenario has an agreement (2.12), and no rule fails: both have own tests.
    assert set(reached.reasons) == set(WITHHELD) - {"no_agreement", "rule_failed"}
    assert set(reached.recalls) == set(RECALLING)
    assert set(reached.backfills) == {
        "ReferralAccepted",
        "TransferAnswered",
        "GuardianAppointed",
        "BreakGlassInvoked",
        "ConsentGiven",
        "ConsentAmended",
    }
    assert reached.rebased  # 6.5: kept, on another basis
    assert reached.left  # 2.4
    assert {"G01", "G03", "G04", "G06", "G07", "G08", "G10", "G12"} <= set(reached.guards)
    least = min((*reached.reasons.values(), *reached.bases.values(), *reached.recalls.values()))
    assert least >= 10, "a kind of answer is reached by hardly any seed"
