"""Q05, Q07, Q09, Q11: break-glass, the ledger itself, changes, and erasures."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from hub.home import Home
from hub.hub import Reading
from hub.store import events as stored
from tests.played import NAMES, scenario
from tests.questions.asked import Told, hub_of
from tests.questions.conftest import Played
from tests.questions.stage import erased_person
from tests.road import Road

# -- Q05 ---------------------------------------------------------------------------------------


def test_q05_tells_the_invocation_of_the_scenario(read: Played) -> None:
    told = read("S2")
    [invoked] = [e for e in told.document["events"] if e["type"] == "BreakGlassInvoked"]
    [reviewed] = [e for e in told.document["events"] if e["type"] == "BreakGlassReviewed"]
    through = [one["events"] for one in invoked["expected"]["backfill"]]
    [row] = told.rows("Q05")
    assert row["position"] == told.position(invoked["id"])
    assert (row["agency"], row["reason"]) == (invoked["agency"], invoked["data"]["reason"])
    assert row["requested"].split(", ") == sorted(invoked["data"]["requested_categories"])
    assert row["items"] == sum(len(names) for events in through for names in events.values())
    assert (row["by"], row["outcome"]) == (reviewed["agency"], reviewed["data"]["outcome"])
    assert row["told"] is reviewed["data"]["person_informed"]
    assert row["state"] == "reviewed in time"
    assert read("S1").rows("Q05") == []


def test_q05_as_of_before_the_review_it_awaits_one_and_then_is_overdue(read: Played) -> None:
    told = read("S2")
    at = told.position("S2.016")
    [row] = told.rows("Q05", as_of=str(at + 1))
    assert (row["state"], row["reviewed"], row["told"]) == ("open", None, None)
    assert told.rows("Q05", as_of=str(at - 1)) == []


def test_q05_a_review_that_never_came_is_found(copied: Played) -> None:
    told = copied("S2")
    invoked = next(
        one.event
        for one in told.hub.exchange.log.read(0, 1000)
        if isinstance(one.event, stored.EventAccepted)
        and one.event.event_type == "BreakGlassInvoked"
    )
    settled = next(
        one
        for one in told.hub.exchange.log.stream(invoked.originator_id)
        if isinstance(one.event, stored.Settled)
    )
    assert isinstance(settled.event, stored.Settled)
    log = told.hub.exchange.log
    version, long_ago = log.last_version(invoked.originator_id), timedelta(days=30)
    again = replace(
        invoked,
        originator_version=version + 1,
        timestamp=told.hub.exchange.clock.now() - long_ago,
        event_id=bytes(15) + b"\x01",
    )
    told.write(
        again,
        replace(settled.event, originator_version=version + 2, position=log.head + 1),
    )
    found = told.ask("Q05")
    assert found.alarming
    assert [row["state"] for row in found.as_dict()["rows"]] == [
        "reviewed in time",
        "review overdue",
    ]


# -- Q07 ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_q07_everything_stands(name: str, read: Played) -> None:
    told = read(name)
    found = told.ask("Q07")
    assert found.verdict == "nothing that must not be there"
    rows = {row["check"]: row for row in found.as_dict()["rows"]}
    assert {row["result"] for row in rows.values()} == {"stands"}
    assert rows["one decision for each event"]["looked_at"] == len(told.document["events"])
    assert rows["log positions"]["looked_at"] == told.hub.exchange.log.head


def test_q07_needs_no_secret_of_anybody(read: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    told = read("S1")

    def never(*_: object) -> dict[object, bytes]:
        raise AssertionError("a secret was asked for")

    for method in ("secrets", "ensure", "erased", "erased_among"):
        monkeypatch.setattr(told.hub.exchange.secrets, method, never)
    assert not told.ask("Q07").alarming


@pytest.fixture
def store(folders: Callable[[str], Path], tmp_path: Path) -> Callable[[str, str], list[str]]:
    """Change a copy of a store with SQL, ask Q07, and give the problems it lists."""

    def changed(name: str, sql: str) -> list[str]:
        shutil.copytree(folders(name), tmp_path / "copy")
        with sqlite3.connect(tmp_path / "copy" / "hub" / "events.db") as database:
            assert database.execute(sql).rowcount
        with Reading.open(Home(tmp_path / "copy" / "hub")) as reading:
            found = Told(hub_of(reading), scenario(name)).ask("Q07")
            assert found.alarming
            rows = found.as_dict()["rows"]
        return [f"{row['check']}: {row['detail']}" for row in rows if row["result"] == "problem"]

    return changed


def test_q07_finds_an_edited_row(store: Callable[[str, str], list[str]]) -> None:
    edit = (
        "UPDATE stored_events SET state = CAST(replace(CAST(state AS TEXT), 'coe-1', 'coe-2') "
        "AS BLOB) WHERE rowid = 18 AND topic = 'nrm.Case.Settled'"
    )
    problems = store("S1", edit)
    check = "leaves, checkpoints and officers' signatures: position 18: row and leaf differ"
    assert check in problems


def test_q07_finds_a_missing_row(store: Callable[[str, str], list[str]]) -> None:
    problems = store("S1", "DELETE FROM stored_events WHERE rowid = 40")
    assert "log positions: 40 to 40 are missing" in problems
    assert [one for one in problems if "40 is missing" in one]


def test_q07_finds_a_gap_in_a_delivery_sequence(store: Callable[[str, str], list[str]]) -> None:
    problems = store(
        "S1",
        "UPDATE stored_events SET originator_version = originator_version + 500 WHERE rowid = "
        "(SELECT max(rowid) FROM stored_events WHERE topic = 'nrm.DeliveryLog.Sending')",
    )
    assert [one for one in problems if one.startswith("delivery sequences: ")]


def test_q07_finds_an_event_that_was_never_decided(copied: Played) -> None:
    told = copied("S1")
    log = told.hub.exchange.log
    event = next(
        one.event for one in log.read(0, 1000) if isinstance(one.event, stored.EventAccepted)
    )
    version = log.last_version(event.originator_id)
    told.write(replace(event, originator_version=version + 1, event_id=bytes(16)))
    problems = [row["detail"] for row in told.rows("Q07") if row["result"] == "problem"]
    assert problems == [f"position {log.head} was never decided"]


# -- Q09 ---------------------------------------------------------------------------------------


def test_q09_counts_the_traffic_of_each_version(read: Played) -> None:
    told = read("S2")
    rows = told.rows("Q09")
    events = told.document["events"]
    [policy] = [row for row in rows if row["kind"] == "policy in force"]
    assert (policy["what"], policy["events"]) == ("coe-1", len(events))
    assert policy["released"] == len(list(told.released()))
    types = {event["type"] for event in events}
    schemas = [row for row in rows if row["kind"] == "schema first used"]
    assert {row["what"].partition(",")[0] for row in schemas} == types
    assert sum(row["events"] for row in schemas) == len(events)
    enrolled = {row["what"].split()[0] for row in rows if row["kind"] == "agency enrolled"}
    assert enrolled >= set(told.document["agencies"]) - {"HUB"}
    of_police = [row for row in rows if row["what"].startswith("POL-1,")]
    assert sum(row["events"] for row in of_police) == sum(e["agency"] == "POL-1" for e in events)


def test_q09_tells_who_revoked_a_key_and_finds_another_version(copied: Played) -> None:
    told = copied("S1")
    exchange = told.hub.exchange
    agency = exchange.agencies.get("POL-1")
    assert agency is not None
    settled = next(
        one.event for one in exchange.log.read(0, 1000) if isinstance(one.event, stored.Settled)
    )
    told.write(
        stored.AgencyKeyRevoked(
            originator_id=bytes_of(told, "POL-1"),
            originator_version=exchange.log.last_version(bytes_of(told, "POL-1")) + 1,
            timestamp=exchange.clock.now(),
            agency="POL-1",
            key_id=next(iter(agency.keys)),
            by="Olga Operator",
        ),
        replace(
            settled,
            originator_version=exchange.log.last_version(settled.originator_id) + 1,
            policy="another-1",
        ),
    )
    found = told.ask("Q09")
    [row] = [r for r in found.as_dict()["rows"] if r["kind"] == "signing key revoked"]
    assert row["by"] == "Olga Operator"
    assert found.findings == 1
    only = told.rows("Q09", agency="SH-1")
    assert not [row for row in only if row["what"].startswith("POL-1")]


def bytes_of(told: Told, agency: str):  # type: ignore[no-untyped-def]
    return next(
        one.event.originator_id
        for one in told.hub.exchange.log.read(0, 1000)
        if isinstance(one.event, stored.AgencyEnrolled) and one.event.agency == agency
    )


# -- Q11 ---------------------------------------------------------------------------------------


@pytest.fixture
def erased(tmp_path: Path) -> Iterator[Road]:
    road = erased_person(tmp_path)
    yield road
    road.close()


def test_q11_an_erased_person_is_unreadable_and_the_trail_verifies(erased: Road) -> None:
    told = Told(hub_of(erased.hub), {})
    found = told.ask("Q11")
    [row] = found.as_dict()["rows"]
    assert found.verdict == "nothing that must not be there"
    assert row["secret"] == "absent"
    assert (row["events"], row["readable"], row["leaves"]) == (6, 0, 6)
    assert row["cases"] == told.hub.exchange.pseudonyms.canonical("case", "C1").hex
    assert (row["recalls"], row["open"], row["sent_after"]) == (2, 1, 0)  # NGO-1 runs none
    assert found.summary["epoch of the keys"] == 2
    assert found.summary["problems in the trail"] == 0
    assert told.ask("Q11", case="C2").rows == []


def test_q11_finds_a_key_store_put_back_to_before_the_erasure(erased: Road, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "hub", copy, ignore=shutil.ignore_patterns("secrets.db-*"))
    for name in ("secrets.db", "epoch.key"):
        shutil.copy(tmp_path / f"before-{name}", copy / name)
    with Reading.open(Home(copy)) as reading:
        found = Told(hub_of(reading), {}).ask("Q11")
    assert found.alarming
    [row] = found.as_dict()["rows"]
    assert (row["secret"], row["readable"]) == ("still there", 6)


def test_q11_finds_an_erasure_that_was_granted_and_not_done(erased: Road) -> None:
    told = Told(hub_of(erased.hub), {})
    [row] = told.rows("Q11")
    before = told.ask("Q11", as_of=str(row["destroyed"] - 1))
    assert before.alarming
    assert before.as_dict()["rows"][0]["destroyed"] is None
