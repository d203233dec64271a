"""Sender: what waits for each recipient, sealed and appended; for all of them at once.

One append for many recipients: the embedded topics write it in one transaction, Kafka is waited for
once. A recipient whose topic is missing keeps no other waiting.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from contextlib import suppress

import structlog

from hub import crash
from hub.exchange import Exchange
from hub.membership.agencies import Agency
from hub.recalling.recalled import Recalled
from hub.recording.draft import delivery_stream
from hub.sending.sealed import SEND_BYTES, Sealed
from hub.sending.served import Batch, Served, progress
from hub.sending.waiting import Waiting
from hub.spans import span
from hub.store.errors import StoreConflict
from hub.topics.port import TopicUnavailable, UnknownTopicError

log = structlog.get_logger("hub.publisher")


class Sender:
    """For one publisher, in its thread."""

    def __init__(
        self,
        exchange: Exchange,
        sealed: Sealed,
        recalled: Recalled,
        served: Served,
        waiting: Waiting,
    ) -> None:
        self._exchange = exchange
        self._sealed = sealed
        self._recalled = recalled
        self._served = served
        self._waiting = waiting
        self._failing: set[str] = set()  # recipients whose topic did not take the last batch
        self._shut_out: set[str] = set()  # recipients whose keys are revoked, once seen to

    def send(self) -> int:
        """Seal and append what is marked. Returns the number of deliveries sent."""
        sent: dict[str, int] = {}
        count = 0
        # Those that failed last come last, so that one recipient's topic keeps nobody waiting.
        turn = deque(sorted(self._exchange.agencies, key=lambda a: a.agency in self._failing))
        stop = False
        while turn and not stop:
            batches, stop = self._next(turn)
            if not batches:
                continue
            with span("nrm.publish.send", deliveries=sum(one.count for one in batches.values())):
                done = self._served.append_each(batches)
            for name, became in done.items():
                if isinstance(became, TopicUnavailable):
                    stop |= self._failed(name, became)
                    continue
                batch = batches[name]
                count += self._waiting.note(name, batch.last)
                sent[f"sent/{name}"] = sent[self._served.follower(name)] = batch.last
                self._failing.discard(name)
                turn.append(batch.recipient)  # it may have more
        if sent:
            crash.point("after_send")
            self.note(sent)
        return count

    def _next(self, turn: deque[Agency]) -> tuple[dict[str, Batch], bool]:
        """What is appended at once: the next batch of each in turn that has one, as many as fit.

        True: the topics are away, there is no use in going on.
        """
        batches: dict[str, Batch] = {}
        size = 0
        while turn and size < SEND_BYTES:
            agency = turn.popleft()
            try:
                batch = None if self._waits(agency.agency, agency.shut_out) else self._batch(agency)
            except TopicUnavailable as away:
                if self._failed(agency.agency, away):
                    return batches, True
                continue
            if batch is not None:
                batches[agency.agency] = batch
                size += batch.size
        return batches, False

    def _batch(self, agency: Agency) -> Batch | None:
        """The next deliveries that wait for this recipient, sealed."""
        name = agency.agency
        waiting = self._waiting.next(name)
        if not waiting:
            return None
        self._served.follower(name)  # of the life that these go to
        self._served.ready(name)
        first, last = waiting[0].originator_version, waiting[-1].originator_version
        marked = self._exchange.last_version(delivery_stream(name))
        recalled = self._recalled.since(name, first, marked)
        sealed = self._sealed.messages(name, agency.sealing_public, waiting, recalled)
        return Batch(agency, sealed, last, len(waiting))

    def _failed(self, agency: str, away: TopicUnavailable) -> bool:
        """Unknown whether stored: sent again on the next step, to the topic it then has.

        Whether it took long to find out, and is likely so for all.
        """
        self._failing.add(agency)
        self.again(agency)
        return not isinstance(away, UnknownTopicError)

    def _waits(self, agency: str, shut_out: bool) -> bool:
        """Whether nothing is sealed to this recipient: somebody else may hold its keys.

        What waits on its topic is taken away; it gets all of it when it is back with new keys.
        """
        if shut_out:
            if agency not in self._shut_out:
                self._served.empty(agency)
                self._shut_out.add(agency)
            self.again(agency)
        elif agency in self._shut_out:
            self.again(agency)
            self._shut_out.remove(agency)
        return shut_out

    def note(self, sent: Mapping[str, int]) -> None:
        """Record how far each recipient was sent. Another process may have sent as far."""
        followers = self._exchange.log.followers
        with suppress(StoreConflict):
            self._exchange.commit(lambda draft: draft.tracking.update(progress(followers(), sent)))

    def look(self) -> None:
        """Find out whose topic was lost; what was not acknowledged is sent again from the log."""
        followers = self._exchange.log.followers()
        waiting = [
            agency
            for agency, sent in self._waiting.sent.items()
            if sent > followers.get(f"acknowledged/{agency}", 0)
        ]
        for agency in self._served.lost(waiting):
            log.warning("topic_lost", agency=agency)
            self.again(agency)

    def again(self, agency: str) -> None:
        """Nothing in memory is trusted: go on where the log says for the topic there is."""
        self._served.forget(agency)
        self._waiting.forget(agency)
