"""Answered: what the sender of an event was told, read back from the log.

The same event again gets the same outcome; an outcome is never made twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from hub.errors import Refused
from hub.recalling.in_flight import WITHDRAWING, read
from hub.store import events as stored
from hub.store.events import StoreEvent
from hub.store.log import AdmissionKey, HubLog
from hub.submission import Admission


@dataclass(frozen=True, slots=True)
class OutcomeFacts:
    """What the sender is told about one event; `hub/outcomes.py` signs it.

    in_flight: of a withdrawal, what was on its way already, as far as the sender may know of it.
    """

    agency: str
    event_id: bytes | None
    digest: bytes
    accepted: bool
    position: int | None
    refusal: Refused | None
    recorded_at: datetime
    in_flight: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


def known(log: HubLog, admissions: Iterable[Admission]) -> dict[tuple[str, bytes], OutcomeFacts]:
    """Outcomes given before to these events, by agency and event id."""
    asked: dict[str, list[bytes]] = {}
    for admission in admissions:
        for event in admission.events:
            if event.event_id is not None:
                asked.setdefault(event.agency, []).append(event.event_id)
    return {
        (agency, event_id): _read(log, key)
        for agency, event_ids in asked.items()
        for event_id, key in log.admission(agency, event_ids).items()
    }


def answered(log: HubLog, agency: str, event_id: bytes) -> OutcomeFacts | None:
    """What the agency was told about its event; None if it never came in."""
    key = log.admission(agency, [event_id]).get(event_id)
    return _read(log, key) if key else None


def _read(log: HubLog, key: AdmissionKey) -> OutcomeFacts:
    event = log.read(key.position - 1, 1)[0].event
    refusal = None
    if isinstance(event, stored.Refused):
        refusal = Refused(event.step, event.reason, event.detail, event.guard)
    return OutcomeFacts(
        key.agency,
        key.event_id,
        key.digest,
        refusal is None,
        key.position if refusal is None else None,
        refusal,
        event.timestamp,
        _in_flight(log, key.position, event),
    )


def _in_flight(log: HubLog, position: int, event: StoreEvent) -> tuple[Any, ...]:
    """What the acknowledgement of a withdrawal listed; it stands behind its settlement."""
    if not isinstance(event, stored.EventAccepted) or event.event_type not in WITHDRAWING:
        return ()
    behind = log.read(position + 1, 1)
    found = behind[0].event if behind else None
    if not isinstance(found, stored.InFlight) or found.position != position:
        return ()
    return tuple(read(json.loads(found.told)))
