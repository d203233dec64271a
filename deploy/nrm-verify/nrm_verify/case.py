"""A case as the decision reads it (docs/release.md 2), from recorded rows alone.

Nothing here decides. What was decided is put back with `keep`, so that a state is always that of
the record; `decisions.py` compares each decision with its own before that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from nrm_verify.age import Age
from nrm_verify.consents import Consents

DAY = timedelta(hours=24)
OFFERS = {"ReferralMade": "referral", "TransferOffered": "transfer"}
OFFER_MESSAGES = {
    "ReferralMade": "referral",
    "ReferralAccepted": "referral",
    "ReferralDeclined": "referral",
    "ReferralEnded": "referral",
    "TransferOffered": "transfer",
    "TransferAnswered": "transfer",
}
LINKING_ROLES = ("police", "prosecutor", "labour_inspectorate")  # 2.1

Item = tuple[str, str]  # event id, category


@dataclass(frozen=True)
class Event:
    """One recorded event. categories: those it carries, and that of a corrected field (1.1)."""

    id: str
    type: str
    group: str
    agency: str
    role: str
    position: int
    at: datetime
    categories: tuple[str, ...]
    facts: Mapping[str, Any]
    schema: bytes = b""


@dataclass
class Offer:
    """A referral or transfer (2.3)."""

    sender: str
    recipient: str
    message: str  # id of the event that made it
    state: str = "pending"
    lost: bool = False  # its ground was lost by leaving

    def may_end(self, event: Event) -> bool:
        mine = event.agency in (self.sender, self.recipient) or event.role == "hub"
        return mine and self.state in ("pending", "accepted")


@dataclass
class Window:
    """A break-glass window (2.10)."""

    invocation: str
    agency: str
    start: datetime
    end: datetime
    categories: frozenset[str]
    shut: bool = False

    def open(self, now: datetime) -> bool:
        return not self.shut and self.start <= now < self.end


@dataclass
class Case:
    """State of one case, in log order."""

    events: dict[str, Event] = field(default_factory=dict)
    opener: str = ""
    opener_stays: bool = True
    offers: dict[tuple[str, str], Offer] = field(default_factory=dict)
    about: dict[str, Offer] = field(default_factory=dict)  # message → the offer it is about
    guardian: str = ""
    guardian_before: str = ""  # still involved while its successor's appointment is decided (3)
    linked: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    consents: Consents = field(default_factory=Consents)
    age: Age = field(default_factory=Age)
    windows: list[Window] = field(default_factory=list)
    asylum: bool = False
    complaints: dict[str, int] = field(default_factory=dict)  # agency → position of the first
    erased: set[str] = field(default_factory=set)  # events erased with a person's key
    held: dict[str, dict[Item, str]] = field(default_factory=dict)  # agency → item → basis
    through: dict[tuple[str, str, str], str] = field(default_factory=dict)

    # -- what an event changes before it is decided (3) ---------------------------------------

    def enter(self, event: Event) -> None:
        facts = event.facts
        kind = OFFER_MESSAGES.get(event.type)
        match event.type:
            case "CaseOpened" if not self.opener:
                self.opener = event.agency
                self.age.opened(str(facts.get("age_status", "unknown")))
            case "ProceedingLinked" if event.role in LINKING_ROLES:
                self.linked.add(event.agency)
            case "ReferralMade" | "TransferOffered":
                self.offers[OFFERS[event.type], _offer_id(event)] = Offer(
                    event.agency, str(facts.get("to_agency")), event.id
                )
            case "ReferralAccepted" | "TransferAnswered":
                self._accepted(event)
            case "GuardianAppointed":
                named = str(facts.get("guardian_agency") or "")
                if named != self.guardian:
                    self.guardian_before, self.guardian = self.guardian, named
            case "BreakGlassInvoked":
                self._invoked(event)
            case "BreakGlassReviewed" if facts.get("outcome") == "not_justified":
                for window in self.windows:  # 6.5: the window ends
                    if window.invocation == facts.get("invocation_event_id"):
                        window.shut = True
            case "AsylumClaimRecorded":
                self.asylum = facts.get("status") == "open"
            case "FeedbackRecorded" if facts.get("kind") in ("complaint", "safeguarding_concern"):
                self.complaints.setdefault(str(facts.get("about_agency")), event.position)
            case "SubjectRequestDecided" if facts.get("action") == "key_destroyed":
                self.erased = set(self.events)
        self.consents.enter(event.id, event.type, event.position, facts)
        self.age.enter(event.type, event.role, facts)
        if kind is not None and (kind, _offer_id(event)) in self.offers:
            self.about[event.id] = self.offers[kind, _offer_id(event)]
        self.events[event.id] = event

    def _accepted(self, event: Event) -> None:
        offer = self.offers.get((OFFER_MESSAGES[event.type], _offer_id(event)))
        if offer is None or offer.state != "pending" or offer.recipient != event.agency:
            return
        if event.facts.get("outcome", "accepted") != "accepted":
            return
        offer.state = "accepted"
        if event.type == "ReferralAccepted":
            self.left.discard(event.agency)  # 2.4: only a referral brings an authority back

    def _invoked(self, event: Event) -> None:
        end = event.at + DAY
        asked = instant(event.facts.get("expires_at"))
        if asked is not None:
            end = min(end, asked)
        names = frozenset(event.facts.get("requested_categories") or ())
        self.windows.append(Window(event.id, event.agency, event.at, end, names))

    # -- the three endings, after the decision (3) --------------------------------------------

    def leave(self, event: Event, authorities: tuple[str, ...]) -> None:
        """authorities: those a person who leaves takes the case from (2.4)."""
        offer = self.about.get(event.id)
        declined = event.type == "ReferralDeclined" or (
            event.type == "TransferAnswered" and event.facts.get("outcome") == "declined"
        )
        if offer is not None and declined:
            if offer.state == "pending" and offer.recipient == event.agency:
                offer.state = "declined"
        elif offer is not None and event.type == "ReferralEnded" and offer.may_end(event):
            offer.state = "ended"
        self.guardian_before = ""
        for agency in authorities:
            if agency in self.involved():
                self.left.add(agency)
            if agency == self.opener:
                self.opener_stays = False
            if agency == self.guardian:
                self.guardian = ""
            for one in self.offers.values():
                if one.recipient == agency:
                    one.lost = True
                    if one.state == "pending":
                        one.state = "ended"

    # -- what was decided, put back -----------------------------------------------------------

    def keep(self, record: Mapping[str, Any]) -> None:
        """A settlement as recorded: recalls, changed bases, what is gained at once."""
        for recall in record.get("recalls", ()):
            for event_id, names in recall["items"].items():
                self.drop(recall["to"], event_id, names)
        for agency, events in record.get("rebased", {}).items():
            self.rebase(agency, events)
        for agency, outcomes in record.get("decided", {}).items():
            for category, outcome in outcomes.items():
                if isinstance(outcome, str):
                    self.held.setdefault(agency, {})[record["event"], category] = outcome

    def keep_backfill(self, record: Mapping[str, Any]) -> None:
        """What was caught up on, and which window what came through."""
        for agency, events in record.get("backfill", {}).items():
            for event_id, bases in events.items():
                for category, basis in bases.items():
                    self.held.setdefault(agency, {})[event_id, category] = basis
        for agency, events in record.get("windows", {}).items():
            for event_id, names in events.items():
                for category, window in names.items():
                    self.through[agency, event_id, category] = window

    def drop(self, agency: str, event_id: str, names: Any) -> None:
        for category in names:
            self.held.get(agency, {}).pop((event_id, category), None)
            self.through.pop((agency, event_id, category), None)

    def rebase(self, agency: str, events: Mapping[str, Mapping[str, str]]) -> None:
        for event_id, bases in events.items():
            for category, basis in bases.items():
                if (event_id, category) in self.held.get(agency, {}):
                    self.held[agency][event_id, category] = basis
                    self.through.pop((agency, event_id, category), None)

    # -- questions ----------------------------------------------------------------------------

    def involved(self) -> set[str]:
        """2.1."""
        grounds = {*self.linked, self.guardian, self.guardian_before}
        if self.opener_stays:
            grounds.add(self.opener)
        grounds |= {
            one.recipient
            for one in self.offers.values()
            if one.state == "accepted" and not one.lost
        }
        return grounds - self.left - {""}

    def offered_to(self, event: Event) -> str:
        """2.2: the recipient of the still pending offer this message is about, or nobody."""
        offer = self.about.get(event.id)
        return offer.recipient if offer is not None and offer.state == "pending" else ""

    def window(self, agency: str, category: str, now: datetime) -> Window | None:
        return next(
            (
                one
                for one in self.windows
                if one.agency == agency and category in one.categories and one.open(now)
            ),
            None,
        )

    def before(self, event: Event) -> Iterator[Event]:
        """Events recorded before this one whose content was not erased (5.2)."""
        for one in self.events.values():
            if one.id == event.id:
                return
            if one.id not in self.erased:
                yield one


def _offer_id(event: Event) -> str:
    name = "transfer_id" if OFFER_MESSAGES[event.type] == "transfer" else "referral_id"
    return str(event.facts.get(name))


def instant(value: Any) -> datetime | None:
    """An instant with a zone; None for anything else."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None
