"""Q01, Q02 and Q08 against what the scenario's own file expects, event by event."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from hub.errors import Refused
from hub.store import events as stored
from tests.played import NAMES
from tests.questions.asked import Told, hub_of
from tests.questions.conftest import Played
from tests.questions.stage import receipt, silent_shelter


def event_at(told: object, position: int) -> str:
    """The scenario's name of the event at a log position."""
    names = {told.position(e["id"]): e["id"] for e in told.document["events"]}  # type: ignore[attr-defined]
    return str(names[position])


@pytest.mark.parametrize("name", NAMES)
def test_q01_is_what_the_scenario_expects(name: str, read: Played) -> None:
    told = read(name)
    rows = [row for case in told.cases for row in told.rows("Q01", case=case)]
    got = Counter((r["agency"], event_at(told, r["event"]), r["category"]) for r in rows)
    assert got == Counter(told.released())
    assert all(row["sent"] and row["sequence"] and row["policy"] == "coe-1" for row in rows)


def test_q01_tells_the_basis_and_what_came_back(read: Played) -> None:
    told = read("S1")
    rows = told.rows("Q01", case=told.cases[0])
    bases: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in rows:
        if row["how"] == "at once":
            bases[event_at(told, row["event"]), row["agency"]].add(row["basis"])
    for event in told.document["events"]:
        for agency, what in event["expected"]["releases"].items():
            assert bases[event["id"], agency] == set(what["basis"])
    back = {
        (one["to"], category)
        for event in told.document["events"]
        for one in event["expected"]["recalls"]
        for category in one["categories"]
    }
    deleted = {(row["agency"], row["category"]) for row in rows if row["state"] == "deleted"}
    assert deleted == back


def test_q01_of_a_person_is_that_of_all_their_cases(read: Played) -> None:
    told = read("S7")
    accepted = [
        one.event
        for one in told.hub.exchange.log.read(0, 1000)
        if isinstance(one.event, stored.EventAccepted)
    ]
    subject = told.hub.exchange.pseudonyms.canonical
    person = next(
        ref
        for ref in told.cases  # a case without a person of its own stands for one
        if subject("subject", ref).bytes == accepted[0].subject_id
    )
    assert told.rows("Q01", person=person) == told.rows("Q01", case=told.cases[0])


@pytest.mark.parametrize("given", [{}, {"case": "C1", "person": "C1"}])
def test_q01_is_about_one_case_or_one_person(given: dict[str, str], read: Played) -> None:
    with pytest.raises(Refused, match="one of --case and --person"):
        read("S1").ask("Q01", **given)


@pytest.mark.parametrize("name", ["S1", "S2", "S5"])
def test_q02_knew_what_was_released_by_then(name: str, read: Played) -> None:
    told = read(name)
    events = told.document["events"]
    for index in (4, len(events) // 2, len(events) - 1):
        until = events[index]["id"]
        last = index + 1 == len(events)
        end = told.hub.exchange.log.head if last else told.position(events[index + 1]["id"]) - 1
        for agency in told.document["agencies"]:
            if agency == "HUB":
                continue
            rows = told.rows("Q02", agency=agency, as_of=str(end))
            got = Counter(
                (event_at(told, row["event"]), row["category"])
                for row in rows
                if row["basis"] != "said it itself"
            )
            assert got == Counter(
                (event, category) for to, event, category in told.released(until) if to == agency
            )
            own = {event_at(told, r["event"]) for r in rows if r["basis"] == "said it itself"}
            assert own == {e["id"] for e in events[: index + 1] if e["agency"] == agency}


def test_q02_separates_what_happened_from_what_was_known(read: Played) -> None:
    told = read("S1")
    day = "2026-03-02"
    by_then = told.rows("Q02", agency="POL-1", happened_before=day)
    assert by_then
    assert {row["happened"][:10] for row in by_then} == {day}
    # It happened that day, and the police were told of it days later.
    assert told.rows("Q02", agency="POL-1", happened_before=day, as_of=day) == []


def test_q02_after_a_recall_the_agency_knows_no_more(read: Played) -> None:
    told = read("S1")
    gone = [r for r in told.rows("Q02", agency="POL-1") if r["knew"] == "no more"]
    assert {row["category"] for row in gone} == {"contact", "decision", "identity", "protection"}
    before = told.position("S1.019") - 1
    then = told.rows("Q02", agency="POL-1", as_of=str(before))
    assert {row["knew"] for row in then} == {"yes"}


@pytest.mark.parametrize("name", NAMES)
def test_q08_holds_every_refusal_the_scenario_expects(name: str, read: Played) -> None:
    told = read(name)
    expected: Counter[tuple[str, str, str, str]] = Counter()
    for event in told.document["events"]:
        for agency, reasons in event["expected"]["withheld"].items():
            for category, reason in reasons.items():
                expected[agency, event["type"], category, reason] += 1
    got: Counter[tuple[str, str, str, str]] = Counter()
    for row in told.rows("Q08"):
        if row["kind"] == "release" and not row["who"].startswith("every other"):
            first = row["reasons"].split(", ")[0]
            if first != "not_involved":
                got[row["who"], row["type"], row["about"], first] += row["count"]
    assert {key: n for key, n in got.items() if key in expected} == dict(expected)


def test_q08_of_one_case_adds_up_to_that_of_all(read: Played) -> None:
    told = read("S7")
    whole = sum(r["count"] for r in told.rows("Q08") if r["kind"] == "release")
    parts = sum(
        row["count"]
        for case in told.cases
        for row in told.rows("Q08", case=case)
        if row["kind"] == "release"
    )
    assert parts == whole


def test_q08_has_refused_submissions_too(copied: Played) -> None:
    told = copied("S1")
    before = [r for r in told.rows("Q08") if r["kind"] == "submission"]
    head = told.hub.exchange.log.last_version
    stream = next(one.event.originator_id for one in told.hub.exchange.log.read(0, 1))
    told.write(
        stored.Refused(
            originator_id=stream,
            originator_version=head(stream) + 1,
            timestamp=told.hub.exchange.clock.now(),
            agency="POL-1",
            event_id=None,
            digest=bytes(32),
            step=7,
            reason="consent_required",
            guard="G01",
            detail="",
        )
    )
    [row] = [r for r in told.rows("Q08", agency="POL-1") if r["kind"] == "submission"]
    assert before == []
    assert (row["who"], row["about"], row["reasons"]) == (
        "POL-1",
        "step 7",
        "consent_required, G01",
    )
    assert not [r for r in told.rows("Q08", agency="SH-1") if r["kind"] == "submission"]


def test_q01_follows_a_delivery_that_was_set_aside_until_it_is_applied(tmp_path: Path) -> None:
    road = silent_shelter(tmp_path)
    try:
        told = Told(hub_of(road.hub), {})

        def states() -> dict[int, str]:
            rows = [row for row in told.rows("Q01", case="C1") if row["agency"] == "SH-1"]
            return {row["sequence"]: row["state"] for row in rows}

        assert set(states().values()) == {"sent"}
        told.write(receipt(told, "SH-1", 1, 3, (2, "quarantined", "code_not_translated")))
        told.write(receipt(told, "SH-1", 1, 4))  # covers it again, in passing
        assert states() == {1: "applied", 2: "quarantined", 3: "applied", 4: "applied", 5: "sent"}
        told.write(receipt(told, "SH-1", 5, 5))
        told.write(receipt(told, "SH-1", 2, 2, (2, "applied", None)))
        assert set(states().values()) == {"applied"}
        told.write(receipt(told, "SH-1", 1, 5))
        assert set(states().values()) == {"applied"}
        [row] = [row for row in told.rows("Q10") if row["agency"] == "SH-1"]
        assert (row["applied"], row["state"]) == (5, "all signed for")
    finally:
        road.close()
