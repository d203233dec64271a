"""Served: how far each recipient's topic was served, in the life it has now.

Topics are transport and may be lost: a broker wiped, a topic deleted and made again. Then whatever
its recipient has not acknowledged is sent again from the log. A life is told by the identities of
the recipient's topic and of the receipts topic, for a receipt that was lost unread is had again by
sending again what it was for. How far a life was served is a follower of the log under its name.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection, Mapping

from hub.crypto.pseudonyms import Pseudonyms
from hub.store.log import HubLog
from hub.topics.port import Topics, UnknownTopicError

RECEIPTS_TOPIC = "nrm.receipts"
LOOK_AT = 20  # recipients asked about in one look, so that a look stays short


class Served:
    """For one publisher, in its thread. Its methods may raise TopicUnavailable."""

    def __init__(self, log: HubLog, topics: Topics, names: Pseudonyms) -> None:
        self._log = log
        self._topics = topics
        self._names = names
        self._lives: dict[str, str] = {}
        self._turn: deque[str] = deque()

    def resume(self, agency: str, marked: int) -> int:
        """The sequence after which sending goes on, of `marked` there are."""
        followers = self._log.counts().followers
        acknowledged = followers.get(f"acknowledged/{agency}", 0)
        if marked <= acknowledged:
            return acknowledged
        return max(acknowledged, followers.get(self.follower(agency), 0))

    def follower(self, agency: str) -> str:
        """Name under which is kept how far this life of the recipient's topic was served."""
        if agency not in self._lives:
            self._lives[agency] = self._life(agency, self._identity(RECEIPTS_TOPIC))
        return f"sent/{agency}/{self._lives[agency]}"

    def lost(self, waiting: Collection[str]) -> list[str]:
        """Of those that wait for a receipt: whose topic began another life since it was served.

        Asks about some of them, about the others in the next looks.
        """
        known = [agency for agency in waiting if agency in self._lives]
        if not known:
            return []
        if not self._turn:
            self._turn.extend(known)
        receipts = self._identity(RECEIPTS_TOPIC)
        found = []
        for _ in range(min(LOOK_AT, len(self._turn))):
            agency = self._turn.popleft()
            if agency in known and self._life(agency, receipts) != self._lives[agency]:
                self.forget(agency)
                found.append(agency)
        return found

    def forget(self, agency: str) -> None:
        """Ask again which life the recipient's topic has."""
        self._lives.pop(agency, None)

    def _life(self, agency: str, receipts: str) -> str:
        own = self._identity(self._names.topic("nrm.d", agency))
        return hashlib.sha256(f"{own}\n{receipts}".encode()).hexdigest()[:16]

    def _identity(self, topic: str) -> str:
        try:
            return self._topics.identity(topic)
        except UnknownTopicError:
            self._topics.ensure([topic])
            return self._topics.identity(topic)


def progress(followers: Mapping[str, int], sent: Mapping[str, int]) -> dict[str, int]:
    """What of `sent` (follower → sequence) is news: followers never go back."""
    return {name: sequence for name, sequence in sent.items() if sequence > followers.get(name, 0)}
