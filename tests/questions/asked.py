"""Asking a played hub, and what a scenario's own file expects of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hub.audit.questions import Answer, Hub, answer, named
from hub.hub import Hub as RunningHub
from hub.hub import Reading
from hub.store.events import StoreEvent
from tests.played import event_id

NOW = datetime(2027, 1, 1, 9, 0, tzinfo=UTC)
Item = tuple[str, str, str]  # agency, event id, category


def hub_of(opened: Reading | RunningHub) -> Hub:
    verifier = opened.log_verifier if isinstance(opened, Reading) else opened.checkpoints.verifier
    return Hub(opened.exchange, opened.settings.hub_id, verifier, opened.settings.upcoming)


@dataclass
class Told:
    """A hub to ask, and the scenario that was played on it."""

    hub: Hub
    document: dict[str, Any]

    def ask(self, question: str, **given: str) -> Answer:
        return answer(named(question), self.hub, given)

    def rows(self, question: str, **given: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.ask(question, **given).as_dict()["rows"]
        return rows

    def write(self, *events: StoreEvent) -> None:
        """Straight into the log, past every rule."""
        log = self.hub.exchange.log
        log.append(events, expected_head=log.head)

    def position(self, name: str) -> int:
        """Log position of an event of the scenario."""
        wanted = next(e for e in self.document["events"] if e["id"] == name)
        outcome = self.hub.exchange.outcome(wanted["agency"], event_id(name).bytes)
        assert outcome is not None
        assert outcome.position is not None
        return outcome.position

    @property
    def cases(self) -> list[str]:
        return list(dict.fromkeys(event["case"] for event in self.document["events"]))

    def released(self, until: str | None = None) -> Iterator[Item]:
        """Every item the scenario's file expects to be released, up to and with an event."""
        for event in self.document["events"]:
            for agency, what in event["expected"]["releases"].items():
                for category in what["categories"]:
                    yield agency, event["id"], category
            for one in event["expected"]["backfill"]:
                for earlier, categories in one["events"].items():
                    for category in categories:
                        yield one["to"], earlier, category
            if event["id"] == until:
                return
