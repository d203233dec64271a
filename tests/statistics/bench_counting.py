"""How fast the log is read and counted. Run: python -m tests.statistics.bench_counting"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from consumers.statistics import Statistics
from hub.statistics.periods import Period
from hub.statistics.suppression import show
from hub.statistics.tables import TABLES
from hub.store import events as stored
from tests.statistics.town import open_town


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--people", type=int, default=1_000)
    people = options.parse_args().people
    with tempfile.TemporaryDirectory() as folder:
        road = open_town(Path(folder), people)
        exchange = road.hub.exchange
        head = exchange.log.head
        topics = frozenset({stored.EventAccepted.TOPIC})

        started = time.process_time()
        rows = exchange.log.read(0, head, topics)
        reading = time.process_time() - started
        events = [one.event for one in rows if isinstance(one.event, stored.EventAccepted)]

        reader = Statistics(exchange)
        started = time.process_time()
        reader._count(events)
        counting = time.process_time() - started
        book = reader.book

        started = time.process_time()
        for table in TABLES.values():
            show(table.count(book, Period.parse("2026-Q1")), 5, lambda _: 0.5)
        tabling = time.process_time() - started
        road.close()
    print(f"{len(events)} accepted events of {people} persons, {head} log entries; processor time")
    print(f"read from the log, decoded     {len(events) / reading:>9,.0f} events/s")
    print(f"opened and counted             {len(events) / counting:>9,.0f} events/s")
    print(f"together                       {len(events) / (reading + counting):>9,.0f} events/s")
    print(f"all {len(TABLES)} tables, protected       {tabling * 1000:>9,.0f} ms")


if __name__ == "__main__":
    main()
