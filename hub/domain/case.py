"""Case: one person's case, folded from its events in log order (docs/release.md 2).

Three calls per event, in this order: `enter` (state changes that come before the decision),
`hold` (what was decided, from `hub/deliveries.py` or from its record), `leave` (the three endings
that come after it). Folding recorded pairs of event and settlement gives the same case as deciding
did, without deciding anything again.

The case knows nothing of the profile, the clock or the register of parties: questions whose answer
depends on them take them as arguments. Ordinary events cost the same however long the case is.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from hub.domain.age import Age
from hub.domain.catalogue import field_category
from hub.domain.consent import Consent, Consents
from hub.domain.dates import day, instant
from hub.domain.holdings import Holdings
from hub.domain.involvement import Involvement
from hub.domain.progress import PROGRESS_TYPES, Progress
from hub.domain.settlement import Settlement
from hub.domain.window import Window


@dataclass(frozen=True, slots=True)
class CaseEvent:
    """One recorded event, as far as decisions see it.

    position: log position. at: hub time of recording, UTC. categories: every category the event
    carries a field of. facts: plain and personal facts, see `hub/domain/facts.py`.
    """

    position: int
    event_id: str
    type: str
    emitter: str
    role: str
    at: datetime
    categories: tuple[str, ...]
    facts: Mapping[str, Any]

    def at_position(self, position: int) -> CaseEvent:
        return replace(self, position=position)

    @property
    def corrected_category(self) -> str:
        """Category of the field a `RecordCorrected` corrects."""
        for category in self.categories:
            if category != "case_management":
                return category
        return "case_management"


@dataclass(frozen=True, slots=True)
class _JustBefore:
    """The record a consent message is about, as it was before the message (4.8, 4.12)."""

    event_id: str
    consent_id: str
    named: frozenset[str] = frozenset()
    valid_until: date = date.min
    expired: bool = True


class Case:
    """One case. Not for sharing by threads; after an exception, fold it anew."""

    def __init__(self, case_id: UUID | None = None, subject_id: UUID | None = None) -> None:
        self.case_id = case_id
        self.subject_id = subject_id
        self.events: list[CaseEvent] = []
        self.involvement = Involvement()
        self.jurisdiction = ""  # as it was opened; lengths of timers depend on it
        self.consents = Consents()
        self.age = Age()
        self.windows: list[Window] = []
        self.asylum_open = False
        self.complained_about: dict[str, int] = {}  # agency → position of the first complaint
        self.progress = Progress()
        self.holdings = Holdings()
        self._index: dict[str, int] = {}
        self._erased_before = 0
        self._leaving: tuple[str, ...] = ()
        self._just_before: _JustBefore | None = None
        self._birth_dates_erased = False

    # -- 3.1: an event changes state before it is decided -----------------------------------

    def enter(self, event: CaseEvent) -> CaseEvent:
        """Take one event in; returns it as it will be decided."""
        if event.type == "RecordCorrected":
            event = self._with_corrected_category(event)
        change = _CHANGES.get(event.type)
        if change is not None:
            change(self, event)
        self.involvement.note(event)
        if event.type in PROGRESS_TYPES:
            self.progress.apply(event.type, event.facts, event.at.date())
        self._note_birth_date(event)
        self._index[event.event_id] = len(self.events)
        self.events.append(event)
        return event

    def _opened(self, event: CaseEvent) -> None:
        if self.involvement.opener is None:
            self.involvement.opened(event)
            self.jurisdiction = str(event.facts.get("jurisdiction") or "")
            self.age.opened(str(event.facts.get("age_status", "unknown")))

    def _consent_message(self, event: CaseEvent) -> None:
        facts = event.facts
        consent_id = str(facts.get("consent_id"))
        consent = self.consents.get(consent_id)
        self._just_before = (
            _JustBefore(event.event_id, consent_id)
            if consent is None
            else _JustBefore(
                event.event_id, consent_id, consent.named, consent.valid_until, consent.expired
            )
        )
        self.consents.apply(event.type, event.position, facts)

    def _invoked(self, event: CaseEvent) -> None:
        self.windows.append(
            Window.of(
                event.event_id,
                event.emitter,
                event.at,
                instant(event.facts.get("expires_at")),
                frozenset(event.facts.get("requested_categories") or ()),
            )
        )

    def _reviewed(self, event: CaseEvent) -> None:
        if event.facts.get("outcome") == "not_justified":
            for window in self.windows:
                if window.event_id == event.facts.get("invocation_event_id"):
                    window.closed = True

    def _asylum(self, event: CaseEvent) -> None:
        self.asylum_open = event.facts.get("status") == "open"

    def _age_disputed(self, event: CaseEvent) -> None:
        self.age.disputed(event.role, event.at)

    def _age_assessed(self, event: CaseEvent) -> None:
        self.age.assessed(
            str(event.facts.get("outcome")),
            day(event.facts.get("assessed_dob")),
            day(event.facts.get("appeal_open_until")),
        )

    def _feedback(self, event: CaseEvent) -> None:
        # "Complained about" (4.11): a complaint or a safeguarding concern, not mere feedback.
        if event.facts.get("kind") in ("complaint", "safeguarding_concern"):
            self.complained_about.setdefault(str(event.facts.get("about_agency")), event.position)

    def _request_decided(self, event: CaseEvent) -> None:
        if event.facts.get("action") == "key_destroyed":
            self._erased_before = len(self.events)

    def _note_birth_date(self, event: CaseEvent) -> None:
        if event.type in ("IdentityRecorded", "RecordCorrected"):
            born = day(event.facts.get("date_of_birth"))
            if born is not None:
                self.age.stated(born, event.at)
        if birth_date_erased(event.facts):
            self._birth_dates_erased = True

    def _with_corrected_category(self, event: CaseEvent) -> CaseEvent:
        """1.1: a correction is also decided in the corrected field's category."""
        category = self.category_corrected_by(event.facts)
        if category is None or category in event.categories:
            return event
        return replace(event, categories=(*event.categories, category))

    # -- what was decided -------------------------------------------------------------------

    def hold(self, settlement: Settlement, event: CaseEvent) -> None:
        """Keep what was decided about `event`."""
        self.holdings.take(settlement, event.event_id, event.categories)
        self._leaving = settlement.left
        if self._birth_dates_erased:
            self.age.recorded(settlement.age)

    # -- 3.2: three endings come after the decision -------------------------------------------

    def leave(self, event: CaseEvent) -> None:
        """Leaving, the end or decline of a referral, the replacement of a guardian."""
        self.involvement.end(event, self._leaving)
        self._leaving = ()

    # -- questions --------------------------------------------------------------------------

    @property
    def birth_dates_erased(self) -> bool:
        """Whether a date of birth was stated that can no longer be read."""
        return self._birth_dates_erased

    def involved(self, agency: str) -> bool:
        """2.1, and nothing else."""
        return agency in self.involvement.agencies()

    def open_window(
        self, agency: str, category: str, now: datetime, opens: frozenset[str]
    ) -> Window | None:
        """The earliest open window of the agency for the category (2.10)."""
        if category not in opens:
            return None
        for window in self.windows:
            if window.agency == agency and category in window.requested and window.open(now):
                return window
        return None

    def consent_of(self, event: CaseEvent) -> Consent | None:
        return self.consents.get(str(event.facts.get("consent_id")))

    def named_just_before(self, event: CaseEvent, agency: str) -> bool:
        """Whether the record named the agency just before this very message."""
        before = self._just_before
        return before is not None and before.event_id == event.event_id and agency in before.named

    def actively_named_just_before(self, event: CaseEvent, agency: str, today: date) -> bool:
        """Whether an active consent named the agency just before this very message."""
        before = self._just_before
        if before is None or before.event_id != event.event_id:
            return False
        if agency in before.named and not before.expired and today <= before.valid_until:
            return True
        return any(
            consent.names(agency) and consent.active(today)
            for consent in self.consents
            if consent.consent_id != before.consent_id
        )

    def earlier(self, event: CaseEvent) -> Iterator[CaseEvent]:
        """Events recorded before this one and not erased."""
        return iter(self.events[self._erased_before : self._index[event.event_id]])

    def find(self, event_id: str) -> CaseEvent | None:
        index = self._index.get(event_id)
        return None if index is None else self.events[index]

    def position_of(self, event_id: str) -> int:
        """Log position of an event of this case."""
        return self.events[self._index[event_id]].position

    def at(self, position: int) -> str | None:
        """Id of the event recorded at this log position; None if it is not of this case."""
        index = bisect_left(self.events, position, key=attrgetter("position"))
        if index == len(self.events) or self.events[index].position != position:
            return None
        return self.events[index].event_id

    def erased(self, event_id: str) -> bool:
        """Whether the event's content was destroyed (6.4)."""
        return self._index[event_id] < self._erased_before

    def category_corrected_by(self, facts: Mapping[str, Any]) -> str | None:
        """Category of the field a correction names; None if there is no such event or field."""
        corrected = self.find(str(facts.get("corrects_event")))
        if corrected is None:
            return None
        name = str(facts.get("field"))
        if corrected.type == "RecordCorrected" and name == "new_value":
            return corrected.corrected_category
        return field_category(corrected.type, name)


def birth_date_erased(facts: Mapping[str, Any]) -> bool:
    """Whether an event stated a date of birth that was erased since."""
    return "birth_date_stated" in facts and not (
        "date_of_birth" in facts or "assessed_dob" in facts
    )


_CHANGES: Mapping[str, Callable[[Case, CaseEvent], None]] = {
    "CaseOpened": Case._opened,
    "ProceedingLinked": lambda case, event: case.involvement.proceeding_linked(event),
    "ReferralMade": lambda case, event: case.involvement.offered(event),
    "TransferOffered": lambda case, event: case.involvement.offered(event),
    "ReferralAccepted": lambda case, event: case.involvement.accepted(event),
    "TransferAnswered": lambda case, event: case.involvement.accepted(event),
    "GuardianAppointed": lambda case, event: case.involvement.guardian_appointed(event),
    "ConsentRequested": Case._consent_message,
    "ConsentGiven": Case._consent_message,
    "ConsentRefused": Case._consent_message,
    "ConsentAmended": Case._consent_message,
    "ConsentWithdrawn": Case._consent_message,
    "ConsentExpired": Case._consent_message,
    "BreakGlassInvoked": Case._invoked,
    "BreakGlassReviewed": Case._reviewed,
    "AsylumClaimRecorded": Case._asylum,
    "AgeDisputed": Case._age_disputed,
    "AgeAssessed": Case._age_assessed,
    "FeedbackRecorded": Case._feedback,
    "SubjectRequestDecided": Case._request_decided,
}
