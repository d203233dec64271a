"""The outbox source: every committed row is sent once, whatever commits when."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from connectors.errors import SettingsError, SourceDownError
from connectors.sources.database import SourceDatabase
from connectors.sources.outbox.ddl import ddl, trigger
from connectors.sources.runner import SourcePace, SourceRunner
from connectors.submit import Event
from tests.sources.site import AT, OPENED, Site, make_outbox, outbox

DATABASES = ["sqlite", "postgres", "mariadb"]
CANARY = "Zlatanova-Canary"


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'casework.db'}"
    made: Callable[[], str] = request.getfixturevalue(f"new_{request.param}_database")
    return made()


def put(db: sa.Connection, case: str, kind: str = "CaseOpened", **data: Any) -> None:
    """As an application does it, in its own transaction."""
    db.execute(
        sa.text(
            "INSERT INTO nrm_outbox (event_type, case_ref, occurred_at, data) "
            "VALUES (:kind, :case, :at, :data)"
        ),
        {
            "kind": kind,
            "case": case,
            "at": AT if db.dialect.name != "mariadb" else AT[:19],
            "data": json.dumps(data or OPENED),
        },
    )


def rows(database: SourceDatabase, columns: str = "case_ref, status") -> list[tuple[Any, ...]]:
    with database.reading() as db:
        found = db.execute(sa.text(f"SELECT {columns} FROM nrm_outbox ORDER BY id"))
        return [tuple(row) for row in found]


def test_a_row_is_accepted_and_told_so(site: Site, url: str) -> None:
    database = make_outbox(url)
    with database.writing() as db:
        put(db, "C-1")
    assert site.run(outbox(database)).accepted == 1
    [event] = site.recorded()
    [(status, event_id, position, reason, data)] = rows(
        database, "status, hub_event, hub_position, answer_reason, data"
    )
    assert (status, reason) == ("accepted", None)
    assert event_id.replace("-", "") == event.event_id.hex()
    assert position is not None
    assert data in ({}, "{}")  # what it said is blanked
    database.close()


def test_a_refused_row_says_why_and_blocks_only_its_case(site: Site, url: str) -> None:
    database = make_outbox(url)
    source = outbox(database)
    with database.writing() as db:
        put(db, "C-1", channel="nowhere", jurisdiction="XX", age_status="adult")
        put(db, "C-1")
        put(db, "C-2")
    progress = site.run(source)
    assert (progress.accepted, progress.refused) == (1, 1)
    [refused, held] = source.report(10)
    assert (refused.state, refused.step, refused.reason) == ("refused", 0, "unknown_code")
    assert (refused.field, held.reason) == ("channel", "case_held")
    told = source.status()
    assert (told.ready, told.held, told.accepted, told.refused) == (0, 1, 1, 1)
    with database.writing() as db:  # put right by people
        db.execute(
            sa.text("UPDATE nrm_outbox SET status = 'ready', data = :data WHERE id = 1"),
            {"data": json.dumps(OPENED)},
        )
    assert site.run(source).accepted == 1
    [second] = source.report(10)  # the case is open already: the hub says so
    assert (second.state, second.reason) == ("refused", second.reason)
    assert second.step == 7
    with database.writing() as db:
        db.execute(sa.text("UPDATE nrm_outbox SET status = 'dropped' WHERE status = 'refused'"))
        put(db, "C-1", "NeedsAssessed", domains=["housing"])
    assert site.run(source).accepted == 1
    assert source.status().held == 0
    database.close()


def test_a_refused_row_offered_again_is_another_event(site: Site, url: str) -> None:
    """The hub's no is final for an id; its cause was elsewhere, and is gone."""
    database = make_outbox(url)
    source = outbox(database)
    with database.writing() as db:
        put(db, "C-1", "NeedsAssessed", domains=["housing"])
    assert site.run(source).refused == 1
    [(before,)] = rows(database, "hub_event")
    assert site.road.publish("NGO-1", "CaseOpened", "C-1", **OPENED).accepted
    assert source.release() == 1
    assert site.run(source).accepted == 1
    [(attempt, after)] = rows(database, "attempt, hub_event")
    assert attempt == 1
    assert after != before
    database.close()


def test_lower_ids_that_commit_later_are_not_passed_over(site: Site, url: str) -> None:
    """Writers commit in any order, and every third rolls back: what is committed is sent, once."""
    database = make_outbox(url)
    source = outbox(database)
    kept: set[str] = set()
    lock = threading.Lock()
    over = threading.Event()

    def writer(number: int) -> None:
        chance = random.Random(number)
        mine = SourceDatabase(url)
        for turn in range(12):
            case = f"W{number}-{turn}"
            try:
                with mine.writing() as db:
                    put(db, case)
                    over.wait(chance.random() * 0.03)
                    if chance.random() < 0.33:
                        raise ZeroDivisionError
            except ZeroDivisionError:
                continue
            with lock:
                kept.add(case)
        mine.close()

    writers = [threading.Thread(target=writer, args=(number,)) for number in range(4)]
    for one in writers:
        one.start()
    runner = site.runner(source)
    while any(one.is_alive() for one in writers):
        runner.run_once()
    for one in writers:
        one.join()
    site.run(source)
    assert {case for case, status in rows(database) if status == "accepted"} == kept
    assert len(site.recorded()) == len(kept)
    database.close()


def test_the_same_rows_read_again_are_the_same_events(site: Site, url: str) -> None:
    """As after a crash between the hub's answer and writing it back."""
    database = make_outbox(url)
    source = outbox(database)
    with database.writing() as db:
        for number in range(5):
            put(db, f"C-{number}")
    forgetful = Forgetful(source)
    assert site.runner(forgetful).run_once().accepted == 5
    assert source.status().ready == 5
    assert site.run(source).accepted == 5
    assert len(site.recorded()) == 5
    database.close()


class Forgetful:
    """A source whose process dies before an answer is written back."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def answered(self, outcomes: Any) -> None:
        pass


def test_triggers_as_printed_fill_the_outbox(site: Site, url: str) -> None:
    database = make_outbox(url)
    with database.writing() as db:
        columns = "case_no VARCHAR(40), channel VARCHAR(40), age VARCHAR(20)"
        db.exec_driver_sql(f"CREATE TABLE client ({columns})")
        for statement in _statements(trigger(database.dialect)):
            db.exec_driver_sql(statement)
    with database.writing() as db:
        db.exec_driver_sql("INSERT INTO client VALUES ('C-9', 'helpline', 'unknown')")
    assert site.run(outbox(database)).accepted == 1
    assert site.types() == ["CaseOpened"]
    database.close()


def _statements(text: str) -> list[str]:
    if "$$;" in text:
        first, rest = text.split("$$;\n")
        return [first + "$$", rest]
    return [text]


def test_what_is_missing_is_named_with_its_remedy(url: str) -> None:
    if url.startswith("sqlite:///"):
        Path(url.removeprefix("sqlite:///")).touch()
    source_database = SourceDatabase(url)
    with pytest.raises(SettingsError, match=r"no table nrm_outbox: nrm-hub source ddl"):
        outbox(source_database)
    with source_database.writing() as db:
        db.exec_driver_sql("CREATE TABLE nrm_outbox (id INTEGER)")
    with pytest.raises(SettingsError, match="no column row_key") as told:
        outbox(source_database)
    assert "no column answer_fix" in str(told.value), "all of them"
    source_database.close()


def test_a_user_without_rights_is_told_which(new_postgres_database: Callable[[], str]) -> None:
    url = new_postgres_database()
    database = make_outbox(url)
    with database.writing() as db:
        name = url.rpartition("/")[2]
        db.exec_driver_sql(f"CREATE ROLE reader_{name} LOGIN PASSWORD 'secret-word'")
        db.exec_driver_sql(f"GRANT SELECT ON nrm_outbox TO reader_{name}")
    database.close()
    host = url.rpartition("@")[2]
    theirs = SourceDatabase(f"postgresql://reader_{name}:secret-word@{host}")
    with pytest.raises(SettingsError, match=r"GRANT UPDATE ON nrm_outbox TO reader") as told:
        outbox(theirs, after="delete")
    assert "GRANT DELETE ON" in str(told.value)
    assert "secret-word" not in str(told.value)
    theirs.close()


def test_an_outbox_that_takes_nothing_back_is_refused(
    new_mariadb_database: Callable[[], str],
) -> None:
    """What the application rolls back would be sent."""
    database = make_outbox(new_mariadb_database())
    with database.writing() as db:
        db.exec_driver_sql("ALTER TABLE nrm_outbox ENGINE=MyISAM")
    with pytest.raises(SettingsError, match="ALTER TABLE nrm_outbox ENGINE=InnoDB"):
        outbox(database)
    database.close()


def test_outages_raise_an_alarm_once_and_it_ends(site: Site, tmp_path: Path) -> None:
    database = make_outbox(f"sqlite:///{tmp_path / 'casework.db'}")
    with database.writing() as db:
        put(db, "C-1")
    told: list[tuple[str, bool]] = []
    stop = threading.Event()
    source = Flaky(outbox(database), stop)
    runner = SourceRunner(
        source,
        site.identity,
        site.road.publisher("NGO-1"),
        pace=SourcePace(poll=0.01, pause_first=0.01, pause_most=0.02),
        on_alarm=lambda reason, _, raised: told.append((reason, raised)),
    )
    runner.run(stop)
    assert told == [("source_down", True), ("source_down", False)]
    assert len(site.recorded()) == 1
    database.close()


class Flaky:
    """A source whose database is away three times, and which ends the run when all is done."""

    def __init__(self, source: Any, stop: threading.Event) -> None:
        self._source = source
        self._stop = stop
        self._left = 3

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def read(self, limit: int) -> Any:
        if self._left:
            self._left -= 1
            raise SourceDownError("the agency's database does not work: test")
        found = self._source.read(limit)
        if not found:
            self._stop.set()
        return found


def test_while_the_hub_is_away_rows_wait(site: Site, url: str) -> None:
    database = make_outbox(url)
    source = outbox(database)
    with database.writing() as db:
        put(db, "C-1")
    runner = site.runner(source, away=True)
    assert runner.run_once().waiting
    assert "hub_unreachable" in runner.alarms
    assert source.status().ready == 1
    assert site.run(source).accepted == 1
    database.close()


def test_while_the_hub_takes_nothing_of_the_agency_rows_wait(site: Site, tmp_path: Path) -> None:
    database = make_outbox(f"sqlite:///{tmp_path / 'casework.db'}")
    source = outbox(database)
    with database.writing() as db:
        put(db, "C-1")
    site.road.hub.enrolment.revoke("NGO-1", None, reason="stolen", by="operator")
    runner = site.runner(source)
    assert runner.run_once().waiting
    assert runner.alarms["agency_refused"].startswith("revoked_key")
    assert source.status().ready == 1
    database.close()


def test_a_database_that_is_away_is_waited_for(tmp_path: Path) -> None:
    database = SourceDatabase("postgresql://nobody:secret-word@127.0.0.1:9/casework")
    with pytest.raises(SourceDownError) as down:
        outbox(database)
    assert "secret-word" not in str(down.value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("data = '[1]'", "row_unreadable"),
        ("data = '{'", "row_unreadable"),
        ("event_type = 'NoSuchEvent'", "unknown_type"),
        ("event_type = ''", "missing_column"),
        ("occurred_at = '2026-03-02 09:00:00'", "not_an_instant"),
        ("occurred_at = 'yesterday'", "not_an_instant"),
        (f"data = '{{\"{CANARY}\": 1}}'", "unknown_field"),
        (f"subject_ref = '{CANARY}\n'", "forbidden_character"),
    ],
)
def test_bad_rows_are_refused_and_say_nothing_of_their_content(
    site: Site, tmp_path: Path, caplog: pytest.LogCaptureFixture, change: str, reason: str
) -> None:
    database = make_outbox(f"sqlite:///{tmp_path / 'casework.db'}")
    source = outbox(database)
    with database.writing() as db:
        put(db, "C-1", local_case_ref=CANARY, **OPENED)
        put(db, "C-2")
        db.exec_driver_sql(f"UPDATE nrm_outbox SET {change} WHERE id = 1")
    progress = site.run(source)
    assert (progress.accepted, progress.refused) == (1, 1)
    [refused] = source.report(10)
    assert refused.reason == reason
    assert refused.fix
    assert CANARY not in caplog.text
    told = refused.fix + refused.place + (refused.reason or "")
    assert CANARY not in told


def test_the_hubs_answer_does_not_depend_on_where_the_source_runs(site: Site) -> None:
    """Ids follow from identity, source and row; another machine makes the same."""
    from connectors.source import SourceRow, event_id_of

    row = SourceRow("k", "row 1", Event("CaseOpened", "C-1", OPENED, occurred_at=site.road.time.at))
    secret = site.identity.salt_secret
    assert event_id_of(secret, "a", row) == event_id_of(secret, "a", row)
    others = {
        event_id_of(secret, "b", row),
        event_id_of(b"other" * 7, "a", row),
        event_id_of(secret, "a", SourceRow("k", "", row.event, attempt=1)),
        event_id_of(secret, "a", SourceRow("k2", "", row.event)),
        event_id_of(secret, "a", row),
    }
    assert len(others) == 5


def test_the_statements_are_for_databases_we_know() -> None:
    with pytest.raises(SettingsError, match="postgresql, mariadb or sqlite"):
        ddl("oracle")
