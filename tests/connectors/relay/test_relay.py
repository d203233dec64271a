"""The relay and the partner's Kafka: what is written, what leaves, and what goes wrong."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from confluent_kafka import Producer
from pydantic import ValidationError

from connectors.conformance import (
    CANARY,
    batch,
    claimed,
    demographics,
    dies_applying,
    identity,
    opened_case,
    poison,
    recalled,
)
from connectors.delivery import Arrived
from connectors.errors import SettingsError, SinkDownError, SinkRefusedError
from connectors.kinds import KINDS, open_kind
from connectors.relay.sink import Options, RelaySink
from hub.topics import open_topics
from hub.topics.broker import LocalBroker
from hub.topics.kafka import KafkaTopics
from schemas.partner import PartnerSchemas
from tests.connectors.builder import MiniHub
from tests.connectors.commands.saying import said
from tests.connectors.relay.relayed import Reader, RelayBench
from tests.patience import PATIENCE
from tests.servers import KAFKA_USERS

pytestmark = pytest.mark.kafka
NEEDED = ("DESCRIBE", "DESCRIBE_CONFIGS", "READ", "WRITE", "CREATE")


@pytest.fixture(scope="module")
def reader(kafka_broker: LocalBroker) -> Iterator[Reader]:
    reader = Reader(kafka_broker.address)
    yield reader
    reader.close()


@pytest.fixture(scope="module")
def cluster(kafka_broker: LocalBroker) -> Iterator[KafkaTopics]:
    """Its administrator."""
    topics = KafkaTopics.open(kafka_broker.address)
    yield topics
    topics.close()


@pytest.fixture
def bench(kafka_broker: LocalBroker, reader: Reader, tmp_path: Path) -> Iterator[RelayBench]:
    bench = RelayBench(tmp_path, kafka_broker, reader)
    yield bench
    bench.close()


def alter(cluster: KafkaTopics, topic: str, **settings: str) -> None:
    from kafka.admin import ConfigResource, ConfigResourceType

    named = {name.replace("_", "."): value for name, value in settings.items()}
    asked = [ConfigResource(ConfigResourceType.TOPIC, topic, named)]
    cluster.cluster.ask(lambda admin: admin.alter_configs(asked))


def allow(cluster: KafkaTopics, user: str, prefix: str, *rights: str) -> None:
    from kafka.admin import (
        ACL,
        ACLOperation,
        ACLPermissionType,
        ACLResourcePatternType,
        ResourcePattern,
        ResourceType,
    )

    pattern = ResourcePattern(ResourceType.TOPIC, f"{prefix}.", ACLResourcePatternType.PREFIXED)
    rules = [
        ACL(f"User:{user}", "*", ACLOperation[right], ACLPermissionType.ALLOW, pattern)
        for right in rights
    ]
    assert not cluster.cluster.ask(lambda admin: admin.create_acls(rules))["failed"]


def as_user(bench: RelayBench, user: str, **options: Any) -> RelaySink:
    return bench.made(
        servers=[bench.broker.sasl_address],
        security="sasl_plaintext",
        user=user,
        password=KAFKA_USERS[user],
        timeout_seconds=10,
        **options,
    )


# -- what is written -------------------------------------------------------------------------


def test_key_frame_headers_and_topic(bench: RelayBench) -> None:
    claimed(bench).apply(batch(identity(1)))
    [(key, value, headers)] = bench.reader.all(f"{bench.prefix}.identity_recorded")
    schema = PartnerSchemas(bench.schemas).current("IdentityRecorded")
    assert (key, headers["nrm-sequence"]) == ("e-1", b"1")
    assert value is not None
    assert struct.unpack(">bI", value[:5]) == (0, schema.id)
    assert len(headers["nrm-id"]) == 32


def test_what_is_sent_again_is_the_same_to_the_byte(bench: RelayBench) -> None:
    """An unknown outcome: the books do not know that it arrived."""
    dies_applying(bench, batch(identity(1)), "after_remote")
    claimed(bench).apply(batch(identity(1)))
    first, second = bench.messages("e-1")
    assert first == second


def test_an_event_is_one_value_of_all_that_is_held(bench: RelayBench) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1)))
    sink.apply(batch(demographics(2)))
    shown = bench.shown("e-1") or {}
    assert shown["categories"] == ["demographics", "identity"]
    assert shown["bases"] == {"demographics": "public_task", "identity": "public_task"}
    assert (shown["given_name"], shown["gender"], shown["sequence"]) == (CANARY, "f", 2)
    sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    values = [value for _, value, _ in bench.messages("e-1")]
    assert not any(CANARY.encode() in (value or b"") for value in values)
    sink.apply(batch(recalled(4, ("e-1", ["demographics"]))))
    assert {value for _, value, _ in bench.messages("e-1")} == {None}


def test_topics_with_several_partitions(bench: RelayBench) -> None:
    sink = bench.made(partitions=3)
    sink.prepare()
    sink.claim()
    sink.apply(batch(*[identity(n, f"e-{n}") for n in range(1, 13)]))
    sink.apply(batch(recalled(13, *[(f"e-{n}", ["identity"]) for n in range(1, 13)])))
    assert CANARY.encode() not in bench.stored()
    assert all(bench.shown(f"e-{n}") is None for n in range(1, 13))


# -- what leaves -----------------------------------------------------------------------------


def test_no_receipt_before_the_cluster_has_compacted(
    bench: RelayBench, cluster: KafkaTopics
) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1)))
    topic = bench.topic("IdentityRecorded")
    alter(cluster, topic, max_compaction_lag_ms="600000")
    slow = bench.made(recall_seconds=0.3)
    slow.claim()
    recall = batch(recalled(2, ("e-1", ["identity"])))
    with pytest.raises(SinkDownError, match=r"has not compacted .* the recall is not answered"):
        slow.apply(recall)
    assert slow.position().sequence == 1
    assert [one.last for one in slow.owed(10)] == [1]
    assert CANARY.encode() in bench.stored(), "which is why nothing was said to be deleted"
    alter(cluster, topic, max_compaction_lag_ms="10")
    slow.apply(recall)
    assert slow.position().sequence == 2
    [outcome] = slow.owed(10)[-1].exceptions
    assert outcome.outcome == "deleted"
    assert CANARY.encode() not in bench.stored()


def test_who_looks_is_answered_while_a_recall_waits(
    kafka_broker: LocalBroker, reader: Reader, cluster: KafkaTopics, tmp_path: Path
) -> None:
    hub = MiniHub(topics_url=f"embedded:///{tmp_path}/topics.db")
    topics = open_topics(f"embedded:///{tmp_path}/topics.db")
    topics.ensure(["nrm.receipts", "nrm.registry", "nrm.deliveries.POL-1"])
    topics.close()
    home = hub.enrol(tmp_path, "POL-1", "police").home
    bench = RelayBench(tmp_path, kafka_broker, reader)
    partner = tmp_path / "partner.toml"
    partner.write_text(
        f'home = "{home}"\n[sink]\nkind = "relay"\n[sink.options]\nsecurity = "plaintext"\n'
        f'servers = ["{kafka_broker.address}"]\nprefix = "{bench.prefix}"\n'
        f'state = "{tmp_path}/relay.state.db"\n'
    )
    sink = claimed(bench)
    sink.apply(batch(identity(1), poison(2, "e-2")))
    alter(cluster, bench.topic("IdentityRecorded"), max_compaction_lag_ms="600000")
    recall = batch(recalled(3, ("e-1", ["identity"])))
    waiting = threading.Thread(target=sink.apply, args=(recall,))
    waiting.start()
    books = sa.create_engine(f"sqlite:///{tmp_path}/relay.state.db", connect_args={"timeout": 0})
    deadline = time.monotonic() + PATIENCE
    with books.connect() as db, pytest.raises(sa.exc.OperationalError, match="locked"):
        while time.monotonic() < deadline:
            db.exec_driver_sql("BEGIN IMMEDIATE")
            db.exec_driver_sql("ROLLBACK")
    books.dispose()
    assert "position    delivery 2 of test-hub" in said("connector", "status", partner, code=3)
    assert "bad_agency_signature" in said("connector", "quarantine", partner)
    assert waiting.is_alive(), "they were answered while it waits"
    alter(cluster, bench.topic("IdentityRecorded"), max_compaction_lag_ms="10")
    producer = Producer({"bootstrap.servers": kafka_broker.address})
    producer.produce(bench.topic("IdentityRecorded"), key=b"e-1", value=None)  # closes the segment
    assert producer.flush(10) == 0
    waiting.join(PATIENCE)
    assert sink.position().sequence == 3
    bench.close()


POINTS = ("before_remote", "before_forgotten", "after_remote", "after_sink_commit")


@pytest.mark.parametrize("point", POINTS)
def test_killed_in_a_recall(bench: RelayBench, point: str) -> None:
    claimed(bench).apply(batch(identity(1)))
    recall = batch(recalled(2, ("e-1", ["identity"])))
    dies_applying(bench, recall, point)
    sink = claimed(bench)
    if len(sink.owed(10)) > 1:
        assert CANARY.encode() not in bench.stored()
    sink.apply(recall)
    assert bench.shown("e-1") is None
    assert CANARY.encode() not in bench.stored()


@pytest.mark.parametrize("then", [(), (recalled(2, ("e-1", ["identity"])),)])
def test_what_a_cut_off_attempt_left_goes_with_its_delivery(
    bench: RelayBench, then: tuple[Arrived, ...]
) -> None:
    dies_applying(bench, batch(identity(1)), "after_remote")
    claimed(bench).apply(batch(poison(1, "e-1"), *then))
    assert bench.shown("e-1") is None
    assert CANARY.encode() not in bench.stored()


def test_recalled_after_the_books_were_lost(bench: RelayBench) -> None:
    claimed(bench).apply(batch(identity(1), opened_case(2)))
    for path in bench.folder.glob("relay.state.db*"):
        path.unlink()
    claimed(bench).apply(batch(recalled(1, ("e-1", ["identity"]))))
    assert bench.shown("e-1") is None
    assert bench.shown("e-0") is not None
    assert CANARY.encode() not in bench.stored()


# -- what is refused -------------------------------------------------------------------------


def test_a_message_the_topic_never_takes_is_named(bench: RelayBench, cluster: KafkaTopics) -> None:
    sink = claimed(bench)
    sink.apply(batch(identity(1)))
    alter(cluster, bench.topic("IdentityRecorded"), max_message_bytes="600")
    with pytest.raises(SinkRefusedError, match=r"raise its max\.message\.bytes") as refused:
        sink.apply(batch(opened_case(2), identity(3, "e-3", aliases=["x" * 2000])))
    assert (refused.value.reason, refused.value.sequence) == ("message_too_large", 3)
    assert sink.position().sequence == 1
    sink.apply(batch(opened_case(2), poison(3, "e-3"), identity(4, "e-4")))
    assert bench.shown("e-3") is None
    assert bench.shown("e-4") is not None


def test_a_value_that_does_not_fit_is_named_without_it(bench: RelayBench) -> None:
    with pytest.raises(SinkRefusedError, match=r"IdentityRecorded\.date_of_birth") as refused:
        claimed(bench).apply(batch(opened_case(1), identity(2, date_of_birth=CANARY)))
    assert (refused.value.reason, refused.value.sequence) == ("value_unsuitable", 2)
    assert CANARY not in str(refused.value)


@pytest.mark.parametrize(
    ("setting", "value", "fix"),
    [
        ("cleanup.policy", "delete", "--add-config cleanup.policy=compact"),
        (
            "max.compaction.lag.ms",
            "9223372036854775807",
            "--add-config max.compaction.lag.ms=10000",
        ),
    ],
)
def test_a_topic_from_which_nothing_leaves_is_not_written_to(
    bench: RelayBench, cluster: KafkaTopics, setting: str, value: str, fix: str
) -> None:
    config = {"cleanup.policy": "compact", "max.compaction.lag.ms": "10000", setting: value}
    cluster.cluster.create({bench.topic("IdentityRecorded"): config}, 1, 1)
    with pytest.raises(SettingsError, match=fix) as wrong:
        bench.open()
    assert bench.topic("IdentityRecorded") in str(wrong.value)


# -- outages ---------------------------------------------------------------------------------


def test_a_missing_topic_that_may_not_be_made_is_an_outage(bench: RelayBench) -> None:
    sink = bench.made(make_topics=False)
    sink.prepare()
    sink.claim()
    with pytest.raises(SinkDownError, match=r"identity_recorded is not there: make it"):
        sink.apply(batch(identity(1)))
    assert sink.position().sequence == 0


def test_nobody_there(bench: RelayBench) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    sink = bench.made(servers=[f"127.0.0.1:{port}"], timeout_seconds=1)
    with pytest.raises(SinkDownError, match="no Kafka answers"):
        sink.prepare()


def test_somebody_else_there(bench: RelayBench) -> None:
    """Whatever answers is no Kafka: bounded, and said."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" * 4096)

        thread = threading.Thread(target=talk, daemon=True)
        thread.start()
        sink = bench.made(servers=[f"127.0.0.1:{server.getsockname()[1]}"], timeout_seconds=1)
        began = time.monotonic()
        with pytest.raises(SinkDownError):
            sink.prepare()
        assert time.monotonic() - began < PATIENCE
        server.shutdown(socket.SHUT_RDWR)


def test_a_broker_that_hangs_is_waited_for(bench: RelayBench) -> None:
    sink = bench.made(timeout_seconds=1)
    sink.prepare()
    sink.claim()
    sink.apply(batch(identity(1)))
    pid = bench.broker.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(SinkDownError):
            sink.apply(batch(demographics(2)))
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (sink.position().sequence, sink.quarantine()) == (1, [])
    deadline = time.monotonic() + PATIENCE
    while sink.position().sequence < 2:
        try:
            sink.apply(batch(demographics(2)))
        except SinkDownError:
            assert time.monotonic() < deadline
    shown = bench.shown("e-1") or {}
    assert (shown["given_name"], shown["gender"]) == (CANARY, "f")


def test_what_landed_is_read_back(bench: RelayBench) -> None:
    sink = bench.open()
    sink.claim()
    sink.apply(batch(identity(1), demographics(2)))
    [one] = sink.landed()
    assert one.place == bench.topic("IdentityRecorded")
    assert (one.content["given_name"], one.content["gender"]) == (CANARY, "f")
    sink.apply(batch(recalled(3, ("e-1", ["identity", "demographics"]))))
    assert sink.landed() == []


# -- rights ----------------------------------------------------------------------------------


def test_the_rights_it_needs_are_enough(bench: RelayBench, cluster: KafkaTopics) -> None:
    allow(cluster, "shelter", bench.prefix, *NEEDED)
    sink = as_user(bench, "shelter")
    sink.prepare()
    sink.claim()
    sink.apply(batch(identity(1), opened_case(2)))
    sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    assert CANARY.encode() not in bench.stored()
    found = sink.check()
    assert {one.level for one in found} == {"ok"}, found
    assert "rights" in {one.subject for one in found}


@pytest.mark.parametrize("missing", ["WRITE", "READ", "DESCRIBE_CONFIGS", "CREATE"])
def test_each_of_them_is_needed_and_named(
    bench: RelayBench, cluster: KafkaTopics, missing: str
) -> None:
    allow(cluster, "police", bench.prefix, *(one for one in NEEDED if one != missing))
    sink = as_user(bench, "police", recall_seconds=5)
    sink.prepare()
    sink.claim()
    with pytest.raises(SinkDownError, match="This user needs Describe, DescribeConfigs, Read"):
        sink.apply(batch(identity(1)))
        sink.apply(batch(recalled(2, ("e-1", ["identity"]))))
    assert sink.quarantine() == []


def test_check_names_missing_and_superfluous_rights(
    bench: RelayBench, cluster: KafkaTopics
) -> None:
    claimed(bench).apply(batch(identity(1)))
    topic = bench.topic("IdentityRecorded")
    allow(cluster, "police", bench.prefix, "DESCRIBE", "DESCRIBE_CONFIGS", "READ", "DELETE")
    found = {(one.level, one.subject): one for one in as_user(bench, "police").check()}
    assert "WRITE" in found["wrong", topic].text
    assert "DELETE" in found["warning", topic].text
    assert found["wrong", topic].fix


def test_check_without_any_right(bench: RelayBench) -> None:
    found = as_user(bench, "police").check()
    assert [one.level for one in found] == ["ok", "ok", "wrong"]
    assert "allow Create on topics prefixed" in found[-1].fix


def test_a_wrong_password_is_an_outage(bench: RelayBench) -> None:
    wrong = bench.made(
        servers=[bench.broker.sasl_address],
        security="sasl_plaintext",
        user="police",
        password="guess",
        timeout_seconds=1,
    )
    [finding] = wrong.check()
    assert (finding.level, finding.subject) == ("wrong", "kafka")
    with pytest.raises(SinkDownError):
        wrong.prepare()


def test_check_looks_at_topics_and_registry(bench: RelayBench, cluster: KafkaTopics) -> None:
    claimed(bench).apply(batch(identity(1)))
    topic = bench.topic("IdentityRecorded")
    alter(cluster, topic, cleanup_policy="compact,delete", delete_retention_ms="1000")
    found = bench.made(registry=f"http://{bench.broker.address}", timeout_seconds=2).check()
    texts = " ".join(one.text for one in found if one.subject == topic)
    assert "deletes by time" in texts
    assert "less than a week" in texts
    assert [one.level for one in found if one.subject == "registry"] == ["wrong"]
    alter(cluster, topic, cleanup_policy="delete")
    assert "wrong" in {one.level for one in bench.made().check() if one.subject == topic}


# -- encrypted -------------------------------------------------------------------------------


def test_tls_and_scram(bench: RelayBench, cluster: KafkaTopics) -> None:
    allow(cluster, "shelter", bench.prefix, *NEEDED)
    (bench.folder / "secret").write_text(KAFKA_USERS["shelter"] + "\n")
    given: dict[str, Any] = {
        "servers": [bench.broker.tls_address],
        "security": "sasl_ssl",
        "user": "shelter",
        "password": {"file": "secret"},
        "timeout_seconds": 10,
    }
    sink = bench.made(**given, ca_file=bench.broker.home / "ca.pem")
    sink.prepare()
    sink.claim()
    sink.apply(batch(identity(1)))
    assert (bench.shown("e-1") or {})["given_name"] == CANARY
    with pytest.raises(SinkDownError):
        bench.made(**given | {"timeout_seconds": 1}).prepare()  # nobody vouches for it


# -- settings --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"security": "sasl_ssl"}, "user and password"),
        ({"servers": ["user:pw@host:9092"]}, "host:port"),
        ({"servers": []}, "at least 1"),
        ({"prefix": "no spaces"}, "pattern"),
        ({"security": "sasl_plaintext", "user": "u", "password": "p", "mechanism": "PLAIN"}, "PLA"),
        ({"topic": "x"}, "Extra inputs"),
    ],
)
def test_settings_are_checked_whole(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Options.model_validate({"servers": ["h:1"], "security": "plaintext", **wrong})


def test_a_file_that_is_not_there_is_said_at_once(bench: RelayBench) -> None:
    with pytest.raises(SettingsError, match=r"there is no file .*/none\.pem"):
        bench.made(security="ssl", ca_file="none.pem")


def test_every_option_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs" / "connect-kafka.md").read_text("utf-8")
    assert [name for name in Options.model_fields if f"`{name}`" not in page] == []
    assert all(field.description for field in Options.model_fields.values())


def test_it_is_a_kind_of_sink(bench: RelayBench) -> None:
    sink = open_kind("relay", bench.options, bench.place())
    assert isinstance(sink, RelaySink)
    sink.close()
    assert KINDS["relay"].summary
    with pytest.raises(SettingsError, match=r"sink\.options\.servers"):
        open_kind("relay", {}, bench.place())
