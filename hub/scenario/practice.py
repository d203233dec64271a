"""Practice: a small hub with invented persons, for one partner to try its connector on.

    HOME/practice.json   which story, who the partner is, how far it is
    HOME/hub/            the hub, with embedded store and topics
    HOME/<agency>/       everybody's keys; the partner's connector reads its own there

Everything is the real thing but the persons and the time, which is the story's. No process stays:
deliveries wait on the embedded topic until a connector takes them. Its hub has a name no other hub
has, so the books of a connector that holds anything real refuse it, and the other way round.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self
from uuid import uuid4

from connectors.agency.identity import AgencyIdentity
from hub.publisher import delivery_stream
from hub.scenario import shipped
from hub.scenario.places import Places
from hub.scenario.stage import Player, Stage, StageError
from hub.scenario.story import HUB, Scenario, ScriptEvent, read
from hub.store import events as stored

MARKER: Final = "practice.json"
PREFIX: Final = "practice-"
ENDS: Final = ("ConsentWithdrawn", "ConsentExpired", "SubjectRequestDecided")
"""A story is told up to the first of these: from there on it takes back what it gave."""


@dataclass
class Practice:
    """One practice hub, opened. Close it."""

    home: Path
    stage: Stage
    agency: str
    told: int

    @classmethod
    def begin(
        cls,
        home: Path,
        story: Scenario,
        agency: str,
        told: Callable[[int], object] = lambda _: None,
    ) -> Self:
        """A fresh hub in `home`, the story told, this agency's deliveries waiting on its topic.

        told: called with the number of events published so far.
        """
        if (home / MARKER).exists() or (home / "hub").exists():
            raise StageError(
                f"{home} holds a practice hub already: go on with it, remove the folder, or give "
                "another --home"
            )
        home.mkdir(parents=True, exist_ok=True)
        stage = Stage.build(story, home, Places(), hub_id=PREFIX + secrets.token_hex(4))
        made = cls(home, stage, agency, 0)
        try:
            made._stand_back()
            for event in _giving(story):
                outcome = stage.publish(event)
                if not outcome.accepted:
                    raise StageError(f"{event.id} is refused: {outcome.reason}: {outcome.detail}")
                made.told += 1
                told(made.told)
            stage.settle()
            made._note(recalled=False)
        except BaseException:
            made.close()
            raise
        return made

    @classmethod
    def resume(cls, home: Path) -> Self:
        """The one begun in `home`, as it was left."""
        try:
            noted = json.loads((home / MARKER).read_text("utf-8"))
        except (OSError, ValueError):
            raise StageError(
                f"{home} holds no practice hub: begin one with `nrm-hub connector practice`"
            ) from None
        story = _story(noted["scenario"])
        stage = Stage.open(story, home)
        stage.time.at = datetime.fromisoformat(noted["at"])
        made = cls(home, stage, noted["agency"], noted["told"])
        made._stand_back()
        if noted["recalled"]:
            made.close()
            raise StageError(
                "everything was recalled here already: remove the folder and begin anew"
            )
        return made

    @property
    def hub_id(self) -> str:
        return self.identity.hub.hub

    @property
    def identity(self) -> AgencyIdentity:
        return self.stage.players[self.agency].identity

    def waiting(self) -> list[tuple[int, str]]:
        """Sequence and event type of every delivery so far."""
        log = self.stage.hub.exchange.log
        found = []
        for one in log.stream(delivery_stream(self.agency)):
            sending = one.event
            if isinstance(sending, stored.Sending):
                about = log.read(sending.event_position - 1, 1)[0].event
                assert isinstance(about, stored.EventAccepted)
                found.append((sending.originator_version, about.event_type))
        return found

    def recall(self) -> None:
        """Every person's data are erased: what the partner was given is recalled, all of it."""
        for opening in _cases(self.stage.scenario):
            asked = {"request_id": f"erase-{opening.case}", "right": "erasure"}
            due = (self.stage.time.at + timedelta(days=30)).date().isoformat()
            self._say(opening, "SubjectRequestReceived", {**asked, "due_on": due})
            granted = {"outcome": "granted", "exemption": "none", "action": "key_destroyed"}
            asked.pop("right")
            self._say(opening, "SubjectRequestDecided", {**asked, **granted})
        self.stage.settle()
        self._note(recalled=True)

    def close(self) -> None:
        self.stage.close()

    def _say(self, opening: ScriptEvent, kind: str, data: Mapping[str, Any]) -> None:
        at = self.stage.time.at + timedelta(minutes=1)
        event = replace(opening, id=kind, uuid=uuid4(), at=at, type=kind, data=data)
        outcome = self.stage.publish(event)
        if not outcome.accepted:
            raise StageError(f"{kind} is refused: {outcome.reason}: {outcome.detail}")

    def _stand_back(self) -> None:
        """Deliveries are for the partner's own connector; those of others lie unread."""
        for agency, player in self.stage.players.items():
            if player.sink is not None:
                player.sink.close()
            self.stage.players[agency] = Player(player.identity, player.role)

    def _note(self, *, recalled: bool) -> None:
        noted = {
            "scenario": self.stage.scenario.id,
            "agency": self.agency,
            "told": self.told,
            "at": self.stage.time.at.isoformat(),
            "recalled": recalled,
        }
        (self.home / MARKER).write_text(json.dumps(noted, indent=1) + "\n", encoding="utf-8")


def chosen(
    role: str, scenario: str | None = None, events: Iterable[str] = ()
) -> tuple[Scenario, str]:
    """A story, and who has this role in it. StageError says which stories there are.

    Without `scenario`: the one that brings this role most of the types in `events`, then one that
    tells who the person is, then most types.
    """
    wanted = frozenset(events)
    found = []
    for one in [scenario] if scenario else shipped.ids():
        if one not in shipped.ids():
            raise StageError(f"there is no scenario {one!r}: choose {', '.join(shipped.ids())}")
        story = _story(one)
        agency = next((a for a in story.recipients if story.agencies[a] == role), None)
        if agency is not None and (brings := brought(story, agency)):
            told_who = "IdentityRecorded" in brings
            rank = (len(brings & wanted), told_who, len(brings), -len(story.events))
            found.append((rank, story, agency))
    if not found:
        told = f"{scenario} brings nothing to" if scenario else "no scenario brings anything to"
        raise StageError(f"{told} the role {role!r}; there is something for {_roles()}")
    _, story, agency = max(found, key=lambda one: one[0])
    return story, agency


def brought(story: Scenario, agency: str) -> frozenset[str]:
    """Types of which this agency is given anything while the story is told, by what it expects."""
    types = {event.id: event.type for event in story.events}
    given: set[str] = set()
    for event in _giving(story):
        expected = event.expected or {}
        if agency in expected.get("releases", {}):
            given.add(event.type)
        for one in expected.get("backfill", ()):
            if one["to"] == agency:
                given.update(types[name] for name in one["events"])
    return frozenset(given)


def _roles() -> str:
    told = {
        role
        for one in shipped.ids()
        for agency, role in _story(one).agencies.items()
        if brought(_story(one), agency)
    }
    return ", ".join(sorted(told))


def _story(name: str) -> Scenario:
    return read(shipped.load(name), name, name)


def _giving(story: Scenario) -> list[ScriptEvent]:
    ends = [number for number, one in enumerate(story.events) if one.type in ENDS]
    return list(story.events[: ends[0]] if ends else story.events)


def _cases(story: Scenario) -> list[ScriptEvent]:
    """For each case the first event of it that an agency told."""
    first: dict[str, ScriptEvent] = {}
    for event in _giving(story):
        if event.agency != HUB:
            first.setdefault(event.case, event)
    return list(first.values())
