"""Redriving: what lies in quarantine is applied after all.

    the hub sends it once more            SetAside.redrive, by the runner
    its cause was removed at this site    redrive, by `nrm-hub connector redrive`

Each delivery in a transaction of its own, with a receipt; what is still no good stays where it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from connectors.dead_letters import a_recall
from connectors.delivery import Arrived, Poison
from connectors.errors import SinkRefusedError
from connectors.opening.opener import Opener
from connectors.sink import Aside, Sink
from connectors.telling.alarms import Alarms

log = logging.getLogger(__name__)


class SetAside:
    """Which sequences lie in the sink's quarantine, as a runner has to know.

    waiting: to be applied one day; some perhaps no longer. sequences: those, and what was
    discarded or recalled there.
    """

    def __init__(self, sink: Sink, alarms: Alarms) -> None:
        self.waiting: set[int] = set()
        self.sequences: set[int] = set()
        self._sink = sink
        self._alarms = alarms

    def look(self) -> None:
        """What the sink says now. Raises the alarm `quarantined`, or ends it."""
        rows = self._sink.aside()
        self.sequences, self.waiting = set(), set()
        self._take(rows)
        waiting = sum(row.state == "waiting" for row in rows)  # messages that are not the hub's too
        if waiting:
            self._alarms.sound("quarantined", f"{waiting} waiting")
        else:
            self._alarms.end("quarantined")

    def add(self, poison: set[int]) -> None:
        """These were set aside just now."""
        self.waiting |= poison
        self.sequences |= poison

    def redrive(
        self, items: Sequence[Arrived | Poison], at: datetime
    ) -> tuple[int, list[tuple[int, int]]]:
        """What the hub sent once more: how many were applied, and which others (as ranges of one)
        are to be answered as they were before.

        Before the cursor moves: cut off here, the message is read again and what is applied by
        then is no longer waiting.
        """
        if not items:
            return 0, []
        applied, repeated = 0, []
        asked = {one.sequence for one in items}
        rows = {row.sequence: row for row in self._sink.aside(asked)}
        for item in items:
            row = rows.get(item.sequence)
            if row is not None and _wanted(row, item) and self._applied(row, item, at):
                del rows[item.sequence]
                applied += 1
            else:
                repeated.append((item.sequence, item.sequence))
        self.sequences -= asked
        self.waiting -= asked
        self._take(self._sink.aside(asked))
        if not self.waiting:
            self.look()
        return applied, repeated

    def _take(self, rows: Iterable[Aside]) -> None:
        for row in rows:
            if row.sequence is not None:
                self.sequences.add(row.sequence)
                if row.state == "waiting":
                    self.waiting.add(row.sequence)

    def _applied(self, row: Aside, item: Arrived | Poison, at: datetime) -> bool:
        try:
            self._sink.redrive(row.id, [item], at)
        except SinkRefusedError as refused:
            log.warning("sequence %d is refused again: %s", item.sequence, refused.reason)
            return False
        return isinstance(item, Arrived) and row.state != "recalled"


def _wanted(row: Aside, item: Arrived | Poison) -> bool:
    """Whether the sink is to be asked; what was redriven at this side is no longer there.

    Discarded is for good, but for a recall that could not be read when it was: somebody waits for
    its answer. Of what was recalled meanwhile the sink takes what the recall has left.
    """
    return row.state in ("waiting", "recalled") or (row.state == "discarded" and a_recall([item]))


def redrive(
    sink: Sink,
    opener: Opener,
    *,
    at: datetime,
    only: int | None = None,
    told: Callable[[int, str, str], None] = lambda *_: None,
) -> tuple[int, int]:
    """Try everything in quarantine again, or one row; returns how many were applied, how many not.

    Messages that are not the hub's are left where they are. told: of a row that is still no good,
    the reason and the detail as they are now: another cause may have come to light.
    """
    applied = failed = 0
    for row in sink.quarantine():
        if row.sequence is None or not row.raw or (only is not None and row.id != only):
            continue
        items = opener.reopen(row.raw, row.sequence)
        try:
            sink.redrive(row.id, items, at)
        except SinkRefusedError as refused:
            failed += len(items)
            told(row.id, refused.reason, refused.detail)
            continue
        for item in items:
            if isinstance(item, Poison):
                told(row.id, item.reason, item.detail)
        good = sum(isinstance(item, Arrived) for item in items)
        applied += good
        failed += len(items) - good
    return applied, failed
