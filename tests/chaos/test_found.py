"""What kills have brought to light, each alone and small, so that it stays found."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import UUID

import pytest

from connectors.agency.transport import TopicTransport
from connectors.errors import RetryError
from connectors.submit import Event, Publisher
from consumers.receipts import RECEIPTS_TOPIC
from hub import publisher as publishing
from hub.recording.draft import stream_id
from hub.sending import waiting
from hub.store import events as stored
from hub.topics import Message, TopicUnavailable
from hub.topics.embedded import EmbeddedTopics
from hub.topics.port import Appended
from schemas import wire
from tests.patience import PATIENCE
from tests.road import CONSENT, Road

ROLES = {"NGO-1": "ngo_support", "SH-1": "shelter"}
ERASED = {
    "request_id": "q",
    "outcome": "granted",
    "exemption": "none",
    "action": "key_destroyed",
}


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    road = Road.open(tmp_path, ROLES)
    road.partner("SH-1")
    scope = {"SH-1": ["protection", "health"]}
    opened = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
    referral = {"referral_id": "r1", "to_agency": "SH-1", "services": ["accommodation"]}
    when = {"urgency": "routine", "respond_by": "2026-03-04T09:00:00Z", "basis": "c1"}
    road.publish("NGO-1", "CaseOpened", "C1", **opened)
    road.publish("NGO-1", "ConsentGiven", "C1", consent_id="c1", scope=scope, **CONSENT)
    road.publish("NGO-1", "ReferralMade", "C1", **referral, **when)
    road.publish("SH-1", "ReferralAccepted", "C1", referral_id="r1")
    road.settle()
    yield road
    road.close()


def needs_shown(road: Road) -> list[str]:
    with sqlite3.connect(road.folder / "SH-1.db") as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
        if "needs_assessed" not in tables:
            return []
        rows = database.execute("SELECT health_needs FROM needs_assessed ORDER BY sequence")
        return [need for (need,) in rows]


def test_what_is_said_after_an_erasure_outlives_it_however_late_the_secret_is_destroyed(
    road: Road,
) -> None:
    """The hub was killed between the erasure's record and its execution, and heard more first."""
    publisher = Publisher(road.identities["NGO-1"])
    for event in (
        road.event("NeedsAssessed", "C1", domains=["medical"], health_needs="before"),
        road.event("SubjectRequestDecided", "C1", **ERASED),
        road.event("NeedsAssessed", "C1", domains=["medical"], health_needs="after"),
    ):
        [[answer]] = road.hub.exchange.record([road.hub.ingest.admit(publisher.prepare([event]))])
        assert answer.accepted
    road.settle()
    assert needs_shown(road) == ["after"]


def test_a_receipt_that_says_more_than_applied_may_come_twice(road: Road) -> None:
    """The connector died between sending it and noting so; it tells of a recall."""
    needs = {"domains": ["medical"], "health_needs": "insulin"}
    assert road.publish("NGO-1", "NeedsAssessed", "C1", **needs).accepted
    road.settle()
    gone = {"consent_id": "c1", "extent": "all", "leave_nrm": False}
    assert road.publish("NGO-1", "ConsentWithdrawn", "C1", **gone).accepted
    road.settle()
    assert needs_shown(road) == []
    told = road.hub.receipts.acknowledged("SH-1")
    [receipt] = [
        one.event
        for one in road.hub.exchange.log.stream(stream_id("receipts", "SH-1"))
        if isinstance(one.event, stored.Received) and one.event.last_sequence == told
    ]
    signed = {"receipt": receipt.receipt, "signature": receipt.signature}
    road.hub.topics.append(RECEIPTS_TOPIC, [Message(wire.SIGNED_RECEIPT.single(signed))])
    road.settle()
    road.hub.receipts.receive(wire.SIGNED_RECEIPT.single(signed))
    assert road.hub.receipts.acknowledged("SH-1") == told
    assert road.publish("NGO-1", "NeedsAssessed", "C1", **needs).accepted


def test_an_erasure_is_on_record_although_the_hub_died_once_the_secret_was_gone(
    road: Road,
) -> None:
    subject = road.hub.exchange.pseudonyms.canonical("subject", "C1")
    assert road.publish("NGO-1", "SubjectRequestDecided", "C1", **ERASED).accepted
    road.hub.exchange.secrets.shred(subject)  # and then the power went
    road.settle()
    [record] = road.hub.exchange.log.stream(stream_id("shredded", subject.hex))
    assert isinstance(record.event, stored.SubjectShredded)
    assert UUID(bytes=record.event.subject_id) == subject


def need(road: Road, text: str) -> Event:
    return road.event("NeedsAssessed", "C1", domains=["medical"], health_needs=text)


def record(road: Road, *texts: str) -> None:
    """Recorded and decided; nothing is marked or sent yet."""
    sealed = Publisher(road.identities["NGO-1"]).prepare([need(road, text) for text in texts])
    [answers] = road.hub.exchange.record([road.hub.ingest.admit(sealed)])
    assert all(answer.accepted for answer in answers)


def test_a_backlog_that_does_not_fit_in_memory_is_sent_without_a_hole(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker came back for one batch, and was away again: then later ones were marked."""
    monkeypatch.setattr(waiting, "KEPT_DUE", 3)
    monkeypatch.setattr(waiting, "SEND_BATCH", 2)
    plain, taken, refused = EmbeddedTopics.append_each, [1], []

    def append_each(self: EmbeddedTopics, batches: dict[str, list[Message]]) -> dict[str, Appended]:
        if any(topic.startswith("nrm.d") for topic in batches):
            if not taken:
                refused.append(1)
                return dict.fromkeys(batches, TopicUnavailable("the broker is away"))
            taken.pop()
        return plain(self, batches)

    record(road, *(f"first {n}" for n in range(6)))
    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedTopics, "append_each", append_each)
        road.hub.publisher.step()
        record(road, "second")
        road.hub.publisher.step()
    assert refused
    road.settle()
    assert needs_shown(road) == [*(f"first {n}" for n in range(6)), "second"]
    with sqlite3.connect(road.folder / "SH-1.db") as database:
        assert database.execute("SELECT count(*) FROM nrm_quarantine").fetchone() == (0,)


def lose_topics(road: Road) -> None:
    for path in road.folder.glob("hub/topics.db*"):
        path.unlink()


@pytest.mark.parametrize("receipted", [False, True])
def test_what_lay_in_lost_topics_is_sent_again(
    road: Road, monkeypatch: pytest.MonkeyPatch, receipted: bool
) -> None:
    """Lost before the partner read it; or after, with the receipts the hub had not read."""
    monkeypatch.setattr(publishing, "LOOK_EVERY", 0.0)
    record(road, "one", "two")
    road.hub.publisher.step()
    if receipted:
        road.partner("SH-1").run_once()
        assert needs_shown(road) == ["one", "two"]
    lose_topics(road)
    road.hub.ensure_topics()
    record(road, "three")
    road.settle()
    road.partner("SH-1").run_once()
    road.settle()
    assert needs_shown(road) == ["one", "two", "three"]
    marked = road.hub.exchange.last_version(publishing.delivery_stream("SH-1"))
    assert road.hub.receipts.acknowledged("SH-1") == marked


def test_lost_topics_are_made_again_by_a_running_hub(
    road: Road, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hub.membership.registry.LOOK_EVERY", 0.2)
    road.hub.start()
    lose_topics(road)
    identity = road.identities["NGO-1"]
    publisher = Publisher(identity, TopicTransport(road.hub.topics, identity))
    [outcome] = publisher.publish([need(road, "after the loss")])
    assert outcome.accepted
    give_up = time.monotonic() + PATIENCE
    while needs_shown(road) != ["after the loss"] or road.hub.topics.end("nrm.registry") == 0:
        assert time.monotonic() < give_up
        with suppress(RetryError):
            road.partner("SH-1").run_once(0.1)
    assert road.hub.failure is None
