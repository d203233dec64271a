"""Register and profile as they stood at any position of the log: what a decision was made on."""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections import OrderedDict

from hub import profiles
from hub.agencies import Agencies
from hub.domain.parties import Parties
from hub.domain.policy import PolicyProfile
from hub.store import events as stored
from hub.store.log import HubLog, Recorded

PAGE = 5_000
KEPT = 64  # registers of agencies kept in memory, each as of one position
_REGISTER = frozenset(
    one.TOPIC for one in (stored.AgencyEnrolled, stored.AgreementSigned, stored.AgreementEnded)
)


class Register:
    """The register of agencies as of any position, a few of them kept."""

    def __init__(self, log: HubLog) -> None:
        self._events: list[Recorded] = []
        self._kept: OrderedDict[int, Parties] = OrderedDict()
        after = 0
        while page := log.read(after, PAGE, _REGISTER):
            self._events.extend(page)
            after = page[-1].position
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
