"""In flight: what was being sent, or had been, on a consent at the moment it was withdrawn.

Pure. From a withdrawal's position on nothing resting on it is marked as sending any more. What was
marked before is called back; the acknowledgement says what that is:

    in flight  the items the withdrawal calls back, as far as they were marked as sending already.
               What was decided and not yet marked is not sent at all.
    told       of these, what the agency that published the withdrawal may know of. Any agency may
               take a withdrawal, so its answer must not tell who else was told what: it names a
               recipient only to an agency that itself stated the record, and of an event only what
               that agency published or holds. All of it stands in the log for the hub's operator.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from hub.domain.case import Case, CaseEvent
from hub.domain.settlement import Settlement

MARKED: Final = "publisher"  # follower of the log: what is settled up to its position is marked
WITHDRAWING: Final = frozenset({"ConsentWithdrawn", "ConsentAmended"})
STATING: Final = frozenset({"ConsentGiven", "ConsentAmended"})
MOST_TOLD: Final = 25  # items in one answer, so that a whole batch of them fits a message

Flight = list[tuple[str, str, tuple[str, ...]]]  # recipient, event, categories


def in_flight(settlement: Settlement, marked: Case) -> Flight:
    """`marked`: the case folded from what was settled and marked before this event."""
    found: Flight = []
    for recall in settlement.recalls:
        held = marked.holdings.get(recall.to, {})
        for event_id, names in recall.items:
            sent = tuple(name for name in names if (event_id, name) in held)
            if sent:
                found.append((recall.to, event_id, sent))
    return found


def told(
    flight: Flight, case: Case, withdrawal: CaseEvent, reference: Callable[[str], str]
) -> Flight:
    """What of it its publisher is told; `reference`: the publisher's own name for an event.

    `case` as it stands after the withdrawal.
    """
    agency = withdrawal.emitter
    consent_id = withdrawal.facts.get("consent_id")
    stated = any(
        one.emitter == agency and one.type in STATING and one.facts.get("consent_id") == consent_id
        for one in case.events
        if one.event_id != withdrawal.event_id
    )
    own = {one.event_id for one in case.events if one.emitter == agency}
    known = set(case.holdings.get(agency, {}))
    known |= {(event_id, name) for to, event_id, names in flight if to == agency for name in names}
    found: Flight = []
    for to, event_id, names in flight:
        if stated or to == agency:
            seen = tuple(name for name in names if event_id in own or (event_id, name) in known)
            if seen:
                found.append((to, reference(event_id), seen))
    return found


def written(flight: Flight) -> list[list[Any]]:
    """As recorded: JSON-ready."""
    return [[to, event, list(names)] for to, event, names in flight]


def read(recorded: Sequence[Sequence[Any]]) -> Flight:
    return [(to, event, tuple(names)) for to, event, names in recorded]
