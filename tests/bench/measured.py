"""How a measurement of the hub is asked for, where it runs, and the JSON lines it says."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from hub.scenario.places import Servers

known: dict[str, float] = {}
"""Primitives of this run, by name: what a figure is a ratio to."""


def line(name: str, where: str, value: float, unit: str, ratio_to: str = "") -> None:
    said: dict[str, Any] = {"name": name, "where": where, "value": round(value, 4), "unit": unit}
    if ratio_to in known:
        said |= {"ratio": round(value / known[ratio_to], 3), "ratio_to": ratio_to}
    print(json.dumps(said), flush=True)


@dataclass(frozen=True)
class Measuring:
    """What the command line asks for. events: per measurement."""

    events: int
    sqlite: bool
    postgres: bool

    @classmethod
    def of_arguments(cls, about: str) -> Measuring:
        parser = argparse.ArgumentParser(description=about.splitlines()[0])
        parser.add_argument("--events", type=int, default=4000, help="events per measurement")
        parser.add_argument("--only", choices=["sqlite", "postgres"], help="one of the two places")
        parser.add_argument("--quick", action="store_true", help="fewer events, SQLite only")
        asked = parser.parse_args()
        return cls(
            1000 if asked.quick else asked.events,
            asked.only != "postgres",
            asked.only != "sqlite" and not asked.quick,
        )

    def run(
        self,
        measure: Callable[[str, Servers, int], None],
        topics: Literal["embedded", "kafka"] = "embedded",
    ) -> None:
        """Measure at each place asked for. topics: what stands beside PostgreSQL."""
        if self.sqlite:
            with Servers() as servers:
                measure("sqlite+embedded", servers, self.events)
        if self.postgres:
            with Servers("postgres", topics) as servers:
                measure(f"postgres+{topics}", servers, self.events)
