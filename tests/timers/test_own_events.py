"""The hub's own events: stated by its desk, admitted like any agency's, each exactly once."""

from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from consumers.own_desk import AGENCY, own_identity
from consumers.raising import close_item
from hub.clock import Clock
from hub.domain.parties import HUB_ROLE
from hub.domain.policy import default_document
from hub.errors import NotReady, Refused
from hub.home import Home
from hub.hub import Hub
from hub.recording.answered import OutcomeFacts
from hub.store import events as stored
from tests.policy.officers import in_force
from tests.work.office import ADULT, DONE, OPEN, WAITING, Office, at


def own(desk: Office, type_: str | None = None) -> list[stored.EventAccepted]:
    """What the hub stated."""
    return [
        one.event
        for one in desk.hub.exchange.log.read(0, 10_000)
        if isinstance(one.event, stored.EventAccepted)
        and one.event.emitter == AGENCY
        and type_ in (None, one.event.event_type)
    ]


def refused(desk: Office) -> list[stored.Refused]:
    return [
        one.event
        for one in desk.hub.exchange.log.read(0, 10_000)
        if isinstance(one.event, stored.Refused)
    ]


# -- the desk --------------------------------------------------------------------------------


def test_a_hub_that_states_nothing_is_not_in_its_register(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.attend()
    assert AGENCY not in desk.hub.exchange.agencies
    assert (desk.folder / "hub" / "keys" / "own" / "signing.key").stat().st_mode & 0o777 == 0o600


def test_own_events_are_signed_by_an_enrolled_key_and_verify_at_partners(desk: Office) -> None:
    runner = desk.partner("SH-1")
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.consent("C1", {"SH-1": ["protection"]})
    desk.refer("C1", "SH-1", "r1", respond_by="2026-03-02T15:00:00Z")
    desk.until(at(2026, 3, 3))
    [ended] = own(desk, "ReferralEnded")
    known = desk.hub.exchange.agencies.get(AGENCY)
    assert known is not None
    assert known.role == HUB_ROLE
    assert ended.role == HUB_ROLE
    assert runner.run_once().idle
    with sqlite3.connect(desk.folder / "SH-1.db") as database:
        aside = database.execute("SELECT count(*) FROM nrm_quarantine").fetchone()
    assert aside == (0,), "the partner verified the hub's evidence"
    assert desk.hub.receipts.acknowledged("SH-1") > 0


def test_a_lost_key_is_replaced_and_the_log_shows_it(desk: Office) -> None:
    desk.hub.timers._desk.enrol()
    place = desk.folder / "hub" / "keys" / "own"
    for file in sorted(place.iterdir()):
        file.unlink()
    place.rmdir()
    desk.reopen()
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.consent("C1", {"SH-1": ["protection"]}, valid_until="2026-03-10")
    desk.until(at(2026, 3, 11))
    assert len(own(desk, "ConsentExpired")) == 1
    keys = desk.hub.exchange.agencies.get(AGENCY)
    assert keys is not None
    assert len(keys.keys) == 2
    added = [
        one.event
        for one in desk.hub.exchange.log.read(0, 1_000)
        if isinstance(one.event, stored.AgencyKeyAdded)
    ]
    assert [one.by for one in added] == ["hub"]


def test_nobody_else_is_called_hub(tmp_path: Path) -> None:
    made = Office.open(tmp_path, {"HUB": "police"})
    assert isinstance(made, Office)
    with pytest.raises(NotReady, match="only the hub is called so"):
        made.hub.timers._desk.enrol()
    made.close()


def test_processes_that_open_a_home_at_once_share_one_key(tmp_path: Path) -> None:
    Home(tmp_path).init()
    keys, found = tmp_path / "keys", []
    start = threading.Barrier(4)

    def make() -> None:
        start.wait()
        found.append(own_identity(keys).signing.public)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(set(found)) == 1
    assert len(found) == 4
    assert sorted(one.name for one in keys.iterdir() if one.is_dir()) == ["own"]


def test_a_half_made_key_folder_says_what_to_do(tmp_path: Path) -> None:
    Home(tmp_path).init()
    (tmp_path / "keys" / "own").mkdir()
    (tmp_path / "keys" / "own" / "salt.key").write_bytes(b"x")
    with pytest.raises(NotReady, match="restore it from your backup"):
        own_identity(tmp_path / "keys")


# -- T05 -------------------------------------------------------------------------------------


def consented(desk: Office, **changes: Any) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.consent("C1", {"NGO-1": ["health"], "SH-1": ["health"]}, **changes)


def test_a_consent_expires_after_its_last_day_and_its_owner_is_told_before(desk: Office) -> None:
    consented(desk, valid_until="2026-06-30")
    desk.until(at(2026, 5, 30, 23, 59))
    assert desk.item("consent_expiring").state == WAITING
    desk.until(at(2026, 5, 31))
    item = desk.item("consent_expiring")
    assert (item.state, item.agency, item.due) == (OPEN, "NGO-1", at(2026, 7, 1))
    desk.until(at(2026, 6, 30, 23, 59))
    assert not own(desk)
    desk.until(at(2026, 7, 1))
    [expired] = own(desk)
    assert expired.event_type == "ConsentExpired"
    assert expired.occurred_at == at(2026, 7, 1)
    assert desk.item("consent_expiring", DONE).closed_because == "ConsentExpired"
    assert desk.item("consent_expired").agency == "NGO-1"
    desk.until(at(2026, 8, 1))
    assert len(own(desk)) == 1


def test_an_amended_consent_expires_on_its_new_last_day(desk: Office) -> None:
    consented(desk, valid_until="2026-03-20")
    desk.until(at(2026, 3, 19))
    scope = {"NGO-1": ["health"], "SH-1": ["health"]}
    desk.say(
        "NGO-1",
        "ConsentAmended",
        "C1",
        consent_id="c1",
        scope=scope,
        valid_until="2026-09-20",
        reason="renewal",
    )
    desk.until(at(2026, 9, 20, 23))
    assert not own(desk)
    assert desk.item("consent_expiring").state == OPEN
    desk.until(at(2026, 9, 21))
    assert len(own(desk, "ConsentExpired")) == 1


def test_a_withdrawn_consent_expires_no_more(desk: Office) -> None:
    consented(desk, valid_until="2026-03-20")
    desk.say("NGO-1", "ConsentWithdrawn", "C1", consent_id="c1", extent="all", leave_nrm=False)
    desk.until(at(2026, 4, 20))
    assert not own(desk)
    assert not desk.items("consent_expiring")


def test_closing_the_item_keeps_no_consent_from_expiring(desk: Office) -> None:
    consented(desk, valid_until="2026-03-20")
    desk.attend()
    close_item(desk.hub.exchange, desk.item("consent_expiring"), by="A", because="seen")
    desk.attend()
    assert not desk.items("consent_expiring")
    desk.until(at(2026, 3, 21))
    assert len(own(desk, "ConsentExpired")) == 1


def test_an_item_closed_before_a_renewal_expires_nothing(desk: Office) -> None:
    consented(desk, valid_until="2026-03-20")
    desk.attend()
    close_item(desk.hub.exchange, desk.item("consent_expiring"), by="A", because="seen")
    desk.say(
        "NGO-1",
        "ConsentAmended",
        "C1",
        consent_id="c1",
        scope={"NGO-1": ["health"]},
        valid_until="2026-09-20",
        reason="renewal",
    )
    desk.until(at(2026, 3, 25))
    assert not own(desk)
    desk.until(at(2026, 9, 21))
    assert len(own(desk)) == 1


# -- T06 -------------------------------------------------------------------------------------


def test_a_referral_lapses_after_respond_by_and_its_sender_is_told(desk: Office) -> None:
    consented(desk)
    desk.refer("C1", "SH-1", "r1", respond_by="2026-03-02T15:00:00Z")
    desk.until(at(2026, 3, 2, 15))
    item = desk.item("referral_unanswered")
    assert (item.agency, item.overdue(at(2026, 3, 2, 15))) == ("SH-1", False)
    assert not own(desk)
    desk.until(at(2026, 3, 2, 15, 1))
    [ended] = own(desk)
    assert ended.event_type == "ReferralEnded"
    assert not refused(desk)
    assert desk.item("referral_lapsed").agency == "NGO-1"
    desk.consent("C1", {"SH-1": ["health"]}, consent_id="c2")
    desk.refer("C1", "SH-1", "r2", respond_by="2026-03-03T15:00:00Z")
    assert not desk.items("referral_lapsed"), "referred again"


def test_an_answered_referral_does_not_lapse(desk: Office) -> None:
    consented(desk)
    desk.refer("C1", "SH-1", "r1", respond_by="2026-03-02T15:00:00Z")
    desk.say("SH-1", "ReferralAccepted", "C1", referral_id="r1")
    desk.until(at(2026, 3, 4))
    assert not own(desk)
    assert not desk.items("referral_unanswered")


def test_an_answer_that_came_while_the_timer_looked_wins(desk: Office) -> None:
    """The desk states nothing on what the case was before the answer."""
    consented(desk)
    desk.refer("C1", "SH-1", "r1", respond_by="2026-03-02T15:00:00Z")
    desk.attend()
    desk.time.at = at(2026, 3, 2, 16)
    publish = desk.hub.timers._desk.publish

    def late(*args: Any, **options: Any) -> Any:
        desk.say("SH-1", "ReferralAccepted", "C1", referral_id="r1")
        return publish(*args, **options)

    desk.hub.timers._desk.publish = late  # type: ignore[method-assign]
    desk.hub.timers.step()
    desk.hub.timers._desk.publish = publish  # type: ignore[method-assign]
    desk.attend()
    assert not own(desk)
    assert not refused(desk)
    assert desk.item("referral_unanswered", DONE).closed_because == "ReferralAccepted"


def test_a_time_to_answer_in_the_past_is_refused_with_what_to_do(desk: Office) -> None:
    consented(desk)
    referral = {"referral_id": "r1", "to_agency": "SH-1", "services": ["x"], "urgency": "1_day"}
    past = {**referral, "respond_by": "1985-01-01T00:00:00Z", "basis": "c1"}
    no = desk.publish("NGO-1", "ReferralMade", "C1", **past)
    assert (no.accepted, no.reason) == (False, "deadline_past")
    assert "correct the deadline" in str(no.detail)
    desk.attend()
    assert not own(desk)
    assert not desk.items("referral_lapsed"), "nobody is told that nobody answered"


def test_a_referral_that_arrives_too_late_lapses_at_once_and_loses_nothing(desk: Office) -> None:
    consented(desk)
    referral = {"referral_id": "r1", "to_agency": "SH-1", "services": ["x"], "urgency": "1_hour"}
    soon = desk.time.at + timedelta(hours=1)
    late = desk.event("ReferralMade", "C1", **referral, respond_by=soon.isoformat(), basis="c1")
    desk.until(soon + timedelta(hours=5))
    [outcome] = desk.publish_all("NGO-1", [late])
    assert outcome.accepted
    desk.attend()
    [ended] = own(desk)
    assert ended.occurred_at == desk.time.at, "nothing lapses before it was said"
    assert not refused(desk)
    assert desk.item("referral_lapsed").agency == "NGO-1"


# -- hold ------------------------------------------------------------------------------------


def recovering(desk: Office) -> None:
    desk.identified("C1")
    desk.decided("C1")
    desk.say(
        "CA-1",
        "RecoveryPeriodStarted",
        "C1",
        start="2026-03-03",
        minimum_days=30,
        ends_on="2026-04-17",
    )


def test_recovery_without_a_hold_gets_one_and_enforcement_hears_of_it(desk: Office) -> None:
    desk.partner("IE-1")
    recovering(desk)
    desk.attend()
    [placed] = own(desk)
    assert placed.event_type == "RemovalHoldPlaced"
    assert placed.facts == b'{"until":"2026-04-17"}'
    assert desk.hub.receipts.acknowledged("IE-1") == 1
    desk.say("CA-1", "RecoveryPeriodChanged", "C1", ends_on="2026-05-17", reason="extended")
    desk.attend()
    assert [one.facts for one in own(desk)][1:] == [b'{"until":"2026-05-17"}'], "prolonged"


def test_a_hold_that_was_placed_is_not_placed_again(desk: Office) -> None:
    recovering(desk)
    desk.say("CA-1", "RemovalHoldPlaced", "C1", hold_ref="h1", until="2026-04-17")
    desk.attend()
    assert not own(desk)
    assert not desk.items("removal_hold_due")


# -- T15 -------------------------------------------------------------------------------------


def closed(desk: Office, case: str, until: str, subject: str | None = None) -> None:
    opening = desk.event("CaseOpened", case, **ADULT)
    ending = desk.event(
        "CaseClosed", case, reason="lost_contact", retention_until=until, outcome_codes=[]
    )
    for event in (opening, ending):
        [outcome] = desk.publish_all("NGO-1", [replace(event, subject=subject or case)])
        assert outcome.accepted, outcome


def publish_profile(desk: Office, **timers: Any) -> None:
    document = default_document()
    document["version"] = "changed"
    document["timers"] |= timers
    in_force(desk.hub, document)


def test_retention_asks_a_person_and_erases_nothing_by_itself(desk: Office) -> None:
    closed(desk, "C1", "2026-12-31")
    desk.until(at(2026, 12, 31))
    assert not desk.items("retention_due", OPEN)
    desk.until(at(2027, 1, 1))
    item = desk.item("retention_due", OPEN)
    assert (item.role, item.agency) == ("data_controller", "")
    desk.until(at(2027, 6, 1))
    assert not own(desk)


def test_retention_erases_where_the_profile_says_so(desk: Office) -> None:
    publish_profile(desk, T15_erase_automatically=True)
    closed(desk, "C1", "2026-12-31")
    desk.until(at(2026, 12, 31, 23))
    assert not own(desk)
    desk.until(at(2027, 1, 1))
    assert [one.event_type for one in own(desk)] == [
        "SubjectRequestReceived",
        "SubjectRequestDecided",
    ]
    assert not refused(desk)
    subject = desk.hub.exchange.pseudonyms.canonical("subject", "C1")
    assert desk.hub.exchange.secrets.erased(subject)


@pytest.mark.parametrize("other", ["open", "kept for longer"])
def test_nobody_is_erased_while_another_case_of_theirs_is_kept(desk: Office, other: str) -> None:
    publish_profile(desk, T15_erase_automatically=True)
    closed(desk, "C1", "2026-12-31", subject="P1")
    if other == "open":
        event = replace(desk.event("CaseOpened", "C2", **ADULT), subject="P1")
        assert desk.publish_all("NGO-1", [event])[0].accepted
    else:
        closed(desk, "C2", "2030-12-31", subject="P1")
    desk.until(at(2027, 1, 1))
    assert not own(desk)
    assert desk.item("retention_due", OPEN).overdue(at(2027, 1, 1)), "a person is asked"


# -- restarts and clocks -----------------------------------------------------------------------


def test_what_fell_due_while_the_hub_was_down_is_done_once_it_is_up(desk: Office) -> None:
    consented(desk, valid_until="2026-03-20")
    desk.refer("C1", "SH-1", "r1", respond_by="2026-03-02T15:00:00Z")
    desk.attend()
    desk.time.at = at(2026, 6, 1)
    desk.reopen()
    desk.attend()
    assert [one.event_type for one in own(desk)] == ["ReferralEnded", "ConsentExpired"]
    desk.reopen()
    desk.attend()
    assert len(own(desk)) == 2


def test_a_hub_that_dies_after_stating_an_event_states_it_once(desk: Office) -> None:
    consented(desk, valid_until="2026-03-20")
    desk.attend()
    desk.time.at = at(2026, 3, 21)
    record = desk.hub.exchange.record
    recorded: list[int] = []

    def and_die(*args: Any, **options: Any) -> Any:
        record(*args, **options)
        recorded.append(1)
        raise ConnectionAbortedError

    desk.hub.exchange.record = and_die  # type: ignore[method-assign]
    with pytest.raises(ConnectionAbortedError):
        desk.hub.timers.step()
    assert recorded == [1]
    desk.reopen()
    desk.attend()
    assert len(own(desk)) == 1


def test_while_the_clock_is_not_trusted_nothing_fires(tmp_path: Path) -> None:
    desk = Office.open(tmp_path, {"NGO-1": "ngo_support", "SH-1": "shelter"})
    assert isinstance(desk, Office)
    consented(desk, valid_until="2026-03-20")
    desk.hub.stop()
    steady = [0.0]
    desk.hub = Hub.open(Home(desk.folder / "hub"), Clock(desk.time, steady=lambda: steady[0]))
    desk.attend()
    desk.time.at = at(2031, 1, 1)  # a battery died
    steady[0] = 60
    desk.attend()
    assert not own(desk)
    desk.hub.stop()
    desk.time.at = at(2026, 3, 21)
    desk.hub = Hub.open(Home(desk.folder / "hub"), Clock(desk.time, steady=lambda: steady[0]))
    desk.attend()
    assert len(own(desk)) == 1, "the right time, and it fires"
    desk.close()


def test_two_hubs_on_one_home_fire_once(desk: Office) -> None:
    consented(desk, valid_until="2026-03-20")
    desk.identified("C2")
    other = Hub.open(Home(desk.folder / "hub"), Clock(desk.time, steady=None))
    try:
        desk.time.at = at(2026, 3, 21)
        for _ in range(6):
            desk.hub.attend()
            other.attend()
        assert len(own(desk, "ConsentExpired")) == 1
        fired = [
            (one.event.item, one.event.phase, one.event.at)
            for one in desk.hub.exchange.log.read(0, 10_000)
            if isinstance(one.event, stored.WorkFired)
        ]
        assert len(fired) == len(set(fired)) > 0
    finally:
        other.stop()


def test_a_refused_event_of_the_hub_is_on_the_list_and_not_tried_for_ever(desk: Office) -> None:
    consented(desk, valid_until="2026-03-20")
    desk.attend()
    desk.time.at = at(2026, 3, 21)
    tried = []

    def refuse(*_: Any, **__: Any) -> list[OutcomeFacts]:
        tried.append(1)
        no = Refused(7, "unknown_consent", "no")
        return [OutcomeFacts("HUB", b"", b"", False, None, no, desk.time.at)]

    desk.hub.timers._desk.publish = refuse  # type: ignore[method-assign]
    desk.attend()
    assert tried == [1]
    item = desk.item("own_event_refused")
    assert item.role == "operator"
    assert item.detail == {"kind": "consent_expiring", "reason": "unknown_consent"}
