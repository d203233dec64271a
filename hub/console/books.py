"""Books: what pages need of the whole log, kept by following it, so that no page reads all of it.

    recalls      every recall and what became of it (`hub/recalling/book.py`), also by its cause
    set aside    deliveries their recipients hold in quarantine, by what the last receipt says
    redrives     orders to send such a delivery again
    refusals     the last refused submissions of every sender, never content
    flow         accepted events by the minute, of the last day

A look follows the log for a quarter of a second at most and then answers with what it has. Far
behind, as after a start, a thread goes on, and pages say how far the books have come
(`Books.behind`). Everything is as of the last look; take what is returned and let the lock go.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from hub.recalling.book import TOPICS, RecallBook, RecallRecord
from hub.store import events as stored
from hub.store.errors import StoreUnavailable
from hub.store.events import StoreEvent
from hub.store.log import HubLog
from schemas import wire

PAGE: Final = 1_000  # log rows read at once
PATIENCE: Final = 0.25  # seconds one look follows the log
KEPT_REFUSALS: Final = 200  # per sender
DAY: Final = 24 * 60  # minutes of flow kept
STEP: Final = 20_000  # log positions counted at once
FOLLOWED: Final = TOPICS | {stored.Refused.TOPIC, stored.RedriveOrdered.TOPIC}
OTHER: Final = "other"
_CODE: Final = re.compile(r"[a-z][a-z0-9_]{0,39}")  # a reason code; no partner's text gets further


@dataclass(slots=True)
class SetAside:
    """A delivery in its recipient's quarantine.

    reason: the code its connector gave. since: when the hub first recorded it. said_in: position
    of the last receipt that says so. ordered_…: the last order to send it again, if there was one.
    """

    agency: str
    sequence: int
    reason: str
    since: datetime
    said_in: int
    ordered_in: int = 0
    ordered_at: datetime | None = None
    ordered_by: str = ""

    @property
    def awaited(self) -> bool:
        """Ordered again, and nothing said of it since."""
        return self.ordered_in > self.said_in


@dataclass(frozen=True, slots=True)
class RefusedOne:
    """A refused submission, or event of one."""

    position: int
    at: datetime
    agency: str
    step: int
    reason: str
    guard: str | None
    detail: str


class Books:
    """Follows one log and only reads it. For any thread."""

    def __init__(self, log: HubLog) -> None:
        self._log = log
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._seen = 0
        self._head = 0
        self._recalls = RecallBook()
        self._by_cause: dict[int, list[RecallRecord]] = {}
        self._aside: dict[tuple[str, int], SetAside] = {}
        self._refused: dict[str, deque[RefusedOne]] = {}
        self._refusals = 0
        self._flow: Counter[int] = Counter()
        self._flow_seen: int | None = None

    # -- following -------------------------------------------------------------------------

    @contextmanager
    def look(self, now: datetime) -> Iterator[Books]:
        """The books, followed as far as patience goes. Hold it only while copying from it."""
        with self._lock:
            done = self._follow(now, PATIENCE)
            if not done and (self._thread is None or not self._thread.is_alive()):
                self._thread = threading.Thread(target=self._catch_up, args=(now,), daemon=True)
                self._thread.start()
            yield self

    def _catch_up(self, now: datetime) -> None:
        with suppress(StoreUnavailable):  # closed meanwhile, or away: the next look tells
            while True:
                with self._lock:
                    if self._follow(now, PATIENCE / 5):
                        return
                time.sleep(0.005)  # let a page have the lock

    def _follow(self, now: datetime, seconds: float) -> bool:
        """Whether the head was reached."""
        until = time.monotonic() + seconds
        self._head = self._log.head
        while True:
            rows = self._log.read(self._seen, PAGE, FOLLOWED)
            for one in rows:
                self._seen = one.position
                self._apply(one.position, one.event)
            if len(rows) < PAGE:
                self._seen = max(self._seen, self._head)
                break
            if time.monotonic() > until:
                return False
        return self._count(now, until)

    def _count(self, now: datetime, until: float) -> bool:
        first = _minute(now) - DAY
        if self._flow_seen is None:
            self._flow_seen = self._log.position_at(now - timedelta(minutes=DAY))
        while self._flow_seen < self._head:
            to = min(self._flow_seen + STEP, self._head)
            self._flow.update(
                dict(self._log.by_minute(stored.EventAccepted.TOPIC, self._flow_seen, to))
            )
            self._flow_seen = to
            if time.monotonic() > until and to < self._head:
                return False
        for minute in [one for one in self._flow if one <= first]:
            del self._flow[minute]
        return True

    def _apply(self, position: int, event: StoreEvent) -> None:
        for recall in self._recalls.apply(position, event):
            if isinstance(event, stored.Settled):
                self._by_cause.setdefault(recall.cause, []).append(recall)
        if isinstance(event, stored.Received):
            self._receipt(position, event)
        elif isinstance(event, stored.RedriveOrdered):
            found = self._aside.get((event.agency, event.sequence))
            if found is not None:
                found.ordered_in = position
                found.ordered_at, found.ordered_by = event.timestamp, event.by
        elif isinstance(event, stored.Refused):
            self._refusals += 1
            kept = self._refused.setdefault(event.agency, deque(maxlen=KEPT_REFUSALS))
            kept.append(
                RefusedOne(
                    position,
                    event.timestamp,
                    event.agency,
                    event.step,
                    event.reason,
                    event.guard,
                    event.detail,
                )
            )

    def _receipt(self, position: int, event: stored.Received) -> None:
        for said in wire.RECEIPT.unsingle(event.receipt)["exceptions"]:
            key = (event.agency, said["sequence"])
            if said["outcome"] != "quarantined":
                self._aside.pop(key, None)
                continue
            code = said["detail"] or ""
            reason = code if _CODE.fullmatch(code) else OTHER
            if reason.startswith(wire.DISCARDED):
                self._aside.pop(key, None)  # for good, by its recipient
                continue
            known = self._aside.get(key)
            if known is None:
                self._aside[key] = SetAside(*key, reason, event.timestamp, position)
            else:
                known.reason, known.said_in = reason, position

    # -- what they say ---------------------------------------------------------------------

    @property
    def behind(self) -> tuple[int, int] | None:
        """(position read to, head) while the log was not read to its head; else None."""
        seen = min(self._seen, self._head if self._flow_seen is None else self._flow_seen)
        return None if seen >= self._head else (seen, self._head)

    @property
    def recalls(self) -> RecallBook:
        return self._recalls

    def caused_by(self, position: int) -> list[RecallRecord]:
        """Recalls that the event at this log position caused."""
        return list(self._by_cause.get(position, ()))

    def set_aside(self, agency: str | None = None) -> list[SetAside]:
        """What is in quarantine, longest first; of one agency if named."""
        found = [one for one in self._aside.values() if agency in (None, one.agency)]
        return sorted(found, key=lambda one: (one.since, one.agency, one.sequence))

    def find(self, agency: str, sequence: int) -> SetAside | None:
        return self._aside.get((agency, sequence))

    def set_aside_by_agency(self) -> Counter[str]:
        return Counter(agency for agency, _ in self._aside)

    def refused(self, agency: str | None = None) -> list[RefusedOne]:
        """The last refusals, newest first."""
        if agency is not None:
            return sorted(self._refused.get(agency, ()), key=lambda one: -one.position)
        found = [one for kept in self._refused.values() for one in kept]
        return sorted(found, key=lambda one: -one.position)[:KEPT_REFUSALS]

    @property
    def refusals(self) -> int:
        """How many there are on record."""
        return self._refusals

    @property
    def senders_refused(self) -> list[str]:
        return sorted(self._refused)

    def flow(self, now: datetime, minutes: int, every: int = 1) -> list[int]:
        """Accepted events of the last `minutes` whole minutes, summed over `every` of them."""
        end = _minute(now)
        counts = [self._flow.get(end - minutes + one, 0) for one in range(minutes)]
        return [sum(counts[at : at + every]) for at in range(0, minutes, every)]


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // 60
