"""Notices: what is on the work list reaches whoever is named for it, outside the hub.

A follower of the list: for every receiver in hub.toml, open items it has had no notice of are
sent, and remembered once they were taken. At least once, then: a crash in between sends again,
under the same id. A receiver that takes nothing is tried ever more rarely, keeps no other waiting,
and is itself put on the list for the operator until it takes notices again.

An agency is sent what `GET /v1/work` would show it and nothing more. No address is ever asked but
those hub.toml names.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import structlog

from consumers.notices.mail import Mails
from consumers.notices.notice import OPENED, PHASES, Notice, UndeliveredError
from consumers.notices.settings import NoticeSettings, Receiver
from consumers.notices.webhook import Webhooks
from consumers.raising import raise_item, stall_ended
from hub.domain.agenda.sight import sees
from hub.domain.work import OPEN, WorkItem
from hub.exchange import Exchange
from hub.recording.draft import Draft

log = structlog.get_logger("hub.notices")

EVERY: Final = 2.0  # seconds between two looks at the list
LIMIT: Final = 1_000  # items looked at for a receiver in one step
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 3_600.0
TOLD_AFTER: Final = 900.0  # seconds of failing after which the operator is told


class Sender(Protocol):
    """Hands notices to one receiver; UndeliveredError unless it has taken all of them."""

    most: int

    def send(self, notices: Sequence[Notice]) -> None: ...


@dataclass
class _Line:
    """One receiver and how it does."""

    receiver: Receiver
    sender: Sender
    pause: float = FIRST_PAUSE
    try_at: float = float("-inf")
    failing_since: float | None = None


class Notices:
    """Sends the notices of one hub. For one thread."""

    def __init__(
        self,
        exchange: Exchange,
        settings: NoticeSettings,
        hub_id: str,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._exchange = exchange
        self._steady = steady
        self._looked_at = float("-inf")
        self._lines = [
            _Line(one, Webhooks(one) if one.webhook else self._mails(one, settings, hub_id))
            for one in settings.receivers
        ]

    @staticmethod
    def _mails(receiver: Receiver, settings: NoticeSettings, hub_id: str) -> Sender:
        assert settings.mail is not None
        return Mails(receiver, settings.mail, hub_id)

    def step(self) -> int:
        """Send what is new, unless that was just done. Returns the number of notices taken."""
        if self._steady() - self._looked_at < EVERY:
            return 0
        self._looked_at = self._steady()
        return self.send()

    def send(self) -> int:
        """Send what is new to every receiver whose turn it is."""
        return sum(self._serve(line) for line in self._lines if self._steady() >= line.try_at)

    def _serve(self, line: _Line) -> int:
        taken = 0
        for phase in PHASES:
            waiting = self._waiting(line.receiver, phase)
            for start in range(0, len(waiting), line.sender.most):
                batch = waiting[start : start + line.sender.most]
                try:
                    line.sender.send([notice for _, notice in batch])
                except UndeliveredError as failure:
                    self._failed(line, failure)
                    return taken
                for item, _ in batch:
                    self._exchange.log.work.sent(
                        item.item, phase, line.receiver.name, self._exchange.clock.now()
                    )
                taken += len(batch)
                self._reached(line)
        return taken

    def _waiting(self, receiver: Receiver, phase: str) -> list[tuple[WorkItem, Notice]]:
        """Items this receiver has had no notice of, as far as it may see them."""

        def look(draft: Draft) -> list[tuple[WorkItem, Notice]]:
            found = self._exchange.log.work.unsent(
                receiver.name,
                role=receiver.role,
                agency=receiver.agency,
                phase=phase,
                now=draft.now,
                limit=LIMIT,
            )
            return [
                (item, self._notice(receiver, item, phase, draft.now))
                for item in found
                if receiver.wants(item.kind) and self._may_see(receiver, item, draft.now)
            ]

        return self._exchange.commit(look)

    def _may_see(self, receiver: Receiver, item: WorkItem, now: datetime) -> bool:
        """A role's own address hears of its role's items; an agency of what its list shows."""
        if not receiver.agency:
            return True
        exchange = self._exchange
        party = exchange.agencies.parties().get(receiver.agency)
        if party is None:
            return False
        case = exchange.case(item.case_id) if item.case_id is not None else None
        return sees(item, party, case, exchange.policy(), now)

    def _notice(self, receiver: Receiver, item: WorkItem, phase: str, now: datetime) -> Notice:
        name = item.item.hex
        if receiver.agency:
            name = self._exchange.pseudonyms.pseudonym(receiver.agency, "work", item.item)
        at = item.since if phase == OPENED else item.due or now
        return Notice(name, item.kind, phase, item.due, at, receiver.name)

    # -- receivers that take nothing -----------------------------------------------------------

    def _failed(self, line: _Line, failure: UndeliveredError) -> None:
        now = self._steady()
        if line.failing_since is None:
            line.failing_since = now
        line.try_at = now + line.pause
        line.pause = min(line.pause * 2, LONGEST_PAUSE)
        log.warning("notice_undelivered", error=str(failure))
        if now - line.failing_since >= TOLD_AFTER and not self._told(line):
            ref = f"{line.receiver.name}/{self._exchange.clock.now().isoformat()}"
            raise_item(self._exchange, "notices_undelivered", ref)

    def _reached(self, line: _Line) -> None:
        line.pause, line.try_at = FIRST_PAUSE, float("-inf")
        line.failing_since = None
        for item in self._told(line):
            stall_ended(self._exchange, item)

    def _told(self, line: _Line) -> list[WorkItem]:
        rows = self._exchange.log.work
        standing = rows.standing(kind="notices_undelivered", states=(OPEN,))
        return [one for one in standing if one.ref.rpartition("/")[0] == line.receiver.name]
