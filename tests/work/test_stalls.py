"""Stalls: what stands still is on the list while it does, once, and off it afterwards."""

from __future__ import annotations

from datetime import timedelta

from consumers.raising import close_item
from consumers.stalls import LAG, Stalls
from hub.domain.policy import default_document
from tests.policy.officers import in_force
from tests.work.office import ADULT, DONE, OPEN, Office, at


def released(desk: Office) -> None:
    """Something is on its way to the shelter; the auditor, who is told of consents, answers."""
    desk.partner("AUD-1")
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.consent("C1", {"SH-1": ["health"]})
    desk.refer("C1", "SH-1", "r1", respond_by="2026-03-20T15:00:00Z")


def settle(desk: Office) -> None:
    desk.settle()
    desk.hub.checkpoints.step(now=True)


def look(desk: Office) -> set[str]:
    """What stalls there are on the list after a look."""
    desk.hub.work.catch_up()
    desk.hub.stalls.look()
    desk.hub.work.catch_up()
    kinds = {"publisher_lag", "checkpoint_late", "recipient_silent"}
    return {one.kind for one in desk.items(None, OPEN)} & kinds


def test_nothing_stalls_while_all_is_well(desk: Office) -> None:
    desk.partner("SH-1")
    released(desk)
    settle(desk)
    desk.time.at += timedelta(days=3)
    assert look(desk) == set()


def test_decisions_nobody_sends(desk: Office) -> None:
    released(desk)
    desk.time.at += LAG
    assert look(desk) == {"checkpoint_late"}, "five minutes are not over"
    desk.time.at += timedelta(seconds=1)
    assert look(desk) == {"checkpoint_late", "publisher_lag"}
    assert desk.item("publisher_lag").role == "operator"
    assert look(desk) == {"checkpoint_late", "publisher_lag"}
    assert len(desk.items("publisher_lag")) == 1
    settle(desk)
    assert look(desk) == set()
    assert desk.item("publisher_lag", DONE).closed_by == "hub"


def test_a_recipient_that_does_not_answer(desk: Office) -> None:
    released(desk)
    desk.settle()
    desk.time.at += timedelta(hours=24)
    assert "recipient_silent" not in look(desk)
    desk.time.at += timedelta(seconds=1)
    look(desk)
    item = desk.item("recipient_silent")
    assert (item.role, item.agency, item.detail) == ("operator", "", {"agency": "SH-1"})
    desk.say(
        "NGO-1",
        "ConsentAmended",
        "C1",
        consent_id="c1",
        scope={"SH-1": ["health"]},
        valid_until="2027-03-01",
        reason="renewal",
    )
    desk.settle()
    look(desk)
    assert len(desk.items("recipient_silent")) == 1, "the same silence"
    desk.partner("SH-1")
    desk.settle()
    assert "recipient_silent" not in look(desk)


def test_the_profile_says_how_long_a_recipient_may_be_silent(desk: Office) -> None:
    document = default_document() | {"version": "2"}
    document["timers"]["unanswered_deliveries_hours"] = 1
    in_force(desk.hub, document)
    released(desk)
    desk.settle()
    desk.time.at += timedelta(hours=1, seconds=1)
    assert "recipient_silent" in look(desk)


def test_a_person_who_closed_it_is_not_told_of_the_same_stall_again(desk: Office) -> None:
    released(desk)
    desk.settle()
    desk.time.at += timedelta(days=2)
    look(desk)
    close_item(desk.hub.exchange, desk.item("recipient_silent"), by="A", because="seen")
    assert "recipient_silent" not in look(desk)
    assert "recipient_silent" not in look(desk)


def test_a_look_now_and_then(desk: Office) -> None:
    released(desk)
    desk.settle()
    desk.time.at = at(2026, 3, 10)
    desk.hub.work.catch_up()
    steady = [0.0]
    stalls = Stalls(desk.hub.exchange, lambda: steady[0])
    assert stalls.step() > 0
    desk.hub.work.catch_up()
    desk.partner("SH-1")
    desk.settle()
    steady[0] = 4.9
    assert stalls.step() == 0
    steady[0] = 5.0
    assert stalls.step() > 0, "it is over"
