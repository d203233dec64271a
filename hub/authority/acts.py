"""Acts: what is asked of every officer's signature, whatever it is about, and how it is recorded.

Whose key it is, that another officer proposed what is approved, that a reason is given. Asked
inside the transaction that records the act, on the log as it is then. Each raises Refused with a
code of docs/policy.md.
"""

from __future__ import annotations

from typing import Any, Final

from hub.authority.officers import Officer, OfficerKey, Officers
from hub.errors import Refused
from hub.exchange import Exchange
from hub.recording.draft import Draft, stream_id
from hub.store.events import StoreEvent
from hub.store.log import HubLog

MOST_REASON: Final = 500
NO_OFFICERS: Final = (
    "no officers yet; two or more persons run nrm-hub officer create, then the operator "
    "nrm-hub officer admit with all their requests"
)


def officers_of(log: HubLog, hub: str) -> Officers:
    """The officers on record."""
    found = Officers()
    for one in log.stream(stream_id("officers", hub)):
        found.apply(one.position, one.event)
    return found


def signing(known: Officers, officer: OfficerKey, position: int) -> Officer:
    """The officer on record whose key this is."""
    if not len(known):
        raise Refused(0, "no_officers", NO_OFFICERS)
    found = known.get(officer.key.key_id)
    if found is None or found.public != officer.key.public or found.name != officer.name:
        raise Refused(0, "unknown_officer", "this key is not an officer's here: officer admit it")
    if not found.valid_at(position):
        raise Refused(0, "revoked_officer", f"the key of {found.name} was revoked")
    return found


def second(known: Officers, by: Officer, proposed_by: str, key_id: bytes, position: int) -> None:
    """Refused unless `by` is another person than who proposed, whose key still stands."""
    first = known.get(key_id)
    if first is None or not first.valid_at(position):
        raise Refused(
            0,
            "proposer_revoked",
            f"{proposed_by}'s key was revoked: let another officer propose it",
        )
    if first.name == by.name or first.key_id == by.key_id:
        raise Refused(0, "same_person", f"{by.name} proposed it; another officer has to approve")


def reasoned(reason: str) -> None:
    """Refused unless somebody says why, and briefly."""
    if not reason.strip() or len(reason) > MOST_REASON:
        raise Refused(0, "reason_needed", f"say why, in 1 to {MOST_REASON} characters: --reason")


class Acts:
    """What is recorded of one hub's officers, of what they decide and whom they admit."""

    def __init__(self, exchange: Exchange, hub: str) -> None:
        self._exchange = exchange
        self._hub = hub

    def record(self, draft: Draft, stream: str, kind: type[StoreEvent], **fields: Any) -> int:
        """Append one event to a stream of this hub; returns its position."""
        where = stream_id(stream, self._hub)
        return draft.add(
            kind(
                originator_id=where,
                originator_version=self._exchange.version_of(draft, where) + 1,
                timestamp=draft.now,
                **fields,
            )
        )
