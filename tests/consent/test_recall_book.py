"""The recall book: open until a signed receipt answers, and then with what was stated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from connectors.sink import RecallPolicy
from hub.api.metrics import Metrics
from hub.recalling.book import ANSWERED, NOT_SENT, QUARANTINED, SENT, RecallBook, RecallRecord
from hub.recalling.watch import PAGE, RecallWatch
from hub.store import events as stored
from schemas import wire
from tests.cli.programs import nrm
from tests.consent.stage import CANARY, ROLES, close, needs, open_case, partner, sink_of, withdraw
from tests.road import START, Road


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    road = Road.open(tmp_path, ROLES)
    yield road
    close(road)


def book(road: Road) -> RecallBook:
    read = RecallWatch(road.hub.exchange.log).book()
    assert read is not None
    return read


def only(road: Road) -> RecallRecord:
    [recall] = book(road)
    return recall


def shared(road: Road, policy: RecallPolicy | None = None, *, connected: bool = True) -> None:
    """A shelter that holds health needs on consent c1."""
    if connected:
        partner(road, "SH-1", sink_of(road, "SH-1", "sqlite", policy))
    open_case(road, "C1", {"SH-1": ["protection", "health"]})
    needs(road, "C1")
    road.settle()


def test_open_from_the_decision_and_closed_by_the_receipt_alone(road: Road) -> None:
    shared(road)
    withdrawn_at = road.time.at
    withdraw(road, "C1")
    assert (only(road).state, only(road).open, only(road).sequence) == (NOT_SENT, True, None)
    road.hub.step()
    assert (only(road).state, only(road).open) == (SENT, True)
    road.time.at += timedelta(minutes=10)
    road.settle()
    answered = only(road)
    assert (answered.state, answered.open, answered.outcomes) == (ANSWERED, False, ("deleted",))
    assert answered.recorded_at == withdrawn_at
    assert answered.time_to_purge == timedelta(minutes=10)
    assert not answered.overdue(road.time.at + timedelta(days=30))


def test_an_unreachable_partner_is_an_open_recall_and_never_done(road: Road) -> None:
    shared(road, connected=False)
    withdraw(road, "C1")
    road.settle()
    road.time.at += timedelta(days=6)
    assert not only(road).overdue(road.time.at)
    road.time.at += timedelta(days=2)
    late = only(road)
    assert (late.state, late.open, late.overdue(road.time.at)) == (SENT, True, True)
    assert late.age(road.time.at) == timedelta(days=8)
    assert late.time_to_purge is None
    told = nrm("recalls", "--home", road.folder / "hub", "--open", "--json")
    [row] = json.loads(told.out)
    assert (row["recipient"], row["state"]) == ("SH-1", "sent")
    assert row["owners"][0] == "shelter"


@pytest.mark.parametrize("kind", ["sqlite", "jsonl", "postgres"])
def test_the_receipt_says_of_each_item_what_became_of_it(
    road: Road, kind: str, request: pytest.FixtureRequest
) -> None:
    if kind == "postgres":
        kind = request.getfixturevalue("new_postgres_database")()
    law = "Health Records Act s. 4"
    policy = RecallPolicy("restrict", {"health": law})
    partner(road, "SH-1", sink_of(road, "SH-1", kind, policy))
    open_case(road, "C1", {"SH-1": ["protection", "health"]})
    needs(road, "C1")
    risk = {"risk_id": "k", "level": "low", "reviewed_by": "2026-04-01", "scope": "current"}
    assert road.publish("NGO-1", "RiskAssessed", "C1", threats=["none"], **risk).accepted
    road.settle()
    withdraw(road, "C1")
    road.settle()
    answered = only(road)
    assert answered.outcomes == ("kept_own_basis", "restricted")
    said = {(one.event_ref, name) for one in answered.answers for name in one.categories}
    asked = {(event_id, name) for event_id, names in answered.items for name in names}
    assert said == asked, "each item is answered for, and nothing else"
    kept = {one.categories: one.own_basis for one in answered.answers if one.own_basis}
    assert kept == {("health",): law}
    assert answered.own_bases == (f"health: {law}",)
    assert answered.time_to_purge is not None, "of what was taken out of use"


def test_kept_wholly_on_an_own_basis_has_no_time_to_purge(road: Road) -> None:
    law = "Health Records Act s. 4"
    shared(road, RecallPolicy("delete", {"health": law, "protection": law}))
    withdraw(road, "C1")
    road.settle()
    assert (only(road).outcomes, only(road).open) == (("kept_own_basis",), False)
    assert only(road).time_to_purge is None


def test_reading_rows_twice_or_page_by_page_gives_the_same_book(road: Road) -> None:
    shared(road)
    withdraw(road, "C1")
    road.settle()
    rows = road.hub.exchange.log.read(0, 10_000)
    twice = RecallBook()
    for one in [*rows, *rows]:
        twice.apply(one.position, one.event)
    assert list(twice) == list(book(road))
    assert len(rows) < PAGE
    watch = RecallWatch(road.hub.exchange.log)
    assert watch.book(pages=0) is None
    again = watch.book(pages=1)
    assert again is not None
    assert list(again) == list(twice)


def test_a_withdrawal_from_somebody_who_holds_nothing_recalls_nothing(road: Road) -> None:
    shared(road, connected=False)
    assert len(book(road)) == 0
    withdraw(road, "C1", extent="recipients", recipients=["POL-1"])
    road.settle()
    assert len(book(road)) == 0, "nothing was held by that one"


# -- rows by hand: what no connector of ours does, and what another's might ---------------------


def rows() -> list[Any]:
    """A recall decided at 12 and sent as POL-1's delivery 5."""
    shared: dict[str, Any] = {"originator_id": UUID(int=1), "timestamp": START}
    ordered = {"to": "POL-1", "action": "delete_or_restrict", "items": {"e-1": ["identity"]}}
    return [
        stored.Settled(
            **shared, originator_version=2, event_version=1, position=11, policy="p", parties=1,
            settlement=json.dumps({"recalls": [ordered]}).encode(),
        ),
        stored.Sending(
            **shared, originator_version=5, agency="POL-1", kind="recall", case_id=bytes(16),
            subject_id=bytes(16), event_position=11, decision=12,
            items=json.dumps({"due": (START + timedelta(days=7)).isoformat()}).encode(),
        ),
    ]  # fmt: skip


def received(outcome: str, detail: str | None, agency: str = "POL-1", sequence: int = 5) -> Any:
    said = {"sequence": sequence, "outcome": outcome, "recall_ref": "r12-5", "detail": detail}
    receipt = wire.RECEIPT.single(
        {
            "agency": agency,
            "hub": "h",
            "key_id": bytes(16),
            "first_sequence": 1,
            "last_sequence": 9,
            "applied_at": START,
            "exceptions": [said],
        }
    )
    return stored.Received(
        originator_id=UUID(int=2), originator_version=1, timestamp=START + timedelta(hours=1),
        agency=agency, first_sequence=1, last_sequence=9, receipt=receipt, signature=bytes(64),
    )  # fmt: skip


def after(*receipts: Any) -> RecallRecord:
    made = RecallBook()
    for position, row in enumerate([*rows(), *receipts], start=12):
        made.apply(position, row)
    [recall] = made
    return recall


@pytest.mark.parametrize(
    "receipt",
    [
        received("applied", None),
        received("deleted", "e-1 identity", sequence=4),
        received("deleted", "e-1 identity", agency="SH-1"),
    ],
    ids=["applied is no answer", "another delivery", "another agency"],
)
def test_what_closes_no_recall(receipt: Any) -> None:
    assert (after(receipt).state, after(receipt).open) == (SENT, True)


def test_a_recall_in_the_partners_quarantine_is_open_until_redriven() -> None:
    parked = received("quarantined", "unreadable")
    assert (after(parked).state, after(parked).open) == (QUARANTINED, True)
    answered = after(parked, received("deleted", "e-1 identity"))
    assert (answered.state, answered.open) == (ANSWERED, False)
    assert answered.time_to_purge == timedelta(hours=1)


def test_how_details_are_read() -> None:
    def said(outcome: str, detail: str | None) -> tuple[str, tuple[str, ...], str | None]:
        [answer] = after(received(outcome, detail)).answers
        return answer.event_ref, answer.categories, answer.own_basis

    assert said("deleted", "e-1 identity, contact") == ("e-1", ("identity", "contact"), None)
    assert said("restricted", "e-1 identity") == ("e-1", ("identity",), None)
    law = "Act 1: s. 2, 3"
    assert said("kept_own_basis", f"e-1 identity: {law}") == ("e-1", ("identity",), law)
    assert said("kept_own_basis", f"identity: {law}") == ("", ("identity",), law), "older"
    assert said("kept_own_basis", None) == ("", (), "not named")
    assert said("deleted", None) == ("", (), None)


def test_the_command_shows_the_book_and_no_content(road: Road) -> None:
    shared(road)
    withdraw(road, "C1")
    road.settle()
    home = road.folder / "hub"
    rows: list[dict[str, Any]] = json.loads(nrm("recalls", "--home", home, "--json").out)
    [row] = rows
    assert row["outcomes"] == ["deleted"]
    assert (row["recall"], row["decision"]) == (f"r{only(road).sequence}", only(road).decision)
    assert nrm("recalls", "--home", home, "--open").out.strip() == "No open recalls."
    assert json.loads(nrm("recalls", "--home", home, "--case", "C1", "--json").out) == rows
    plain = nrm("recalls", "--home", home).out
    assert "SH-1" in plain
    assert CANARY not in plain + json.dumps(rows)
    unknown = nrm("recalls", "--home", home, "--case", "C9")
    assert unknown.code == 1
    assert "unknown_case" in unknown.err


def test_metrics_name_nobody(road: Road) -> None:
    shared(road)
    metrics = Metrics(road.hub)
    assert "nrm_recalls_open 0.0" in metrics.text().decode()
    withdraw(road, "C1")
    road.time.at += timedelta(days=9)
    waiting = metrics.text().decode()
    assert "nrm_recalls_open 1.0" in waiting
    assert "nrm_recalls_overdue 1.0" in waiting
    assert f"nrm_recalls_oldest_seconds {9 * 86_400.0}" in waiting
    road.settle()
    done = metrics.text().decode()
    assert "nrm_recalls_open 0.0" in done
    assert "nrm_recalls_oldest_seconds 0.0" in done
    assert 'nrm_recalls_answered_total{outcome="deleted"} 1.0' in done
    assert 'nrm_recall_purge_seconds_bucket{le="604800"} 0.0' in done
    assert 'nrm_recall_purge_seconds_bucket{le="2592000"} 1.0' in done
    assert "SH-1" not in done
