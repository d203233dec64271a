"""The publisher: mark what is owed as sending, then seal and send it.

Two steps, each resumable:

    mark   follows the log's decisions; in one transaction re-checks every item that stands on a
           consent or a window against the case as it is now, and appends what still stands to the
           recipient's delivery log, whose version is the gapless sequence
           (`sending/marking.py`). From the moment a withdrawal is acknowledged nothing resting on
           it is marked any more.
    send   takes what waits for each recipient (`sending/waiting.py`), seals it
           (`sending/sealed.py`) and appends it to the recipients' topics (`sending/sender.py`, and
           `served.py`: how far, and whether a topic is still the same). Repeating it is harmless:
           recipients apply a sequence once.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence

import structlog

from hub import crash
from hub.crypto.signing import SigningKey
from hub.exchange import Exchange
from hub.recalling.in_flight import MARKED
from hub.recalling.recalled import Item, Recalled
from hub.recording.draft import Draft, Fresh
from hub.recording.draft import delivery_stream as delivery_stream  # noqa: PLC0414 - also read from here
from hub.sending import marking, redrives
from hub.sending.parts import PartsCache
from hub.sending.sealed import Sealed
from hub.sending.sealed import told_basis as told_basis  # noqa: PLC0414 - also read from here
from hub.sending.sender import Sender
from hub.sending.served import LOOK_AT, Served
from hub.sending.waiting import SEND_BATCH, Waiting
from hub.spans import span
from hub.store import events as stored
from hub.store.errors import StoreConflict
from hub.topics.port import Topics, TopicUnavailable, UnknownTopicError

log = structlog.get_logger("hub.publisher")

FOLLOWER = MARKED
MARK_BATCH = 2_000  # log rows looked at in one transaction
TRIM_EVERY = 2.0  # seconds
LOOK_EVERY = 5.0  # seconds between looks whether a topic was lost


class _Elsewhere(Exception):
    """Another process has marked what this one was about to."""


class Publisher:
    """Marks and sends for one hub, in one thread; `sealed_after` and `sent_again` are for any."""

    def __init__(self, exchange: Exchange, topics: Topics, hub_id: str, key: SigningKey) -> None:
        self._exchange = exchange
        self._topics = topics
        self._marked_to = exchange.log.tracking(FOLLOWER)
        self._parts = PartsCache(exchange.log, exchange.secrets)
        self._sealed = Sealed(exchange, self._parts, hub_id, key)
        self._recalled = Recalled(exchange.log)
        self._served = Served(exchange, topics, hub_id, key.public)
        self._waiting = Waiting(exchange, self._served)
        self._trimmed_at = 0.0
        self._looked_at = time.monotonic()
        self._sender = Sender(exchange, self._sealed, self._recalled, self._served, self._waiting)
        self._epoch = exchange.secrets.epoch
        self._redriven = exchange.log.tracking(redrives.FOLLOWER)
        self.carried_out = redrives.CarriedOut(exchange.log)

    def step(self) -> int:
        """Mark and send what is there; returns how much was done (0: nothing to do)."""
        self._forget_erased()
        done = self.mark() + self.send() + self.redrive()
        if time.monotonic() - self._looked_at > LOOK_EVERY:
            self.look()
        if not done or time.monotonic() - self._trimmed_at > TRIM_EVERY:
            self.trim()
        return done

    def check(self) -> None:
        """Raise Inconsistent if recipients were sent more than the log holds: see `Served.beyond`.

        Looks at the busiest few now, so that a hub starts quickly; at each other before its first
        message.
        """
        names = [one.agency for one in self._exchange.agencies]
        names.sort(key=lambda one: -self._exchange.last_version(delivery_stream(one)))
        for agency in names[:LOOK_AT]:
            self._served.beyond(agency)

    @property
    def idle(self) -> bool:
        """Whether everything recorded so far was followed, and everything marked is sent."""
        return self._marked_to >= self._exchange.position and self._waiting.empty

    def _forget_erased(self) -> None:
        """After an erasure, here or in another process, no secret stays behind in memory."""
        epoch = self._exchange.secrets.epoch
        if epoch != self._epoch:
            self._epoch = epoch
            self._parts.forget()
            self._exchange.fresh.forget()

    # -- mark ------------------------------------------------------------------------------

    def mark(self) -> int:
        """Mark owed deliveries as sending. Returns the number of log rows followed."""
        start = self._marked_to
        rows = self._exchange.fresh.after(FOLLOWER, start, MARK_BATCH) or [
            Fresh(one.position, one.event) for one in self._exchange.log.read(start, MARK_BATCH)
        ]
        if not rows:
            return 0
        if rows[-1].position > self._exchange.position:  # recorded by another process
            self._exchange.catch_up()
        settled = [row for row in rows if isinstance(row.event, stored.Settled)]
        for row in rows:
            if isinstance(row.event, stored.EventAccepted):
                self._parts.remember(row.position, row.event, row.secret)
        end = rows[-1].position
        if settled:
            try:
                with span("nrm.publish.mark", settlements=len(settled)):
                    sendings = self._exchange.commit(
                        lambda draft: self._mark(draft, settled, start, end)
                    )
            except (_Elsewhere, StoreConflict):
                elsewhere = self._exchange.log.tracking(FOLLOWER)
                if elsewhere <= start:
                    raise
                self._marked_to = elsewhere  # another process marked these: go on where it is
                return 1
            crash.point("after_mark")
            for sending in sendings:
                self._waiting.keep(sending)
                self._recalled.note(sending)
        self._marked_to = end
        return len(settled)

    def _mark(
        self, draft: Draft, settled: Sequence[Fresh], start: int, end: int
    ) -> list[stored.Sending]:
        if self._exchange.log.tracking(FOLLOWER) > start:
            raise _Elsewhere
        draft.tracking[FOLLOWER] = end
        return marking.mark(self._exchange, draft, settled)

    # -- send ------------------------------------------------------------------------------

    def send(self) -> int:
        """Seal and append what is marked. Returns the number of deliveries sent."""
        return self._sender.send()

    def look(self) -> None:
        """Find out whose topic was lost; what was not acknowledged is sent again from the log."""
        self._looked_at = time.monotonic()
        self._sender.look()

    def trim(self) -> None:
        """Remove from each topic what its recipient has acknowledged: nothing outlives delivery."""
        self._trimmed_at = time.monotonic()
        self._served.trim()

    def sealed_after(self, agency: str, after: int, limit: int) -> list[bytes]:
        """Sealed messages of a recipient that asks over HTTP; sealed from the log, any thread.

        Up to `limit` deliveries with sequences greater than `after`; only what was sent already.
        """
        known = self._exchange.agencies.get(agency)
        assert known is not None
        sent = self._exchange.log.tracking(f"sent/{agency}")
        batch = [
            one.event
            for one in self._exchange.log.stream(
                delivery_stream(agency), after_version=after, limit=min(limit, SEND_BATCH)
            )
            if isinstance(one.event, stored.Sending) and one.event.originator_version <= sent
        ]
        if not batch:
            return []
        recalled = self._recalled.since(agency, batch[0].originator_version)
        messages = self._sealed.messages(agency, known.sealing_public, batch, recalled)
        return [message.value for message in messages]

    def republish(self, agency: str, after: int = 0) -> None:
        """Send everything after `after` again."""
        self._waiting.forget(agency, sent=after)

    def redrive(self) -> int:
        """Send again what was ordered to be, each delivery sealed anew under its old sequence.

        Returns how many orders were carried out. Cut off in between it is done again; the
        recipient applies it once.
        """
        if self._exchange.last_version(redrives.STREAM) <= self._redriven:
            return 0
        done = 0
        # Another process may have carried out some of them.
        self._redriven = max(self._redriven, self._exchange.log.tracking(redrives.FOLLOWER))
        for one in self._exchange.log.stream(redrives.STREAM, self._redriven, SEND_BATCH):
            order = one.event
            assert isinstance(order, stored.RedriveOrdered)
            try:
                if not self._send_again(order.agency, order.sequence):
                    break  # its recall is marked first, with the next step
            except TopicUnavailable as away:
                if isinstance(away, UnknownTopicError):
                    # All it lacks is sent, this with it or after it.
                    self._sender.again(order.agency)
                    self._topics.ensure([self._exchange.pseudonyms.topic("nrm.d", order.agency)])
                break
            self._redriven = order.originator_version
            self._sender.note({redrives.FOLLOWER: self._redriven})
            done += 1
        return done

    def _send_again(self, agency: str, sequence: int) -> bool:
        """False: a withdrawal was recorded whose recall is not marked yet."""
        known = self._exchange.agencies.get(agency)
        if known is None or known.shut_out:
            return True  # nothing is sealed to it; back with new keys it gets all it lacks
        asked, recalled = self._asked_again(agency, [sequence])
        if sequence in asked.early:
            return False
        if sequence not in asked.stand:
            log.warning("redrive_no_longer_stands", agency=agency, sequence=sequence)
            return True
        crash.point("before_redrive")
        sealed = self._sealed.messages(
            agency, known.sealing_public, [asked.stand[sequence]], recalled
        )
        self._topics.append(self._exchange.pseudonyms.topic("nrm.d", agency), sealed)
        crash.point("after_redrive")
        return True

    def _asked_again(
        self, agency: str, sequences: Collection[int]
    ) -> tuple[redrives.Asked, Mapping[Item, int]]:
        """What of these deliveries stands now, and what was recalled since the first of them."""
        # In this order: a recall marked in between counts as one that is not marked yet.
        marked_to = max(self._marked_to, self._exchange.log.tracking(FOLLOWER))
        recalled = self._recalled.since(agency, min(sequences))
        return redrives.ask(self._exchange, agency, sequences, recalled, marked_to), recalled

    def sent_again(
        self, agency: str, again: int, after: int, limit: int, size: int
    ) -> tuple[list[bytes], int]:
        """What a recipient that asks over HTTP was sent again, sealed at this moment; any thread.

        again: how many of the orders for it, in `carried_out`, it has seen; returned with the
        messages is how many it has seen then. Only deliveries up to `after`: the later ones it is
        handed in their turn. Ends before an order whose recall is not marked yet.
        """
        known = self._exchange.agencies.get(agency)
        assert known is not None
        messages: list[bytes] = []
        while not messages and (orders := self.carried_out.after(agency, again, limit)):
            sequences = sorted({one for one in orders if one <= after})
            if not sequences:
                again += len(orders)
                continue
            asked, recalled = self._asked_again(agency, sequences)
            left = dict(asked.stand)  # ordered more than once, it is sealed once
            for sequence in orders:
                if sequence in asked.early or size <= 0:
                    return messages, again
                again += 1
                sending = left.pop(sequence, None)
                if sending is not None:
                    sealed = self._sealed.messages(
                        agency, known.sealing_public, [sending], recalled
                    )
                    messages += [one.value for one in sealed]
                    size -= len(messages[-1])
        return messages, again
