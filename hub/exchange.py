"""The exchange: record what was admitted, decide what follows, in one transaction.

An accepted event and its decisions are neighbours in its case's stream (`EventAccepted`,
`Settled`). The transaction, and the state that decisions rest on, are the writer's
(`recording/writer.py`): nothing here is recorded on a state that another process has moved on from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from uuid import UUID

from hub import crash
from hub.clock import Clock
from hub.crypto.pseudonyms import Pseudonyms
from hub.deliveries import Settlement, settle
from hub.domain import guards
from hub.domain.case import Case, CaseEvent
from hub.domain.deadlines import over_before_it_began
from hub.domain.facts import EVENT_REFERENCES
from hub.domain.parties import HUB_ROLE
from hub.errors import Refused, RetryLater
from hub.recalling.in_flight import MARKED, WITHDRAWING, Flight, in_flight, told, written
from hub.recording.accepted import (
    Person,
    accepted,
    after_erasure,
    facts_bytes,
    orders_erasure,
    persons,
)
from hub.recording.answered import OutcomeFacts, answered, known
from hub.recording.cases import OpenCase, fold
from hub.recording.draft import Draft, stream_id
from hub.recording.writer import Writer
from hub.spans import span
from hub.store import events as stored
from hub.store.keystore import KeyStore
from hub.store.log import AdmissionKey, HubLog
from hub.submission import Admission, AdmittedEvent, RefusedEvent, revoked

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


class Exchange(Writer):
    """The hub's writer, and what it records: admissions and their outcomes."""

    def __init__(
        self, log: HubLog, secrets: KeyStore, pseudonyms: Pseudonyms, clock: Clock
    ) -> None:
        super().__init__(log, secrets, pseudonyms, clock)
        self.keeps_time = True  # a scenario's own deadlines are its business (its timers are off)

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
        answers, people = known(self.log, admissions), self._people(admissions)
        return [
            [self._outcome(draft, answers, people, event) for event in admission.events]
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

    def outcome(self, agency: str, event_id: bytes) -> OutcomeFacts | None:
        """What the agency was told about its event; None if it never came in."""
        return answered(self.log, agency, event_id)

    def _people(self, admissions: Sequence[Admission]) -> dict[UUID, Person]:
        """Everyone concerned, by subject, with the secret that is theirs now."""
        subjects = {
            self._subject_of(event)
            for admission in admissions
            for event in admission.events
            if isinstance(event, AdmittedEvent)
        }
        since = {subject: self.since_erasure(subject) or subject for subject in subjects}
        return persons(self.secrets, since)

    def _outcome(
        self,
        draft: Draft,
        answers: dict[tuple[str, bytes], OutcomeFacts],
        people: dict[UUID, Person],
        event: AdmittedEvent | RefusedEvent,
    ) -> OutcomeFacts:
        if event.event_id is None:
            # Nothing could be trusted so far, so the answer binds nobody: not indexed.
            assert isinstance(event, RefusedEvent)
            return self._refuse(draft, event, event.refusal)
        earlier = answers.get((event.agency, event.event_id))
        if earlier is None:
            if isinstance(event, RefusedEvent):
                answer = self._refuse(draft, event, event.refusal)
            else:
                answer = self._one(draft, people, event)
            answers[event.agency, event.event_id] = answer
            position = answer.position or draft.head + len(draft.events)
            draft.admissions.append(
                AdmissionKey(event.agency, event.event_id, event.digest, position)
            )
            return answer
        if earlier.digest == event.digest:
            return earlier
        return self._refuse(draft, event, CONFLICT)

    def _one(self, draft: Draft, people: dict[UUID, Person], event: AdmittedEvent) -> OutcomeFacts:
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
        person = people[subject]
        if orders_erasure(event.event_type, event.facts):
            person = people[subject] = after_erasure(self.secrets, person)
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

    def _case_of(self, event: AdmittedEvent) -> UUID:
        own = self.pseudonyms.resolve(event.agency, "case", event.routing.case)
        return own or self.pseudonyms.canonical("case", event.routing.case)

    def _subject_of(self, event: AdmittedEvent) -> UUID:
        own = self.pseudonyms.resolve(event.agency, "subject", event.routing.subject)
        return own or self.pseudonyms.canonical("subject", event.routing.subject)
