"""How fast topics are on this machine: embedded, and a real local Kafka.

python -m tests.topics.bench      about half a minute
"""

from __future__ import annotations

import tempfile
import threading
import time
from pathlib import Path

from hub.topics import Message, Topics, open_topics
from hub.topics.broker import LocalBroker

MESSAGE = Message(bytes(800), {"content-type": b"application/avro"})


def measure(topics: Topics) -> list[tuple[str, str]]:
    topics.ensure(["bench", "delay"])
    topics.append("bench", [MESSAGE])

    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < 3:
        topics.append("bench", [MESSAGE] * 500)
        count += 500
    batched = count / (time.perf_counter() - began)

    began, singles = time.perf_counter(), 0
    while time.perf_counter() - began < 2:
        topics.append("bench", [MESSAGE])
        singles += 1
    single = singles / (time.perf_counter() - began)

    began, offset = time.perf_counter(), 0
    while found := topics.read("bench", offset, 500, 0):
        offset = found[-1].offset + 1
    read = offset / (time.perf_counter() - began)

    delays: list[float] = []

    def reader() -> None:
        for place in range(100):
            (received,) = topics.read("delay", place, 1, 10)
            delays.append(time.perf_counter() - float(received.value))

    thread = threading.Thread(target=reader)
    thread.start()
    for _ in range(100):
        topics.append("delay", [Message(repr(time.perf_counter()).encode())])
        time.sleep(0.01)
    thread.join()
    delays.sort()
    return [
        ("append, 500 at a time", f"{batched:,.0f} messages/s"),
        ("append, one at a time", f"{single:,.0f} messages/s"),
        ("read, 500 at a time", f"{read:,.0f} messages/s"),
        (
            "append to a waiting reader",
            f"{delays[50] * 1e3:.1f} ms, 99 % {delays[98] * 1e3:.1f} ms",
        ),
    ]


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        topics = open_topics(f"embedded://{folder}/topics.db")
        embedded = measure(topics)
        topics.close()
        began = time.perf_counter()
        with LocalBroker(Path(folder) / "kafka") as broker:
            started = time.perf_counter() - began
            topics = open_topics(broker.url)
            kafka = measure(topics)
            topics.close()
    print("| | embedded | Kafka |\n|---|---|---|")
    for (what, one), (_, other) in zip(embedded, kafka, strict=True):
        print(f"| {what} | {one} | {other} |")
    print(f"| start, formatting included | – | {started:.1f} s |")


if __name__ == "__main__":
    main()
