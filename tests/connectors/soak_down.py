"""A partner that is down while a million deliveries wait: is the connector's memory flat?

    python -m tests.connectors.soak_down [--deliveries 1000000] [--minutes 1]

The topic holds that many deliveries in sealed messages. A connector, in a process of its own, meets
a partner's system that takes nothing, for the minutes asked; then one that takes all, for as long
again. JSON lines: resident memory at the start, soon after the outage began, at its end and while
it catches up, and how many messages were read. Exit status 1 if memory grew during the outage.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from connectors import collector
from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import Sealed, TopicInbox
from connectors.errors import SinkDownError
from connectors.runner import Pace, Runner
from connectors.sql import SqlSink
from hub.topics import Message, open_topics
from tests.connectors.builder import MiniHub, case_opened
from tests.connectors.site import Flaky

TO = "POL-1"
PER_MESSAGE = 2_000
MOST_GROWTH = 10.0  # MiB


class Counting(TopicInbox):
    messages = 0

    def read(self, limit: int, timeout: float) -> list[Sealed]:
        found = super().read(limit, timeout)
        self.messages += len(found)
        return found


def resident() -> float:
    """MiB of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


def fill(hub: MiniHub, home: Path, url: str, deliveries: int) -> Path:
    """One event released over and over: every delivery is sealed, none is like another."""
    shelter, police = hub.enrol(home, "SH-1", "shelter"), hub.enrol(home, TO)
    topics = open_topics(url)
    topics.ensure(police.hub.topics.values())
    topics.append(police.hub.topics["registry"], [Message(hub.registry())])
    events = [hub.release(TO, one) for one in hub.stated(shelter, *[
        case_opened(f"C-{n}") for n in range(PER_MESSAGE)])]  # fmt: skip
    for _ in range(deliveries // PER_MESSAGE):
        topics.append(police.hub.topics["deliveries"], [Message(hub.message(TO, events))])
    topics.close()
    return police.home


def connect(home: Path, topics_url: str, url: str, seconds: float, out: Any) -> None:
    identity = AgencyIdentity.load(home)
    inbox = Counting(open_topics(topics_url), identity)
    inner = SqlSink(url, TO, "test-hub")
    sink = Flaky(inner, lambda: SinkDownError("down"))
    pace = Pace(pause_first=0.01, pause_most=0.05)
    runner = Runner(inbox, sink, identity, pace=pace)
    inner.prepare()
    collector.rest()
    told: dict[str, float] = {"start": resident()}
    sink.failing = {"apply": 10**9}
    _run(runner, seconds / 4)  # what one batch needs
    told["soon"] = resident()
    _run(runner, seconds)
    told |= {"down": resident(), "read_while_down": inbox.messages}
    sink.failing = {}
    _run(runner, seconds)
    told |= {"catching_up": resident(), "applied": inner.position().sequence}
    inner.close()
    out.put(told)


def _run(runner: Runner, seconds: float) -> None:
    stop = threading.Event()
    threading.Timer(seconds, stop.set).start()
    runner.run(stop)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--deliveries", type=int, default=1_000_000)
    asked.add_argument("--minutes", type=float, default=1.0)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="nrm-soak-") as home:
        folder = Path(home)
        url = f"embedded:///{folder}/topics.db"
        start = time.perf_counter()
        partner = fill(MiniHub(), folder, url, given.deliveries)
        made = time.perf_counter() - start
        context = multiprocessing.get_context("spawn")
        out = context.Queue()
        address = f"sqlite:///{folder}/partner.db"
        process = context.Process(
            target=connect, args=(partner, url, address, given.minutes * 60, out)
        )
        process.start()
        told = out.get(timeout=given.minutes * 240 + 120)
        process.join()
    print(json.dumps({"deliveries": given.deliveries, "made_in_seconds": round(made, 1)}))
    for name, value in told.items():
        unit = "messages" if name == "read_while_down" else "MiB"
        unit = "deliveries" if name == "applied" else unit
        print(json.dumps({"name": name, "value": round(value, 1), "unit": unit}))
    if told["down"] - told["soon"] > MOST_GROWTH:
        sys.exit("memory grew while the partner was down")


if __name__ == "__main__":
    main()
