"""Deadlines an event states for itself: none may be over before the event happened.

A referral to be answered by yesterday would lapse the moment it is recorded, and its sender would
be told that nobody answered. So it is refused, with what to correct. Measured against the time
the event happened, as the agency says, and not against the clock: what is reported late and was
right on its day is taken.

Deliberately not here: dates that only describe what is over (an appeal window, a recovery period);
an amendment that narrows a consent, which may end it at once; and a person's request (T08), which
is taken whatever date stands on it and is overdue at once, to the data controller.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Final

from hub.domain.dates import day, instant
from hub.domain.guards import Refusal

# Per type: what the last day or instant is called, and if given, the fact and values it counts for.
DEADLINES: Final[Mapping[str, tuple[str, str, tuple[str, ...]]]] = {
    "ConsentGiven": ("valid_until", "", ()),
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
    at, until = instant(facts.get(name)), day(facts.get(name))
    if (at is not None and at >= happened) or (at is None and not _over(until, happened.date())):
        return None
    return _CONSENT_PAST if event_type == "ConsentGiven" else _PAST


def _over(until: date | None, today: date) -> bool:
    return until is not None and until < today


_PAST: Final = Refusal("deadline_past")
_CONSENT_PAST: Final = Refusal("validity_past")
