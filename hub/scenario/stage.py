"""The stage: a fresh hub, every agency of a scenario enrolled, each with its own database.

    HOME/hub/           the hub's home
    HOME/<agency>/      keys, the hub's approval, partner.toml, and the partner's database

Everything is the real thing: requests and approvals, signed and sealed submissions through the
ingest topic, one connector per agency. Only time is the scenario's: the hub's clock stands at the
time of the event being published, so that consents, windows and birthdays fall where the file has
them. One thread moves all of it, so a run is the same every time.
"""

from __future__ import annotations

import json
import time as wall
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from connectors.agency.identity import AgencyIdentity, write_whole
from connectors.agency.inbox import TopicInbox
from connectors.agency.outcomes import Outcome
from connectors.agency.transport import TopicTransport
from connectors.runner import Runner
from connectors.settings import load_settings, open_sink
from connectors.sink import Sink
from connectors.submit import Event, Limits, Publisher
from hub.authority import profiles
from hub.clock import Clock, ScenarioTime
from hub.errors import HubError, RetryLater
from hub.home import Home
from hub.hub import Hub
from hub.publisher import delivery_stream
from hub.scenario.places import Places
from hub.scenario.story import Scenario, ScriptEvent

HUB_ID: Final = "scenario"
QUIET_SECONDS: Final = 120.0  # without this, a partner that never answers would be waited for
BATCH: Final = 50  # events between two rounds of sending, applying and receipts


class StageError(HubError):
    """A scenario could not be run to its end; the message says what kept it."""


@dataclass
class Player:
    """One agency on the stage: its identity, and unless it is the hub its connector."""

    identity: AgencyIdentity
    role: str
    database: str = ""
    sink: Sink | None = None
    runner: Runner | None = None


@dataclass
class Stage:
    """One opened hub with the agencies of one scenario. Close it."""

    scenario: Scenario
    home: Path
    time: ScenarioTime
    hub: Hub
    players: dict[str, Player] = field(default_factory=dict)
    publishers: dict[str, Publisher] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        scenario: Scenario,
        home: Path,
        places: Places,
        *,
        profile: Path | None = None,
        hub_id: str = HUB_ID,
    ) -> Stage:
        """A fresh hub in `home` with all agencies enrolled. Refused if a role is unknown."""
        hub_home = Home(home / "hub")
        hub_home.init(
            hub_id,
            store=places.store,
            keys=places.keys,
            topics=places.topics,
            profile=profiles.setting(profile) if profile else "default",
        )
        stage = cls.open(scenario, home)
        try:
            for agency, role in scenario.agencies.items():
                stage._enrol(agency, role, places)
            stage.settle()
        except BaseException:
            stage.close()
            raise
        return stage

    @classmethod
    def open(cls, scenario: Scenario, home: Path) -> Stage:
        """A stage that was built here before, as it was left."""
        time = ScenarioTime(scenario.events[0].at)
        stage = cls(scenario, home, time, Hub.open(Home(home / "hub"), Clock(time, steady=None)))
        stage.hub.exchange.keeps_time = False  # timers are off, deadlines are as the file has them
        for agency, role in scenario.agencies.items():
            if (home / agency / "partner.toml").exists():
                stage._bring_in(agency, role)
        return stage

    # -- agencies --------------------------------------------------------------------------

    def _enrol(self, agency: str, role: str, places: Places) -> None:
        """Request, approval, installation; then the settings of its connector."""
        folder = self.home / agency
        identity = AgencyIdentity.create(folder, agency, f"{agency} (synthetic)", role)
        approval = self.hub.enrolment.approve(identity.enrolment_request(), by="scenario")
        identity.install_approval(approval)
        write_partner_settings(folder, places.partner(agency))
        self._bring_in(agency, role)

    def _bring_in(self, agency: str, role: str) -> None:
        folder = self.home / agency
        identity = AgencyIdentity.load(folder)
        player = self.players[agency] = Player(identity, role)
        if agency not in self.scenario.recipients:
            return
        settings = load_settings(folder / "partner.toml")
        player.database = str(settings.sink.url)
        player.sink = open_sink(settings, identity)
        # In this process the connectors share the hub's topics; the bytes are the same.
        player.runner = Runner(
            TopicInbox(self.hub.topics, identity), player.sink, identity, clock=self.time
        )

    # -- playing ---------------------------------------------------------------------------

    def publish(self, event: ScriptEvent) -> Outcome:
        """Publish one event as its agency, at its time; returns the hub's signed outcome.

        Marked at once, so that what may be sent is decided in the same instant. InvalidEventError
        if the event does not fit its schema: then nothing was sent.
        """
        self.time.at = max(self.time.at, event.at)
        if event.type == "SubjectRequestDecided":
            self.settle()  # what is under way arrives before it may have to be destroyed
        [outcome] = self._publisher(event.agency).publish([said(self.scenario, event)])
        self.hub.shredder.step()
        self.hub.publisher.mark()
        return outcome

    def _publisher(self, agency: str) -> Publisher:
        if agency not in self.publishers:
            identity = self.players[agency].identity
            transport = Stepping(self.hub, TopicTransport(self.hub.topics, identity))
            self.publishers[agency] = Publisher(
                identity, transport, limits=Limits(answer_seconds=30), clock=self.time
            )
        return self.publishers[agency]

    def settle(self) -> None:
        """Move hub and connectors until every delivery is applied and its receipt recorded."""
        give_up = wall.monotonic() + QUIET_SECONDS
        while True:
            busy = bool(self.hub.step())
            for player in self.players.values():
                if player.runner is not None:
                    busy = not player.runner.run_once().idle or busy
            if not busy and not (waiting := self._waiting()):
                return
            if not busy and wall.monotonic() > give_up:
                raise StageError(
                    f"deliveries to {', '.join(waiting)} are not answered after "
                    f"{QUIET_SECONDS:.0f} s; look at nrm_quarantine in their databases"
                )

    def _waiting(self) -> list[str]:
        """Agencies that have not answered everything marked for them."""
        return [
            agency
            for agency, player in self.players.items()
            if player.runner is not None
            and self.hub.receipts.acknowledged(agency)
            < self.hub.exchange.last_version(delivery_stream(agency))
        ]

    def close(self) -> None:
        for player in self.players.values():
            if player.sink is not None:
                player.sink.close()
        self.hub.stop()


def said(scenario: Scenario, event: ScriptEvent) -> Event:
    """What an agency publishes of an event of the file."""
    corrects = None
    if event.type == "RecordCorrected":
        about = str(event.data.get("corrects_event"))
        corrects = next((one.type for one in scenario.events if str(one.uuid) == about), None)
    return Event(
        event.type,
        event.case,
        event.data,
        subject=event.subject,
        event_id=event.uuid,
        occurred_at=event.at,
        corrects_type=corrects,
    )


def write_partner_settings(folder: Path, database: str) -> Path:
    """The connector's settings of one agency: default tables in this database."""
    path = folder / "partner.toml"
    text = f'home = "."\n\n[sink]\nkind = "sql"\nurl = {json.dumps(database)}\n'
    write_whole(path, text.encode())
    return path


class Stepping:
    """A transport whose waiting moves the hub: agency and hub take turns in one thread."""

    def __init__(self, hub: Hub, inner: TopicTransport) -> None:
        self._hub = hub
        self._inner = inner

    def send(self, sealed: bytes) -> None:
        self._inner.send(sealed)

    def outcomes(self, timeout: float) -> list[bytes]:
        try:
            self._hub.ingest.step(min(timeout, 1.0))
        except RetryLater:
            return []
        return self._inner.outcomes(min(timeout, 1.0))
