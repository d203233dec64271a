"""One road through a real Kafka: publish, deliver, apply, receipt."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path

import sqlalchemy as sa

from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import TopicInbox
from connectors.agency.transport import TopicTransport
from connectors.runner import Runner
from connectors.sql import SqlSink
from connectors.submit import Publisher
from hub.topics import Message, open_topics
from tests.connectors.builder import MiniHub, identity_recorded


def test_through_kafka(kafka_url: str, tmp_path: Path) -> None:
    hub = MiniHub(topics_url=kafka_url, prefix=f"c{secrets.token_hex(4)}")
    shelter = hub.enrol(tmp_path, "SH-1", "shelter")
    police = hub.enrol(tmp_path, "POL-1", "police")
    topics = open_topics(kafka_url)
    topics.ensure([*shelter.hub.topics.values(), *police.hub.topics.values()])

    def hub_side() -> None:
        [message] = topics.read(shelter.hub.topics["ingest"], None, 1, 60)
        topics.append(shelter.hub.topics["outcomes"], [Message(hub.outcomes(message.value))])
        release = hub.release("POL-1", hub.record(message.value)[0], ["identity"])
        topics.append(police.hub.topics["registry"], [Message(hub.registry())])
        delivered = Message(hub.message("POL-1", [release]))
        topics.append(police.hub.topics["deliveries"], [delivered, delivered])

    thread = threading.Thread(target=hub_side)
    thread.start()
    publishing = open_topics(kafka_url)
    [outcome] = Publisher(shelter, TopicTransport(publishing, shelter)).publish(
        [identity_recorded()]
    )
    assert outcome.accepted
    thread.join(60)

    sink = SqlSink(f"sqlite:///{tmp_path}/partner.db", "POL-1", hub.hub_id)
    inbox = TopicInbox(open_topics(kafka_url), AgencyIdentity.load(police.home))
    runner = Runner(inbox, sink, police)
    while runner.run_once(5).idle:
        pass
    with sink.database.reading() as db:
        names = db.execute(sa.text("SELECT given_name, gender FROM identity_recorded")).all()
    assert [tuple(row) for row in names] == [("Synthetic", None)]
    [receipt] = topics.read(police.hub.topics["receipts"], None, 10, 10)
    assert hub.receipt(receipt.value)["last_sequence"] == 1
    for one in (topics, publishing, inbox, sink):
        one.close()
