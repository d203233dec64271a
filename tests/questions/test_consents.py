"""Q03 and Q04: nothing uncovered in any scenario; what is planted is found."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from hub.recording.draft import delivery_stream
from hub.store import events as stored
from tests.played import NAMES
from tests.questions.asked import Told, hub_of
from tests.questions.conftest import Played
from tests.questions.stage import silent_shelter


def sent_again(told: Told, agency: str, category: str, basis: str) -> None:
    """A delivery nobody decided: what was sent of this category once, sent again now."""
    stream = delivery_stream(agency)
    log = told.hub.exchange.log
    before = next(
        one.event
        for one in log.stream(stream)
        if isinstance(one.event, stored.Sending)
        and one.event.kind == "release"
        and category in orjson.loads(one.event.items)["bases"]
    )
    told.write(
        replace(
            before,
            originator_version=log.last_version(stream) + 1,
            timestamp=told.hub.exchange.clock.now(),
            items=orjson.dumps({"bases": {category: basis}}),
        )
    )


@pytest.mark.parametrize("name", NAMES)
def test_q03_every_release_was_covered(name: str, read: Played) -> None:
    told = read(name)
    found = told.ask("Q03")
    assert (found.verdict, found.rows) == ("empty as it must be", [])
    expected = len(list(told.released()))
    decided = sum(int(n or 0) for key, n in found.summary.items() if key.startswith("decided"))
    sent = sum(int(n or 0) for key, n in found.summary.items() if key.startswith("sent"))
    assert (decided, sent) == (expected, expected)


def test_q03_of_a_case_names_what_covered_each(read: Played) -> None:
    told = read("S1")
    rows = told.rows("Q03", case=told.cases[0])
    assert all(row["covered"] for row in rows)
    given_at = told.position("S1.004")
    on_consent = [row for row in rows if row["basis"].startswith("consent:")]
    assert on_consent
    assert all(f"given at {given_at}" in row["by"] for row in on_consent)


@pytest.mark.parametrize(
    ("basis", "why"),
    [
        ("consent:c1", "consent c1 did not cover it then"),
        ("vital_interests", "no break-glass window was open for it"),
        ("legal_obligation", "no duty to notify: the event is no notification"),
        ("goodwill", "no statutory basis of this name"),
    ],
)
def test_q03_finds_what_nothing_covered(basis: str, why: str, copied: Played) -> None:
    told = copied("S1")
    sent_again(told, "POL-1", "identity", basis)  # c1 was withdrawn in S1.022
    found = told.ask("Q03")
    assert found.alarming
    [row] = found.as_dict()["rows"]
    assert (row["agency"], row["category"], row["moment"], row["by"]) == (
        "POL-1",
        "identity",
        "sent",
        why,
    )


def test_q04_counts_what_the_scenario_expects(read: Played) -> None:
    told = read("S1")
    rows = told.rows("Q04")
    withdrawals = [e for e in told.document["events"] if e["type"] == "ConsentWithdrawn"]
    assert [row["position"] for row in rows] == [told.position(e["id"]) for e in withdrawals]
    assert [row["recalls"] for row in rows] == [len(e["expected"]["recalls"]) for e in withdrawals]
    for row in rows:
        assert row["recalls"] == row["sent"] == row["answered"]
        assert (row["sent_after"], row["overdue"]) == (0, 0)
        assert row["last_sent"] < row["position"]


def test_q04_finds_a_delivery_after_the_withdrawal(copied: Played) -> None:
    told = copied("S1")
    assert not told.ask("Q04").alarming
    sent_again(told, "POL-1", "identity", "consent:c1")
    found = told.ask("Q04")
    assert found.alarming
    assert [row["sent_after"] for row in found.as_dict()["rows"]] == [0, 1]


def test_q04_a_recall_nobody_answers_is_overdue_after_its_time(read: Played) -> None:
    told = read("S1")
    first = told.position("S1.019")
    receipt = next(
        one.position
        for one in told.hub.exchange.log.read(first, 100)
        if isinstance(one.event, stored.Received) and one.event.agency == "POL-1"
    )
    then = told.ask("Q04", as_of=str(receipt - 1))
    assert [row["answered"] for row in then.as_dict()["rows"]] == [0]
    assert then.as_dict()["rows"][0]["overdue"] == 0  # the time for it is not over


def test_q04_a_recall_nobody_answers_in_time_is_found(tmp_path: Path) -> None:
    road = silent_shelter(tmp_path)
    try:
        told = Told(hub_of(road.hub), {})
        withdrawn = {"consent_id": "c1", "extent": "all", "leave_nrm": False}
        assert road.publish("NGO-1", "ConsentWithdrawn", "C1", **withdrawn).accepted
        road.settle()
        found = told.ask("Q04")
        [row] = found.as_dict()["rows"]
        assert (row["recalls"], row["sent"], row["answered"], row["overdue"]) == (1, 1, 0, 0)
        assert not found.alarming
        road.time.at += timedelta(days=8)
        later = told.ask("Q04")
        assert later.as_dict()["rows"][0]["overdue"] == 1
        assert later.alarming
        assert not told.ask("Q04", as_of=str(later.position)).alarming  # as it was then
    finally:
        road.close()
