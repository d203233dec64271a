"""Break-glass through the whole pipeline, and how loud it is afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from hub.audit import break_glass, replay_case
from tests.backup.place import names_held
from tests.cli.programs import nrm
from tests.road import START, Road

ROLES = {
    "NGO-1": "ngo_support",
    "POL-1": "police",
    "POL-2": "police",
    "CA-1": "competent_authority",
    "AUD-1": "auditor",
}
OPENING = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    opened = Road.open(tmp_path, ROLES)
    for agency in ("POL-1", "POL-2"):
        opened.partner(agency)
    assert opened.publish("NGO-1", "CaseOpened", "C1", **OPENING).accepted
    named = {"given_name": "Ana", "family_name": "Ana-family"}
    assert opened.publish("NGO-1", "IdentityRecorded", "C1", **named).accepted
    opened.settle()
    yield opened
    opened.close()


def invoke(road: Road, agency: str = "POL-1", **changed: Any) -> Any:
    asked: dict[str, Any] = {
        "reason": "threat_to_life",
        "requested_categories": ["identity", "health"],
        "two_person_ref": "second officer 17",
        "expires_at": (road.time.at + timedelta(hours=6)).isoformat(),
        **changed,
    }
    event = road.event("BreakGlassInvoked", "C1", uuid4(), **asked)
    [outcome] = road.publish_all(agency, [event])
    road.settle()
    return outcome


def review(road: Road, invocation: str, outcome: str) -> None:
    told = road.publish(
        "AUD-1",
        "BreakGlassReviewed",
        "C1",
        invocation_event_id=invocation,
        outcome=outcome,
        person_informed=True,
    )
    assert told.accepted, told
    road.settle()


def status(road: Road) -> Any:
    return json.loads(nrm("status", "--home", road.folder / "hub", "--json").out)


def test_from_the_invocation_to_the_recall(road: Road) -> None:
    assert break_glass(road.hub.exchange).invocations == []
    assert invoke(road).accepted
    assert names_held(road, "POL-1") == ["Ana-family"]
    assert names_held(road, "POL-2") == [], "for its invoker alone"

    found = break_glass(road.hub.exchange)
    [one] = found.invocations
    assert (one.agency, one.reason, one.opened) == ("POL-1", "threat_to_life", ("identity",))
    assert sum(map(len, one.through.values())) == 1
    assert found.counts() == {"open": 1, "unreviewed": 1, "overdue": 0, "all": 1}

    marked = [entry for entry in replay_case(road.hub.exchange, "C1") if entry.loud]
    assert [entry.type for entry in marked] == ["BreakGlassInvoked"]
    assert marked[0].through["POL-1"] == {
        event: {"identity": one.event_id} for event in one.through
    }

    review(road, one.event_id, "not_justified")
    assert names_held(road, "POL-1") == []
    [one] = break_glass(road.hub.exchange).invocations
    assert one.recalled == one.through
    assert [(r.by, r.outcome, r.person_informed) for r in one.reviews] == [
        ("AUD-1", "not_justified", True)
    ]
    later = {"given_name": "Ana", "family_name": "Ana-other"}
    assert road.publish("NGO-1", "IdentityRecorded", "C1", **later).accepted
    road.settle()
    assert names_held(road, "POL-1") == [], "the window is shut, although its time has not run out"


def test_the_commands_are_loud(road: Road) -> None:
    home = road.folder / "hub"
    assert "No break-glass." in nrm("audit", "breakglass", "--home", home).out
    assert invoke(road).accepted
    declared = {"scope": "country", "measures": ["oral_consent"], "ends_on": "2099-12-31"}
    assert road.publish("CA-1", "EmergencyModeDeclared", "C1", **declared).accepted
    road.settle()

    # The story's clock stands in March 2026; the command's is today's: long overdue.
    done = nrm("audit", "breakglass", "--home", home)
    assert done.code == 3
    for told in (
        "POL-1 (police)",
        "threat_to_life",
        "not for this role: health",
        "OVERDUE since",
        "Emergency mode",
        "It opens nothing",
        "1 not reviewed, 1 of them overdue",
    ):
        assert told in done.out
    assert "Ana" not in done.out

    told = json.loads(nrm("audit", "breakglass", "--home", home, "--json").out)
    [one] = told["invocations"]
    assert one["overdue"] is True
    assert one["requested"] == ["health", "identity"]
    assert told["emergency_mode"][0]["running"] is True

    plain = nrm("status", "--home", home).out
    assert "!! Break-glass: 0 open, 1 not reviewed, 1 of them overdue" in plain
    assert "!! Emergency mode until 2099-12-31, declared by CA-1" in plain
    replayed = nrm("audit", "replay", "--home", home, "--case", "C1").out
    assert "!! BREAK-GLASS" in replayed
    assert "!! EMERGENCY MODE" in replayed
    assert "!! through break-glass to POL-1: 1 items" in replayed

    review(road, one["event_id"], "justified")
    assert status(road)["break_glass"]["unreviewed"] == 0
    reviewed = nrm("audit", "breakglass", "--home", home)
    assert reviewed.code == 0
    assert "justified by AUD-1" in reviewed.out
    assert "person told" in reviewed.out
    assert "No break-glass." in nrm("audit", "breakglass", "--home", home, "--unreviewed").out
    assert "No break-glass." in nrm("audit", "breakglass", "--home", home, "--case", "C9").out


@pytest.mark.parametrize(
    "changed",
    [
        {"two_person_ref": ""},
        {"two_person_ref": "   "},
        {"expires_at": (START - timedelta(hours=1)).isoformat()},
        {"expires_at": START.isoformat()},
    ],
    ids=["nobody second", "a blank second", "an end in the past", "an end now"],
)
def test_g12_is_refused_with_what_to_do_and_opens_nothing(
    changed: dict[str, str], road: Road
) -> None:
    outcome = invoke(road, **changed)
    assert not outcome.accepted
    assert (outcome.reason, outcome.guard) == ("break_glass_refused", "G12")
    assert "two persons and an end in the future" in outcome.detail
    assert names_held(road, "POL-1") == []
    assert break_glass(road.hub.exchange).invocations == []


def test_a_role_without_a_list_opens_nothing_and_it_is_seen(road: Road) -> None:
    outcome = invoke(road, "NGO-1")
    assert outcome.accepted
    [one] = break_glass(road.hub.exchange).invocations
    assert (one.opened, one.through) == ((), {})
    told = nrm("audit", "breakglass", "--home", road.folder / "hub").out
    assert "nothing" in told


def test_after_an_erasure_who_and_why_is_still_known(road: Road) -> None:
    assert invoke(road).accepted
    asked = {"request_id": "q", "right": "erasure", "due_on": "2026-07-01"}
    assert road.publish("NGO-1", "SubjectRequestReceived", "C1", **asked).accepted
    granted = {
        "request_id": "q", "outcome": "granted", "exemption": "none", "action": "key_destroyed"
    }  # fmt: skip
    assert road.publish("NGO-1", "SubjectRequestDecided", "C1", **granted).accepted
    road.settle()
    [one] = break_glass(road.hub.exchange).invocations
    assert (one.agency, one.reason, one.opened) == ("POL-1", "threat_to_life", ("identity",))
    assert one.through
    assert replay_case(road.hub.exchange, "C1")[3].erased
