"""Every shipped scenario through the rules alone: all that is expected, and the hand-written
assertions, event by event."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pytest

from hub.domain.case import Case
from hub.domain.policy import PolicyProfile, default_profile
from hub.domain.settlement import Settlement
from hub.scenario import shipped
from tests.scenarios.rules_alone import Played, canonical, holdings, play, released_in, shape

PROFILE: PolicyProfile = default_profile()


@lru_cache
def played(scenario_id: str) -> tuple[dict[str, Any], tuple[Played, ...]]:
    scenario = shipped.load(scenario_id)
    return scenario, tuple(play(scenario, PROFILE))


def final(scenario_id: str) -> dict[str, dict[str, dict[str, list[str]]]]:
    scenario, steps = played(scenario_id)
    cases = {
        written["case"]: step.case for written, step in zip(scenario["events"], steps, strict=True)
    }
    return holdings(cases.items())


def test_all_shipped_scenarios_are_played() -> None:
    assert shipped.ids() == ("S1", "S2", "S4", "S5", "S6", "S7", "S8", "S10")


@pytest.mark.parametrize("scenario_id", shipped.ids())
def test_no_event_is_refused(scenario_id: str) -> None:
    refused = [(s.event.event_id, s.refusal) for s in played(scenario_id)[1] if s.refusal]
    assert refused == []


@pytest.mark.parametrize("scenario_id", shipped.ids())
def test_every_release_withholding_backfill_and_recall(scenario_id: str) -> None:
    scenario, steps = played(scenario_id)
    assert len(steps) == len(scenario["events"])
    for written, step in zip(scenario["events"], steps, strict=True):
        assert step.settlement is not None
        assert (written["id"], shape(step.settlement)) == (
            written["id"],
            canonical(written["expected"]),
        )


@pytest.mark.parametrize("scenario_id", shipped.ids())
def test_final_holdings(scenario_id: str) -> None:
    expected = {
        case: {
            agency: {category: sorted(bases) for category, bases in categories.items()}
            for agency, categories in agencies.items()
        }
        for case, agencies in played(scenario_id)[0]["final_holdings"].items()
    }
    assert final(scenario_id) == expected


@pytest.mark.parametrize("scenario_id", shipped.ids())
def test_hand_written_assertions(scenario_id: str) -> None:
    scenario, steps = played(scenario_id)
    by_id = {step.event.event_id: step for step in steps}
    held = final(scenario_id)
    assert scenario["assertions"]
    for assertion in scenario["assertions"]:
        assert holds(assertion, by_id, held), assertion


def holds(assertion: list[Any], by_id: dict[str, Played], held: dict[str, Any]) -> bool:
    kind, *rest = assertion
    if kind in ("never", "holds"):
        agency, category = rest[:2]
        cases = rest[2:] or list(held)
        found = any(category in held.get(case, {}).get(agency, {}) for case in cases)
        return found is (kind == "holds")
    step = by_id[rest[0]]
    assert step.settlement is not None
    if kind == "event_release":
        _, agency, category, expected = rest
        return released_in(step, agency, category) is expected
    if kind == "backfill":
        _, agency, category, expected = rest
        events = step.settlement.backfill.get(agency, {})
        return any(category in bases for bases in events.values()) is expected
    assert kind == "recall"
    _, agency, expected = rest
    return any(recall.to == agency for recall in step.settlement.recalls) is expected


@pytest.mark.parametrize("scenario_id", shipped.ids())
def test_a_case_folded_from_its_records_is_the_case_that_decided(scenario_id: str) -> None:
    scenario, steps = played(scenario_id)
    live = {
        written["case"]: step.case for written, step in zip(scenario["events"], steps, strict=True)
    }
    folded: dict[str, Case] = {}
    for written, step in zip(scenario["events"], steps, strict=True):
        assert step.settlement is not None
        record = step.settlement.to_record()
        again = Settlement.from_record(record)
        assert again.to_record() == record
        case = folded.setdefault(written["case"], Case())
        event = case.enter(step.event)
        case.hold(again, event)
        case.leave(event)
    for name, case in folded.items():
        assert state(case) == state(live[name])


def state(case: Case) -> dict[str, Any]:
    """Everything decisions could read."""
    return {
        "involved": case.involvement.agencies(),
        "holdings": {agency: held for agency, held in case.holdings.items() if held},
        "through": case.holdings.through,
        "ever": case.holdings.ever,
        "left": case.involvement.left,
        "referrals": case.involvement.referrals,
        "windows": case.windows,
        "events": case.events,
    }
