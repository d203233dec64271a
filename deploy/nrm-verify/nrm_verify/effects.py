"""What one event leads to, in the order of docs/release.md 3: decisions, recalls, backfill.

`effects` takes the event into the case and returns its own idea of the settlement, in the recorded
one's form but for further reasons. The caller compares and then puts back what was recorded.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from nrm_verify.case import Case, Event
from nrm_verify.failure import Failure
from nrm_verify.register import Agency, Profile
from nrm_verify.rules import CONSENT, Answer, Question, Released, Withheld, answer, pair_of

MOST_WORK = 20_000_000  # answers asked for in one bundle

RECALLING = ("ConsentWithdrawn", "ConsentAmended", "RecordCorrected", "SubjectRequestDecided")
Bases = dict[str, dict[str, dict[str, str]]]  # agency, event, category, basis


@dataclass
class Budget:
    """A bound on how long one file can keep the verifier at work."""

    left: int = MOST_WORK

    def take(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise Failure(10, "too_large", f"over {MOST_WORK} answers: ask for a narrower bundle")


@dataclass
class Effects:
    """The same as a settlement. decided: (agency, category), everybody's."""

    decided: dict[tuple[str, str], Answer] = field(default_factory=dict)
    recalls: dict[str, tuple[str, dict[str, list[str]]]] = field(default_factory=dict)
    rebased: Bases = field(default_factory=dict)
    left: tuple[str, ...] = ()
    backfill: Bases = field(default_factory=dict)
    windows: Bases = field(default_factory=dict)


@dataclass
class Bench:
    """Everything one event is decided on. agencies: everybody who takes part just then."""

    case: Case
    event: Event
    agencies: Sequence[Agency]
    profile: Profile
    now: datetime
    age: tuple[bool, bool]
    in_procedure: bool
    budget: Budget

    def ask(self, agency: Agency, about: Event, involved: frozenset[str], **more: Any) -> Question:
        return Question(
            self.case,
            about,
            agency.name,
            agency.role,
            agency.receives(self.event.position),
            self.profile,
            self.now,
            self.age,
            involved,
            **more,
        )


def effects(bench: Bench) -> Effects:
    """Everything that follows from the event; the case has entered it already."""
    event, found = bench.event, Effects()
    _decide(bench, found)
    hits, action = _recalled(bench, found)
    for agency, items in hits.items():
        events: dict[str, list[str]] = {}
        for event_id, category in items:
            events.setdefault(event_id, []).append(category)
        if events:
            found.recalls[agency] = (action, {one: sorted(names) for one, names in events.items()})
    leaving = event.type == "ConsentWithdrawn" and event.facts.get("leave_nrm") is True
    if leaving and not bench.in_procedure:
        found.left = tuple(_authorities(bench))
    return found


def _decide(bench: Bench, found: Effects) -> None:
    case, event = bench.case, bench.event
    bench.budget.take(len(case.offers) + len(case.windows) + len(case.age))
    involved = frozenset(case.involved())
    offered = case.offered_to(event)
    windows = {one.agency for one in case.windows if one.open(bench.now)}
    outside: dict[tuple[str, bool, str], Answer] = {}
    for agency in bench.agencies:
        if agency.name == event.agency:
            continue
        inside = agency.name in involved or agency.name in windows or agency.name == offered
        bench.budget.take(len(event.categories))
        ask = bench.ask(agency, event, involved)
        for category in event.categories:
            key = (agency.role, ask.receives, category)
            given = None if inside else outside.get(key)  # 1, 3, 4, 5, 6 go by the role alone
            if given is None:
                given = answer(replace(ask, category=category))
                if not inside:
                    outside[key] = given
            found.decided[agency.name, category] = given
            if isinstance(given, Released) and given.window:
                _note(found.windows, agency.name, event.id, category, given.window)


# -- 6: recalls --------------------------------------------------------------------------------


def _recalled(bench: Bench, found: Effects) -> tuple[dict[str, list[tuple[str, str]]], str]:
    case, event = bench.case, bench.event
    facts = event.facts
    hits: dict[str, list[tuple[str, str]]] = {}
    if event.type in RECALLING:
        bench.budget.take(sum(map(len, case.held.values())))
    match event.type:
        case "ConsentWithdrawn" | "ConsentAmended":  # 6.1
            record = case.consents.get(facts)
            for agency, items in case.held.items() if record else ():
                assert record is not None
                for (event_id, category), basis in items.items():
                    pair = pair_of(case.events[event_id], category)
                    if basis == CONSENT + record.id and not record.holds(agency, pair):
                        hits.setdefault(agency, []).append((event_id, category))
            return hits, "delete_or_restrict"
        case "ReferralDeclined" | "ReferralEnded" | "TransferAnswered":  # 6.2
            offer = case.about.get(event.id)
            if offer is not None and offer.state == "pending":
                if event.type == "ReferralEnded":
                    acts = offer.may_end(event)
                else:
                    declined = facts.get("outcome", "declined") != "accepted"
                    acts = event.agency == offer.recipient and declined
                held = case.held.get(offer.recipient, {})
                hits[offer.recipient] = [i for i in held if acts and i[0] == offer.message]
            return hits, "delete"
        case "RecordCorrected":  # 6.3
            item = (str(facts.get("corrects_event")), corrected_category(event))
            involved = case.involved()
            for agency, items in case.held.items():
                reached = isinstance(found.decided.get((agency, item[1])), Released)
                if item in items and agency not in involved and not reached:
                    hits[agency] = [item]
            return hits, "delete_or_restrict"
        case "SubjectRequestDecided" if facts.get("action") == "key_destroyed":  # 6.4
            return {agency: list(items) for agency, items in case.held.items()}, "delete"
        case "BreakGlassReviewed" if facts.get("outcome") == "not_justified":  # 6.5
            return _unjustified(bench, found), "delete"
        case _:
            return hits, ""


def _unjustified(bench: Bench, found: Effects) -> dict[str, list[tuple[str, str]]]:
    case = bench.case
    hits: dict[str, list[tuple[str, str]]] = {}
    agencies = {one.name: one for one in bench.agencies}
    involved = frozenset(case.involved())
    for (name, event_id, category), window in sorted(case.through.items()):
        if window != bench.event.facts.get("invocation_event_id"):
            continue
        agency, about = agencies.get(name), case.events.get(event_id)
        given: Answer = Withheld("")
        if agency is not None and about is not None:
            bench.budget.take(1)
            ask = bench.ask(agency, about, involved, first=False, glass=False)
            given = answer(replace(ask, category=category))
        if isinstance(given, Released):
            _note(found.rebased, name, event_id, category, given.basis)
        else:
            hits.setdefault(name, []).append((event_id, category))
    return hits


def corrected_category(event: Event) -> str:
    """Of a correction: the category of the field it corrects."""
    return next((one for one in event.categories if one != "case_management"), "case_management")


# -- 2.4: leaving ------------------------------------------------------------------------------


def _authorities(bench: Bench) -> Iterable[str]:
    """Competent authorities that lose something."""
    case = bench.case
    offered = {one.recipient for one in case.offers.values() if one.state == "pending"}
    losing = case.involved() | offered
    return sorted(
        one.name
        for one in bench.agencies
        if one.role == "competent_authority" and one.name in losing
    )


# -- 5: backfill -------------------------------------------------------------------------------


def backfill(bench: Bench, found: Effects) -> None:
    """5: after the endings; the case holds what the event itself led to."""
    case, event = bench.case, bench.event
    involved = frozenset(case.involved())
    agencies = {one.name: one for one in bench.agencies}
    for name in _catching_up(case, event):
        agency = agencies.get(name)
        if agency is None:
            continue
        held = case.held.get(name, {})
        for earlier in case.before(event):
            if earlier.agency == name:
                continue
            bench.budget.take(len(earlier.categories))
            ask = bench.ask(agency, earlier, involved, first=False)
            for category in earlier.categories:
                if (earlier.id, category) in held:
                    continue
                given = answer(replace(ask, category=category))
                if isinstance(given, Released):
                    _note(found.backfill, name, earlier.id, category, given.basis)
                    if given.window:
                        _note(found.windows, name, earlier.id, category, given.window)


def _catching_up(case: Case, event: Event) -> Iterable[str]:
    """5.1."""
    match event.type:
        case "ReferralAccepted" | "TransferAnswered":
            offer = case.about.get(event.id)
            accepted = event.facts.get("outcome", "accepted") == "accepted"
            if offer is None or not accepted or offer.recipient != event.agency:
                return ()
            return (event.agency,) if offer.state == "accepted" and not offer.lost else ()
        case "GuardianAppointed":
            return (case.guardian,) if case.guardian else ()
        case "BreakGlassInvoked":
            return (event.agency,)
        case "ConsentGiven" | "ConsentAmended":
            record = case.consents.get(event.facts)
            return sorted(record.scope) if record else ()
        case _:
            return ()


def _note(where: Bases, agency: str, event_id: str, category: str, what: str) -> None:
    where.setdefault(agency, {}).setdefault(event_id, {})[category] = what


# -- compared with the record ------------------------------------------------------------------


def differences(found: Effects, record: Mapping[str, Any], bench: Bench) -> list[str]:
    """Where the recorded settlement is another; in words, without content."""
    told: list[str] = []
    by_role = {
        role: dict(zip(record["categories"], outcomes, strict=True))
        for outcomes, roles in record.get("outsiders", ())
        for role in roles
    }
    decided = record.get("decided", {})
    for agency in bench.agencies:
        recorded = decided.get(agency.name) or by_role.get(agency.role, {})
        for category in bench.event.categories:
            mine = found.decided.get((agency.name, category))
            if mine is not None and _said(mine) != _recorded(recorded.get(category)):
                told.append(
                    f"{agency.name}, {category}: recorded {_shown(recorded.get(category))}, "
                    f"again {_shown(_said(mine))}"
                )
    carried = set(bench.event.categories)
    told += [
        f"{name} was decided for other categories than the event carries"
        for name, outcomes in sorted(decided.items())
        if set(outcomes) != carried
    ]
    known = {one.name for one in bench.agencies} - {bench.event.agency}
    told += [f"{name} was decided and takes no part" for name in sorted(set(decided) - known)]
    recalls = {
        one["to"]: (one["action"], {event: sorted(names) for event, names in one["items"].items()})
        for one in record.get("recalls", ())
    }
    if len(recalls) != len(record.get("recalls", ())):
        told.append("an agency is asked twice to give back")
    parts: tuple[tuple[str, Any, Any], ...] = (
        ("recalls", found.recalls, recalls),
        ("what stays on another basis", found.rebased, record.get("rebased", {})),
        ("whom the person left", list(found.left), record.get("left", [])),
        ("what is caught up on", found.backfill, record.get("backfill", {})),
        ("what came through a window", found.windows, record.get("windows", {})),
    )
    return told + [f"{name}: recorded otherwise" for name, one, other in parts if one != other]


def _said(given: Answer) -> str | list[str]:
    return given.basis if isinstance(given, Released) else [given.reason]


def _recorded(outcome: Any) -> Any:
    """A recorded outcome with its first reason only."""
    return outcome[:1] if isinstance(outcome, list) else outcome


def _shown(outcome: Any) -> str:
    if isinstance(outcome, str):
        return f"released ({outcome[:80]})"
    if isinstance(outcome, list) and outcome:
        return f"withheld ({str(outcome[0])[:80]})"
    return "nothing"
