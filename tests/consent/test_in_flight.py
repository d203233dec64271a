"""The acknowledgement of a withdrawal: what was on its way, as far as its reader may know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from connectors.agency.outcomes import Outcome, read_outcomes
from connectors.submit import Publisher
from hub.consent.reading import consent_records
from hub.outcomes import outcome_batch
from hub.recalling.in_flight import MOST_TOLD
from hub.store import events as stored
from schemas import wire
from tests.cli.programs import nrm
from tests.consent.stage import ROLES, accepted, close, needs, open_case, withdraw
from tests.road import CONSENT, Road

SCOPE = {"SH-1": ["protection", "health"], "CA-1": ["protection"]}


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    road = Road.open(tmp_path, ROLES)
    yield road
    close(road)


def listed(outcome: Outcome) -> set[tuple[str, str, tuple[str, ...]]]:
    return {(one.recipient, one.event_ref, one.categories) for one in outcome.in_flight}


def recorded(road: Road) -> list[list[Any]]:
    """Everything the log says was in flight."""
    rows = road.hub.exchange.log.read(0, 10_000, frozenset({stored.InFlight.TOPIC}))
    found: list[list[Any]] = []
    for one in rows:
        assert isinstance(one.event, stored.InFlight)
        found += json.loads(one.event.items)
    return found


def test_what_was_marked_is_listed_and_what_was_not_is_not(road: Road) -> None:
    open_case(road, "C1", SCOPE)
    first = str(needs(road, "C1").event_id)
    road.hub.publisher.mark()
    second = str(needs(road, "C1").event_id)
    outcome = withdraw(road, "C1")
    assert listed(outcome) == {
        ("SH-1", first, ("health", "protection")),
        ("CA-1", first, ("protection",)),
    }
    assert outcome.in_flight_more == 0
    [record] = consent_records(road.hub.exchange, "C1", road.time.at.date())
    assert record.statements[-1].in_flight == {"SH-1": 1, "CA-1": 1}
    shown = nrm("consent", "show", "--home", road.folder / "hub", "--case", "C1").out
    assert "in flight, called back: CA-1 (1), SH-1 (1)" in shown
    road.settle()
    assert second not in json.dumps(recorded(road)), "decided, never marked, never sent"


def test_the_same_withdrawal_again_gets_the_same_answer(road: Road) -> None:
    open_case(road, "C1", SCOPE)
    needs(road, "C1")
    road.settle()
    gone = {"consent_id": "c1", "extent": "all", "leave_nrm": False}
    event = road.event("ConsentWithdrawn", "C1", UUID(int=7), **gone)
    [first] = road.publish_all("NGO-1", [event])
    needs(road, "C1")
    road.settle()
    [again] = road.publish_all("NGO-1", [event])
    assert first.in_flight
    assert (listed(again), again.position) == (listed(first), first.position)
    facts = road.hub.exchange.outcome("NGO-1", UUID(int=7).bytes)
    assert facts is not None
    signed = outcome_batch(road.hub.settings.hub_id, road.hub.keys.signing, [facts])
    [told] = read_outcomes(signed, road.identities["NGO-1"])
    assert listed(told) == listed(first), "also when asked for over HTTP"


def test_a_part_withdrawn_lists_that_part(road: Road) -> None:
    open_case(road, "C1", SCOPE)
    event = str(needs(road, "C1").event_id)
    road.settle()
    part = withdraw(road, "C1", extent="categories", categories=["health"])
    assert listed(part) == {("SH-1", event, ("health",))}
    narrowed = {"scope": {"SH-1": ["protection"]}, "valid_until": "2027-03-01"}
    amended = road.publish(
        "NGO-1", "ConsentAmended", "C1", consent_id="c1", reason="narrowed", **narrowed
    )
    assert listed(accepted(amended)) == {("CA-1", event, ("protection",))}
    rest = withdraw(road, "C1", extent="recipients", recipients=["SH-1"])
    assert listed(rest) == {("SH-1", event, ("protection",))}
    assert listed(withdraw(road, "C1")) == set()


def test_nothing_in_flight_is_a_plain_outcome(road: Road) -> None:
    open_case(road, "C1", SCOPE)
    assert withdraw(road, "C1").in_flight == ()
    assert recorded(road) == []


def test_who_only_takes_a_withdrawal_learns_nothing_of_others(road: Road) -> None:
    """Leak 5, the other way round: the answer must not tell an uninvolved agency who knows what."""
    open_case(road, "C1", SCOPE)
    needs(road, "C1")
    road.settle()
    taken = withdraw(road, "C1", by="POL-1")
    assert taken.in_flight == ()
    assert taken.in_flight_more == 0
    assert {to for to, _, _ in recorded(road)} == {"SH-1", "CA-1"}, "the operator sees it all"


def test_a_recipient_that_takes_it_learns_of_its_own_only(road: Road) -> None:
    open_case(road, "C1", SCOPE)
    event = str(needs(road, "C1").event_id)
    road.settle()
    taken = withdraw(road, "C1", by="SH-1")
    assert listed(taken) == {("SH-1", event, ("health", "protection"))}


def test_who_stated_the_consent_is_not_told_of_events_it_may_not_know(road: Road) -> None:
    """The answer is the same whether or not a withheld event was sent to somebody else."""
    answers = []
    for case, also in (("C1", False), ("C2", True)):
        open_case(road, case, {"SH-1": ["protection", "health"], "CA-1": ["protection"]})
        own = str(needs(road, case).event_id)
        if also:
            stated = road.publish(
                "SH-1", "NeedsAssessed", case, domains=["medical"], health_needs="x"
            )
            other = str(accepted(stated).event_id)
        road.settle()
        outcome = withdraw(road, case)
        answers.append({(to, ref == own, names) for to, ref, names in listed(outcome)})
    assert any(event == other and to == "CA-1" for to, event, _ in recorded(road))
    assert answers[0] == answers[1]


def test_a_long_list_is_cut_and_says_how_much_more(road: Road) -> None:
    open_case(road, "C1", {"SH-1": ["health"]})
    event = {"domains": ["medical"], "health_needs": "x"}
    many = [road.event("NeedsAssessed", "C1", **event) for _ in range(MOST_TOLD + 5)]
    assert all(one.accepted for one in road.publish_all("NGO-1", many))
    road.settle()
    outcome = withdraw(road, "C1")
    assert (len(outcome.in_flight), outcome.in_flight_more) == (MOST_TOLD, 5)


def test_in_one_group_with_what_it_overtakes(road: Road) -> None:
    """Recorded in one transaction with something said before it: that cannot have been marked."""
    open_case(road, "C1", SCOPE)
    road.settle()
    publisher = Publisher(road.identities["NGO-1"])
    said = road.event("NeedsAssessed", "C1", domains=["medical"], health_needs="x")
    gone = {"consent_id": "c1", "extent": "all", "leave_nrm": False}
    withdrawal = road.event("ConsentWithdrawn", "C1", **gone)
    again = road.event("ConsentGiven", "C1", consent_id="c2", scope=SCOPE, **CONSENT)
    admission = road.hub.ingest.admit(publisher.prepare([said, withdrawal, again]))
    [answers] = road.hub.exchange.record([admission])
    assert [one.accepted for one in answers] == [True] * 3
    assert answers[1].in_flight == ()
    road.settle()
    exchange = road.hub.exchange
    case_id = exchange.pseudonyms.canonical("case", "C1")
    versions = [one.event.originator_version for one in exchange.log.stream(case_id)]
    assert versions == list(range(1, len(versions) + 1))


def test_the_answer_is_signed_and_altered_bytes_are_not_believed(road: Road) -> None:
    open_case(road, "C1", SCOPE)
    needs(road, "C1")
    road.settle()
    outcome = withdraw(road, "C1")
    batch = wire.OUTCOME_BATCH.unsingle(outcome.signed)
    first, flight = batch["outcomes"]
    assert wire.OUTCOME.unsingle(first)["position"] == outcome.position
    told = wire.IN_FLIGHT.unsingle(flight)
    assert (told["position"], told["agency"]) == (outcome.position, "NGO-1")
    forged = wire.IN_FLIGHT.single({**told, "items": []})
    bytes_ = wire.OUTCOME_BATCH.single({**batch, "outcomes": [first, forged]})
    with pytest.raises(Exception, match="does not verify"):
        read_outcomes(bytes_, road.identities["NGO-1"])
