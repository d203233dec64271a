"""Grants as the console asks for them: with every page, against the log as it is now.

Another process may have revoked a grant a moment ago. So each request compares where the log ends
with where we last read, and reads what is new: the cost is one short query.
"""

from __future__ import annotations

import threading
from typing import Protocol

from hub.authority.viewers import TOPICS, Granted, Viewers
from hub.console.viewer import Viewer
from hub.recording.draft import stream_id
from hub.store.log import HubLog, Recorded

PAGE = 1_000


class Grants(Protocol):
    """Who may be here."""

    def stand(self, viewer: Viewer, granted: int) -> bool:
        """Whether the grant a session rests on, by its log position, still stands."""

    def of(self, viewer: Viewer) -> int:
        """Log position of the viewer's grant; 0 without one."""


class EverybodyGranted:
    """For tests of pages alone."""

    def stand(self, viewer: Viewer, granted: int) -> bool:  # noqa: ARG002
        return True

    def of(self, viewer: Viewer) -> int:  # noqa: ARG002
        return 0


class GrantsOnRecord:
    """The grants in the log. Safe between threads."""

    def __init__(self, log: HubLog, hub: str) -> None:
        self._log = log
        self._stream = stream_id("viewers", hub)
        self._viewers: Viewers | None = None
        self._seen = 0
        self._lock = threading.Lock()

    def viewers(self) -> Viewers:
        """Everybody on record, as of the log's end."""
        with self._lock:
            head = self._log.head
            if self._viewers is None:
                self._viewers = Viewers()
                for one in self._log.stream(self._stream):
                    self._apply(one)
            elif head > self._seen:
                while rows := self._log.read(self._seen, PAGE, TOPICS):
                    for one in rows:
                        self._apply(one)
            self._seen = max(self._seen, head)
            return self._viewers

    def _apply(self, one: Recorded) -> None:
        assert self._viewers is not None
        self._viewers.apply(one.position, one.event)
        self._seen = max(self._seen, one.position)

    def stand(self, viewer: Viewer, granted: int) -> bool:
        return self.viewers().stands(viewer.name, granted) is not None

    def of(self, viewer: Viewer) -> int:
        found = self.viewers().standing.get(viewer.name)
        return found.position if found is not None else 0


def viewer_of(granted: Granted) -> Viewer:
    """The person a grant lets in."""
    grant = granted.grant
    return Viewer(grant.viewer, grant.role, grant.agency or None, grant.how)
