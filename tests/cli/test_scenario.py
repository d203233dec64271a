"""`nrm-hub scenario`: exit codes, JSON, and what is said when something differs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.scenario import shipped
from tests.cli.programs import nrm
from tests.scenarios.stories import consent, document, identity, opened, referral

SHORT = (opened(), consent({"SH-1": ["identity"]}), *referral("SH-1"), identity())


def written(folder: Path, told: Any, name: str = "case.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(told), "utf-8")
    return path


def test_a_run_as_expected(tmp_path: Path) -> None:
    done = nrm("scenario", "run", written(tmp_path, document("short", *SHORT)))
    assert done.code == 0, done.out + done.err
    assert done.out.startswith("short: 5 events, as expected, ")
    assert done.err == ""


def test_shipped_scenarios_go_by_their_id() -> None:
    done = nrm("scenario", "run", "S7", "S8", "--json")
    assert done.code == 0
    told = json.loads(done.out)
    assert [(one["id"], one["ok"], one["differences"]) for one in told["scenarios"]] == [
        ("S7", True, []),
        ("S8", True, []),
    ]
    for one in told["scenarios"]:
        known = shipped.load(one["id"])
        assert [event["id"] for event in one["events"]] == [e["id"] for e in known["events"]]
        assert one["final_holdings"].keys() == known["final_holdings"].keys()


def test_a_planted_wrong_expectation_is_exit_code_3(tmp_path: Path) -> None:
    told = shipped.load("S7")
    told["events"][8]["expected"]["releases"]["POL-1"] = {
        "categories": ["identity"],
        "basis": ["public_task"],
    }
    told["assertions"].append(["holds", "IMMENF", "identity"])
    path = written(tmp_path, told)
    plain = nrm("scenario", "run", path)
    assert plain.code == 3
    assert "S7: 12 events, 2 differences, " in plain.out
    [line] = [line for line in plain.out.splitlines() if line.startswith("expected")]
    assert line.split() == [
        "expected", "S7.008", "POL-1", "identity", "not", "released;", "expected",
    ]  # fmt: skip

    as_json = nrm("scenario", "run", path, "--json")
    assert as_json.code == 3
    [result] = json.loads(as_json.out)["scenarios"]
    assert result["ok"] is False
    assert result["differences"] == [
        {
            "kind": "expected",
            "what": "not released; expected",
            "event": "S7.008",
            "agency": "POL-1",
            "category": "identity",
        },
        {
            "kind": "assertion",
            "what": "does not hold: ['holds', 'IMMENF', 'identity']",
        },
    ]


def test_a_tampered_partner_is_exit_code_3(tmp_path: Path) -> None:
    path, home = written(tmp_path, document("short", *SHORT)), tmp_path / "kept"
    assert nrm("scenario", "run", path, "--home", home).code == 0
    assert nrm("scenario", "check", path, "--home", home).code == 0
    with sqlite3.connect(home / "short" / "SH-1" / "partner.db") as partner:
        partner.execute("UPDATE identity_recorded SET family_name = 'Somebody'")
    done = nrm("scenario", "check", path, "--home", home)
    assert done.code == 3
    assert "family_name is not what was sent" in done.out

    again = nrm("scenario", "run", path, "--home", home)
    assert again.code == 1
    assert "choose another --home" in again.err
    none = nrm("scenario", "check", path, "--home", tmp_path / "none")
    assert none.code == 1
    assert "keeps no run of short" in none.err


def test_what_was_kept_can_be_looked_into(tmp_path: Path) -> None:
    path, home = written(tmp_path, document("short", *SHORT)), tmp_path / "kept"
    assert nrm("scenario", "run", path, "--home", home).code == 0
    hub = home / "short" / "hub"
    assert "Everything stands." in nrm("audit", "verify", "--home", hub).out
    replayed = nrm("audit", "replay", "--home", hub, "--case", "C1", "--json")
    assert json.loads(replayed.out)[0]["type"] == "CaseOpened"
    partner = home / "short" / "SH-1" / "partner.toml"
    checked = nrm("connector", "check", partner)
    assert checked.code == 0, checked.err
    assert "0 applied" in nrm("connector", "run", partner, "--once").out


def test_refused_events_are_differences_and_the_rest_runs_on(tmp_path: Path) -> None:
    lines = (opened(), referral("SH-1")[0], identity())
    done = nrm("scenario", "run", written(tmp_path, document("refused", *lines)), "--json")
    assert done.code == 3
    [result] = json.loads(done.out)["scenarios"]
    [difference] = result["differences"]
    assert (difference["kind"], difference["event"]) == ("refused", "e2")
    assert result["events"][1]["refused"]["guard"] == "G01"
    assert result["events"][2]["releases"] == {}


def test_a_time_that_goes_back_is_noted(tmp_path: Path) -> None:
    told = document("back", *SHORT)
    told["events"][4]["t"] = "2026-03-01T09:00:00Z"
    done = nrm("scenario", "run", written(tmp_path, told))
    assert done.code == 0
    assert "note: e5 is earlier than the event before it" in done.out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("none.json",), "none.json: cannot be read (No such file or directory)"),
        (("S7", "--store", "mysql://x"), "--store mysql://x: give sqlite, postgres"),
        (("S7", "--topics", "rabbit"), "--topics rabbit: give embedded, kafka"),
        (("S7", "--store", "postgresql://nobody@127.0.0.1:1/x"), "cannot be used"),
        (("S7", "--profile", "none.json"), "none.json: No such file or directory"),
        (("S7", "S7"), "two of these scenarios have the id 'S7'"),
    ],
)
def test_errors_are_one_line(arguments: tuple[str, ...], told: str) -> None:
    done = nrm("scenario", "run", *arguments)
    assert done.code == 1
    assert told in done.err
    assert done.err.count("\n") == 1


def test_a_role_the_profile_lacks(tmp_path: Path) -> None:
    told = document("roles", opened())
    told["agencies"]["ODD-1"] = "astrologer"
    done = nrm("scenario", "run", written(tmp_path, told))
    assert done.code == 1
    assert "the policy profile has no role astrologer" in done.err


def test_a_profile_that_is_not_one(tmp_path: Path) -> None:
    profile = written(tmp_path, {"version": "x"}, "profile.json")
    done = nrm("scenario", "run", "S7", "--profile", profile)
    assert done.code == 1
    assert "matrix: is missing" in done.err


def test_list_names_what_is_shipped() -> None:
    done = nrm("scenario", "list")
    assert done.code == 0
    for scenario_id in shipped.ids():
        assert any(line.startswith(scenario_id + " ") for line in done.out.splitlines())


@pytest.mark.kafka
@pytest.mark.postgres
def test_on_servers_and_nothing_is_left_there(
    tmp_path: Path, kafka_url: str, new_postgres_database: Callable[[], str]
) -> None:
    import psycopg

    server = new_postgres_database()
    with psycopg.connect(server) as connection:
        before = connection.execute("SELECT datname FROM pg_database").fetchall()
    path = written(tmp_path, document("short", *SHORT))
    done = nrm("scenario", "run", path, "--store", server, "--topics", kafka_url)
    assert done.code == 0, done.out + done.err
    with psycopg.connect(server) as connection:
        assert connection.execute("SELECT datname FROM pg_database").fetchall() == before


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.slow
def test_servers_of_its_own(tmp_path: Path) -> None:
    path = written(tmp_path, document("short", *SHORT))
    done = nrm("scenario", "run", path, "--store", "postgres", "--topics", "kafka")
    assert done.code == 0, done.out + done.err
