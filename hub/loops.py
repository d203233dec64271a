"""Loops: the hub's steps, run again and again in threads until they are told to stop.

Steps given together take turns in one thread: several busy threads of one Python process keep each
other waiting, most of all while they write to SQLite, where every row lets another thread in. Each
step keeps its own luck: one that fails because something outside is away rests for a second while
the others go on; one that fails because an operator has to act stops all loops, loudly, and nothing
is acknowledged from then on.

A step takes the seconds it may wait for work, and returns how much it did. Only the first of a turn
waits, and only while the others have nothing to do.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import structlog

from hub.errors import RetryLater
from hub.topics.port import TopicStoppedError, TopicUnavailable, UnknownTopicError

log = structlog.get_logger("hub")

PAUSE = 0.05  # seconds between two rounds when there was nothing to do
RETRY = 1.0  # seconds after something outside was away


@dataclass
class Step:
    """One thing done again and again. `work(seconds it may wait)` → how much it did.

    pause: seconds between two rounds when there was nothing to do, if it is the first of its turn.
    """

    name: str
    work: Callable[[float], int]
    pause: float = PAUSE
    rests_until: float = 0.0


class Loops:
    """Threads of one hub. `failure` is what stopped them, if anything did."""

    def __init__(self, topics_lost: Callable[[], None]) -> None:
        """topics_lost: makes the topics again; may raise TopicUnavailable."""
        self._topics_lost = topics_lost
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self.failure: BaseException | None = None

    def start(self, *turn: Step) -> None:
        """Run these steps in one thread, in this order, over and over."""
        name = "+".join(step.name for step in turn)
        thread = threading.Thread(target=self._run, args=(turn,), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    @property
    def running(self) -> bool:
        return bool(self._threads) and not self._stop.is_set()

    def stop(self) -> None:
        """Let every step finish what it is at. Safe to call twice."""
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=10)
        self._threads.clear()

    def _run(self, turn: tuple[Step, ...]) -> None:
        first, *others = turn
        wait = 0.0
        while not self._stop.is_set():
            began = time.monotonic()
            done = self._take(first, wait)
            wait = 0.0 if (more := sum(self._take(step, 0.0) for step in others)) else first.pause
            if not done and not more:
                self._stop.wait(began + first.pause - time.monotonic())

    def _take(self, step: Step, wait: float) -> int:
        if self._stop.is_set() or time.monotonic() < step.rests_until:
            return 0
        try:
            return step.work(wait)
        except UnknownTopicError:  # lost with all it held: what is missing is sent again
            log.warning("topics_lost", loop=step.name)
            with suppress(TopicUnavailable):
                self._topics_lost()
        except Exception as failure:
            step.rests_until = time.monotonic() + RETRY
            away = isinstance(failure, TopicUnavailable)
            if away and not isinstance(failure, TopicStoppedError):
                log.warning("topics_unavailable", loop=step.name, error=type(failure).__name__)
                return 0
            stop = not isinstance(failure, RetryLater)
            log.error("loop_failed", loop=step.name, error=type(failure).__name__, stopping=stop)
            if stop:
                self.failure = failure
                self._stop.set()
        return 0
