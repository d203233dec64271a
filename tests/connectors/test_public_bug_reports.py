"""Failures reported of connectors elsewhere, each made here: docs/dead-letters.md lists them.

A test's docstring starts with the address of the report (several, if they tell the same), then
what went wrong there. What is shown is that it does not happen here.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors import crash
from connectors.agency.identity import AgencyIdentity
from connectors.agency.inbox import HttpInbox
from connectors.conformance import (
    CANARY,
    NOW,
    batch,
    claimed,
    demographics,
    identity,
    opened_case,
    recalled,
    released,
)
from connectors.delivery import Arrived, Poison
from connectors.errors import SinkDownError, SinkRefusedError, TransportDownError
from connectors.mapping import load_mapping
from connectors.pace import Pace
from connectors.sql import SqlSink
from connectors.submit import Publisher
from schemas.event import EventSchema, SchemaError
from schemas.registry import Schemas
from tests.connectors.builder import MiniHub, case_opened, identity_recorded
from tests.connectors.conformance.test_sql_conformance import SqlBench
from tests.connectors.site import TO, Flaky, Site
from tests.connectors.test_runner import rounds

DOCS = Path(__file__).parents[2] / "docs/dead-letters.md"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    hub = MiniHub()
    police, shelter = hub.enrol(tmp_path, TO), hub.enrol(tmp_path, "SH-1", "shelter")
    site = Site(hub, police, shelter, tmp_path)
    yield site
    site.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[SqlBench]:
    bench = SqlBench(f"sqlite:///{tmp_path}/partner.db", files=tmp_path)
    yield bench
    bench.close()


class Refusing(SqlSink):
    """A partner's system that will never take the event of one sequence."""

    bad = 0

    def apply(self, what: Any) -> None:
        if any(isinstance(one, Arrived) and one.sequence == self.bad for one in what.items):
            raise SinkRefusedError("sink_refused", "23514", self.bad)
        super().apply(what)


def refusing(site: Site, bad: int) -> Refusing:
    sink = Refusing(site.database, TO, site.hub.hub_id)
    sink.bad = bad
    site._open.append(sink)
    return sink


def passed_over(site: Site) -> set[int]:
    """Sequences behind the position that are neither rows nor dead letters."""
    [(position,)] = site.rows("SELECT last_sequence FROM nrm_connector_state")
    set_aside = {row[0] for row in site.rows("SELECT sequence FROM nrm_quarantine")}
    return set(range(1, position + 1)) - set(site.sequences()) - set_aside


# -- nothing is passed without a row or a dead letter ------------------------------------------


def test_no_position_without_row_or_dead_letter(site: Site) -> None:
    """https://github.com/confluentinc/kafka-connect-jdbc/issues/1597

    After an error the sink wrote to neither database nor dead letters and went on committing.
    """
    site.deliver(*[site.release(event) for event in site.events(6)])
    sink = Flaky(refusing(site, 4), lambda: SinkDownError("away"))
    runner = site.runner(sink=sink)
    for failing in ("apply", "owed", "apply", "sent", "position", "apply"):
        sink.failing[failing] = 2
        rounds(runner, 4)
        assert passed_over(site) == set()
    assert site.sequences() == [1, 2, 3, 5, 6]
    assert site.rows("SELECT sequence, reason FROM nrm_quarantine") == [(4, "sink_refused")]


def test_a_restart_skips_nothing_of_a_batch_that_failed(site: Site) -> None:
    """https://github.com/confluentinc/kafka-connect-bigquery/issues/68

    One record of a batch failed; after a restart the sink went on behind it.
    """
    site.deliver(*[site.release(event) for event in site.events(5)])
    for point in ("before_sink_commit", "after_sink_commit"):
        child = os.fork()
        if child == 0:
            try:
                crash.arm(point)
                site.runner(sink=refusing(site, 3)).run_once()
            finally:
                os._exit(1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == crash.STATUS
    rounds(site.runner(sink=refusing(site, 3)), 3)
    assert site.sequences() == [1, 2, 4, 5]
    assert passed_over(site) == set()


def test_one_bad_record_does_not_throw_its_batch_away(site: Site) -> None:
    """https://github.com/taosdata/kafka-connect-tdengine/issues/19
    https://github.com/datayoga-io/datayoga/issues/378

    A whole batch was dropped, or rejected, for one record in it.
    """
    site.deliver(*[site.release(event) for event in site.events(9)])
    runner = site.runner(sink=refusing(site, 5))
    progress = runner.run_once()
    assert (progress.applied, progress.quarantined) == (8, 1)
    assert site.sequences() == [1, 2, 3, 4, 6, 7, 8, 9]


def test_the_retry_of_a_batch_doubles_nothing_of_it(site: Site) -> None:
    """https://github.com/confluentinc/kafka-connect-jdbc/issues/380

    A failure on one topic made the sink insert good records of the others again.
    """
    site.deliver(*[site.release(event) for event in site.events(4)])
    sink = Flaky(refusing(site, 4), lambda: SinkDownError("timeout"))
    sink.failing.update(sent=3, apply=2)
    rounds(site.runner(sink=sink), 8)
    assert site.sequences() == [1, 2, 3]
    assert site.rows("SELECT count(*) FROM nrm_timeline") == [(3,)]


def test_an_outage_is_no_reason_for_a_dead_letter(site: Site) -> None:
    """https://github.com/jcustenborder/kafka-connect-solr/issues/36

    With the target away, records went where bad records go.
    """
    site.deliver(*[site.release(event) for event in site.events(3)])
    sink = Flaky(site.new_sink(), lambda: SinkDownError("away"))
    sink.failing["apply"] = 50
    runner = site.runner(sink=sink)
    rounds(runner, 50)
    assert sink.quarantine(waiting_only=False) == []
    assert "partner_down" in runner.alarms
    rounds(runner, 1)
    assert site.sequences() == [1, 2, 3]


def test_what_cannot_be_read_is_kept_with_its_bytes(site: Site) -> None:
    """https://github.com/apache/iceberg/issues/15032
    https://github.com/databricks/iceberg-kafka-connect/issues/335

    Invalid messages reached neither the table nor the dead letters.
    """
    site.append("deliveries", b"not a message", b"")
    site.deliver(site.release(site.events(1)[0]))
    runner = site.runner()
    runner.run_once()
    assert site.sequences() == [1]
    assert site.rows("SELECT reason, raw FROM nrm_quarantine ORDER BY id") == [
        ("message_malformed", b"not a message"),
        ("message_malformed", b""),
    ]
    assert "strangers" in runner.alarms


def test_what_lay_there_before_the_first_start_is_taken(site: Site) -> None:
    """https://github.com/JiRaska/open-bank-oss/issues/8370
    https://github.com/confluentinc/librdkafka/issues/1852
    https://github.com/skroutz/rafka/issues/52

    The reset policy in effect was "latest": everything before the first start was lost.
    """
    for event in site.events(5):
        site.deliver(site.release(event))
    rounds(site.runner(), 2)
    assert site.sequences() == [1, 2, 3, 4, 5]


def test_rows_and_deliveries_reconcile_after_errors(site: Site) -> None:
    """https://github.com/Altinity/clickhouse-sink-connector/issues/463

    A failed insert was logged and passed over; the two sides no longer agreed.
    """
    for event in site.events(12):
        site.deliver(site.release(event))
    sink = Flaky(site.new_sink(), lambda: SinkDownError("broken pipe"))
    runner = site.runner(sink=sink, pace=Pace(messages=3, deliveries=2, poll=0.01))
    for _ in range(12):
        sink.failing["apply"] = 1
        rounds(runner, 2)
    assert site.sequences() == list(range(1, 13))
    answered = {
        n for r in site.receipts() for n in range(r["first_sequence"], r["last_sequence"] + 1)
    }
    assert answered == set(range(1, 13))


# -- outages -----------------------------------------------------------------------------------


def test_a_short_outage_does_not_end_the_connector(bench: SqlBench) -> None:
    """https://github.com/confluentinc/kafka-connect-jdbc/issues/964
    https://github.com/confluentinc/kafka-connect-jdbc/issues/515
    https://github.com/apache/pulsar/issues/9464

    The task was killed by a short outage, or ran on without writing; it had to be restarted.
    """
    sink = claimed(bench)
    sink.apply(batch(opened_case(1)))
    for sequence in (2, 3, 4):
        with bench.outage(), pytest.raises(SinkDownError):
            sink.apply(batch(identity(sequence, f"e-{sequence}")))
        sink.apply(batch(identity(sequence, f"e-{sequence}")))
        assert bench.shown(f"e-{sequence}") is not None


def test_pauses_grow_and_end(site: Site) -> None:
    """https://github.com/apache/rocketmq-externals/issues/554

    With a wrong address the sink tried again without pause, for ever, and could not be stopped.
    """

    class Stop:
        def __init__(self) -> None:
            self.waited: list[float] = []

        def is_set(self) -> bool:
            return len(self.waited) >= 9

        def wait(self, seconds: float) -> None:
            self.waited.append(seconds)

    sink = Flaky(site.new_sink(), lambda: SinkDownError("away"))
    sink.failing["prepare"] = 100
    runner = site.runner(sink=sink, pace=Pace(pause_first=0.1, pause_most=2.0, poll=0.01))
    stop: Any = Stop()
    runner.run(stop)
    assert stop.waited == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0, 2.0])


def test_what_stands_still_says_so_with_since_when(site: Site) -> None:
    """https://github.com/apache/devlake/issues/6149
    https://github.com/Altinity/clickhouse-sink-connector/issues/611

    After a lost connection, or while retrying, it stood still for days and showed nothing.
    """
    site.deliver(site.release(site.events(1)[0]))
    sink = Flaky(site.new_sink(), lambda: SinkDownError("gone"))
    runner = site.runner(sink=sink)
    sink.failing["apply"] = 20
    rounds(runner, 20)
    alarm = runner.alarms["partner_down"]
    assert alarm.detail == "gone"
    assert alarm.since is not None
    assert site.alarms == [("partner_down", True)], "once, not twenty times"
    rounds(runner, 1)
    assert site.alarms == [("partner_down", True), ("partner_down", False)]


def test_a_hub_that_says_nothing_is_not_waited_for(site: Site) -> None:
    """https://github.com/goldsky-io/streamling/pull/69

    The peer stopped answering without closing: the call never returned, nothing was logged.
    """
    with socket.create_server(("127.0.0.1", 0)) as silent:
        inbox = HttpInbox(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.3)
        began = time.monotonic()
        with pytest.raises(TransportDownError):
            inbox.registry()
        assert time.monotonic() - began < 60
        inbox.close()


def test_a_database_that_is_gone_without_a_word_is_noticed(
    new_postgres_database: Callable[[], str],
) -> None:
    """https://github.com/goldsky-io/streamling/pull/69

    The same towards the database: neither keepalives nor a limit on unanswered bytes were set.
    """
    sink = SqlSink(new_postgres_database(), TO, "test-hub")
    with sink.database.engine.connect() as db:
        set_here = db.connection.driver_connection.info.get_parameters()  # type: ignore[union-attr]
    sink.close()
    assert set_here["keepalives_idle"] == "30"
    assert set_here["tcp_user_timeout"] == "60000"


# -- deletion ----------------------------------------------------------------------------------


def test_deletion_needs_no_setting(bench: SqlBench) -> None:
    """https://github.com/confluentinc/kafka-connect-jdbc/issues/607
    https://github.com/Aiven-Open/jdbc-connector-for-apache-kafka/issues/287
    https://github.com/confluentinc/kafka-connect-jdbc/issues/127

    Deletes were off by default, or ignored in silence.
    """
    sink = claimed(bench)
    sink.apply(batch(identity(1)))
    sink.apply(batch(recalled(2, ("e-1", ["identity"]))))
    assert bench.shown("e-1") is None


def test_deleting_what_is_not_there_ends_nothing(bench: SqlBench) -> None:
    """https://github.com/Altinity/clickhouse-sink-connector/issues/901

    A deletion without content ended the task with a null pointer.
    """
    sink = claimed(bench)
    empty = replace(recalled(2), recall=replace(recalled(2).recall, items=()))  # type: ignore[type-var]
    sink.apply(batch(recalled(1, ("never-seen", ["identity"])), empty, opened_case(3)))
    assert bench.shown("e-0") is not None
    assert [len(one.exceptions) for one in sink.owed(10)] == [2], "both are answered"


def test_what_comes_after_a_deletion_is_there(bench: SqlBench) -> None:
    """https://github.com/confluentinc/kafka-connect-jdbc/issues/1562

    Within a batch all updates ran before all deletes: the last update was gone.
    """
    sink = claimed(bench)
    sink.apply(
        batch(
            identity(1, given_name="first"),
            recalled(2, ("e-1", ["identity"])),
            identity(3, given_name="second"),
        )
    )
    assert (bench.shown("e-1") or {})["given_name"] == "second"


def test_an_erasure_arrives_under_the_name_the_content_had(site: Site) -> None:
    """https://github.com/JiRaska/open-bank-oss/issues/3881

    The erasure consumer could never match a record: its keys were others than the table's.
    """
    [event] = site.hub.stated(site.shelter, identity_recorded())
    site.deliver(
        site.hub.release(TO, event, attested=True), site.hub.release(TO, event, {"identity": "x"})
    )
    runner = site.runner()
    runner.run_once()
    assert len(site.rows("SELECT * FROM identity_recorded")) == 2
    for attested in (True, False):
        site.deliver(site.hub.recall(TO, [(event, event.categories)], attested=attested))
    runner.run_once()
    assert site.rows("SELECT * FROM identity_recorded") == []
    assert b"Synthetic" not in b"".join(
        path.read_bytes() for path in Path(site.database.removeprefix("sqlite:///")).parent.glob(
            "partner.db*")
    )  # fmt: skip


def test_rows_that_the_partner_removed_stop_nothing(bench: SqlBench) -> None:
    """https://github.com/confluentinc/kafka-connect-jdbc/issues/613

    Somebody deleted rows in the target; after that nothing was written any more.
    """
    sink = claimed(bench)
    sink.apply(batch(opened_case(1), identity(2)))
    with bench._engine.begin() as db:
        for table in ("identity_recorded", "nrm_timeline", "nrm_case"):
            db.execute(sa.text(f"DELETE FROM {table}"))
    sink.apply(batch(demographics(3), identity(4, "e-4"), recalled(5, ("e-1", ["identity"]))))
    assert (bench.shown("e-4") or {})["given_name"] == CANARY
    assert sink.quarantine() == []


# -- contents ----------------------------------------------------------------------------------


def _with(schemas: Schemas, **field: Any) -> EventSchema:
    document = json.loads(json.dumps(schemas.by_type("CaseOpened").document))
    document["fields"].append({"category": "case_management", **field})
    return schemas.register(document)


def test_a_new_field_ends_nothing(bench: SqlBench) -> None:
    """https://github.com/confluentinc/kafka-connect-jdbc/issues/1193
    https://github.com/confluentinc/kafka-connect-jdbc/issues/592

    A field the table lacked ended the task; one that is not optional could not be added at all.
    """
    sink = claimed(bench)
    sink.apply(batch(opened_case(1)))
    said = {"jurisdiction": "XX", "channel": "self", "age_status": "adult"}
    _with(bench.schemas, name="ward", type=["null", "string"], default=None)
    ward = {"case_management": {**said, "ward": "north"}}
    sink.apply(batch(released(2, "e-2", "CaseOpened", ward, schemas=bench.schemas)))
    assert (bench.shown("e-2") or {})["ward"] == "north"
    assert (bench.shown("e-0") or {})["ward"] is None


def test_a_late_older_event_overwrites_nothing(tmp_path: Path) -> None:
    """https://github.com/confluentinc/kafka-connect-jdbc/pull/1016
    https://github.com/DataSQRL/sqrl/issues/85

    An upsert that came late put an older value over a newer one.
    """
    (tmp_path / "mapping.toml").write_text(
        'version = 1\n[[map]]\nevent = "CaseOpened"\ntable = "client"\n'
        'key = { ref = "case_ref" }\n[map.columns]\nchannel = "channel"\n'
    )
    url = f"sqlite:///{tmp_path}/partner.db"
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as db:
        db.execute(sa.text("CREATE TABLE client (ref text PRIMARY KEY, channel text)"))
    sink = SqlSink(url, TO, "test-hub", mapping=load_mapping(tmp_path / "mapping.toml"))
    sink.prepare()
    sink.claim()
    newer, older = opened_case(1, "e-new", channel="police"), opened_case(2, "e-old")
    sink.apply(batch(newer))
    assert newer.occurred_at is not None
    sink.apply(batch(replace(older, occurred_at=newer.occurred_at.replace(year=2020))))
    with engine.connect() as db:
        assert db.execute(sa.text("SELECT channel FROM client")).all() == [("police",)]
    sink.close()


def test_less_of_an_event_does_not_overwrite_more(bench: SqlBench) -> None:
    """https://github.com/SORMAS-Foundation/SORMAS-Project/issues/3721

    A copy with its personal data removed came back and blanked the owner's record.
    """
    sink = claimed(bench)
    sink.apply(batch(identity(1)))
    sink.apply(batch(demographics(2)))
    sink.apply(batch(replace(identity(3), categories=(), fields={}, bases={}, evidence=None)))
    shown = bench.shown("e-1") or {}
    assert (shown["given_name"], shown["gender"]) == (CANARY, "f")


def test_a_null_character_ends_nothing(new_postgres_database: Callable[[], str]) -> None:
    """https://github.com/confluentinc/kafka-connect-jdbc/issues/1216
    https://github.com/confluentinc/kafka-connect-jdbc/issues/1271
    https://github.com/apache/seatunnel/issues/8393
    https://github.com/airbytehq/airbyte/issues/3476

    U+0000, which PostgreSQL cannot hold, ended the task again and again. Here the hub admits none;
    one that came all the same is set aside, and nothing of it is told.
    """
    with pytest.raises(SchemaError, match="forbidden_character"):
        Schemas.load().by_type("IdentityRecorded").correction("given_name", "a\0b")
    bench = SqlBench(new_postgres_database())
    sink = claimed(bench)
    bad = identity(1, given_name=f"{CANARY}\0")
    with pytest.raises(SinkRefusedError) as refused:
        sink.apply(batch(bad))
    assert CANARY not in str(refused.value)
    sink.apply(batch(Poison(1, refused.value.reason, refused.value.detail), identity(2, "e-2")))
    assert (bench.shown("e-2") or {})["given_name"] == CANARY
    bench.close()


def test_amounts_keep_their_last_digit(tmp_path: Path) -> None:
    """https://github.com/confluentinc/kafka-connect-jdbc/issues/1237

    Numbers without a declared scale were rounded on the way.
    """
    exact = "1234567890123456.7891"
    schemas = Schemas.load()
    schema = schemas.by_type("CompensationClaimed")
    [name] = [one.name for one in schema.fields if "Money" in json.dumps(one.avro)]
    said: dict[str, Any] = {schema[name].category: {name: {"amount": exact, "currency": "EUR"}}}
    url = f"sqlite:///{tmp_path}/partner.db"
    sink = SqlSink(url, TO, "test-hub")
    sink.prepare()
    sink.claim()
    sink.apply(batch(released(1, "e-1", schema.type, said)))
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as db:
        kept = db.execute(sa.text(f"SELECT {name}_amount FROM compensation_claimed")).scalar()
    assert Decimal(str(kept)) == Decimal(exact)
    sink.close()


def test_an_instant_is_the_same_wherever_the_machine_stands(
    bench: SqlBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """https://github.com/confluentinc/kafka-connect-jdbc/issues/587
    https://github.com/duckdb/duckdb-java/issues/508
    https://github.com/OHDSI/DatabaseConnector/issues/223

    Times were shifted by the offset of the machine, the session or the driver.
    """
    monkeypatch.setenv("TZ", "America/Los_Angeles")
    time.tzset()
    try:
        claimed(bench).apply(batch(opened_case(1)))
        with bench._engine.connect() as db:
            [row] = db.execute(sa.text("SELECT occurred_at, received_at FROM case_opened")).all()
    finally:
        monkeypatch.undo()
        time.tzset()
    assert row == ("2026-11-24T09:01:00.000000Z", "2026-11-24T09:00:00.000000Z")


# -- secrets and doubles -----------------------------------------------------------------------


def test_a_password_is_in_no_error(caplog: pytest.LogCaptureFixture) -> None:
    """https://github.com/confluentinc/common/issues/38
    https://github.com/signalwire/freeswitch/issues/2373
    https://github.com/mulesoft/mule-db-connector/pull/118

    The database's address was logged with its password when it could not be reached.
    """
    sink = SqlSink("postgresql://nrm:CANARY-pw@127.0.0.1:1/casework", TO, "test-hub")
    with pytest.raises(SinkDownError) as down:
        sink.prepare()
    told = f"{down.value!r} {down.value} {down.value.__cause__!r} {caplog.text}"
    assert "CANARY-pw" not in told
    assert "server runs" in str(down.value), "it says what to look at"
    sink.close()


def test_sent_twice_is_the_same_event(site: Site, tmp_path: Path) -> None:
    """https://github.com/UKHomeOffice/modern-slavery

    A form wrote two queues without a transaction; a retry got a new message id. Here the id and
    the bytes follow from the event, so that a retry is the same submission.
    """
    event = case_opened("C-1").settled(NOW)
    publisher = Publisher(AgencyIdentity.load(tmp_path / "SH-1"), schemas=site.hub.schemas)
    [first] = site.hub.record(publisher.prepare([event]))
    [second] = site.hub.record(publisher.prepare([event]))
    assert (first.id, first.evidence["header"]) == (second.id, second.evidence["header"])
    site.deliver(site.release(first))
    site.deliver(site.release(second))
    site.append("deliveries", *[m.value for m in site.topics.read("nrm.deliveries.POL-1", 0, 9, 0)])
    rounds(site.runner(), 3)
    assert site.rows("SELECT count(*) FROM case_opened") == [(1,)]


# ----------------------------------------------------------------------------------------------


def addresses() -> dict[str, str]:
    """Address → the test that makes it."""
    return {
        address: name
        for name, test in vars(sys.modules[__name__]).items()
        if name.startswith("test_") and inspect.isfunction(test)
        for address in re.findall(r"https://github\.com/\S+", test.__doc__ or "")
    }


def test_each_is_listed_for_readers() -> None:
    listed = set(re.findall(r"\]\((https://github\.com/[^)]+)\)", DOCS.read_text("utf-8")))
    assert listed == set(addresses())
    assert len(listed) >= 30
