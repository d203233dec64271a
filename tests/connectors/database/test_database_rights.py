"""A connector with exactly the rights `connector ddl` prints, and none to make anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from connectors import landed
from connectors.agency.identity import AgencyIdentity
from connectors.conformance import (
    CANARY,
    batch,
    claimed,
    identity,
    opened_case,
    recalled,
    released,
)
from connectors.database.engines import open_engine
from connectors.database.rights import too_many, used
from connectors.errors import SettingsError, SinkDownError, SinkRefusedError
from connectors.findings import Finding
from connectors.mapping import load_mapping
from connectors.sink import RecallPolicy
from connectors.sql import SqlSink
from schemas.registry import Schemas
from tests.certificates import Authority
from tests.connectors.builder import MiniHub
from tests.connectors.commands.saying import said
from tests.connectors.reconciliation.test_reconcile import Place
from tests.mariadb import MariadbServer
from tests.servers import PostgresServer

MAPPING = """
version = 1

[[map]]
event = "CaseOpened"
table = "client"
key = { nrm_case = "case_ref" }
when_empty = "delete"

[map.columns]
channel = "channel"

[[map]]
event = "ReferralMade"
table = "referral"
key = { nrm_event = "event_ref" }
when_empty = "delete"

[map.columns]
client = { from = "case_ref" }
urgency = "urgency"
services = "services"
"""
CLIENTS = (
    "CREATE TABLE client (nrm_case VARCHAR(100) PRIMARY KEY, channel VARCHAR(20))",
    "CREATE TABLE referral (nrm_event VARCHAR(100) PRIMARY KEY, urgency VARCHAR(20), "
    "services JSON, client VARCHAR(100), "
    "CONSTRAINT of_client FOREIGN KEY (client) REFERENCES client (nrm_case))",
)


class Site:
    """A database whose owner is somebody else than the connector's user."""

    def __init__(self, kind: str, url: str, folder: Path) -> None:
        self.kind, self.folder = kind, folder
        self.admin = open_engine(url)
        self.user = f"nrm_{sa.make_url(url).database}"
        parsed = sa.make_url(url).set(username=self.user, password="pw")
        self.url = parsed.render_as_string(hide_password=False)
        self.schemas = Schemas(
            s.document for s in map(Schemas.load().by_type, Schemas.load().types())
        )
        self._sinks: list[SqlSink] = []
        if kind == "postgresql":
            self.execute(f"CREATE ROLE {self.user} LOGIN PASSWORD 'pw'")
        else:
            self.execute(f"CREATE USER {self.user}@'%' IDENTIFIED BY 'pw'")

    def execute(self, *statements: str) -> None:
        with self.admin.begin() as db:
            for one in statements:
                db.execute(sa.text(one))

    def run_printed(self, *more: str) -> str:
        """What a DBA does: print, read, run."""
        settings = self.folder / "partner.toml"
        mapping = 'mapping = "mapping.toml"\n' if (self.folder / "mapping.toml").exists() else ""
        settings.write_text(f'home = "agency"\n[sink]\nurl = "{self.url}"\n{mapping}')
        printed = said("connector", "ddl", settings, "--user", self.user, *more)
        self.execute(*[one for one in re.split(r";\n+", printed) if one.strip()])
        return printed

    def open(self, recalls: RecallPolicy | None = None) -> SqlSink:
        path = self.folder / "mapping.toml"
        mapping = load_mapping(path) if path.exists() else None
        sink = SqlSink(
            self.url, "POL-1", "test-hub", schemas=self.schemas, mapping=mapping, recalls=recalls
        )
        self._sinks.append(sink)
        sink.prepare()
        return sink

    def shown(self, event_ref: str) -> dict[str, Any] | None:
        raise NotImplementedError

    def stored(self) -> bytes:
        raise NotImplementedError

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.admin.connect() as db:
            return [tuple(row) for row in db.execute(sa.text(query))]

    def findings(self) -> dict[str, Finding]:
        sink = self.open() if not self._sinks else self._sinks[-1]
        return {one.subject: one for one in sink.check()}

    def close(self) -> None:
        for one in self._sinks:
            one.close()
        if self.kind == "mariadb":
            self.execute(f"DROP USER {self.user}@'%'")
        else:
            self.execute(f"DROP OWNED BY {self.user}", f"DROP ROLE {self.user}")
        self.admin.dispose()


@pytest.fixture(params=["postgres", "mariadb"])
def site(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Site]:
    new: Callable[[], str] = request.getfixturevalue(f"new_{request.param}_database")
    kind = "postgresql" if request.param == "postgres" else request.param
    site = Site(kind, new(), tmp_path)
    yield site
    site.close()


def test_with_exactly_these_rights_everything_works(site: Site) -> None:
    printed = site.run_printed()
    assert "ALL PRIVILEGES" not in printed
    sink = claimed(site)
    poison = released(3, "e-3", "ReferralMade", {"case_management": {"referral_id": "r"}})
    sink.apply(batch(opened_case(1), identity(2), poison))
    sink.apply(batch(recalled(4, ("e-1", ["identity"])), identity(5, "e-5")))
    sink.sent([one.id for one in sink.owed(10)])
    assert site.rows("SELECT count(*) FROM identity_recorded") == [(1,)]
    assert {one.level for one in sink.check()} <= {"ok", "warning"}
    assert site.findings()["tables"].level == "ok"
    assert site.findings()["rights"].level == "ok"
    forbidden = ["CREATE TABLE x (a int)", "DROP TABLE case_opened",
                 "ALTER TABLE case_opened ADD COLUMN x int", "TRUNCATE case_opened"]  # fmt: skip
    for statement in forbidden:
        with pytest.raises(SinkDownError), sink.database.writing() as db:
            db.execute(sa.text(statement))


def test_mapped_tables_need_no_other_rights(site: Site) -> None:
    (site.folder / "mapping.toml").write_text(MAPPING)
    site.execute(*CLIENTS, "CREATE TABLE payroll (id int)")
    if site.kind == "postgresql":  # a column that draws numbers, as many a table has
        site.execute("ALTER TABLE client ADD COLUMN id serial")
    site.run_printed()
    sink = claimed(site)
    sink.apply(batch(opened_case(1), identity(2)))
    assert site.rows("SELECT channel FROM client") == [("self",)]
    assert site.findings()["mapping"].level == "ok"
    named = pytest.raises(SinkDownError, match=r"payroll.*: this user may not: .*connector ddl")
    with named, sink.database.reading() as db:
        db.execute(sa.text("SELECT * FROM payroll"))
    sink.apply(batch(recalled(3, ("e-0", ["case_management"]))))
    assert site.rows("SELECT * FROM client") == []


def test_rights_that_lack_are_told_with_the_grants(site: Site) -> None:
    """PostgreSQL: also of the numbers that a new row of a partner's own table draws."""
    (site.folder / "mapping.toml").write_text(MAPPING)
    site.execute(*CLIENTS)
    if site.kind == "postgresql":
        site.execute("ALTER TABLE client ADD COLUMN id serial")
    printed = site.run_printed()
    if site.kind == "postgresql":
        site.execute(f"REVOKE USAGE ON SEQUENCE client_id_seq FROM {site.user}")
        found = site.findings()["rights"]
        assert found.level == "wrong"
        assert f"GRANT USAGE ON SEQUENCE client_id_seq TO {site.user}" in found.fix
    dropped = said("connector", "ddl", site.folder / "partner.toml", "--user", site.user, "--drop")
    for one in site._sinks:
        one.close()
    site.execute(*[one for one in re.split(r";\n+", dropped) if one.strip()])
    left = set(sa.inspect(site.admin).get_table_names())
    assert left == {"client", "referral"}, "the partner's own stay"
    assert len(re.findall("^CREATE TABLE", printed, re.M)) == dropped.count("DROP TABLE")


def test_a_trial_where_a_dba_made_the_tables_leaves_them_empty(site: Site) -> None:
    """It may not drop them; books that still named the practice hub would refuse the real one."""
    site.run_printed("--event", "CaseOpened", "--event", "IdentityRecorded")
    practised = SqlSink(site.url, "POL-1", "practice-1", schemas=site.schemas)
    practised.prepare()
    practised.claim()
    practised.apply(batch(opened_case(1), identity(2)))
    landed.undo(practised, ())
    practised.close()
    assert site.rows("SELECT * FROM nrm_connector_state") == []
    assert site.rows("SELECT * FROM identity_recorded") == []
    sink = claimed(site)
    sink.apply(batch(opened_case(1)))


def test_a_column_that_is_missing_is_told_and_deliveries_wait(site: Site) -> None:
    site.run_printed()
    sink = claimed(site)
    sink.apply(batch(opened_case(1)))
    document = {**site.schemas.by_type("CaseOpened").document}
    added = {"name": "urgency_note", "type": ["null", "string"], "default": None,
             "category": "protection"}  # fmt: skip
    document["fields"] = [*document["fields"], added]
    site.schemas.register(document)
    newer = released(2, "e-5", "CaseOpened", {"protection": {"urgency_note": "soon"}},
                     schemas=site.schemas)  # fmt: skip
    upgraded = claimed(site)
    with pytest.raises(SinkDownError, match="ALTER TABLE case_opened ADD COLUMN") as caught:
        upgraded.apply(batch(newer))
    assert upgraded.position().sequence == 1
    assert upgraded.quarantine() == []
    found = site.findings()["tables"]
    assert found.level == "wrong"
    [statement] = re.findall(r"ALTER TABLE [^;]*", str(caught.value))
    assert " ".join(statement.split()) in " ".join(found.fix.split())
    site.execute(statement)
    upgraded.apply(batch(newer))
    assert site.rows("SELECT urgency_note FROM case_opened WHERE event_ref = 'e-5'") == [("soon",)]


def test_without_the_tables_it_says_what_to_run(site: Site) -> None:
    if site.kind == "postgresql":
        site.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    else:
        database = sa.make_url(site.url).database
        site.execute(f"GRANT SELECT ON {database}.* TO {site.user}@'%'")
    with pytest.raises(SinkDownError, match="CREATE TABLE nrm_connector_state"):
        site.open()
    assert site.findings()["tables"].level == "wrong"


def test_an_administrator_is_warned(site: Site) -> None:
    url = site.admin.url.set(drivername=site.kind).render_as_string(hide_password=False)
    sink = SqlSink(url, "POL-1", "test-hub")
    found = {one.subject: one for one in sink.check()}
    assert found["rights"].level == "warning"
    assert found["tables"].level == "ok"
    sink.close()


RICH = {
    "postgresql": "CREATE TABLE client (id SERIAL PRIMARY KEY, nrm_case VARCHAR(100) UNIQUE, "
    "channel VARCHAR(20), counselling TEXT)",
    "mariadb": "CREATE TABLE client (id INT AUTO_INCREMENT PRIMARY KEY, nrm_case VARCHAR(100) "
    "UNIQUE, channel VARCHAR(20), counselling TEXT)",
}
KEPT = MAPPING[: MAPPING.index('\n[[map]]\nevent = "ReferralMade"')]


def test_of_a_partners_table_only_what_the_mapping_names(site: Site) -> None:
    """Columns of the partner's own beside ours: neither read nor changed, whatever is asked."""
    (site.folder / "mapping.toml").write_text(KEPT.replace('"delete"', '"null"'))
    site.execute(RICH[site.kind], "INSERT INTO client (counselling) VALUES ('of others')")
    site.run_printed()
    if site.kind == "postgresql":
        site.execute(f"REVOKE USAGE ON SEQUENCE client_id_seq FROM {site.user}")
        sink = claimed(site)
        with pytest.raises(SinkDownError):
            sink.apply(batch(opened_case(1)))
        found = [one for one in sink.check() if one.level == "wrong"]
        [needed] = [one.fix.removeprefix("run: ") for one in found if one.subject == "rights"]
        assert needed.startswith("GRANT USAGE ON SEQUENCE client_id_seq")
        site.execute(needed)
    sink = claimed(site)
    sink.apply(batch(opened_case(1)))
    assert site.rows("SELECT channel FROM client WHERE nrm_case IS NOT NULL") == [("self",)]
    assert {one.level for one in sink.check() if one.subject == "rights"} == {"ok"}
    sink.apply(batch(recalled(2, ("e-0", ["case_management"]))))
    assert site.rows("SELECT channel FROM client WHERE nrm_case IS NOT NULL") == [(None,)]
    forbidden = [
        "UPDATE client SET counselling = 'x'", "INSERT INTO client (counselling) VALUES ('x')",
        "DELETE FROM client", "DROP TABLE client",
    ]  # fmt: skip
    if site.kind == "postgresql":  # MariaDB shows a definition only to who may read all of it
        forbidden += ["SELECT counselling FROM client", "SELECT * FROM client"]
    for statement in forbidden:
        with pytest.raises(SinkDownError), sink.database.writing() as db:
            db.execute(sa.text(statement))
    assert site.rows("SELECT counselling FROM client WHERE nrm_case IS NULL") == [("of others",)]


def test_reconcile_and_repair_need_no_more(
    site: Site, hub: MiniHub, police: AgencyIdentity, shelter: AgencyIdentity, tmp_path: Path
) -> None:
    (site.folder / "mapping.toml").write_text(f'default_tables = "unmapped"\n{KEPT}')
    site.execute(RICH[site.kind])
    site.run_printed()
    place = Place(hub, police, shelter, tmp_path, site.url)
    try:
        place.case(1)
        place.case(2)
        place.run()
        assert place.compared()[0].equal
        rows = "SELECT nrm_case, channel, counselling FROM client ORDER BY nrm_case"
        good = [(ref, channel) for ref, channel, _ in site.rows(rows)]
        (first, _), (second, _) = good
        site.execute(
            f"UPDATE client SET channel = 'x', counselling = 'theirs' WHERE nrm_case = '{first}'",
            f"DELETE FROM client WHERE nrm_case = '{second}'",
        )
        assert {one[2] for one in place.compared()[1]} == {"altered", "missing"}
        assert place.repaired() == {"repaired": 2}
        found = site.rows(rows)
        assert [(ref, channel) for ref, channel, _ in found] == good
        assert [told for _, _, told in found] == ["theirs", None]
    finally:
        place.close()


MORE = {
    "postgresql": {
        "GRANT SELECT ON payroll TO {user}": "other tables (payroll)",
        "GRANT SELECT (pay) ON payroll TO {user}": "other tables (payroll)",
        "GRANT TRUNCATE ON client TO {user}": "empty it at once",
        "ALTER TABLE client OWNER TO {user}": "drop it",
        "GRANT SELECT ON client TO {user}": "that no map names (id, counselling)",
        "GRANT pg_read_all_data TO {user}": "what pg_read_all_data may",
        "GRANT pg_execute_server_program TO {user}": "what pg_execute_server_program may",
        "GRANT CREATE ON DATABASE {database} TO {user}": "make schemas",
        "ALTER ROLE {user} CREATEROLE": "make and change roles",
    },
    "mariadb": {
        "GRANT SELECT ON {database}.payroll TO {user}@'%'": "other tables (payroll)",
        "GRANT SELECT (pay) ON {database}.payroll TO {user}@'%'": "other tables (payroll)",
        "GRANT DROP ON {database}.client TO {user}@'%'": "DROP on",
        "GRANT ALL PRIVILEGES ON {database}.* TO {user}@'%'": "ALL PRIVILEGES on",
        "GRANT FILE ON *.* TO {user}@'%'": "FILE on all databases",
        "GRANT SELECT ON {database}.client TO {user}@'%' WITH GRANT OPTION": "GRANT OPTION on",
    },
}


def test_a_right_in_excess_is_told(site: Site) -> None:
    (site.folder / "mapping.toml").write_text(KEPT)
    site.execute(RICH[site.kind], "CREATE TABLE payroll (id int, pay int)")
    site.run_printed()
    names = {"user": site.user, "database": sa.make_url(site.url).database}
    if site.kind == "postgresql":
        site.execute(f"GRANT USAGE ON SEQUENCE client_id_seq TO {site.user}")

    mapping = load_mapping(site.folder / "mapping.toml")
    sink = SqlSink(site.url, "POL-1", "test-hub", mapping=mapping)
    site._sinks.append(sink)
    own = [sink.tables.whole_layout(kind).table for kind in sink.tables.kinds()]

    def told() -> str:
        sink.database.engine.dispose()  # a session learns of its roles when it begins
        with sink.database.reading() as db:
            return "; ".join(too_many(db, [*sink.own_tables(), *own], used(mapping.maps)))

    assert told() == ""
    for statement, words in MORE[site.kind].items():
        site.execute(statement.format(**names))
        assert words in told(), statement
        assert "PASSWORD" not in told()
        _take_back(site, statement.format(**names))
    assert told() == ""
    site.execute(next(iter(MORE[site.kind])).format(**names))
    [found] = [one for one in sink.check() if one.subject == "rights"]
    assert found.level == "warning"
    assert "payroll" in found.text


def _take_back(site: Site, statement: str) -> None:
    if statement.startswith("ALTER TABLE"):
        site.execute("ALTER TABLE client OWNER TO CURRENT_USER", *_again(site))
        site.execute(f"GRANT USAGE ON SEQUENCE client_id_seq TO {site.user}")
    elif statement.startswith("ALTER ROLE"):
        site.execute(statement.replace("CREATEROLE", "NOCREATEROLE"))
    else:
        taken = statement.replace("GRANT ", "REVOKE ", 1).replace(" TO ", " FROM ")
        if taken.endswith(" WITH GRANT OPTION"):
            taken = taken.replace(" WITH GRANT OPTION", "").replace("SELECT ON", "GRANT OPTION ON")
        site.execute(taken)
        site.execute(*_again(site))


def _again(site: Site) -> list[str]:
    """The rights of the mapping's table, which taking back more may have taken with it."""
    printed = said("connector", "ddl", site.folder / "partner.toml", "--user", site.user)
    return [
        one for one in re.split(r";\n+", printed) if one.startswith("GRANT ") and "client" in one
    ]


# -- foreign keys --------------------------------------------------------------------------------


def referral(sequence: int, event_ref: str = "e-r", case_ref: str = "nc-1") -> Any:
    values = {"referral_id": "r", "to_agency": "POL-1", "services": ["legal"], "urgency": "1_day",
              "basis": "c1"}  # fmt: skip
    return released(
        sequence, event_ref, "ReferralMade", {"case_management": values}, case_ref=case_ref
    )


def test_parents_come_first_and_go_last(site: Site) -> None:
    (site.folder / "mapping.toml").write_text(MAPPING)
    site.execute(*CLIENTS)
    site.run_printed()
    sink = claimed(site)
    sink.apply(batch(referral(1), opened_case(2)))
    assert site.rows("SELECT client, urgency FROM referral") == [("nc-1", "1_day")]
    [(services,)] = site.rows("SELECT services FROM referral")  # MariaDB: text with a CHECK, which
    assert "legal" in str(services)  # nobody with no more rights than these finds in its catalogue
    sink.apply(batch(recalled(3, ("e-0", ["case_management"]))))
    assert site.rows("SELECT nrm_case, channel FROM client") == [("nc-1", None)], "still needed"
    sink.apply(batch(recalled(4, ("e-r", ["case_management"]))))
    assert site.rows("SELECT * FROM referral") == []
    assert site.rows("SELECT * FROM client") == []
    assert site.rows("SELECT * FROM nrm_mapped") == []


def test_a_parent_that_is_not_there_is_named(site: Site) -> None:
    (site.folder / "mapping.toml").write_text(MAPPING)
    site.execute(*CLIENTS)
    site.run_printed()
    sink = claimed(site)
    with pytest.raises(SinkRefusedError) as caught:
        sink.apply(batch(referral(1)))
    assert caught.value.reason == "parent_missing"
    assert "of_client" in caught.value.detail
    sink.apply(batch(referral(1), opened_case(2)))
    assert sink.position().sequence == 2


# -- TLS -----------------------------------------------------------------------------------------


@pytest.fixture
def postgres_with_tls(postgres: PostgresServer, tmp_path: Path) -> Iterator[Authority]:
    import shutil

    from hub.scenario.local_postgres import other_user

    authority = Authority(tmp_path)
    files = authority.server("localhost", "127.0.0.2")
    owner = other_user()
    for path in files:
        kept = postgres.folder / path.name
        shutil.copy(path, kept)
        kept.chmod(0o600)
        if owner is not None:
            shutil.chown(kept, owner)

    def set_to(*settings: str) -> None:
        with psycopg.connect(postgres.url("postgres"), autocommit=True) as db:
            for one in settings:
                db.execute(f"ALTER SYSTEM {one}".encode())
            db.execute("SELECT pg_reload_conf()")

    set_to(
        f"SET ssl_cert_file = '{postgres.folder}/localhost.pem'",
        f"SET ssl_key_file = '{postgres.folder}/localhost.key'",
        "SET ssl = on",
    )
    yield authority
    set_to("RESET ssl", "RESET ssl_cert_file", "RESET ssl_key_file")


def test_postgres_is_verified_off_this_machine(
    postgres: PostgresServer, postgres_with_tls: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("connectors.database.engines.is_local", lambda url: False)
    monkeypatch.setattr("connectors.database.check.is_local", lambda url: False)
    url = postgres.new_database()
    trusting = f"sslrootcert={postgres_with_tls.certificate}"

    def found(address: str) -> Finding:
        sink = SqlSink(address, "POL-1", "test-hub")
        findings = sink.check()
        sink.close()
        return findings[0]

    by_name = url.replace("127.0.0.1", "localhost")
    assert found(f"{by_name}?{trusting}").level == "ok"
    assert "certificate verified" in found(f"{by_name}?{trusting}").text
    refused = found(by_name)  # the system's authorities do not know it
    assert (refused.level, refused.subject) == ("wrong", "database")
    assert "certificate is refused" in refused.text
    assert "sslrootcert" in refused.text
    other_name = found(f"{url}?{trusting}")  # the certificate is for localhost, not this address
    assert "certificate is refused" in other_name.text
    weak = found(f"{by_name}?sslmode=require")
    assert (weak.level, "nobody checks" in weak.text) == ("warning", True)
    clear = found(f"{by_name}?sslmode=disable")
    assert (clear.level, clear.subject) == ("wrong", "encryption")


def test_mariadb_is_verified_off_this_machine(
    mariadb: MariadbServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = mariadb.new_database()
    assert open_engine(url).url.query == {}
    monkeypatch.setattr("connectors.database.engines.is_local", lambda url: False)
    monkeypatch.setattr("connectors.database.check.is_local", lambda url: False)

    def found(address: str) -> Finding:
        sink = SqlSink(address, "POL-1", "test-hub")
        findings = sink.check()
        sink.close()
        return findings[0]

    good = found(f"{url}?ssl_ca={mariadb.authority.certificate}")
    assert (good.level, "certificate verified" in good.text) == ("ok", True)
    refused = found(url)
    assert (refused.level, "certificate is refused" in refused.text) == ("wrong", True)
    other = Authority(tmp_path)
    assert "certificate is refused" in found(f"{url}?ssl_ca={other.certificate}").text
    named_wrong = url.replace("127.0.0.1", "127.0.0.2")
    assert found(named_wrong).level == "wrong"
    clear = found(f"{url}?ssl_disabled=true")
    assert (clear.level, clear.subject) == ("wrong", "encryption")
    with pytest.raises(SettingsError, match="ssl_ca"):
        SqlSink(f"{url}?ssl_ca=/no/such/file.pem", "POL-1", "test-hub")


def test_secrets_and_content_stay_out_of_findings(site: Site) -> None:
    site.run_printed()
    claimed(site).apply(batch(identity(1)))
    told = str(site.findings())
    assert "pw" not in re.findall(r"\w+", told)
    assert CANARY not in told
