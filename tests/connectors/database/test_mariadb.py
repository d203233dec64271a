"""MariaDB: text, times, strictness, keys, locks, outages, and what is left on the disk."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from connectors.conformance import (
    CANARY,
    batch,
    demographics,
    identity,
    opened_case,
    recalled,
    released,
)
from connectors.errors import SettingsError, SinkDownError, SinkRefusedError
from connectors.mapping import load_mapping
from connectors.sql import SqlSink
from connectors.tables.layout import PROVENANCE
from schemas.registry import Schemas
from tests.connectors.database.test_mapping import GOOD, TABLE
from tests.connectors.test_sql import rows
from tests.mariadb import MariadbServer


@pytest.fixture
def sink(mariadb: MariadbServer) -> Iterator[SqlSink]:
    sink = SqlSink(mariadb.new_database(), "POL-1", "test-hub")
    sink.prepare()
    sink.claim()
    yield sink
    sink.close()


def test_every_table_can_be_made(sink: SqlSink) -> None:
    schemas = Schemas.load()
    sink.tables.ready(
        (kind, one.schema_id) for kind in schemas.types() for one in schemas.versions(kind)
    )
    there = sa.inspect(sink.database.engine).get_table_names()
    assert len(there) >= len(schemas.types()) + len(sink.own_tables())
    [(engines, collations)] = rows(
        sink,
        "SELECT count(DISTINCT engine), group_concat(DISTINCT table_collation) FROM "
        "information_schema.tables WHERE table_schema = DATABASE()",
    )
    assert (engines, collations) == (1, "utf8mb4_nopad_bin")


def test_tables_that_take_nothing_back_are_refused(sink: SqlSink, tmp_path: Path) -> None:
    """A row, the position and the receipt stand or fall together: not in Aria, nor in MyISAM."""
    path = tmp_path / "mapping.toml"
    path.write_text(GOOD, encoding="utf-8")
    with sink.database.writing() as db:
        db.execute(sa.text(TABLE.format(serial="BIGINT AUTO_INCREMENT PRIMARY KEY")))
        db.execute(sa.text("ALTER TABLE client ENGINE=Aria TRANSACTIONAL=1"))
        db.execute(sa.text("ALTER TABLE nrm_holding ENGINE=MyISAM"))
    url = str(sink.database.url.render_as_string(hide_password=False))
    mapped = SqlSink(url, "POL-1", "test-hub", mapping=load_mapping(path))
    told = [f"{one.text} {one.fix}" for one in mapped.check() if one.level == "wrong"]
    assert len(told) == 2
    for text, statement in zip(
        told, ("ALTER TABLE nrm_holding ENGINE=InnoDB", "ALTER TABLE client ENGINE=InnoDB"),
        strict=True,
    ):  # fmt: skip
        assert statement in text
        with pytest.raises(SettingsError, match=statement):
            mapped.prepare()
        with mapped.database.writing() as db:
            db.execute(sa.text(statement))
    mapped.prepare()
    mapped.close()


def test_any_text_comes_back_as_it_was(sink: SqlSink) -> None:
    name = "Zoë 💛 O'Brien \\ % %s \t ตัวอย่าง"
    sink.apply(batch(identity(1, given_name=name, aliases=[name, ""])))
    [(given,)] = rows(sink, "SELECT given_name FROM identity_recorded")
    assert given == name
    with sink.database.reading() as db:
        table = sink.tables.whole_layout("IdentityRecorded").table
        assert db.execute(sa.select(table.c.aliases)).scalar() == [name, ""]
    long = "ü" * 100_000  # TEXT would end at 65 535 bytes
    sink.apply(batch(identity(2, "e-2", given_name=long)))
    [(given,)] = rows(sink, "SELECT given_name FROM identity_recorded WHERE event_ref = 'e-2'")
    assert given == long


def test_names_are_told_apart_by_their_bytes(sink: SqlSink) -> None:
    sink.apply(batch(*[opened_case(n, ref) for n, ref in enumerate(("e-a", "e-A", "e-a "), 1)]))
    assert len(rows(sink, "SELECT * FROM case_opened")) == 3
    assert len(rows(sink, "SELECT * FROM case_opened WHERE event_ref = 'e-a'")) == 1
    ref = "x" * 100  # the longest key there is
    sink.apply(batch(opened_case(4, ref)))
    assert rows(sink, f"SELECT sequence FROM case_opened WHERE event_ref = '{ref}'") == [(4,)]


def test_times_are_exact_and_in_utc(sink: SqlSink) -> None:
    assert {"occurred_at", "received_at"} <= set(PROVENANCE)
    moment = datetime(2039, 2, 3, 4, 5, 6, 789012, tzinfo=UTC)  # TIMESTAMP would end in 2038
    referral = released(1, "e-1", "ReferralMade", {"case_management": {
        "referral_id": "r", "to_agency": "POL-1", "services": ["legal"], "urgency": "1_day",
        "basis": "c1", "respond_by": "2039-02-03T06:05:06.789012+02:00"}})  # fmt: skip
    sink.apply(batch(referral))
    [(shown,)] = rows(sink, "SELECT respond_by FROM referral_made")
    assert shown == moment.replace(tzinfo=None)
    with sink.database.reading() as db:
        table = sink.tables.whole_layout("ReferralMade").table
        assert db.execute(sa.select(table.c.respond_by)).scalar() == moment


def test_money_is_exact(sink: SqlSink) -> None:
    claim = {"claim_ref": "c", "route": "civil", "amount": {"amount": "12.50", "currency": "EUR"}}
    sink.apply(batch(released(1, "e-2", "CompensationClaimed", {"financial": claim})))
    [(amount,)] = rows(sink, "SELECT amount_amount FROM compensation_claimed")
    assert str(amount) == "12.5000"


def test_what_does_not_fit_is_refused_and_never_cut(sink: SqlSink, mariadb: MariadbServer) -> None:
    mariadb.execute("SET GLOBAL sql_mode = ''")
    try:
        again = SqlSink(sink.database.url.render_as_string(False), "POL-1", "test-hub")
        again.claim()
        with pytest.raises(SinkRefusedError, match="DataError 1406"):
            again.apply(batch(opened_case(1, "x" * 101)))
        big = released(1, "e-1", "NeedsAssessed", {"family": {"dependants": 2**70}})
        with pytest.raises(SinkRefusedError, match="1264"):
            again.apply(batch(big))
        assert again.position().sequence == 0
        again.close()
    finally:
        mariadb.execute("SET GLOBAL sql_mode = DEFAULT")


def test_making_a_table_commits_nothing_of_a_batch(sink: SqlSink) -> None:
    """CREATE and ALTER end a transaction here: they are run before it."""
    with pytest.raises(SinkRefusedError):
        sink.apply(batch(opened_case(1), identity(2), opened_case(3, "x" * 101)))
    assert rows(sink, "SELECT * FROM case_opened") == []
    assert rows(sink, "SELECT * FROM nrm_holding") == []
    assert sink.position().sequence == 0


def test_a_server_that_goes_away_is_an_outage_and_heals(
    sink: SqlSink, mariadb: MariadbServer
) -> None:
    sink.apply(batch(opened_case(1)))

    def cut() -> None:
        mine = f"SELECT id FROM information_schema.processlist WHERE db = '{name}'"
        for (number,) in mariadb.execute(mine):
            mariadb.execute(f"KILL {number}")

    name = sink.database.url.database
    with pytest.raises(SinkDownError, match=r"20(06|13)|1927"), sink.database.writing() as db:
        db.execute(sa.text("DELETE FROM case_opened"))
        cut()
        db.execute(sa.text("SELECT 1"))
    cut()
    sink.apply(batch(identity(2)))
    assert len(rows(sink, "SELECT * FROM case_opened")) == 1
    assert sink.position().sequence == 2


def test_no_server_or_a_wrong_password_is_an_outage_with_a_remedy(mariadb: MariadbServer) -> None:
    away = SqlSink("mariadb://nrm:x@127.0.0.1:1/none", "POL-1", "h")
    with pytest.raises(SinkDownError, match="no server there"):
        away.prepare()
    wrong = SqlSink(f"mariadb://nrm:wrong@127.0.0.1:{mariadb.port}/x", "POL-1", "h")
    with pytest.raises(SinkDownError, match="user or password is wrong"):
        wrong.prepare()
    by_socket = SqlSink(
        mariadb.new_database().replace(f"127.0.0.1:{mariadb.port}", "localhost")
        + f"?unix_socket={mariadb.socket}", "POL-1", "h",
    )  # fmt: skip
    by_socket.prepare()
    for one in (away, wrong, by_socket):
        one.close()


def test_a_lock_held_by_a_stopped_runner_does_not_hold_for_ever(sink: SqlSink) -> None:
    assert rows(sink, "SELECT @@innodb_lock_wait_timeout, @@lock_wait_timeout") == [(10, 10)]
    with sink.database.writing() as db:
        db.execute(sa.text("SELECT * FROM nrm_connector_state FOR UPDATE"))
        other = SqlSink(sink.database.url.render_as_string(False), "POL-1", "test-hub")
        with pytest.raises(SinkDownError, match="1205"), other.database.writing() as tx:
            tx.execute(sa.text("SET SESSION innodb_lock_wait_timeout = 1"))
            tx.execute(sa.text("SELECT * FROM nrm_connector_state FOR UPDATE"))
        other.close()


def test_what_is_recalled_leaves_the_table_files_and_what_does_not(
    sink: SqlSink, mariadb: MariadbServer
) -> None:
    """With innodb_immediate_scrub_data_uncompressed the tables' files hold nothing of it; the redo
    log still may, until its space is used again. docs/connect-mariadb.md says both."""
    name = str(sink.database.url.database)
    people = [identity(n, f"e-{n}", given_name=f"{CANARY}-{n}") for n in range(1, 101)]
    rest = [demographics(n, f"e-{n - 100}") for n in range(101, 151)]
    sink.apply(batch(*people, *rest))
    assert CANARY.encode() in mariadb.table_files(name)
    sink.apply(batch(recalled(151, *[(f"e-{n}", ["identity"]) for n in range(1, 101)])))
    assert CANARY.encode() not in mariadb.table_files(name)
    assert CANARY.encode() in mariadb.log_files()


def test_the_server_is_asked_what_it_leaves_behind(sink: SqlSink, mariadb: MariadbServer) -> None:
    assert {one.subject: one.level for one in sink.check()}["erasure"] == "ok"
    mariadb.execute("SET GLOBAL innodb_immediate_scrub_data_uncompressed = OFF")
    try:
        [found] = [one for one in sink.check() if one.subject == "erasure"]
        assert found.level == "warning"
        assert "innodb_immediate_scrub_data_uncompressed" in found.fix
    finally:
        mariadb.execute("SET GLOBAL innodb_immediate_scrub_data_uncompressed = ON")
