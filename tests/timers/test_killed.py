"""Killed while timers fire: whatever was under way is done once, by whoever comes next."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hub import crash
from hub.store import events as stored
from tests.work.office import ADULT, OPEN, Office, at

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "point",
    [
        "after_own_event",
        "after_own_event:2",
        "after_fired",
        "store_before_commit:4",
        "store_after_commit:4",
        "store_after_commit:7",
    ],
)
def test_killed_at(desk: Office, point: str) -> None:
    desk.identified("C1")  # a decision is overdue by then: recorded, and no event of the hub
    desk.say("NGO-1", "CaseOpened", "C2", **ADULT)
    desk.consent("C2", {"SH-1": ["health"]}, valid_until="2026-03-12")
    desk.refer("C2", "SH-1", "r1", respond_by="2026-03-04T15:00:00Z")
    desk.hub.stop()
    when = at(2026, 3, 20)
    done = subprocess.run(
        [sys.executable, "-m", "tests.timers.killed", str(desk.folder / "hub"), when.isoformat()],
        cwd=ROOT,
        env={**os.environ, crash.VARIABLE: point},
        capture_output=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == crash.STATUS, done.stderr.decode()
    desk.time.at = when
    desk.reopen()
    desk.attend()
    rows = [one.event for one in desk.hub.exchange.log.read(0, 10_000)]
    own = [
        one.event_type
        for one in rows
        if isinstance(one, stored.EventAccepted) and one.emitter == "HUB"
    ]
    assert sorted(own) == ["ConsentExpired", "ReferralEnded"]
    fired = [(one.item, one.phase, one.at) for one in rows if isinstance(one, stored.WorkFired)]
    assert len(fired) == len(set(fired)) > 0
    overdue = desk.item("reasonable_grounds_due", OPEN)
    assert overdue.fired == overdue.due
    before = desk.everything()
    desk.hub.work.rebuild()
    assert desk.everything() == before
