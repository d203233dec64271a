"""Telemetry: the hub's own work as OpenTelemetry traces and metrics over OTLP/HTTP. Off by default.

On if `hub.toml` has a section [telemetry], or if OTEL_EXPORTER_OTLP_ENDPOINT (or that of one
signal) is set; OTEL_SDK_DISABLED=true turns it off again. Needs the extra `otel`. Sent are the
spans of `hub/spans.py` and the series of `hub/api/metrics.py`, as they are: counts, times, and
recipients by opaque reference. Of an exception only its type is told, since its text may quote
what it was about.

A receiver that is away costs nothing but what was to be sent to it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

import structlog

from hub import spans
from hub.errors import NotReady

log = structlog.get_logger("hub.telemetry")

SERVICE: Final = "nrm-hub"
SCOPE: Final = "nrm.hub"
EVERY: Final = 60.0  # seconds between two exports of metrics
_ENDPOINTS: Final = tuple(
    f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT" for signal in ("", "TRACES_", "METRICS_")
)
_KNOWN: Final = frozenset({"endpoint", "traces", "metrics", "every_seconds"})


@dataclass(frozen=True)
class TelemetrySettings:
    """endpoint: base address of the receiver, e.g. http://127.0.0.1:4318; empty: what the
    environment says. traces, metrics: which of the two. every_seconds: between metrics."""

    endpoint: str = ""
    traces: bool = True
    metrics: bool = True
    every_seconds: float = EVERY


def asked(section: Mapping[str, Any] | None) -> TelemetrySettings | None:
    """What `hub.toml` and the environment ask for; None: nothing. NotReady if it cannot be read."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return None
    if not section and not any(os.environ.get(name) for name in _ENDPOINTS):
        return None
    told = dict(section or {})
    unknown = sorted(set(told) - _KNOWN)
    if unknown:
        raise NotReady(f"[telemetry] in hub.toml: unknown setting {', '.join(unknown)}")
    endpoint = str(told.get("endpoint", ""))
    every = told.get("every_seconds", EVERY)
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise NotReady("[telemetry] in hub.toml: endpoint is an http or https address")
    if not isinstance(every, int | float) or isinstance(every, bool) or every <= 0:
        raise NotReady("[telemetry] in hub.toml: every_seconds is a number above 0")
    return TelemetrySettings(
        endpoint.rstrip("/"),
        bool(told.get("traces", True)),
        bool(told.get("metrics", True)),
        float(every),
    )


class Telemetry:
    """Runs from when it is made until `stop`. One for each process."""

    def __init__(self, settings: TelemetrySettings, series: Iterable[Any] | Any) -> None:
        """series: has `collect()`, the Prometheus series to send. NotReady without the extra."""
        try:
            import opentelemetry.exporter.otlp.proto.http
            import opentelemetry.sdk  # noqa: F401
        except ImportError:
            raise NotReady(
                'telemetry needs OpenTelemetry: pip install "nrm-hub[otel]", or take [telemetry] '
                "out of hub.toml"
            ) from None
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource

        given = {} if os.environ.get("OTEL_SERVICE_NAME") else {SERVICE_NAME: SERVICE}
        self._resource = Resource.create(given)
        self._traces: Any = None
        self._metrics: _Metrics | None = None
        if settings.traces:
            self._traces = self._tracing(settings)
        if settings.metrics:
            self._metrics = _Metrics(settings, series, self._resource)

    def _tracing(self, settings: TelemetrySettings) -> Any:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace import Status, StatusCode

        provider = TracerProvider(resource=self._resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(_address(settings, "traces"))
        provider.add_span_processor(BatchSpanProcessor(exporter))
        tracer = provider.get_tracer(SCOPE)

        @contextmanager
        def begin(name: str, counts: Mapping[str, int]) -> Iterator[None]:
            attributes = {f"nrm.{what}": count for what, count in counts.items()}
            with tracer.start_as_current_span(
                name, attributes=attributes, record_exception=False, set_status_on_exception=False
            ) as one:
                try:
                    yield
                except BaseException as failure:
                    one.set_status(Status(StatusCode.ERROR, type(failure).__name__))
                    raise

        spans.follow(begin)
        return provider

    def flush(self) -> None:
        """Send what there is now; for the end, and for tests."""
        if self._traces is not None:
            self._traces.force_flush()
        if self._metrics is not None:
            self._metrics.send()

    def stop(self) -> None:
        """Send what is left and end."""
        spans.follow(None)
        if self._traces is not None:
            self._traces.shutdown()
        if self._metrics is not None:
            self._metrics.stop()


def _address(settings: TelemetrySettings, signal: str) -> str | None:
    """For the exporter; what is left out it takes from OTEL_* variables, headers included."""
    return f"{settings.endpoint}/v1/{signal}" if settings.endpoint else None


class _Metrics:
    """Sends the Prometheus series every so often, from a thread of its own."""

    def __init__(self, settings: TelemetrySettings, series: Any, resource: Any) -> None:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

        self._exporter = OTLPMetricExporter(_address(settings, "metrics"))
        self._series, self._resource = series, resource
        self._since = time.time_ns()
        self._ended = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(settings.every_seconds,), name="telemetry", daemon=True
        )
        self._thread.start()

    def _run(self, every: float) -> None:
        while not self._ended.wait(every):
            self.send()

    def send(self) -> None:
        try:
            families = list(self._series.collect())
            self._exporter.export(_as_otlp(families, self._resource, self._since))
        except Exception as failure:  # a store that is away must not end the hub's telemetry
            log.warning("telemetry_not_sent", error=type(failure).__name__)

    def stop(self) -> None:
        self._ended.set()
        self._thread.join(timeout=10)
        self.send()
        self._exporter.shutdown()


def _as_otlp(families: Iterable[Any], resource: Any, since: int) -> Any:
    """Prometheus families as one OTLP export: counters as cumulative sums, gauges, histograms."""
    from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    metrics = [one for family in families if (one := _metric(family, since)) is not None]
    scope = ScopeMetrics(InstrumentationScope(SCOPE), metrics, "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _metric(family: Any, since: int) -> Any:
    from opentelemetry.sdk.metrics.export import (
        AggregationTemporality,
        Gauge,
        Histogram,
        HistogramDataPoint,
        Metric,
        NumberDataPoint,
        Sum,
    )

    now = time.time_ns()
    cumulative = AggregationTemporality.CUMULATIVE
    data: Any
    if family.type in ("counter", "gauge"):
        points = [
            NumberDataPoint(dict(one.labels), since, now, float(one.value))
            for one in family.samples
            if not one.name.endswith("_created")
        ]
        counter = family.type == "counter"
        data = Sum(points, cumulative, is_monotonic=True) if counter else Gauge(points)
    elif family.type == "histogram":
        told = {
            name: [one for one in family.samples if one.name == f"{family.name}_{name}"]
            for name in ("bucket", "sum", "count")
        }
        if len(told["sum"]) != 1:  # one series, without labels: as the hub has them
            return None
        tops = [float(one.labels["le"]) for one in told["bucket"]][:-1]
        upto = [int(one.value) for one in told["bucket"]]
        counts = [top - below for top, below in zip(upto, [0, *upto[:-1]], strict=True)]
        total = float(told["sum"][0].value)
        point = HistogramDataPoint(
            {}, since, now, upto[-1], total, counts, tops, float("inf"), float("-inf")
        )
        data = Histogram([point], cumulative)
    else:
        return None
    unit = "s" if family.name.endswith("_seconds") else ""
    return Metric(family.name, family.documentation, unit, data)
