"""A hub that opens its log reads what bears on it as a whole, and knows what one that ran knows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from eventsourcing.persistence import Notification

from hub.exchange import Exchange
from hub.recording.bearing import bears
from hub.store.log import HubLog
from hub.store.mapper import StoreMapper
from schemas.registry import Schemas
from tests.consent.stage import ROLES, close, needs, open_case, withdraw
from tests.road import Road
from tests.store.samples import accepted, one_of_each


def known(exchange: Exchange) -> dict[str, Any]:
    """What the hub knows as a whole."""
    return {
        "agencies": repr([vars(one) for one in exchange.agencies]),
        "changed": exchange.agencies.position,
        "profile": exchange.policy().version,
        "withdrawals": list(exchange.withdrawals),
        "emergencies": repr(exchange.emergencies),
        "erased": dict(exchange._after_erasure),
    }


@pytest.fixture
def road(tmp_path: Path) -> Any:
    road = Road.open(tmp_path, ROLES)
    yield road
    close(road)


def test_opened_anew_a_hub_knows_what_it_knew_and_decodes_no_other_row(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_case(road, "C1", {"SH-1": ["protection"]})
    for _ in range(3):
        needs(road, "C1")
    withdraw(road, "C1")
    road.settle()
    running = road.hub.exchange
    decoded = []
    plain = HubLog._event
    monkeypatch.setattr(HubLog, "_event", lambda log, row: decoded.append(row) or plain(log, row))
    log = HubLog.open(running.log.url)
    try:
        opened = Exchange(log, running.secrets, running.pseudonyms, running.clock)
        assert known(opened) == known(running)
        assert opened.position == running.position
        assert running.withdrawals
        assert all(bears(row) for row in decoded)
        assert len(decoded) < running.position / 2
    finally:
        log.close()


def test_what_is_passed_over_changes_nothing_of_the_whole(road: Road) -> None:
    exchange, mapper = road.hub.exchange, StoreMapper()
    types = Schemas.load().types()
    passed = 0
    for event in (
        *one_of_each(),
        *(replace(accepted("c", 1), event_type=one, facts=b"{}") for one in types),
    ):
        row = mapper.to_stored_event(event)
        if bears(Notification(event.originator_id, 1, row.topic, row.state, 1)):
            continue
        before = known(exchange)
        exchange._apply(exchange.position + 1, event)
        assert known(exchange) == before, event
        passed += 1
    assert passed > len(types)


def test_what_an_erased_person_told_is_known_to_no_hub_that_runs(road: Road) -> None:
    """Decisions after an erasure are those of a hub that was opened after it."""
    open_case(road, "C1", {"SH-1": ["protection"]})
    told = {"given_name": "A", "date_of_birth": "2011-05-01", "dob_precision": "day"}
    assert road.publish("NGO-1", "IdentityRecorded", "C1", **told).accepted
    exchange = road.hub.exchange
    case_id = exchange.pseudonyms.canonical("case", "C1")

    def stated() -> list[dict[str, Any]]:
        case = exchange.case(case_id)
        assert case is not None
        return [one.facts for one in case.events if one.type == "IdentityRecorded"]

    assert stated() == [{"date_of_birth": "2011-05-01", "birth_date_stated": True}]
    case = exchange.case(case_id)
    assert case is not None
    assert case.subject_id is not None
    road.hub.shredder.shred(case.subject_id)
    assert stated() == [{"birth_date_stated": True}]
