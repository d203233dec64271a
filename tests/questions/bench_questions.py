"""How long each question takes on a long log: JSON lines.

    python -m tests.questions.bench_questions [--events 20000]

The log is one played scenario, repeated under other case ids with its deliveries and receipts, so
every row is one that the hub itself once wrote.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from hub.audit.questions import QUESTIONS, Hub, answer
from hub.hub import Hub as RunningHub
from hub.store import events as stored
from hub.store.events import StoreEvent
from schemas import wire
from tests.played import play, scenario
from tests.questions.asked import hub_of

SCENARIO = "S1"
AT_ONCE = 20  # copies in one transaction


class _Copies:
    """The played rows again and again, at later positions and under other ids."""

    def __init__(self, hub: RunningHub) -> None:
        self._log = hub.exchange.log
        rows = self._log.read(0, 100_000)
        kinds = (
            stored.EventAccepted,
            stored.Settled,
            stored.HeldBack,
            stored.InFlight,
            stored.Sending,
            stored.Received,
        )
        self.rows = [one for one in rows if isinstance(one.event, kinds)]
        self.events = sum(isinstance(one.event, stored.EventAccepted) for one in self.rows)
        self._ids = [
            UUID(bytes=one.event.event_id)
            for one in self.rows
            if isinstance(one.event, stored.EventAccepted)
        ]
        self._any_id = re.compile("|".join(map(str, self._ids)).encode())
        self._sent = {
            one.event.agency: one.event.originator_version
            for one in self.rows
            if isinstance(one.event, stored.Sending)
        }
        self._receipts = {
            one.event.agency: one.event.originator_version
            for one in self.rows
            if isinstance(one.event, stored.Received)
        }

    def copy(self, number: int, head: int) -> Iterator[StoreEvent]:
        moved: dict[int, int] = {one.position: head + n for n, one in enumerate(self.rows, 1)}

        def id_(old: bytes | UUID) -> UUID:
            return uuid5(old if isinstance(old, UUID) else UUID(bytes=old), str(number))

        names = {str(one).encode(): str(id_(one)).encode() for one in self._ids}

        def named(text: bytes) -> bytes:
            return self._any_id.sub(lambda found: names[found[0]], text)

        for one in self.rows:
            event: Any = one.event
            if isinstance(event, stored.EventAccepted):
                yield replace(
                    event,
                    originator_id=id_(event.originator_id),
                    event_id=id_(event.event_id).bytes,
                )
            elif isinstance(event, stored.Settled):
                yield replace(
                    event,
                    originator_id=id_(event.originator_id),
                    position=moved[event.position],
                    settlement=named(event.settlement),
                )
            elif isinstance(event, stored.InFlight):
                yield replace(
                    event,
                    originator_id=id_(event.originator_id),
                    position=moved[event.position],
                    items=named(event.items),
                )
            elif isinstance(event, stored.Sending):
                yield replace(
                    event,
                    originator_version=event.originator_version + number * self._sent[event.agency],
                    case_id=id_(event.case_id).bytes,
                    decision=moved[event.decision],
                    event_position=moved[event.event_position],
                    items=named(event.items),
                )
            elif isinstance(event, stored.Received):
                yield self._receipt(event, number)
            else:
                yield replace(event, originator_id=id_(event.originator_id))

    def _receipt(self, event: stored.Received, number: int) -> stored.Received:
        by = number * self._sent[event.agency]
        said = wire.RECEIPT.unsingle(event.receipt)
        said["first_sequence"] += by
        said["last_sequence"] += by
        for one in said["exceptions"]:
            one["sequence"] += by
            event_ref, _, rest = (one["detail"] or "").partition(" ")
            one["detail"] = f"{uuid5(UUID(event_ref), str(number))} {rest}" if rest else None
        return replace(
            event,
            originator_version=event.originator_version + number * self._receipts[event.agency],
            first_sequence=event.first_sequence + by,
            last_sequence=event.last_sequence + by,
            receipt=wire.RECEIPT.single(said),
        )


def fill(hub: RunningHub, events: int) -> int:
    """Append copies until the log holds so many events; returns how many it holds."""
    copies, log = _Copies(hub), hub.exchange.log
    number, head = 1, log.head
    while number * copies.events < events:
        rows: list[StoreEvent] = []
        for _ in range(AT_ONCE):
            rows += copies.copy(number, head + len(rows))
            number += 1
        log.append(rows, expected_head=head)
        head += len(rows)
    return number * copies.events


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--events", type=int, default=20_000)
    wanted = arguments.parse_args().events
    document = scenario(SCENARIO)
    with tempfile.TemporaryDirectory() as folder:
        road = play(Path(folder), document)
        start = time.perf_counter()
        events = fill(road.hub, wanted)
        road.hub.exchange.catch_up()
        road.hub.checkpoints.step(now=True)
        hub = hub_of(road.hub)
        said = {"events": events, "rows": road.hub.exchange.log.head}
        print(json.dumps({**said, "filled_s": round(time.perf_counter() - start, 1)}), flush=True)
        _ask_all(hub, document["events"][0]["case"])
        road.close()
    print(json.dumps({"peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}))


def _ask_all(hub: Hub, case: str) -> None:
    asked: list[tuple[str, dict[str, str]]] = [
        ("Q01", {"case": case}),
        ("Q03", {"case": case}),
        ("Q02", {"agency": "POL-1"}),
        ("Q23", {"agency": "POL-1"}),
        *(
            (one.id, {})
            for one in QUESTIONS.values()
            if one.who == "auditor" and one.id not in ("Q01", "Q02")
        ),
    ]
    for question, given in asked:
        start = time.perf_counter()
        found = answer(QUESTIONS[question], hub, given)
        line = {
            "question": question,
            "given": given,
            "seconds": round(time.perf_counter() - start, 2),
            "rows": len(found.rows),
            "verdict": found.verdict,
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    sys.exit(main())
