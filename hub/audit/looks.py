"""Looks: who opened what at the console, from the log. Refusals too; never content.

A look is recorded before anything is shown, so what is here is what could have been seen, at the
position named or a little later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from hub.errors import Refused
from hub.recording.draft import stream_id
from hub.store.events import ConsoleLooked
from hub.store.log import HubLog, Recorded

PAGE: Final = 2_000
TOPICS: Final = frozenset({ConsoleLooked.TOPIC})


@dataclass(frozen=True, slots=True)
class Look:
    """One look. about: id of a case or agency, or empty. refused: why nothing was shown."""

    position: int
    at: str
    viewer: str
    role: str
    agency: str
    page: str
    about: str
    seen: int
    refused: str


def looks(
    log: HubLog, *, viewer: str = "", about: str = "", after: int = 0, before: int | None = None
) -> Iterator[Look]:
    """Looks after a log position, oldest first; of one viewer, or about one case or agency.

    One viewer's are a stream of their own; others cost a pass over the rows after `after`.
    """
    rows = _of_viewer(log, viewer) if viewer else _all(log, after)
    for one in rows:
        event = one.event
        if before is not None and one.position > before:
            return
        if one.position <= after or not isinstance(event, ConsoleLooked):
            continue
        if about and event.about != about:
            continue
        yield Look(
            one.position,
            event.timestamp.isoformat(),
            event.viewer,
            event.role,
            event.agency,
            event.page,
            event.about,
            event.seen,
            event.refused,
        )


def position_before(log: HubLog, since: str) -> int:
    """The last position before what somebody typed: a position, a date (its beginning, UTC) or an
    instant. Raises Refused with what to type."""
    if since.isascii() and since.isdecimal():
        return int(since[:18])
    try:
        moment = datetime.fromisoformat(since)
    except ValueError:
        raise Refused(
            0, "bad_since", "give a log position, a date (2026-03-16) or an instant in UTC"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return log.position_at(moment - timedelta(microseconds=1))


def _of_viewer(log: HubLog, viewer: str) -> Iterator[Recorded]:
    stream, version = stream_id("looks", viewer), 0
    while rows := log.stream(stream, version, PAGE):
        yield from rows
        version = rows[-1].event.originator_version


def _all(log: HubLog, after: int) -> Iterator[Recorded]:
    while rows := log.read(after, PAGE, TOPICS):
        yield from rows
        after = rows[-1].position
