"""A withdrawal races deliveries: seeded schedules over two hubs on one store, checked by position.

A world is one store, two hub processes' worth of exchange and publisher on it, and many cases,
each with a script: things said, consents given, withdrawn in every way and given anew. A schedule
interleaves them step by step: record (in either process), mark, send, restart a publisher, and
record in one process in the very moment the other is about to store its transaction. All chance
comes from the seed, so `play(seed, steps)` does the same again; a failure names the fewest steps
that still fail.

`check` reads nothing but the log and believes nothing but positions: it keeps its own idea of what
each record holds, from the facts as recorded, and of what each partner holds, from the delivery
logs in their order. No rule and no fold of the product's is asked.
"""

from __future__ import annotations

import json
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID, uuid5

from connectors.submit import Publisher as Agency
from hub import publisher as publishing
from hub.home import Home
from hub.hub import Hub
from hub.publisher import Publisher
from hub.store import events as stored
from hub.store.log import HubLog
from hub.submission import Admission
from tests.consent.stage import OPENED, REFERRAL
from tests.road import CONSENT, Road

RECIPIENTS = ("SH-1", "POL-1")
ROLES = {"NGO-1": "ngo_support", "SH-1": "shelter", "POL-1": "police"}
SCOPE = {"SH-1": ["health", "protection"], "POL-1": ["protection"]}
IDS = UUID("5e1f2a7c-0d3b-5c1e-9a4f-6b2d8c7e1f00")
CHANGE = 0.3  # chance that the other hub does the next step
MEMORY = Path("/dev/shm")  # schedules need no disk: what they ask is the order


@dataclass
class Case:
    """What is still to be said in one case, in this order."""

    script: list[Admission]
    said: int = 0

    @property
    def over(self) -> bool:
        return self.said >= len(self.script)


@dataclass
class World:
    """One store and two hubs on it."""

    road: Road
    other: Hub
    chance: random.Random
    cases: list[Case]
    at_work: Hub
    steps: int = 0
    told: Counter[str] = field(default_factory=Counter)

    @property
    def hubs(self) -> tuple[Hub, Hub]:
        return self.road.hub, self.other

    # -- steps -----------------------------------------------------------------------------

    def play(self, steps: int) -> None:
        """Up to `steps` steps of the schedule, then everything else in a plain order."""
        operations: list[tuple[Callable[[Hub], None], int]] = [
            (self.record, 8),
            (self.mark, 6),
            (self.send, 2),
            (self.restart, 1),
            (self.catch_up, 1),
            (self.intrude, 4),
        ]
        doing = [one for one, weight in operations for _ in range(weight)]
        while self.steps < steps and not all(case.over for case in self.cases):
            self.steps += 1
            if self.chance.random() < CHANGE:
                self.at_work = self.chance.choice(self.hubs)
            self.chance.choice(doing)(self.at_work)
        while not all(case.over for case in self.cases):
            self.record(self.road.hub)
        for hub in self.hubs:
            publishing.MARK_BATCH = 2_000
            hub.exchange.catch_up()
            while hub.publisher.mark() + hub.publisher.send():
                pass

    def record(self, hub: Hub) -> None:
        """The next thing of some cases, in one transaction; every one has to be accepted."""
        waiting = [case for case in self.cases if not case.over]
        most = max(len(self.cases) // 4, 2)
        chosen = self.chance.sample(waiting, min(len(waiting), self.chance.randint(1, most)))
        saying = [case.script[case.said] for case in chosen]
        for case in chosen:
            case.said += 1
        hub.exchange.catch_up()
        for [outcome] in hub.exchange.record(saying):
            assert outcome.accepted, outcome.refusal
        self.told["record"] += 1

    def mark(self, hub: Hub) -> None:
        """A small run of rows, so that marking lags behind and may end between two neighbours."""
        publishing.MARK_BATCH = self.chance.randint(1, 160)
        hub.publisher.mark()
        self.told["mark"] += 1

    def send(self, hub: Hub) -> None:
        hub.publisher.send()
        self.told["send"] += 1

    def restart(self, hub: Hub) -> None:
        """A publisher that knows what the log knows, as after a crash."""
        hub.publisher = Publisher(hub.exchange, hub.topics, hub.settings.hub_id, hub.keys.signing)
        self.told["restart"] += 1

    def catch_up(self, hub: Hub) -> None:
        hub.exchange.catch_up()

    def intrude(self, hub: Hub) -> None:
        """This hub marks, and just before it stores that, the other one records something."""
        other = self.other if hub is self.road.hub else self.road.hub
        store, intruded = hub.exchange.log.append, False

        def append(*events: Any, **options: Any) -> None:
            nonlocal intruded
            if not intruded and any(not case.over for case in self.cases):
                intruded = True
                self.record(other)
                self.told["intruded"] += 1
            store(*events, **options)

        hub.exchange.log.append = append  # type: ignore[method-assign]
        try:
            self.mark(hub)
        finally:
            del hub.exchange.log.append


@contextmanager
def world(seed: int, cases: int, cycles: int, folder: Path | None = None) -> Iterator[World]:
    """A world whose cases have their referrals accepted already."""
    before = publishing.MARK_BATCH
    place = str(MEMORY) if MEMORY.is_dir() else None
    with TemporaryDirectory(dir=place) as temporary:
        road = Road.open(folder or Path(temporary), ROLES)
        other = Hub.open(Home(road.folder / "hub"), road.hub.exchange.clock)
        try:
            chance = random.Random(seed)
            names = [f"race-{seed}-{number}" for number in range(cases)]
            _begin(road, names)
            scripts = [_script(chance, name, cycles) for name in names]
            yield World(road, other, chance, _admitted(road, scripts), road.hub)
        finally:
            publishing.MARK_BATCH = before
            other.stop()
            road.close()


def run(seed: int, steps: int, *, cases: int = 100, cycles: int = 2) -> Verdict:
    """Play a world and check it."""
    with world(seed, cases, cycles) as one:
        one.play(steps)
        verdict = check(one.road.hub.exchange.log)
        verdict.told = one.told
        verdict.steps = one.steps
        return verdict


def fewest(steps: int, fails: Callable[[int], bool]) -> int:
    """The smallest number of steps found, by halving, after which the seed still fails."""
    low, high = 0, steps
    while low < high:
        middle = (low + high) // 2
        if fails(middle):
            high = middle
        else:
            low = middle + 1
    return high


# -- scripts -----------------------------------------------------------------------------------

Line = tuple[str, dict[str, Any]]


def _scope(name: str) -> dict[str, list[str]]:
    """Every third case has a second recipient."""
    second = int(name.rpartition("-")[2]) % 3 == 0
    return {to: names for to, names in SCOPE.items() if second or to == "SH-1"}


def _begin(road: Road, names: Sequence[str]) -> None:
    opening: list[Any] = []
    for name in names:
        given = {"consent_id": "c0", "scope": _scope(name), **CONSENT}
        opening.append(road.event("CaseOpened", name, **OPENED))
        opening.append(road.event("ConsentGiven", name, **given))
        for agency in _scope(name):
            asked = {"referral_id": agency, "to_agency": agency, **REFERRAL, "basis": "c0"}
            opening.append(road.event("ReferralMade", name, **asked))
    _all_accepted(road, "NGO-1", opening)
    for agency in RECIPIENTS:
        answers = [
            road.event("ReferralAccepted", name, referral_id=agency)
            for name in names
            if agency in _scope(name)
        ]
        _all_accepted(road, agency, answers)


def _all_accepted(road: Road, agency: str, events: list[Any]) -> None:
    sealed = Agency(road.identities[agency]).prepare(events)
    [outcomes] = road.hub.exchange.record([road.hub.ingest.admit(sealed)])
    assert all(one.accepted for one in outcomes)


def _script(chance: random.Random, name: str, cycles: int) -> list[tuple[str, Line]]:
    """Consents c0, c1, …; each is withdrawn once, in one way or another, before or after the next
    one is given; in between something is said that rests on them."""
    lines: list[Line] = []
    for cycle in range(cycles):
        lines += [_needs()] * chance.randint(1, 2)
        following = _given(f"c{cycle + 1}", _scope(name), chance)
        going = _gone(f"c{cycle}", sorted(_scope(name)), chance)
        between = [_needs()] * chance.randint(0, 1)
        first, second = (following, going) if chance.random() < 0.4 else (going, following)
        lines += [first, *between, second]
    return [(name, line) for line in lines]


def _needs() -> Line:
    return "NeedsAssessed", {"domains": ["medical"], "health_needs": "x"}


def _given(consent_id: str, scope: dict[str, list[str]], chance: random.Random) -> Line:
    history = {"covers_history": chance.random() < 0.5}
    return "ConsentGiven", {"consent_id": consent_id, "scope": scope, **CONSENT, **history}


def _gone(consent_id: str, named: Sequence[str], chance: random.Random) -> Line:
    gone: dict[str, Any] = {"consent_id": consent_id, "leave_nrm": False}
    match chance.choice(["all", "all", "recipients", "categories", "amended"]):
        case "recipients":
            recipients = [chance.choice(named)]
            return "ConsentWithdrawn", {**gone, "extent": "recipients", "recipients": recipients}
        case "categories":
            categories = [chance.choice(["health", "protection"])]
            return "ConsentWithdrawn", {**gone, "extent": "categories", "categories": categories}
        case "amended":
            scope = {"SH-1": ["protection"]}
            changed = {"scope": scope, "valid_until": "2027-03-01", "reason": "narrowed"}
            return "ConsentAmended", {"consent_id": consent_id, **changed}
        case _:
            return "ConsentWithdrawn", {**gone, "extent": "all"}


def _admitted(road: Road, scripts: Sequence[Sequence[tuple[str, Line]]]) -> list[Case]:
    """Scripts as the hub admits them, one message per event; sealed and opened in few batches."""
    flat = [
        road.event(type_, name, event_id=uuid5(IDS, f"{name}/{number}"), **data)
        for script in scripts
        for number, (name, (type_, data)) in enumerate(script)
    ]
    singles: list[Admission] = []
    for start in range(0, len(flat), 1_000):
        sealed = Agency(road.identities["NGO-1"]).prepare(flat[start : start + 1_000])
        whole = road.hub.ingest.admit(sealed)
        singles += [replace(whole, events=(event,)) for event in whole.events]
    found, after = [], 0
    for script in scripts:
        found.append(Case(singles[after : after + len(script)]))
        after += len(script)
    return found


# -- the check ---------------------------------------------------------------------------------

Item = tuple[str, str]  # event id, category


@dataclass
class Verdict:
    """What a log shows. problems: empty if every promise is kept."""

    problems: list[str] = field(default_factory=list)
    withdrawals: int = 0
    overtaken: int = 0  # withdrawals that found something marked already
    held_back: int = 0
    told: Counter[str] = field(default_factory=Counter)
    steps: int = 0


def check(log: HubLog) -> Verdict:
    """I3 by log position: nothing is marked on what was withdrawn; all that was is called back."""
    verdict = Verdict()
    names: dict[int, str] = {}  # position → event id
    scope: dict[tuple[UUID, str], set[tuple[str, str]]] = {}
    dead: set[tuple[UUID, str, str, str]] = set()  # case, consent, agency, category
    holds: defaultdict[tuple[UUID, str], dict[Item, str]] = defaultdict(dict)
    flight: dict[int, set[tuple[str, str, str]]] = {}  # withdrawal → what its answer must list
    recorded: dict[int, set[tuple[str, str, str]]] = {}
    after = 0
    while rows := log.read(after, 5_000):
        for one in rows:
            event = one.event
            if isinstance(event, stored.EventAccepted):
                names[one.position] = str(UUID(bytes=event.event_id))
                lost = _lost(event, scope)
                if lost:
                    verdict.withdrawals += 1
                dead |= {(event.originator_id, *gone) for gone in lost}
            elif isinstance(event, stored.Settled):
                called = _called_back(event)
                marked = {
                    (agency, *item)
                    for agency, items in called.items()
                    for item in items
                    if item in holds[event.originator_id, agency]
                }
                if marked:
                    flight[event.position] = marked
            elif isinstance(event, stored.InFlight):
                recorded[event.position] = {
                    (to, about, name)
                    for to, about, categories in json.loads(event.items)
                    for name in categories
                }
            elif isinstance(event, stored.HeldBack):
                verdict.held_back += 1
            elif isinstance(event, stored.Sending):
                verdict.problems += _marked(one.position, event, names, dead, holds)
        after = rows[-1].position
    verdict.overtaken = len(flight)
    verdict.problems += _kept(dead, holds)
    if flight != recorded:
        verdict.problems.append("an acknowledgement does not list what was in flight")
    return verdict


def _lost(
    event: stored.EventAccepted, scope: dict[tuple[UUID, str], set[tuple[str, str]]]
) -> set[tuple[str, str, str]]:
    """(consent, agency, category) that this event takes away, from its recorded facts alone."""
    facts = json.loads(event.facts)
    consent_id = str(facts.get("consent_id"))
    key = (event.originator_id, consent_id)
    before = scope.get(key, set())
    stated = {(to, name) for to, names in facts.get("scope", {}).items() for name in names}
    if event.event_type in ("ConsentGiven", "ConsentAmended"):
        scope[key] = stated
    elif event.event_type == "ConsentWithdrawn":
        left = {
            "all": set(),
            "recipients": {one for one in before if one[0] not in facts.get("recipients", ())},
            "categories": {one for one in before if one[1] not in facts.get("categories", ())},
        }
        scope[key] = left[facts["extent"]]
    else:
        return set()
    return {(consent_id, *pair) for pair in before - scope[key]}


def _called_back(event: stored.Settled) -> dict[str, set[Item]]:
    found: defaultdict[str, set[Item]] = defaultdict(set)
    for recall in json.loads(event.settlement).get("recalls", ()):
        for event_id, categories in recall["items"].items():
            found[recall["to"]] |= {(event_id, name) for name in categories}
    return found


def _marked(
    position: int,
    event: stored.Sending,
    names: dict[int, str],
    dead: set[tuple[UUID, str, str, str]],
    holds: defaultdict[tuple[UUID, str], dict[Item, str]],
) -> Iterator[str]:
    """A delivery is marked: what the partner holds from now on, and whether it may."""
    case, body = UUID(bytes=event.case_id), json.loads(event.items)
    held = holds[case, event.agency]
    if event.kind == "recall":
        for event_id, categories in body["items"]:
            for name in categories:
                held.pop((event_id, name), None)
        return
    for name, basis in body["bases"].items():
        held[names[event.event_position], name] = basis
        kind, _, consent_id = basis.partition(":")
        if kind == "consent" and (case, consent_id, event.agency, name) in dead:
            yield f"position {position}: {event.agency}/{name} marked on withdrawn {consent_id}"


def _kept(
    dead: set[tuple[UUID, str, str, str]],
    holds: defaultdict[tuple[UUID, str], dict[Item, str]],
) -> Iterator[str]:
    """When all is sent: does anybody still hold anything on what was withdrawn?"""
    for (case, agency), held in holds.items():
        for (_, name), basis in held.items():
            if (case, basis.removeprefix("consent:"), agency, name) in dead:
                yield f"{agency} keeps {name} on {basis}, withdrawn and never called back"
