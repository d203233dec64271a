"""`make bench`: JSON lines, every figure also as a ratio to a primitive of the same run.

    python -m tests.bench.bench_hub [--events 4000] [--only sqlite|postgres] [--quick]

Each line: name, where, value, unit; ratio and ratio_to where a primitive sets the bound. Decisions
and records are measured in one thread; the pipeline with the hub in this process and one connector
process for each of five partners, from the first batch on the ingest topic to the last receipt.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from connectors import collector
from connectors.sql import open_engine
from connectors.submit import Publisher
from hub.audit import replay_case
from hub.domain.case import Case, CaseEvent
from hub.ingest import INGEST_TOPIC
from hub.recording.cases import fold
from hub.release import redecide
from hub.scenario.places import Places, Servers
from hub.topics.port import Message
from tests.bench.measured import Measuring, known, line
from tests.bench.primitives import per_second, primitives
from tests.bench.town import CASES, PARTNERS, Town, until

EVERYTHING = frozenset({"hub", "consumers", "timers"})  # what `serve` runs beside the API


def timed(count: int, seconds: float) -> float:
    return count / seconds if seconds else 0.0


def one_thread(town: Town, where: str, count: int) -> None:
    """Admission, decision and record, without transport."""
    batches = town.sealed(count)
    start = time.perf_counter()
    admitted = [town.hub.ingest.admit(batch) for batch in batches]
    admission = time.perf_counter() - start
    line("admission", where, timed(count, admission), "events/s", "ed25519_verify")
    start = time.perf_counter()
    for one in admitted:
        town.hub.exchange.record([one])
    recording = time.perf_counter() - start
    line("record_and_decide", where, timed(count, recording), "events/s")
    both = timed(count, admission + recording)
    line("admission_and_record", where, both, "events/s", "eventsourcing_batched_save")


def decisions(town: Town, where: str) -> None:
    exchange = town.hub.exchange
    case_id = exchange.pseudonyms.canonical("case", "case-0")
    case = exchange.case(case_id)
    assert case is not None
    parties, profile, now = exchange.agencies.parties(), exchange.policy(), exchange.clock.now()
    party, event = parties.get("SH-1"), case.events[-1]
    assert party is not None
    decide = per_second(lambda: redecide(case, event, party, "protection", profile, now))
    line("decision", where, decide, "decisions/s")


def pipeline(town: Town, where: str, count: int) -> None:
    """Submitted → row committed and answered, five recipients."""
    steps(town, where, min(count, 2000))
    batches = [Message(batch) for batch in town.sealed(count)]
    with town.connectors():
        town.hub.start(EVERYTHING)
        until(town.answered)
        start = time.perf_counter()
        town.hub.topics.append(INGEST_TOPIC, batches)
        head = town.hub.exchange.position
        until(lambda: town.hub.exchange.position > head + 2 * count and town.answered())
        spent = time.perf_counter() - start
        line("pipeline_5_recipients", where, timed(count, spent), "events/s")
        line("pipeline_rows", where, timed(count * len(PARTNERS), spent), "rows/s")
        latency(town, where)


def steps(town: Town, where: str, count: int) -> None:
    """Processor time of this process by step, per event told to five recipients; whoever else is
    busy on the machine counts little. What PostgreSQL and Kafka do themselves is not in it."""
    hub = town.hub
    hub.work.fresh = hub.exchange.fresh
    while hub.publisher.step() + hub.work.step():
        pass
    batches, admitted = town.sealed(count), []

    def cost(name: str, work: Callable[[], object]) -> None:
        start = time.process_time()
        work()
        line(f"cpu_{name}", where, (time.process_time() - start) / count * 1000, "ms/event")

    cost("admit", lambda: admitted.extend(hub.ingest.admit(batch) for batch in batches))
    cost("record", lambda: [hub.exchange.record([one]) for one in admitted])
    cost("mark", lambda: sum(iter(hub.publisher.mark, 0)))
    cost("send", hub.publisher.send)
    cost("work_list", lambda: sum(iter(hub.work.step, 0)))
    cost("checkpoint", lambda: hub.checkpoints.step(now=True))


def latency(town: Town, where: str, rate: int = 200, seconds: int = 10) -> None:
    """Submit → row in SH-1's database at a steady rate, batches of ten, by the wall clock."""
    publisher = Publisher(town.identities["NGO-1"])
    sent: dict[str, float] = {}
    step = 10 / rate
    following = time.monotonic()
    for _ in range(rate * seconds // 10):
        events = town.events(10)
        sealed = publisher.prepare(events)
        moment = time.time()
        town.hub.topics.append(INGEST_TOPIC, [Message(sealed)])
        sent.update({str(event.event_id): moment for event in events})
        following += step
        time.sleep(max(0.0, following - time.monotonic()))
    time.sleep(1.0)
    until(town.answered)
    took = []
    engine = open_engine(_database(town, "SH-1"))
    with engine.connect() as db:
        for ref, at in db.execute(sa.text("SELECT event_ref, received_at FROM nrm_timeline")):
            if ref in sent:
                took.append(_seconds(at) - sent[ref])
    engine.dispose()
    took.sort()
    line("latency_p50_at_200_per_s", where, took[len(took) // 2] * 1000, "ms")
    line("latency_p99_at_200_per_s", where, took[int(len(took) * 0.99)] * 1000, "ms")


def _database(town: Town, agency: str) -> str:
    url = town.places.partner(agency)
    return (
        url.replace("sqlite:///", f"sqlite:///{town.folder / agency}/") if "sqlite" in url else url
    )


def _seconds(at: Any) -> float:
    from datetime import UTC, datetime

    moment = at if isinstance(at, datetime) else datetime.fromisoformat(at)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def replay(town: Town, where: str) -> None:
    exchange = town.hub.exchange
    streams = [
        [
            one.event
            for one in exchange.log.stream(exchange.pseudonyms.canonical("case", f"case-{n}"))
        ]
        for n in range(min(CASES, 10))
    ]
    count = sum(len(rows) // 2 for rows in streams)
    start = time.perf_counter()
    for rows in streams:
        fold(rows, exchange.secrets)
    line("replay_fold", where, timed(count, time.perf_counter() - start), "events/s")
    start = time.perf_counter()
    entries = replay_case(exchange, "case-0")
    line("replay_audit", where, timed(len(entries), time.perf_counter() - start), "events/s")
    assert all(isinstance(one, CaseEvent) for one in Case().events)


def measure(where: str, servers: Servers, count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="nrm-bench-") as folder:
        places: Places = servers.places(Path(folder), tuple(PARTNERS))
        town = Town.build(Path(folder), places)
        try:
            one_thread(town, where, count)
            decisions(town, where)
            while town.hub.publisher.step():
                pass
            collector.rest()  # as `serve` does
            pipeline(town, where, count)
            replay(town, where)
            used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            line("hub_memory_peak", where, used, "MiB")
        finally:
            town.hub.stop()


def main() -> None:
    wanted = Measuring.of_arguments(__doc__)
    with tempfile.TemporaryDirectory(prefix="nrm-bench-") as folder:
        for name, value in primitives(Path(folder)):
            known[name] = value
            line(name, "primitive", value, "operations/s")
    wanted.run(measure, "kafka")


if __name__ == "__main__":
    sys.exit(main())
