"""A partner's site for tests: real topics, a real SQLite sink, and runners between them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import TopicInbox
from connectors.pace import Pace
from connectors.runner import Runner
from connectors.sql import SqlSink
from hub.topics import Message, Topics, open_topics
from tests.connectors.builder import MiniHub, Recorded, case_opened

TO = "POL-1"
QUICK = Pace(poll=0.05, pause_first=0.01, pause_most=0.05)


class Site:
    """The partner's site: topics, database, and as many runners as a test wants."""

    def __init__(
        self, hub: MiniHub, identity: AgencyIdentity, shelter: AgencyIdentity, folder: Path
    ) -> None:
        self.hub = hub
        self.identity = identity
        self.shelter = shelter
        self.url = f"embedded:///{folder}/topics.db"
        self.database = f"sqlite:///{folder}/partner.db"
        self._open: list[Any] = []
        self.topics = self.new_topics()
        self.topics.ensure(identity.hub.topics.values())
        self.append("registry", hub.registry())
        self.alarms: list[tuple[str, bool]] = []

    def new_topics(self) -> Topics:
        topics = open_topics(self.url)
        self._open.append(topics)
        return topics

    def new_sink(self) -> SqlSink:
        sink = SqlSink(self.database, TO, self.hub.hub_id)
        self._open.append(sink)
        return sink

    def runner(self, *, topics: Any = None, sink: Any = None, pace: Pace = QUICK) -> Runner:
        return Runner(
            TopicInbox(topics or self.new_topics(), self.identity),
            sink or self.new_sink(),
            self.identity,
            pace=pace,
            on_alarm=lambda alarm, raised: self.alarms.append((alarm.reason, raised)),
        )

    def close(self) -> None:
        for one in self._open:
            one.close()

    def append(self, topic: str, *values: bytes) -> None:
        self.topics.append(self.identity.hub.topics[topic], [Message(v) for v in values])

    def deliver(self, *deliveries: Any) -> None:
        self.append("deliveries", self.hub.message(TO, deliveries))

    def events(self, count: int, start: int = 1) -> list[Recorded]:
        return self.hub.stated(
            self.shelter, *[case_opened(f"C-{n}") for n in range(start, start + count)]
        )

    def release(self, event: Recorded) -> dict[str, Any]:
        return self.hub.release(TO, event)

    def receipts(self) -> list[dict[str, Any]]:
        messages = self.topics.read(self.identity.hub.topics["receipts"], None, 1000, 0)
        return [self.hub.receipt(message.value) for message in messages]

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        engine = sa.create_engine(self.database)
        try:
            with engine.connect() as db:
                return [tuple(row) for row in db.execute(sa.text(query))]
        finally:
            engine.dispose()

    def sequences(self) -> list[int]:
        return [row[0] for row in self.rows("SELECT sequence FROM case_opened ORDER BY sequence")]


class Flaky:
    """Passes everything on, but fails a method's next calls."""

    def __init__(self, inner: Any, error: Callable[[], Exception]) -> None:
        self._inner = inner
        self._error = error
        self.failing: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if self.failing.get(name):
                self.failing[name] -= 1
                raise self._error()
            return method(*args, **kwargs)

        return call
