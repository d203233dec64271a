"""Agenda: what each recorded event puts on the work list, moves on it and takes off it.

`follow` is asked once per event, in log order, after the case has taken the event in. It is pure:
the case, what was decided, the profile and the items open so far are arguments, and the answer is
the items as they stand afterwards. Rules are functions by event type, one file per region.

    look.py        what a rule sees and may do; who owns an item
    procedure.py   identification, recovery and hold, reconsideration, prosecution
    agreement.py   referrals, transfers, consents
    person.py      child, permit, return, requests, break-glass, retention
    seen.py        what was withheld, what can be contested
    fires.py       what the hub itself publishes when an item falls due
"""

from __future__ import annotations

from hub.domain.agenda import agreement, person, procedure, seen
from hub.domain.agenda.look import Look
from hub.domain.work import WorkItem

__all__ = ["Look", "follow"]

_RULES = (agreement.RULES, procedure.RULES, person.RULES, seen.RULES)


def follow(look: Look) -> list[WorkItem]:
    """Items that the event opened, moved or settled, as they stand now."""
    for rules in _RULES:
        for rule in rules.get(look.event.type, ()):
            rule(look)
    seen.withheld(look)
    return list(look.changed.values())
