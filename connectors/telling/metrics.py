"""A connector's own metrics, for Prometheus: off by default, on this machine's loopback only
unless told otherwise.

    nrm_connector_position              last delivery applied
    nrm_connector_deliveries_behind     deliveries the hub holds that are not applied
    nrm_connector_seconds_behind        since when the oldest of them is known here
    nrm_connector_applied_total, …_quarantined_total, …_receipts_total
    nrm_connector_quarantine_waiting
    nrm_connector_alarm{reason}         1 while an alarm is raised
    nrm_connector_last_success_timestamp_seconds

No label tells of a case, a person or an event. On loopback only a request to an address of this
machine is answered: a site in a browser here may let its own name lead here too. The hub is asked
how far it is every few seconds, from a thread of its own, so that the lag grows also while the
partner's system takes nothing.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any, Final
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from prometheus_client import CollectorRegistry, ProcessCollector, make_wsgi_app
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import ThreadingWSGIServer
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from connectors.errors import ConnectorError, SettingsError
from connectors.loopback import is_here
from connectors.runner import Progress, Runner
from connectors.telling.alarms import ALARMS
from connectors.telling.lag import Lag, Newest

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
            self._server = _listening(host.strip("[]") or "127.0.0.1", int(port), registry)
        except (OSError, ValueError, OverflowError) as wrong:
            raise SettingsError(
                f"--metrics {address}: cannot listen there ({type(wrong).__name__}); write "
                "HOST:PORT, for example 127.0.0.1:9461"
            ) from None
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
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


class _Quiet(WSGIRequestHandler):
    timeout = 10  # seconds for a request: who says nothing holds a thread no longer

    def log_message(self, *_: Any) -> None:
        """Who asks is nobody's business."""


def _listening(host: str, port: int, registry: CollectorRegistry) -> ThreadingWSGIServer:
    [(family, _, _, _, place), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    server = type("Server", (ThreadingWSGIServer,), {"address_family": family})
    app: WSGIApplication = make_wsgi_app(registry)
    if is_here(str(place[0])):
        app = _asked_here(app)
    return make_server(str(place[0]), port, app, server, _Quiet)


def _asked_here(app: WSGIApplication) -> WSGIApplication:
    def guarded(environment: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        asked = urlsplit(f"//{environment.get('HTTP_HOST', '')}").hostname or ""
        if is_here(asked):
            return app(environment, start)
        start("403 Forbidden", [("Content-Type", "text/plain")])
        return [b"This address leads to a program on this machine only.\n"]

    return guarded


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{_NAME}_{name}", meaning, value=value)
