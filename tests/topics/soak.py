"""Hours of a broker that is killed, stopped and started under writers and a reader.

python -m tests.topics.soak --minutes 5 --seed 1

Checks, from the clients' own records and never the broker's word: every message whose
append() returned is read, each writer's messages come in order once repetitions are
dropped, and no reader stalls. The schedule is drawn before the run from the seed, so it
can be run again; the interleaving is the machine's.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import threading
import time

from hub.topics import Message, TopicUnavailable, open_topics
from hub.topics.broker import LocalBroker

TOPIC = "soak"
WRITERS = 3


class Writer(threading.Thread):
    """Appends numbered batches; what fails is sent again, as the hub does."""

    def __init__(self, url: str, number: int, until: float) -> None:
        super().__init__(daemon=True)
        self._url, self.number, self._until = url, number, until
        self.acknowledged = 0
        self.repeated = 0

    def run(self) -> None:
        topics = open_topics(self._url + "?timeout=10")
        while time.monotonic() < self._until:
            first = self.acknowledged
            batch = [Message(b"%d %d" % (self.number, n)) for n in range(first, first + 20)]
            try:
                topics.append(TOPIC, batch)
                self.acknowledged += len(batch)
            except TopicUnavailable:
                self.repeated += 1
                time.sleep(0.2)
        topics.close()


def check(url: str, writers: list[Writer]) -> list[str]:
    topics = open_topics(url)
    end, offset, problems = topics.end(TOPIC), 0, []
    following = [0] * WRITERS
    while offset < end:
        found = topics.read(TOPIC, offset, 500, 30)
        if not found:
            problems.append(f"the reader stalls at {offset} of {end}")
            break
        for one in found:
            if one.offset != offset:
                problems.append(f"offset {one.offset} follows {offset - 1}")
            offset = one.offset + 1
            writer, number = map(int, one.value.split())
            if number > following[writer]:
                problems.append(f"writer {writer}: {number} before {following[writer]}")
            following[writer] = max(following[writer], number + 1)
    topics.close()
    problems += [
        f"writer {w.number}: {w.acknowledged} acknowledged, {following[w.number]} read"
        for w in writers
        if following[w.number] < w.acknowledged
    ]
    return problems


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    draw = random.Random(options.seed)
    seconds = options.minutes * 60
    schedule = []
    at = 5.0
    while at < seconds - 10:
        schedule.append((at, draw.choice(["kill", "kill", "stop"]), draw.uniform(0, 8)))
        at += draw.uniform(10, 30)

    with tempfile.TemporaryDirectory() as home, LocalBroker(home) as broker:
        topics = open_topics(broker.url)
        topics.ensure([TOPIC])
        topics.close()
        began = time.monotonic()
        writers = [Writer(broker.url, n, began + seconds) for n in range(WRITERS)]
        for writer in writers:
            writer.start()
        for at, fault, down in schedule:
            time.sleep(max(0.0, began + at - time.monotonic()))
            broker.kill() if fault == "kill" else broker.stop()
            time.sleep(down)
            broker.start()
        for writer in writers:
            writer.join()
        problems = check(broker.url, writers)

    acknowledged = sum(writer.acknowledged for writer in writers)
    repeated = sum(writer.repeated for writer in writers)
    print(f"seed {options.seed}: {len(schedule)} faults, {acknowledged} messages acknowledged,"
          f" {repeated} appends repeated, {len(problems)} problems")  # fmt: skip
    for problem in problems[:20]:
        print(f"  {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
