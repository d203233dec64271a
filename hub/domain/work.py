"""Work: what somebody has to do, or has to know, and who that is.

A work item is opened by a recorded event and ends by the event that settles it or by a person.
It names its kind (`work_kinds.py`), owner and times and holds codes, never content. Which events
open and settle it is in `hub/domain/agenda/`; that its time has come is recorded in the log like
anything else. So the list is a fold of the log, the same whenever it is made again.

    waiting   known, and nothing to do before `opens`
    open      to be done; overdue once `due` has passed
    moot      settled by an event its owner has no part in: to the owner it still looks open, so
              that a list tells nobody of events withheld from them
    done      settled, by an event or by a person
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID, uuid5

from hub.domain.work_kinds import KINDS

WAITING, OPEN, MOOT, DONE = "waiting", "open", "moot", "done"

WITHOUT_CASE: Final = UUID("0c4b7a52-6d0f-5e44-9f0e-5b7c2a7d9f31")  # namespace of such items

# Why a person closes an item. Codes, so that no content gets into a log that is never erased.
BECAUSE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "done": "It was done.",
        "done_elsewhere": "It was done outside the hub.",
        "person_told": "The person, or whoever had to be told, was told.",
        "not_needed": "It is not needed, after looking at the case.",
        "duplicate": "Another item stands for it.",
        "person_declined": "The person does not want it.",
        "seen": "It was seen and nothing is to be done.",
    }
)
CONTESTABLE: Final = frozenset({"age_dispute_contestable", "proceeding_contestable"})
CONTESTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "not_founded": "Nothing known supports it.",
        "against_the_person": "It was made against the person's interest.",
        "to_gain_access": "It was made to get at what is withheld.",
    }
)


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One item. Times are instants: `due` is the first one at which the item is overdue.

    ref: what it is about, for the events that settle it. fired: the `due` that was recorded as
    fallen due. subject: whom the case is about, as a pseudonymous id.
    """

    item: UUID
    kind: str
    ref: str
    role: str
    agency: str
    position: int
    since: datetime
    case_id: UUID | None = None
    subject: UUID | None = None
    escalates: str = ""
    opens: datetime | None = None
    due: datetime | None = None
    fired: datetime | None = None
    state: str = OPEN
    detail: Mapping[str, Any] = field(default_factory=dict)
    closed_at: datetime | None = None
    closed_by: str = ""
    closed_because: str = ""
    closed_position: int = 0

    @property
    def wakes(self) -> datetime | None:
        """When a clock has to look at this item next."""
        closed = self.state in (DONE, MOOT)
        if closed and not (self.closed_by and KINDS[self.kind].event):
            return None  # a person who closes an item keeps no consent from expiring
        if self.state == WAITING and self.opens is not None:
            return self.opens
        return None if self.due is None or self.fired == self.due else self.due

    def overdue(self, now: datetime) -> bool:
        return self.state == OPEN and self.due is not None and now >= self.due

    def begun(self) -> WorkItem:
        """Its waiting is over."""
        return replace(self, state=OPEN) if self.state == WAITING else self

    def fell_due(self, at: datetime) -> WorkItem:
        return replace(self, fired=at)

    def settled(
        self, at: datetime, position: int, *, by: str = "", because: str, moot: bool = False
    ) -> WorkItem:
        """Ended by an event (then `by` is empty) or by a person."""
        return replace(
            self,
            state=MOOT if moot else DONE,
            closed_at=at,
            closed_by=by,
            closed_because=because,
            closed_position=position,
        )


def item_id(case_id: UUID | None, kind: str, ref: str, position: int) -> UUID:
    """Stable, opaque, and another one when the same thing is opened again later."""
    return uuid5(case_id or WITHOUT_CASE, f"{kind}/{ref}/{position}")
