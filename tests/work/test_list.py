"""The list is a fold of the log: restarts, rebuilding, recalls, receipts, refusals, failures."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from connectors.agency.receipts import sign_receipt
from connectors.sink import OwedReceipt, ReceiptException
from consumers.raising import close_item, raise_item
from consumers.work import WorkList
from hub.audit import conservation
from hub.domain import agenda
from hub.domain.agenda import procedure
from hub.domain.policy import default_document
from hub.domain.settlement import Settlement, Withheld
from hub.scenario import shipped
from hub.scenario.places import Places
from hub.scenario.stage import Stage
from hub.scenario.story import read
from hub.store import events as stored
from tests.policy.officers import in_force
from tests.work.office import ADULT, CHILD, DONE, OPEN, Office, at, office


def lived(desk: Office) -> None:
    """A few cases with something of everything that the list follows."""
    for agency in ("SH-1", "IE-1", "CA-1"):
        desk.partner(agency)
    desk.identified("C1")
    desk.decided("C1")
    started = {"start": "2026-03-03", "minimum_days": 30, "ends_on": "2026-04-17"}
    desk.say("CA-1", "RecoveryPeriodStarted", "C1", **started)
    desk.consent("C1", {"SH-1": ["health", "protection"]}, consent_id="c2")
    desk.refer("C1", "SH-1", "r2", respond_by="2026-03-02T15:00:00Z")
    desk.say("SH-1", "ReferralAccepted", "C1", referral_id="r2")
    desk.say("NGO-1", "NeedsAssessed", "C1", domains=["medical"], health_needs="x")
    desk.attend()
    desk.say("NGO-1", "CaseOpened", "C2", **CHILD)
    desk.say("NGO-1", "IdentityRecorded", "C2", given_name="X", date_of_birth="2008-05-20")
    desk.refer("C2", "SH-1", "r9", respond_by="2026-03-02T16:00:00Z")
    desk.publish("SH-1", "ReferralAccepted", "C2", referral_id="nonsense")
    desk.until(at(2026, 3, 4))
    desk.say("NGO-1", "ConsentWithdrawn", "C1", consent_id="c2", extent="all", leave_nrm=False)
    desk.attend()
    changed = default_document() | {"version": "later"}
    changed["timers"]["T08_subject_request_days"] = 20
    in_force(desk.hub, changed)
    request = {"request_id": "q1", "right": "access", "due_on": "2026-12-01"}
    desk.say("NGO-1", "SubjectRequestReceived", "C1", **request)
    desk.say("POL-1", "AgeDisputed", "C1", raised_by_role="police", basis="appearance")
    contestable = desk.item("age_dispute_contestable")
    close_item(desk.hub.exchange, contestable, by="NGO-1", because="not_founded", contested=True)
    desk.until(at(2026, 4, 20))


def test_the_list_made_again_is_the_same_list(desk: Office) -> None:
    lived(desk)
    before = desk.everything()
    assert {one.state for one in before} >= {"open", "done", "waiting"}
    assert len({one.kind for one in before}) > 15
    desk.hub.work.rebuild()
    assert desk.everything() == before


@pytest.mark.parametrize("batch", [1, 2, 7])
def test_it_is_the_same_however_the_log_was_cut(
    desk: Office, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    lived(desk)
    before = desk.everything()
    monkeypatch.setattr("consumers.work.BATCH", batch)
    monkeypatch.setattr("consumers.work.MOST_EVENTS", 3)  # cases are folded anew all the time
    desk.hub.work.rebuild()
    assert desk.everything() == before


@pytest.mark.postgres
def test_the_list_on_postgresql_is_the_list_on_sqlite(
    tmp_path: Path, new_postgres_database: Callable[[], str]
) -> None:
    shapes = []
    for name, places in (
        ("lite", {}),
        ("gres", {"store": new_postgres_database()}),
    ):
        made = office(tmp_path / name, **places)
        lived(made)
        before = made.everything()
        made.hub.work.rebuild()
        assert made.everything() == before
        shapes.append(
            sorted((one.kind, one.role, one.agency, one.state, str(one.due)) for one in before)
        )
        made.close()
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("name", ["S2", "S5"])
def test_a_whole_scenario_is_followed_without_a_stumble(tmp_path: Path, name: str) -> None:
    """Scenario runs state nothing of the hub's own; the list can be made of them all the same."""
    scenario = read(shipped.load(name))
    stage = Stage.build(scenario, tmp_path, Places())
    try:
        for event in scenario.events:
            stage.publish(event)
        stage.settle()
        assert stage.hub.exchange.log.work.position() == 0, "nobody followed"
        work = WorkList(stage.hub.exchange)
        work.catch_up()
        made = stage.hub.exchange.log.work.all()
        assert made
        assert "not_followed" not in {one.kind for one in made}
        work.rebuild()
        assert stage.hub.exchange.log.work.all() == made
        balance = conservation(stage.hub.exchange.log)
        assert (balance.even, balance.problems, balance.classes["pending"]) == (True, [], 0)
    finally:
        stage.close()


def test_a_restart_finds_the_list_as_it_was(desk: Office) -> None:
    lived(desk)
    before = desk.everything()
    desk.reopen()
    assert desk.hub.exchange.log.work.all() == before
    desk.attend()
    assert desk.everything() == before


def test_two_followers_do_not_disturb_each_other(desk: Office) -> None:
    lived(desk)
    other = WorkList(desk.hub.exchange)
    desk.say("NGO-1", "CaseOpened", "C3", **ADULT)
    other.catch_up()
    desk.say("NGO-1", "CaseOpened", "C4", **ADULT)
    desk.hub.work.catch_up()
    before = desk.everything()
    other.rebuild()
    assert desk.everything() == before


# -- recalls, receipts, refusals -----------------------------------------------------------------


def recalled(desk: Office) -> None:
    desk.say("NGO-1", "CaseOpened", "C1", **ADULT)
    desk.consent("C1", {"SH-1": ["health"]})
    desk.refer("C1", "SH-1", "r1", respond_by="2026-03-02T15:00:00Z")
    desk.say("SH-1", "ReferralAccepted", "C1", referral_id="r1")
    desk.say("NGO-1", "NeedsAssessed", "C1", domains=["medical"], health_needs="x")
    desk.attend()
    desk.say("NGO-1", "ConsentWithdrawn", "C1", consent_id="c1", extent="all", leave_nrm=False)
    desk.attend()


def test_a_recall_is_open_until_its_agency_has_answered(desk: Office) -> None:
    recalled(desk)
    item = desk.item("recall_open")
    assert (item.role, item.agency, item.due) == ("shelter", "SH-1", at(2026, 3, 9, 9))
    desk.until(at(2026, 3, 9, 9))
    assert desk.item("recall_open").overdue(desk.time.at)
    assert [one.kind for one in desk.hub.exchange.log.work.escalated("auditor", desk.time.at)] == [
        "recall_open"
    ]
    desk.partner("SH-1")  # it was away and comes back
    desk.attend()
    assert desk.item("recall_open", DONE).closed_because in ("deleted", "restricted")


def test_only_the_signed_receipt_closes_a_recall(desk: Office) -> None:
    recalled(desk)
    [_, sequence] = desk.item("recall_open").ref.split("/")
    desk.say("SH-1", "RecallAnswered", "C1", recall_ref=f"r1-{sequence}", outcome="deleted")
    assert desk.item("recall_open").state == OPEN


def test_what_was_set_aside_at_a_partner_is_its_own_to_mend(desk: Office) -> None:
    def receipt(*outcomes: tuple[int, str, str | None]) -> None:
        exceptions = [ReceiptException(one, outcome, None, why) for one, outcome, why in outcomes]
        owed = OwedReceipt(1, 1, 1, desk.time.at, exceptions)
        desk.hub.receipts.receive(sign_receipt(desk.identities["SH-1"], owed))

    recalled(desk)
    receipt((1, "quarantined", "schema_mismatch"))
    item = desk.item("dead_letter")
    assert (item.agency, item.detail) == ("SH-1", {"reason": "schema_mismatch"})
    desk.until(at(2026, 3, 3, 9))
    assert [one.kind for one in desk.hub.exchange.log.work.escalated("operator", desk.time.at)] == [
        "dead_letter"
    ]
    receipt((1, "quarantined", "Jane's address is too long"))
    assert desk.item("dead_letter").detail == {"reason": "other"}, "no text of a partner's"
    receipt((1, "applied", None))
    assert desk.item("dead_letter", DONE).closed_because == "receipt"


def test_what_a_partner_discards_closes_with_its_reason(desk: Office) -> None:
    def receipt(sequence: int, outcome: str, why: str | None) -> None:
        exceptions = [ReceiptException(sequence, outcome, None, why)]
        owed = OwedReceipt(1, sequence, sequence, desk.time.at, exceptions)
        desk.hub.receipts.receive(sign_receipt(desk.identities["SH-1"], owed))

    recalled(desk)
    [_, sequence] = desk.item("recall_open").ref.split("/")
    for one in (1, int(sequence)):
        receipt(one, "quarantined", "box_unopenable")
    receipt(1, "quarantined", "discarded_entered_by_hand")
    assert desk.item("dead_letter", DONE).closed_because == "discarded_entered_by_hand"
    receipt(int(sequence), "quarantined", "discarded_unreadable")
    assert len(desk.items("dead_letter", DONE)) == 2
    assert desk.item("recall_open").state == OPEN, "nobody said what became of what is held"


def test_words_after_discarded_are_no_reason(desk: Office) -> None:
    recalled(desk)
    owed = OwedReceipt(
        1, 1, 1, desk.time.at, [ReceiptException(1, "quarantined", None, "discarded_Jane was here")]
    )
    desk.hub.receipts.receive(sign_receipt(desk.identities["SH-1"], owed))
    assert desk.item("dead_letter").detail == {"reason": "other"}


def test_refusals_of_a_sender_are_one_item_a_day(desk: Office) -> None:
    for referral in ("a", "b"):
        desk.publish("SH-1", "ReferralAccepted", "C1", referral_id=referral)
    desk.publish("SH-1", "ConsentExpired", "C1", consent_id="c1")
    item = desk.item("sender_refused")
    assert (item.role, item.detail["agency"]) == ("operator", "SH-1")
    assert item.detail["reasons"] == ["role_may_not_emit", "unknown_case"]
    desk.time.at = at(2026, 3, 3)
    desk.publish("SH-1", "ReferralAccepted", "C1", referral_id="c")
    assert len(desk.items("sender_refused")) == 2


def test_whatever_a_stranger_sends_as_its_name_stays_off_the_list(desk: Office) -> None:
    desk.hub.exchange.record([desk.hub.ingest.admit(b"noise")])
    assert desk.item("sender_refused").detail == {"agency": "unknown", "reasons": ["malformed"]}


# -- faults of our own ---------------------------------------------------------------------------


def test_a_rule_that_fails_stops_nothing_and_is_not_silent(
    desk: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_: agenda.Look) -> None:
        raise ZeroDivisionError

    rules = {**procedure.RULES, "ReferralAccepted": (fails,)}
    monkeypatch.setattr(agenda, "_RULES", (rules,))
    desk.identified("C1")
    desk.attend()
    item = desk.item("not_followed")
    assert (item.role, item.detail) == ("operator", {"event_type": "ReferralAccepted"})
    assert desk.hub.failure is None
    monkeypatch.undo()
    desk.decided("C1")
    desk.attend()
    assert desk.item("conclusive_possible"), "later events are followed"


def test_an_event_of_a_kind_this_version_does_not_know_is_left_alone(desk: Office) -> None:
    assert raise_item(desk.hub.exchange, "of a later version", "x") == 1
    assert raise_item(desk.hub.exchange, "of a later version", "x") == 0
    desk.attend()
    assert not desk.everything()


def test_items_hold_nothing_but_codes(desk: Office) -> None:
    lived(desk)
    text = " ".join(str(dataclasses.asdict(one)) for one in desk.everything())
    for content in ("2008-05-20", "asthma", "health_needs", "given_name"):
        assert content not in text


def test_every_part_withheld_from_a_concerned_agency_has_one_owner_and_never_that_agency(
    desk: Office,
) -> None:
    lived(desk)
    withheld = set()
    for one in desk.hub.exchange.log.read(0, 10_000):
        if isinstance(one.event, stored.Settled):
            settlement = Settlement.from_record(json.loads(one.event.settlement))
            for agency in settlement.concerned:
                for category, outcome in settlement.decided.get(agency, {}).items():
                    if isinstance(outcome, Withheld):
                        withheld.add((settlement.event_id, agency, category, outcome.reason))
    told = [
        (one.ref.partition("/")[0], agency, category, reason)
        for one in desk.everything()
        if one.kind == "withheld"
        for agency, reasons in one.detail["withheld"].items()
        for category, reason in reasons.items()
    ]
    assert len(withheld) > 10
    assert sorted(told) == sorted(withheld)
    for one in desk.everything():
        if one.kind == "withheld":
            assert one.agency not in one.detail["withheld"]
