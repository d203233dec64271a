"""Partners' tables and code lists that change under a running connector: SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pymysql
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from connectors.agency.identity import AgencyIdentity
from connectors.database.engines import translated
from connectors.errors import SinkDownError
from connectors.mapping import load_mapping
from connectors.sink import Sink
from connectors.sql import SqlSink, open_engine
from tests.connectors.bad_input.site import TO, Site
from tests.connectors.builder import MiniHub

MAPPING = """version = 1
default_tables = "none"
[codes.age]
adult = "A"
child = "C"
[[map]]
event = "CaseOpened"
table = "client"
key = { nrm_ref = "case_ref" }
[map.columns]
channel = "channel"
age_group = { field = "age_status", codes = "age" }
opened = { from = "occurred_at" }
"""
TABLES = (
    "CREATE TABLE age_group (code VARCHAR(4) PRIMARY KEY)",
    "INSERT INTO age_group VALUES ('A'), ('C'), ('U')",
    "CREATE TABLE client (nrm_ref VARCHAR(64) UNIQUE, channel VARCHAR(40), age_group VARCHAR(4)"
    " REFERENCES age_group(code), opened TIMESTAMP, must VARCHAR(4))",
)


@dataclass
class Own:
    """The partner's own database and what is done to it."""

    url: str
    mapping: Path

    def sink(self) -> Sink:
        return SqlSink(self.url, TO, "test-hub", mapping=load_mapping(self.mapping))

    def do(self, *statements: str) -> None:
        engine = open_engine(self.url)
        with engine.begin() as db:
            for one in statements:
                db.execute(sa.text(one))
        engine.dispose()

    def rows(self) -> list[tuple[str, str]]:
        engine = open_engine(self.url)
        with engine.connect() as db:
            found = db.execute(sa.text("SELECT channel, age_group FROM client ORDER BY opened"))
            rows = [tuple(row) for row in found]
        engine.dispose()
        return rows


@pytest.fixture(params=["sqlite", "postgres"])
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Own:
    url = f"sqlite:///{tmp_path}/own.db"
    if request.param == "postgres":
        new: Callable[[], str] = request.getfixturevalue("new_postgres_database")
        url = new()
    (tmp_path / "mapping.toml").write_text(MAPPING, "utf-8")
    place = Own(url, tmp_path / "mapping.toml")
    place.do(*TABLES)
    return place


@pytest.fixture
def site(
    hub: MiniHub, police: AgencyIdentity, shelter: AgencyIdentity, own: Own, tmp_path: Path
) -> Iterator[Site]:
    made = Site(hub, police, shelter, tmp_path, own.sink)
    made.deliver(1, channel="self", age_status="adult")
    assert made.go() == ""
    yield made
    made.close()


@dataclass(frozen=True)
class Damage:
    """What is done, what is to be read, and how it is mended. Statements by database."""

    name: str
    harm: tuple[str, ...]
    mend: tuple[str, ...]
    waits: str = ""  # words of what it says while it waits; "" if one delivery is set aside
    reason: str = ""
    only: str = ""


DAMAGES = [
    Damage(
        "the table is gone",
        ("ALTER TABLE client RENAME TO client_old",),
        ("ALTER TABLE client_old RENAME TO client",),
        waits="client: a table or column is not there",
    ),
    Damage(
        "a column is gone",
        ("ALTER TABLE client RENAME COLUMN channel TO kanal",),
        ("ALTER TABLE client RENAME COLUMN kanal TO channel",),
        waits="a table or column is not there",
    ),
    Damage(
        "the partner removed a code from its list",
        ("DELETE FROM age_group WHERE code = 'C'",),
        ("INSERT INTO age_group VALUES ('C')",),
        reason="parent_missing",
    ),
    Damage(
        "a column became too short",
        ("ALTER TABLE client ALTER COLUMN channel TYPE VARCHAR(4)",),
        ("ALTER TABLE client ALTER COLUMN channel TYPE VARCHAR(40)",),
        reason="sink_refused",
        only="postgres",
    ),
    Damage(
        "a column is of another type",
        ("ALTER TABLE client DROP COLUMN channel", "ALTER TABLE client ADD channel INTEGER"),
        ("ALTER TABLE client DROP COLUMN channel", "ALTER TABLE client ADD channel VARCHAR(40)",
         "UPDATE client SET channel = 'self'"),
        waits="of another type now",
        only="postgres",
    ),
    Damage(
        "a column must not be empty any more",
        ("UPDATE client SET must = 'x'", "ALTER TABLE client ALTER COLUMN must SET NOT NULL"),
        ("ALTER TABLE client ALTER COLUMN must DROP NOT NULL",),
        reason="sink_refused",
        only="postgres",
    ),
    Damage(
        "a trigger of the partner's refuses",
        ("CREATE TRIGGER guard BEFORE INSERT ON client BEGIN SELECT RAISE(ABORT, 'no'); END",),
        ("DROP TRIGGER guard",),
        reason="sink_refused",
        only="sqlite",
    ),
]  # fmt: skip


def cases() -> Iterator[object]:
    """Each damage in each database in which it can be done."""
    for damage in DAMAGES:
        for kind in [damage.only] if damage.only else ["sqlite", "postgres"]:
            marks = [pytest.mark.postgres] if kind == "postgres" else []
            yield pytest.param(kind, damage, id=f"{kind}, {damage.name}", marks=marks)


@pytest.mark.parametrize(("own", "damage"), list(cases()), indirect=["own"])
def test_nothing_is_lost(damage: Damage, site: Site, own: Own) -> None:
    own.do(*damage.harm)
    site.deliver(2, channel="inspection", age_status="child")
    said = site.go()
    if damage.waits:
        assert damage.waits in said
        assert said in site.said
        assert site.quarantined() == []
        assert site.answered() == {1}
        own.do(*damage.mend)
        assert site.go() == ""
    else:
        assert said == ""
        assert site.quarantined() == [damage.reason]
        assert site.answered() == {1}
        own.do(*damage.mend)
        assert site.redrive() == (1, 0)
    assert sorted(own.rows()) == [("inspection", "C"), ("self", "A")]
    assert site.answered() == {1, 2}
    assert site.quarantined() == []


def test_the_hub_s_list_got_a_code(site: Site, own: Own) -> None:
    """It waits by itself; what comes after goes on; after the mapping knows it, it lands."""
    site.deliver(2, channel="inspection", age_status="age_disputed")
    site.deliver(3, channel="helpline", age_status="child")
    assert site.go() == ""
    assert site.quarantined() == ["code_not_translated"]
    assert site.answered() == {1, 3}
    own.mapping.write_text(
        MAPPING.replace('child = "C"', 'child = "C"\nage_disputed = "U"'), "utf-8"
    )
    assert site.redrive() == (1, 0)
    assert sorted(own.rows()) == [("helpline", "C"), ("inspection", "U"), ("self", "A")]
    assert site.answered() == {1, 2, 3}


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda url: url.replace("nrm:", "nrm:wrong-"), "user and password"),
        (lambda url: url.replace("127.0.0.1", "127.0.0.2"), "that the server runs"),
        (lambda url: url + "?sslmode=require", "check sink.url"),
        (lambda url: url + "?sslmode=verify-full&sslrootcert=/nowhere/ca.pem", "check sink.url"),
        (lambda url: url.rpartition("/")[0] + "/no_such_database", "check sink.url"),
    ],
    ids=["wrong password", "nobody there", "no TLS there", "no CA", "no such database"],
)
def test_a_server_that_does_not_let_us_in_is_waited_for(
    change: Callable[[str], str],
    told: str,
    new_postgres_database: Callable[[], str],
    hub: MiniHub,
    police: AgencyIdentity,
    shelter: AgencyIdentity,
    tmp_path: Path,
) -> None:
    url = new_postgres_database()
    used = [change(url)]
    site = Site(hub, police, shelter, tmp_path, lambda: SqlSink(used[0], TO, "test-hub"))
    site.deliver(1, channel="self")
    said = site.go()
    assert told in said
    assert "wrong-" not in said
    used[0] = url
    site.start()
    assert site.go() == ""
    assert site.answered() == {1}
    site.close()


@pytest.mark.parametrize(
    ("kind", "number", "text", "told"),
    [
        (pymysql.err.ProgrammingError, 1146, "Table 'casework.client' doesn't exist",
         "casework.client: a table or column is not there"),
        (pymysql.err.OperationalError, 1054, "Unknown column 'born' in 'INSERT INTO'",
         "born: a table or column is not there"),
        (pymysql.err.OperationalError, 1045, "Access denied for user 'nrm'@'x'", "password is"),
    ],
)  # fmt: skip
def test_mariadbs_own_number_finds_what_to_do(
    kind: type[Exception], number: int, text: str, told: str
) -> None:
    """Its errors carry a number and no state."""
    with pytest.raises(SinkDownError) as down, translated():
        raise DBAPIError.instance("", {}, kind(number, text), pymysql.Error)
    assert told in str(down.value)
    assert str(number) in str(down.value)
