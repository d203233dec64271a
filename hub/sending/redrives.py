"""Redrives: a delivery its recipient set aside is sent once more, sealed anew.

Ordered by a row of the log, so that any process may order it and the publisher does it, once it is
back if it is away. What is sent is what stands in the recipient's delivery log under that sequence:
the sequence stays the same, and what was recalled or erased since is not sealed
(`hub/recalling/recalled.py`). What a withdrawal just ended waits until its recall is marked; a
basis that ended without a recall, as a break-glass window does, is not sent on again. The
recipient's connector applies it in place of what it set aside, or leaves it where it is; a sequence
it has applied is never applied again (docs/adr/0035).

A recipient that asks over HTTP is handed the same: it says how many of the orders for it it has
seen, and each later one is asked again and sealed at that moment (docs/adr/0049).
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson

from hub.errors import Refused
from hub.exchange import Exchange
from hub.recalling.recalled import Item, Recalled, left_of
from hub.recording.draft import Draft, delivery_stream, stream_id
from hub.release import standing
from hub.store import events as stored
from hub.store.log import HubLog

STREAM: Final = stream_id("redrives", "all")
FOLLOWER: Final = "redrives"  # how many of the stream's orders were carried out
MOST_BY: Final = 100  # characters that say who ordered it
PAGE: Final = 500  # orders read at once
MARK_LETTERS: Final = 16

_SETTLED: Final = frozenset({stored.Settled.TOPIC})


def order(exchange: Exchange, agency: str, sequence: int, *, by: str) -> int:
    """Record the order; returns its log position. Raises Refused, with what to do."""
    if not by.strip() or len(by) > MOST_BY or not by.isprintable():
        raise Refused(0, "who", f"say who orders it, in at most {MOST_BY} characters")

    def work(draft: Draft) -> int:
        known = exchange.agencies.get(agency)
        if known is None:
            raise Refused(0, "unknown_agency", "no agency of this name takes part; check it")
        if known.shut_out:
            raise Refused(0, "shut_out", "its keys are revoked; it gets all it lacks once back")
        if not 1 <= sequence <= exchange.log.tracking(f"sent/{agency}"):
            raise Refused(0, "never_sent", "no delivery of this sequence was sent; check it")
        recalled = Recalled(exchange.log).since(agency, sequence)
        if ended(exchange, delivery(exchange, agency, sequence), recalled, draft.now):
            raise Refused(
                0,
                "no_longer_stands",
                "what it was released on has ended; a recall follows, or it stays set aside",
            )
        return draft.add(
            stored.RedriveOrdered(
                originator_id=STREAM,
                originator_version=exchange.version_of(draft, STREAM) + 1,
                timestamp=draft.now,
                agency=agency,
                sequence=sequence,
                by=by.strip(),
            )
        )

    return exchange.commit(work)


def delivery(exchange: Exchange, agency: str, sequence: int) -> stored.Sending:
    """What stands in the recipient's delivery log under this sequence."""
    [found] = exchange.log.stream(delivery_stream(agency), sequence - 1, 1)
    assert isinstance(found.event, stored.Sending)
    return found.event


def ended(
    exchange: Exchange, sending: stored.Sending, recalled: Mapping[Item, int], now: datetime
) -> frozenset[str]:
    """Categories of a delivery that were not recalled, and whose basis counts no more.

    Call it in a transaction: asked of the case as it is then.
    """
    if sending.kind == "recall":
        return frozenset()
    [about] = exchange.log.read(sending.event_position - 1, 1)
    case = exchange.case(UUID(bytes=sending.case_id))
    assert isinstance(about.event, stored.EventAccepted)
    assert case is not None
    event_id = str(UUID(bytes=about.event.event_id))
    bases = orjson.loads(sending.items)["bases"]
    left = left_of(bases, event_id, sending.originator_version, recalled)
    parties, profile = exchange.agencies.parties(), exchange.policy()
    stands = standing(case, sending.agency, event_id, left, parties, profile, now)
    return frozenset(left) - frozenset(stands)


@dataclass(frozen=True, slots=True)
class Asked:
    """What became of deliveries that are to be sent again, as of one moment.

    stand: may be sealed. early: something of them was withdrawn whose recall is not marked yet, so
    they wait for it. The others rest on nothing any more and are not sent.
    """

    stand: Mapping[int, stored.Sending]
    early: frozenset[int]


def ask(
    exchange: Exchange,
    agency: str,
    sequences: Collection[int],
    recalled: Mapping[Item, int],
    marked_to: int,
) -> Asked:
    """Which of these deliveries stand now. No send starts on what was withdrawn before this call.

    recalled: what was taken back after the first of them. marked_to: the log position up to which
    decisions were marked for sending.
    """
    sendings = {sequence: delivery(exchange, agency, sequence) for sequence in sequences}
    exchange.catch_up()

    def work(draft: Draft) -> Asked:
        gone = frozenset(
            sequence
            for sequence, sending in sendings.items()
            if ended(exchange, sending, recalled, draft.now)
        )
        stand = {at: sending for at, sending in sendings.items() if at not in gone}
        behind = bool(gone) and bool(exchange.log.read(marked_to, 1, _SETTLED))
        return Asked(stand, gone if behind else frozenset())

    return exchange.commit(work)


class CarriedOut:
    """Orders that were carried out, by recipient and in order. For any thread.

    A recipient that asks over HTTP keeps how many it has seen. It counts its own only: a place
    among all orders, or in the log, would tell what was done for others. Each row is read once.
    """

    def __init__(self, log: HubLog) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._read = 0
        self._sequences: dict[str, list[int]] = {}
        self._marks: dict[str, list[str]] = {}

    def look(self, done: int) -> None:
        """Take note of the orders up to the `done`th of all: the position of FOLLOWER."""
        with self._lock:
            while self._read < done:
                for one in self._log.stream(STREAM, self._read, min(PAGE, done - self._read)):
                    order = one.event
                    assert isinstance(order, stored.RedriveOrdered)
                    marks = self._marks.setdefault(order.agency, [])
                    marks.append(_mark(marks[-1] if marks else "", order))
                    self._sequences.setdefault(order.agency, []).append(order.sequence)
                    self._read = order.originator_version

    def count(self, agency: str) -> int:
        """How many there are for this recipient."""
        return len(self._sequences.get(agency, ()))

    def mark(self, agency: str, count: int) -> str:
        """Of its first `count` orders; "" of none. A hub that was put back and has given as many
        others since has another."""
        return self._marks[agency][count - 1] if 0 < count <= self.count(agency) else ""

    def after(self, agency: str, count: int, most: int) -> list[int]:
        """Sequences that were ordered after its first `count` orders, `most` of them."""
        return self._sequences.get(agency, [])[count : count + most]


def _mark(before: str, order: stored.RedriveOrdered) -> str:
    """Follows from nothing but the recipient's own orders: what was asked again, and when."""
    said = f"{before}\n{order.sequence}\n{order.timestamp.isoformat()}"
    return hashlib.sha256(said.encode()).hexdigest()[:MARK_LETTERS]
