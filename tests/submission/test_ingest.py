"""The ingest topic under bad input: refused, recorded, answered; later messages flow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.submit import Publisher
from hub.ingest import INGEST_TOPIC
from hub.recording.draft import stream_id
from hub.store import events as stored
from hub.topics.port import Message
from tests.road import Road
from tests.submission.workshop import TEXT, bad_inputs

OPENED = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    road = Road.open(tmp_path, {"NGO-1": "ngo_support", "POL-1": "police"})
    yield road
    road.close()


def test_bad_messages_never_stop_the_topic(road: Road, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    bad = [message for _, _, _, message in bad_inputs() if message]
    road.hub.topics.append(INGEST_TOPIC, [Message(message) for message in bad])
    outcome = road.publish("NGO-1", "CaseOpened", "C1", **OPENED)
    assert outcome.accepted, "what comes after flows"

    refused = [
        one.event
        for one in road.hub.exchange.log.read(0, 10_000)
        if isinstance(one.event, stored.Refused)
    ]
    assert len(refused) == len(bad), "each is on record"
    assert all(TEXT not in repr(one) for one in refused)
    assert TEXT not in caplog.text


def test_a_replayed_message_changes_nothing(road: Road) -> None:
    sealed = Publisher(road.identities["NGO-1"]).prepare([road.event("CaseOpened", "C1", **OPENED)])
    for _ in range(3):
        road.hub.topics.append(INGEST_TOPIC, [Message(sealed)])
    road.settle()
    topics = road.hub.exchange.log.counts().by_topic
    assert topics["nrm.Case.EventAccepted"] == 1
    assert "nrm.Submission.Refused" not in topics


def test_the_sender_sees_its_refusals_and_nobody_elses(road: Road) -> None:
    outcome = road.publish("POL-1", "NeedsAssessed", "C1", domains=["medical"])
    assert (outcome.step, outcome.reason) == (6, "role_may_not_emit")
    [seen] = road.hub.exchange.log.stream(stream_id("refusals", "POL-1"))
    assert isinstance(seen.event, stored.Refused)
    assert road.hub.exchange.log.stream(stream_id("refusals", "NGO-1")) == []


def test_a_lost_ingest_topic_is_read_from_its_new_start(road: Road) -> None:
    assert road.publish("NGO-1", "CaseOpened", "C1", **OPENED).accepted
    before = road.hub.topics.identity(INGEST_TOPIC)
    path = road.folder / "hub" / "topics.db"
    road.hub.topics.close()
    for leftover in path.parent.glob("topics.db*"):
        leftover.unlink()
    reopened = Road.open(road.folder, {"NGO-1": "ngo_support", "POL-1": "police"})
    try:
        assert reopened.hub.topics.identity(INGEST_TOPIC) != before
        assert reopened.publish("NGO-1", "CaseOpened", "C2", **OPENED).accepted
    finally:
        reopened.close()
