"""Sight: which items an agency may be shown, and as what.

Only its own, or those of its role in a case in which it has a part; and only if it knows of the
event that opened the item, because a list that grows by events withheld from somebody would tell
of them. For the same reason an item that was settled by an event its owner knows nothing of
(`moot`) still looks open to its owner. Two kinds are shown regardless, on purpose: what the case
holder may contest, and what an agency is asked to give back.

An auditor (the role the profile always gives the audit category) sees its role's items without a
part in any case: they hold no content.
"""

from __future__ import annotations

from bisect import bisect_left
from datetime import datetime

from hub.domain.case import Case
from hub.domain.parties import Party
from hub.domain.policy import PolicyProfile
from hub.domain.work import MOOT, OPEN, WorkItem
from hub.domain.work_kinds import KINDS


def sees(
    item: WorkItem, party: Party, case: Case | None, profile: PolicyProfile, now: datetime
) -> bool:
    """Whether this agency is shown this item now. case: the item's, if it has one."""
    mine = item.agency == party.agency
    of_role = not item.agency and item.role == party.role
    if item.state != OPEN and not (mine and item.state == MOOT):
        return False
    if profile.mode(party.role, "audit") == "A":
        return mine or of_role or (item.escalates == party.role and item.overdue(now))
    if not mine and not of_role:
        return False
    if case is None:
        return True
    kind = KINDS[item.kind]
    if kind.regardless and mine:
        return True
    if not case.involved(party.agency) and not (kind.own and mine):
        return False
    return _knows(case, party.agency, item.position, kind.rests_on)


def _knows(case: Case, agency: str, position: int, category: str) -> bool:
    """Whether the agency published the event at this position, or holds something of it."""
    index = bisect_left(case.events, position, key=lambda one: one.position)
    if index == len(case.events) or case.events[index].position != position:
        return False
    event = case.events[index]
    held = case.holdings.get(agency, {})
    wanted = (category,) if category else event.categories
    return event.emitter == agency or any((event.event_id, one) in held for one in wanted)
