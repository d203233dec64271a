"""Conservation: nothing that was accepted is unaccounted for, and a hole is found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from hub.audit import Balance, conservation
from hub.store import events as stored
from hub.store.log import HubLog, Recorded
from tests.work.office import ADULT, Office
from tests.work.test_list import lived


class Doctored:
    """A log in which somebody changed what is read."""

    def __init__(self, log: HubLog, change: Callable[[Recorded], Recorded | None]) -> None:
        self._log = log
        self._change = change

    def every(self) -> Iterator[Recorded]:
        return (one for row in self._log.every() if (one := self._change(row)))

    def tracking(self, name: str) -> int:
        return self._log.tracking(name)


def balance(desk: Office) -> Balance:
    return conservation(desk.hub.exchange.log)


def doctored(desk: Office, change: Callable[[Recorded], Recorded | None]) -> Balance:
    log: Any = Doctored(desk.hub.exchange.log, change)
    return conservation(log)


def test_a_played_story_comes_out_even(desk: Office) -> None:
    lived(desk)
    found = balance(desk)
    assert found.problems == []
    assert found.even
    assert found.accepted == sum(found.classes.values()) > 200
    assert found.classes["released"] > 0
    assert found.classes["withheld"] > 0
    assert found.classes["purged"] > 0, "a recall was answered"
    assert found.classes["pending"] > 0, "the police have no connector here"


def test_each_step_of_a_release_is_a_class_of_its_own(desk: Office) -> None:
    runner = desk.partner("SH-1")
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.consent("C1", {"SH-1": ["health"]})
    desk.refer("C1", "SH-1", "r1", respond_by="2026-03-02T15:00:00Z")
    desk.say("SH-1", "ReferralAccepted", "C1", referral_id="r1")
    desk.settle()
    before = balance(desk)
    desk.say("NGO-1", "NeedsAssessed", "C1", domains=["medical"], health_needs="x")
    decided = balance(desk)
    assert decided.classes["pending"] == before.classes["pending"] + 1
    desk.hub.publisher.step()
    sent = balance(desk)
    assert sent.classes == decided.classes, "sent is not yet had"
    assert not runner.run_once().idle
    while desk.hub.receipts.step():
        pass
    had = balance(desk)
    assert had.classes["released"] == before.classes["released"] + 1
    assert had.even


def test_what_was_overtaken_is_withheld(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.consent("C1", {"SH-1": ["health"]})
    desk.refer("C1", "SH-1", "r1", respond_by="2026-03-02T15:00:00Z")
    desk.say("SH-1", "ReferralAccepted", "C1", referral_id="r1")
    desk.settle()
    before = balance(desk)
    desk.say("NGO-1", "NeedsAssessed", "C1", domains=["medical"], health_needs="x")
    withdrawn = {"consent_id": "c1", "extent": "all", "leave_nrm": False}
    desk.say("NGO-1", "ConsentWithdrawn", "C1", **withdrawn)
    desk.hub.publisher.mark()
    found = balance(desk)
    assert found.even
    assert found.classes["withheld"] > before.classes["withheld"]


def test_an_erased_person_is_purged(desk: Office) -> None:
    lived(desk)
    before = balance(desk)
    desk.say("NGO-1", "CaseOpened", "C8", **ADULT)
    desk.consent("C8", {"POL-1": ["identity"]})
    desk.refer("C8", "POL-1", "r8", respond_by="2026-05-02T15:00:00Z")
    desk.settle()
    assert balance(desk).classes["pending"] > before.classes["pending"]
    desk.hub.shredder.shred(desk.hub.exchange.pseudonyms.canonical("subject", "C8"))
    found = balance(desk)
    assert found.even
    assert found.classes["purged"] > before.classes["purged"]
    assert found.classes["pending"] == before.classes["pending"]


@pytest.mark.parametrize(
    ("gone", "says"),
    [
        (stored.Sending, "passed it without a delivery"),
        (stored.EventAccepted, "which is no event"),
    ],
)
def test_a_hole_is_found(desk: Office, gone: type, says: str) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.consent("C1", {"SH-1": ["health"]})
    desk.refer("C1", "SH-1", "r1", respond_by="2026-03-02T15:00:00Z")
    desk.settle()
    assert balance(desk).even
    found = doctored(desk, lambda row: None if isinstance(row.event, gone) else row)
    assert not found.even
    assert any(says in problem for problem in found.problems)


def test_a_delivery_that_nobody_decided_is_found(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.consent("C1", {"SH-1": ["health"]})
    desk.refer("C1", "SH-1", "r1", respond_by="2026-03-02T15:00:00Z")
    desk.settle()

    def more(row: Recorded) -> Recorded:
        if isinstance(row.event, stored.Sending):
            other = row.event.items.replace(b"case_management", b"health")
            return Recorded(row.position, replace(row.event, items=other))
        return row

    found = doctored(desk, more)
    assert any("sends health to SH-1 undecided" in problem for problem in found.problems)


def test_an_agency_that_came_later_is_counted_from_then_on(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.enrol("SH-9", "shelter")
    desk.consent("C1", {"SH-9": ["health"]})
    desk.refer("C1", "SH-9", "r1", respond_by="2026-03-02T15:00:00Z")
    desk.say("SH-9", "ReferralAccepted", "C1", referral_id="r1")
    desk.settle()
    assert balance(desk).even
