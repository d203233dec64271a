"""Every recorded decision made again: none differs, and a planted change lists exactly its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from connectors.submit import Publisher
from hub import deliveries, release
from hub.audit.again import Divergence
from hub.audit.output import Asked, Output
from hub.audit.redecide import Redecision
from hub.audit.why import as_of_position
from hub.deliveries import settle
from hub.domain.case import Case
from hub.domain.settlement import Outcome, Released, Settlement, Withheld
from hub.errors import Refused
from hub.exchange import Exchange
from hub.recording.accepted import case_event
from hub.recording.cases import fold
from hub.store import events as stored
from tests.cli.programs import nrm
from tests.played import NAMES, play, scenario
from tests.road import Road, shelter_joins

OPENED = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
NEEDS = {"domains": ["medical"], "health_needs": "x"}


def again(exchange: Exchange, **how: Any) -> tuple[list[Divergence], Redecision]:
    walk = Redecision(exchange.log, exchange.secrets, exchange.log.head, **how)
    return [one for page in walk.run() for one in page], walk


@pytest.fixture(scope="module", params=NAMES)
def road(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Road]:
    road = play(tmp_path_factory.mktemp(request.param), scenario(request.param))
    yield road
    road.close()


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Road]:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support", "SH-1": "shelter", "POL-1": "police"})
    yield road
    road.close()


# -- nothing differs -------------------------------------------------------------------------


def test_nothing_differs_in_any_scenario(road: Road) -> None:
    found, walk = again(road.hub.exchange)
    assert found == []
    counts = road.hub.exchange.log.counts().by_topic
    assert walk.counts.events == counts["nrm.Case.Settled"]
    assert walk.counts.sendings == counts["nrm.DeliveryLog.Sending"]
    assert walk.counts.decisions > walk.counts.events


def test_nor_when_hardly_a_case_is_kept_in_memory(road: Road) -> None:
    found, walk = again(road.hub.exchange, most_events=1)
    assert found == []
    assert walk.counts == again(road.hub.exchange)[1].counts


def test_nor_after_an_erasure(own: Road) -> None:
    born = {"date_of_birth": "2010-01-01", "dob_precision": "day", "given_name": "A"}
    own.publish("NGO-1", "CaseOpened", "C1", **{**OPENED, "age_status": "child"})
    own.publish("NGO-1", "IdentityRecorded", "C1", **born)
    shelter_joins(own, "identity")
    own.settle()
    before = again(own.hub.exchange)
    assert before[0] == []
    assert own.hub.shredder.shred(own.hub.exchange.pseudonyms.canonical("subject", "C1"))
    assert again(own.hub.exchange)[0] == []


# -- a planted rule --------------------------------------------------------------------------


def nobody_by_default(ask: release.Ask) -> Outcome | None:
    return Withheld(("never_rule",)) if ask.mode == "D" else None


def consent_is_not_asked(ask: release.Ask) -> Outcome | None:
    return Released("public_task") if ask.mode in ("C", "K") else None


PLANTED: list[tuple[str, Callable[[release.Ask], Outcome | None]]] = [
    ("rule_13_default", nobody_by_default),
    ("rule_15_consent", consent_is_not_asked),
]


@pytest.mark.parametrize(("name", "planted"), PLANTED, ids=[name for name, _ in PLANTED])
def test_a_planted_rule_lists_exactly_the_decisions_it_changes(
    road: Road, name: str, planted: Callable[[release.Ask], Outcome | None]
) -> None:
    rules = tuple(planted if rule.__name__ == name else rule for rule in release.RULES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(release, "RULES", rules)
        patch.setattr(deliveries, "_OUTSIDE", {})
        found, _ = again(road.hub.exchange)
        expected = enumerated(road.hub.exchange)
    settled = {
        (one.at, one.part, one.event, one.party, one.category)
        for one in found
        if one.part not in ("sending", "held_back")
    }
    assert settled == expected
    assert expected, "the planted rule reaches decisions at all"
    deliveries._OUTSIDE.clear()
    assert again(road.hub.exchange)[0] == [], "and nothing of it stays behind"


Item = tuple[int, str, str, str, str]


def enumerated(exchange: Exchange) -> set[Item]:
    """Each settlement alone: case folded from its rows, register and profile looked up anew."""
    found: set[Item] = set()
    for one in exchange.log.read(0, 100_000):
        row = one.event
        if not isinstance(row, stored.Settled):
            continue
        rows = [r for r in exchange.log.stream(row.originator_id) if r.position < one.position]
        accepted = rows.pop().event
        while not isinstance(accepted, stored.EventAccepted):
            accepted = rows.pop().event
        before = [r.event for r in rows]
        case = (
            fold(before, exchange.secrets)
            if before
            else Case(row.originator_id, UUID(bytes=accepted.subject_id))
        )
        parties, profile = as_of_position(exchange.log, row.position)
        then = Settlement.from_record(json.loads(row.settlement))
        event = case_event(accepted, exchange.secrets, row.position)
        now = settle(case, event, parties, profile, accepted.timestamp)
        everybody = [(p.agency, p.role) for p in parties.all() if p.role != "hub"]
        for agency, role in everybody:
            named = agency in then.decided or agency in now.decided
            for category in then.categories:
                was, is_ = then.outcome(agency, role, category), now.outcome(agency, role, category)
                if was != is_ and agency != accepted.emitter and named:
                    found.add((one.position, "first", then.event_id, agency, category))
        for role in {role for _, role in everybody}:
            for category in then.categories:
                was = then.outsiders.by_role.get(role, {}).get(category)
                if was != now.outsiders.by_role.get(role, {}).get(category):
                    found.add((one.position, "outsiders", then.event_id, f"role:{role}", category))
        for part in ("backfill", "rebased"):
            flat = [
                {
                    (agency, event, category): basis
                    for agency, events in getattr(settlement, part).items()
                    for event, bases in events.items()
                    for category, basis in bases.items()
                }
                for settlement in (then, now)
            ]
            for agency, event, category in {*flat[0], *flat[1]}:
                key = agency, event, category
                if flat[0].get(key) != flat[1].get(key):
                    found.add((one.position, part, event, agency, category))
        recalled = [
            {(r.to, event, c) for r in s.recalls for event, names in r.items for c in names}
            for s in (then, now)
        ]
        for agency, event, category in recalled[0] ^ recalled[1]:
            found.add((one.position, "recall", event, agency, category))
        for agency, event, category in then.windows.keys() ^ now.windows.keys():
            found.add((one.position, "windows", event, agency, category))
        for part in ("left", "concerned", "age", "policy", "parties", "categories"):
            if getattr(then, part) != getattr(now, part):
                found.add((one.position, part, then.event_id, "", ""))
    return found


# -- at sending ------------------------------------------------------------------------------


def held_back(road: Road) -> None:
    """A consent's last day ends between decision and sending."""
    road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    shelter_joins(road, "health", "case_management", valid_until="2026-03-02")
    road.settle()
    needs = road.event("NeedsAssessed", "C1", **NEEDS)
    sealed = Publisher(road.identities["NGO-1"]).prepare([needs])
    road.hub.exchange.record([road.hub.ingest.admit(sealed)])
    road.time.at += timedelta(days=1)
    road.settle()
    assert road.hub.exchange.log.counts().by_topic["nrm.Case.HeldBack"] == 1


def test_what_was_held_back_is_held_back_again(own: Road) -> None:
    held_back(own)
    assert again(own.hub.exchange)[0] == []


def test_a_change_at_sending_is_listed_where_it_shows(
    own: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    held_back(own)
    monkeypatch.setattr(release, "_may_have_ended", lambda *_: False)
    found, _ = again(own.hub.exchange)
    assert [(one.part, one.party, one.category, one.recorded, one.again) for one in found] == [
        ("held_back", "SH-1", "health", "held back", "as decided")
    ]


def test_a_change_of_the_time_to_answer_a_recall_is_listed(
    own: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    shelter_joins(own, "health")
    own.publish("NGO-1", "NeedsAssessed", "C1", **NEEDS)
    own.settle()
    gone = {"consent_id": "c1", "extent": "all", "leave_nrm": False}
    own.publish("NGO-1", "ConsentWithdrawn", "C1", **gone)
    own.settle()
    assert again(own.hub.exchange)[0] == []
    monkeypatch.setattr("hub.audit.redecide.days", lambda *_: 99)
    assert {one.category for one in again(own.hub.exchange)[0]} == {"recall due"}


# -- going on --------------------------------------------------------------------------------


def test_in_pieces_it_finds_the_same(road: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended after every page, begun again with what was kept: also between an event and its
    settlement, and between what is sent and what is held back."""
    rules = tuple(
        nobody_by_default if rule.__name__ == "rule_13_default" else rule for rule in release.RULES
    )
    monkeypatch.setattr(release, "RULES", rules)
    monkeypatch.setattr(deliveries, "_OUTSIDE", {})
    exchange = road.hub.exchange
    whole, walk = again(exchange)
    in_pieces(monkeypatch, exchange, 7, whole, walk)
    deliveries._OUTSIDE.clear()


def test_in_the_smallest_pieces_too(own: Road, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one event, one category is sent and another held back: a piece ends between the two."""
    own.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    shelter_joins(own, "protection", "case_management", valid_until="2026-03-02")
    own.settle()
    plan = {"goals": ["rest"], "client_agreed": True, "review_on": "2026-04-01", "details": "x"}
    agreed = own.event("SupportPlanAgreed", "C1", **plan)
    sealed = Publisher(own.identities["NGO-1"]).prepare([agreed])
    own.hub.exchange.record([own.hub.ingest.admit(sealed)])
    own.time.at += timedelta(days=1)
    own.settle()
    exchange = own.hub.exchange
    assert exchange.log.counts().by_topic["nrm.Case.HeldBack"] == 1
    whole, walk = again(exchange)
    assert whole == []
    in_pieces(monkeypatch, exchange, 1, whole, walk)


def in_pieces(
    monkeypatch: pytest.MonkeyPatch,
    exchange: Exchange,
    page: int,
    whole: list[Divergence],
    walk: Redecision,
) -> None:
    monkeypatch.setattr("hub.audit.walk.PAGE", page)
    found: list[Divergence] = []
    position, kept, pieces = 0, {}, 0
    while position < exchange.log.head:
        piece = Redecision(exchange.log, exchange.secrets, walk.end, after=position, kept=kept)
        found += next(piece.run())
        position, kept = piece.position, json.loads(json.dumps(piece.kept()))
        pieces += 1
    assert pieces > 5
    assert found == whole
    assert kept["counts"] == vars(walk.counts)


def test_a_mark_of_another_log_or_question_is_refused(tmp_path: Path) -> None:
    roads = [play(tmp_path / name, scenario(name)) for name in ("S1", "S7")]
    try:
        [one, other] = [road.hub.exchange.log for road in roads]
        out = tmp_path / "out.jsonl"
        with Output(out, one, Asked("redecide", "hub", 0)) as output:
            output.write({"a": 1})
            output.mark(100, {"x": 2})
            output.write({"lost": 1})
        assert not out.exists()
        with pytest.raises(Refused, match="other_log"):
            Output(out, other, Asked("redecide", "hub", 0))
        with pytest.raises(Refused, match="other_question"):
            Output(out, one, Asked("whole", "hub", 0))
        with pytest.raises(Refused, match="other_question"):
            Output(out, one, Asked("redecide", "hub", 99))
        with Output(out, one, Asked("redecide", "hub", 0)) as output:
            assert (output.position, output.kept) == (100, {"x": 2})
            output.write({"b": 2})
            output.finish()
        assert out.read_bytes() == b'{"a":1}\n{"b":2}\n'
        with pytest.raises(Refused, match="output_exists"):
            Output(out, one, Asked("redecide", "hub", 0))
        out.with_name("new.jsonl.mark").write_text("{", encoding="utf-8")
        with pytest.raises(Refused, match="mark_unreadable"):
            Output(out.with_name("new.jsonl"), one, Asked("redecide", "hub", 0))
        gone = tmp_path / "gone.jsonl"
        with Output(gone, one, Asked("redecide", "hub", 0)) as output:
            output.mark(100)
        gone.with_name("gone.jsonl.part").unlink()
        with pytest.raises(Refused, match=r"gone.jsonl.part is gone"):
            Output(gone, one, Asked("redecide", "hub", 0))
    finally:
        for road in roads:
            road.close()


def test_as_a_command(tmp_path: Path) -> None:
    road = play(tmp_path, scenario("S1"))
    road.close()
    home, out = ("--home", tmp_path / "hub"), ("--out", tmp_path / "d.jsonl")
    told = json.loads(nrm("audit", "redecide", *home, *out, "--json").out)
    assert told["divergences"] == 0
    assert told["events"] > 20
    assert (tmp_path / "d.jsonl").read_bytes() == b""
    assert not (tmp_path / "d.jsonl.mark").exists()
    early_out = ("--out", tmp_path / "e.jsonl", "--json", "--as-of", "60")
    early = json.loads(nrm("audit", "redecide", *home, *early_out).out)
    assert early["position"] == 60
    assert early["events"] < told["events"]


PROGRAM = """
import sys
from hub import release
from hub import deliveries
from hub.domain.settlement import Withheld
def nobody(ask):
    return Withheld(("never_rule",)) if ask.mode == "D" else None
release.RULES = tuple(nobody if r.__name__ == "rule_13_default" else r for r in release.RULES)
import hub.audit.walk, hub.audit.output
hub.audit.walk.PAGE = 5
if "slow" in sys.argv:
    import time
    mark = hub.audit.output.Output.mark
    def slowly(self, *given):
        mark(self, *given); time.sleep(0.3)
    hub.audit.output.Output.mark = slowly
from hub.cli import main
sys.argv = ["nrm-hub", "audit", "redecide", "--home", sys.argv[1], "--out", sys.argv[2]]
main()
"""


def test_killed_and_run_again_it_gives_the_same_file(tmp_path: Path) -> None:
    road = play(tmp_path, scenario("S1"))
    road.close()

    def command(out: str, *how: str) -> list[str]:
        return [sys.executable, "-c", PROGRAM, str(tmp_path / "hub"), str(tmp_path / out), *how]

    whole = subprocess.run(command("whole.jsonl"), check=False, capture_output=True, timeout=60)
    assert whole.returncode == 3, whole.stderr
    killed = subprocess.Popen(command("pieces.jsonl", "slow"), stderr=subprocess.DEVNULL)
    mark = tmp_path / "pieces.jsonl.mark"
    deadline = time.monotonic() + 60
    while not (mark.exists() and json.loads(mark.read_bytes())["position"] > 40):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert mark.exists(), "it was killed in the middle"
    rest = subprocess.run(command("pieces.jsonl"), check=False, capture_output=True, timeout=60)
    assert rest.returncode == 3, rest.stderr
    expected = (tmp_path / "whole.jsonl").read_bytes()
    assert expected
    assert (tmp_path / "pieces.jsonl").read_bytes() == expected
