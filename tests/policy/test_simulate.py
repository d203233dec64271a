"""Simulate lists exactly the decisions that another profile would have changed, and no other.

Three judges apart from the code under test: the profile that was in force (nothing changes), the
rules alone over the scenario's file under the other profile (`tests/scenarios/rules_alone.py`: no
log, no fold), and a second hub that really had the other profile from its first event.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from connectors.submit import Publisher
from hub.audit.simulate import Found, Simulation
from hub.domain.case import Case
from hub.domain.policy import PolicyProfile, default_document, shipped_document
from hub.domain.settlement import Released, Settlement
from hub.exchange import Exchange
from hub.home import Home
from hub.hub import Reading
from hub.scenario import Servers, run
from hub.scenario.shipped import load
from hub.scenario.story import read
from hub.store import events as stored
from tests.policy.officers import changed, in_force, write
from tests.road import CONSENT, Road, shelter_joins
from tests.scenarios.rules_alone import play

OPENED = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
PROFILE = PolicyProfile.from_document(default_document())


def simulated(exchange: Exchange, document: dict[str, Any]) -> tuple[list[Found], Simulation]:
    simulation = Simulation(exchange, PolicyProfile.from_document(document))
    return [one for case in simulation.cases() for one in case], simulation


def brief(found: list[Found]) -> list[tuple[str, str, str, str, str]]:
    """(phase, agency, category, change, after), in the order listed."""
    return [
        (
            one.difference.phase,
            one.difference.agency,
            one.difference.category,
            one.difference.change,
            one.difference.after,
        )
        for one in found
    ]


# -- whole scenarios -------------------------------------------------------------------------

SCENARIOS = ("S1", "S2", "S5")
Histories = dict[str, tuple[dict[str, Any], Home]]  # scenario id → its file, and a hub that had it


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Histories:
    """Whole scenarios, run on hubs of their own under the default profile."""
    place = tmp_path_factory.mktemp("history")
    found = {}
    with Servers(keep=True) as servers:
        for name in SCENARIOS:
            script = load(name)
            assert run(read(script), servers, home=place / name).ok
            found[name] = (script, Home(place / name / "hub"))
    return found


Item = tuple[int, str, int, str, str]  # trigger's number, phase, event's number, agency, category


def items(script: dict[str, Any], document: dict[str, Any]) -> dict[Item, str]:
    """Everything decided by the rules alone under a profile, with the basis or `recalled`."""
    found: dict[Item, str] = {}
    number = {event["id"]: at for at, event in enumerate(script["events"], start=1)}
    for at, step in enumerate(
        play(script, PolicyProfile.from_document(document), guarded=False), start=1
    ):
        assert step.settlement is not None
        found.update(_items(at, number, step.settlement))
    return found


def _items(at: int, number: dict[str, int], settlement: Settlement) -> dict[Item, str]:
    found: dict[Item, str] = {}
    for agency, outcomes in settlement.decided.items():
        for category, outcome in outcomes.items():
            if isinstance(outcome, Released):
                found[at, "first", at, agency, category] = outcome.basis
    for agency, events in settlement.backfill.items():
        for event_id, bases in events.items():
            for category, basis in bases.items():
                found[at, "backfill", number[event_id], agency, category] = basis
    for recall in settlement.recalls:
        for event_id, names in recall.items:
            for category in names:
                found[at, "recall", number[event_id], recall.to, category] = "recalled"
    return found


def listed(exchange: Exchange, found: list[Found]) -> set[Item]:
    accepted = frozenset({stored.EventAccepted.TOPIC})
    rows = exchange.log.read(0, 100_000, accepted)
    number = {row.position: at for at, row in enumerate(rows, start=1)}
    return {
        (
            number[one.at],
            one.difference.phase,
            number[one.event],
            one.difference.agency,
            one.difference.category,
        )
        for one in found
    }


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_profile_that_was_in_force_changes_nothing(homes: Histories, name: str) -> None:
    script, home = homes[name]
    with Reading.open(home) as reading:
        found, simulation = simulated(reading.exchange, default_document())
        assert found == []
        assert simulation.totals == {}
        assert simulation.events == len(script["events"])
        assert simulation.decisions > simulation.events


@pytest.mark.parametrize("name", ["S1", pytest.param("S2", marks=pytest.mark.deep), "S5"])
def test_every_cell_changed_alone_lists_exactly_its_decisions(homes: Histories, name: str) -> None:
    script, home = homes[name]
    before = items(script, default_document())
    roles = sorted(set(script["agencies"].values()) - {"hub"})
    touched = sorted({category for event in script["events"] for category in event["categories"]})
    listing = 0
    with Reading.open(home) as reading:
        for index, (role, category) in enumerate((r, c) for r in roles for c in touched):
            was = PROFILE.mode(role, category)
            for mode in {"N", "ADCKX"[index % 5]} - {was}:
                document = changed(default_document(), "x", **{f"{role}__{category}": mode})
                after = items(script, document)
                expected = {
                    item for item in {*before, *after} if before.get(item) != after.get(item)
                }
                found, _ = simulated(reading.exchange, document)
                assert listed(reading.exchange, found) == expected, (role, category, mode)
                assert len(found) == len(expected)
                for one in found:
                    assert one.role == role
                    consent_of_link = one.type == "CaseLinkDecided" and category == "linkage"
                    assert one.difference.category == category or consent_of_link
                listing += bool(found)
    assert listing > 5, "the planted changes reach decisions at all"


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("private_bodies", []),
        ("break_glass", {}),
        ("enforcement_roles", []),
        ("enforcement_dispute_serves", ["police", "competent_authority"]),
        ("event_group_gate", {}),
        ("evidence", {}),
    ],
)
@pytest.mark.parametrize("name", SCENARIOS)
def test_other_parts_likewise(homes: Histories, name: str, part: str, value: Any) -> None:
    script, home = homes[name]
    document = {**default_document(), "version": "x", part: value}
    before, after = items(script, default_document()), items(script, document)
    with Reading.open(home) as reading:
        found, _ = simulated(reading.exchange, document)
        assert listed(reading.exchange, found) == {
            item for item in {*before, *after} if before.get(item) != after.get(item)
        }
    if part == "evidence":
        assert found == [], "whose signature a delivery carries is no decision to release"


def test_a_hub_that_had_the_profile_from_the_start_decided_the_same(
    homes: Histories, tmp_path: Path
) -> None:
    document = changed(
        default_document(), "x", police__identity="N", competent_authority__protection="C"
    )
    script, home = homes["S1"]
    with Servers(keep=True) as servers:
        profile = write(tmp_path / "x.json", document)
        run(read(script), servers, home=tmp_path / "other", profile=profile)
    with Reading.open(home) as reading, Reading.open(Home(tmp_path / "other" / "hub")) as other:
        found, _ = simulated(reading.exchange, document)
        assert found
        nothing, _ = simulated(other.exchange, document)
        assert nothing == []
        before, after = recorded(reading.exchange), recorded(other.exchange)
        assert listed(reading.exchange, found) == {
            item for item in {*before, *after} if before.get(item) != after.get(item)
        }


def recorded(exchange: Exchange) -> dict[Item, str]:
    """Everything a hub recorded as decided."""
    found: dict[Item, str] = {}
    number: dict[str, int] = {}
    for one in exchange.log.read(0, 100_000):
        if isinstance(one.event, stored.EventAccepted):
            number[str(UUID(bytes=one.event.event_id))] = len(number) + 1
        elif isinstance(one.event, stored.Settled):
            settlement = Settlement.from_record(json.loads(one.event.settlement))
            found.update(_items(number[settlement.event_id], number, settlement))
    return found


def test_nothing_is_written(homes: Histories) -> None:
    _, home = homes["S1"]

    def files() -> dict[str, str]:
        kept = [path for path in home.path.rglob("*") if path.suffix in (".db", ".key", ".toml")]
        return {path.name: sha256(path.read_bytes()).hexdigest() for path in kept}

    with Reading.open(home) as reading:
        before, head = files(), reading.exchange.log.head
        simulated(reading.exchange, shipped_document("uk"))
        assert reading.exchange.log.head == head
        assert files() == before


# -- what a change leads to ------------------------------------------------------------------


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    roles = {"NGO-1": "ngo_support", "SH-1": "shelter", "POL-1": "police", "AUD-1": "auditor"}
    road = Road.open(tmp_path, roles)
    yield road
    road.close()


NEEDS = {"domains": ["medical"], "health_needs": "x"}
GONE = {"consent_id": "c1", "extent": "all", "leave_nrm": False}


def test_withheld_at_first_it_is_neither_caught_up_on_nor_taken_back(road: Road) -> None:
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    road.publish("NGO-1", "NeedsAssessed", "C1", **NEEDS)
    shelter_joins(road, "protection", "health")
    road.publish("NGO-1", "NeedsAssessed", "C1", **NEEDS)
    road.settle()
    road.publish("NGO-1", "ConsentWithdrawn", "C1", **GONE)
    strict = changed(default_document(), "x", shelter__health="N")
    found, simulation = simulated(road.hub.exchange, strict)
    assert brief(found) == [
        ("backfill", "SH-1", "health", "loses", "withheld: never_rule"),
        ("first", "SH-1", "health", "loses", "withheld: never_rule"),
        ("recall", "SH-1", "health", "follows", "nothing to give back"),
        ("recall", "SH-1", "health", "follows", "nothing to give back"),
    ]
    assert [one.difference.before for one in found] == [
        "released: consent:c1",
        "released: consent:c1",
        "recalled",
        "recalled",
    ]
    assert simulation.totals == {"shelter": {"loses": 2, "follows": 2}}


def test_what_rests_on_law_is_not_taken_back_with_the_consent(road: Road) -> None:
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    shelter_joins(road, "health")
    road.publish("NGO-1", "NeedsAssessed", "C1", **NEEDS)
    road.settle()
    road.publish("NGO-1", "ConsentWithdrawn", "C1", **GONE)
    wide = changed(default_document(), "x", shelter__health="D")
    found, _ = simulated(road.hub.exchange, wide)
    assert brief(found) == [
        ("first", "SH-1", "health", "basis", "released: public_task"),
        ("recall", "SH-1", "health", "gains", "kept: public_task"),
    ]


def test_received_sooner_it_is_not_caught_up_on(road: Road) -> None:
    """With D the shelter had it at once; the later consent then finds it held already."""
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    shelter_joins(road, "contact")
    road.publish("NGO-1", "NeedsAssessed", "C1", **NEEDS)
    scope = {"SH-1": ["health", "contact"]}
    road.publish("NGO-1", "ConsentGiven", "C1", consent_id="c2", scope=scope, **CONSENT)
    wide = changed(default_document(), "x", shelter__health="D")
    found, _ = simulated(road.hub.exchange, wide)
    assert brief(found) == [
        ("first", "SH-1", "health", "gains", "released: public_task"),
        ("backfill", "SH-1", "health", "follows", "held already"),
    ]
    # And the other way round: what the law gave at once, consent gives later.
    later = changed(default_document(), "y", shelter__case_management="C")
    found, _ = simulated(road.hub.exchange, later)
    assert {(phase, change) for phase, _, _, change, _ in brief(found)} == {("first", "loses")}


def test_between_decision_and_sending(road: Road) -> None:
    """The consent's last day ended before it was sent: held back, unless it rests on law."""
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    shelter_joins(road, "health", "case_management", valid_until="2026-03-02")
    road.settle()
    exchange, publisher = road.hub.exchange, Publisher(road.identities["NGO-1"])
    needs = road.event("NeedsAssessed", "C1", **NEEDS)
    [[answer]] = exchange.record([road.hub.ingest.admit(publisher.prepare([needs]))])
    road.time.at += timedelta(days=1)
    road.settle()
    assert exchange.log.counts().by_topic["nrm.Case.HeldBack"] == 1
    assert simulated(exchange, default_document())[0] == []

    wide = changed(default_document(), "w", shelter__health="D")
    found, _ = simulated(exchange, wide)
    assert brief(found) == [
        ("first", "SH-1", "health", "basis", "released: public_task"),
        ("sending", "SH-1", "health", "gains", "sent: public_task"),
    ]
    assert {(one.at, one.event) for one in found} == {(answer.position, answer.position)}

    strict = changed(default_document(), "s", shelter__health="N")
    assert brief(simulated(exchange, strict)[0]) == [
        ("first", "SH-1", "health", "loses", "withheld: never_rule"),
        ("sending", "SH-1", "health", "follows", "nothing to send"),
    ]


def test_held_back_where_the_proposed_profile_rests_on_the_consent(road: Road) -> None:
    """Of one event, one category was held back; by consent the other would have been as well."""
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    shelter_joins(road, "protection", "case_management", valid_until="2026-03-02")
    road.settle()
    exchange, publisher = road.hub.exchange, Publisher(road.identities["NGO-1"])
    plan = {"goals": ["rest"], "client_agreed": True, "review_on": "2026-04-01", "details": "x"}
    agreed = road.event("SupportPlanAgreed", "C1", **plan)
    [[answer]] = exchange.record([road.hub.ingest.admit(publisher.prepare([agreed]))])
    road.time.at += timedelta(days=1)
    road.settle()
    assert exchange.log.counts().by_topic["nrm.Case.HeldBack"] == 1
    assert simulated(exchange, default_document())[0] == []
    narrow = changed(default_document(), "a", shelter__case_management="C")
    of_plan = [one for one in simulated(exchange, narrow)[0] if one.event == answer.position]
    assert brief(of_plan) == [
        ("first", "SH-1", "case_management", "basis", "released: consent:c1"),
        ("sending", "SH-1", "case_management", "loses", "held back"),
    ]


def test_another_basis_at_sending(road: Road) -> None:
    """Recorded: from one consent to the other. On law from the start: nothing more to tell."""
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    shelter_joins(road, "health", valid_until="2026-03-02")
    road.publish(
        "NGO-1", "ConsentGiven", "C1", consent_id="c2", scope={"SH-1": ["health"]}, **CONSENT
    )
    road.settle()
    exchange, publisher = road.hub.exchange, Publisher(road.identities["NGO-1"])
    needs = road.event("NeedsAssessed", "C1", **NEEDS)
    exchange.record([road.hub.ingest.admit(publisher.prepare([needs]))])
    road.time.at += timedelta(days=1)
    road.settle()
    assert exchange.log.counts().by_topic["nrm.Case.HeldBack"] == 1
    assert simulated(exchange, default_document())[0] == []
    wide = changed(default_document(), "w", shelter__health="D")
    assert brief(simulated(exchange, wide)[0]) == [
        ("first", "SH-1", "health", "basis", "released: public_task")
    ]


def test_break_glass_lists_and_reviews(road: Road) -> None:
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    name = {"given_name": "A", "family_name": "B"}
    road.publish("NGO-1", "IdentityRecorded", "C1", **name)
    invoked = road.publish(
        "POL-1",
        "BreakGlassInvoked",
        "C1",
        reason="threat_to_life",
        requested_categories=["identity"],
        two_person_ref="u-2",
        expires_at="2026-03-02T20:00:00Z",
    )
    own_name = road.hub.exchange.pseudonyms.pseudonym("AUD-1", "event", invoked.event_id)
    review = {"outcome": "not_justified", "person_informed": True}
    reviewed = road.publish(
        "AUD-1", "BreakGlassReviewed", "C1", invocation_event_id=own_name, **review
    )
    assert reviewed.accepted
    assert simulated(road.hub.exchange, default_document())[0] == []
    shut = {**default_document(), "version": "x", "break_glass": {}}
    assert brief(simulated(road.hub.exchange, shut)[0]) == [
        ("backfill", "POL-1", "identity", "loses", "withheld: not_involved, no_consent"),
        ("recall", "POL-1", "identity", "follows", "nothing to give back"),
    ]


def test_an_erased_persons_history_is_replayed_as_it_was(road: Road) -> None:
    """Dates of birth are gone; whether the person was a child is taken from the record."""
    born = {"date_of_birth": "2010-01-01", "dob_precision": "day", "given_name": "A"}
    road.publish("NGO-1", "CaseOpened", "C1", **{**OPENED, "age_status": "child"})
    road.publish("NGO-1", "IdentityRecorded", "C1", **born)
    linked = {"proceeding_ref": "P-1", "stage": "investigation", "victim_role": "witness"}
    road.publish("POL-1", "ProceedingLinked", "C1", **linked)
    road.publish("NGO-1", "IdentityRecorded", "C1", **born)
    person = road.hub.exchange.pseudonyms.canonical("subject", "C1")
    assert road.hub.shredder.shred(person)
    assert simulated(road.hub.exchange, default_document())[0] == []
    adults_only = changed(default_document(), "x", police__identity="C")
    found, _ = simulated(road.hub.exchange, adults_only)
    assert [(one[0], one[2], one[3]) for one in brief(found)] == [("first", "identity", "loses")]


def test_the_register_is_the_one_of_that_position(road: Road) -> None:
    """An agency that came later, or whose agreement ended, is asked as it then was."""
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    shelter_joins(road, "health")
    road.hub.enrolment.end_agreement("SH-1", by="operator")
    road.publish("NGO-1", "NeedsAssessed", "C1", **NEEDS)
    road.enrol("RAP-1", "national_rapporteur")
    wide = changed(default_document(), "x", shelter__health="D", national_rapporteur__health="A")
    assert simulated(road.hub.exchange, wide)[0] == []
    later = road.publish("NGO-1", "NeedsAssessed", "C1", **NEEDS)
    found, _ = simulated(road.hub.exchange, wide)
    assert [(one.at, one.difference.agency) for one in found] == [(later.position, "RAP-1")]


def test_a_history_under_two_versions_is_compared_with_what_was_recorded(road: Road) -> None:
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    shelter_joins(road, "health")
    first = road.publish("NGO-1", "NeedsAssessed", "C1", **NEEDS)
    strict = changed(default_document(), "strict-1", shelter__health="N")
    in_force(road.hub, strict)
    second = road.publish("NGO-1", "NeedsAssessed", "C1", **NEEDS)
    by_strict, _ = simulated(road.hub.exchange, strict)
    by_default, _ = simulated(road.hub.exchange, default_document())
    assert [(one.at, one.difference.change) for one in by_strict] == [(first.position, "loses")]
    assert [(one.at, one.difference.change) for one in by_default] == [(second.position, "gains")]


def test_only_what_stood_at_the_start_is_looked_at_and_case_by_case(road: Road) -> None:
    for number in range(3):
        road.publish("NGO-1", "CaseOpened", f"C{number}", **OPENED)
    simulation = Simulation(road.hub.exchange, PROFILE)
    cases = simulation.cases()
    assert next(cases) == []
    assert simulation.counted == 1
    road.publish("NGO-1", "CaseOpened", "C9", **OPENED)
    assert list(cases) == [[], []]
    assert (simulation.counted, simulation.events) == (3, 3)
    assert simulation.done == simulation.end < road.hub.exchange.log.head


def test_one_case_at_a_time_is_in_memory(road: Road) -> None:
    for number in range(6):
        road.publish("NGO-1", "CaseOpened", f"C{number}", **OPENED)

    def alive() -> int:
        gc.collect()
        return sum(isinstance(one, Case) for one in gc.get_objects())

    before = alive()
    counts = [alive() - before for _ in Simulation(road.hub.exchange, PROFILE).cases()]
    assert len(counts) == 6
    assert max(counts) <= 2, "the case as recorded and as it would be"


def test_roles_the_profile_has_no_row_for_are_told(road: Road) -> None:
    document = default_document()
    del document["matrix"]["police"]
    simulation = Simulation(
        road.hub.exchange, PolicyProfile.from_document({**document, "version": "x"})
    )
    assert simulation.closed_to() == {"police": ["POL-1"]}


def test_the_hub_goes_on_beside_it(road: Road, tmp_path: Path) -> None:
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    with Reading.open(Home(tmp_path / "hub")) as beside:
        simulation = Simulation(beside.exchange, PROFILE)
        assert road.publish("NGO-1", "CaseOpened", "C2", **OPENED).accepted
        assert list(simulation.cases()) == [[]]
