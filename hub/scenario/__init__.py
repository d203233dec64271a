"""Scenarios through the whole pipeline: `result.py` is the road, docs/scenarios.md for users."""

from __future__ import annotations

from hub.scenario.places import PlaceError, Servers
from hub.scenario.result import Result, judge, run
from hub.scenario.stage import StageError
from hub.scenario.story import Scenario, ScenarioError, load

__all__ = [
    "PlaceError",
    "Result",
    "Scenario",
    "ScenarioError",
    "Servers",
    "StageError",
    "judge",
    "load",
    "run",
]
