"""A scenario through the whole pipeline, and what came of it.

    file → agencies enrolled → each event published by its agency, at its time → hub → connectors
         → recorded decisions read from the store, partners' databases read back → differences

`run` plays and judges; `judge` judges again what an earlier run left in its home.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time as wall
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from connectors.errors import InvalidEventError
from hub.errors import Refused
from hub.scenario import compare, recorded
from hub.scenario.books import books
from hub.scenario.compare import Difference
from hub.scenario.partners import check
from hub.scenario.places import Servers
from hub.scenario.recorded import Record
from hub.scenario.stage import BATCH, Stage
from hub.scenario.story import Scenario

Progress = Callable[[str], None]
_MEMORY: Final = 512 * 1024 * 1024


@dataclass
class Result:
    """What came of one scenario. `steps` has, per event, the shape of its `expected`."""

    scenario: Scenario
    steps: dict[str, dict[str, Any]]
    holdings: Mapping[str, Any]
    differences: list[Difference]
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.differences

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready; the events' part reads like the file."""
        return {
            "id": self.scenario.id,
            "title": self.scenario.title,
            "ok": self.ok,
            "agencies": dict(self.scenario.agencies),
            "events": [
                {
                    "id": event.id,
                    "t": event.at.isoformat().replace("+00:00", "Z"),
                    "case": event.case,
                    "agency": event.agency,
                    "type": event.type,
                    **self.steps[event.id],
                }
                for event in self.scenario.events
            ],
            "final_holdings": self.holdings,
            "differences": [one.as_dict() for one in self.differences],
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
        }


def run(
    scenario: Scenario,
    servers: Servers,
    *,
    home: Path | None = None,
    profile: Path | None = None,
    progress: Progress = lambda event_id: None,  # noqa: ARG005
) -> Result:
    """Play and judge. home: kept for a later look; otherwise nothing is left behind.

    progress(event_id) is called after each event.
    """
    started = wall.monotonic()
    with ExitStack() as stack:
        if home is None:
            scratch = tempfile.TemporaryDirectory(prefix="nrm-scenario-", dir=_in_memory())
            home = Path(stack.enter_context(scratch))
        places = servers.places(home, scenario.recipients)
        stage = Stage.build(scenario, home, places, profile=profile)
        try:
            unsent = _play(stage, progress)
            result = judged(stage, unsent)
        finally:
            stage.close()
    result.seconds = wall.monotonic() - started
    return result


def _in_memory() -> Path | None:
    """Where a run that is not kept is quickest: half of its time is waiting for the disk."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of our own is made in it
    try:
        if not os.environ.get("TMPDIR") and shutil.disk_usage(memory).free > _MEMORY:
            return memory if os.access(memory, os.W_OK) else None
    except OSError:
        pass
    return None


def judge(scenario: Scenario, home: Path) -> Result:
    """Judge once more what an earlier `run` of this scenario left in `home`."""
    started = wall.monotonic()
    stage = Stage.open(scenario, home)
    try:
        result = judged(stage, {})
    finally:
        stage.close()
    result.seconds = wall.monotonic() - started
    return result


def _play(stage: Stage, progress: Progress) -> dict[str, Refused]:
    """Publish everything; returns what an agency's own desk would not send, by event id."""
    unsent: dict[str, Refused] = {}
    for number, event in enumerate(stage.scenario.events, 1):
        try:
            stage.publish(event)
        except InvalidEventError as wrong:
            unsent[event.id] = Refused(0, "invalid_event", str(wrong))
        if number % BATCH == 0:
            stage.settle()
        progress(event.id)
    stage.settle()
    return unsent


def judged(stage: Stage, unsent: Mapping[str, Refused]) -> Result:
    """Compare what was recorded, and what partners hold, with what the file expects."""
    scenario, exchange = stage.scenario, stage.hub.exchange
    record = recorded.read(exchange.log, scenario)
    record.refused.update(unsent)
    steps = {event.id: record.step(event.id) for event in scenario.events}
    holdings = recorded.holdings(scenario, record)
    differences = [
        *compare.steps(scenario, steps),
        *compare.holdings(scenario.final_holdings, holdings),
        *compare.assertions(scenario, steps, holdings),
        *_of_the_hub(scenario, record),
        *_of_partners(stage, record),
    ]
    return Result(scenario, steps, holdings, differences, notes=_notes(scenario))


def _of_the_hub(scenario: Scenario, record: Record) -> list[Difference]:
    """What should not happen in a run whatever its file expects."""
    found = [Difference("hub", f"refused something unknown: {what}") for what in record.strangers]
    for agency, event_id, category in record.held_back:
        told = "released, and overtaken before it was sent"
        found.append(Difference("hub", told, event_id, agency, category))
    for agency, event_id, category, basis in record.rebased:
        told = f"sent on another basis than it was decided on: {basis}"
        found.append(Difference("hub", told, event_id, agency, category))
    for event in scenario.events:
        decided = record.decided.get(event.id)
        if decided is None or event.categories is None:
            continue
        if set(event.categories) != set(decided.settlement.categories):
            told = (
                f"carries {', '.join(decided.settlement.categories)}; "
                f"the file says {', '.join(event.categories)}"
            )
            found.append(Difference("expected", told, event.id))
    return found


def _of_partners(stage: Stage, record: Record) -> list[Difference]:
    exchange = stage.hub.exchange
    made = books(stage.scenario, record)
    return [
        difference
        for agency, book in made.items()
        for difference in check(exchange, book, stage.players[agency].database)
    ]


def _notes(scenario: Scenario) -> list[str]:
    notes = []
    latest = scenario.events[0].at
    for event in scenario.events:
        if event.at < latest:
            notes.append(
                f"{event.id} is earlier than the event before it: the hub's time never goes back, "
                "so it was decided at that event's time"
            )
        latest = max(latest, event.at)
    return notes
