"""One event, walked aloud: from an NGO's desk to a shelter's table, and the receipt back.

Read it beside ARCHITECTURE.md §1. Every part is the real one; only time stands still.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from hub.audit import replay_case, verify_log
from tests.road import CONSENT, Road


@pytest.fixture
def road(tmp_path: Path):  # type: ignore[no-untyped-def]
    road = Road.open(tmp_path, {"NGO-1": "ngo_support", "SH-1": "shelter", "POL-1": "police"})
    yield road
    road.close()


def rows(road: Road, agency: str, query: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(road.folder / f"{agency}.db") as database:
        return database.execute(query).fetchall()


def test_a_need_reaches_the_shelter_and_nobody_else(road: Road) -> None:
    road.partner("SH-1")
    road.partner("POL-1")

    # An NGO opens a case. The person agrees that the shelter may know needs and health.
    opened = road.publish(
        "NGO-1", "CaseOpened", "C1", jurisdiction="XX", channel="outreach", age_status="adult"
    )
    assert opened.accepted
    scope = {"SH-1": ["protection", "health"]}
    road.publish("NGO-1", "ConsentGiven", "C1", consent_id="c1", scope=scope, **CONSENT)

    # The NGO refers the person to the shelter, and the shelter accepts.
    referral = {"referral_id": "r1", "to_agency": "SH-1", "services": ["accommodation"]}
    when = {"urgency": "3_hours", "respond_by": "2026-03-02T15:00:00Z", "basis": "c1"}
    road.publish("NGO-1", "ReferralMade", "C1", **referral, **when, summary="needs a bed tonight")
    road.settle()
    road.publish("SH-1", "ReferralAccepted", "C1", referral_id="r1")

    # The event this walk is about: needs (protection) and health, in compartments of their own.
    needs = road.event(
        "NeedsAssessed", "C1", domains=["medical"], health_needs="insulin, twice a day"
    )
    [outcome] = road.publish_all("NGO-1", [needs])
    assert outcome.accepted, "admitted by hub/submission.py, recorded by hub/exchange.py"
    assert outcome.position is not None, "the hub signed at which log position"
    road.settle()

    # In the shelter's own table: the fields it may see, with provenance.
    found = rows(road, "SH-1", "SELECT health_needs, domains, agency FROM needs_assessed")
    assert found == [("insulin, twice a day", '["medical"]', "NGO-1")]
    # The police have no table of it at all: nothing was ever sent to them.
    names = {name for (name,) in rows(road, "POL-1", "SELECT name FROM sqlite_master")}
    held = (
        rows(road, "POL-1", "SELECT count(*) FROM nrm_holding")
        if "nrm_holding" in names
        else [(0,)]
    )
    assert held == [(0,)]

    # Why: the decision is recorded, per party and category, with its basis.
    entry = replay_case(road.hub.exchange, "C1")[-1]
    assert entry.type == "NeedsAssessed"
    assert entry.released == {"SH-1": {"health": "consent:c1", "protection": "consent:c1"}}

    # The shelter's signed receipt came back, and all of it is in the audit log.
    assert road.hub.receipts.acknowledged("SH-1") > 0
    road.hub.checkpoints.step(now=True)
    *_, verdict = verify_log(
        road.hub.exchange.log, road.hub.settings.hub_id, road.hub.checkpoints.verifier
    )
    assert verdict.problems == []
    assert verdict.covered == verdict.head


def test_a_withdrawal_takes_it_back(road: Road) -> None:
    road.partner("SH-1")
    road.publish(
        "NGO-1", "CaseOpened", "C1", jurisdiction="XX", channel="outreach", age_status="adult"
    )
    scope = {"SH-1": ["protection", "health"]}
    road.publish("NGO-1", "ConsentGiven", "C1", consent_id="c1", scope=scope, **CONSENT)
    referral = {"referral_id": "r1", "to_agency": "SH-1", "services": ["accommodation"]}
    when = {"urgency": "3_hours", "respond_by": "2026-03-02T15:00:00Z", "basis": "c1"}
    road.publish("NGO-1", "ReferralMade", "C1", **referral, **when)
    road.publish("SH-1", "ReferralAccepted", "C1", referral_id="r1")
    road.publish("NGO-1", "NeedsAssessed", "C1", domains=["medical"], health_needs="insulin")
    road.settle()
    assert rows(road, "SH-1", "SELECT health_needs FROM needs_assessed") == [("insulin",)]

    # The person withdraws, through the shelter itself; any agency must be able to take it.
    withdrawn = {"consent_id": "c1", "extent": "all", "leave_nrm": False}
    assert road.publish("SH-1", "ConsentWithdrawn", "C1", **withdrawn).accepted
    road.settle()

    assert rows(road, "SH-1", "SELECT count(*) FROM needs_assessed") == [(0,)]
    assert b"insulin" not in (road.folder / "SH-1.db").read_bytes()
