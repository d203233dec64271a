"""A partner's site at which something goes wrong: the real runner, and what must hold all the same.

given one delivery was applied, then the damage is done and others come
when the runner goes on
then it waits (and says what to do) or sets one aside (with its reason), and never more
and once the damage is mended everything is there, once, and answered
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import TopicInbox
from connectors.agency.registry_cache import RegistryCache
from connectors.errors import RetryError
from connectors.opening.opener import Opener
from connectors.pace import Pace
from connectors.redriving import redrive
from connectors.runner import Runner
from connectors.sink import Sink
from hub.topics import Message, open_topics
from tests.connectors.builder import NOW, MiniHub, case_opened

TO = "POL-1"
QUICK = Pace(poll=0.02, pause_first=0.01, pause_most=0.02)


@dataclass
class Site:
    """hub to sink, in one folder. `make` opens the sink anew, as a restarted connector would."""

    hub: MiniHub
    police: AgencyIdentity
    shelter: AgencyIdentity
    folder: Path
    make: Callable[[], Sink]
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.topics = open_topics(f"embedded:///{self.folder}/topics.db")
        self.topics.ensure(self.police.hub.topics.values())
        self._append("registry", self.hub.registry())
        self.sink: Sink | None = None
        self.runner: Runner | None = None

    def _append(self, topic: str, value: bytes) -> None:
        self.topics.append(self.police.hub.topics[topic], [Message(value)])

    def start(self) -> Runner:
        """A connector, started; one that ran is stopped first."""
        self.stop()
        self.sink = self.make()
        self.runner = Runner(
            TopicInbox(self.topics, self.police), self.sink, self.police, pace=QUICK,
            on_alarm=lambda alarm, raised: self.said.append(alarm.detail) if raised else None,
        )  # fmt: skip
        return self.runner

    def stop(self) -> None:
        if self.sink is not None:
            self.sink.close()
        self.sink = self.runner = None

    def deliver(self, number: int, **data: object) -> None:
        """One CaseOpened, released whole."""
        [event] = self.hub.stated(self.shelter, case_opened(f"C-{number}", **data))
        self._append("deliveries", self.hub.message(TO, [self.hub.release(TO, event)]))

    def go(self) -> str:
        """Rounds until nothing is left; what it says if it has to wait, else ""."""
        runner = self.runner or self.start()
        for _ in range(6):
            try:
                if runner.run_once().idle:
                    return ""
            except RetryError as waits:
                return str(waits)
        return ""

    def quarantined(self) -> list[str]:
        """Reasons of what waits in quarantine."""
        assert self.sink is not None
        return [row.reason for row in self.sink.quarantine()]

    def redrive(self) -> tuple[int, int]:
        """By hand, with a connector started anew: its settings may have been changed."""
        self.start()
        assert self.sink is not None
        self.sink.prepare()
        registry = RegistryCache(self.police)
        registry.update(self.hub.registry())
        done = redrive(self.sink, Opener(self.police, registry), at=NOW)
        self.go()
        return done

    def answered(self) -> set[int]:
        """Sequences that a signed receipt answers as applied in the end."""
        final: dict[int, str] = {}
        for message in self.topics.read(self.police.hub.topics["receipts"], None, 1000, 0):
            receipt = self.hub.receipt(message.value)
            told = {one["sequence"]: one["outcome"] for one in receipt["exceptions"]}
            for sequence in range(receipt["first_sequence"], receipt["last_sequence"] + 1):
                final[sequence] = told.get(sequence, "applied")
        return {sequence for sequence, outcome in final.items() if outcome == "applied"}

    def close(self) -> None:
        self.stop()
        self.topics.close()
