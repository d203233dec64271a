"""`connector reconcile, rebuild, ddl, status` and `run --metrics`, as an operator types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest
import sqlalchemy as sa

from connectors.agency.inbox import HttpInbox, Sealed
from connectors.errors import SettingsError
from connectors.runner import Progress
from connectors.telling.lag import Lag, Newest
from connectors.telling.metrics import ConnectorMetrics, MetricsServer
from hub.topics import Topics
from hub.topics.local_ports import free_port
from tests.connectors.builder import MiniHub
from tests.connectors.commands.saying import delivered, said
from tests.connectors.conftest import CONNECTOR
from tests.patience import PATIENCE


def test_who_looks_waits_for_nobody(
    hub: MiniHub, topics: Topics, partner: Path, tmp_path: Path
) -> None:
    """Somebody holds the books for writing, as a relay does while its recall waits."""
    delivered(hub, topics, tmp_path)
    said("connector", "run", partner, "--once")
    engine = sa.create_engine(f"sqlite:///{tmp_path}/partner.db")
    with engine.connect() as db:
        db.exec_driver_sql("BEGIN IMMEDIATE")
        started = time.monotonic()
        assert "position    delivery 1 of test-hub" in said("connector", "status", partner)
        assert "Nothing in quarantine" in said("connector", "quarantine", partner)
        assert time.monotonic() - started < 10, "the lock is waited for ten seconds"
        db.exec_driver_sql("ROLLBACK")
    engine.dispose()


def changed(folder: Path, statement: str) -> None:
    engine = sa.create_engine(f"sqlite:///{folder}/partner.db")
    with engine.begin() as db:
        db.execute(sa.text(statement))
    engine.dispose()


def test_reconcile_names_asks_and_repairs(
    hub: MiniHub, topics: Topics, partner: Path, tmp_path: Path
) -> None:
    delivered(hub, topics, tmp_path)
    said("connector", "run", partner, "--once")
    assert "Equal: 5 rows as of delivery 1" in said("connector", "reconcile", partner)
    changed(tmp_path, "UPDATE case_opened SET channel = 'SECRET'")
    shown = said("connector", "reconcile", partner, code=3)
    assert "altered" in shown
    assert "channel" in shown
    assert "SECRET" not in shown
    assert "outreach" not in shown
    assert "Aborted" in said("connector", "reconcile", partner, "--repair", code=1)
    assert "1 repaired" in said("connector", "reconcile", partner, "--repair", "--yes")
    assert "Equal" in said("connector", "reconcile", partner)
    said("connector", "run", partner, "--once")
    [receipt] = [
        hub.receipt(one.value)
        for one in topics.read("nrm.receipts", None, 10, 0)
        if b"reconciled" in one.value
    ]
    assert [(e["sequence"], e["outcome"], e["detail"]) for e in receipt["exceptions"]] == [
        (1, "applied", "reconciled_altered")
    ]


def test_rebuild_keeps_a_copy_that_is_equal(
    hub: MiniHub, topics: Topics, partner: Path, tmp_path: Path
) -> None:
    delivered(hub, topics, tmp_path)
    delivered(hub, topics, tmp_path)
    said("connector", "run", partner, "--once")
    copy = tmp_path / "copy.db"
    assert "Equal" in said("connector", "rebuild", partner, "--into", f"sqlite:///{copy}")
    engine = sa.create_engine(f"sqlite:///{copy}")
    with engine.connect() as db:
        assert db.execute(sa.text("SELECT channel FROM case_opened")).all() == [("outreach",)] * 2
    engine.dispose()
    changed(tmp_path, "DELETE FROM case_opened")
    assert "Not equal" in said("connector", "rebuild", partner, code=3)
    assert list(Path(os.environ.get("TMPDIR", "/tmp")).glob("nrm-copy-*")) == []


def test_only_tables_can_be_compared(partner: Path) -> None:
    partner.write_text('home = "POL-1"\n[sink]\nkind = "jsonl"\npath = "d.jsonl"\n')
    for command in ("reconcile", "rebuild", "ddl"):
        assert "kind sql" in said("connector", command, partner, code=1)


def test_ddl_needs_to_know_of_what(partner: Path) -> None:
    assert "--dialect" in said("connector", "ddl", code=1)
    mistyped = said("connector", "ddl", "--dialect", "mariadb", "--event", "CaseOpend", code=2)
    assert "did you mean 'CaseOpened'?" in mistyped
    printed = said("connector", "ddl", "--dialect", "postgresql", "--db-schema", "exchange")
    assert "CREATE TABLE exchange.case_opened" in printed
    assert "GRANT USAGE ON SCHEMA exchange TO nrm;" in printed
    assert "GRANT USAGE ON SEQUENCE exchange.nrm_quarantine_id_seq TO nrm;" in printed
    assert "GRANT" not in said("connector", "ddl", partner, "--events", "CaseOpened,CaseClosed")


def test_status(hub: MiniHub, topics: Topics, partner: Path, tmp_path: Path) -> None:
    assert "position    delivery 0 of test-hub to POL-1" in said("connector", "status", partner)
    delivered(hub, topics, tmp_path)
    delivered(hub, topics, tmp_path)
    assert "behind      2 deliveries" in said("connector", "status", partner, code=3)
    said("connector", "run", partner, "--once")
    shown = said("connector", "status", partner)
    assert "behind      0 deliveries" in shown
    assert "applied     last" in shown
    delivered(hub, topics, tmp_path, spoil=True)
    said("connector", "run", partner, "--once")
    assert "quarantine  1 waiting: nrm-hub connector quarantine" in said(
        "connector", "status", partner, code=3
    )
    told = json.loads(said("connector", "status", partner, "--json", code=3))
    assert (told["agency"], told["position"], told["behind"]) == ("POL-1", 3, 0)
    assert (told["quarantine"], told["receipts_owed"], told["hub_away"]) == (1, 0, None)


def test_metrics_of_a_running_connector(
    hub: MiniHub, topics: Topics, partner: Path, tmp_path: Path
) -> None:
    delivered(hub, topics, tmp_path)
    metrics = f"127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [*CONNECTOR, "run", str(partner), "--metrics", metrics],
        cwd=Path(__file__).parents[3], env={**os.environ, "PYTHONPATH": "."},
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        told = ""
        deadline = time.monotonic() + PATIENCE
        while "nrm_connector_position 1.0" not in told:
            assert time.monotonic() < deadline, told
            assert process.poll() is None
            time.sleep(0.1)
            try:
                with urllib.request.urlopen(f"http://{metrics}/metrics") as answer:
                    told = answer.read().decode()
            except OSError:
                continue
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
    finally:
        process.kill()
        process.wait()
    assert "nrm_connector_applied_total 1.0" in told
    assert "nrm_connector_deliveries_behind 0.0" in told
    assert 'nrm_connector_alarm{reason="partner_down"} 0.0' in told
    assert "process_resident_memory_bytes" in told
    labels = {line.partition("{")[2].partition("}")[0] for line in told.splitlines() if "{" in line}
    assert all(label.startswith("reason=") for label in labels), "no reference in a label"


def test_a_metrics_address_that_cannot_be_had() -> None:
    for address in ("nonsense", "127.0.0.1:99999999", "192.0.2.1:9461"):
        with pytest.raises(SettingsError, match="cannot listen there"):
            MetricsServer(ConnectorMetrics(), address, None)


# -- lag -----------------------------------------------------------------------------------------


def test_lag_counts_from_when_a_delivery_was_first_known() -> None:
    lag = Lag()
    assert (lag.deliveries(0), lag.seconds(0, 5.0)) == (0, 0.0)
    lag.there(10, 100.0)
    lag.there(30, 160.0)
    assert (lag.deliveries(4), lag.seconds(4, 200.0)) == (26, 100.0)
    assert (lag.deliveries(10), lag.seconds(10, 200.0)) == (20, 40.0)
    assert (lag.deliveries(30), lag.seconds(30, 200.0)) == (0, 0.0)
    lag.there(20, 300.0)
    assert lag.deliveries(30) == 0, "what is sent again is not new"
    for n in range(10_000):
        lag.there(31 + n, 300.0 + n)
    assert lag.seconds(30, 20_000.0) == 19_700.0
    assert len(lag._seen) <= 1_000


def test_metrics_without_a_runner_are_zero() -> None:
    metrics = ConnectorMetrics()
    metrics.progress(Progress(applied=3, receipts=1), 3, 0)
    values = {m.name: m.samples[0].value for m in metrics.collect() if m.samples}
    assert values["nrm_connector_position"] == 3
    assert values["nrm_connector_applied"] == 3


@pytest.mark.parametrize("last", [0, 1, 2, 7, 1_000])
def test_how_far_the_hubs_log_goes_is_found_in_few_requests(last: int, hub: MiniHub) -> None:
    """Messages of three deliveries each; the last may be shorter."""
    asked: list[int] = []

    class Log(HttpInbox):
        def _first_after(self, sequence: int) -> int | None:
            asked.append(sequence)
            return min(sequence // 3 * 3 + 3, last) if sequence < last else None

    inbox = Log("http://hub.test")
    for after in {0, last // 2, last}:
        asked.clear()
        assert inbox.newest(after) == last
        assert len(asked) < 25
    assert isinstance(inbox, Newest)
    inbox.close()


# -- memory --------------------------------------------------------------------------------------


def test_while_the_partner_is_down_nothing_more_is_read(
    hub: MiniHub, topics: Topics, partner: Path, tmp_path: Path
) -> None:
    """However many deliveries wait: one read's worth is held, and not even that for long."""
    from connectors.agency.identity import AgencyIdentity
    from connectors.agency.inbox import TopicInbox
    from connectors.errors import RetryError, SinkDownError
    from connectors.pace import Pace
    from connectors.runner import Runner
    from connectors.sql import SqlSink
    from tests.connectors.site import Flaky

    for _ in range(30):
        delivered(hub, topics, tmp_path)
    identity = AgencyIdentity.load(tmp_path / "POL-1")
    read: list[int] = []

    class Counting(TopicInbox):
        def read(self, limit: int, timeout: float) -> list[Sealed]:
            found = super().read(limit, timeout)
            read.append(len(found))
            return found

    inner = SqlSink(f"sqlite:///{tmp_path}/partner.db", "POL-1", "test-hub")
    sink = Flaky(inner, lambda: SinkDownError("gone"))
    runner = Runner(Counting(topics, identity), sink, identity, pace=Pace(messages=4))
    runner.run_once()
    assert read == [4]
    sink.failing = {"apply": 10}  # takes nothing, as a full disk
    for _ in range(10):
        with pytest.raises(RetryError):
            runner.run_once()
    assert sum(read[1:]) == 40, "the same four again and again"
    assert inner.position().sequence == 4
    read.clear()
    sink.failing = {"position": 10}  # is not there at all
    for _ in range(10):
        with pytest.raises(RetryError):
            runner.run_once()
    assert read == [], "then nothing is read"
    while not runner.run_once().idle:
        pass
    assert inner.position().sequence == 30
    inner.close()
