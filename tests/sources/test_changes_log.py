"""Following PostgreSQL's log: what is committed is stated once, whatever order it came in."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from connectors.errors import SettingsError
from connectors.sources.captured import CapturedSource
from connectors.sources.slot.ddl import owner
from tests.patience import PATIENCE, until
from tests.sources.followed import Followed
from tests.sources.site import Site
from tests.sources.test_changes import MAPPING, STAY, TABLES

AT = "'2026-03-02 08:00+00'"


@pytest.fixture
def agency(new_postgres_database: Callable[[], str], tmp_path: Path) -> Iterator[Followed]:
    found = Followed(new_postgres_database(), tmp_path)
    found.do(TABLES["postgres"], STAY)
    yield found
    found.close()


def client(number: int, case: str = "", age: str = "A") -> str:
    return (
        f"INSERT INTO client VALUES ({number}, '{case or f'C-{number}'}', 'outreach', '{age}', "
        f"NULL, NULL, {AT}, {AT})"
    )


def stay(number: int, of: int) -> str:
    return f"INSERT INTO stay VALUES ({number}, {of}, 'safe_house', 'Elm 1', 1)"


def levels(source: CapturedSource) -> list[str]:
    """What is said of following the log."""
    return [one.level for one in source.check() if one.subject == "log"]


def _committed(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as db:
        db.execute(statement.encode())


def test_what_was_there_what_changes_and_what_goes(site: Site, agency: Followed) -> None:
    agency.do(client(1), stay(1, 1))
    agency.follow(MAPPING)
    source = agency.open(MAPPING, site.identity.salt_secret)
    assert site.run(source).accepted == 2  # by comparing all rows, once
    assert site.run(source).idle
    agency.do(  # nothing tells of a change but the log
        "UPDATE client SET file_no = '77/B'", "UPDATE stay SET address = 'Oak 2'"
    )
    assert site.run(source).accepted == 2
    agency.do(client(2), stay(2, 2), "DELETE FROM stay WHERE id = 1")
    assert site.run(source).accepted == 3
    agency.do("TRUNCATE stay")
    assert site.run(source).accepted == 1
    said = site.types()
    assert said[:4] == ["CaseOpened", "AccommodationPlaced", "RecordCorrected", said[1]]
    placed = ["AccommodationEnded", "AccommodationPlaced", "CaseOpened"]
    assert sorted(said[4:7]) == placed
    assert said[7:] == ["AccommodationEnded"]
    assert source.report(9) == []
    assert site.run(source).idle


def test_commits_out_of_order_and_what_is_rolled_back(site: Site, agency: Followed) -> None:
    """What a watermark passes over: an older time that is committed later, here by far."""
    agency.follow(MAPPING)
    source = agency.open(MAPPING, site.identity.salt_secret)
    with psycopg.connect(agency.admin) as early, psycopg.connect(agency.admin) as undone:
        early.execute(client(1).replace("2026", "2025").encode())
        undone.execute(client(3).encode())
        early.execute(b"SAVEPOINT one")
        early.execute(client(4).encode())
        early.execute(b"ROLLBACK TO one")
        agency.do(client(2))
        assert site.run(source).accepted == 1
        undone.rollback()
        early.commit()
    assert site.run(source).accepted == 1
    assert site.run(source).idle
    assert len(site.recorded()) == 2
    assert agency.ask("SELECT count(*) FROM client") == 2


def test_a_commit_that_reads_do_not_see_yet_waits(site: Site, agency: Followed) -> None:
    """While a standby has to confirm it, a commit is in the log and seen by nobody."""
    agency.follow(MAPPING)
    source = agency.open(MAPPING, site.identity.salt_secret)
    site.run(source)
    agency.do("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "SELECT pg_reload_conf()")
    try:
        agency.ask("SELECT pg_sleep(0.2)")
        waiting = threading.Thread(target=_committed, args=(agency.admin, client(1)))
        waiting.start()
        held = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
        until(lambda: agency.ask(held) > 0)
        for _ in range(2):
            assert list(source.read(10)) == []
    finally:
        agency.do("ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()")
    waiting.join(PATIENCE)
    assert site.run(source).accepted == 1


def test_a_change_while_its_event_is_under_way_waits_for_the_answer(
    site: Site, agency: Followed
) -> None:
    agency.do(client(1))
    agency.follow(MAPPING)
    source = agency.open(MAPPING, site.identity.salt_secret)
    assert len(source.read(10)) == 1
    agency.do("UPDATE client SET file_no = '9'")
    assert len(source.read(10)) == 1
    assert site.run(source).accepted == 2
    assert site.types() == ["CaseOpened", "RecordCorrected"]


def test_a_row_that_goes_while_its_event_is_under_way(site: Site, agency: Followed) -> None:
    agency.follow(MAPPING)
    source = agency.open(MAPPING, site.identity.salt_secret)
    agency.do(client(1), stay(1, 1))
    assert len(source.read(10)) == 2
    agency.do("DELETE FROM stay")
    assert site.run(source).accepted == 3
    agency.do(stay(1, 1))  # as before, but it was gone
    assert site.run(source).accepted == 1
    placed, ended = "AccommodationPlaced", "AccommodationEnded"
    assert site.types() == ["CaseOpened", placed, ended, placed]


def test_while_the_hub_is_away_the_server_keeps_no_log_for_it(site: Site, agency: Followed) -> None:
    """Each touched row waits once in the state file, however often it is touched."""
    agency.follow(MAPPING)
    source = agency.open(MAPPING, site.identity.salt_secret)
    agency.do(*(client(number) for number in range(1, 7)))
    runner = site.runner(source, away=True)
    runner._pace = type(runner._pace)(rows=2)
    for number in range(5):
        agency.do(f"UPDATE client SET file_no = '{number}'")
        assert runner.run_once().waiting
    before = agency.position()["confirmed_flush_lsn"]
    assert runner.run_once().waiting
    assert agency.ask(f"SELECT pg_current_wal_lsn() - '{before}'::pg_lsn") < 10_000
    assert source.status().notes[-1].endswith("6 touched rows wait to be looked at")
    assert site.run(source).accepted == 6 + 2  # two went out as they were first
    assert site.run(source).idle


def test_log_of_other_tables_is_not_kept(site: Site, agency: Followed) -> None:
    agency.follow(MAPPING)
    source = agency.open(MAPPING, site.identity.salt_secret)
    site.run(source)
    before = agency.position()["confirmed_flush_lsn"]
    agency.do("CREATE TABLE other AS SELECT repeat('x', 1000) FROM generate_series(1, 3000)")
    for _ in range(2):
        assert site.run(source).idle
    assert agency.ask(
        f"SELECT confirmed_flush_lsn - '{before}'::pg_lsn > 3000000 FROM pg_replication_slots "
        f"WHERE slot_name = '{agency.slot}'"
    )


def test_an_alarm_when_much_log_is_kept(site: Site, agency: Followed) -> None:
    agency.follow(MAPPING)
    source = agency.open(MAPPING, site.identity.salt_secret, most_kept=2**20)
    runner = site.runner(source)
    runner.run_once()
    assert runner.alarms == {}
    with psycopg.connect(agency.admin) as left_open:
        left_open.execute(client(1).encode())
        agency.do("CREATE TABLE other AS SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
        runner.run_once()
        assert "end transactions that stand open" in runner.alarms["log_kept"]
        assert levels(source) == ["warning", "warning"]
        left_open.rollback()

    def noted() -> bool:  # the server, that it has ended
        agency.do("CHECKPOINT")
        runner.run_once()
        return "log_kept" not in runner.alarms

    until(noted)


def test_a_long_transaction_is_taken_whole_and_in_parts(site: Site, agency: Followed) -> None:
    agency.follow(MAPPING)
    source = agency.open(MAPPING, site.identity.salt_secret, messages=10)
    site.run(source)
    agency.do(
        "INSERT INTO client SELECT n, 'C-' || n, 'outreach', 'A', NULL, NULL, now(), now() "
        "FROM generate_series(1, 60) n"
    )
    agency.do(client(61))
    assert len(source.read(7)) == 7
    with agency.away():
        assert len(source.read(7)) == 7  # what is here can go
    assert "53 touched rows wait" in source.status().notes[-1]  # 61 is of the next peek
    assert site.run(source).accepted == 61


TYPED = """
version = 1
zone = "UTC"
[[map]]
event = "AccommodationPlaced"
table = "home.Stay"
key = ["of", "since"]
case = "case_no"
[map.fields]
placement_id = { text = "{of} {since}" }
type = { constant = "safe_house" }
address = { constant = "Elm 1" }
[[map]]
event = "AccommodationEnded"
table = "home.Stay"
key = ["of", "since"]
case = "case_no"
on = "delete"
[map.fields]
placement_id = { text = "{of} {since}" }
reason = { constant = "moved_on" }
"""


@pytest.mark.parametrize("identity", ["key", "full", "other"])
def test_keys_of_other_types_that_change(site: Site, agency: Followed, identity: str) -> None:
    """Parts of a key are read as their columns' types; another primary key than the mapping's does
    not tell what is deleted, and all rows are compared."""
    opened = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
    assert site.road.publish("NGO-1", "CaseOpened", "C-1", **opened).accepted
    agency.do("CREATE SCHEMA home")
    key = "PRIMARY KEY (since, of)" if identity == "key" else "UNIQUE (of, since)"
    more = ", n SERIAL PRIMARY KEY" if identity == "other" else ""
    columns = f"of UUID, since DATE, case_no TEXT, note TEXT{more}, {key}"
    agency.do(f'CREATE TABLE home."Stay" ({columns})')
    if identity == "full":
        agency.do('ALTER TABLE home."Stay" REPLICA IDENTITY FULL')
    agency.follow(TYPED)
    source = agency.open(TYPED, site.identity.salt_secret)
    uuid = "0b0cfd34-5d8d-4d3f-9d57-4c8d6a3a7c1e"
    agency.do(
        f"INSERT INTO home.\"Stay\" VALUES ('{uuid}', '2026-03-01', 'C-1')",
        f"INSERT INTO home.\"Stay\" VALUES ('{uuid}', '2026-03-02', 'C-1')",
    )
    assert site.run(source).accepted == 2
    agency.do("DELETE FROM home.\"Stay\" WHERE since = '2026-03-01'")
    assert site.run(source).accepted == 1, source.report(9)
    agency.do("UPDATE home.\"Stay\" SET since = '2026-03-03'")
    assert site.run(source).accepted == (1 if identity == "other" else 2)
    assert site.run(source).idle
    agency.now += 2000
    site.run(source)
    assert sorted(site.types()[1:]) == ["AccommodationEnded"] * 2 + ["AccommodationPlaced"] * 3
    assert levels(source) == (["warning"] if identity == "other" else []) + ["ok", "warning"]


def test_a_slot_that_is_lost_says_how_to_go_on(site: Site, agency: Followed) -> None:
    agency.do(client(1), client(2), stay(1, 1))
    agency.follow(MAPPING)
    source = agency.open(MAPPING, site.identity.salt_secret)
    assert site.run(source).accepted == 3
    agency.do("ALTER SYSTEM SET max_slot_wal_keep_size = '1MB'", "SELECT pg_reload_conf()")
    try:
        agency.ask("SELECT pg_sleep(0.2)")
        agency.do("UPDATE client SET file_no = '9' WHERE id = 1", client(3), "DELETE FROM stay")
        for number in range(3):
            agency.do(f"CREATE TABLE fill_{number} ()", "SELECT pg_switch_wal()")
        agency.do("CHECKPOINT")
        assert agency.position()["wal_status"] == "lost"
        with pytest.raises(SettingsError, match="is lost") as stopped:
            source.read(10)
        with pytest.raises(SettingsError, match="is lost"):
            agency.open(MAPPING, site.identity.salt_secret)
        agency.mend(str(stopped.value))
    finally:
        agency.do("ALTER SYSTEM RESET max_slot_wal_keep_size", "SELECT pg_reload_conf()")
    assert site.run(agency.open(MAPPING, site.identity.salt_secret)).accepted == 3
    assert sorted(site.types()[3:]) == ["AccommodationEnded", "CaseOpened", "RecordCorrected"]


def test_books_from_an_older_copy_and_a_slot_that_somebody_moved(
    site: Site, agency: Followed
) -> None:
    agency.follow(MAPPING)
    source = agency.open(MAPPING, site.identity.salt_secret)
    agency.do(client(1))
    assert site.run(source).accepted == 1
    source.close()
    copy = agency.folder / "copy.db"
    shutil.copy(agency.folder / "changes.state.db", copy)
    source = agency.open(MAPPING, site.identity.salt_secret)
    agency.do(client(2), "DELETE FROM client WHERE id = 1")
    assert site.run(source).accepted == 1
    site.run(source)
    source.close()
    shutil.copy(copy, agency.folder / "changes.state.db")
    source = agency.open(MAPPING, site.identity.salt_secret)
    assert site.run(source).accepted == 1  # the same event for the hub
    assert len(site.recorded()) == 2

    agency.do(client(3))
    agency.do(
        f"SELECT pg_replication_slot_advance('{agency.slot}', pg_current_wal_lsn()) "
        f"FROM pg_publication WHERE pubname = '{agency.slot}'"
    )
    assert site.run(source).accepted == 1
    assert len(site.recorded()) == 3


def test_a_table_that_leaves_the_publication_while_it_runs(site: Site, agency: Followed) -> None:
    """What came before it is back is found by comparing."""
    agency.follow(MAPPING)
    source = agency.open(MAPPING, site.identity.salt_secret)
    assert site.run(source).idle
    agency.do("DROP TABLE client", TABLES["postgres"], client(1))
    with pytest.raises(SettingsError, match="does not hold client") as stopped:
        source.read(10)
    assert "may not read client" in str(stopped.value), "all at once"
    agency.mend(str(stopped.value))
    assert site.run(source).accepted == 1


def test_a_publication_that_was_made_again(site: Site, agency: Followed) -> None:
    """What was committed without one cannot be told by the slot."""
    agency.follow(MAPPING)
    source = agency.open(MAPPING, site.identity.salt_secret)
    assert site.run(source).idle
    agency.do(f"DROP PUBLICATION {agency.slot}", client(1))
    for told in ("no publication", "stands before its publication"):
        with pytest.raises(SettingsError, match=told) as stopped:
            source.read(10)
        agency.mend(str(stopped.value))
    assert site.run(source).accepted == 1


def test_the_sources_user_has_no_right_over_replication(agency: Followed) -> None:
    agency.follow(MAPPING)
    assert agency.ask(
        f"SELECT NOT rolreplication AND NOT rolsuper FROM pg_roles WHERE rolname = '{agency.user}'"
    )
    assert agency.ask(
        f"SELECT NOT rolcanlogin FROM pg_roles WHERE rolname = '{owner(agency.slot)}'"
    )
    for forbidden in (
        f"SELECT pg_logical_slot_peek_binary_changes('{agency.slot}', NULL, 1)",
        "SELECT pg_create_logical_replication_slot('nrm_more', 'pgoutput')",
        "SELECT left_on FROM client",
        "UPDATE client SET how = how",
    ):
        with psycopg.connect(agency.url) as db, pytest.raises(psycopg.errors.InsufficientPrivilege):
            db.execute(forbidden.encode())


def test_a_table_that_publishing_would_lock_is_refused(agency: Followed) -> None:
    """Without an identity PostgreSQL refuses every UPDATE of a published table."""
    agency.do("ALTER TABLE stay DROP CONSTRAINT stay_pkey")
    with pytest.raises(psycopg.errors.RaiseException, match="without primary key: stay"):
        agency.follow(MAPPING)
    assert agency.ask("SELECT count(*) FROM pg_publication") == 0
    assert agency.ask(
        f"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{agency.slot}'"
    ) == 0  # fmt: skip


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        ("DROP PUBLICATION {slot}", "there is no publication"),
        ("ALTER PUBLICATION {slot} DROP TABLE stay", "does not hold stay"),
        ("ALTER PUBLICATION {slot} SET (publish = 'insert')", "leaves out"),
        ("REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA {slot} FROM {user}", "may not call"),
        ("ALTER ROLE {slot}_owner NOREPLICATION", "no right over slots"),
        (
            "REVOKE SELECT ON stay FROM {user}; REVOKE ALL (address) ON stay FROM {user}",
            "read stay",
        ),
        ("SELECT pg_drop_replication_slot('{slot}')", "there is no slot"),
        ("ALTER TABLE stay DROP CONSTRAINT stay_pkey", "stay has no primary key"),
    ],
)
def test_what_is_missing_is_named_with_what_mends_it(
    agency: Followed, broken: str, told: str
) -> None:
    agency.follow(MAPPING)
    source = agency.open(MAPPING, b"secret")
    agency.do(broken.format(slot=agency.slot, user=agency.user))
    [wrong] = [one for one in source.check() if one.level == "wrong"]
    assert told in wrong.text
    with pytest.raises(SettingsError, match=told):
        source.prepare()
    agency.mend(wrong.fix)
    assert "wrong" not in [one.level for one in source.check()]
    source.prepare()
