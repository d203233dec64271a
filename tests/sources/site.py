"""An agency's site: a hub, the agency NGO-1, what its sources need. Every part is the real one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.errors import TransportDownError
from connectors.source import Source
from connectors.sources.database import SourceDatabase
from connectors.sources.outbox.ddl import ddl
from connectors.sources.outbox.source import OutboxSource
from connectors.sources.runner import SourceProgress, SourceRunner
from connectors.submit import Limits, Publisher
from hub.store import events as stored
from tests.road import Road

OPENED = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
AT = "2026-03-02T08:00:00+00:00"


@dataclass
class Site:
    folder: Path
    road: Road

    @classmethod
    def open(cls, folder: Path) -> Site:
        site = cls(folder, Road.open(folder, {"NGO-1": "ngo_support", "POL-1": "police"}))
        site.road.time.at = datetime.now(UTC)  # what a database says of now is not of the future
        return site

    @property
    def identity(self) -> Any:
        return self.road.identities["NGO-1"]

    def runner(self, source: Source, *, away: bool = False) -> SourceRunner:
        publisher = self.road.publisher("NGO-1")
        if away:
            publisher = Publisher(self.identity, Away(), limits=Limits(give_up_seconds=0.05))
        return SourceRunner(source, self.identity, publisher)

    def run(self, source: Source) -> SourceProgress:
        """Until nothing is left to send; the sums of all rounds."""
        runner = self.runner(source)
        accepted = refused = 0
        while not (progress := runner.run_once()).idle:
            assert not progress.waiting
            accepted += progress.accepted
            refused += progress.refused
        return SourceProgress(accepted, refused)

    def recorded(self) -> list[stored.EventAccepted]:
        """What the hub has recorded of NGO-1, in its order."""
        rows = self.road.hub.exchange.log.read(0, 100_000)
        return [
            row.event
            for row in rows
            if isinstance(row.event, stored.EventAccepted) and row.event.emitter == "NGO-1"
        ]

    def types(self) -> list[str]:
        return [event.event_type for event in self.recorded()]

    def close(self) -> None:
        self.road.close()


class Away:
    """A hub that cannot be reached."""

    def send(self, sealed: bytes) -> None:
        raise TransportDownError("the hub's topics cannot be reached: test")

    def outcomes(self, timeout: float) -> list[bytes]:
        return []


def make_outbox(url: str, table: str = "nrm_outbox") -> SourceDatabase:
    """The table, by the statements that `nrm-hub source ddl` prints."""
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).touch()
    database = SourceDatabase(url)
    with database.writing() as db:
        for statement in filter(str.strip, ddl(database.dialect, table).split(";\n")):
            db.exec_driver_sql(statement)
    return database


def outbox(database: SourceDatabase, **options: Any) -> OutboxSource:
    source = OutboxSource(database, **options)
    source.prepare()
    return source
