"""Alarms: whatever keeps deliveries from arriving is named here, with since when, until it is over.

    with alarms.hub(): …                    what fails for want of the hub raises `hub_unreachable`
    with alarms.partner(applying=True): …   what fails for want of the sink raises `partner_down`
    alarms.sound(reason, detail), alarms.end(reason)

A reason is told once when it comes up and once when it is over, however often it is found again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from connectors.errors import SinkDownError, TransportDownError

log = logging.getLogger(__name__)

ALARMS: Final = {
    "hub_unreachable": "neither messages nor receipts get through to the hub",
    "partner_down": "the partner's system does not take anything; deliveries wait",
    "sequence_gap": (
        "a delivery is missing and later ones wait for it: stop the connector, fetch it from the "
        "hub's log with `connector run --once --via http`, start the connector again"
    ),
    "quarantined": "deliveries are in quarantine: look at `connector quarantine`",
    "strangers": "messages that are not the hub's lie on this agency's topic",
    "notice_unsent": "no mail tells that deliveries arrived: look at [notice] and its mail server",
    "registry": "the registry cannot be fetched or trusted: evidence of new keys cannot be checked",
}
"""Every alarm a runner raises, with what it means."""


@dataclass
class Alarm:
    """Something that keeps deliveries from arriving, until it is over.

    applying: it came up while a batch was applied.
    """

    reason: str
    detail: str
    since: datetime
    applying: bool = False


class Alarms(dict[str, Alarm]):
    """The alarms that are raised now, by reason."""

    def __init__(self, clock: Callable[[], datetime], told: Callable[[Alarm, bool], None]) -> None:
        """told(alarm, raised): called when one is raised (True) and when it is over (False)."""
        super().__init__()
        self._clock = clock
        self._told = told

    def sound(self, reason: str, detail: str, *, applying: bool = False) -> None:
        """Raise it, or take over the newer detail."""
        known = self.get(reason)
        applying = applying or (known is not None and known.applying)
        if known is not None and (known.detail, known.applying) == (detail, applying):
            return
        alarm = Alarm(reason, detail, known.since if known else self._clock(), applying)
        self[reason] = alarm
        if known is None:
            log.warning("%s: %s", reason, detail)
            self._told(alarm, True)

    def end(self, reason: str) -> None:
        """It is over, if it was raised."""
        alarm = self.pop(reason, None)
        if alarm is not None:
            log.info("%s is over", reason)
            self._told(alarm, False)

    @contextmanager
    def hub(self) -> Iterator[None]:
        """The body needs the hub."""
        try:
            yield
        except TransportDownError as down:
            self.sound("hub_unreachable", str(down))
            raise
        self.end("hub_unreachable")

    @contextmanager
    def partner(self, *, applying: bool = False) -> Iterator[None]:
        """The body needs the partner's system. What failed in applying is over only when something
        is applied: that the books can be read says little, they may be kept beside the system."""
        try:
            yield
        except SinkDownError as down:
            self.sound("partner_down", str(down), applying=applying)
            raise
        known = self.get("partner_down")
        if known is not None and (applying or not known.applying):
            self.end("partner_down")
