"""Laws that hold in every case: random scenarios, found and shrunk by Hypothesis."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub import deliveries, release
from hub.deliveries import settle
from hub.domain.case import Case
from hub.domain.parties import HUB_ROLE, Parties, Party
from hub.domain.policy import PolicyProfile, default_document, default_profile
from hub.domain.settlement import Outcome, Released, Settlement, Withheld
from hub.release import Ask, decide, redecide
from tests.release.generator import AGENCIES, Generator
from tests.scenarios.rules_alone import Played, event_of, parties_of, play

PROFILE = default_profile()
seeds = st.integers(0, 10**9)
few = settings(max_examples=25, deadline=None)


def played(seed: int, *, guarded: bool = False, length: int = 30) -> list[Played]:
    return list(play(Generator(seed, length).scenario(), PROFILE, guarded=guarded))


def pairs(case: Case, parties: Parties) -> Iterator[tuple[Any, Party, str]]:
    for event in case.events:
        for party in parties.all():
            if party.agency != event.emitter and party.role != HUB_ROLE:
                for category in event.categories:
                    yield event, party, category


def what_is_released(case: Case, parties: Parties, now: Any, profile: PolicyProfile) -> set[Any]:
    return {
        (event.event_id, party.agency, category)
        for event, party, category in pairs(case, parties)
        if isinstance(redecide(case, event, party, category, profile, now), Released)
    }


@few
@given(seeds, st.booleans(), st.sampled_from(["all", "recipients", "categories"]))
def test_adding_a_withdrawal_never_releases_more(seed: int, leave: bool, extent: str) -> None:
    scenario = Generator(seed, 30).scenario()
    steps = list(play(scenario, PROFILE, guarded=False))
    case, parties, last = steps[-1].case, parties_of(scenario), steps[-1].event
    before = what_is_released(case, parties, last.at, PROFILE)
    known = [consent.consent_id for consent in case.consents] or ["c0"]
    withdrawal = {
        "id": "w",
        "t": last.at.isoformat(),
        "case": "C",
        "agency": "NGO-2",
        "type": "ConsentWithdrawn",
        "data": {
            "consent_id": known[seed % len(known)],
            "extent": extent,
            "recipients": ["SH-1", "CA-1", "NGO-1", "POL-1"],
            "categories": ["identity", "protection", "case_management"],
            "leave_nrm": leave,
        },
        "categories": ["consent"],
    }
    settle(case, event_of(scenario, 1_000, withdrawal), parties, PROFILE, last.at)
    case.events.pop()  # the same events as before are asked about
    assert what_is_released(case, parties, last.at, PROFILE) <= before


@few
@given(seeds, st.integers(2, 25))
def test_with_an_earlier_withdrawal_nobody_is_ever_told_more(seed: int, at: int) -> None:
    scenario = Generator(seed, 30).scenario()
    given_before = [e for e in scenario["events"][:at] if e["type"] == "ConsentGiven"]
    consent_id = given_before[-1]["data"]["consent_id"] if given_before else "c0"
    withdrawal = {
        **scenario["events"][at - 1],
        "id": "w",
        "agency": "NGO-2",
        "type": "ConsentWithdrawn",
        "data": {"consent_id": consent_id, "extent": "all", "leave_nrm": False},
        "categories": ["consent"],
    }
    events = [*scenario["events"][:at], withdrawal, *scenario["events"][at:]]
    without = told(play(scenario, PROFILE, guarded=False))
    having = told(play({**scenario, "events": events}, PROFILE, guarded=False))
    assert {item for item in having if item[1] != "w"} <= without


def told(steps: Iterator[Played]) -> set[tuple[str, str, str]]:
    """(agency, event, category) ever released, backfill included."""
    found = set()
    for step in steps:
        assert step.settlement is not None
        for owed in step.settlement.owed():
            found |= {(owed.agency, owed.event_id, category) for category in owed.bases}
    return found


@few
@given(seeds, st.text(min_size=1, max_size=8), st.text(min_size=1, max_size=8))
def test_what_the_profile_does_not_name_is_withheld(seed: int, role: str, category: str) -> None:
    steps = played(seed)
    case, now = steps[-1].case, steps[-1].event.at
    for event in case.events:
        for asked_role, asked in ((f"~{role}", "identity"), ("police", f"~{category}")):
            if event.type == "DutyNotificationSubmitted" and asked_role == "police":
                continue
            outcome = redecide(case, event, Party("X", asked_role), asked, PROFILE, now)
            assert isinstance(outcome, Withheld)


@few
@given(seeds, st.data())
def test_a_hole_in_the_profile_never_releases_more(seed: int, data: st.DataObject) -> None:
    document = default_document()
    role = data.draw(st.sampled_from(sorted(document["matrix"])))
    category = data.draw(st.sampled_from(sorted(document["matrix"][role])))
    del document["matrix"][role][category]
    holed = PolicyProfile.from_document(document)
    steps = played(seed)
    case, now = steps[-1].case, steps[-1].event.at
    parties = Parties(Party(agency, role) for agency, role in AGENCIES.items())
    whole = what_is_released(case, parties, now, PROFILE)
    assert what_is_released(case, parties, now, holed) <= whole


@few
@given(seeds)
def test_enforcement_never_gets_anything_but_the_removal_hold(seed: int) -> None:
    for agency, _event, category in told(iter(played(seed, length=40))):
        assert agency != "IMMENF-1" or category == "removal_hold"


@few
@given(seeds)
def test_an_embassy_hears_nothing_while_a_claim_is_open(seed: int) -> None:
    open_now = False
    for step in played(seed, length=40):
        if step.event.type == "AsylumClaimRecorded":
            open_now = step.event.facts["status"] == "open"
        assert step.settlement is not None
        embassy = [o for o in step.settlement.owed() if o.agency == "EMB-1" and o.bases]
        assert not (open_now and embassy)


@few
@given(seeds, st.booleans())
def test_the_same_log_gives_the_same_records(seed: int, guarded: bool) -> None:
    assert records(played(seed, guarded=guarded)) == records(played(seed, guarded=guarded))


def records(steps: list[Played]) -> list[str]:
    return [
        json.dumps(step.settlement.to_record(), sort_keys=True) if step.settlement else "refused"
        for step in steps
    ]


@few
@given(seeds, st.integers(1, 29))
def test_a_case_folded_from_its_records_decides_on_as_the_live_one(seed: int, at: int) -> None:
    scenario = Generator(seed, 30).scenario()
    steps = list(play(scenario, PROFILE, guarded=False))
    folded = Case()
    for step in steps[:at]:
        assert step.settlement is not None
        written = json.loads(json.dumps(step.settlement.to_record()))
        event = folded.enter(step.event)
        folded.hold(Settlement.from_record(written), event)
        folded.leave(event)
    parties = parties_of(scenario)
    for step in steps[at:]:
        assert step.settlement is not None
        again = settle(folded, step.event, parties, PROFILE, step.event.at)
        assert again.to_record() == step.settlement.to_record()


@few
@given(seeds)
def test_outsiders_are_answered_as_if_asked_one_by_one(seed: int) -> None:
    scenario = Generator(seed, 25).scenario()
    parties = parties_of(scenario)
    case = Case()
    for position, written in enumerate(scenario["events"], start=1):
        event = event_of(scenario, position, written)
        settlement = settle(case, event, parties, PROFILE, event.at)
        if event.type in ENDING or event.type in MOVING:
            continue  # the state the decision saw is gone
        for party in parties.all():
            if party.agency == event.emitter or party.role == HUB_ROLE:
                continue
            age = settlement.age
            for category in case.events[-1].categories:
                ask = Ask(case, case.events[-1], party, PROFILE, event.at, age=age)
                ask.category = category
                assert first(settlement.outcome(party.agency, party.role, category)) == first(
                    decide(ask)
                )


ENDING = {"ReferralDeclined", "ReferralEnded", "TransferAnswered", "ConsentWithdrawn"}
MOVING = {"GuardianAppointed"}


def first(outcome: Outcome | None) -> str:
    assert outcome is not None
    return outcome.basis if isinstance(outcome, Released) else outcome.reason


@few
@given(seeds, st.integers(0, 14))
def test_a_rule_that_fails_never_releases_what_was_withheld(seed: int, broken: int) -> None:
    def fails(_ask: Ask) -> Outcome | None:
        raise ZeroDivisionError

    steps = played(seed)
    case, now = steps[-1].case, steps[-1].event.at
    parties = Parties(Party(agency, role) for agency, role in AGENCIES.items())
    whole = what_is_released(case, parties, now, PROFILE)
    rules = release.RULES
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "RULES", (*rules[:broken], fails, *rules[broken + 1 :]))
        assert what_is_released(case, parties, now, PROFILE) <= whole


@few
@given(seeds)
def test_another_party_changes_nothing_for_the_others(seed: int) -> None:
    scenario = Generator(seed, 25).scenario()
    more = {**scenario, "agencies": {**AGENCIES, "POL-9": "police", "ODD-1": "unheard_of"}}
    for one, two in zip(
        play(scenario, PROFILE, guarded=False), play(more, PROFILE, guarded=False), strict=True
    ):
        assert one.settlement is not None
        assert two.settlement is not None
        kept = {a: o for a, o in two.settlement.decided.items() if a in AGENCIES}
        assert kept == dict(one.settlement.decided)
        assert one.settlement.recalls == tuple(
            recall for recall in two.settlement.recalls if recall.to in AGENCIES
        )


def test_the_cost_of_an_ordinary_event_does_not_grow_with_the_case() -> None:
    """Counted, not timed: how many events the decision of one more ordinary event looks at."""
    looked_at = []

    class Counting(list[Any]):
        def __getitem__(self, index: Any) -> Any:
            looked_at.append(index)
            return super().__getitem__(index)

        def __iter__(self) -> Iterator[Any]:
            looked_at.append("all")
            return super().__iter__()

    scenario = Generator(7, 30).scenario()
    steps = list(play(scenario, PROFILE, guarded=False))
    case, parties = steps[-1].case, parties_of(scenario)
    case.events = Counting(case.events)
    ordinary = {
        "id": "o",
        "t": steps[-1].event.at.isoformat(),
        "agency": "NGO-1",
        "type": "RiskAssessed",
        "data": {},
        "categories": ["case_management", "protection"],
    }
    deliveries.settle(case, event_of(scenario, 99, ordinary), parties, PROFILE, steps[-1].event.at)
    assert looked_at == []
