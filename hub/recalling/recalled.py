"""Recalled: what was taken back from a recipient after it had been marked for it.

A delivery may wait between being marked and being sealed: the broker was away, its topic was lost,
the recipient had no key, or it asks over HTTP days later. What was recalled meanwhile is not sealed
any more. The delivery keeps its place in the sequence, with nothing of it inside, and the recall
follows.

Known from the recipients' delivery logs, of which each row is read once. For any thread.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping

from hub.recording.draft import delivery_stream
from hub.store import events as stored
from hub.store.log import HubLog

Item = tuple[str, str]  # event, category
PAGE = 2_000


class Recalled:
    """For one process."""

    def __init__(self, log: HubLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._from: dict[str, int] = {}  # agency → the sequence after which it was read …
        self._to: dict[str, int] = {}  # … and up to which
        self._items: dict[str, dict[Item, int]] = {}

    def note(self, sending: stored.Sending) -> None:
        """What was just marked here, so that it need not be read."""
        if self._to.get(sending.agency) == sending.originator_version - 1:
            with self._lock:
                self._take(sending)

    def since(self, agency: str, sequence: int, marked: int | None = None) -> Mapping[Item, int]:
        """Items recalled by deliveries after `sequence`, each with the last one that did.

        marked: the last sequence there is, if that is known.
        """
        with self._lock:
            if sequence < self._from.get(agency, sequence + 1):
                self._from[agency] = self._to[agency] = sequence
                self._items[agency] = {}
            while marked is None or self._to[agency] < marked:
                page = self._log.stream(
                    delivery_stream(agency), after_version=self._to[agency], limit=PAGE
                )
                for one in page:
                    assert isinstance(one.event, stored.Sending)
                    self._take(one.event)
                if not page:
                    break
            found = self._items[agency]
            return {item: at for item, at in found.items() if at > sequence} if found else {}

    def _take(self, sending: stored.Sending) -> None:
        agency, sequence = sending.agency, sending.originator_version
        if sequence <= self._to[agency]:
            return
        self._to[agency] = sequence
        if sending.kind == "recall":
            items = self._items[agency]
            for event_id, categories in json.loads(sending.items)["items"]:
                for category in categories:
                    items[event_id, category] = sequence


def left_of(
    bases: Mapping[str, str], event_id: str, sequence: int, recalled: Mapping[Item, int]
) -> dict[str, str]:
    """Of what a delivery was marked with, the categories that no later one took back."""
    return {
        category: basis
        for category, basis in bases.items()
        if recalled.get((event_id, category), 0) < sequence
    }
