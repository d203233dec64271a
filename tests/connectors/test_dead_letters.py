"""Dead letters: who acts, how they end, and that the hub hears of every end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from connectors import crash
from connectors.agency.registry_cache import RegistryCache
from connectors.checks.sink import sink_findings
from connectors.conformance import (
    CANARY,
    NOW,
    batch,
    claimed,
    demographics,
    identity,
    poison,
    recalled,
)
from connectors.dead_letters import DISCARDS, OWNERS, RECALLED_SINCE, SIDES, owner, told
from connectors.delivery import REASONS
from connectors.errors import SinkDownError
from connectors.opening.opener import Opener
from connectors.redriving import redrive
from hub.crypto.sealing import SealingKey
from tests.connectors.builder import MiniHub
from tests.connectors.conformance.test_sql_conformance import SqlBench
from tests.connectors.site import TO, Flaky, Site
from tests.connectors.test_sent_again import again, set_aside

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[SqlBench]:
    bench = SqlBench(f"sqlite:///{tmp_path}/partner.db", files=tmp_path)
    yield bench
    bench.close()


def test_every_reason_has_an_owner() -> None:
    assert set(OWNERS) == set(REASONS)
    assert set(OWNERS.values()) == set(SIDES)
    assert owner("a_code_of_somebodys_sink") == "partner"


def test_reasons_and_discards_are_documented() -> None:
    page = (DOCS / "dead-letters.md").read_text("utf-8")
    assert [code for code in (*REASONS, *DISCARDS) if f"`{code}`" not in page] == []


def test_a_discard_leaves_nothing_and_is_told(bench: SqlBench) -> None:
    sink = claimed(bench)
    sink.apply(batch(poison(1, "e-1", CANARY.encode()), identity(2, "e-2", given_name="Other")))
    sink.sent([one.id for one in sink.owed(10)])
    [row] = sink.quarantine()
    assert sink.discard(row.id, "entered_by_hand", "see file 7", NOW)
    assert sink.quarantine() == []
    [kept] = sink.quarantine(waiting_only=False)
    assert (kept.state, kept.reason, kept.raw) == ("discarded", told("entered_by_hand"), b"")
    assert kept.detail == "was bad_agency_signature; see file 7"
    [owed] = sink.owed(10)
    assert [(e.sequence, e.outcome, e.detail) for e in owed.exceptions] == [
        (1, "quarantined", "discarded_entered_by_hand")
    ]
    assert not sink.discard(row.id, "not_needed", "", NOW), "once"
    assert len(sink.owed(10)) == 1
    sink.redrive(row.id, [identity(1)], NOW)
    assert bench.shown("e-1") is None, "a discard is final"
    bench.close()
    assert CANARY.encode() not in bench.stored()


def test_a_recall_takes_the_note_along(bench: SqlBench) -> None:
    sink = claimed(bench)
    sink.apply(batch(poison(1, "e-1")))
    [row] = sink.quarantine()
    sink.discard(row.id, "entered_by_hand", "Mary came in person", NOW)
    sink.apply(batch(recalled(2, ("e-1", ["identity"]))))
    [kept] = sink.quarantine(waiting_only=False)
    assert (kept.state, kept.detail) == ("discarded", RECALLED_SINCE), "no words of anybody's"
    [warned] = [one for one in sink_findings(sink, NOW)[0] if one.subject == "recalls"]
    assert (warned.level, "by hand" in warned.fix) == ("warning", True)


def test_a_recall_redriven_late_leaves_a_later_release_waiting(bench: SqlBench) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1), poison(2), poison(3, "e-1")))
    recall, release = sink.quarantine()
    sink.redrive(recall.id, [recalled(2, ("e-1", ["identity"]))], NOW)
    assert [one.sequence for one in sink.quarantine()] == [3]
    sink.redrive(release.id, [identity(3)], NOW)
    assert (bench.shown("e-1") or {})["given_name"] == CANARY


def test_an_older_release_redriven_late_does_not_take_the_newer_ones_place(
    bench: SqlBench,
) -> None:
    sink = claimed(bench)
    sink.apply(batch(poison(1), poison(2), identity(3)))
    first, second = sink.quarantine()
    sink.redrive(first.id, [identity(1, given_name="of before")], NOW)
    sink.redrive(second.id, [recalled(2, ("e-1", ["identity"]))], NOW)
    assert (bench.shown("e-1") or {})["given_name"] == CANARY


def test_what_a_recall_left_of_a_dead_letter_comes_when_it_is_sent_again(bench: SqlBench) -> None:
    sink = claimed(bench)
    sink.apply(batch(poison(1, "e-1"), poison(2, "e-2")))
    whole, other = sink.quarantine()
    sink.apply(batch(recalled(3, ("e-1", ["identity"]), ("e-2", ["identity"]))))
    assert sink.quarantine() == []
    both = demographics(1)
    both = replace(
        both,
        categories=("demographics", "identity"),
        fields={**both.fields, **identity(1).fields},
        bases=dict.fromkeys(("demographics", "identity"), "public_task"),
    )
    sink.redrive(whole.id, [both], NOW)
    sink.redrive(other.id, [identity(2, "e-2")], NOW)
    shown = bench.shown("e-1") or {}
    assert (shown["gender"], shown["given_name"]) == ("f", None)
    assert bench.shown("e-2") is None
    states = {one.sequence: one.state for one in sink.quarantine(waiting_only=False)}
    assert states == {1: "redriven", 2: "recalled"}


@pytest.mark.parametrize("point", ["before_sink_commit", "after_sink_commit"])
def test_killed_while_discarding(bench: SqlBench, point: str) -> None:
    claimed(bench).apply(batch(poison(1)))
    child = os.fork()
    if child == 0:
        try:
            sink = claimed(bench)
            crash.arm(point)
            sink.discard(1, "not_needed", "", NOW)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == crash.STATUS
    sink = claimed(bench)
    done = point == "after_sink_commit"
    assert len(sink.quarantine()) == (0 if done else 1)
    assert len(sink.owed(10)) == (2 if done else 1), "row and receipt go together"


# -- with a runner and a hub -------------------------------------------------------------------


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Site]:
    made = MiniHub()
    police, shelter = made.enrol(tmp_path, TO), made.enrol(tmp_path, "SH-1", "shelter")
    site = Site(made, police, shelter, tmp_path)
    yield site
    site.close()


def discard(site: Site, sequence: int) -> None:
    sink = site.new_sink()
    [row] = [one for one in sink.quarantine() if one.sequence == sequence]
    assert sink.discard(row.id, "not_needed", "", NOW)


def lines(site: Site) -> list[tuple[int, str, str | None]]:
    return [
        (one["sequence"], one["outcome"], one["detail"])
        for receipt in site.receipts()
        for one in receipt["exceptions"]
    ]


def test_the_runner_tells_and_a_resend_does_not_revive_it(running: Site) -> None:
    good = set_aside(running)
    runner = running.runner()
    runner.run_once()
    discard(running, 2)
    runner.run_once()
    assert lines(running)[-1] == (2, "quarantined", "discarded_not_needed")
    again(running, 2, good[1])
    assert runner.run_once().applied == 0
    assert running.sequences() == [1, 3]
    assert lines(running)[-1] == (2, "quarantined", "discarded_not_needed"), "told again"
    assert running.runner().run_once().applied == 0
    assert "quarantined" not in runner.alarms


def test_an_unreadable_recall_that_was_discarded_is_answered_when_it_comes_again(
    running: Site,
) -> None:
    """Otherwise a discard would be a way to keep what must go."""
    [event] = running.events(1)
    running.deliver(running.release(event))
    role, keys, current = running.hub.agencies[TO]
    running.hub.agencies[TO] = (role, keys, SealingKey.generate().public)
    recall = running.hub.recall(TO, [(event, event.categories)])
    running.deliver(recall)
    running.hub.agencies[TO] = (role, keys, current)
    runner = running.runner()
    runner.run_once()
    assert running.sequences() == [1]
    discard(running, 2)
    again(running, 2, recall)
    assert running.runner().run_once().applied == 1
    assert running.sequences() == []
    assert lines(running)[-1][:2] == (2, "deleted")


def test_discarding_one_of_a_message_leaves_the_others_to_redrive(running: Site) -> None:
    role, keys, current = running.hub.agencies[TO]
    lost = SealingKey.generate()
    running.hub.agencies[TO] = (role, keys, lost.public)
    running.deliver(*[running.release(event) for event in running.events(3)])
    running.hub.agencies[TO] = (role, keys, current)
    runner = running.runner()
    assert runner.run_once().quarantined == 3
    discard(running, 1)
    retired = running.identity.home / "retired"
    retired.mkdir(exist_ok=True)
    (retired / "found.key").write_bytes(lost.private)
    opener = Opener(running.identity, RegistryCache(running.identity))
    assert redrive(running.new_sink(), opener, at=NOW)[0] >= 2
    assert running.sequences() == [2, 3]


def test_an_outage_of_a_week_quarantines_nothing(running: Site) -> None:
    """Two hundred rounds against a dead partner: no row, no receipt, then all of it."""
    running.deliver(*[running.release(event) for event in running.events(5)])
    sink = Flaky(running.new_sink(), lambda: SinkDownError("the server is away"))
    runner = running.runner(sink=sink)
    sink.failing["apply"] = 200
    for _ in range(200):
        with pytest.raises(SinkDownError):
            runner.run_once()
    assert sink.quarantine(waiting_only=False) == []
    assert running.receipts() == []
    assert runner.run_once().applied == 5
    assert [(one["first_sequence"], one["last_sequence"]) for one in running.receipts()] == [(1, 5)]
