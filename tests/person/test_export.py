"""An export: all that is held, for a granted request and for nothing else, and on record."""

from __future__ import annotations

import hashlib
import json
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.audit import verify_log
from hub.errors import Refused
from hub.person import export as exporting
from hub.person.export import export
from hub.store import events as stored
from hub.tlog.note import NoteSigner
from tests.cli.programs import nrm
from tests.person.stories import NAME, PHONE, STREET, says
from tests.road import Road

DISCLOSED = {"action": "disclosed"}


@pytest.fixture
def road(copied: Callable[[], Road]) -> Iterator[Road]:
    made = copied()
    yield made
    made.close()


def grants(road: Road, **other: Any) -> None:
    says(
        road, "NGO-1", "SubjectRequestDecided",
        **{"request_id": "q1", "outcome": "granted", "exemption": "none", **DISCLOSED, **other},
    )  # fmt: skip


def exports(road: Road) -> list[stored.SubjectExported]:
    rows = road.hub.exchange.log.read(0, 10_000, frozenset({stored.SubjectExported.TOPIC}))
    return [one.event for one in rows if isinstance(one.event, stored.SubjectExported)]


def refused(road: Road, case: str = "C1", request: str = "q1", **how: Any) -> str:
    """The reason; nothing is recorded and no bytes are made."""
    with pytest.raises(Refused) as why:
        export(road.hub.exchange, case, request, by="operator", **how)
    assert exports(road) == []
    assert "Sentinel" not in str(why.value)
    return why.value.reason


def test_what_is_missing_is_said_before_anything_is_opened(road: Road) -> None:
    assert refused(road, case="C7") == "unknown_case"
    assert refused(road, request="q7") == "unknown_request"
    assert refused(road) == "request_undecided"
    assert refused(road, leave_out=["helth"]) == "unknown_category"
    grants(road, outcome="refused", exemption="crime_prevention", action="none")
    assert refused(road) == "request_refused"
    says(road, "NGO-1", "SubjectRequestReceived", request_id="q2", right="erasure",
         due_on="2026-04-03")  # fmt: skip
    assert refused(road, request="q2") == "wrong_right"
    grants(road, request_id="q9")
    assert refused(road, request="q9") == "unknown_request"  # an answer without a request


def test_a_partial_grant_says_what_is_left_out(road: Road) -> None:
    grants(road, outcome="partly", exemption="rights_of_others")
    assert refused(road) == "say_what_is_left_out"
    made = export(road.hub.exchange, "C1", "q1", by="dpo", leave_out=["health"])
    assert b"Insulin" not in made.content
    assert NAME.encode() in made.content
    [event] = exports(road)
    assert (event.left_out, event.by) == (("health",), "dpo")
    shown = json.loads(made.content)
    needs = next(one for one in shown["events"] if one["type"] == "NeedsAssessed")
    assert needs["left_out"] == {"health": "left_out_by_decision"}
    assert needs["data"] == {"domains": ["medical"]}


def test_a_grant_lapses(road: Road) -> None:
    grants(road)
    road.time.at += timedelta(days=31)
    road.hub.exchange.clock.now()
    assert refused(road) == "grant_lapsed"


def test_everything_held_is_in_it_but_what_is_about_others(road: Road) -> None:
    grants(road)
    made = export(road.hub.exchange, "C1", "q1", by="operator")
    for said in (NAME, STREET, PHONE, "Insulin-Sentinel"):
        assert said.encode() in made.content
    shown = json.loads(made.content)
    events = {one["type"]: one for one in shown["events"]}
    assert events["IdentityRecorded"]["data"]["family_name"] == "Prvanova-Sentinel"
    assert events["ConsentGiven"]["data"]["scope"]["CA-1"] == ["identity", "protection"]
    complaint = events["FeedbackRecorded"]
    assert complaint["left_out"] == {"feedback": "rights_of_others"}  # its author is anonymous
    assert "text" not in complaint["data"]
    assert events["BreakGlassInvoked"]["left_out"] == {"audit": "rights_of_others"}
    assert b"tp-Sentinel" not in made.content
    assert shown["agencies"]["POL-1"]["summary"]
    assert made.events == len(shown["events"]) == 18


def test_a_link_to_another_case_is_left_out_unless_the_person_agreed(road: Road) -> None:
    for agreed in (False, True):
        says(road, "NGO-1", "CaseLinkDecided", other_case="C8", relation="household",
             method="human", agreed_by_person=agreed)  # fmt: skip
    grants(road)
    shown = json.loads(export(road.hub.exchange, "C1", "q1", by="operator").content)
    links = [one for one in shown["events"] if one["type"] == "CaseLinkDecided"]
    assert set(links[0]["left_out"].values()) == {"rights_of_others"}
    assert links[0]["data"] == {}
    assert links[1]["data"]["other_case"] == "C8"


def test_it_is_a_leaf_of_the_log_with_the_digest_of_what_was_handed_out(road: Road) -> None:
    grants(road)
    made = export(road.hub.exchange, "C1", "q1", by="operator")
    again = export(road.hub.exchange, "C1", "q1", by="operator")
    first, second = exports(road)
    assert first.digest == hashlib.sha256(made.content).digest() == made.digest
    assert (first.originator_version, second.originator_version) == (1, 2)
    assert again.position == made.position + 1
    assert first.request == "q1"
    road.hub.checkpoints.step(now=True)
    key = NoteSigner(road.hub.settings.hub_id, road.hub.keys.log).verifier
    *_, verdict = verify_log(road.hub.exchange.log, road.hub.settings.hub_id, key)
    assert verdict.problems == []
    assert verdict.covered >= again.position


def test_after_an_erasure_only_tombstones_are_left(road: Road) -> None:
    grants(road)
    says(road, "NGO-1", "SubjectRequestReceived", request_id="q2", right="erasure",
         due_on="2026-04-03")  # fmt: skip
    grants(road, request_id="q2", action="key_destroyed")
    made = export(road.hub.exchange, "C1", "q1", by="operator")
    assert b"Sentinel" not in made.content
    shown = json.loads(made.content)
    *before, last = shown["events"]
    assert all(one["erased"] and one["data"] == {} for one in before)
    assert set(before[0]["left_out"].values()) == {"erased"}
    assert last["data"]["action"] == "key_destroyed"


def test_an_erasure_meanwhile_stops_it(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    grants(road)
    opened = exporting._content

    def slowly(*arguments: Any) -> bytes:
        content = opened(*arguments)
        road.hub.shredder.shred(road.hub.exchange.pseudonyms.canonical("subject", "C1"))
        return content

    monkeypatch.setattr(exporting, "_content", slowly)
    assert refused(road) == "case_changed"


def test_something_recorded_meanwhile_stops_it(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    grants(road)
    opened = exporting._content

    def slowly(*arguments: Any) -> bytes:
        content = opened(*arguments)
        says(road, "NGO-1", "NeedsAssessed", domains=["legal"])
        return content

    monkeypatch.setattr(exporting, "_content", slowly)
    assert refused(road) == "case_changed"


# -- the commands ----------------------------------------------------------------------------------


@pytest.fixture
def home(copied: Callable[[], Road]) -> Path:
    """Granted today by the real clock, which is what the command reads."""
    road = copied()
    road.time.at = datetime.now(UTC)
    grants(road)
    road.close()
    return road.folder / "hub"


def test_the_command_writes_a_file_for_its_owner_alone(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "c1.json"
    done = nrm(
        "person", "export", "--home", home, "--case", "C1", "--request", "q1", "--out", out,
        "--by", "data protection officer", "--json",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    told = json.loads(done.out)
    assert told["sha256"] == hashlib.sha256(out.read_bytes()).hexdigest()
    assert "Sentinel" not in done.out + done.err
    again = nrm("person", "export", "--home", home, "--case", "C1", "--request", "q1",
                "--out", tmp_path / "again.json")  # fmt: skip
    assert "recorded at position" in again.out
    refused_ = nrm("person", "export", "--home", home, "--case", "C1", "--request", "q5",
                   "--out", tmp_path / "no.json")  # fmt: skip
    assert refused_.code == 1
    assert "unknown_request" in refused_.err
    assert not (tmp_path / "no.json").exists()


def test_the_command_never_writes_over_a_file(home: Path, tmp_path: Path) -> None:
    out = tmp_path / "c1.json"
    out.write_text("mine")
    done = nrm("person", "export", "--home", home, "--case", "C1", "--request", "q1", "--out", out)
    assert done.code == 1
    assert "exists already" in done.err
    assert out.read_text() == "mine"
    nowhere = tmp_path / "none" / "c1.json"
    done = nrm(
        "person", "export", "--home", home, "--case", "C1", "--request", "q1", "--out", nowhere
    )
    assert done.code == 1
    assert "is not a folder" in done.err
