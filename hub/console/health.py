"""Health: how far behind each part of the hub is, told from the log alone.

The console runs beside the hub, in a process of its own, so nothing here asks the hub's threads:
what a part has done is what it recorded. Ages are in seconds, by the hub's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from consumers.checkpoints import LATE
from consumers.stalls import LAG
from hub.exchange import Exchange
from hub.publisher import FOLLOWER, delivery_stream
from hub.store import events as stored
from hub.store.log import Counts
from hub.store.work import FOLLOWER as WORK

State = Literal["good", "warn", "bad"]

MOST_PENDING: Final = 100  # settled events counted one by one; beyond, "more than"
WORK_BEHIND: Final = 1_000  # rows the work list may lag without a word
SILENT: Final = 24 * 3600.0  # seconds a delivery may wait for its receipt without a word
_SETTLED: Final = frozenset({stored.Settled.TOPIC})


@dataclass(frozen=True, slots=True)
class Partner:
    """One recipient: sequences marked for it, sent and answered; age of the oldest unanswered."""

    agency: str
    role: str
    marked: int
    sent: int
    answered: int
    waits: float
    aside: int
    shut_out: bool

    @property
    def unanswered(self) -> int:
        return max(self.marked - self.answered, 0)

    @property
    def state(self) -> State:
        if self.shut_out or self.waits > SILENT:
            return "bad"
        return "warn" if self.aside or self.waits > LAG.total_seconds() else "good"

    @property
    def word(self) -> str:
        """Key of the state's word."""
        if self.shut_out:
            return "shut_out"
        if self.waits > SILENT:
            return "silent"
        if self.aside:
            return "aside"
        return "slow" if self.waits > LAG.total_seconds() else "up_to_date"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The last signed checkpoint. signed_for: when the last row under it was recorded. waits: age
    of the oldest row under none."""

    size: int
    head: int
    signed_for: datetime | None
    waits: float

    @property
    def state(self) -> State:
        if self.size == 0 or self.waits > LATE.total_seconds():
            return "bad"
        return "good"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the hub: what waits for it, and since when. more: at least so many wait."""

    name: str
    waiting: int
    waits: float
    state: State
    more: bool = False


def partners(
    exchange: Exchange, counts: Counts, aside: Mapping[str, int], now: datetime
) -> list[Partner]:
    """Every recipient but the hub's own desk, those with trouble first."""
    found = [
        _partner(exchange, counts.followers, one.agency, aside.get(one.agency, 0), now)
        for one in exchange.agencies
        if one.role != "hub"
    ]
    order = {"bad": 0, "warn": 1, "good": 2}
    return sorted(found, key=lambda one: (order[one.state], one.agency))


def partner(
    exchange: Exchange, counts: Counts, agency: str, aside: int, now: datetime
) -> Partner | None:
    """One recipient; None if it never took part."""
    if agency not in exchange.agencies:
        return None
    return _partner(exchange, counts.followers, agency, aside, now)


def _partner(
    exchange: Exchange, followers: Mapping[str, int], agency: str, aside: int, now: datetime
) -> Partner:
    known = exchange.agencies.get(agency)
    assert known is not None
    stream = delivery_stream(agency)
    marked = exchange.last_version(stream)
    answered = followers.get(f"acknowledged/{agency}", 0)
    oldest = exchange.log.stream(stream, answered, 1) if answered < marked else []
    return Partner(
        agency,
        known.role,
        marked,
        followers.get(f"sent/{agency}", 0),
        answered,
        _age(oldest[0].event.timestamp, now) if oldest else 0.0,
        aside,
        known.shut_out,
    )


def checkpoint(exchange: Exchange, now: datetime) -> Checkpoint:
    """The last checkpoint against the log's head."""
    log = exchange.log
    latest, head = log.latest_checkpoint(), log.head
    size = latest[0] if latest else 0
    covered = log.read(size - 1, 1) if size else []
    above = log.read(size, 1)
    return Checkpoint(
        size,
        head,
        covered[0].event.timestamp if covered else None,
        _age(above[0].event.timestamp, now) if above else 0.0,
    )


def parts(exchange: Exchange, counts: Counts, seal: Checkpoint, now: datetime) -> list[Part]:
    """Recording, sending, checkpoints, work list: in the order an event passes them."""
    pending = exchange.log.read(counts.followers.get(FOLLOWER, 0), MOST_PENDING, _SETTLED)
    unmarked = _age(pending[0].event.timestamp, now) if pending else 0.0
    last = exchange.log.read(counts.head - 1, 1) if counts.head else []
    quiet = _age(last[0].event.timestamp, now) if last else 0.0
    behind = counts.head - counts.followers.get(WORK, 0)
    sent = counts.followers
    unsent = sum(
        max(
            exchange.last_version(delivery_stream(one.agency)) - sent.get(f"sent/{one.agency}", 0),
            0,
        )
        for one in exchange.agencies
        if not one.shut_out
    )
    return [
        Part("recording", 0, quiet, "good"),
        Part(
            "deciding",
            len(pending),
            unmarked,
            "bad" if unmarked > LAG.total_seconds() else "good",
            len(pending) == MOST_PENDING,
        ),
        Part("sending", unsent, 0.0, "warn" if unsent else "good"),
        Part("sealing", max(counts.head - seal.size, 0), seal.waits, seal.state),
        Part("work", behind, 0.0, "warn" if behind > WORK_BEHIND else "good"),
    ]


def _age(since: datetime, now: datetime) -> float:
    return max((now - since).total_seconds(), 0.0)
