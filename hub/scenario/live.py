"""A scenario played live: hub and consumers in threads, one connector process per agency.

The same stage as a run's, moved by the real loops instead of taking turns: this is what a
deployment does, on one machine, and what `nrm-hub demo` shows. Only the hub's clock follows the
story; everything that is timed is timed by the wall.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time as wall
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import sqlalchemy as sa

from connectors.outcomes import Outcome
from connectors.sql import open_engine
from connectors.submit import Publisher
from connectors.transport import TopicTransport
from hub.publisher import delivery_stream
from hub.scenario.partners import Names
from hub.scenario.places import Places
from hub.scenario.result import Result, judged
from hub.scenario.stage import Stage, StageError, said
from hub.scenario.story import Scenario, ScriptEvent

PATIENCE = 60.0  # seconds a live part may take before the demo gives up
STOP = 10.0  # seconds a connector may take to stop


@dataclass
class Played:
    """What came of it. latencies: seconds from publishing to the partner's committed row."""

    result: Result
    held: dict[tuple[str, str], dict[str, str]]  # (agency, event id) → category → basis, read back
    latencies: list[float]
    seconds: float

    def percentile(self, share: float) -> float:
        """Seconds within which this share of rows had arrived."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.latencies) if self.latencies else 0.0


@dataclass
class Live:
    """A running hub with running connectors. Use as a context: everything is stopped after it."""

    stage: Stage
    connectors: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    published: dict[str, float] = field(default_factory=dict)

    @classmethod
    def open(cls, scenario: Scenario, home: Path, places: Places) -> Live:
        stage = Stage.build(scenario, home, places)
        for player in stage.players.values():  # from here on its own process writes there
            if player.sink is not None:
                player.sink.close()
            player.runner = player.sink = None
        return cls(stage)

    def __enter__(self) -> Self:
        self.stage.hub.start()
        for agency in self.stage.scenario.recipients:
            settings = self.stage.home / agency / "partner.toml"
            log = (self.stage.home / agency / "connector.log").open("wb")
            with log:
                self.connectors[agency] = subprocess.Popen(
                    [sys.executable, "-m", "hub.cli", "connector", "run", str(settings)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                )
        try:
            for agency in self.connectors:
                self._until(partial(self._ready, agency), f"the connector of {agency} is not up")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _ready(self, agency: str) -> bool:
        """Whether the connector's process has taken over the partner's database."""
        engine = open_engine(self.stage.players[agency].database)
        try:
            with engine.connect() as db:
                told = db.execute(sa.text("SELECT generation FROM nrm_connector_state")).scalar()
                return int(told or 0) > 1  # the first was the stage's own
        finally:
            engine.dispose()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self.connectors.values():
            process.terminate()
        for process in self.connectors.values():
            try:
                process.wait(STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.stage.close()

    def publish(self, event: ScriptEvent) -> Outcome:
        """Publish as the event's agency and wait until what follows is on its way."""
        stage = self.stage
        stage.time.at = max(stage.time.at, event.at)
        self.published[event.id] = wall.time()
        identity = stage.players[event.agency].identity
        publisher = stage.publishers.get(event.agency)
        if publisher is None:
            transport = TopicTransport(stage.hub.topics, identity)
            publisher = Publisher(identity, transport, clock=stage.time)
            stage.publishers[event.agency] = publisher
        [outcome] = publisher.publish([said(stage.scenario, event)])
        self._until(lambda: stage.hub.publisher.idle, "the hub sends nothing")
        return outcome

    def finish(self) -> None:
        """Wait until every partner has answered for everything it was sent."""
        hub = self.stage.hub

        def answered(agency: str) -> bool:
            marked = hub.exchange.last_version(delivery_stream(agency))
            return hub.receipts.acknowledged(agency) >= marked

        for agency in self.stage.scenario.recipients:
            self._until(
                partial(answered, agency),
                f"{agency} does not answer; look at {self.stage.home / agency / 'connector.log'}",
            )

    def judge(self, seconds: float) -> Played:
        """Read the partners' databases back and compare them with what was decided."""
        exchange = self.stage.hub.exchange
        held: dict[tuple[str, str], dict[str, str]] = {}
        latencies: list[float] = []
        result = judged(self.stage, {})
        for agency in self.stage.scenario.recipients:
            names = Names.of(exchange, agency)
            refs = {names.ref(one.uuid): one.id for one in self.stage.scenario.events}
            arrived = self._read_back(agency, refs, held)
            for event_id, at in arrived.items():
                if agency in result.steps[event_id].get("releases", {}):
                    latencies.append(at - self.published[event_id])
        return Played(result, held, latencies, seconds)

    def _read_back(
        self,
        agency: str,
        refs: dict[str, str],
        held: dict[tuple[str, str], dict[str, str]],
    ) -> dict[str, float]:
        """What one partner holds, from its own database; returns when each event's row came."""
        arrived: dict[str, float] = {}
        engine = open_engine(self.stage.players[agency].database)
        try:
            with engine.connect() as db:
                for ref, category, basis in db.execute(
                    sa.text("SELECT event_ref, category, basis FROM nrm_holding")
                ):
                    held.setdefault((agency, refs[ref]), {})[category] = basis
                for ref, at in db.execute(
                    sa.text("SELECT event_ref, received_at FROM nrm_timeline")
                ):
                    moment = at if isinstance(at, datetime) else datetime.fromisoformat(at)
                    arrived[refs[ref]] = (
                        moment if moment.tzinfo else moment.replace(tzinfo=UTC)
                    ).timestamp()
        finally:
            engine.dispose()
        return arrived

    def _until(self, done: Callable[[], bool], otherwise: str) -> None:
        give_up = wall.monotonic() + PATIENCE
        while not done():
            if self.stage.hub.failure is not None:
                raise StageError(f"the hub stopped: {self.stage.hub.failure}")
            for agency, process in self.connectors.items():
                if process.poll() is not None:
                    place = self.stage.home / agency / "connector.log"
                    raise StageError(f"the connector of {agency} ended; look at {place}")
            if wall.monotonic() > give_up:
                raise StageError(otherwise)
            wall.sleep(0.005)
