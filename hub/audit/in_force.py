"""In force: the register of agencies and the policy profile, at every position of a log.

`InForce` goes along with a walk through the log and stands at the row last taken. `Register` and
`Profiles` answer for any position, in any order, for those who read case by case.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from typing import Final

from hub.authority import profiles
from hub.domain.parties import HUB_ROLE, Parties
from hub.domain.policy import PolicyProfile
from hub.domain.settlement import Settlement
from hub.errors import Inconsistent
from hub.membership.agencies import CHANGES, Agencies
from hub.store import events as stored
from hub.store.events import StoreEvent
from hub.store.log import HubLog, Recorded

KEPT: Final = 64  # registers of agencies kept in memory, each as of one position

REGISTER: Final = frozenset(one.TOPIC for one in CHANGES)
TOPICS: Final = REGISTER | {stored.PolicyPublished.TOPIC}


class InForce:
    """Register and profile as of the row last given to `apply`."""

    def __init__(self) -> None:
        self.agencies = Agencies()
        self._profile: PolicyProfile | None = None

    @classmethod
    def at(cls, log: HubLog, position: int) -> InForce:
        """As after everything recorded up to and with a position."""
        found = cls()
        for one in log.every(TOPICS, until=position):
            found.apply(one.position, one.event)
        return found

    def apply(self, position: int, event: StoreEvent) -> None:
        self.agencies.apply(position, event)
        if isinstance(event, stored.PolicyPublished):
            self._profile = PolicyProfile.as_recorded(json.loads(event.document))

    @property
    def parties(self) -> Parties:
        return self.agencies.parties()

    @property
    def profile(self) -> PolicyProfile:
        if self._profile is None:
            raise Inconsistent("no policy profile was recorded before this event")
        return self._profile


class Register:
    """The register of agencies as of any position, a few of them kept."""

    def __init__(self, log: HubLog) -> None:
        self._events: list[Recorded] = list(log.every(REGISTER))
        self._kept: OrderedDict[int, Parties] = OrderedDict()
        self._positions = [one.position for one in self._events]

    def as_of(self, position: int) -> Parties:
        """As after everything recorded up to and with a position."""
        known = bisect_right(self._positions, position)
        parties = self._kept.get(known)
        if parties is None:
            agencies = Agencies()
            for one in self._events[:known]:
                agencies.apply(one.position, one.event)
            parties = self._kept[known] = agencies.parties()
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(known)
        return parties


class Profiles:
    """Every profile ever in force, each read when first asked for."""

    def __init__(self, log: HubLog) -> None:
        self._versions = profiles.versions(log)
        self._read: dict[int, PolicyProfile] = {}

    def at(self, position: int) -> PolicyProfile:
        """The profile that decided an event at a position: the last one recorded before it."""
        index = max(bisect_left([one.position for one in self._versions], position) - 1, 0)
        if index not in self._read:
            document = json.loads(self._versions[index].document)
            self._read[index] = PolicyProfile.as_recorded(document)
        return self._read[index]


def decisions_in(settlement: Settlement, emitter: str, parties: Parties) -> int:
    """How many decisions one settlement holds: every agency asked, times every category, and
    every item of a backfill or a recall."""
    asked = sum(len(parties.by_role(role)) for role in parties.roles)
    party = parties.get(emitter)
    if party is not None and party.role != HUB_ROLE:
        asked -= 1
    return (
        asked * len(settlement.categories)
        + sum(len(bases) for events in settlement.backfill.values() for bases in events.values())
        + sum(len(names) for one in settlement.recalls for _, names in one.items)
    )
