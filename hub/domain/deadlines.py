"""Deadlines an event states for itself: none may be over before the event happened.

A referral to be answered by yesterday would lapse the moment it is recorded, and its sender would
be told that nobody answered. So it is refused, with what to correct. Measured against the time
the event happened, as the agency says, and not against the clock: what is reported late and was
right on its day is taken. A consent's own dates when it is given are looked at in `guards.py`.

Deliberately not here: dates that only describe what is over (an appeal window, a recovery period);
an amendment that narrows a consent, which may end it at once; and a person's request (T08), which
is taken whatever date stands on it and is overdue at once, to the data controller.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from hub.domain.dates import day, instant
from hub.domain.guards import Refusal

# Per type: what the last day or instant is called, and if given, the fact and values it counts for.
DEADLINES: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "ReferralMade": ("respond_by", "", ()),
    "CaseClosed": ("retention_until", "", ()),
    "ReturnCompleted": ("follow_up_due", "", ()),
    "ResidencePermitDecided": ("valid_until", "outcome", ("granted", "renewed")),
    "ConsentAmended": ("valid_until", "reason", ("renewal", "widened", "reached_18")),
}


def over_before_it_began(
    event_type: str, facts: Mapping[str, Any], happened: datetime
) -> Refusal | None:
    """Why the event is refused for its deadline, or None. happened: in UTC, as the agency says."""
    name, fact, values = DEADLINES.get(event_type, ("", "", ()))
    if not name or (fact and facts.get(fact) not in values):
        return None
    last = facts.get(name)
    at = instant(last)
    if at is not None:
        return _PAST if at < happened else None
    until = day(last)
    return _PAST if until is not None and until < happened.date() else None


_PAST: Final = Refusal("deadline_past")
