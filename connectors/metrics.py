"""A connector's own metrics, for Prometheus: off by default, on this machine's loopback only
unless told otherwise.

    nrm_connector_position              last delivery applied
    nrm_connector_deliveries_behind     deliveries the hub holds that are not applied
    nrm_connector_seconds_behind        since when the oldest of them is known here
    nrm_connector_applied_total, …_quarantined_total, …_receipts_total
    nrm_connector_quarantine_waiting
    nrm_connector_alarm{reason}         1 while an alarm is raised
    nrm_connector_last_success_timestamp_seconds

No label tells of a case, a person or an event. The hub is asked how far it is every few seconds,
from a thread of its own, so that the lag grows also while the partner's system takes nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

from prometheus_client import CollectorRegistry, ProcessCollector, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from connectors.errors import ConnectorError, SettingsError
from connectors.lag import Lag, Newest
from connectors.runner import ALARMS, Progress, Runner

log = logging.getLogger(__name__)
ASK_EVERY: Final = 5.0  # seconds
_NAME: Final = "nrm_connector"


class ConnectorMetrics(Collector):
    """Counts what a runner does. `progress` is called after each round, `ask` by a thread."""

    def __init__(self) -> None:
        self.runner: Runner | None = None
        self.lag = Lag()
        self._lock = threading.Lock()
        self._position = 0
        self._totals = {"applied": 0, "quarantined": 0, "receipts": 0}
        self._waiting = 0
        self._success = 0.0

    def progress(self, did: Progress, position: int, waiting: int) -> None:
        with self._lock:
            self._position = position
            self._waiting = waiting
            self._success = time.time()
            for name in self._totals:
                self._totals[name] += getattr(did, name)

    def ask(self, inbox: Newest) -> None:
        """How far the hub is."""
        newest = inbox.newest(self._position)
        with self._lock:
            self.lag.there(newest, time.monotonic())

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            position, waiting, success = self._position, self._waiting, self._success
            totals = dict(self._totals)
            behind = self.lag.deliveries(position)
            seconds = self.lag.seconds(position, time.monotonic())
        yield _gauge("position", "Last delivery applied.", position)
        yield _gauge("deliveries_behind", "Deliveries the hub holds, not applied.", behind)
        yield _gauge("seconds_behind", "Since the oldest of them is known here.", seconds)
        yield _gauge("quarantine_waiting", "Deliveries in quarantine.", waiting)
        yield _gauge("last_success_timestamp_seconds", "End of the last round.", success)
        for name, total in totals.items():
            yield CounterMetricFamily(f"{_NAME}_{name}", f"{name} since the start.", value=total)
        alarms = GaugeMetricFamily(f"{_NAME}_alarm", "1 while raised.", labels=["reason"])
        raised = set(self.runner.alarms) if self.runner is not None else set()
        for reason in ALARMS:
            alarms.add_metric([reason], float(reason in raised))
        yield alarms


class MetricsServer:
    """Serves them, and asks the hub how far it is."""

    def __init__(self, metrics: ConnectorMetrics, address: str, inbox: Any) -> None:
        """address: HOST:PORT, or PORT alone for this machine. SettingsError if it cannot be had."""
        host, _, port = address.rpartition(":")
        registry = CollectorRegistry()
        registry.register(metrics)
        ProcessCollector(registry=registry)
        try:
            served = start_http_server(int(port), host or "127.0.0.1", registry)
        except (OSError, ValueError, OverflowError) as wrong:
            raise SettingsError(
                f"--metrics {address}: cannot listen there ({type(wrong).__name__}); write "
                "HOST:PORT, for example 127.0.0.1:9461"
            ) from None
        self._server, self._thread = served
        self.port = int(self._server.server_port)
        self._stop = threading.Event()
        self._asking = threading.Thread(
            target=self._ask, args=(metrics, inbox), name="nrm-lag", daemon=True
        )
        self._asking.start()

    def _ask(self, metrics: ConnectorMetrics, inbox: Any) -> None:
        if not isinstance(inbox, Newest):
            return
        while True:
            try:
                metrics.ask(inbox)
            except ConnectorError as away:  # the runner raises the alarm
                log.debug("how far the hub is cannot be asked: %s", away)
            if self._stop.wait(ASK_EVERY):
                return

    def close(self) -> None:
        self._stop.set()
        self._asking.join()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_NAME}_{name}", meaning, value=value)
