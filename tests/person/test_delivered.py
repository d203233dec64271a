"""A case's deliveries and receipts are found without reading everybody's, and none is missed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from hub.person import delivered
from hub.person.reading import _owed, _steps, read
from hub.publisher import delivery_stream
from hub.store import events as stored
from tests.person.stories import referred, says
from tests.road import CONSENT, Road


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Road]:
    """Five cases, their events mixed; CA-1 works on all of them and answers."""
    road = Road.open(
        tmp_path_factory.mktemp("many"), {"NGO-1": "ngo_support", "CA-1": "competent_authority"}
    )
    road.partner("CA-1")
    cases = [f"C{n}" for n in range(5)]
    for case in cases:
        says(road, "NGO-1", "CaseOpened", case, age_status="adult", channel="outreach",
             jurisdiction="XX")  # fmt: skip
        says(road, "NGO-1", "ConsentGiven", case, **{
            **CONSENT, "consent_id": "c1", "scope": {"CA-1": ["protection"]},
        })  # fmt: skip
        referred(road, "CA-1", case)
    order = random.Random(7)
    for n in range(12):
        batch = [
            road.event("RiskAssessed", order.choice(cases), risk_id=f"k{n}-{m}", level="high",
                       reviewed_by="2026-04-01", scope="current") for m in range(5)
        ]  # fmt: skip
        assert all(one.accepted for one in road.publish_all("NGO-1", batch))
        road.settle()
    yield road
    road.close()


def all_of(road: Road, case: str) -> list[int]:
    """Sequences of the case's deliveries to CA-1, by reading every delivery."""
    case_id = road.hub.exchange.pseudonyms.canonical("case", case)
    return [
        one.event.originator_version
        for one in road.hub.exchange.log.stream(delivery_stream("CA-1"))
        if isinstance(one.event, stored.Sending) and one.event.case_id == case_id.bytes
    ]


@pytest.mark.parametrize("page", [1, 2, 7, 200])
@pytest.mark.parametrize("case", ["C0", "C1", "C2", "C3", "C4"])
def test_all_deliveries_are_found_whatever_lies_between(
    road: Road, monkeypatch: pytest.MonkeyPatch, case: str, page: int
) -> None:
    monkeypatch.setattr(delivered, "PAGE", page)
    exchange = road.hub.exchange
    case_id = exchange.pseudonyms.canonical("case", case)
    owed = _owed(_steps(exchange, exchange.log.stream(case_id)))
    found = delivered.deliveries(exchange.log, "CA-1", case_id, owed["CA-1"])
    assert [one.sequence for _, one in found] == all_of(road, case)
    assert len(found) > 3
    answered = list(delivered.answers(exchange.log, "CA-1", found))
    assert {one.sequence for one in answered} == set(all_of(road, case))


def test_it_reads_little_of_a_long_log(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """The place of one decision is found by halving, so a log twice as long costs one step."""
    monkeypatch.setattr(delivered, "PAGE", 1)
    exchange, read_rows = road.hub.exchange, 0
    case_id = exchange.pseudonyms.canonical("case", "C4")
    owed = _owed(_steps(exchange, exchange.log.stream(case_id)))
    stream = type(exchange.log).stream

    def counting(log: object, stream_id: object, after: int = 0, limit: int = 0) -> object:
        nonlocal read_rows
        rows = stream(log, stream_id, after, limit)  # type: ignore[arg-type]
        read_rows += len(rows)
        return rows

    monkeypatch.setattr(type(exchange.log), "stream", counting)
    [last] = owed["CA-1"][-1:]
    found = delivered.deliveries(exchange.log, "CA-1", case_id, [last])
    assert len(found) == 1
    assert read_rows < exchange.last_version(delivery_stream("CA-1")) / 4


def test_every_part_is_received(road: Road) -> None:
    for case in ("C0", "C3"):
        told = [one for one in read(road.hub.exchange, case).account.told if one.agency == "CA-1"]
        assert {one.state for one in told} == {"received"}


def test_an_agency_that_was_sent_nothing(tmp_path: Path) -> None:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support"})
    log = road.hub.exchange.log
    case_id = road.hub.exchange.pseudonyms.canonical("case", "C1")
    assert delivered.deliveries(log, "NGO-1", case_id, [1, 2]) == []
    assert list(delivered.answers(log, "NGO-1", [])) == []
    road.close()


@pytest.mark.parametrize(
    ("detail", "outcome"),
    [
        ("box_unopenable", "quarantined"),
        ("discarded_unreadable", "quarantined"),
        ("discarded_not_needed", "quarantined"),
        ("discarded_entered_by_hand", "applied"),
        ("discarded_held_already", "applied"),
    ],
)
def test_who_holds_it_by_another_way_has_received_it(detail: str, outcome: str) -> None:
    """The person is told who has it, not how it got there."""
    line = {"sequence": 1, "outcome": "quarantined", "recall_ref": None, "detail": detail}
    assert delivered._said(line).outcome == outcome
