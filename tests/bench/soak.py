"""Does memory stay flat? A hub and five connectors under steady load, watched from outside.

    python -m tests.bench.soak --minutes 60

Publishes as fast as the partners answer, into cases that come and go, and prints a JSON line every
few seconds: events so far and the memory of the hub and of the largest connector (MiB). Ends with
a verdict: the last third may not need more than the middle third did, by a tenth and a little.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import mean

from connectors import collector
from connectors.submit import Publisher
from hub.ingest import INGEST_TOPIC
from hub.scenario.places import Servers
from hub.topics.port import Message
from tests.bench.bench_hub import EVERYTHING
from tests.bench.town import PARTNERS, Town, until

AT_ONCE = 2_000  # events between two looks
ALLOWED = 1.10, 20.0  # growth of the last third over the middle one: factor, and MiB on top


def resident(pid: int) -> float:
    """Memory of a process, MiB."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def flat(series: list[float]) -> bool:
    third = len(series) // 3
    factor, more = ALLOWED
    return mean(series[-third:]) <= mean(series[third : 2 * third]) * factor + more


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--events", type=int, default=0, help="end after this many events")
    asked = parser.parse_args()
    hub_memory: list[float] = []
    connector_memory: list[float] = []
    with Servers() as servers, tempfile.TemporaryDirectory(prefix="nrm-soak-") as folder:
        town = Town.build(Path(folder), servers.places(Path(folder), tuple(PARTNERS)))
        publisher = Publisher(town.identities["NGO-1"])
        with town.connectors() as connectors:
            collector.rest()
            town.hub.start(EVERYTHING)
            until(town.answered)
            began, events, generation = time.monotonic(), 0, 0
            while time.monotonic() - began < asked.minutes * 60:
                if events // 20_000 > generation:
                    generation += 1
                    town.open_cases(f"g{generation}")
                batch = [
                    Message(publisher.prepare(town.events(200))) for _ in range(AT_ONCE // 200)
                ]
                town.hub.topics.append(INGEST_TOPIC, batch)
                events += AT_ONCE
                head = town.hub.exchange.position
                until(lambda before=head: town.hub.exchange.position > before and town.answered())  # type: ignore[misc]
                hub_memory.append(resident(os.getpid()))
                connector_memory.append(max(resident(one.pid) for one in connectors))
                said = {
                    "name": "soak_memory",
                    "events": events,
                    "seconds": round(time.monotonic() - began, 1),
                    "hub_MiB": round(hub_memory[-1], 1),
                    "connector_MiB": round(connector_memory[-1], 1),
                }
                print(json.dumps(said), flush=True)
                if asked.events and events >= asked.events:
                    break
        failure = town.hub.failure
        town.hub.stop()
    if failure is not None:
        print(f"the hub stopped: {failure}", file=sys.stderr)
        return 1
    if len(hub_memory) < 9:
        print("too short to say", file=sys.stderr)
        return 1
    good = flat(hub_memory) and flat(connector_memory)
    print(json.dumps({"name": "soak_memory_flat", "value": good, "events": events}))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
