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
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from operator import attrgetter
from typing import Any
from uuid import UUID

from hub.domain.age import Age
from hub.domain.catalogue import field_category
from hub.domain.consent import Consent, Consents
from hub.domain.dates import day, instant
from hub.domain.progress import PROGRESS_TYPES, Progress
from hub.domain.referral import ACCEPTED, DECLINED, ENDED, MESSAGES, Referral
from hub.domain.settlement import Released, Settlement
from hub.domain.window import Window

# 2.1: emitting `ProceedingLinked` involves these roles and no other.
PROCEEDING_ROLES = frozenset({"police", "prosecutor", "labour_inspectorate"})

Item = tuple[str, str]  # (event id, category)


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
        self.opener: str | None = None  # agency of the first CaseOpened
        self.jurisdiction = ""  # as it was opened; lengths of timers depend on it
        self.referrals: dict[tuple[str, str], Referral] = {}
        self.guardian: str | None = None
        self.consents = Consents()
        self.age = Age()
        self.windows: list[Window] = []
        self.asylum_open = False
        self.complained_about: dict[str, int] = {}  # agency → position of the first complaint
        self.left: set[str] = set()  # authorities left by the person, until referred to anew
        self.progress = Progress()
        self.holdings: dict[str, dict[Item, str]] = {}  # what each agency holds, on which basis
        self.through: dict[tuple[str, str, str], str] = {}  # held through which invocation
        self.ever: dict[str, dict[str, set[str]]] = {}  # 7: ever released, bases by category
        self._index: dict[str, int] = {}
        self._erased_before = 0
        self._opener_left = False
        self._about: dict[str, Referral] = {}  # message → the referral it is about
        self._outgoing_guardian: str | None = None
        self._proceedings: set[str] = set()
        self._leaving: tuple[str, ...] = ()
        self._just_before: _JustBefore | None = None
        self._involved: frozenset[str] | None = None
        self._birth_dates_erased = False

    # -- 3.1: an event changes state before it is decided -----------------------------------

    def enter(self, event: CaseEvent) -> CaseEvent:
        """Take one event in; returns it as it will be decided."""
        if event.type == "RecordCorrected":
            event = self._with_corrected_category(event)
        change = _CHANGES.get(event.type)
        if change is not None:
            change(self, event)
        if event.type in MESSAGES:
            referral = self.referral_of(event)
            if referral is not None:
                self._about[event.event_id] = referral
        if event.type in PROGRESS_TYPES:
            self.progress.apply(event.type, event.facts, event.at.date())
        self._note_birth_date(event)
        self._index[event.event_id] = len(self.events)
        self.events.append(event)
        return event

    def _opened(self, event: CaseEvent) -> None:
        if self.opener is None:
            self.opener = event.emitter
            self.jurisdiction = str(event.facts.get("jurisdiction") or "")
            self.age.opened(str(event.facts.get("age_status", "unknown")))
            self._involved = None

    def _proceeding_linked(self, event: CaseEvent) -> None:
        if event.role in PROCEEDING_ROLES:
            self._proceedings.add(event.emitter)
            self._involved = None

    def _offered(self, event: CaseEvent) -> None:
        kind, name = MESSAGES[event.type]
        referral_id = str(event.facts.get(name))
        self.referrals[kind, referral_id] = Referral(
            kind,
            referral_id,
            sender=event.emitter,
            recipient=str(event.facts.get("to_agency")),
            made=event.event_id,
            respond_by=instant(event.facts.get("respond_by")),
        )

    def _accepted(self, event: CaseEvent) -> None:
        referral = self.referral_of(event)
        if referral is None or not referral.pending or referral.recipient != event.emitter:
            return
        if event.type == "TransferAnswered" and event.facts.get("outcome") != "accepted":
            return
        referral.state = ACCEPTED
        if event.type == "ReferralAccepted":
            # 2.4: only a referral made and accepted later brings a left authority back; those
            # made before leaving are no longer pending.
            self.left.discard(event.emitter)
        self._involved = None

    def _guardian_appointed(self, event: CaseEvent) -> None:
        named = event.facts.get("guardian_agency")
        if named != self.guardian:
            self._outgoing_guardian, self.guardian = self.guardian, named
            self._involved = None

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
        """Keep what was decided about `event`: recalls first, then what was released."""
        for recall in settlement.recalls:
            for event_id, names in recall.items:
                self._drop(recall.to, event_id, names)
        for agency, events in settlement.rebased.items():
            self.rebase(agency, events)
        items = {category: (event.event_id, category) for category in event.categories}
        for agency, outcomes in settlement.decided.items():
            for category, outcome in outcomes.items():
                if isinstance(outcome, Released):
                    self._gain(agency, items[category], outcome.basis)
        self.hold_backfill(settlement)
        self._leaving = settlement.left
        if self._birth_dates_erased:
            self.age.recorded(settlement.age)

    def hold_backfill(self, settlement: Settlement) -> None:
        for agency, events in settlement.backfill.items():
            for event_id, bases in events.items():
                for category, basis in bases.items():
                    self._gain(agency, (event_id, category), basis)
        self.through.update(settlement.windows)

    def _gain(self, agency: str, item: Item, basis: str) -> None:
        held = self.holdings.get(agency)
        if held is None:
            held = self.holdings[agency] = {}
            self.ever[agency] = {}
        held[item] = basis
        ever = self.ever[agency].get(item[1])
        if ever is None:
            self.ever[agency][item[1]] = {basis}
        else:
            ever.add(basis)

    def hold_back(self, agency: str, items: Mapping[str, Sequence[str]]) -> None:
        """Items whose sending was stopped: the agency never got them, so it does not hold them."""
        for event_id, names in items.items():
            self._drop(agency, event_id, names)

    def rebase(self, agency: str, items: Mapping[str, Mapping[str, str]]) -> None:
        """Items held from now on on another basis; what was ever released (7) gains nothing."""
        for event_id, bases in items.items():
            for category, basis in bases.items():
                if (event_id, category) in self.holdings.get(agency, {}):
                    self.holdings[agency][event_id, category] = basis
                    self.through.pop((agency, event_id, category), None)

    def _drop(self, agency: str, event_id: str, names: Sequence[str]) -> None:
        held = self.holdings.get(agency, {})
        for category in names:
            held.pop((event_id, category), None)
            self.through.pop((agency, event_id, category), None)

    # -- 3.2: three endings come after the decision -------------------------------------------

    def leave(self, event: CaseEvent) -> None:
        """Leaving, the end or decline of a referral, the replacement of a guardian."""
        if event.type == "ReferralDeclined" or (
            event.type == "TransferAnswered" and event.facts.get("outcome") == "declined"
        ):
            referral = self.referral_of(event)
            if referral and referral.pending and referral.recipient == event.emitter:
                referral.state = DECLINED
        elif event.type == "ReferralEnded":
            referral = self.referral_of(event)
            if referral and referral.may_be_ended_by(event.emitter, event.role):
                referral.state = ENDED
        elif event.type != "GuardianAppointed" and not self._leaving:
            return
        self._outgoing_guardian = None
        for agency in self._leaving:
            self._leave(agency)
        self._leaving = ()
        self._involved = None

    def _leave(self, agency: str) -> None:
        """2.4: the authority loses all its grounds; its pending referrals end."""
        if self.involved(agency):
            self.left.add(agency)
        if self.opener == agency:
            self._opener_left = True
        if self.guardian == agency:
            self.guardian = None
        for referral in self.referrals.values():
            if referral.recipient != agency:
                continue
            if referral.pending:
                referral.state = ENDED
            referral.void = True

    # -- questions --------------------------------------------------------------------------

    @property
    def birth_dates_erased(self) -> bool:
        """Whether a date of birth was stated that can no longer be read."""
        return self._birth_dates_erased

    def involved(self, agency: str) -> bool:
        """2.1, and nothing else."""
        return agency in self.involved_agencies()

    def involved_agencies(self) -> frozenset[str]:
        involved = self._involved
        if involved is None:
            grounds = set(self._proceedings)
            if self.opener is not None and not self._opener_left:
                grounds.add(self.opener)
            for guardian in (self.guardian, self._outgoing_guardian):
                if guardian is not None:
                    grounds.add(guardian)
            grounds.update(r.recipient for r in self.referrals.values() if r.involves)
            involved = self._involved = frozenset(grounds - self.left)
        return involved

    def grounds(self) -> dict[str, tuple[str, ...]]:
        """Who is involved and why (2.1): `opened`, `referral:<id>`, `guardian`, `proceeding`."""
        found: dict[str, list[str]] = {}
        if self.opener is not None and not self._opener_left:
            found.setdefault(self.opener, []).append("opened")
        for referral in self.referrals.values():
            if referral.involves:
                why = f"{referral.kind}:{referral.referral_id}"
                found.setdefault(referral.recipient, []).append(why)
        if self.guardian is not None:
            found.setdefault(self.guardian, []).append("guardian")
        for agency in self._proceedings:
            found.setdefault(agency, []).append("proceeding")
        return {agency: tuple(found[agency]) for agency in sorted(found) if self.involved(agency)}

    def has_ground_or_offer(self, agency: str) -> bool:
        """Whether leaving would take something from this authority."""
        return self.involved(agency) or any(
            r.pending and r.recipient == agency for r in self.referrals.values()
        )

    def referral_of(self, event: CaseEvent) -> Referral | None:
        """The referral or transfer a message is about.

        Of a recorded message, the one it was about then: an id may be used again once a referral
        was declined or ended, and the parties of the later one are none of the earlier.
        """
        message = MESSAGES.get(event.type)
        if message is None:
            return None
        about = self._about.get(event.event_id)
        if about is not None:
            return about
        kind, name = message
        return self.referrals.get((kind, str(event.facts.get(name))))

    def pending_recipient(self, event: CaseEvent) -> str | None:
        """2.2: the recipient of the still pending referral this message is about."""
        referral = self.referral_of(event)
        return referral.recipient if referral is not None and referral.pending else None

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

    def final_holdings(self) -> dict[str, dict[str, list[str]]]:
        """7: agency → category → bases on which anything of it was ever released to it."""
        return {
            agency: {category: sorted(bases) for category, bases in sorted(categories.items())}
            for agency, categories in sorted(self.ever.items())
            if categories
        }


def birth_date_erased(facts: Mapping[str, Any]) -> bool:
    """Whether an event stated a date of birth that was erased since."""
    return "birth_date_stated" in facts and not (
        "date_of_birth" in facts or "assessed_dob" in facts
    )


_CHANGES: Mapping[str, Callable[[Case, CaseEvent], None]] = {
    "CaseOpened": Case._opened,
    "ProceedingLinked": Case._proceeding_linked,
    "ReferralMade": Case._offered,
    "TransferOffered": Case._offered,
    "ReferralAccepted": Case._accepted,
    "TransferAnswered": Case._accepted,
    "GuardianAppointed": Case._guardian_appointed,
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
