"""Metrics: what an operator watches, in Prometheus' text format. docs/api.md lists them.

What is counted in the log (accepted, settled, marked, received) survives a restart; what is
counted from refusals and decisions starts with the process, as Prometheus expects of counters.
Recipients appear under opaque references, never by name; nothing says which case, person or
event, and no series is per event type, so that a dashboard does not tell what happened to whom.
"""

from __future__ import annotations

import json
import threading
from collections import Counter as Tally
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
)
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from consumers.witnesses import DISAGREES
from hub.hub import Hub
from hub.ingest import INGEST_TOPIC, topic_follower
from hub.publisher import FOLLOWER, delivery_stream
from hub.recalling.book import RecallBook
from hub.recalling.watch import RecallWatch
from hub.store import events as stored
from hub.topics.port import TopicError

FOLLOWED: Final = frozenset({stored.Refused.TOPIC, stored.Settled.TOPIC})
PAGE: Final = 2_000  # log rows read at once
PAGES: Final = 20  # per scrape: counters may lag behind a flood, a scrape stays short
PURGE_SECONDS: Final = (60, 600, 3_600, 6 * 3_600, 86_400, 3 * 86_400, 7 * 86_400, 30 * 86_400)
LOG_COUNTERS: Final = (
    (stored.EventAccepted.TOPIC, "nrm_events_accepted", "Events recorded as accepted"),
    (stored.Settled.TOPIC, "nrm_settlements", "Events whose release was decided for every party"),
    (stored.Sending.TOPIC, "nrm_deliveries_marked", "Deliveries numbered for sending"),
    (stored.HeldBack.TOPIC, "nrm_deliveries_held_back", "Releases overtaken before sending"),
    (stored.Received.TOPIC, "nrm_receipts", "Receipts recorded"),
    (stored.SubjectShredded.TOPIC, "nrm_subjects_shredded", "Persons erased"),
)


class HubCollector(Collector):
    """Reads the hub's own books at every scrape."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._seen = hub.exchange.position
        self._refused: Tally[tuple[str, str]] = Tally()
        self._decided: Tally[tuple[str, str]] = Tally()
        self._recalls = RecallWatch(hub.exchange.log)
        self._lock = threading.Lock()

    def describe(self) -> Iterable[Metric]:
        return ()  # nothing to check at registration, and no reading then

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            self._follow()
            yield from self._log()
            yield from self._counted()
            yield from self._recipients()
            yield from self._witnesses()
            if (recalls := self._recalls.book(PAGES)) is not None:
                yield from self._called_back(recalls)
            yield from self._loops()

    # -- followed from the log -----------------------------------------------------------------

    def _follow(self) -> None:
        for _ in range(PAGES):
            recorded = self._hub.exchange.log.read(self._seen, PAGE, FOLLOWED)
            for one in recorded:
                self._seen = one.position
                if isinstance(one.event, stored.Refused):
                    self._refused[str(one.event.step), one.event.reason] += 1
                elif isinstance(one.event, stored.Settled):
                    self._decide(json.loads(one.event.settlement))
            if len(recorded) < PAGE:
                return

    def _decide(self, settlement: dict[str, Any]) -> None:
        """Per concerned party and category; outsiders are decided by role and not counted."""
        for outcomes in settlement.get("decided", {}).values():
            for outcome in outcomes.values():
                if isinstance(outcome, str):
                    self._decided["released", outcome.partition(":")[0]] += 1
                else:
                    self._decided["withheld", str(outcome[0])] += 1

    def _counted(self) -> Iterator[Metric]:
        refused = CounterMetricFamily(
            "nrm_events_refused", "Events and messages refused", labels=("step", "reason")
        )
        for (step, reason), count in sorted(self._refused.items()):
            refused.add_metric((step, reason), count)
        yield refused
        decided = CounterMetricFamily(
            "nrm_decisions",
            "Decisions for concerned parties, by basis or first reason",
            labels=("outcome", "reason"),
        )
        for (outcome, reason), count in sorted(self._decided.items()):
            decided.add_metric((outcome, reason), count)
        yield decided
        receipts = CounterMetricFamily(
            "nrm_receipts_refused", "Receipts refused", labels=("reason",)
        )
        for reason, count in sorted(self._hub.receipts.refused.items()):
            receipts.add_metric((reason,), count)
        yield receipts

    # -- the log -------------------------------------------------------------------------------

    def _log(self) -> Iterator[Metric]:
        log = self._hub.exchange.log
        counts = log.counts()
        for topic, name, text in LOG_COUNTERS:
            yield CounterMetricFamily(name, text, value=counts.by_topic.get(topic, 0))
        yield GaugeMetricFamily("nrm_log_head", "Last log position", value=counts.head)
        yield GaugeMetricFamily(
            "nrm_checkpoint_size", "Log size under the last checkpoint", value=counts.checkpoint
        )
        yield GaugeMetricFamily(
            "nrm_checkpoint_wait_seconds",
            "Age of the oldest event under no checkpoint; 0 if all are",
            value=uncovered_seconds(self._hub),
        )
        standing, overdue = log.work.counts(self._hub.exchange.clock.now())
        yield GaugeMetricFamily("nrm_work_open", "Open work items", value=standing)
        yield GaugeMetricFamily("nrm_work_overdue", "Overdue work items", value=overdue)
        yield GaugeMetricFamily(
            "nrm_work_lag",
            "Log rows the work list has not followed yet",
            value=counts.head - counts.followers.get("work", 0),
        )
        pending = log.read(
            counts.followers.get(FOLLOWER, 0), PAGE, frozenset({stored.Settled.TOPIC})
        )
        yield GaugeMetricFamily(
            "nrm_publisher_lag", f"Settlements not yet marked, up to {PAGE}", value=len(pending)
        )
        yield GaugeMetricFamily(
            "nrm_publisher_wait_seconds",
            "Age of the oldest settlement not yet marked",
            value=self._age(pending[0].event.timestamp) if pending else 0.0,
        )

    def _recipients(self) -> Iterator[Metric]:
        exchange = self._hub.exchange
        followers = exchange.log.counts().followers
        gauges = {
            name: GaugeMetricFamily(f"nrm_recipient_{name}", text, labels=("recipient",))
            for name, text in (
                ("marked_sequence", "Last sequence numbered for sending"),
                ("sent_sequence", "Last sequence sent"),
                ("acknowledged_sequence", "Last sequence answered by a receipt"),
                ("unsent", "Deliveries numbered and not sent"),
                ("unacknowledged", "Deliveries sent and not answered"),
                ("wait_seconds", "Age of the oldest delivery not answered"),
            )
        }
        for agency in list(exchange.agencies):
            label = (exchange.pseudonyms.recipient_ref(agency.agency),)
            stream = delivery_stream(agency.agency)
            marked = exchange.last_version(stream)
            sent = followers.get(f"sent/{agency.agency}", 0)
            answered = followers.get(f"acknowledged/{agency.agency}", 0)
            oldest = exchange.log.stream(stream, answered, 1) if answered < marked else []
            for name, value in (
                ("marked_sequence", marked),
                ("sent_sequence", sent),
                ("acknowledged_sequence", answered),
                ("unsent", max(marked - sent, 0)),
                ("unacknowledged", max(sent - answered, 0)),
                ("wait_seconds", self._age(oldest[0].event.timestamp) if oldest else 0.0),
            ):
                gauges[name].add_metric(label, value)
        yield from gauges.values()

    def _witnesses(self) -> Iterator[Metric]:
        """Under the names hub.toml gives them: who cosigns is public."""
        size = GaugeMetricFamily(
            "nrm_witness_size", "Log size a witness last cosigned", labels=("witness",)
        )
        age = GaugeMetricFamily(
            "nrm_witness_age_seconds",
            "Age of a witness's last cosignature; absent if there is none",
            labels=("witness",),
        )
        disagrees = GaugeMetricFamily(
            "nrm_witness_disagrees",
            "1 while a witness says that the log was rolled back or forked",
            labels=("witness",),
        )
        for one in self._hub.witnesses.health():
            size.add_metric((one.name,), one.size)
            if one.at is not None:
                age.add_metric((one.name,), self._age(one.at))
        for line in self._hub.witnesses.lines:
            disagrees.add_metric((line.witness.name,), float(line.trouble in DISAGREES))
        yield from (size, age, disagrees)

    def _called_back(self, book: RecallBook) -> Iterator[Metric]:
        """Absent until the log was read as far as its head: half a book would look like none."""
        now, still_open = self._hub.exchange.clock.now(), book.open
        yield GaugeMetricFamily(
            "nrm_recalls_open", "Recalls that no receipt has answered", value=len(still_open)
        )
        yield GaugeMetricFamily(
            "nrm_recalls_overdue",
            "Open recalls past the day an answer was due",
            value=sum(recall.overdue(now) for recall in still_open),
        )
        yield GaugeMetricFamily(
            "nrm_recalls_oldest_seconds",
            "Age of the oldest open recall; 0 if there is none",
            value=max((recall.age(now).total_seconds() for recall in still_open), default=0.0),
        )
        answered = CounterMetricFamily(
            "nrm_recalls_answered", "Recalls answered, by what receipts state", labels=("outcome",)
        )
        said = Tally(outcome for recall in book for outcome in recall.outcomes)
        for outcome, count in sorted(said.items()):
            answered.add_metric((outcome,), count)
        yield answered
        took = [p.total_seconds() for recall in book if (p := recall.time_to_purge) is not None]
        buckets = [(str(top), float(sum(one <= top for one in took))) for top in PURGE_SECONDS]
        purge = HistogramMetricFamily(
            "nrm_recall_purge_seconds", "From the cause of a recall to its stated removal"
        )
        purge.add_metric((), [*buckets, ("+Inf", float(len(took)))], sum(took))
        yield purge

    # -- the process ---------------------------------------------------------------------------

    def _loops(self) -> Iterator[Metric]:
        hub = self._hub
        yield GaugeMetricFamily(
            "nrm_loops_running", "1 while the hub's loops run", value=float(hub.running)
        )
        yield GaugeMetricFamily(
            "nrm_loop_failed",
            "1 once a loop has stopped for the operator",
            value=float(hub.failure is not None),
        )
        lag = GaugeMetricFamily("nrm_ingest_lag", "Messages on the ingest topic not yet taken")
        try:
            taken = hub.exchange.log.tracking(topic_follower(hub.topics, INGEST_TOPIC))
            lag.add_metric((), max(hub.topics.end(INGEST_TOPIC) - taken, 0))
            up = 1.0
        except TopicError:
            up = 0.0
        yield GaugeMetricFamily("nrm_topics_up", "1 while the topics answer", value=up)
        yield lag

    def _age(self, since: datetime) -> float:
        return max((self._hub.exchange.clock.now() - since).total_seconds(), 0.0)


def uncovered_seconds(hub: Hub) -> float:
    """Age of the oldest recorded event that no checkpoint covers; 0 if there is none."""
    log = hub.exchange.log
    latest = log.latest_checkpoint()
    rows = log.read(latest[0] if latest else 0, 1)
    if not rows:
        return 0.0
    return max((hub.exchange.clock.now() - rows[0].event.timestamp).total_seconds(), 0.0)


class Metrics:
    """All series of one process: the hub's and the API's own."""

    def __init__(self, hub: Hub) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(HubCollector(hub))
        self._requests = Counter(
            "nrm_http_requests",
            "Requests answered",
            ("route", "method", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "nrm_http_seconds",
            "Time to answer; a submission's holds its commit",
            ("route",),
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self._registry,
        )

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        self._requests.labels(route, method, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def text(self) -> bytes:
        """The scrape; reads the store, so call it in a thread."""
        return generate_latest(self._registry)
