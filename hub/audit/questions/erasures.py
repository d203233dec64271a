"""Q11: after an erasure, is the content unreadable everywhere, and does the trail still verify?"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from hub.audit.questions.answer import Cell, Column, Found, Row, moment
from hub.audit.questions.asking import AS_OF, CASE, Asked, Question
from hub.audit.verify import verify_log
from hub.recalling.book import RecallBook
from hub.recording.accepted import next_secret, orders_erasure
from hub.store import events as stored
from hub.store.log import leaf_entry
from hub.store.recovery import Recovery


@dataclass(slots=True)
class _Erasure:
    """One secret that was destroyed, or is to be. ordered: the event that granted it, if any."""

    secret: UUID
    cases: list[UUID] = field(default_factory=list)
    ordered: int = 0
    destroyed: int = 0
    at: datetime | None = None
    events: list[int] = field(default_factory=list)
    sent_after: int = 0


class _Told:
    """What the log says of erasures, in one pass."""

    def __init__(self) -> None:
        self.erasures: dict[UUID, _Erasure] = {}
        self.recalls = RecallBook()
        self._events: dict[UUID, list[int]] = {}
        self._cases: dict[UUID, dict[UUID, None]] = {}
        self._secret_of: dict[int, UUID] = {}
        self._next: dict[UUID, UUID] = {}  # subject → the first secret not yet destroyed

    def take(self, position: int, event: stored.StoreEvent) -> None:
        self.recalls.apply(position, event)
        if isinstance(event, stored.EventAccepted):
            secret, subject = UUID(bytes=event.secret_id), UUID(bytes=event.subject_id)
            self._events.setdefault(secret, []).append(position)
            self._cases.setdefault(secret, {})[event.originator_id] = None
            self._secret_of[position] = secret
            if orders_erasure(event.event_type, json.loads(event.facts)):
                # Sealed under the next secret: what it erases is the one before.
                gone = self._next.get(subject, subject)
                while gone != secret:
                    self._erasure(gone).ordered = position
                    gone = next_secret(gone)
        elif isinstance(event, stored.SubjectShredded):
            subject = UUID(bytes=event.subject_id)
            gone = self._next.get(subject, subject)
            self._next[subject] = next_secret(gone)
            erasure = self._erasure(gone)
            erasure.destroyed, erasure.at = position, event.timestamp
        elif isinstance(event, stored.Sending) and event.kind == "release":
            secret_of = self._secret_of.get(event.event_position)
            if secret_of in self.erasures and self.erasures[secret_of].destroyed:
                self.erasures[secret_of].sent_after += 1

    def _erasure(self, secret: UUID) -> _Erasure:
        return self.erasures.setdefault(secret, _Erasure(secret))

    def finish(self) -> None:
        for erasure in self.erasures.values():
            erasure.events = self._events.get(erasure.secret, [])
            erasure.cases = list(self._cases.get(erasure.secret, {}))


def _gone(asked: Asked) -> Found:
    told, case = _Told(), asked.case
    kinds = (
        stored.EventAccepted,
        stored.Settled,
        stored.Sending,
        stored.Received,
        stored.SubjectShredded,
    )
    for one in asked.walk(*kinds):
        told.take(one.position, one.event)
    told.finish()
    wanted = [one for one in told.erasures.values() if case is None or case in one.cases]
    found = Found(findings=0)
    recovery = asked.exchange.secrets.recovery.read()
    for erasure in wanted:
        row, problems = _row(asked, erasure, told.recalls, recovery)
        found.rows.append(row)
        assert found.findings is not None
        found.findings += problems
    found.summary = {
        "erasures": len(wanted),
        "epoch of the keys": asked.exchange.secrets.epoch,
        "backup key": "there is none" if recovery is None else "there is one",
    }
    if wanted:
        *_, verdict = verify_log(asked.exchange.log, asked.hub.hub_id, asked.hub.verifier)
        found.summary["entries verified"] = verdict.checked
        found.summary["problems in the trail"] = len(verdict.problems)
        assert found.findings is not None
        found.findings += len(verdict.problems)
        if asked.exchange.secrets.epoch < 2:
            found.findings += 1
            found.notes.append("The epoch of the keys never changed: no old key was destroyed.")
    for copy in asked.exchange.secrets.recovery.copies():
        if copy.behind != 0:
            found.notes.append("A copy of the backup's key is away or has not forgotten them yet.")
    return found


def _row(
    asked: Asked, erasure: _Erasure, recalls: RecallBook, recovery: Recovery | None
) -> tuple[Row, int]:
    secrets, log = asked.exchange.secrets, asked.exchange.log
    there = bool(secrets.secrets({erasure.secret}))
    marked = secrets.erased(erasure.secret)
    readable = len(erasure.events) if there or not marked else 0
    changed = sum(
        leaf_entry(row) != entry
        for position in erasure.events
        for row in log.rows(position - 1, 1)
        for _, entry in log.leaves(position, 1)
    )
    backup: Cell = None if recovery is None else recovery.key.key_for(erasure.secret.bytes) is None
    asked_back = [one for one in recalls if erasure.ordered and one.cause == erasure.ordered]
    row: Row = (
        ", ".join(one.hex for one in erasure.cases),
        erasure.ordered or None,
        erasure.destroyed or None,
        moment(erasure.at),
        "still there" if there else "absent" if marked else "absent, not marked",
        backup,
        len(erasure.events),
        readable,
        len(erasure.events) - changed,
        erasure.sent_after,
        len(asked_back),
        sum(one.open for one in asked_back),
        sum(bool(one.own_bases) for one in asked_back),
    )
    return row, readable + changed + (not erasure.destroyed) + (backup is False)


Q11: Final = Question(
    "Q11",
    "auditor",
    "After erasure: is the content unreadable everywhere while the trail still verifies?",
    (CASE, AS_OF),
    (
        Column("cases", "The hub's ids of the person's cases."),
        Column("ordered", "Log position of the event that granted it; empty: by command."),
        Column("destroyed", "Log position at which the secret was destroyed."),
        Column("at", "When."),
        Column("secret", "absent: the key store holds none and will never make one again."),
        Column("backup_forgot", "Whether the backups' key forgot the person; empty: no such key."),
        Column("events", "Events that were sealed under it."),
        Column("readable", "Of these, those the hub could still open: must be 0."),
        Column("leaves", "Of these, those whose leaf is still exactly what was recorded."),
        Column("sent_after", "Deliveries marked afterwards; they carry nothing that opens."),
        Column("recalls", "Recalls sent to recipients because of it."),
        Column("open", "Of these, not answered yet."),
        Column("kept", "Of these, answered with: kept, on a law the recipient names."),
    ),
    _gone,
    "The key store and the backups' key as they are now; every row the person left, recomputed to "
    "its leaf; the whole log verified again.",
    "Copies the hub never had: what a recipient opened is answered for by its receipt alone. "
    "Copies of the key store's files made by hand before the erasure open nothing, unless the "
    "epoch key of that time was copied as well.",
    must_be_empty=True,
)
