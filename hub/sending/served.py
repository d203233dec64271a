"""Served: how far each recipient's topic was served, in the life it has now.

Topics are transport and may be lost: a broker wiped, a topic deleted and made again. Then whatever
its recipient has not acknowledged is sent again from the log. A life is told by the identities of
the recipient's topic and of the receipts topic, for a receipt that was lost unread is had again by
sending again what it was for. How far a life was served is a follower of the log under its name.
A recipient that comes back with new keys after its own were revoked begins another life too: what
was sealed to a key that somebody else may hold is taken away, and sent again under the new one.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from hub import crash
from hub.crypto import signing
from hub.errors import Inconsistent
from hub.exchange import Exchange
from hub.membership.agencies import Agency
from hub.recording.draft import delivery_stream
from hub.topics.port import Appended, Message, Topics, UnknownTopicError
from schemas import wire
from schemas.avro import AvroError

RECEIPTS_TOPIC = "nrm.receipts"
LOOK_AT = 20  # recipients asked about in one look, so that a look stays short


@dataclass(frozen=True, slots=True)
class Batch:
    """So many deliveries of one recipient, sealed; last: the sequence of the last of them."""

    recipient: Agency
    messages: Sequence[Message]
    last: int
    count: int

    @property
    def size(self) -> int:
        return sum(message.size for message in self.messages)


class Served:
    """For one publisher, in its thread. Its methods may raise TopicUnavailable."""

    def __init__(self, exchange: Exchange, topics: Topics, hub_id: str, public: bytes) -> None:
        """public: of the key that deliveries are signed with."""
        self._log = exchange.log
        self._topics = topics
        self._names = exchange.pseudonyms
        self._agencies = exchange.agencies
        self._hub_id = hub_id
        self._public = public
        self._lives: dict[str, str] = {}
        self._turn: deque[str] = deque()
        # What was appended in this life: (last sequence of a batch, the topic's end behind it).
        self._ends: dict[str, deque[tuple[int, int]]] = {}

    def resume(self, agency: str, marked: int) -> int:
        """The sequence after which sending goes on, of `marked` there are."""
        followers = self._log.followers()
        acknowledged = followers.get(f"acknowledged/{agency}", 0)
        if marked <= acknowledged:
            return acknowledged
        served = followers.get(self.follower(agency))
        if served is None and self._returned(agency):
            self.empty(agency)
        return max(acknowledged, served or 0)

    def ready(self, agency: str) -> None:
        """Before the first append of a life: whether the log has the place of what comes next."""
        if agency not in self._ends:
            self.beyond(agency)
            self._ends[agency] = deque()

    def append_each(self, batches: Mapping[str, Batch]) -> dict[str, Appended]:
        """Append what is sealed for each of these recipients, all `ready`, at once."""
        topics = {agency: self._names.topic("nrm.d", agency) for agency in batches}
        done = self._topics.append_each(
            {topics[agency]: batch.messages for agency, batch in batches.items()}
        )
        crash.point("after_append")
        for agency, batch in batches.items():
            end = done[topics[agency]]
            if isinstance(end, int):
                self._ends[agency].append((batch.last, end))
        return {agency: done[topics[agency]] for agency in batches}

    def trim(self) -> None:
        """Remove from each topic what its recipient has acknowledged: nothing outlives delivery."""
        if not any(self._ends.values()):
            return
        followers = self._log.followers()
        before: dict[str, int] = {}
        acknowledged = {one: followers.get(f"acknowledged/{one}", 0) for one in self._ends}
        for agency, ends in self._ends.items():
            behind = [end for sequence, end in ends if sequence <= acknowledged[agency]]
            if behind:
                before[self._names.topic("nrm.d", agency)] = behind[-1]
        if before:
            self._topics.trim_each(before)
            for agency, ends in self._ends.items():
                while ends and ends[0][0] <= acknowledged[agency]:
                    ends.popleft()
            crash.point("after_trim")

    def empty(self, agency: str) -> None:
        """Take away what waits on the recipient's topic; the log has it."""
        topic = self._names.topic("nrm.d", agency)
        with suppress(UnknownTopicError):
            self._topics.trim(topic, self._topics.end(topic))

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

    def beyond(self, agency: str) -> None:
        """Raise Inconsistent if the recipient's topic holds a later delivery than the log marked.

        Then the log was put back to an older state, and its next sequences were given out before.
        """
        topic = self._names.topic("nrm.d", agency)
        end = self._topics.end(topic)
        seen = 0
        for message in self._topics.read(topic, max(0, end - 1), 1, 0.0) if end else []:
            seen = signed_sequence(message.value, self._hub_id, self._public) or 0
        marked = self._log.last_version(delivery_stream(agency))
        if seen > marked:
            raise Inconsistent(
                f"{agency} was sent delivery {seen}, the log ends at {marked}: it was put back to"
                " an older state. Nothing is sent on; read docs/operations-backup.md"
            )

    def forget(self, agency: str) -> None:
        """Ask again which life the recipient's topic has."""
        self._lives.pop(agency, None)
        self._ends.pop(agency, None)

    def _life(self, agency: str, receipts: str) -> str:
        own = self._identity(self._names.topic("nrm.d", agency))
        returned = self._returned(agency)
        life = f"{own}\n{receipts}" + (f"\n{returned}" if returned else "")
        return hashlib.sha256(life.encode()).hexdigest()[:16]

    def _returned(self, agency: str) -> int:
        """The position at which a recipient came back with new keys; 0 if never."""
        known = self._agencies.get(agency)
        return known.returned if known is not None else 0

    def _identity(self, topic: str) -> str:
        try:
            return self._topics.identity(topic)
        except UnknownTopicError:
            self._topics.ensure([topic])
            return self._topics.identity(topic)


def signed_sequence(raw: bytes, hub_id: str, public: bytes) -> int | None:
    """Last sequence of a message of sealed deliveries, if this hub signed it; else None."""
    try:
        sealed = wire.SEALED_DELIVERIES.unsingle(raw)
        info = (
            f"nrm.deliveries.v1\n{hub_id}\n{sealed['recipient']}"
            f"\n{sealed['first_sequence']}\n{sealed['last_sequence']}"
        )
        said = info.encode() + b"\n" + hashlib.sha256(sealed["box"]).digest()
        signing.verify(public, signing.DELIVERIES, said, sealed["signature"])
    except (AvroError, signing.SignatureError):
        return None
    return int(sealed["last_sequence"])


def progress(followers: Mapping[str, int], sent: Mapping[str, int]) -> dict[str, int]:
    """What of `sent` (follower → sequence) is news: followers never go back."""
    return {name: sequence for name, sequence in sent.items() if sequence > followers.get(name, 0)}
