"""Scenarios: complete synthetic stories with what must follow from every event; see README.md."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any


def ids() -> tuple[str, ...]:
    """Ids of the scenarios shipped, in order of their number."""
    names = (entry.name for entry in resources.files("hub.scenario.shipped").iterdir())
    found = [name.removesuffix(".json") for name in names if name.endswith(".json")]
    return tuple(sorted(found, key=lambda name: int(name.removeprefix("S"))))


def load(scenario_id: str) -> dict[str, Any]:
    """One scenario, in the format README.md describes."""
    path = resources.files("hub.scenario.shipped").joinpath(f"{scenario_id}.json")
    scenario: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return scenario
