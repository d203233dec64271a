"""Stalls: nothing stands still without somebody being told.

Looked at now and then, from the log's own times and the hub's clock: decisions that wait to be
marked, deliveries nobody answers, events without a checkpoint, witnesses that do not cosign or
that say this log was changed. A stall is put on the work list by
a row of the log and taken off by another when it is over. A stall that begins again after its item
was closed is another item: its ref says where it stands.

Absent: stalls of the store itself. A hub that cannot write cannot record that either; readiness
and metrics say so (docs/api.md).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from consumers.checkpoints import LATE
from consumers.raising import raise_item, stall_ended
from consumers.witnesses import DISAGREES, Witnesses
from hub.domain import timers
from hub.domain.work import OPEN, WorkItem
from hub.exchange import Exchange
from hub.publisher import FOLLOWER, delivery_stream
from hub.store import events as stored

EVERY: Final = 5.0  # seconds between two looks
LAG: Final = timedelta(minutes=5)  # a decision is marked within milliseconds when all is well

_SETTLED = frozenset({stored.Settled.TOPIC})


class Stalls:
    """Watches one hub. For one thread."""

    def __init__(
        self,
        exchange: Exchange,
        steady: Callable[[], float] = time.monotonic,
        witnesses: Witnesses | None = None,
    ) -> None:
        self._exchange = exchange
        self._witnesses = witnesses
        self._steady = steady
        self._looked_at = float("-inf")

    def step(self) -> int:
        """Look, unless that was just done. Returns the number of items raised or ended."""
        if self._steady() - self._looked_at < EVERY:
            return 0
        self._looked_at = self._steady()
        return self.look()

    def look(self) -> int:
        """Look now."""
        now = self._exchange.clock.now()
        counts = self._exchange.log.counts()
        done = self._kind("publisher_lag", self._lag(counts.followers.get(FOLLOWER, 0), now))
        done += self._kind("checkpoint_late", self._late(counts.checkpoint, now))
        done += self._kind("witness_silent", self._unwitnessed(now))
        done += self._kind("witness_disagrees", self._disputed(counts.checkpoint))
        return done + self._kind("recipient_silent", self._silent(counts.followers, now))

    def _kind(self, kind: str, found: dict[str, str]) -> int:
        """found: ref → agency of every stall there is now."""
        standing = self._exchange.log.work.standing(kind=kind, states=(OPEN,), limit=10_000)
        about = set(found.values())
        done = 0
        for item in standing:
            # A stall that has moved and stands still again is the same one to its owner.
            if _agency(item) not in about:
                done += stall_ended(self._exchange, item)
        told = {_agency(item) for item in standing}
        for ref, agency in found.items():
            if agency not in told:
                done += raise_item(self._exchange, kind, ref, agency=agency)
        return done

    def _lag(self, marked: int, now: datetime) -> dict[str, str]:
        waiting = self._exchange.log.read(marked, 1, _SETTLED)
        if waiting and now - waiting[0].event.timestamp > LAG:
            return {str(waiting[0].position): ""}
        return {}

    def _late(self, covered: int, now: datetime) -> dict[str, str]:
        waiting = self._exchange.log.read(covered, 1)
        if waiting and now - waiting[0].event.timestamp > LATE:
            return {str(covered): ""}
        return {}

    def _unwitnessed(self, now: datetime) -> dict[str, str]:
        if self._witnesses is None:
            return {}
        since = self._witnesses.since
        return {
            f"{one.name}/{one.size}/{one.at or since}": one.name
            for one in self._witnesses.health()
            if one.size + one.behind and one.silent(now, since)
        }

    def _disputed(self, size: int) -> dict[str, str]:
        lines = self._witnesses.lines if self._witnesses else ()
        return {
            f"{line.witness.name}/{size}": line.witness.name
            for line in lines
            if line.trouble in DISAGREES
        }

    def _silent(self, followers: Mapping[str, int], now: datetime) -> dict[str, str]:
        policy = self._exchange.policy().timers
        hours = timers.length(policy, timers.SILENT, "", now.date())
        found = {}
        for agency in [one.agency for one in self._exchange.agencies]:
            stream, answered = delivery_stream(agency), followers.get(f"acknowledged/{agency}", 0)
            if self._exchange.last_version(stream) <= answered:
                continue
            oldest = self._exchange.log.stream(stream, after_version=answered, limit=1)
            if oldest and now - oldest[0].event.timestamp > timedelta(hours=float(hours)):
                found[f"{agency}/{answered + 1}"] = agency
        return found


def _agency(item: WorkItem) -> str:
    return str(item.detail.get("agency", ""))
