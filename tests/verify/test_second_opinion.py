"""The verifier's own reading of docs/release.md against the hub's, on many random cases.

Two pieces of code that share nothing: whoever changes one has to argue with the other.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import Any

import pytest

from hub.deliveries import settle
from hub.domain.case import Case, CaseEvent
from hub.domain.guards import refuse
from hub.domain.parties import Parties, Party
from hub.domain.policy import default_document, default_profile
from hub.domain.settlement import Settlement
from hub.scenario import shipped
from nrm_verify import case as theirs
from nrm_verify.decisions import END_OF_TIME
from nrm_verify.effects import Bench, Budget, Effects, backfill, differences, effects
from nrm_verify.register import Agency, Profile
from schemas.registry import Schemas
from tests.release.generator import Generator
from tests.scenarios.rules_alone import event_of, parties_of

PROFILE = default_profile()
GROUPS = {name: Schemas.load().by_type(name).group for name in Schemas.load().types()}
SEALED = ("date_of_birth", "assessed_dob")  # facts that nobody outside can read


def agencies(parties: Parties) -> list[Agency]:
    return [
        Agency(party.agency, party.role, 0, agreements=[(0, party.receives)])
        for party in parties.all()
        if party.role != "hub"
    ]


class Second:
    """The verifier's state of one case, fed with what the hub recorded."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.case = theirs.Case()
        self.profile = Profile(0, document["version"], document)
        self.ages = Counter[str]()

    def takes(
        self, happened: CaseEvent, settlement: Settlement, parties: Parties, *, trusted: bool
    ) -> tuple[Effects, list[str]]:
        record = json.loads(json.dumps(settlement.to_record()))
        facts = {name: one for name, one in happened.facts.items() if name not in SEALED}
        event = theirs.Event(
            happened.event_id,
            happened.type,
            GROUPS[happened.type],
            happened.emitter,
            happened.role,
            happened.position,
            happened.at,
            tuple(record["categories"]),
            facts,
        )
        self.case.enter(event)
        now = happened.at if trusted else END_OF_TIME
        age = tuple(record["age"])
        view = self.case.age.view(now, self.profile.enforcement)
        assert view in (None, age)
        self.ages["sealed" if view is None else "again"] += 1
        in_procedure = any(age)
        if not trusted:
            view = self.case.age.view(happened.at, self.profile.enforcement)
            in_procedure = any(view) if view is not None else not record.get("left")
        bench = Bench(
            self.case, event, agencies(parties), self.profile, now, age, in_procedure, Budget()
        )
        found = effects(bench)
        self.case.keep(record)
        self.case.leave(event, tuple(record.get("left", ())))
        backfill(bench, found)
        told = differences(found, record, bench)
        self.case.keep_backfill(record)
        return found, told


def compare(
    scenario: dict[str, Any], *, guarded: bool, chance: random.Random | None = None
) -> tuple[int, Counter[str]]:
    """Every event through both. chance: now and then no agreement, or no clock to be trusted."""
    every = parties_of(scenario)
    cases: dict[str, tuple[Case, Second]] = {}
    compared, seen = 0, Counter[str]()
    for position, written in enumerate(scenario["events"], start=1):
        event = event_of(scenario, position, written)
        parties, trusted = every, True
        if chance is not None:
            trusted = chance.random() > 0.1
            parties = Parties(
                Party(one.agency, one.role, chance.random() > 0.1) for one in every.all()
            )
        known = cases.get(written["case"])
        case = known[0] if known is not None else None
        if guarded and refuse(case, event, parties, PROFILE, event.at) is not None:
            continue
        case, second = cases.setdefault(written["case"], (Case(), Second(default_document())))
        settlement = settle(case, event, parties, PROFILE, event.at, clock_trusted=trusted)
        found, told = second.takes(event, settlement, parties, trusted=trusted)
        assert told == [], (written["id"], event.type)
        held = {agency: items for agency, items in second.case.held.items() if items}
        assert held == {agency: items for agency, items in case.holdings.items() if items}
        compared += len(found.decided)
        for name in ("recalls", "rebased", "left", "backfill", "windows"):
            seen[name] += bool(getattr(found, name))
        seen.update(
            one.basis.partition(":")[0] if hasattr(one, "basis") else one.reason
            for one in found.decided.values()
        )
        seen.update(second.ages)
    return compared, seen


def test_shipped_scenarios() -> None:
    seen = Counter[str]()
    for name in shipped.ids():
        compared, one = compare(shipped.load(name), guarded=True)
        assert compared
        seen += one
    assert seen["left"]


def test_random_cases_without_guards() -> None:
    seen = Counter[str]()
    for seed in range(50):
        _, one = compare(Generator(seed).scenario(), guarded=False)
        seen += one
    # A comparison that never met a rule would prove nothing about it.
    for name in ("recalls", "rebased", "backfill", "windows", "sealed", "again"):
        assert seen[name], name
    for name in ("vital_interests", "statutory_minimum", "public_task", "safeguarding", "consent"):
        assert seen[name], name
    for name in ("asylum_embassy", "never_rule", "not_involved", "not_party", "not_relevant"):
        assert seen[name], name
    for name in ("no_consent", "expired", "withdrawn"):
        assert seen[name], name


@pytest.mark.parametrize("batch", range(4))
def test_random_cases_as_they_are_lived(batch: int) -> None:
    for seed in range(batch, 48, 4):
        scenario = Generator(10_000 + seed, length=45, lawful=True).scenario()
        assert compare(scenario, guarded=True)[0]


def test_random_cases_without_agreements_or_a_clock() -> None:
    seen = Counter[str]()
    for seed in range(30):
        scenario = Generator(20_000 + seed).scenario()
        seen += compare(scenario, guarded=False, chance=random.Random(seed))[1]
    assert seen["no_agreement"]


def test_another_profile_gives_another_answer() -> None:
    """The comparison would notice: with the wrong profile it does not hold."""
    scenario = Generator(3).scenario()
    parties, case = parties_of(scenario), Case()
    document = default_document()
    document["matrix"]["police"]["case_management"] = "N"
    second = Second(document)
    told: list[str] = []
    for position, written in enumerate(scenario["events"], start=1):
        event = event_of(scenario, position, written)
        settlement = settle(case, event, parties, PROFILE, event.at)
        told += second.takes(event, settlement, parties, trusted=True)[1]
    assert told
