"""The webhook sink passes the conformance suite, before the receiver of its own page."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from connectors.conformance import (
    CANARY,
    OutageConformance,
    SinkConformance,
    batch,
    claimed,
    demographics,
    identity,
    recalled,
)
from connectors.kinds import Place
from connectors.remote.webhook import Options, WebhookSink, open_sink
from connectors.sink import RecallPolicy
from tests.connectors.files.file_bench import schemas
from tests.connectors.remote.receiver import SECRET, Receiver


class WebhookBench:
    def __init__(self, receiver: Receiver, home: Path, **more: Any) -> None:
        self.receiver = receiver
        self.home = home
        self.schemas = schemas()
        self._more = more
        self._sinks: list[WebhookSink] = []

    def open(self, recalls: RecallPolicy | None = None) -> WebhookSink:
        options = Options.model_validate(
            {
                "url": self.receiver.url,
                "secrets": [SECRET],
                "ca_file": self.receiver.ca,
                "seconds": 20,
                **self._more,
            }
        )
        place = Place("POL-1", "test-hub", self.home, self.home, recalls or RecallPolicy())
        sink = open_sink(options, place)
        self._sinks.append(sink)
        sink.prepare()
        return sink

    def close(self) -> None:
        for sink in self._sinks:
            sink.close()
        self._sinks = []

    @contextmanager
    def outage(self) -> Iterator[None]:
        self.receiver.stop()
        yield
        self.receiver.start()

    def shown(self, event_ref: str) -> dict[str, Any] | None:
        held = self.receiver.held(event_ref)
        if not held:
            return None
        [kind] = {kind for kind, _ in held.values()}
        shown: dict[str, Any] = {one.name: None for one in self.schemas.by_type(kind).fields}
        for _, content in held.values():
            shown.update(content)
        return shown

    def stored(self) -> bytes:
        places = [*self.receiver.home.glob("cases.db*"), *self.home.glob("webhook.state.db*")]
        return b"".join(path.read_bytes() for path in sorted(places))


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    made = Receiver(tmp_path_factory.mktemp("receiver"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def bench(receiver: Receiver, tmp_path: Path) -> Iterator[WebhookBench]:
    receiver.empty()
    bench = WebhookBench(receiver, tmp_path)
    yield bench
    bench.close()


class TestWebhook(SinkConformance):
    def test_restricted_content_leaves_the_tables(self, bench: WebhookBench) -> None:  # type: ignore[override]
        """Nothing is kept here that could be restricted: it is deleted, and the receipt says so."""
        sink = claimed(bench)
        sink.apply(batch(identity(1), demographics(2)))
        sink.apply(batch(recalled(3, ("e-1", ["identity"]), action="restrict")))
        assert (bench.shown("e-1") or {})["given_name"] is None
        assert [e.outcome for e in sink.owed(10)[-1].exceptions] == ["deleted"]
        assert CANARY.encode() not in bench.stored()


class TestWebhookOutages(OutageConformance):
    pass
