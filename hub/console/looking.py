"""Looking: every look at the console is a row of the log, written before anything is shown.

Looks of several viewers at the same time are one transaction: whoever comes first writes what is
waiting, so a burst costs one turn at the disk and not one each. A look that cannot be recorded
raises, and shows nothing.

Beyond a viewer's limits (`browsing.py`) a work item is raised for the auditor, once per window; if
it is about an auditor the data controller sees it at once as well, so it is never only with the
person it is about.
"""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from consumers.raising import raise_item
from hub.console.browsing import HOUR, KEPT, Browsing, BrowsingLimits, Crossing, hour_of
from hub.console.grants import Grants
from hub.console.viewer import Viewer
from hub.exchange import Exchange
from hub.recording.draft import Draft, stream_id
from hub.store.events import ConsoleLooked

ALARM: Final = "browsing_alarm"
ALARM_DUE: Final = timedelta(days=1)
TOO_MANY: Final = "too_many_looks"
TOPICS: Final = frozenset({ConsoleLooked.TOPIC})
PAGE: Final = 2_000
MOST_ABOUT: Final = 100  # characters


class TooManyLooks(Exception):
    """The viewer is beyond a limit; `retry_after` seconds until the hour is over."""

    def __init__(self, crossing: Crossing, now: datetime) -> None:
        super().__init__(crossing.rule)
        self.crossing = crossing
        self.retry_after = max(1, math.ceil((hour_of(now) + HOUR - now).total_seconds()))


@dataclass
class _Look:
    viewer: Viewer
    granted: int
    page: str
    about: str
    refused: str
    done: bool = False
    failure: BaseException | None = None


class RecordedLooks:
    """Looks of one hub's console. Safe between threads; other processes may record too."""

    def __init__(self, exchange: Exchange, grants: Grants, limits: BrowsingLimits) -> None:
        self._exchange = exchange
        self._grants = grants
        self._browsing = Browsing(limits)
        self._seen = exchange.log.position_at(exchange.clock.now() - KEPT)
        self._told: set[str] = set()  # alarms raised and hours refused, of the last hours
        self._waiting: list[_Look] = []
        self._queue = threading.Lock()
        self._turn = threading.Lock()
        self._books = threading.Lock()
        self._follow()

    def record(self, viewer: Viewer, page: str, about: str = "") -> None:
        """Record a look. Raises TooManyLooks, or what the store raises: then nothing is shown."""
        granted, now = self._grants.of(viewer), self._exchange.clock.now()
        with self._books:
            self._follow()  # what was opened at another console counts before this is shown
            crossing = self._browsing.shut(granted, now, plain_id(about))
        if crossing is not None:
            # Once per hour: a program that keeps asking must not fill the log.
            if self._news(f"{granted}/{TOO_MANY}/{crossing.window.isoformat()}"):
                self._write(_Look(viewer, granted, page, about, TOO_MANY))
            raise TooManyLooks(crossing, now)
        self._write(_Look(viewer, granted, page, about, ""))
        self._watch(viewer, granted)

    def refused(self, viewer: Viewer, page: str, why: str) -> None:
        """Record that a viewer was refused. Beyond the limit only the first of each hour."""
        granted, now = self._grants.of(viewer), self._exchange.clock.now()
        with self._books:
            crossing = self._browsing.shut(granted, now)
        if crossing is not None and not self._news(
            f"{granted}/{TOO_MANY}/{crossing.window.isoformat()}"
        ):
            return
        self._write(_Look(viewer, granted, page, "", why))
        self._watch(viewer, granted)

    def _write(self, look: _Look) -> None:
        with self._queue:
            self._waiting.append(look)
        with self._turn:
            if not look.done:
                with self._queue:
                    batch, self._waiting = self._waiting, []
                self._commit(batch)
        if look.failure is not None:
            raise look.failure

    def _commit(self, batch: list[_Look]) -> None:
        failure: BaseException | None = None
        try:
            self._exchange.commit(lambda draft: self._draft(draft, batch))
        except BaseException as wrong:
            failure = wrong
        for one in batch:
            one.done, one.failure = True, failure

    def _draft(self, draft: Draft, batch: list[_Look]) -> None:
        seen = draft.head
        for one in batch:
            stream = looks_stream(one.viewer.name)
            draft.add(
                ConsoleLooked(
                    originator_id=stream,
                    originator_version=self._exchange.version_of(draft, stream) + 1,
                    timestamp=draft.now,
                    viewer=one.viewer.name,
                    granted=one.granted,
                    role=one.viewer.role,
                    agency=one.viewer.agency or "",
                    page=one.page,
                    about=plain_id(one.about),
                    seen=seen,
                    refused=one.refused,
                )
            )

    # -- alarms ----------------------------------------------------------------------------

    def _watch(self, viewer: Viewer, granted: int) -> None:
        now = self._exchange.clock.now()
        with self._books:
            self._follow()
            crossings = list(self._browsing.crossed(granted, now))
        for one in crossings:
            ref = f"{granted}/{one.rule}/{one.window:%Y-%m-%dT%H}"
            if self._news(ref):
                due = now if viewer.role == "auditor" else now + ALARM_DUE
                raise_item(self._exchange, ALARM, ref, due=due)

    def _follow(self) -> None:
        """Count what was recorded since, here and in other processes."""
        log = self._exchange.log
        head = log.head
        while rows := log.read(self._seen, PAGE, TOPICS):
            for one in rows:
                assert isinstance(one.event, ConsoleLooked)
                self._browsing.note(one.event)
                self._seen = one.position
        self._seen = max(self._seen, head)

    def _news(self, ref: str) -> bool:
        with self._books:
            if ref in self._told:
                return False
            if len(self._told) > PAGE:
                self._told.clear()  # raising twice is harmless: an item is one per ref
            self._told.add(ref)
            return True


def plain_id(about: str) -> str:
    """An id as the log has it: of a case 32 hexadecimal digits, however it was written."""
    try:
        return UUID(about).hex
    except ValueError:
        return about[:MOST_ABOUT]


def looks_stream(viewer: str) -> UUID:
    """The stream of a viewer's looks."""
    return stream_id("looks", viewer)
