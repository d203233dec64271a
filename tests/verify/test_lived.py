"""A case as it is lived: overtaken sendings, recalls, erasure, keys that change; and absence."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from hub.audit.evidence import Asked, bundle
from hub.audit.evidence.file import archive
from hub.crypto.signing import SigningKey
from hub.errors import Refused
from hub.store import events as stored
from hub.tlog.note import Cosigner, Note
from nrm_verify.log import Key
from tests.consent.stage import CANARY, OPENED, ROLES, accepted, close, needs, open_case, withdraw
from tests.road import CONSENT, Road
from tests.verify.made import (
    by,
    checked,
    claiming,
    failing,
    lied,
    made,
    made_absence,
    members,
    rewritten,
)

ERASED = {"request_id": "q1", "outcome": "granted", "exemption": "none", "action": "key_destroyed"}


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    road = Road.open(tmp_path, ROLES)
    road.partner("SH-1")
    open_case(road, "C1", {"SH-1": ["health", "protection"]})
    road.settle()
    yield road
    close(road)


def event_of(road: Road, kind: str) -> str:
    """Position of the last event of a type."""
    found = road.hub.exchange.log.read(0, 10_000)
    return str(
        [
            one.position
            for one in found
            if isinstance(one.event, stored.EventAccepted) and one.event.event_type == kind
        ][-1]
    )


# -- overtaken: decided, and withdrawn before it was sent --------------------------------------


def overtaken(road: Road) -> None:
    """Needs are recorded and released; the withdrawal comes before anything is marked."""
    needs(road, "C1")
    withdraw(road, "C1")
    road.settle()


def test_what_was_held_back_is_told_and_checked(road: Road) -> None:
    overtaken(road)
    data = made(road.hub, case="C1")
    report = checked(data, road.hub)
    assert report.sent.held_back == 2  # health and protection of the needs
    assert report.sent.waiting == 0
    # A hub that says it held back something else.
    [position] = [
        one.position
        for one in road.hub.exchange.log.read(0, 10_000)
        if isinstance(one.event, stored.HeldBack)
    ]
    row = rewritten(road.hub, position, items=b"{}")
    assert failing(lied(road.hub, data, {position: row})).code in (
        "delivery_differs",
        "decision_differs",
    )


def test_a_delivery_marked_after_the_withdrawal_is_found(road: Road) -> None:
    """I3, by somebody who has only the file: the consent no longer stood at that position."""
    needs(road, "C1")
    road.settle()
    withdraw(road, "C1")
    road.settle()
    data = made(road.hub, case="C1")
    checked(data, road.hub)
    log = road.hub.exchange.log.read(0, 10_000)
    given = next(
        one.position
        for one in log
        if isinstance(one.event, stored.EventAccepted) and one.event.event_type == "ConsentGiven"
    )
    [row] = road.hub.exchange.log.read(given - 1, 1)
    assert isinstance(row.event, stored.EventAccepted)
    facts = {**json.loads(row.event.facts), "valid_until": "2026-03-01"}  # the day before
    lie = rewritten(road.hub, given, facts=json.dumps(facts).encode())
    assert failing(lied(road.hub, data, {given: lie})).step in (10, 11)


def test_recalled_is_told_as_recalled(road: Road) -> None:
    needs(road, "C1")
    road.settle()
    share = made(road.hub, case="C1", holder="SH-1")
    assert CANARY.encode() in share
    withdraw(road, "C1")
    road.settle()
    after = made(road.hub, case="C1", holder="SH-1")
    assert CANARY.encode() not in after
    report = checked(after, road.hub)
    assert report.sent.recalls == 1
    # As of before the recall: what was taken back since is not opened again.
    size = json.loads(members(share)["manifest.json"])["as_of"]
    past = made(road.hub, case="C1", holder="SH-1", as_of=str(size))
    assert CANARY.encode() not in past
    checked(past, road.hub)
    with pytest.raises(Refused) as refused:
        made_absence(road.hub, agency="SH-1", case="C1", categories=["health"])
    assert refused.value.reason == "was_released"
    assert "recalled" in refused.value.detail
    assert "held" not in refused.value.detail


def test_content_that_was_recalled_does_not_verify(road: Road) -> None:
    """A holder's old content put into a newer bundle, with the help of the hub's own keys."""
    needs(road, "C1")
    road.settle()
    old = members(made(road.hub, case="C1", holder="SH-1"))
    withdraw(road, "C1")
    road.settle()
    new = made(road.hub, case="C1", holder="SH-1")
    manifest = json.loads(members(new)["manifest.json"])
    position = int(event_of(road, "NeedsAssessed"))
    back = {
        name: one
        for name, one in old.items()
        if name.startswith((f"content/{position:012d}", f"rows/{position:012d}", "schemas/event"))
    }
    assert any(CANARY.encode() in one for one in back.values())
    content = [
        [int(name.split("/")[1]), int(name.split("/")[2])]
        for name in sorted({**members(new), **back})
        if name.startswith("content/")
    ]
    rows = sorted([*manifest["rows"], [position, "event"]])
    claims = {**manifest["claims"], "content": content}
    parts = {**members(new), **back}
    whole = {name: parts.pop(name) for name in ("manifest.json", "manifest.sig")}
    whole |= {name: parts[name] for name in sorted(parts)}
    forged = claiming(archive(whole), road.hub.keys.signing, rows=rows, claims=claims)
    failure = failing(lied(road.hub, forged, {}))
    assert (failure.step, failure.code, failure.exit) == (9, "not_held", 7)


def test_nothing_decided_is_waiting_as_of_then(road: Road) -> None:
    needs(road, "C1")  # settled, not yet marked
    head = road.hub.exchange.position
    road.settle()
    report = checked(made(road.hub, case="C1", as_of=str(head)), road.hub)
    assert report.sent.waiting == 1
    assert checked(made(road.hub, case="C1"), road.hub).sent.waiting == 0


# -- erasure -----------------------------------------------------------------------------------


def test_after_an_erasure_everything_verifies_and_nothing_opens(road: Road) -> None:
    needs(road, "C1")
    road.settle()
    accepted(road.publish("NGO-1", "SubjectRequestDecided", "C1", **ERASED))
    road.settle()
    assert road.hub.shredder.step() == 0
    whole = made(road.hub, case="C1")
    report = checked(whole, road.hub)
    assert report.decided is not None
    assert report.decided.events > 5
    assert report.sent.recalls >= 1
    for data in (whole, share := made(road.hub, case="C1", holder="SH-1")):
        assert CANARY.encode() not in data
    assert [name for name in members(share) if name.startswith("content/")] == []
    checked(share, road.hub)


# -- keys --------------------------------------------------------------------------------------


def test_a_key_revoked_later_still_signed_then(road: Road) -> None:
    needs(road, "C1")
    road.settle()
    road.hub.enrolment.revoke("NGO-1", None, reason="lost", by="operator")
    checked(made(road.hub, case="C1"), road.hub)


def test_a_key_that_was_not_valid_yet(road: Road) -> None:
    """Rotated: what the old key signed stands by the old key alone, at its positions."""
    needs(road, "C1")
    road.settle()
    identity = road.identities["NGO-1"]
    request = identity.rotate()
    identity.install_approval(road.hub.enrolment.approve(request, by="operator"))
    needs(road, "C1", "after")
    road.settle()
    data = made(road.hub, case="C1")
    checked(data, road.hub)
    log = road.hub.exchange.log.read(0, 10_000)
    [added] = [one for one in log if isinstance(one.event, stored.AgencyKeyAdded)]
    enrolled = next(
        one.event
        for one in log
        if isinstance(one.event, stored.AgencyEnrolled) and one.event.agency == "NGO-1"
    )
    first = next(
        one.position
        for one in log
        if isinstance(one.event, stored.AgencyEnrolled) and one.event.agency == "NGO-1"
    )
    assert isinstance(added.event, stored.AgencyKeyAdded)
    # The register claims the first key came only when the second did.
    swapped = {
        first: rewritten(road.hub, first, public=added.event.public, key_id=added.event.key_id),
        added.position: rewritten(
            road.hub, added.position, public=enrolled.public, key_id=enrolled.key_id
        ),
    }
    failure = failing(lied(road.hub, data, swapped))
    assert (failure.step, failure.code) == (8, "unknown_key")


def test_an_agreement_that_ended_is_a_reason(road: Road) -> None:
    road.hub.enrolment.end_agreement("SH-1", by="operator")
    needs(road, "C1")
    road.settle()
    checked(made(road.hub, case="C1"), road.hub)
    with pytest.raises(Refused) as refused:
        made(road.hub, case="C1", holder="SH-1")
    assert refused.value.reason == "no_agreement"


# -- the same question, the same bytes -----------------------------------------------------------


def test_the_same_question_gives_the_same_bytes_for_ever(road: Road) -> None:
    needs(road, "C1")
    road.settle()
    asked: list[dict[str, Any]] = [
        {"case": "C1"},
        {"agency": "SH-1"},
        {"event": event_of(road, "NeedsAssessed")},
        {"case": "C1", "holder": "SH-1"},
    ]
    road.hub.checkpoints.step(now=True)
    at = str(road.hub.exchange.position)
    first = [made(road.hub, **one, as_of=at) for one in asked]
    assert first == [made(road.hub, **one, as_of=at) for one in asked]
    for number in range(3):
        accepted(road.publish("NGO-1", "CaseOpened", f"D{number}", **OPENED))
        needs(road, "C1", "later")
        road.settle()
        road.hub.checkpoints.step(now=True)
    assert first == [made(road.hub, **one, as_of=at) for one in asked]
    for data in first:
        checked(data, road.hub)


def test_a_cosigned_checkpoint_is_taken_where_there_is_one(road: Road) -> None:
    road.hub.checkpoints.step(now=True)
    at = road.hub.exchange.position
    needs(road, "C1")
    road.hub.checkpoints.step(now=True)
    log = road.hub.exchange.log
    size, note = log.checkpoints()[-1]
    assert size > at
    witness = Cosigner("witness", SigningKey.generate())
    text = Note.parse(note.encode())
    log.put_checkpoint(size, bytes(text.adding(witness.line(text.text, 1_800_000_000))).decode())
    data = made(road.hub, case="C1", as_of=str(at))
    keys = [Key.parse(str(witness.verifier))]
    report = checked(data, road.hub, witnesses=keys, quorum=1)
    assert report.trust.cosigned == ["witness"]
    assert report.manifest is not None
    assert (report.manifest.as_of, report.manifest.tree_size) == (at, size)


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({}, "one_scope"),
        ({"case": "C1", "agency": "SH-1"}, "one_scope"),
        ({"agency": "SH-1", "holder": "NGO-1"}, "one_scope"),
        ({"case": "nowhere"}, "nothing_to_show"),
        ({"event": "999999"}, "unknown_event"),
        ({"agency": "nobody"}, "unknown_agency"),
        ({"case": "C1", "holder": "nobody"}, "unknown_agency"),
        ({"case": "C1", "as_of": "someday"}, "bad_as_of"),
        ({"case": "C1", "as_of": "2001-01-01"}, "bad_as_of"),
        ({"case": "C1", "earlier": b"no checkpoint"}, "bad_checkpoint"),
        ({"agency": "POL-1"}, "nothing_to_show"),
    ],
    ids=str,
)
def test_refused_with_a_reason(road: Road, asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused) as refused:
        made(road.hub, **asked)
    assert refused.value.reason == reason


def test_what_no_checkpoint_covers_has_to_wait(road: Road) -> None:
    road.hub.checkpoints.step(now=True)
    needs(road, "C1")
    with pytest.raises(Refused) as refused:
        bundle(road.hub.exchange, Asked(case="C1"), by(road.hub))
    assert refused.value.reason == "no_checkpoint"
    with pytest.raises(Refused) as refused:
        bundle(
            road.hub.exchange,
            Asked(case="C1", as_of=str(road.hub.exchange.position)),
            by(road.hub),
        )
    assert refused.value.reason == "no_checkpoint"


def test_only_the_hubs_own_signing_key_makes_one(road: Road) -> None:
    road.hub.checkpoints.step(now=True)
    other = replace(by(road.hub), key=SigningKey.generate())
    with pytest.raises(Refused) as refused:
        bundle(road.hub.exchange, Asked(case="C1"), other)
    assert refused.value.reason == "other_signing_key"


# -- absence -------------------------------------------------------------------------------------


def test_a_verifiable_no(road: Road) -> None:
    needs(road, "C1")
    road.settle()
    report = checked(made_absence(road.hub, agency="POL-1", case="C1"), road.hub)
    assert report.absence is not None
    assert (report.absence.agency, report.absence.own) == ("POL-1", 0)
    # Of some categories, though it was told of others; and it publishes in the case itself.
    data = made_absence(road.hub, agency="SH-1", case="C1", categories=["identity", "immigration"])
    report = checked(data, road.hub)
    assert report.absence is not None
    assert report.absence.categories == ("identity", "immigration")
    assert report.absence.own == 1
    assert report.absence.deliveries > 0


def test_no_is_refused_where_it_is_not_true(road: Road) -> None:
    needs(road, "C1")
    for state, fate in ((lambda: None, "not sent yet"), (road.settle, "held")):
        state()
        with pytest.raises(Refused) as refused:
            made_absence(road.hub, agency="SH-1", case="C1", categories=["health"])
        assert refused.value.reason == "was_released"
        assert fate in refused.value.detail
        assert CANARY not in refused.value.detail


def test_held_back_before_it_was_sent_is_not_shared(road: Road) -> None:
    overtaken(road)
    data = made_absence(road.hub, agency="SH-1", case="C1", categories=["health"])
    assert checked(data, road.hub).absence is not None


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"agency": "nobody", "case": "C1"}, "unknown_agency"),
        ({"agency": "POL-1", "case": "nowhere"}, "unknown_case"),
        ({"agency": "POL-1", "case": "C1", "categories": ["gossip"]}, "unknown_category"),
        ({"agency": "POL-1"}, "one_scope"),
    ],
    ids=str,
)
def test_absence_refused_with_a_reason(road: Road, asked: dict[str, Any], reason: str) -> None:
    with pytest.raises(Refused) as refused:
        made_absence(road.hub, **asked)
    assert refused.value.reason == reason


def test_a_later_release_convicts_an_earlier_false_no(road: Road) -> None:
    """Two files of one log contradict each other, and both are signed by the hub."""
    no = made_absence(road.hub, agency="SH-1", case="C1", categories=["health"])
    needs(road, "C1")
    road.settle()
    yes = made(road.hub, case="C1")
    statement = checked(no, road.hub)
    shown = checked(yes, road.hub)
    assert statement.manifest is not None
    assert shown.manifest is not None
    released = [
        position for position in shown.manifest.deliveries if position > statement.manifest.as_of
    ]
    assert released, "released after the word was given, so the word was true then"
    assert statement.manifest.scope.case == shown.manifest.scope.case


def test_a_case_with_a_consent_that_is_due(road: Road) -> None:
    """A consent that lapses and one given again: positions that granted pairs move."""
    scope = {"SH-1": ["health"]}
    again = {**CONSENT, "covers_history": False}
    accepted(road.publish("NGO-1", "ConsentGiven", "C1", consent_id="c2", scope=scope, **again))
    withdraw(road, "C1")
    needs(road, "C1")
    road.settle()
    road.time.at += timedelta(days=500)
    needs(road, "C1", "much later")
    road.settle()
    checked(made(road.hub, case="C1"), road.hub)
