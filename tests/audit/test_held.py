"""Holdings and answers: the cell's one pass says what the case's own fold and `why` say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from hub.audit import why
from hub.audit.answers import AGREEMENT_RULE, answers, rule_of
from hub.audit.held import Holding, Holdings, across_cases, cells, strongest
from hub.domain.settlement import Outcome, Released
from hub.recording.cases import fold
from hub.release import RULES, Ask, decide
from hub.store import events as stored
from hub.store.log import Recorded
from tests.depth import depth
from tests.played import play, scenario
from tests.privacy.told import Told
from tests.road import Road

NAMES = depth(["S1", "S5"], ["S1", "S2", "S5", "S10"])


@pytest.fixture(scope="module", params=NAMES)
def road(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Road]:
    opened = play(tmp_path_factory.mktemp(request.param), scenario(request.param))
    yield opened
    opened.close()


def cases(road: Road) -> list[list[Recorded]]:
    exchange = road.hub.exchange
    log = exchange.log
    streams = {
        one.event.originator_id: None
        for one in log.read(0, log.head, frozenset({stored.EventAccepted.TOPIC}))
    }
    return [log.stream(one) for one in streams]


def taken(rows: list[Recorded], only: str | None = None) -> Holdings:
    holdings = Holdings(only)
    for row in rows:
        holdings.take(row.event)
    return holdings


def told(outcome: Outcome) -> str:
    if isinstance(outcome, Released):
        return f"released: {outcome.basis}"
    return "withheld: " + ", ".join(outcome.reasons)


def test_holdings_are_those_of_the_folded_case_at_every_row(road: Road) -> None:
    """Two folds that share nothing: this one over records, the case's own over its events."""
    for rows in cases(road):
        for end in range(1, len(rows) + 1):
            case = fold([one.event for one in rows[:end]], road.hub.exchange.secrets)
            found = taken(rows[:end])
            assert {a: one.held for a, one in found.by_agency.items() if one.held} == {
                agency: held for agency, held in case.holdings.items() if held
            }


def test_one_agency_alone_has_what_it_has_among_all(road: Road) -> None:
    for rows in cases(road):
        for agency, holding in taken(rows).by_agency.items():
            assert taken(rows, agency).by_agency == {agency: holding}


def test_what_was_recalled_was_held_and_is_no_more(road: Road) -> None:
    for rows in cases(road):
        for holding in taken(rows).by_agency.values():
            assert not holding.recalled & holding.held.keys()
            assert all(holding.given[item] > 0 for item in holding.recalled)


def test_across_cases_counts_what_each_case_has(road: Road) -> None:
    log = road.hub.exchange.log
    for agency in road.identities:
        per_case = [taken(rows).by_agency.get(agency, Holding()).held for rows in cases(road)]
        items = Counter(category for held in per_case for _, category in held)
        counted = across_cases(log, agency)
        assert counted.cases == sum(bool(held) for held in per_case)
        assert {name: n for name, (_, n) in counted.categories.items()} == items
        for name, (number, _) in counted.categories.items():
            assert number == sum(name in {c for _, c in held} for held in per_case)


def test_the_cell_says_what_why_says_of_each_event(road: Road) -> None:
    """Recorded decision, decision made again, and what became of it, for every pair there is."""
    exchange = road.hub.exchange
    asked = 0
    for rows in cases(road):
        for agency in road.identities:
            if agency == "HUB":
                continue
            single = {
                one.position: why(exchange, agency, str(one.position))
                for one in rows
                if isinstance(one.event, stored.EventAccepted) and one.event.emitter != agency
            }
            for category in {name for one in single.values() for name in one.categories}:
                found = answers(exchange, rows, agency, category)
                first = {one.position: one for one in found if one.phase == "first"}
                assert set(first) == {
                    at for at, one in single.items() if category in one.categories
                }
                for position, one in first.items():
                    line = single[position].categories[category]
                    assert told(one.recorded) == line.recorded
                    assert told(one.again) == line.again
                    assert one.same
                    asked += 1
                    if isinstance(one.recorded, Released) and one.fate and one.fate.sequence:
                        assert f"sequence {one.fate.recall or one.fate.sequence}," in line.fate
    assert asked > 50


def test_backfill_is_answered_too_and_decided_the_same_again(road: Road) -> None:
    exchange = road.hub.exchange
    for rows in cases(road):
        recorded = Counter(
            (agency, category)
            for one in rows
            if isinstance(one.event, stored.Settled)
            for agency, events in json.loads(one.event.settlement).get("backfill", {}).items()
            for bases in events.values()
            for category in bases
        )
        for (agency, category), number in recorded.items():
            found = [
                one for one in answers(exchange, rows, agency, category) if one.phase == "backfill"
            ]
            assert len(found) == number
            assert all(one.same and one.fate is not None and one.fate.sequence for one in found)


def test_a_record_that_was_altered_diverges(road: Road) -> None:
    """The answer is not read off the record: what was released becomes withheld, and it shows."""
    exchange = road.hub.exchange
    for rows in cases(road):
        for index, one in enumerate(rows):
            if not isinstance(one.event, stored.Settled):
                continue
            record = json.loads(one.event.settlement)
            for agency, outcomes in record.get("decided", {}).items():
                for category, outcome in outcomes.items():
                    if not isinstance(outcome, str):
                        continue
                    outcomes[category] = ["no_consent"]
                    event = replace(one.event, settlement=json.dumps(record).encode())
                    changed = [*rows[:index], Recorded(one.position, event), *rows[index + 1 :]]
                    found = answers(exchange, changed, agency, category)
                    assert [a.settled for a in found if not a.same] == [one.position]
                    return
    pytest.fail("no release to alter")


def test_the_rule_named_is_the_one_that_decides(road: Road) -> None:
    """No rule before it answers, and its answer is the decision."""
    exchange = road.hub.exchange
    seen = set()
    for rows in cases(road):
        for agency in road.identities:
            party = exchange.agencies.parties().get(agency)
            assert party is not None
            for category in ("identity", "case_management", "consent", "deidentified_account"):
                for one in answers(exchange, rows, agency, category):
                    seen.add(one.rule)
                    assert 1 <= one.rule <= AGREEMENT_RULE
    assert {4, 6, 13} <= seen

    case = fold([one.event for one in cases(road)[0]], exchange.secrets)
    profile, now = exchange.policy(), exchange.clock.now()
    age = case.age.view(now, profile.enforcement_roles)
    for event in case.events:
        for party in exchange.agencies.parties().all():
            for category in event.categories:
                ask = Ask(case, event, party, profile, now, age=age, category=category)
                before, number = decide(ask), rule_of(ask)
                if not 1 <= number <= len(RULES):
                    continue
                left = tuple(rule for i, rule in enumerate(RULES, 1) if i < number)
                ask.mode = profile.mode(ask.role, category)
                assert all(rule(ask) is None for rule in left)
                answer = RULES[number - 1](ask)
                assert answer is not None
                if isinstance(answer, Released):
                    assert before == answer
                else:
                    assert isinstance(before, type(answer))
                    assert before.reasons[0] == answer.reasons[0]


def test_the_strongest_basis_comes_first() -> None:
    assert strongest(["consent:b", "public_task", "consent:a"]) == "public_task"
    assert strongest(["vital_interests", "consent:b", "consent:a"]) == "consent:a"
    assert strongest([]) == ""


def test_a_release_stopped_before_it_was_sent_was_never_held() -> None:
    holding = Holding()
    item = (str(UUID(int=1)), "identity")
    holding.gain(item, "consent:c1")
    holding.give_back(item)
    assert cells(holding)["identity"].state == "recalled"
    holding.never_sent(item)
    assert cells(holding) == {}
    holding.gain(item, "public_task")
    holding.give_back(item)
    holding.gain(item, "consent:c2")
    holding.never_sent(item)
    assert cells(holding) == {}  # not held; and what it once gave back it was given again


def test_decisions_come_out_the_same_after_the_person_was_erased(tmp_path: Path) -> None:
    """A child by a date of birth that is gone: the age that was recorded then decides again."""
    with Told(tmp_path, "NGO-1", "SH-1", "CPS-1") as told:
        told.opened(age="adult")
        told.consents({"SH-1": ["identity"], "CPS-1": ["identity"]})
        told.involves("NGO-1", "SH-1")
        told.refers("NGO-1", "CPS-1")
        told.says("CPS-1", "ReferralAccepted", referral_id="to-CPS-1")
        told.says("NGO-1", "IdentityRecorded", family_name="Gone", date_of_birth="2012-05-01")
        told.says("NGO-1", "RiskAssessed")
        told.says("NGO-1", "SubjectRequestReceived", request_id="q1", right="erasure")
        granted = {"outcome": "granted", "exemption": "none", "action": "key_destroyed"}
        told.says("NGO-1", "SubjectRequestDecided", request_id="q1", **granted)
        told.attend()
        exchange = told.road.hub.exchange
        [rows] = cases(told.road)
        case = fold([one.event for one in rows], exchange.secrets)
        assert case.birth_dates_erased
        bases = set()
        for agency in ("SH-1", "CPS-1"):
            for category in ("identity", "protection", "case_management"):
                found = answers(exchange, rows, agency, category)
                assert found
                assert all(one.same for one in found)
                bases |= {one.recorded.basis for one in found if isinstance(one.recorded, Released)}
        assert "safeguarding" in bases
        decided = max(case.position_of(e.event_id) for e in case.events)
        for holding in taken(rows).by_agency.values():  # the erasure's own message, nothing before
            assert all(case.position_of(event_id) == decided for event_id, _ in holding.held)
        for one in case.events:
            assert not why(exchange, "CPS-1", one.event_id).divergent
