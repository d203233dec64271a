"""Asked: what a bundle is to show, and up to where the log is looked at.

For a position that is asked for it is the first checkpoint over it, so that the same question gives
the same bytes however far the log has grown since; else the one this hub shows to the world.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from hub.audit.replay import case_named, position_of
from hub.audit.why import accepted_event
from hub.errors import Refused
from hub.exchange import Exchange
from hub.store import events as stored
from hub.store.log import Recorded
from hub.tlog.note import VerifierKey
from hub.transparency.export import published_checkpoint

LOOKED_AT = 500  # checkpoints, for one that witnesses have cosigned
WAIT = (
    "no checkpoint covers it yet: wait a second (a minute if a witness has just gone away), or if "
    "the hub is stopped start it once (nrm-hub serve), then ask again"
)


@dataclass(frozen=True)
class Asked:
    """What was typed. case: the common reference or the case's id; event: its id or position.

    categories: of an absence; None asks about all.
    """

    case: str | None = None
    event: str | None = None
    agency: str | None = None
    holder: str | None = None
    categories: Sequence[str] | None = None
    as_of: str | None = None
    earlier: bytes | None = None


@dataclass(frozen=True)
class Question:
    """The same in the hub's own names, with the checkpoint. end: no row after it is looked at."""

    case_id: UUID | None
    event: Recorded | None
    agency: str | None
    holder: str | None
    end: int
    size: int
    note: bytes
    fixed: bool  # `end` was asked for; otherwise it is the last one under a checkpoint

    def scope(self) -> dict[str, Any]:
        """As the manifest has it."""
        if self.event is not None:
            assert isinstance(self.event.event, stored.EventAccepted)
            event_id = str(UUID(bytes=self.event.event.event_id))
            return {"case": self.event.event.originator_id.hex, "event": event_id}
        if self.case_id is not None:
            return {"case": self.case_id.hex}
        return {"agency": self.agency}


def question(exchange: Exchange, asked: Asked, witnesses: Sequence[VerifierKey]) -> Question:
    """Raises Refused, with what to do, for what cannot be shown."""
    named = [one for one in (asked.case, asked.event, asked.agency) if one]
    if len(named) != 1:
        raise Refused(0, "one_scope", "give one of --case, --agency and --event")
    end, size, note = until(exchange, asked.as_of, witnesses)
    event = accepted_event(exchange, asked.event) if asked.event else None
    for agency in (asked.agency, asked.holder):
        if agency and agency not in exchange.agencies:
            raise Refused(0, "unknown_agency", f"{agency[:64]} is not enrolled")
    if asked.agency and asked.holder and asked.agency != asked.holder:
        raise Refused(0, "one_scope", "what one agency was sent is not for another to hold")
    if event is not None and event.position > end:
        raise Refused(0, "no_checkpoint", WAIT)
    return Question(
        case_named(exchange, asked.case) if asked.case else None,
        event,
        asked.agency,
        asked.holder,
        end,
        size,
        note,
        bool(asked.as_of),
    )


def until(
    exchange: Exchange, as_of: str | None, witnesses: Sequence[VerifierKey]
) -> tuple[int, int, bytes]:
    """The last position looked at, and a checkpoint that covers it: size and note.

    The first one over a position asked for: of those soon after, the first that most have cosigned.
    """
    log = exchange.log
    latest = log.latest_checkpoint()
    if latest is None:
        raise Refused(0, "no_checkpoint", WAIT)
    if not as_of:
        now = exchange.clock.now().timestamp()
        size, note = published_checkpoint(log, witnesses, now) or latest
        return size, size, note.encode()
    end = position_of(log, as_of)
    if end < 1:
        raise Refused(0, "bad_as_of", "nothing was recorded by then")
    if end > latest[0]:
        raise Refused(0, "no_checkpoint", WAIT)
    found = log.checkpoints(end - 1, LOOKED_AT)
    size, note = max(found, key=lambda one: one[1].count("\n\N{EM DASH} "))  # the first of these
    return end, size, note.encode()
