"""Account: one case folded into what the person may want to know of it.

Who was told which category of which event, when, on which basis, whether it arrived, and whether
it was taken back; what those who work on the case did not get, and why; recalls with their
answers; agreements; emergencies; erasures.

Pure: the recorded steps, deliveries and receipts are arguments (`hub/person/reading.py` brings
them). Codes only; plain words are `hub/person/wording.py`'s. Feedback and complaints are left out
unless asked for: whoever reads over the person's shoulder may be who they complained about.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from hub.domain.case import Case
from hub.domain.settlement import Withheld
from hub.person.agreements import Agreement, agreements
from hub.person.requests import Request, requests
from hub.person.steps import Answer, Decided, Happened, HeldBack, Said, Sent, Step

COMPLAINTS = frozenset({"FeedbackRecorded", "ComplaintResolved"})
NOT_CONCERNED = "not_involved"
STOPPED = "stopped"  # reason: no longer allowed when it was to be sent
NONE = "none"
_ANSWERED = {"kept_own_basis": "kept", "restricted": "restricted", "deleted": "deleted"}


# -- what comes out --------------------------------------------------------------------------


@dataclass(slots=True)
class Told:
    """One category of one event, for one agency. state: a code of `wording.STATES`."""

    agency: str
    event_id: str
    event_type: str
    category: str
    basis: str
    at: datetime
    decision: int
    event_position: int
    state: str = "waiting"
    recall: Recall | None = None


@dataclass(slots=True)
class Kept:
    """What an agency with a part in the case did not get."""

    agency: str
    event_id: str
    category: str
    reason: str
    at: datetime


@dataclass(slots=True)
class Recall:
    """What one agency was asked to give back, and its answers."""

    agency: str
    decision: int
    asked_at: datetime
    categories: tuple[str, ...]
    due: datetime | None = None
    answers: list[Said] = field(default_factory=list)
    answered_at: datetime | None = None

    def state_of(self, event_id: str, category: str) -> str:
        """What became of one item: what is said of the event itself goes before what is said of
        the category, since some partners know events by references of their own."""
        about = [one for one in self.answers if one.about(category)]
        exact = [one.outcome for one in about if one.event_ref == event_id]
        outcomes = exact or [one.outcome for one in about]
        for outcome, state in _ANSWERED.items():
            if outcome in outcomes:
                return state
        return "asked_back"


@dataclass(slots=True)
class Emergency:
    """One use of break-glass. got: categories released through its window."""

    event_id: str
    agency: str
    at: datetime
    asked: tuple[str, ...]
    got: set[str] = field(default_factory=set)
    review: str = NONE


@dataclass(slots=True)
class Account:
    """Everything a statement is made of."""

    events: list[Happened] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    recalls: list[Recall] = field(default_factory=list)
    agreements: list[Agreement] = field(default_factory=list)
    emergencies: list[Emergency] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    erased_at: list[datetime] = field(default_factory=list)  # by an erasure that was granted
    shredded_at: list[datetime] = field(default_factory=list)  # by the operator alone

    def agreement_number(self, basis: str) -> int | None:
        """Number of the agreement a basis `consent:<id>` names."""
        kind, _, consent_id = basis.partition(":")
        if kind != "consent":
            return None
        return next((a.number for a in self.agreements if a.consent_id == consent_id), None)


def account(
    steps: Sequence[Step],
    case: Case,
    today: date,
    *,
    sent: Iterable[Sent] = (),
    answers: Iterable[Answer] = (),
    shredded_at: Sequence[datetime] = (),
    categories: Sequence[str] = (),
    complaints: bool = False,
    answer_days: int = 30,
) -> Account:
    """Fold `steps`, in the order they were recorded.

    case: as it stands at the end of them. categories: all there are. complaints: show them too.
    answer_days: time to answer a request.
    """
    folding = _Folding(hidden=set() if complaints else _complaints(steps))
    for step in steps:
        if isinstance(step, Happened):
            folding.happened(step)
        elif isinstance(step, Decided):
            folding.decided(step)
        else:
            folding.held_back(step)
    folding.delivered(sent, answers)
    made = folding.account
    made.kept = folding.kept_for_good()
    made.agreements = agreements(made.events, case, today, categories)
    made.requests = requests(
        [(e.type, e.at, e.agency, e.facts) for e in made.events], answer_days=answer_days
    )
    made.shredded_at = list(shredded_at)
    return made


def _complaints(steps: Sequence[Step]) -> set[str]:
    """Events that are feedback or complaints, or correct one."""
    hidden: set[str] = set()
    for step in steps:
        if isinstance(step, Happened) and (
            step.type in COMPLAINTS
            or (step.type == "RecordCorrected" and step.facts.get("corrects_event") in hidden)
        ):
            hidden.add(step.event_id)
    return hidden


class _Folding:
    """The account as far as the steps have been read."""

    def __init__(self, hidden: set[str]) -> None:
        self.account = Account()
        self._hidden = hidden
        self._events: dict[str, Happened] = {}
        self._held: dict[tuple[str, str, str], Told] = {}
        self._kept: dict[tuple[str, str, str], Kept] = {}
        self._emergencies: dict[str, Emergency] = {}
        self._stopped: dict[tuple[str, str, str], HeldBack] = {}
        self._answers: list[Happened] = []  # recalls answered by an event of their own
        self._last: Happened | None = None

    def happened(self, event: Happened) -> None:
        self._last = event
        self._events[event.event_id] = event
        if event.event_id in self._hidden:
            return
        self.account.events.append(event)
        facts = event.facts
        if event.type == "BreakGlassInvoked":
            asked = tuple(facts.get("requested_categories") or ())
            emergency = Emergency(event.event_id, event.agency, event.at, asked)
            self._emergencies[event.event_id] = emergency
            self.account.emergencies.append(emergency)
        elif event.type == "BreakGlassReviewed":
            reviewed = self._emergencies.get(str(facts.get("invocation_event_id")))
            if reviewed is not None:
                reviewed.review = str(facts.get("outcome"))
        elif event.type == "SubjectRequestDecided" and facts.get("action") == "key_destroyed":
            self.account.erased_at.append(event.at)
        elif event.type == "RecallAnswered":
            self._answers.append(event)

    # -- decisions ---------------------------------------------------------------------------

    def decided(self, step: Decided) -> None:
        event, settlement = self._last, step.settlement
        assert event is not None
        for recall in settlement.recalls:
            self._recalled(step, recall.to, recall.items)
        for agency, events in settlement.rebased.items():
            self._rebased(agency, events)
        for agency, bases in settlement.released():
            self._told(step, agency, event.event_id, bases)
        for agency, earlier in settlement.backfill.items():
            for event_id, bases in earlier.items():
                self._told(step, agency, event_id, bases)
        for (_, event_id, category), invocation in settlement.windows.items():
            emergency = self._emergencies.get(invocation)
            if emergency is not None and event_id not in self._hidden:
                emergency.got.add(category)
        if event.event_id in self._hidden:
            return
        for agency in settlement.concerned:
            for category, outcome in settlement.decided.get(agency, {}).items():
                if isinstance(outcome, Withheld) and outcome.reason != NOT_CONCERNED:
                    self._kept[agency, event.event_id, category] = Kept(
                        agency, event.event_id, category, outcome.reason, step.at
                    )

    def _told(self, step: Decided, agency: str, event_id: str, bases: Mapping[str, str]) -> None:
        if event_id in self._hidden:
            return
        about = self._events[event_id]
        for category, basis in bases.items():
            told = Told(
                agency=agency,
                event_id=event_id,
                event_type=about.type,
                category=category,
                basis=basis,
                at=step.at,
                decision=step.position,
                event_position=about.position,
            )
            self._held[agency, event_id, category] = told
            self.account.told.append(told)

    def _recalled(
        self, step: Decided, agency: str, items: Iterable[tuple[str, tuple[str, ...]]]
    ) -> None:
        shown = [(event_id, names) for event_id, names in items if event_id not in self._hidden]
        if not shown:
            return
        categories = tuple(sorted({name for _, names in shown for name in names}))
        recall = Recall(agency, step.position, step.at, categories)
        self.account.recalls.append(recall)
        for event_id, names in shown:
            for name in names:
                told = self._held.pop((agency, event_id, name), None)
                if told is not None:
                    told.recall = recall

    def _rebased(self, agency: str, events: Mapping[str, Mapping[str, str]]) -> None:
        for event_id, bases in events.items():
            for category, basis in bases.items():
                told = self._held.get((agency, event_id, category))
                if told is not None:
                    told.basis = basis

    def held_back(self, step: HeldBack) -> None:
        for event_id, names in step.items.items():
            for name in names:
                self._stopped[step.agency, event_id, name] = step
                self._held.pop((step.agency, event_id, name), None)
        self._rebased(step.agency, step.rebased)

    def kept_for_good(self) -> list[Kept]:
        """What was held back and has not been released since."""
        got = {
            (told.agency, told.event_id, told.category)
            for told in self.account.told
            if told.state != STOPPED
        }
        return [kept for key, kept in self._kept.items() if key not in got]

    # -- deliveries --------------------------------------------------------------------------

    def delivered(self, sent: Iterable[Sent], answers: Iterable[Answer]) -> None:
        """What was sent of it, and what partners say became of that."""
        said: dict[tuple[str, int], list[Answer]] = {}
        for answer in answers:
            said.setdefault((answer.agency, answer.sequence), []).append(answer)
        releases: dict[tuple[str, int, int, str], list[Answer]] = {}
        for one in sent:
            answered = said.get((one.agency, one.sequence), [])
            if one.recall:
                self._recall_sent(one, answered)
            else:
                for category in one.bases:
                    releases[one.agency, one.decision, one.event_position, category] = answered
        for told in self.account.told:
            key = (told.agency, told.decision, told.event_position, told.category)
            stopped = self._stopped.get((told.agency, told.event_id, told.category))
            if key in releases:
                told.state = _arrived(releases[key])
            elif stopped is not None and stopped.position > told.decision:
                told.state = STOPPED
                self._keep(told, stopped.at)
                continue
            if told.recall is not None:
                told.state = told.recall.state_of(told.event_id, told.category)

    def _keep(self, told: Told, at: datetime) -> None:
        """It was stopped before it was sent: not passed on after all."""
        key = (told.agency, told.event_id, told.category)
        self._kept[key] = Kept(*key, STOPPED, at)

    def _recall_sent(self, one: Sent, answered: Sequence[Answer]) -> None:
        for recall in self.account.recalls:
            if (recall.agency, recall.decision) != (one.agency, one.decision):
                continue
            recall.due = one.due
            for answer in answered:
                said = [one for one in answer.said if one.outcome != "applied"]
                recall.answers = said or recall.answers
                recall.answered_at = answer.at
            for event in self._answers:
                reference = str(event.facts.get("recall_ref"))
                if event.agency == one.agency and reference.endswith(f"-{one.sequence}"):
                    recall.answers = [Said(str(event.facts.get("outcome")))]
                    recall.answered_at = event.at


def _arrived(answered: Sequence[Answer]) -> str:
    """The last receipt decides: what could not be stored may have been tried again since."""
    if not answered:
        return "sent"
    quarantined = any(one.outcome == "quarantined" for one in answered[-1].said)
    return "unreadable" if quarantined else "received"
