"""The exchange: record what was admitted, decide what follows, in one transaction.

One writer. Everything that changes the hub goes through `commit`: work reads the state as of the
log's head, drafts events, and the store takes all of them or none. If another process wrote in
between, the store says so (`HeadMoved`), the state catches up and the work is done again. So a
decision, and a send, is never made on a state that a withdrawal has already overtaken.

An accepted event and its decisions are neighbours in its case's stream (`EventAccepted`,
`Settled`); the log is the outbox that `hub/publisher.py` follows.
"""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar
from uuid import UUID

from hub import crash
from hub.accepted import ERASING, Person, accepted, facts_bytes, next_secret, orders_erasure
from hub.agencies import Agencies
from hub.cases import Cases, OpenCase, fold
from hub.clock import Clock
from hub.crypto.pseudonyms import Pseudonyms
from hub.deliveries import Settlement, settle
from hub.domain import guards
from hub.domain.breakglass import LOUD, Emergencies
from hub.domain.case import Case, CaseEvent
from hub.domain.deadlines import over_before_it_began
from hub.domain.facts import EVENT_REFERENCES
from hub.domain.parties import HUB_ROLE
from hub.domain.policy import PolicyProfile
from hub.draft import Draft, Fresh, stream_id
from hub.errors import Inconsistent, Refused, RetryLater
from hub.in_flight import MARKED, WITHDRAWING, Flight, in_flight, read, told, written
from hub.spans import span
from hub.store import events as stored
from hub.store.errors import HeadMoved
from hub.store.events import StoreEvent
from hub.store.keystore import KeyStore
from hub.store.log import AdmissionKey, HubLog
from hub.submission import Admission, AdmittedEvent, RefusedEvent, revoked

T = TypeVar("T")

KEPT_ROWS = 30_000  # rows just recorded that followers need not read back
WITHDRAWN = "ConsentWithdrawn"
TRIES = 50  # times a draft is made again because another process was quicker

_HOT = (stored.EventAccepted, stored.Settled, stored.Sending, stored.Refused, stored.Received)
_CASE_ROWS = (stored.EventAccepted, stored.Settled, stored.HeldBack)

# Whether a case exists is not for agencies outside it to find out: one answer for both.
_HIDDEN = ("unknown_case", "not_involved_emitter")
NO_SUCH_CASE = Refused(
    7, "unknown_case", "there is no case of this reference in which your agency has a part"
)
CONFLICT = Refused(7, "conflict", "this event id was used for other bytes; nothing was changed")
STANDS_ALREADY = Refused(7, "conflict", "this event id stands in the case already; use a new one")
ANOTHER_PERSON = Refused(7, "group_case_refused", "one case per person; open another", "G19")


class Overtaken(RetryLater):
    """What the sender saw of a case is no longer all there is; nothing was recorded."""


@dataclass(frozen=True, slots=True)
class WithdrawalNoted:
    """Where a consent was withdrawn: its case, the event's position, who said it and when."""

    position: int
    case_id: UUID
    agency: str
    at: datetime


@dataclass(frozen=True, slots=True)
class OutcomeFacts:
    """What the sender is told about one event; `hub/outcomes.py` signs it.

    in_flight: of a withdrawal, what was on its way already, as far as the sender may know of it.
    """

    agency: str
    event_id: bytes | None
    digest: bytes
    accepted: bool
    position: int | None
    refusal: Refused | None
    recorded_at: datetime
    in_flight: tuple[tuple[str, str, tuple[str, ...]], ...] = ()


class Exchange:
    """The hub's state and its only way to change. Safe to call from several threads."""

    def __init__(
        self, log: HubLog, secrets: KeyStore, pseudonyms: Pseudonyms, clock: Clock
    ) -> None:
        self.log = log
        self.secrets = secrets
        self.pseudonyms = pseudonyms
        self.clock = clock
        self.keeps_time = True  # a scenario's own deadlines are its business (its timers are off)
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
        self._fresh: deque[Fresh] = deque(maxlen=KEPT_ROWS)
        self.catch_up()

    # -- the one way to change anything ----------------------------------------------------

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
        self._fresh.extend(draft.fresh)
        self._followed = draft.head + len(draft.events)
        self._cases.trim(len(draft.events))
        with self.committed:
            self.committed.notify_all()

    def catch_up(self) -> None:
        """Fold what other processes recorded since we last looked."""
        with self._writer:
            while recorded := self.log.read(self._followed, 5_000):
                self._fresh.clear()
                for one in recorded:
                    event = one.event
                    self._versions.pop(event.originator_id, None)
                    if isinstance(event, _CASE_ROWS):
                        self._cases.drop(event.originator_id)
                    self._apply(one.position, event)
                self._followed = recorded[-1].position

    def _apply(self, position: int, event: StoreEvent) -> None:
        self.agencies.apply(position, event)
        if isinstance(event, stored.PolicyPublished):
            self.profile = PolicyProfile.as_recorded(json.loads(event.document))
        elif isinstance(event, stored.EventAccepted):
            self._note(position, event)

    def _note(self, position: int, event: stored.EventAccepted) -> None:
        """What is asked of the log as a whole: erasures, withdrawals, break-glass, emergency mode.

        From an erasure's position on a person has another secret, destroyed or not as yet.
        """
        if event.event_type == ERASING and orders_erasure(ERASING, json.loads(event.facts)):
            self._after_erasure[UUID(bytes=event.subject_id)] = UUID(bytes=event.secret_id)
        elif event.event_type == WITHDRAWN:
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

    def fresh_after(self, position: int, limit: int) -> list[Fresh]:
        """Rows this process recorded next after `position`; empty if they must be read back."""
        with self._writer:
            while self._fresh and self._fresh[0].position <= position:
                self._fresh.popleft()
            if not self._fresh or self._fresh[0].position != position + 1:
                return []
            return list(islice(self._fresh, limit))

    def forget_fresh(self) -> None:
        """Followers read back from the log from here on: what is kept may hold a gone secret."""
        with self._writer:
            self._fresh.clear()

    @property
    def position(self) -> int:
        """Log position the state in memory stands at."""
        return self._followed

    def policy(self) -> PolicyProfile:
        if self.profile is None:
            raise Inconsistent("no policy profile is recorded; this store was never initialised")
        return self.profile

    # -- streams ---------------------------------------------------------------------------

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

    # -- recording -------------------------------------------------------------------------

    def record(
        self,
        admissions: Sequence[Admission],
        tracking: dict[str, int] | None = None,
        *,
        unmoved_since: int | None = None,
    ) -> list[list[OutcomeFacts]]:
        """Record everything of one group in one transaction; outcomes per message, in order.

        The same event again gets the same outcome; the same id with other bytes is refused and
        changes nothing. unmoved_since: record nothing and raise Overtaken if a case concerned has
        an event after this position, for senders whose events rest on what they saw of it.
        """

        def work(draft: Draft) -> list[list[OutcomeFacts]] | None:
            if unmoved_since is not None and self._moved(admissions, unmoved_since):
                return None
            return self._record(draft, admissions, tracking or {})

        with span("nrm.record", messages=len(admissions)):
            outcomes = self.commit(work)
        if outcomes is None:
            raise Overtaken("the case has moved on; look again before publishing")
        crash.point("after_record")
        return outcomes

    def _moved(self, admissions: Sequence[Admission], since: int) -> bool:
        cases = {
            self._case_of(event)
            for admission in admissions
            for event in admission.events
            if isinstance(event, AdmittedEvent)
        }
        return any(self.moved(case_id, since) for case_id in cases)

    def moved(self, case_id: UUID, since: int) -> bool:
        """Whether a case has an event after a position; inside `commit`, as of its head."""
        case = self.case(case_id)
        return case is not None and bool(case.events) and case.events[-1].position > since

    def _record(
        self, draft: Draft, admissions: Sequence[Admission], tracking: dict[str, int]
    ) -> list[list[OutcomeFacts]]:
        draft.tracking.update(tracking)
        admissions = [self._still_signed(draft, one) for one in admissions]
        known = self._known(admissions)
        persons = self._persons(admissions)
        return [
            [self._outcome(draft, known, persons, event) for event in admission.events]
            for admission in admissions
        ]

    def _still_signed(self, draft: Draft, admission: Admission) -> Admission:
        """(3) again, in log order: the key may have been revoked while the message waited."""
        if admission.key_id is None:
            return admission
        agency = self.agencies.get(admission.sender)
        key = agency.keys.get(admission.key_id) if agency is not None else None
        if key is not None and key.valid_at(draft.next_position):
            return admission
        return admission.refused(revoked())

    def _known(self, admissions: Sequence[Admission]) -> dict[tuple[str, bytes], OutcomeFacts]:
        """Outcomes given before to these events."""
        asked: dict[str, list[bytes]] = {}
        for admission in admissions:
            for event in admission.events:
                if event.event_id is not None:
                    asked.setdefault(event.agency, []).append(event.event_id)
        return {
            (agency, event_id): self._recorded_outcome(key)
            for agency, event_ids in asked.items()
            for event_id, key in self.log.admission(agency, event_ids).items()
        }

    def _recorded_outcome(self, key: AdmissionKey) -> OutcomeFacts:
        event = self.log.read(key.position - 1, 1)[0].event
        refusal = None
        if isinstance(event, stored.Refused):
            refusal = Refused(event.step, event.reason, event.detail, event.guard)
        return OutcomeFacts(
            key.agency,
            key.event_id,
            key.digest,
            refusal is None,
            key.position if refusal is None else None,
            refusal,
            event.timestamp,
            self._told_in_flight(key.position, event),
        )

    def _told_in_flight(self, position: int, event: StoreEvent) -> tuple[Any, ...]:
        """What the acknowledgement of a withdrawal listed; it stands behind its settlement."""
        if not isinstance(event, stored.EventAccepted) or event.event_type not in WITHDRAWING:
            return ()
        behind = self.log.read(position + 1, 1)
        found = behind[0].event if behind else None
        if not isinstance(found, stored.InFlight) or found.position != position:
            return ()
        return tuple(read(json.loads(found.told)))

    def outcome(self, agency: str, event_id: bytes) -> OutcomeFacts | None:
        """What the agency was told about its event; None if it never came in."""
        key = self.log.admission(agency, [event_id]).get(event_id)
        return self._recorded_outcome(key) if key else None

    def _outcome(
        self,
        draft: Draft,
        known: dict[tuple[str, bytes], OutcomeFacts],
        persons: dict[UUID, Person],
        event: AdmittedEvent | RefusedEvent,
    ) -> OutcomeFacts:
        if event.event_id is None:
            # Nothing could be trusted so far, so the answer binds nobody: not indexed.
            assert isinstance(event, RefusedEvent)
            return self._refuse(draft, event, event.refusal)
        earlier = known.get((event.agency, event.event_id))
        if earlier is None:
            if isinstance(event, RefusedEvent):
                answer = self._refuse(draft, event, event.refusal)
            else:
                answer = self._one(draft, persons, event)
            known[event.agency, event.event_id] = answer
            position = answer.position or draft.head + len(draft.events)
            draft.admissions.append(
                AdmissionKey(event.agency, event.event_id, event.digest, position)
            )
            return answer
        if earlier.digest == event.digest:
            return earlier
        return self._refuse(draft, event, CONFLICT)

    def _persons(self, admissions: Sequence[Admission]) -> dict[UUID, Person]:
        """Everyone concerned, by subject; new secrets are durable before anything is recorded."""
        subjects = {
            self._subject_of(event)
            for admission in admissions
            for event in admission.events
            if isinstance(event, AdmittedEvent)
        }
        # An erasure on record counts from its position on, also before the secret is destroyed.
        current = {subject: self._after_erasure.get(subject, subject) for subject in subjects}
        gone = self.secrets.erased_among(set(current.values()))
        for subject in [one for one, secret in current.items() if secret in gone]:
            while self.secrets.erased(current[subject]):
                current[subject] = next_secret(current[subject])
        secrets = self.secrets.ensure(set(current.values()))
        return {
            subject: Person(subject, secret_id, secrets[secret_id])
            for subject, secret_id in current.items()
        }

    def _one(self, draft: Draft, persons: dict[UUID, Person], event: AdmittedEvent) -> OutcomeFacts:
        event = self._resolved(event)
        case_id, subject = self._case_of(event), self._subject_of(event)
        opened = self._cases.get(case_id)
        happened = CaseEvent(
            position=draft.next_position,
            event_id=str(UUID(bytes=event.event_id)),
            type=event.event_type,
            emitter=event.agency,
            role=event.role,
            at=draft.now,
            categories=event.categories,
            facts={**event.facts, **event.personal},
        )
        # (7) State and law, asked in log order.
        case = opened.case if opened else None
        if case is not None and case.find(happened.event_id) is not None:
            return self._refuse(draft, event, STANDS_ALREADY)
        if case is not None and case.subject_id != subject:
            return self._refuse(draft, event, ANOTHER_PERSON)
        no = self._refusal(case, happened, event.occurred_at)
        if no is not None:
            return self._refuse(draft, event, NO_SUCH_CASE if no.reason in _HIDDEN else no)
        opened = opened or self._cases.begin(case_id, subject)
        settlement = self._settle(opened.case, happened)
        person = persons[subject]
        if orders_erasure(event.event_type, event.facts):
            # What the person had before is destroyed; this event must outlive it.
            secret_id = next_secret(person.secret_id)
            secret = self.secrets.ensure({secret_id})[secret_id]
            person = persons[subject] = Person(subject, secret_id, secret)
        draft.add(
            accepted(event, case_id, opened.version + 1, person, draft.now), secret=person.secret
        )
        draft.add(
            stored.Settled(
                originator_id=case_id,
                originator_version=opened.version + 2,
                timestamp=draft.now,
                event_version=opened.version + 1,
                position=happened.position,
                settlement=facts_bytes(settlement.to_record()),
                policy=settlement.policy,
                parties=settlement.parties,
            ),
            settlement=settlement,
        )
        opened.version += 2
        answer: Flight = []
        if event.event_type in WITHDRAWING and settlement.recalls:
            answer = self._in_flight(draft, opened, happened, settlement)
        return OutcomeFacts(
            event.agency,
            event.event_id,
            event.digest,
            True,
            happened.position,
            None,
            draft.now,
            tuple(answer),
        )

    def _refusal(
        self, case: Case | None, happened: CaseEvent, occurred_at: datetime
    ) -> Refused | None:
        """(7) Why this event may not be recorded in this case now, if so."""
        parties, profile = self.agencies.parties(), self.policy()
        refusal = guards.refuse(case, happened, parties, profile, happened.at)
        if refusal is None and self.keeps_time and happened.role != HUB_ROLE:
            refusal = over_before_it_began(happened.type, happened.facts, occurred_at)
        return (
            None if refusal is None else Refused(7, refusal.reason, refusal.detail, refusal.guard)
        )

    def _settle(self, case: Case, happened: CaseEvent) -> Settlement:
        """What follows from this event, taken into this case."""
        return settle(
            case,
            happened,
            self.agencies.parties(),
            self.policy(),
            happened.at,
            clock_trusted=self.clock.trusted,
        )

    def supposed(self, case: Case | None, happened: CaseEvent) -> Refused | Settlement:
        """What recording this event now would answer and decide. Records nothing.

        case: a copy, for it is changed; None for a case nobody opened yet. The answer is made by
        the same calls as when an event is recorded.
        """
        refused = self._refusal(case, happened, happened.at)
        if refused is not None:
            return refused
        return self._settle(case or Case(), happened)

    def _in_flight(
        self, draft: Draft, opened: OpenCase, happened: CaseEvent, settlement: Settlement
    ) -> Flight:
        """Record what was marked as sending before this withdrawal; returns what is told of it.

        If anything is marked before this draft is stored, the draft is made again.
        """
        marked_to = self.log.tracking(MARKED)
        recorded = self.log.stream(opened.case_id)
        marked = [
            one.event
            for one in recorded
            if one.position <= marked_to or isinstance(one.event, stored.HeldBack)
        ]
        flight = in_flight(settlement, fold(marked, self.secrets)) if marked else []
        if not flight:
            return []
        agency, party = happened.emitter, self.agencies.parties().get(happened.emitter)
        attested = party is not None and self.policy().evidence_for(party.role) == "hub"
        own = {one.event_id for one in opened.case.events if one.emitter == agency}

        def reference(event_id: str) -> str:
            if event_id in own or not attested:
                return event_id
            return self.pseudonyms.pseudonym(agency, "event", UUID(event_id))

        answer = told(flight, opened.case, happened, reference)
        draft.add(
            stored.InFlight(
                originator_id=opened.case_id,
                originator_version=opened.version + 1,
                timestamp=draft.now,
                position=happened.position,
                items=facts_bytes(written(flight)),
                told=facts_bytes(written(answer)),
            )
        )
        opened.version += 1
        return answer

    def _refuse(
        self, draft: Draft, event: AdmittedEvent | RefusedEvent, why: Refused
    ) -> OutcomeFacts:
        stream = stream_id("refusals", event.agency)
        draft.add(
            stored.Refused(
                originator_id=stream,
                originator_version=self.version_of(draft, stream) + 1,
                timestamp=draft.now,
                agency=event.agency,
                event_id=event.event_id,
                digest=event.digest,
                step=why.step,
                reason=why.reason,
                guard=why.guard,
                detail=why.detail,
            )
        )
        return OutcomeFacts(event.agency, event.event_id, event.digest, False, None, why, draft.now)

    def _resolved(self, event: AdmittedEvent) -> AdmittedEvent:
        """With the own id of an event it refers to in place of the agency's pseudonym for that."""
        name = EVENT_REFERENCES.get(event.event_type)
        stated = event.facts.get(name) if name is not None else None
        if name is None or not isinstance(stated, str):
            return event
        own = self.pseudonyms.resolve(event.agency, "event", stated)
        return event if own is None else replace(event, facts={**event.facts, name: str(own)})

    # -- cases -----------------------------------------------------------------------------

    def _case_of(self, event: AdmittedEvent) -> UUID:
        own = self.pseudonyms.resolve(event.agency, "case", event.routing.case)
        return own or self.pseudonyms.canonical("case", event.routing.case)

    def _subject_of(self, event: AdmittedEvent) -> UUID:
        own = self.pseudonyms.resolve(event.agency, "subject", event.routing.subject)
        return own or self.pseudonyms.canonical("subject", event.routing.subject)

    def case(self, case_id: UUID) -> Case | None:
        """A case as recorded up to the head, or None if there is none. For decisions only."""
        with self._writer:
            opened = self._cases.get(case_id)
            return opened.case if opened else None

    def _forget(self) -> None:
        """After a failed transaction nothing in memory is trusted beyond the log."""
        self._cases.clear()
        self._versions.clear()
