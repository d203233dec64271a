"""The writer: the hub's state at the log's head, and its only way to change.

One writer. Everything that changes the hub goes through `commit`: work reads the state as of the
log's head, drafts events, and the store takes all of them or none. If another process wrote in
between, the store says so (`HeadMoved`), the state catches up and the work is done again. So a
decision, and a send, is never made on a state that a withdrawal has already overtaken.

Beside the cases (`cases.py`) the state is what is asked of the log as a whole: who takes part, the
policy profile in force, erasures, withdrawals and break-glass. The log is the outbox that
`hub/publisher.py` follows.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, cast
from uuid import UUID

from hub.clock import Clock
from hub.crypto.pseudonyms import Pseudonyms
from hub.domain.breakglass import LOUD, Emergencies
from hub.domain.case import Case
from hub.domain.policy import PolicyProfile
from hub.errors import Inconsistent, RetryLater
from hub.membership.agencies import Agencies
from hub.recording import bearing
from hub.recording.accepted import ERASING, orders_erasure
from hub.recording.cases import Cases
from hub.recording.draft import Draft
from hub.recording.fresh import FreshRows
from hub.spans import span
from hub.store import events as stored
from hub.store.errors import HeadMoved
from hub.store.events import StoreEvent
from hub.store.keystore import KeyStore
from hub.store.log import HubLog

T = TypeVar("T")

TRIES = 50  # times a draft is made again because another process was quicker

_HOT = (stored.EventAccepted, stored.Settled, stored.Sending, stored.Refused, stored.Received)
_CASE_ROWS = {one.TOPIC for one in (stored.EventAccepted, stored.Settled, stored.HeldBack)}


@dataclass(frozen=True, slots=True)
class WithdrawalNoted:
    """Where a consent was withdrawn: its case, the event's position, who said it and when."""

    position: int
    case_id: UUID
    agency: str
    at: datetime


class Writer:
    """State and commit of one hub. Safe to call from several threads."""

    def __init__(
        self, log: HubLog, secrets: KeyStore, pseudonyms: Pseudonyms, clock: Clock
    ) -> None:
        self.log = log
        self.secrets = secrets
        self.pseudonyms = pseudonyms
        self.clock = clock
        self.agencies = Agencies()
        self.profile: PolicyProfile | None = None
        self.committed = threading.Condition()
        self._writer = threading.RLock()
        self._cases = Cases(log, secrets)
        self._versions: dict[UUID, int] = {}
        self.emergencies = Emergencies()
        self.withdrawals: list[WithdrawalNoted] = []  # in log order
        self._after_erasure: dict[UUID, UUID] = {}  # subject → secret since the last erasure
        self._followed = 0
        self.fresh = FreshRows()
        self._begin()

    def commit(self, work: Callable[[Draft], T]) -> T:
        """Run `work` on the state at the log's head and store what it drafts, all or nothing."""
        with self._writer:
            for _ in range(TRIES):
                draft = Draft(self.clock.now(), self._followed)
                try:
                    with span("nrm.decide"):
                        result = work(draft)
                    if draft.events or draft.tracking:
                        with span("nrm.store", rows=len(draft.events)):
                            self.log.append(
                                draft.events,
                                expected_head=draft.head,
                                admissions=draft.admissions,
                                tracking=draft.tracking,
                            )
                except HeadMoved:
                    self._forget()
                    self.catch_up()
                    continue
                except BaseException:
                    self._forget()
                    raise
                self._follow_own(draft)
                return result
        raise RetryLater("other processes keep writing to this store; try again")

    def _follow_own(self, draft: Draft) -> None:
        self._versions.update(draft.versions)
        for row in draft.fresh:
            if not isinstance(row.event, _HOT):
                self._apply(row.position, row.event)
            elif isinstance(row.event, stored.EventAccepted):
                self._note(row.position, row.event)
        self.fresh.add(draft.fresh)
        self._followed = draft.head + len(draft.events)
        self._cases.trim(len(draft.events))
        with self.committed:
            self.committed.notify_all()

    def _forget(self) -> None:
        """After a failed transaction nothing in memory is trusted beyond the log."""
        self._cases.clear()
        self._versions.clear()

    def _begin(self) -> None:
        """Fold what bears on the hub as a whole; nothing else is read."""
        head = self.log.head
        for one in self.log.saying(bearing.TOPICS, bearing.TYPES, until=head):
            self._apply(one.position, one.event)
        self._followed = head

    def catch_up(self) -> None:
        """Fold what other processes recorded since we last looked."""
        with self._writer:
            while rows := self.log.rows(self._followed, 5_000):
                self.fresh.forget()
                for row in rows:
                    stream = cast(UUID, row.originator_id)
                    self._versions.pop(stream, None)
                    if row.topic in _CASE_ROWS:
                        self._cases.drop(stream)
                    if bearing.bears(row):
                        self._apply(row.id, self.log.decoded(row))
                self._followed = rows[-1].id

    def _apply(self, position: int, event: StoreEvent) -> None:
        self.agencies.apply(position, event)
        if isinstance(event, stored.PolicyPublished):
            self.profile = PolicyProfile.as_recorded(json.loads(event.document))
        elif isinstance(event, stored.EventAccepted):
            self._note(position, event)
        elif isinstance(event, stored.SubjectShredded):
            self._cases.forget(UUID(bytes=event.subject_id))

    def _note(self, position: int, event: stored.EventAccepted) -> None:
        """What is asked of the log as a whole: erasures, withdrawals, break-glass, emergency mode.

        From an erasure's position on a person has another secret, destroyed or not as yet.
        """
        if event.event_type == ERASING and orders_erasure(ERASING, json.loads(event.facts)):
            self._after_erasure[UUID(bytes=event.subject_id)] = UUID(bytes=event.secret_id)
        elif event.event_type == bearing.WITHDRAWN:
            self.withdrawals.append(
                WithdrawalNoted(position, event.originator_id, event.emitter, event.timestamp)
            )
        elif event.event_type in LOUD:
            self.emergencies.note(
                event.originator_id,
                position,
                event.event_type,
                event.emitter,
                event.timestamp,
                json.loads(event.facts),
            )

    def since_erasure(self, subject: UUID) -> UUID | None:
        """The person's first secret after the last erasure on record; None without one."""
        return self._after_erasure.get(subject)

    @property
    def position(self) -> int:
        """Log position the state in memory stands at."""
        return self._followed

    def policy(self) -> PolicyProfile:
        if self.profile is None:
            raise Inconsistent("no policy profile is recorded; this store was never initialised")
        return self.profile

    def case(self, case_id: UUID) -> Case | None:
        """A case as recorded up to the head, or None if there is none. For decisions only."""
        with self._writer:
            opened = self._cases.get(case_id)
            return opened.case if opened else None

    def version_of(self, draft: Draft, stream: UUID) -> int:
        """Last version of a stream, drafted events included."""
        drafted = draft.versions.get(stream)
        return self.last_version(stream) if drafted is None else drafted

    def last_version(self, stream: UUID) -> int:
        """Last recorded version of a stream."""
        with self._writer:
            version = self._versions.get(stream)
            if version is None:
                version = self._versions[stream] = self.log.last_version(stream)
            return version

    def next_case_version(self, case_id: UUID) -> int:
        """Version for one more event of a case outside `record`; call inside `commit` only."""
        opened = self._cases.get(case_id)
        assert opened is not None
        opened.version += 1
        return opened.version
