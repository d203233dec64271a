"""Waiting: what is marked for each recipient and not yet sent, from its next sequence on.

In memory where it continues there, else read back from the recipient's delivery log; so memory
stays flat however long a recipient is away.
"""

from __future__ import annotations

from collections import OrderedDict
from itertools import islice

from hub.exchange import Exchange
from hub.recording.draft import delivery_stream
from hub.sending.served import Served
from hub.store import events as stored

SEND_BATCH = 500  # deliveries in one sealed message
KEPT_DUE = 20_000  # marked deliveries per recipient kept in memory; the rest wait in the log


class Waiting:
    """For one publisher, in its thread. `next` may raise TopicUnavailable."""

    def __init__(self, exchange: Exchange, served: Served) -> None:
        self._exchange = exchange
        self._served = served
        self._due: dict[str, OrderedDict[int, stored.Sending]] = {}
        self.sent: dict[str, int] = {}  # agency → last sequence sent, of those asked about

    def keep(self, sending: stored.Sending) -> None:
        """In memory, if it is the next there: whatever is left out is read back from the log."""
        due = self._due.setdefault(sending.agency, OrderedDict())
        sequence = sending.originator_version
        if not due or (len(due) < KEPT_DUE and next(reversed(due)) + 1 == sequence):
            due[sequence] = sending

    def next(self, agency: str) -> list[stored.Sending]:
        """The next batch to send, as long as it is not noted as sent; empty if there is none."""
        return list(islice(self._due_for(agency).values(), SEND_BATCH))

    def note(self, agency: str, last: int) -> int:
        """The next ones up to this sequence were sent; returns how many these were."""
        due, count = self._due[agency], 0
        while due and next(iter(due)) <= last:
            due.popitem(last=False)
            count += 1
        self.sent[agency] = last
        return count

    def forget(self, agency: str, sent: int | None = None) -> None:
        """Go on after `sent`, or where the log says for the topic there is: read it anew."""
        self._due.pop(agency, None)
        self.sent.pop(agency, None)
        if sent is not None:
            self.sent[agency] = sent

    @property
    def empty(self) -> bool:
        """Whether nothing waits in memory: what is marked is kept here first."""
        return not any(self._due.values())

    def _due_for(self, agency: str) -> OrderedDict[int, stored.Sending]:
        stream = delivery_stream(agency)
        marked = self._exchange.last_version(stream)
        if agency not in self.sent:
            self.sent[agency] = self._served.resume(agency, marked)
        sent = self.sent[agency]
        due = self._due.setdefault(agency, OrderedDict())
        if due and next(iter(due)) == sent + 1:
            return due
        due.clear()
        if marked > sent:
            for one in self._exchange.log.stream(stream, after_version=sent, limit=SEND_BATCH * 4):
                assert isinstance(one.event, stored.Sending)
                due[one.event.originator_version] = one.event
        return due
