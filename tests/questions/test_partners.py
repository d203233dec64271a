"""Q10, Q14 and Q23: what receipts prove, what a connector owes, and who had a guardian."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import pytest

from hub.audit.rebuilt import rebuild
from hub.errors import Refused
from hub.home import Home
from hub.hub import Reading
from hub.recording.draft import delivery_stream, stream_id
from hub.store import events as stored
from tests.cli.programs import nrm
from tests.played import NAMES
from tests.questions.asked import Told, hub_of
from tests.questions.conftest import Played
from tests.questions.stage import receipt, silent_shelter
from tests.road import Road


@pytest.mark.parametrize("name", NAMES)
def test_q10_all_is_signed_for_where_every_connector_ran(name: str, read: Played) -> None:
    told = read(name)
    found = told.ask("Q10")
    assert found.findings == 0
    sent: dict[str, int] = {}
    for one in told.hub.exchange.log.read(0, 10_000):
        if isinstance(one.event, stored.Sending):
            sent[one.event.agency] = sent.get(one.event.agency, 0) + 1
    rows = {row["agency"]: row for row in found.as_dict()["rows"]}
    assert {agency: row["sent"] for agency, row in rows.items() if row["sent"]} == sent
    assert all(row["applied"] == row["sent"] for row in rows.values())
    assert {row["state"] for row in rows.values()} == {"all signed for"}
    assert any("no hash" in note for note in found.notes)  # what cannot be proved is said


@pytest.fixture
def unanswered(tmp_path: Path) -> Iterator[Road]:
    road = silent_shelter(tmp_path)
    yield road
    road.close()


def test_q23_lists_what_no_receipt_says_was_applied(unanswered: Road) -> None:
    told = Told(hub_of(unanswered.hub), {})
    log = unanswered.hub.exchange.log
    last = log.last_version(delivery_stream("SH-1"))
    rows = told.rows("Q23", agency="SH-1")
    assert last == 5
    assert [row["sequence"] for row in rows] == list(range(1, last + 1))
    assert {row["state"] for row in rows} == {"no receipt yet"}
    # Sequence 2 set aside, 3 skipped, the rest up to 4 applied.
    told.write(receipt(told, "SH-1", 1, 2, (2, "quarantined", "code_not_translated")))
    told.write(receipt(told, "SH-1", 4, 4))
    found = told.ask("Q23", agency="SH-1")
    rows = {row["sequence"]: row for row in found.as_dict()["rows"]}
    assert sorted(rows) == [2, 3, *range(5, last + 1)]
    assert (rows[2]["state"], rows[2]["reason"]) == ("quarantined", "code_not_translated")
    assert rows[3]["state"] == "skipped"
    assert found.summary["gaps"] == "3"
    [copy] = [row for row in told.rows("Q10") if row["agency"] == "SH-1"]
    assert (copy["applied"], copy["quarantined"], copy["skipped"]) == (2, 1, 1)
    assert copy["state"] == "differs"
    assert told.ask("Q10").findings == 1
    # Redriven and applied after all.
    told.write(
        receipt(told, "SH-1", 2, 2, (2, "applied", None)),
    )
    told.write(receipt(told, "SH-1", 3, 3))
    assert [row["sequence"] for row in told.rows("Q23", agency="SH-1")] == list(range(5, last + 1))
    assert told.ask("Q10").findings == 0


def test_q23_repeats_nothing_that_is_no_reason_code(unanswered: Road) -> None:
    told = Told(hub_of(unanswered.hub), {})
    told.write(receipt(told, "SH-1", 1, 1, (1, "quarantined", "Kanarie Zjevnova")))
    [row] = [row for row in told.rows("Q23", agency="SH-1") if row["sequence"] == 1]
    assert row["reason"] == "not a code"


def test_q10_finds_a_place_missing_in_the_hubs_own_sequence(unanswered: Road) -> None:
    told = Told(hub_of(unanswered.hub), {})
    log, stream = unanswered.hub.exchange.log, delivery_stream("SH-1")
    [first, *_] = log.stream(stream)
    told.write(replace(first.event, originator_version=log.last_version(stream) + 3))
    [copy] = [row for row in told.rows("Q10") if row["agency"] == "SH-1"]
    assert (copy["missing"], copy["state"]) == (2, "differs")


def test_an_empty_recall_is_answered_by_being_applied(unanswered: Road) -> None:
    """After a loss, sequences given out before are filled with recalls of nothing."""
    told = Told(hub_of(unanswered.hub), {})
    log, stream = unanswered.hub.exchange.log, delivery_stream("SH-1")
    last = log.last_version(stream)
    [first, *_] = log.stream(stream)
    body = {"action": "delete", "due": "2026-04-01T00:00:00+00:00", "items": []}
    told.write(
        replace(
            first.event,
            originator_version=last + 1,
            kind="recall",
            case_id=bytes(16),
            subject_id=bytes(16),
            items=orjson.dumps(body),
        )
    )
    assert told.rows("Q23", agency="SH-1")[-1]["kind"] == "empty"
    told.write(receipt(told, "SH-1", 1, last + 1))
    assert told.rows("Q23", agency="SH-1") == []
    [copy] = [row for row in told.rows("Q10") if row["agency"] == "SH-1"]
    assert (copy["recalls"], copy["state"]) == (0, "all signed for")


def test_q23_is_asked_of_an_agency_there_is(read: Played) -> None:
    with pytest.raises(Refused, match="Q23 needs --agency"):
        read("S1").ask("Q23")
    with pytest.raises(Refused, match="no such agency"):
        read("S1").ask("Q23", agency="NOBODY")


# -- Q14 ---------------------------------------------------------------------------------------


def test_q14_tells_who_came_first_and_how_long_it_took(read: Played) -> None:
    told = read("S2")
    at = {e["type"]: e for e in reversed(told.document["events"])}
    [row] = told.rows("Q14")
    assert row["guardian"] == told.position(at["GuardianAppointed"]["id"])
    assert row["assessed"] == told.position(at["AgeAssessed"]["id"])
    assert (row["before_assessment"], row["before_interview"]) == (True, False)
    known, appointed = (
        datetime.fromisoformat(e["t"])
        for e in (
            next(e for e in told.document["events"] if told.position(e["id"]) == row["child"]),
            at["GuardianAppointed"],
        )
    )
    assert row["days"] == round((appointed - known).total_seconds() / 86_400, 1)
    assert told.ask("Q14").findings == 1


def test_q14_is_about_children_only_and_counts_those_who_wait(read: Played) -> None:
    assert read("S1").rows("Q14") == []
    told = read("S2")
    before = told.position("S2.007") - 1
    [row] = told.rows("Q14", as_of=str(before))
    assert (row["guardian"], row["days"]) == (None, None)
    assert row["waiting_days"] > 0


def test_q23_tells_of_redrives_ordered_at_the_hub(unanswered: Road) -> None:
    told = Told(hub_of(unanswered.hub), {})
    assert told.ask("Q23", agency="SH-1").summary["redrives ordered at the hub"] == 0
    log, stream = unanswered.hub.exchange.log, stream_id("redrives", "all")
    now = unanswered.hub.exchange.clock.now()
    told.write(
        stored.RedriveOrdered(
            originator_id=stream,
            originator_version=log.last_version(stream) + 1,
            timestamp=now,
            agency="SH-1",
            sequence=1,
            by="A. Operator",
        )
    )
    found = told.ask("Q23", agency="SH-1")
    assert found.summary["redrives ordered at the hub"] == 1
    assert any(note.startswith("The hub was told to send again") for note in found.notes)
    assert told.ask("Q23", agency="NGO-1").summary["redrives ordered at the hub"] == 0


def test_q10_names_the_rows_in_which_a_partners_tables_differ(
    folders: Callable[[str], Path], tmp_path: Path
) -> None:
    place = tmp_path / "S1"
    shutil.copytree(folders("S1"), place)
    home, theirs = place / "hub", tmp_path / "theirs.jsonl"

    def ask(*more: object) -> Any:
        done = nrm("audit", "ask", "Q10", "--home", home, "--theirs", theirs, "--json", *more)
        assert done.code == 0, done.err
        return json.loads(done.out)

    with Reading.open(Home(home)) as reading:
        ours = rebuild(
            reading.exchange, reading.settings.hub_id, "SH-1", reading.exchange.log.head, tmp_path
        )
        lines = ours.read_bytes().splitlines(keepends=True)
    theirs.write_bytes(b"".join(lines))
    [row] = ask()["rows"]
    assert (row["agency"], row["rows"], row["which"]) == ("SH-1", 0, "")
    assert row["state"] == "row by row the same"
    told = json.loads(lines[1])
    changed = json.dumps({**told, "content": "0" * 64}).encode() + b"\n"
    theirs.write_bytes(b"".join([lines[0], changed, *lines[2:-1]]))
    found = ask("--agency", "SH-1")
    [row] = found["rows"]
    assert (row["rows"], row["state"], found["findings"]) == (2, "differs", 1)
    assert f"{told['table']} {told['event_ref']}: differs (content)" in row["which"]
    assert row["which"].endswith(": missing")
    refused = ("audit", "ask", "Q10", "--home", home, "--theirs")
    assert "other_rows" in nrm(*refused, theirs, "--agency", "NGO-1").err
    for wrong in (b"", b"[1]\n", b'{"nrm":"rows"'):
        theirs.write_bytes(wrong)
        assert "not_row_digests" in nrm(*refused, theirs).err


def test_what_is_still_to_come_makes_nothing_late(read: Played) -> None:
    told = read("S1")
    found = told.ask("Q04", as_of="2999-01-01")
    assert found.as_of.year < 2999
    assert any("still to come" in note for note in found.notes)
    beyond = told.ask("Q04", as_of="999999")
    assert any(f"ends at position {beyond.position}" in note for note in beyond.notes)
    assert told.ask("Q04", as_of="2026-03-20").notes == []
