"""Evidence bundles made at the console: for auditors and operators, never with content.

There is no holder here, so nothing is opened. One is made at a time, and only as large as a page
may take; what is larger is for the command `nrm-hub audit bundle`.
"""

from __future__ import annotations

import shlex
import threading
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from hub.audit.evidence import Asked, Made, bundle
from hub.audit.evidence.bundle import Signing
from hub.audit.replay import case_named
from hub.audit.why import accepted_event
from hub.errors import Refused
from hub.exchange import Exchange
from hub.recording.draft import delivery_stream
from hub.store.events import Sending

MOST_ROWS: Final = 4_000
"""Of the cases or the delivery log asked for, together."""
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Wanted:
    """What was typed: exactly one of case (reference or id), event (id or position), agency."""

    case: str = ""
    event: str = ""
    agency: str = ""
    as_of: str = ""

    def asked(self) -> Asked:
        return Asked(self.case or None, self.event or None, self.agency or None, as_of=self.as_of)

    def command(self) -> str:
        """The same, typed at the hub."""
        options = [
            f"{name} {shlex.quote(value)}"
            for name, value in (
                ("--case", self.case),
                ("--event", self.event),
                ("--agency", self.agency),
                ("--as-of", self.as_of),
            )
            if value
        ]
        return " ".join(["nrm-hub audit bundle --out bundle.zip", *options])

    def about(self, exchange: Exchange) -> str:
        """Id of the case or agency it is about. Raises Refused for what is not there."""
        if sum(map(bool, (self.case, self.event, self.agency))) != 1:
            raise Refused(0, "one_scope", "fill in one of case, event and agency")
        if self.agency:
            if self.agency not in exchange.agencies:
                raise Refused(0, "unknown_agency", "this agency is not enrolled")
            return self.agency
        if self.event:
            stream: UUID = accepted_event(exchange, self.event).event.originator_id
            return stream.hex
        case_id = case_named(exchange, self.case)
        if not exchange.log.stream(case_id, limit=1):
            raise Refused(0, "unknown_case", "no case is known by this reference or id")
        return case_id.hex


def made(exchange: Exchange, wanted: Wanted, by: Signing) -> Made:
    """The bundle. Raises Refused: `too_large_here`, `busy`, or what the command would say."""
    if not _one_at_a_time.acquire(blocking=False):
        raise Refused(0, "busy", "another bundle is being made: try again in a minute")
    try:
        _small_enough(exchange, wanted)
        return bundle(exchange, wanted.asked(), by)
    finally:
        _one_at_a_time.release()


def _small_enough(exchange: Exchange, wanted: Wanted) -> None:
    """Counted before anything is read. Raises Refused."""
    log, about = exchange.log, wanted.about(exchange)
    if wanted.agency:
        streams = {delivery_stream(about)}
        if log.last_version(delivery_stream(about)) <= MOST_ROWS:
            streams |= cases_of(exchange, about)
    else:
        streams = {UUID(hex=about)}
    rows = 0
    for stream in streams:
        rows += log.last_version(stream)
        if rows > MOST_ROWS:
            raise Refused(
                0, "too_large_here", "this is more than a page may take: run the command at the hub"
            )


def cases_of(exchange: Exchange, agency: str) -> set[UUID]:
    """Cases about which this agency was sent anything."""
    found = exchange.log.stream(delivery_stream(agency))
    return {UUID(bytes=one.event.case_id) for one in found if isinstance(one.event, Sending)}
