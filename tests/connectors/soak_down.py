"""A partner that is down while a million deliveries wait, and the way back: is memory flat?

    python -m tests.connectors.soak_down [--deliveries 1000000] [--minutes 1] [--every 10]

The topic holds that many deliveries in sealed messages. A connector, in a process of its own, meets
a partner's system that takes nothing, for the minutes asked; then one that takes all, until all is
there, and then waits. JSON lines, every so many seconds: resident memory of the connector and of
the process that opens ahead, what is applied, and how busy the machine is; at the end what was
seen. Exit status 1 if memory grew during the outage or while catching up, or anything is missing.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from connectors import collector
from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import Sealed, TopicInbox
from connectors.agency.registry_cache import RegistryCache
from connectors.errors import SinkDownError
from connectors.opening.ahead import IDLE, Ahead, processors
from connectors.pace import Pace
from connectors.runner import Progress, Runner
from connectors.sql import SqlSink
from hub.topics import Message, open_topics
from tests.connectors.builder import MiniHub, case_opened
from tests.connectors.site import Flaky

TO = "POL-1"
PER_MESSAGE = 2_000
MESSAGES_UNLIKE = 10  # then the same events again: their rows are written anew
MOST_GROWTH = 10.0  # MiB


class Counting(TopicInbox):
    messages = 0

    def read(self, limit: int, timeout: float) -> list[Sealed]:
        found = super().read(limit, timeout)
        self.messages += len(found)
        return found


def resident(process: int | None) -> float:
    """MiB of a process; 0 if there is none."""
    try:
        told = Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return 0.0
    return int(told.partition("VmRSS:")[2].split()[0]) / 1024 if "VmRSS:" in told else 0.0


def fill(hub: MiniHub, home: Path, url: str, deliveries: int) -> Path:
    """Every delivery is sealed, none is like another; their events come again after a while."""
    shelter, police = hub.enrol(home, "SH-1", "shelter"), hub.enrol(home, TO)
    topics = open_topics(url)
    topics.ensure(police.hub.topics.values())
    topics.append(police.hub.topics["registry"], [Message(hub.registry())])
    known: list[list[Any]] = []
    for number in range(deliveries // PER_MESSAGE):
        if number < MESSAGES_UNLIKE:
            cases = range(number * PER_MESSAGE, (number + 1) * PER_MESSAGE)
            stated = hub.stated(shelter, *[case_opened(f"C-{n}") for n in cases])
            known.append([hub.release(TO, one) for one in stated])
        releases = known[number % MESSAGES_UNLIKE]
        topics.append(police.hub.topics["deliveries"], [Message(hub.message(TO, releases))])
    topics.close()
    return police.home


class Watch:
    """Tells memory every so often, from a thread, and keeps the most of each phase."""

    def __init__(self, inbox: Ahead, every: float) -> None:
        self.phase = "start"
        self.applied = 0
        self.told: dict[str, list[float]] = {}
        self._inbox = inbox
        self._every = every
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)
        self._start = time.monotonic()
        self._thread.start()

    def look(self) -> float:
        own, beside = resident(os.getpid()), resident(self._inbox.process)
        self.told.setdefault(self.phase, []).append(own + beside)
        seen = {
            "seconds": round(time.monotonic() - self._start),
            "phase": self.phase,
            "own_mib": round(own, 1),
            "beside_mib": round(beside, 1),
            "applied": self.applied,
            "load": round(os.getloadavg()[0], 1),
        }
        print(json.dumps(seen), flush=True)
        return own + beside

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(self._every):
            self.look()


def connect(
    home: Path, topics_url: str, url: str, deliveries: int, seconds: float, every: float, out: Any
) -> None:
    identity = AgencyIdentity.load(home)
    counting = Counting(open_topics(topics_url), identity)
    registry = RegistryCache(identity)
    inbox = Ahead(counting, home, registry)
    inner = SqlSink(url, TO, "test-hub")
    sink: Any = Flaky(inner, lambda: SinkDownError("down"))
    watch = Watch(inbox, every)
    stop = threading.Event()

    def progress(_did: Progress, position: int, _waiting: int) -> None:
        watch.applied = position
        if position >= deliveries:
            stop.set()

    runner = Runner(
        inbox,
        sink,
        identity,
        registry,
        pace=Pace(pause_first=0.01, pause_most=0.5),
        on_progress=progress,
    )
    inner.prepare()
    collector.rest()
    told: dict[str, float] = {"start": watch.look()}
    sink.failing = {"apply": 10**9}
    watch.phase = "down"
    _run(runner, stop, seconds / 4)  # what one batch needs
    told["soon"] = watch.look()
    _run(runner, stop, seconds)
    told |= {"down": watch.look(), "read_while_down": counting.messages}
    sink.failing = {}
    watch.phase = "catching_up"
    start = time.monotonic()
    runner.run(stop)
    told |= {"catching_up_seconds": time.monotonic() - start, "caught_up": watch.look()}
    told |= {"applied": inner.position().sequence, "processors": processors()}
    watch.phase = "waiting"
    stop.clear()
    _run(runner, stop, IDLE + 3)
    told["waiting"] = watch.look()
    watch.close()
    inbox.close()
    inner.close()
    out.put((told, watch.told["catching_up"]))


def _run(runner: Runner, stop: threading.Event, seconds: float) -> None:
    threading.Timer(seconds, stop.set).start()
    runner.run(stop)
    stop.clear()


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--deliveries", type=int, default=1_000_000)
    asked.add_argument("--minutes", type=float, default=1.0)
    asked.add_argument("--every", type=float, default=10.0)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="nrm-soak-") as home:
        folder = Path(home)
        url = f"embedded:///{folder}/topics.db"
        start = time.perf_counter()
        partner = fill(MiniHub(), folder, url, given.deliveries)
        made = round(time.perf_counter() - start, 1)
        print(json.dumps({"deliveries": given.deliveries, "made_in_seconds": made}), flush=True)
        context = multiprocessing.get_context("spawn")
        out = context.Queue()
        address = f"sqlite:///{folder}/partner.db"
        seconds = given.minutes * 60
        wanted = (partner, url, address, given.deliveries, seconds, given.every, out)
        process = context.Process(target=connect, args=wanted)
        process.start()
        told, climb = out.get()
        process.join()
    units = {"read_while_down": "messages", "applied": "deliveries", "processors": "processors"}
    for name, value in told.items():
        unit = "s" if name.endswith("_seconds") else units.get(name, "MiB")
        print(json.dumps({"name": name, "value": round(value, 1), "unit": unit}))
    if told["applied"] != given.deliveries:
        sys.exit("deliveries are missing")
    if told["down"] - told["soon"] > MOST_GROWTH:
        sys.exit("memory grew while the partner was down")
    if max(climb[-3:]) - max(climb[: max(1, len(climb) // 4)]) > MOST_GROWTH:
        sys.exit("memory grew while catching up")


if __name__ == "__main__":
    main()
