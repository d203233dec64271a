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

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from hub.domain.case import Case, CaseEvent
from hub.domain.settlement import Settlement

MARKED: Final = "publisher"  # follower of the log: what is settled up to its position is marked
WITHDRAWING: Final = frozenset({"ConsentWithdrawn", "ConsentAmended"})
STATING: Final = frozenset({"ConsentGiven", "ConsentAmended"})
MOST_TOLD: Final = 25  # items in one answer, so that a whole batch of them fits a message

Flight = list[tuple[str, str, tuple[str, ...]]]  # recipient, event, categories


def in_flight(settlement: Settlement, unmarked: Iterable[Settlement]) -> Flight:
    """`unmarked`: what was settled in this case before this event and not marked, in order.

    What a withdrawal calls back is held at its position. It was held of what is marked, unless the
    first that happened to it since is that it was released.
    """
    released: dict[tuple[str, str, str], bool] = {}
    for one in unmarked:
        for recall in one.recalls:
            for event_id, names in recall.items:
                for name in names:
                    released.setdefault((recall.to, event_id, name), False)
        for agency, bases in one.released():
            for name in bases:
                released.setdefault((agency, one.event_id, name), True)
        for agency, events in one.backfill.items():
            for event_id, bases in events.items():
                for name in bases:
                    released.setdefault((agency, event_id, name), True)
    found: Flight = []
    for recall in settlement.recalls:
        for event_id, names in recall.items:
            sent = tuple(name for name in names if not released.get((recall.to, event_id, name)))
            if sent:
                found.append((recall.to, event_id, sent))
    return found


def is_own(case: Case, event_id: str, agency: str) -> bool:
    """Whether the agency itself published this event of the case."""
    event = case.find(event_id)
    return event is not None and event.emitter == agency


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
    held = case.holdings.get(agency, {})
    gone = {(event_id, name) for to, event_id, names in flight if to == agency for name in names}
    found: Flight = []
    for to, event_id, names in flight:
        if stated or to == agency:
            own = is_own(case, event_id, agency)
            seen = tuple(
                name
                for name in names
                if own or (event_id, name) in held or (event_id, name) in gone
            )
            if seen:
                found.append((to, reference(event_id), seen))
    return found


def written(flight: Flight) -> list[list[Any]]:
    """As recorded: JSON-ready."""
    return [[to, event, list(names)] for to, event, names in flight]


def read(recorded: Sequence[Sequence[Any]]) -> Flight:
    return [(to, event, tuple(names)) for to, event, names in recorded]
