"""Waiting for deliveries: many partners wait at once, and none holds a thread.

One thread watches the log's commits and, while anybody waits, reads once how far every recipient
was sent to, and what was sent again. A commit is a hint; the thread looks every `LOOK` seconds as
well, so a hint that is missed, or a commit by another process, costs that long.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Mapping

import structlog

from hub.exchange import Exchange
from hub.sending.redrives import FOLLOWER, CarriedOut

log = structlog.get_logger("hub.api")

LOOK = 0.1  # seconds
PACE = 0.02  # seconds between two looks however many commits there are
PER_AGENCY = 4  # calls of one agency that wait at once; one more ends the oldest


class DeliveryWatch:
    """Tells waiting calls that something was sent to their agency. Start it inside a loop."""

    def __init__(self, exchange: Exchange, again: CarriedOut) -> None:
        self._exchange = exchange
        self._again = again
        self._waiting: dict[str, deque[tuple[int, int | None, asyncio.Future[None]]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="api-watch", daemon=True)

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """End every wait, now and from now on. From any thread; safe to call twice."""
        self._closed.set()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._end_all)

    def join(self) -> None:
        """Wait for the thread, after `close`: from then on it does not touch the log."""
        if self._thread.is_alive():
            self._thread.join(timeout=10)

    async def sent_beyond(self, agency: str, after: int, again: int | None, seconds: float) -> None:
        """Return when a sequence greater than `after` may have been sent, or when time is up.

        again: return also when more than so many orders to send again were carried out.
        """
        if self._closed.is_set() or self._loop is None:
            return
        waiting = self._waiting.setdefault(agency, deque())
        if len(waiting) >= PER_AGENCY:
            _end(waiting.popleft()[2])
        mine = (after, again, self._loop.create_future())
        waiting.append(mine)
        try:
            async with asyncio.timeout(seconds):
                await mine[2]
        except TimeoutError:
            pass
        finally:
            if mine in waiting:
                waiting.remove(mine)

    def _watch(self) -> None:
        while not self._closed.is_set():
            with self._exchange.committed:
                self._exchange.committed.wait(LOOK)
            if self._closed.is_set() or not any(self._waiting.copy().values()):
                continue
            try:
                followers = self._exchange.log.followers()
                self._again.look(followers.get(FOLLOWER, 0))
            except Exception as failure:
                # Whoever waits asks again and is told what is wrong by the call itself.
                log.warning("delivery_watch_failed", error=type(failure).__name__)
                time.sleep(1.0)
                continue
            assert self._loop is not None
            self._loop.call_soon_threadsafe(self._wake, followers)
            time.sleep(PACE)

    def _wake(self, followers: Mapping[str, int]) -> None:
        for agency, waiting in self._waiting.items():
            sent = followers.get(f"sent/{agency}", 0)
            ordered = self._again.count(agency)
            for after, again, future in waiting:
                if sent > after or (again is not None and ordered > again):
                    _end(future)

    def _end_all(self) -> None:
        for waiting in self._waiting.values():
            for _, _, future in waiting:
                _end(future)


def _end(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
