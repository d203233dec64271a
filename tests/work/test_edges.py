"""The list at its edges: commands, HTTP, and the hub's own threads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from connectors.agency.http_auth import sign_request
from connectors.submit import Publisher
from consumers.raising import raise_item
from hub.api.server import serve_api
from hub.api.work import own_work
from hub.clock import Clock
from hub.home import Home
from hub.hub import Hub
from hub.store import events as stored
from tests.cli.programs import Done, nrm
from tests.patience import until
from tests.road import Road
from tests.work.office import ADULT, Office, at


def good(done: Done) -> str:
    assert done.code == 0, done.err
    return done.out


@pytest.fixture
def home(desk: Office) -> Path:
    """A home with some work, and its hub stopped."""
    desk.identified("C1")
    desk.say("NGO-1", "NeedsAssessed", "C1", domains=["medical"], health_needs="x")
    desk.say("POL-1", "AgeDisputed", "C1", raised_by_role="police", basis="appearance")
    desk.until(at(2026, 3, 10))
    return desk.folder / "hub"


def listed(home: Path, *options: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(
        good(nrm("work", "list", "--home", home, "--json", *options))
    )
    return found


# -- commands --------------------------------------------------------------------------------


def test_the_list_by_role_agency_kind_and_what_is_overdue(home: Path) -> None:
    everything = listed(home)
    kinds = {one["kind"] for one in everything}
    assert {"reasonable_grounds_due", "age_dispute_contestable"} <= kinds
    assert {one["agency"] for one in listed(home, "--agency", "CA-1")} == {"CA-1"}
    [due] = listed(home, "--kind", "reasonable_grounds_due")
    assert (due["state"], due["due"]) == ("overdue", "2026-03-10T00:00:00+00:00")
    auditors = listed(home, "--role", "auditor", "--overdue")
    assert due["item"] in {one["item"] for one in auditors}, "it escalates"
    assert len(listed(home, "--all")) > len(everything)
    assert listed(home, "--agency", "nobody") == []
    table = good(nrm("work", "list", "--home", home, "--kind", "reasonable_grounds_due"))
    [heading, row] = table.strip().splitlines()
    assert heading.split()[:3] == ["item", "kind", "owner"]
    assert row.split()[:5] == [due["item"][:12], due["kind"], "CA-1", "overdue", "2026-03-09"]
    assert "Nothing is to be done." in good(nrm("work", "list", "--home", home, "--agency", "x"))
    cut = nrm("work", "list", "--home", home, "--last", "1")
    assert "More than 1 items" in cut.err


def test_show_close_and_contest(home: Path) -> None:
    [dispute] = listed(home, "--kind", "age_dispute_contestable")
    shown = good(nrm("work", "show", dispute["item"][:12], "--home", home))
    for told in ("it can be contested", "NGO-1", "closes by"):
        assert told in shown
    wrong = nrm("work", "close", dispute["item"], "--by", "A", "--because", "so", "--home", home)
    assert wrong.code == 1
    assert "unknown_reason" in wrong.err
    assert "done_elsewhere" in wrong.err, "says what to give"
    told = nrm("work", "contest", dispute["item"], "--by", "A", "--because", "not_founded",
               "--home", home)  # fmt: skip
    assert "the auditor has to examine it" in good(told)
    [contested] = listed(home, "--role", "auditor", "--kind", "contested")
    closed = nrm("work", "close", contested["item"], "--by", "A", "--because", "done",
                 "--home", home)  # fmt: skip
    assert "is closed" in good(closed)
    after = json.loads(good(nrm("work", "show", contested["item"], "--home", home, "--json")))
    assert (after["state"], after["closed_by"], after["closed_because"]) == ("done", "A", "done")
    assert "by A: done" in good(nrm("work", "show", contested["item"], "--home", home))
    again = nrm("work", "close", contested["item"], "--by", "A", "--because", "done",
                "--home", home)  # fmt: skip
    assert "closed_before" in again.err


def test_from_an_item_to_its_case(home: Path) -> None:
    [dispute] = listed(home, "--kind", "age_dispute_contestable")
    named = json.loads(good(nrm("case", "show", "--case", "C1", "--home", home, "--json")))
    by_id = json.loads(
        good(nrm("case", "show", "--case", dispute["case"], "--home", home, "--json"))
    )
    assert by_id["events"] > 0
    for told in ("position", "events", "regions", "involved", "consents"):
        assert by_id[told] == named[told]
    assert good(nrm("audit", "replay", "--case", dispute["case"], "--home", home))
    no = nrm("case", "show", "--case", "0" * 32, "--home", home)
    assert no.code == 1
    assert "unknown_case" in no.err


@pytest.mark.parametrize(("item", "reason"), [("zz", "unknown_item"), ("", "ambiguous_item")])
def test_an_item_that_is_not_one(desk: Office, home: Path, item: str, reason: str) -> None:
    if reason == "ambiguous_item":
        for number in range(17):  # one more than there are first digits
            raise_item(desk.hub.exchange, "checkpoint_late", str(number))
        digits = [one["item"][0] for one in listed(home, "--all")]
        item = next(one for one in digits if digits.count(one) > 1)
    wrong = nrm("work", "show", item, "--home", home)
    assert wrong.code == 1
    assert reason in wrong.err


def test_rebuild_gives_the_same_list(home: Path) -> None:
    before = listed(home, "--all", "--last", "1000")
    assert f"{len(before)} items." in good(nrm("work", "rebuild", "--home", home))
    assert listed(home, "--all", "--last", "1000") == before


def test_conservation_as_a_command(home: Path) -> None:
    assert "Everything is accounted for." in good(nrm("audit", "conservation", "--home", home))
    told = json.loads(good(nrm("audit", "conservation", "--home", home, "--json")))
    assert told["even"]
    assert told["accepted"] == sum(told["classes"].values())


# -- HTTP ------------------------------------------------------------------------------------


def test_agencies_ask_for_their_work(desk: Office) -> None:
    desk.identified("C1")
    desk.attend()
    server = serve_api(desk.hub, port=0)
    try:
        with httpx2.Client(base_url=server.url, timeout=30) as client:

            def ask(agency: str, path: str = "/v1/work") -> httpx2.Response:
                signed = sign_request(desk.identities[agency], "GET", path, b"")
                return client.get(path, headers=signed)

            [item] = ask("CA-1").json()["items"]
            assert item["kind"] == "reasonable_grounds_due"
            assert item["due"] == "2026-03-10T00:00:00+00:00"
            assert item["case_ref"].startswith("nc-")
            assert ask("SH-1").json() == {"items": []}
            assert ask("CA-1", "/v1/work?kind=withheld").json() == {"items": []}
            assert ask("CA-1", "/v1/work?overdue=true").json() == {"items": []}
            assert ask("CA-1", "/v1/work?limit=0").json()["code"] == "bad_parameter"
            assert client.get("/v1/work").json()["code"] == "unauthenticated"
    finally:
        server.stop()


def test_agencies_close_and_contest_what_is_theirs(desk: Office) -> None:
    desk.identified("C1")
    desk.say("POL-1", "AgeDisputed", "C1", raised_by_role="police", basis="appearance")
    desk.attend()
    server = serve_api(desk.hub, port=0)
    try:
        with httpx2.Client(base_url=server.url, timeout=30) as client:

            def ask(agency: str, method: str, path: str) -> httpx2.Response:
                signed = sign_request(desk.identities[agency], method, path, b"")
                return client.request(method, path, headers=signed)

            found = ask("NGO-1", "GET", "/v1/work?kind=age_dispute_contestable").json()["items"]
            name = found[0]["item"]
            raw = desk.item("age_dispute_contestable").item
            others = desk.hub.exchange.pseudonyms.pseudonym("POL-1", "work", raw)
            contest = "?because=not_founded&contested=true"
            for agency, item in (("POL-1", others), ("POL-1", name), ("NGO-1", raw.hex)):
                answer = ask(agency, "POST", f"/v1/work/{item}{contest}")
                assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
            wrong = ask("NGO-1", "POST", f"/v1/work/{name}?because=Jane+asked")
            assert (wrong.status_code, wrong.json()["reason"]) == (422, "unknown_reason")
            assert "Jane" not in wrong.text
            assert ask("NGO-1", "POST", f"/v1/work/{name}").json()["code"] == "bad_parameter"
            assert ask("NGO-1", "POST", f"/v1/work/{name}{contest}").status_code == 204
            desk.attend()
            assert desk.item("contested").role == "auditor"
            again = ask("NGO-1", "POST", f"/v1/work/{name}{contest}")
            assert again.json()["code"] == "not_found"
            [due] = ask("CA-1", "GET", "/v1/work").json()["items"]
            refused = ask("CA-1", "POST", f"/v1/work/{due['item']}{contest}")
            assert refused.json()["reason"] == "not_contestable"
    finally:
        server.stop()


def test_a_withheld_event_changes_no_byte_of_a_list(desk: Office) -> None:
    """The same answers, whether an event was withheld from the caller or never happened."""
    agencies = ("SH-1", "POL-1", "LEG-1", "GU-1")

    def lists() -> dict[str, str]:
        desk.attend()
        return {
            one: json.dumps(own_work(desk.hub.exchange, one, None, False, 500)) for one in agencies
        }

    desk.identified("C1")
    desk.consent("C1", {"SH-1": ["protection"]}, consent_id="c2")
    desk.refer("C1", "SH-1", "r2", respond_by="2026-03-04T09:00:00Z")
    desk.say("SH-1", "ReferralAccepted", "C1", referral_id="r2")
    before = lists()
    desk.decided("C1")
    started = {"start": "2026-03-03", "minimum_days": 30, "ends_on": "2026-04-17"}
    desk.say("NGO-1", "NeedsAssessed", "C1", domains=["medical"], health_needs="x")
    desk.say("CA-1", "DisqualificationDecided", "C1", ground="bad_faith",
             outcome="not_disqualified", reexploitation_risk_considered=True,
             decided_on="2026-03-03")  # fmt: skip
    desk.say("CA-1", "RecoveryPeriodStarted", "C1", **started)
    assert lists() == before


# -- threads ---------------------------------------------------------------------------------


def test_serving_fires_timers_and_a_hub_without_that_part_states_nothing(tmp_path: Path) -> None:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support", "SH-1": "shelter"})
    road.time.at = at(2026, 3, 2, 9)
    opened = road.event("CaseOpened", "C1", **{**ADULT, "age_status": "child"})
    referral = {
        "referral_id": "r1",
        "to_agency": "SH-1",
        "services": ["accommodation"],
        "urgency": "3_hours",
        "respond_by": "2026-03-02T09:30:00Z",
        "basis": "safeguarding",
    }
    sealed = Publisher(road.identities["NGO-1"]).prepare(
        [opened, road.event("ReferralMade", "C1", **referral)]
    )
    road.time.at = at(2026, 3, 2, 10)  # it arrives when its time is over
    road.hub.start()
    try:
        assert all(one.accepted for one in road.hub.ingest.submit(sealed).outcomes)
        log = road.hub.exchange.log
        until(lambda: log.tracking("publisher") > 0)
        assert log.work.position() == 0, "scenario runs and demos state nothing of their own"
    finally:
        road.hub.stop()
    hub = Hub.open(Home(tmp_path / "hub"), Clock(road.time, steady=None))
    try:
        hub.start(frozenset({"hub", "consumers", "timers"}))
        log = hub.exchange.log
        until(lambda: bool(log.work.standing(kind="referral_lapsed")))
        own = [
            one.event.event_type
            for one in log.read(0, 1_000)
            if isinstance(one.event, stored.EventAccepted) and one.event.emitter == "HUB"
        ]
        assert own == ["ReferralEnded"]
        assert hub.failure is None
    finally:
        hub.stop()
