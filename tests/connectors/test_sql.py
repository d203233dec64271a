"""The SQL sink's own promises: names, types, case state, outages of a real server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
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
from connectors.opening.evidence import EVIDENCE
from connectors.sources.database import SourceDatabase
from connectors.sql import SqlSink
from connectors.tables.columns import targets
from connectors.tables.layout import PROVENANCE, table_name
from schemas.registry import Schemas


@pytest.fixture
def postgres_sink(new_postgres_database: Callable[[], str]) -> Iterator[SqlSink]:
    sink = SqlSink(new_postgres_database(), "POL-1", "test-hub")
    sink.prepare()
    yield sink
    sink.close()


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[SqlSink]:
    sink = SqlSink(f"sqlite:///{tmp_path}/partner.db", "POL-1", "test-hub")
    sink.prepare()
    sink.claim()
    yield sink
    sink.close()


def rows(sink: SqlSink, query: str) -> list[tuple[Any, ...]]:
    with sink.database.reading() as db:
        return [tuple(row) for row in db.execute(sa.text(query))]


def test_of_two_who_claim_new_books_at_once_one_waits(
    sink: SqlSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken(_db: sa.Connection, _at: datetime) -> int:
        raise sa.exc.IntegrityError("", None, Exception("the row is there already"))

    monkeypatch.setattr(sink.ledger, "claim", taken)
    with pytest.raises(SinkDownError, match="just now"):
        sink.claim()


def test_an_event_told_in_two_deliveries_of_one_batch_is_one_row(sink: SqlSink) -> None:
    sink.apply(batch(identity(1), demographics(2), opened_case(3, "e-2")))
    told = rows(sink, "SELECT given_name, gender, sequence, categories FROM identity_recorded")
    assert told == [(CANARY, "f", 2, '["demographics","identity"]')]
    assert rows(sink, "SELECT event_ref, sequence, categories FROM nrm_timeline ORDER BY 1") == [
        ("e-1", 1, '["demographics","identity"]'),
        ("e-2", 3, '["case_management"]'),
    ]


def test_events_with_other_fields_than_their_neighbours_keep_each_its_own(sink: SqlSink) -> None:
    first, second = identity(1), identity(2, "e-2", given_name="Other")
    short = {"identity": {"date_of_birth": "2002-02-03"}}
    sink.apply(batch(first, second, replace(identity(3, "e-3"), fields=short)))
    told = rows(sink, "SELECT given_name, date_of_birth FROM identity_recorded ORDER BY event_ref")
    assert told == [(CANARY, "2001-02-03"), ("Other", "2001-02-03"), (None, "2002-02-03")]


def test_table_names() -> None:
    assert table_name("CaseOpened") == "case_opened"
    assert table_name("DutyNotificationSubmitted") == "duty_notification_submitted"


def test_every_event_type_has_a_table_that_can_be_made(sink: SqlSink) -> None:
    schemas = Schemas.load()
    names = {table_name(kind) for kind in schemas.types()}
    assert len(names) == len(schemas.types())
    for kind in schemas.types():
        columns = [t.column for f in schemas.by_type(kind).fields for t in targets(f.name, f.avro)]
        assert len(set(columns)) == len(columns)
    sink.tables.ready((kind, schemas.by_type(kind).schema_id) for kind in schemas.types())
    assert names <= set(sa.inspect(sink.database.engine).get_table_names())


def test_a_field_named_like_a_provenance_column_gets_another_name(sink: SqlSink) -> None:
    assert "event_ref" in PROVENANCE
    sink.apply(
        batch(
            released(
                1,
                "e-1",
                "ReleaseWithheld",
                {"audit": {"event_ref": "e-x", "to_agency": "A", "categories": ["health"],
                           "reason": "no_consent"}},
            )
        )
    )  # fmt: skip
    assert rows(sink, "SELECT event_ref, event_ref_stated, categories FROM release_withheld") == [
        ("e-1", "e-x", '["audit"]')
    ]


def test_types_in_postgres(postgres_sink: SqlSink) -> None:
    sink = postgres_sink
    sink.claim()
    sink.apply(
        batch(
            identity(1, aliases=["A", "B"]),
            released(
                2,
                "e-2",
                "CompensationClaimed",
                {"financial": {"claim_ref": "c", "route": "civil",
                               "amount": {"amount": "12.50", "currency": "EUR"}}},
            ),
            released(
                3,
                "e-3",
                "ReferralMade",
                {"case_management": {"referral_id": "r", "to_agency": "POL-1",
                                     "services": ["legal"], "urgency": "1_day", "basis": "c1",
                                     "respond_by": "2026-12-01T10:00:00Z"}},
            ),
            released(
                4,
                "e-4",
                "NeedsAssessed",
                {"family": {"dependants": 2}},
            ),
        )
    )  # fmt: skip
    [(born, aliases, occurred, categories)] = rows(
        sink, "SELECT date_of_birth, aliases, occurred_at, categories FROM identity_recorded"
    )
    assert born.isoformat() == "2001-02-03"
    assert (aliases, categories) == (["A", "B"], ["identity"])
    assert occurred.tzinfo is not None
    [(amount, currency)] = rows(
        sink, "SELECT amount_amount, amount_currency FROM compensation_claimed"
    )
    assert (str(amount), currency) == ("12.5000", "EUR")
    [(until,)] = rows(sink, "SELECT respond_by FROM referral_made")
    assert until.isoformat() == "2026-12-01T10:00:00+00:00"
    assert rows(sink, "SELECT dependants FROM needs_assessed") == [(2,)]


def test_the_state_of_a_case(sink: SqlSink) -> None:
    closed = released(
        2,
        "e-2",
        "CaseClosed",
        {"case_management": {"reason": "returned", "retention_until": "2030-01-01"}},
        minutes=50,
    )
    sink.apply(batch(opened_case(1), closed))
    state = "SELECT case_ref, status, events, last_event_type FROM nrm_case"
    assert rows(sink, state) == [("nc-1", "closed", 2, "CaseClosed")]
    late = released(3, "e-3", "PresumptionRecorded", {"case_management": {"level": "possible"}})
    sink.apply(batch(late))
    assert rows(sink, state) == [("nc-1", "closed", 3, "CaseClosed")], "told late, happened before"
    sink.apply(batch(recalled(4, ("e-2", ["case_management"]))))
    assert rows(sink, state) == [("nc-1", "open", 2, "PresumptionRecorded")]
    both = [("e-0", ["case_management"]), ("e-3", ["case_management"])]
    sink.apply(batch(recalled(5, *both)))
    assert rows(sink, "SELECT * FROM nrm_case") == []
    assert rows(sink, "SELECT * FROM nrm_timeline") == []


def test_evidence_is_kept_apart_and_only_of_what_is_held(sink: SqlSink) -> None:
    sink.apply(
        batch(
            released(
                1,
                "e-1",
                "IdentityRecorded",
                {"identity": {"given_name": "X"}, "demographics": {"gender": "f"}},
            )
        )
    )
    [(statement,)] = rows(sink, "SELECT statement FROM nrm_evidence")
    kept = EVIDENCE.decode(statement)
    assert kept["header"] == b"header"
    assert {part["name"] for part in kept["disclosed"]} == {"identity", "demographics"}
    sink.apply(batch(recalled(2, ("e-1", ["identity"]))))
    [(statement,)] = rows(sink, "SELECT statement FROM nrm_evidence")
    assert [part["name"] for part in EVIDENCE.decode(statement)["disclosed"]] == ["demographics"]
    sink.apply(batch(recalled(3, ("e-1", ["demographics"]))))
    assert rows(sink, "SELECT * FROM nrm_evidence") == []


def test_holdings_say_what_is_held_on_which_basis(sink: SqlSink) -> None:
    sink.apply(batch(identity(1), opened_case(2)))
    query = "SELECT event_ref, category, basis FROM nrm_holding ORDER BY event_ref"
    assert rows(sink, query) == [
        ("e-0", "case_management", "public_task"),
        ("e-1", "identity", "public_task"),
    ]
    sink.apply(batch(recalled(3, ("e-1", ["identity"]))))
    assert rows(sink, query) == [("e-0", "case_management", "public_task")]


def test_two_agencies_may_not_be_confused_about_the_hub(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/partner.db"
    first = SqlSink(url, "POL-1", "hub-a")
    first.prepare()
    first.claim()
    other = SqlSink(url, "POL-1", "hub-b")
    with pytest.raises(SettingsError, match="hub-a"):
        other.claim()
    first.close()
    other.close()


@pytest.mark.parametrize(
    "url",
    [
        "nonsense",
        "sqlite://",
        "sqlite:///:memory:",
        "mysql://x/y",
        "mariadb://x/y?charset=latin1",
        "oracle://x/y",
        "sqlite://partner.db",
        "postgresql://u@h:port/db",
        "postgresql://[::1/db",
        "mariadb://u:S3CRET:S3CRET@S3CRET:x@h/db",
    ],
)
def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(SettingsError) as wrong:
        SqlSink(url, "POL-1", "h")
    assert "S3CRET" not in str(wrong.value)
    with pytest.raises(SettingsError):
        SourceDatabase(url)


def test_sqlite_is_durable_and_overwrites_what_it_deletes(sink: SqlSink) -> None:
    assert rows(sink, "PRAGMA synchronous") == [(2,)]
    assert rows(sink, "PRAGMA secure_delete") == [(1,)]


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    sink = SqlSink("postgresql://nrm@127.0.0.1:1/none", "POL-1", "h")
    with pytest.raises(SinkDownError):
        sink.prepare()
    sink.close()
    sink = SqlSink(f"sqlite:///{tmp_path}/no/such/folder/p.db", "POL-1", "h")
    with pytest.raises(SinkDownError):
        sink.prepare()
    sink.close()


def test_a_full_or_read_only_disk_is_an_outage(sink: SqlSink) -> None:
    with sink.database.engine.connect() as db:
        pages = db.exec_driver_sql("PRAGMA page_count").scalar()

    def small(connection: Any, record: Any) -> None:
        connection.execute(f"PRAGMA max_page_count={pages}")

    sa.event.listen(sink.database.engine, "connect", small)
    sink.database.engine.dispose()
    with pytest.raises(SinkDownError, match="FULL"):
        sink.apply(batch(*[opened_case(n, f"e-{n}") for n in range(1, 400)]))
    assert sink.position().sequence == 0
    assert "case_opened" not in sa.inspect(sink.database.engine).get_table_names() or (
        rows(sink, "SELECT * FROM case_opened") == []
    )


def test_connections_cut_by_the_server_are_outages_and_heal(postgres_sink: SqlSink) -> None:
    sink = postgres_sink
    sink.claim()
    sink.apply(batch(opened_case(1)))
    url = sink.database.engine.url.set(drivername="postgresql").render_as_string(False)

    def cut() -> None:
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE application_name = 'nrm-connector'"
            )

    with pytest.raises(SinkDownError), sink.database.writing() as db:
        db.execute(sa.text("DELETE FROM case_opened"))
        cut()
        db.execute(sa.text("SELECT 1"))
    cut()
    sink.apply(batch(identity(2)))
    assert len(rows(sink, "SELECT * FROM case_opened")) == 1
    assert sink.position().sequence == 2


def test_a_lock_held_by_a_stopped_runner_does_not_hold_for_ever(
    postgres_sink: SqlSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = postgres_sink
    sink.claim()
    with sink.database.writing() as db:
        db.execute(sa.text("SELECT * FROM nrm_connector_state FOR UPDATE"))
        other = SqlSink(sink.database.engine.url.render_as_string(False), "POL-1", "test-hub")
        with other.database.engine.connect() as probe:
            assert probe.execute(sa.text("SHOW lock_timeout")).scalar() == "10s"
        with pytest.raises(SinkDownError, match="LockNotAvailable"), other.database.writing() as tx:
            tx.execute(sa.text("SET LOCAL lock_timeout = '50ms'"))
            tx.execute(sa.text("SELECT * FROM nrm_connector_state FOR UPDATE"))
        other.close()


def test_tables_in_a_schema_of_their_own(new_postgres_database: Callable[[], str]) -> None:
    url = new_postgres_database()
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("CREATE SCHEMA exchange")
    sink = SqlSink(url, "POL-1", "h", db_schema="exchange")
    sink.prepare()
    sink.claim()
    sink.apply(batch(opened_case(1), recalled(2, ("e-0", ["case_management"])), identity(3)))
    inspector = sa.inspect(sink.database.engine)
    assert inspector.get_table_names() == []
    assert {"case_opened", "identity_recorded", "nrm_case"} <= set(
        inspector.get_table_names(schema="exchange")
    )
    sink.close()


def test_nul_and_long_numbers_are_refused_not_retried(postgres_sink: SqlSink) -> None:
    sink = postgres_sink
    sink.claim()
    with pytest.raises(SinkRefusedError) as caught:
        sink.apply(batch(identity(1, given_name="secret\x00name")))
    assert "secret" not in str(caught.value)
    dependants = released(1, "e-1", "NeedsAssessed", {"family": {"dependants": 2**70}})
    with pytest.raises(SinkRefusedError):
        sink.apply(batch(dependants))
    assert sink.position().sequence == 0
