"""OpenTelemetry: a real receiver is told what the hub does, and nothing about anybody."""

from __future__ import annotations

import gzip
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from hub import spans, telemetry
from hub.api.metrics import HubCollector
from hub.errors import NotReady
from tests.answering import Answer, Answering, Asked
from tests.played import play, scenario
from tests.privacy.canaries import planted
from tests.road import Road


class Receiver:
    """An OTLP/HTTP receiver: keeps what it was sent, as bytes and decoded."""

    def __init__(self) -> None:
        self.raw: list[bytes] = []
        self.traces: list[Any] = []
        self.metrics: list[Any] = []
        self._server = Answering(self._take)
        self.url = self._server.url
        self.close = self._server.close

    def _take(self, asked: Asked) -> Answer:
        zipped = asked.headers.get("content-encoding") == "gzip"
        body = gzip.decompress(asked.body) if zipped else asked.body
        self.raw.append(body + repr(asked.headers).encode())
        if asked.path == "/v1/traces":
            self.traces.append(ExportTraceServiceRequest.FromString(body))
        elif asked.path == "/v1/metrics":
            self.metrics.append(ExportMetricsServiceRequest.FromString(body))
        return Answer()

    @property
    def spans(self) -> list[Any]:
        return [
            span
            for request in self.traces
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        ]

    @property
    def series(self) -> dict[str, Any]:
        """Of the last export: name → metric."""
        return {
            metric.name: metric
            for resource in self.metrics[-1].resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


def telling(url: str, road: Road) -> telemetry.Telemetry:
    wanted = telemetry.asked({"endpoint": url, "every_seconds": 3600})
    assert wanted is not None
    return telemetry.Telemetry(wanted, HubCollector(road.hub))


@pytest.fixture
def told(tmp_path: Path, receiver: Receiver) -> Iterator[tuple[Receiver, Road, list[Any]]]:
    """A scenario with a canary in every free text, played with telemetry on from before."""
    document, canaries = planted(scenario("S1"))
    from hub.telemetry import TelemetrySettings

    class Later:
        """The hub is made while the scenario plays."""

        road: Road | None = None

        def collect(self) -> Any:
            return HubCollector(self.road.hub).collect() if self.road else ()

    later = Later()
    running = telemetry.Telemetry(TelemetrySettings(receiver.url, every_seconds=3600), later)
    try:
        road = play(tmp_path, document)
        road.hub.checkpoints.step(now=True)
        later.road = road
        running.flush()
        yield receiver, road, canaries
    finally:
        running.stop()
        road.close()


def test_every_step_is_a_span_and_holds_counts_only(told: Any) -> None:
    receiver, _, _ = told
    names = {span.name for span in receiver.spans}
    assert names == set(spans.NAMES)
    for span in receiver.spans:
        assert all(one.value.HasField("int_value") for one in span.attributes), span
        assert span.end_time_unix_nano >= span.start_time_unix_nano
    by_id = {span.span_id: span for span in receiver.spans}
    stores = [one for one in receiver.spans if one.name == "nrm.store"]
    above = {by_id[one.parent_span_id].name for one in stores if one.parent_span_id in by_id}
    assert {"nrm.record", "nrm.publish.mark"} <= above


def test_metrics_say_what_prometheus_says(told: Any) -> None:
    receiver, road, _ = told
    families = {one.name: one for one in HubCollector(road.hub).collect()}
    assert families.keys() == receiver.series.keys()
    for name, family in families.items():
        told_as = receiver.series[name]
        if family.type == "histogram":
            [point] = told_as.histogram.data_points
            assert point.count == sum(point.bucket_counts)
            assert len(point.bucket_counts) == len(point.explicit_bounds) + 1
            assert point.count > 0, "the scenario has recalls"
            continue
        points = told_as.sum.data_points if family.type == "counter" else told_as.gauge.data_points
        values = {
            tuple(sorted((a.key, a.value.string_value) for a in one.attributes)): one.as_double
            for one in points
        }
        expected = {tuple(sorted(one.labels.items())): one.value for one in family.samples}
        if "seconds" not in name:
            assert values == expected, name
    assert receiver.series["nrm_log_head"].gauge.data_points[0].as_double > 100


def test_nothing_about_anybody_leaves(told: Any) -> None:
    receiver, road, canaries = told
    sent = b"".join(receiver.raw)
    assert len(sent) > 2_000
    assert len(canaries) > 5
    for canary in canaries:
        assert not any(shape in sent for shape in canary.shapes()), canary
    exchange = road.hub.exchange
    names = exchange.pseudonyms
    for agency in road.identities:
        assert f'"{agency}"'.encode() not in sent
        assert agency.encode() not in sent
        for case in ("C1",):
            case_id = names.canonical("case", case)
            assert case_id.bytes not in sent
            assert case_id.hex.encode() not in sent
            assert names.pseudonym(agency, "case", case_id).encode() not in sent


def test_of_an_error_only_its_type_is_told(receiver: Receiver, tmp_path: Path) -> None:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support"})
    running = telling(receiver.url, road)
    try:
        with pytest.raises(ValueError), spans.span("nrm.decide"):
            raise ValueError("Kanarie knows where she sleeps")
        running.flush()
        failed = [span for span in receiver.spans if span.status.code == 2]
        assert [span.status.message for span in failed] == ["ValueError"]
        assert not any(span.events for span in receiver.spans)
        assert b"Kanarie" not in b"".join(receiver.raw)
    finally:
        running.stop()
        road.close()


def test_off_unless_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    assert telemetry.asked(None) is None
    assert telemetry.asked({}) is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    assert telemetry.asked(None) == telemetry.TelemetrySettings()
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    assert telemetry.asked({"endpoint": "http://127.0.0.1:4318"}) is None


@pytest.mark.parametrize(
    "section", [{"endpoint": "127.0.0.1:4318"}, {"every_seconds": 0}, {"endpoints": "http://x"}]
)
def test_a_setting_that_cannot_be_meant_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises(NotReady, match="telemetry"):
        telemetry.asked(section)


def test_while_off_a_span_costs_next_to_nothing() -> None:
    """Measured against an event of some 300 µs: ten spans are less than a tenth of it,
    on a busy machine too (0.3 µs each where nothing else runs)."""
    count = 20_000
    best = min(_seconds(count) for _ in range(5))
    assert best / count * 10 < 300e-6 / 10


def _seconds(count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        with spans.span("nrm.store", rows=3):
            pass
    return time.perf_counter() - start


def test_a_receiver_that_is_away_stops_nothing(tmp_path: Path) -> None:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support"})
    running = telling("http://127.0.0.1:9", road)
    try:
        opened = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
        assert road.publish("NGO-1", "CaseOpened", "C1", **opened).accepted
    finally:
        road.close()
        start = time.monotonic()
        running.stop()
        assert time.monotonic() - start < 60
