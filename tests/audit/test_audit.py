"""Auditors' questions on recorded history: replay, why, and a log that was tampered with."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.audit import replay_case, verify_log, why
from hub.errors import Refused
from hub.exchange import Exchange
from hub.store import events as stored
from hub.store.log import HubLog, leaf_entry
from tests.played import NAMES, event_id, play, scenario
from tests.road import Road


@pytest.fixture(scope="module", params=NAMES)
def road(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Road]:
    road = play(tmp_path_factory.mktemp(request.param), scenario(request.param))
    road.hub.checkpoints.step(now=True)
    yield road
    road.close()


def verdict_of(exchange: Exchange | HubLog, road: Road) -> list[str]:
    log = exchange.log if isinstance(exchange, Exchange) else exchange
    *_, last = verify_log(log, road.hub.settings.hub_id, road.hub.checkpoints.verifier)
    return last.problems


def test_every_decision_made_again_is_the_recorded_one(road: Road) -> None:
    """I6, for every event, party and category."""
    asked = 0
    for one in road.hub.exchange.log.read(0, 100_000):
        if not isinstance(one.event, stored.EventAccepted):
            continue
        for agency in road.hub.exchange.agencies:
            answer = why(road.hub.exchange, agency.agency, str(one.position))
            assert not answer.divergent, answer
            asked += len(answer.categories)
    assert asked > 20


def test_why_names_the_basis_and_the_fate(road: Road) -> None:
    told = 0
    for one in road.hub.exchange.log.read(0, 100_000):
        if isinstance(one.event, stored.Sending) and one.event.kind == "release":
            answer = why(road.hub.exchange, one.event.agency, str(one.event.event_position))
            fates = {line.fate.partition(",")[0] for line in answer.categories.values()}
            assert fates & {"sent", "recalled"}, answer
            told += 1
    assert told


def test_the_whole_log_verifies(road: Road) -> None:
    assert verdict_of(road.hub.exchange, road) == []


def test_replay_as_of_ends_where_asked(road: Road) -> None:
    document = scenario("S1")
    if road.identities.keys() != document["agencies"].keys():
        document = next(
            d for d in map(scenario, NAMES) if d["agencies"].keys() == road.identities.keys()
        )
    ref = document["events"][0]["case"]
    everything = replay_case(road.hub.exchange, ref)
    middle = everything[len(everything) // 2]
    by_position = replay_case(road.hub.exchange, ref, str(middle.position + 1))
    by_time = replay_case(road.hub.exchange, ref, middle.recorded_at)
    assert by_position == everything[: len(by_position)]
    assert by_position[-1] == middle
    assert by_time[: len(by_position)] == by_position
    assert [e.event_id for e in everything] == [
        str(event_id(e["id"])) for e in document["events"] if e["case"] == ref
    ]


def test_what_is_not_there_is_said_plainly(road: Road) -> None:
    with pytest.raises(Refused, match="unknown_case"):
        replay_case(road.hub.exchange, "no such case")
    with pytest.raises(Refused, match="unknown_event"):
        why(road.hub.exchange, "NGO-1", "1")
    with pytest.raises(Refused, match="bad_as_of"):
        replay_case(road.hub.exchange, "C1", "yesterday")


def test_an_edited_row_is_found(tmp_path: Path) -> None:
    """An operator with the database's password changes one recorded decision."""
    road = play(tmp_path, scenario("S7"))
    road.hub.checkpoints.step(now=True)
    try:
        assert verdict_of(road.hub.exchange, road) == []
        with sqlite3.connect(tmp_path / "hub" / "events.db") as database:
            [(row, state)] = database.execute(
                "SELECT rowid, state FROM stored_events WHERE topic = 'nrm.Case.Settled' LIMIT 1"
            ).fetchall()
            changed = state.replace(b"not_involved", b"not_InvolveD")
            assert changed != state
            database.execute("UPDATE stored_events SET state = ? WHERE rowid = ?", (changed, row))
        assert f"position {row}: row and leaf differ" in verdict_of(road.hub.exchange, road)
        # Having recomputed the leaf as well, he is caught by the signed checkpoint.
        with sqlite3.connect(tmp_path / "hub" / "events.db") as database:
            [one] = road.hub.exchange.log.rows(row - 1, 1)
            database.execute(
                "UPDATE leaves SET entry = ? WHERE position = ?", (leaf_entry(one), row)
            )
        problems = verdict_of(road.hub.exchange, road)
        assert problems
        assert all("no longer has this root" in problem for problem in problems)
    finally:
        road.close()
