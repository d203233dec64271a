"""The shredder: destroys a person's secret when an erasure was granted, or on command.

Follows the log: a `SubjectRequestDecided` whose action is `key_destroyed` destroys every secret
the person had before it. The event itself is sealed under the person's next secret, so that its
recipients still learn that the erasure was granted. Resumable: the secret is destroyed first,
then the fact is recorded together with the follower's position.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from uuid import UUID

from hub import crash
from hub.exchange import Exchange
from hub.recording.accepted import ERASING, next_secret, orders_erasure
from hub.recording.draft import Draft, stream_id
from hub.store import events as stored

FOLLOWER = "shredder"
BATCH = 5_000


class Shredder:
    """One hub's shredder; runs in the writer's process, before anything newer is sent."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._to = exchange.log.tracking(FOLLOWER)

    def step(self) -> int:
        if self._exchange.position == self._to:
            return 0
        fresh = self._exchange.fresh.after(FOLLOWER, self._to, BATCH)
        to = fresh[-1].position if fresh else self._exchange.position
        granted = 0
        for one in fresh or self._exchange.log.saying((), (ERASING,), after=self._to, until=to):
            event = one.event
            if isinstance(event, stored.EventAccepted) and orders_erasure(
                event.event_type, json.loads(event.facts)
            ):
                self.shred(UUID(bytes=event.subject_id), keep=UUID(bytes=event.secret_id))
                self._to = one.position
                granted += 1
        self._to = to
        if granted:
            self._exchange.commit(lambda draft: draft.tracking.update({FOLLOWER: to}))
        return granted

    def shred(self, subject: UUID, keep: UUID | None = None) -> int:
        """Destroy the person's secrets (all up to `keep`, exclusive). Returns how many."""
        destroyed = gone = 0
        secret = subject
        while secret != keep:
            if not self._exchange.secrets.erased(secret):
                if not self._exchange.secrets.secrets({secret}):
                    break
                self._exchange.secrets.shred(secret)
                crash.point("after_shred")
                destroyed += 1
            gone += 1
            self._record(subject, gone)
            secret = next_secret(secret)
        return destroyed

    def carry_over(self, secret_ids: Collection[UUID]) -> int:
        """Record erasures that the key store knows of and the log does not, after a restore from a
        backup older than they are. Returns how many persons they concern."""
        subjects: set[UUID] = set()
        after = 0
        accepted = frozenset({stored.EventAccepted.TOPIC})
        while secret_ids and (page := self._exchange.log.read(after, BATCH, accepted)):
            after = page[-1].position
            for one in page:
                event = one.event
                assert isinstance(event, stored.EventAccepted)
                if UUID(bytes=event.secret_id) in secret_ids:
                    subjects.add(UUID(bytes=event.subject_id))
        for subject in sorted(subjects):
            secret, gone = subject, 0
            while self._exchange.secrets.erased(secret):
                gone += 1
                self._record(subject, gone)
                secret = next_secret(secret)
        return len(subjects)

    def _record(self, subject: UUID, gone: int) -> None:
        """Record that this many are gone, unless that is on record: a crash may lie between."""
        stream = stream_id("shredded", subject.hex)

        def work(draft: Draft) -> None:
            if self._exchange.version_of(draft, stream) >= gone:
                return
            draft.add(
                stored.SubjectShredded(
                    originator_id=stream,
                    originator_version=gone,
                    timestamp=draft.now,
                    subject_id=subject.bytes,
                )
            )

        self._exchange.commit(work)
