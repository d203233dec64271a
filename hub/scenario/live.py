"""A scenario played live: hub and consumers in threads, one connector process per agency.

The same stage as a run's, moved by the real loops instead of taking turns: this is what a
deployment does, on one machine, and what `nrm-hub demo` shows. Only the hub's clock follows the
story; everything that is timed is timed by the wall.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time as wall
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

import sqlalchemy as sa

from connectors.agency.outcomes import Outcome
from connectors.agency.transport import TopicTransport
from connectors.submit import Publisher
from hub.publisher import delivery_stream
from hub.scenario.partners import Names, reader
from hub.scenario.places import Places
from hub.scenario.result import Result, judged
from hub.scenario.stage import Stage, StageError, said
from hub.scenario.story import Scenario, ScriptEvent
from hub.store import events as stored

PATIENCE = 60.0  # seconds a live part may take before the demo gives up
STOP = 10.0  # seconds a connector may take to stop
WATCH = 0.004  # seconds between two looks at the partners' databases


@dataclass
class Played:
    """What came of it.

    held: (agency, event id) → categories, as read from the partners' databases. given: what was
    released of it at any time. latencies: seconds from handing an event to its agency's publisher
    until a delivery it caused was committed in a partner's database, as seen from outside.
    """

    result: Result
    held: dict[tuple[str, str], set[str]]
    given: dict[tuple[str, str], set[str]]
    latencies: list[float]
    seconds: float

    def percentile(self, share: float) -> float:
        """Seconds within which this share of deliveries had arrived."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


class Watch:
    """Looks at every partner's database, as any program of theirs could, for what is committed."""

    def __init__(self, databases: Mapping[str, str]) -> None:
        self._engines = {agency: reader(url) for agency, url in databases.items()}
        self.seen: dict[str, list[tuple[int, float]]] = {agency: [] for agency in databases}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        for engine in self._engines.values():
            engine.dispose()

    def committed_at(self, agency: str, sequence: int) -> float | None:
        """When this delivery was first seen committed (`time.monotonic`)."""
        return next((at for last, at in self.seen[agency] if last >= sequence), None)

    def _run(self) -> None:
        query = "SELECT last_sequence FROM nrm_connector_state"
        with ExitStack() as stack:
            open_ = {
                agency: stack.enter_context(engine.connect())
                for agency, engine in self._engines.items()
            }
            while not self._stop.wait(WATCH):
                for agency, db in open_.items():
                    last = int(db.exec_driver_sql(query).scalar() or 0)
                    seen = self.seen[agency]
                    if last > (seen[-1][0] if seen else 0):
                        seen.append((last, wall.monotonic()))


@dataclass
class Live:
    """A running hub with running connectors. Use as a context: everything is stopped after it.

    between: called again and again while something is waited for, and may raise to end it there.
    """

    stage: Stage
    connectors: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    watch: Watch | None = None
    published: dict[str, float] = field(default_factory=dict)
    between: Callable[[], None] = lambda: None

    @classmethod
    def open(
        cls, scenario: Scenario, home: Path, places: Places, between: Callable[[], None]
    ) -> Live:
        stage = Stage.build(scenario, home, places)
        for player in stage.players.values():  # from here on its own process writes there
            if player.sink is not None:
                player.sink.close()
            player.runner = player.sink = None
        return cls(stage, between=between)

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
            self.watch = Watch({agency: self.stage.players[agency].database
                                for agency in self.connectors})  # fmt: skip
            self.watch.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _ready(self, agency: str) -> bool:
        """Whether the connector's process has taken over the partner's database."""
        engine = reader(self.stage.players[agency].database)
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
        if self.watch is not None:
            self.watch.stop()
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
        self.published[event.id] = wall.monotonic()
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
        result = judged(self.stage, {})
        given: dict[tuple[str, str], set[str]] = {}
        for event_id, step in result.steps.items():
            for agency, released in step.get("releases", {}).items():
                given.setdefault((agency, event_id), set()).update(released["categories"])
            for backfill in step.get("backfill", ()):
                for earlier, categories in backfill["events"].items():
                    given.setdefault((backfill["to"], earlier), set()).update(categories)
        held: dict[tuple[str, str], set[str]] = {}
        for agency in self.stage.scenario.recipients:
            self._read_back(agency, held)
        return Played(result, held, given, list(self._latencies()), seconds)

    def _latencies(self) -> Iterator[float]:
        """Of every release: from its event's publication to its commit at the partner."""
        log, names = self.stage.hub.exchange.log, self.stage.scenario.ids
        assert self.watch is not None
        for agency in self.connectors:
            for one in log.stream(delivery_stream(agency)):
                sending = one.event
                assert isinstance(sending, stored.Sending)
                at = self.watch.committed_at(agency, sending.originator_version)
                # A decision stands right behind the event it was made on.
                caused_by = log.read(sending.decision - 2, 1)[0].event
                assert isinstance(caused_by, stored.EventAccepted)
                if sending.kind == "release" and at is not None:
                    yield at - self.published[names[UUID(bytes=caused_by.event_id)]]

    def _read_back(self, agency: str, held: dict[tuple[str, str], set[str]]) -> None:
        """What one partner holds, from its own database."""
        names = Names.of(self.stage.hub.exchange, agency)
        refs = {names.ref(one.uuid): one.id for one in self.stage.scenario.events}
        engine = reader(self.stage.players[agency].database)
        try:
            with engine.connect() as db:
                query = sa.text("SELECT event_ref, category FROM nrm_holding")
                for ref, category in db.execute(query):
                    held.setdefault((agency, refs[ref]), set()).add(category)
        finally:
            engine.dispose()

    def _until(self, done: Callable[[], bool], otherwise: str) -> None:
        give_up = wall.monotonic() + PATIENCE
        while not done():
            self.between()
            if self.stage.hub.failure is not None:
                raise StageError(f"the hub stopped: {self.stage.hub.failure}")
            for agency, process in self.connectors.items():
                if process.poll() is not None:
                    place = self.stage.home / agency / "connector.log"
                    raise StageError(f"the connector of {agency} ended; look at {place}")
            if wall.monotonic() > give_up:
                raise StageError(otherwise)
            wall.sleep(0.005)
