"""The workbench on a real PostgreSQL: enums, CHECK lists, a schema of its own, and least rights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from connectors.database.definitions import Code
from connectors.mapping import load_mapping
from tests.cli.programs import nrm
from tests.connectors.workbench.places import read

DDL = """
CREATE SCHEMA casework;
CREATE TYPE casework.urgency AS ENUM ('1_hour', '3_hours', '1_day', '3_days', 'routine');
CREATE TABLE casework.ref_gender (id SERIAL PRIMARY KEY, label VARCHAR(20));
INSERT INTO casework.ref_gender (label) VALUES ('Female'), ('Male'), ('Other'), ('Unknown');
CREATE TABLE casework.client (
  id UUID PRIMARY KEY DEFAULT gen_random_uuid(), nrm_ref VARCHAR(64) UNIQUE, surname VARCHAR(60),
  dob DATE, gender_id INTEGER REFERENCES casework.ref_gender, interpreter_needed BOOLEAN);
CREATE TABLE casework.referral (
  id SERIAL PRIMARY KEY, hub_event_ref VARCHAR(64) UNIQUE, urgency casework.urgency,
  summary TEXT, respond_by TIMESTAMPTZ);
CREATE TABLE casework.risk (
  id SERIAL PRIMARY KEY, hub_event_ref VARCHAR(64) UNIQUE,
  risk_level VARCHAR(10) CHECK (risk_level IN ('low', 'medium', 'high', 'extreme')));
INSERT INTO casework.client (surname) VALUES ('CANARY');
ALTER DATABASE {name} SET search_path = casework, public;
CREATE ROLE looker_{name} LOGIN PASSWORD 'looks';
GRANT USAGE ON SCHEMA casework TO looker_{name};
GRANT SELECT ON casework.ref_gender TO looker_{name};
"""


@pytest.mark.postgres
def test_definitions_and_lookup_rows_with_no_right_to_read_a_person(
    new_postgres_database: Callable[[], str], tmp_path: Path
) -> None:
    url = new_postgres_database()
    name = url.rpartition("/")[2]
    with psycopg.connect(url) as own:
        own.execute(DDL.replace("{name}", name).encode())
    head, _, place = url.rpartition("@")
    looker = f"{head.partition('://')[0]}://looker_{name}:looks@{place}"
    found = read(looker)
    referral, risk = found.tables["referral"], found.tables["risk"]
    urgency, level = referral.column("urgency"), risk.column("risk_level")
    assert urgency is not None
    assert urgency.codes is not None
    assert urgency.codes[0] == Code("1_hour", "1_hour")
    assert level is not None
    assert [one.value for one in level.codes or ()] == ["low", "medium", "high", "extreme"]
    assert found.looked_into == ["ref_gender"]

    out = tmp_path / "mapping.toml"
    done = nrm("connector", "map", "--url", looker, "--out", out, "--yes")
    assert done.code == 0, done
    columns = {one.event: set(one.columns) for one in load_mapping(out).maps}
    assert columns == {
        "IdentityRecorded": {"surname", "dob", "gender_id"},
        "ContactPreferenceRecorded": {"interpreter_needed"},
        "ReferralMade": {"urgency", "summary", "respond_by"},
        "RiskAssessed": {"risk_level"},
    }
    assert nrm("connector", "map", "--url", looker, "--check", out).code == 0

    named = tmp_path / "named.toml"
    options = ("--url", looker, "--db-schema", "casework", "--out", named, "--yes")
    assert nrm("connector", "map", *options).code == 0
    assert {one.table.partition(".")[0] for one in load_mapping(named).maps} == {"casework"}
    assert nrm("connector", "map", "--url", looker, "--check", named).code == 0

    # What was proposed is what lands.
    (tmp_path / "partner.toml").write_text(
        f'home = "agency"\n[sink]\nurl = "{url}"\nmapping = "mapping.toml"\n', "utf-8"
    )
    tried = nrm("connector", "try", tmp_path / "partner.toml")
    assert tried.code == 0, tried
    assert "surname=Person, dob=1999-01-01" in tried.out
    with psycopg.connect(url) as own:
        assert own.execute("SELECT surname FROM client").fetchall() == [("CANARY",)]

    # Who may not delete rows could not take the trial's away: nothing is begun.
    with psycopg.connect(url) as own:
        rights = f"SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA casework TO looker_{name}"
        own.execute(f"GRANT {rights}".encode())
    (tmp_path / "partner.toml").write_text(
        f'home = "agency"\n[sink]\nurl = "{looker}"\nmapping = "mapping.toml"\n', "utf-8"
    )
    refused = nrm("connector", "try", tmp_path / "partner.toml")
    assert (refused.code, "may not delete rows of client, referral, risk" in refused.err) == (
        1,
        True,
    ), refused
