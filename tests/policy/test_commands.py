"""`nrm-hub policy` and `officer` as they are typed: results, exit codes, one-line errors."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hub.domain.policy import default_document
from hub.home import Home
from hub.hub import Hub
from tests.cli.programs import Done, nrm
from tests.policy.officers import changed, write


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A hub that was started once, and two officers admitted to it."""
    Home(tmp_path / "hub").init()
    Hub.open(Home(tmp_path / "hub")).stop()
    requests = []
    for name in ("justice", "social"):
        good(nrm("officer", "create", name, "--out", tmp_path / f"{name}.key"))
        requests.append(tmp_path / f"{name}.key.request.json")
    good(nrm("officer", "admit", *requests, "--home", tmp_path / "hub"))
    return tmp_path


def good(done: Done) -> str:
    assert done.code == 0, done.err
    return done.out


def bad(done: Done, told: str) -> None:
    """One line on standard error that says what to do, nothing on standard output."""
    assert done.code == 1
    errors = [line for line in done.err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert told in errors[0]


# -- reading ---------------------------------------------------------------------------------


def test_show_tells_the_matrix_the_signatures_and_who_could_join(place: Path) -> None:
    plain = good(nrm("policy", "show", "--home", place / "hub"))
    assert plain.startswith("Policy profile coe-1. ")
    assert "Any two agencies of these roles can join their deliveries" in plain
    assert "WARNING" not in plain
    uk = good(nrm("policy", "show", "uk"))
    assert "WARNING inside_enforcement/Immigration Enforcement Competent Authority" in uk
    said = json.loads(good(nrm("policy", "show", "uk", "--json")))
    assert said["evidence"]["immigration_status"] == "hub"
    assert said["matrix"]["immigration_enforcement"]["identity"] == "N"
    assert said["warnings"][0]["code"] == "authority_inside_enforcement"
    assert re.fullmatch("[0-9a-f]{64}", said["digest"])
    copied = place / "copied.json"
    copied.write_text(good(nrm("policy", "show", "uk", "--document")), "utf-8")
    assert said["digest"] in good(nrm("policy", "check", copied))


def test_check_tells_every_error_and_every_surprise(tmp_path: Path) -> None:
    assert "coe-1 is complete" in good(nrm("policy", "check", "coe"))
    wrong = changed(default_document(), "x", police__identity="Z")
    wrong["private_bodies"] = ["sheriff"]
    broken = write(tmp_path / "broken.json", wrong)
    done = nrm("policy", "check", broken)
    assert done.code == 1
    assert [line.rpartition(" ")[2] for line in done.out.splitlines()] == [
        "(unknown_mode)",
        "(unknown_role)",
    ]
    said = json.loads(nrm("policy", "check", broken, "--json").out)
    assert [one["where"] for one in said["errors"]] == ["matrix/police/identity", "private_bodies"]
    wide = write(tmp_path / "w.json", changed(default_document(), "w", police__identity="D"))
    told = good(nrm("policy", "check", wide))
    assert "WARNING matrix/police/identity: released without consent (identity_by_default)" in told


def test_diff_says_who_gains_first_and_ends_with_3(place: Path) -> None:
    wide = changed(default_document(), "w", police__health="C", shelter__identity="N")
    file = write(place / "wide.json", wide)
    done = nrm("policy", "diff", "current", file, "--home", place / "hub")
    assert done.code == 3
    lines = done.out.splitlines()
    assert lines[:2] == ["coe-1 → w", "WHO WOULD RECEIVE MORE: 1"]
    assert lines[3].split()[:2] == ["police", "health"]
    assert "receives it with the person's consent" in lines[3]
    assert lines[4] == "Who would receive less: 1"
    said = json.loads(nrm("policy", "diff", "coe", file, "--json").out)
    assert (said["from"], said["to"], said["differ"]) == ("coe-1", "w", True)
    assert [one["role"] for one in said["gains"]] == ["police"]
    assert [one["role"] for one in said["loses"]] == ["shelter"]
    assert nrm("policy", "diff", "uk", "coe").code == 3


def test_no_difference_is_0_by_any_name(place: Path) -> None:
    home = place / "hub"
    for other in ("default", "current", "coe-1", "2"):
        assert nrm("policy", "diff", "coe", other, "--home", home).code == 0
    said = json.loads(good(nrm("policy", "diff", "coe", "default", "--json")))
    assert said["differ"] is False
    bad(nrm("policy", "diff", "coe", "1", "--home", home), "(unknown_version)")


def test_simulate_lists_lines_and_totals(place: Path) -> None:
    from tests.road import Road

    road = Road.open(place, {"NGO-1": "ngo_support", "RAP-1": "national_rapporteur"})
    opened = {"jurisdiction": "XX", "channel": "outreach", "age_status": "adult"}
    road.publish("NGO-1", "CaseOpened", "C1", **opened)
    road.close()
    home = place / "hub"
    assert "none would change under coe-1" in good(nrm("policy", "simulate", "coe", "--home", home))
    wide = changed(default_document(), "w", national_rapporteur__case_management="A")
    file = write(place / "wide.json", wide)
    done = nrm("policy", "simulate", file, "--home", home)
    assert done.code == 3
    first, heading, totals, last = done.out.splitlines()
    assert first.startswith(
        "GAINS   RAP-1 (national_rapporteur) case_management: withheld: never_rule → released: "
        "statutory_minimum; CaseOpened, position "
    )
    assert heading.split() == ["role", "gains", "loses", "basis", "follows"]
    assert totals.split() == ["national_rapporteur", "1", "0", "0", "0"]
    assert last.startswith("1 cases, 1 events, 1 decisions up to log position ")
    one, end = (
        json.loads(line)
        for line in nrm("policy", "simulate", file, "--home", home, "--json").out.splitlines()
    )
    assert (one["change"], one["phase"], one["agency"]) == ("gains", "first", "RAP-1")
    assert end["totals"]["changed"] == 1
    assert end["totals"]["roles"] == {"national_rapporteur": {"gains": 1}}

    del wide["matrix"]["national_rapporteur"]
    without = nrm("policy", "simulate", write(file, wide), "--home", home)
    assert "no row for national_rapporteur: RAP-1 would receive nothing" in without.err


# -- two persons -----------------------------------------------------------------------------


def test_from_proposal_to_history(place: Path) -> None:
    home = place / "hub"
    file = write(place / "wide.json", changed(default_document(), "w-1", police__health="C"))
    why = ("--reason", "order 12", "--home", home)
    proposed = good(nrm("policy", "propose", file, "--officer", place / "justice.key", *why))
    assert proposed.startswith("WHO WOULD RECEIVE MORE: 1")
    [listed] = json.loads(good(nrm("policy", "proposals", "--home", home, "--json")))
    assert (listed["state"], listed["by"], listed["reason"]) == ("open", "justice", "order 12")
    digest = listed["digest"]
    assert f"nrm-hub policy approve {digest}" in proposed
    row = good(nrm("policy", "proposals", "--home", home)).splitlines()[1]
    assert digest[:16] in row

    bad(
        nrm("policy", "approve", digest, "--officer", place / "justice.key", "--home", home),
        "justice proposed it; another officer has to approve (same_person)",
    )
    other = write(place / "other.json", changed(default_document(), "w-1", police__health="D"))
    mine = ("--officer", place / "social.key", "--home", home)
    bad(
        nrm("policy", "approve", digest, *mine, "--profile", other),
        "is not what was proposed; compare: policy diff (other_document)",
    )
    approved = good(nrm("policy", "approve", digest[:8], *mine, "--profile", file))
    assert approved.startswith("WHO WOULD RECEIVE MORE: 1")
    assert "Profile w-1 decides from log position" in approved

    first, second = json.loads(good(nrm("policy", "history", "--home", home, "--json")))
    assert (first["version"], first["proposed_by"]) == ("coe-1", "")
    assert (second["version"], second["proposed_by"]) == ("w-1", "justice")
    assert (second["approved_by"], second["digest"]) == ("social", digest)
    assert "justice      social" in good(nrm("policy", "history", "--home", home))
    verified = good(nrm("audit", "verify", "--home", home))
    assert "2 versions of the policy profile, 1 put in force by two officers" in verified
    assert json.loads(good(nrm("policy", "show", "--home", home, "--json")))["version"] == "w-1"
    assert nrm("policy", "diff", "current", file, "--home", home).code == 0
    assert nrm("policy", "diff", "coe-1", "w-1", "--home", home).code == 3


def test_officers_come_and_go(place: Path) -> None:
    home, third = place / "hub", place / "health.key"
    good(nrm("officer", "create", "health", "--out", third))
    asked = place / "health.key.request.json"
    admit = ("officer", "admit", asked, "--home", home)
    bad(nrm(*admit), "two of them vouch, --officer KEY (officer_needed)")
    bad(
        nrm("officer", "admit", asked, place / "justice.key.request.json", "--home", home),
        "two of them vouch, --officer KEY (officer_needed)",
    )
    by_one = good(nrm(*admit, "--officer", place / "justice.key"))
    assert by_one == "justice vouched for health; one more has to.\n"
    by_two = good(nrm(*admit, "--officer", place / "social.key"))
    assert by_two.startswith("health is an officer from log position")
    revoke = ("officer", "revoke", "social", "--reason", "left", "--home", home)
    assert "Revoked at log position" in good(nrm(*revoke, "--officer", third))
    listed = json.loads(good(nrm("officer", "list", "--home", home, "--json")))
    assert [(one["name"], one["until"] is None) for one in listed] == [
        ("justice", True),
        ("social", False),
        ("health", True),
    ]
    assert "revoked at" in good(nrm("officer", "list", "--home", home))
    assert "Everything stands." in good(nrm("audit", "verify", "--home", home))


def test_before_there_is_anything(tmp_path: Path) -> None:
    home = Home(tmp_path / "hub")
    home.init()
    Hub.open(home).stop()
    at = ("--home", tmp_path / "hub")
    assert "No officers yet" in good(nrm("officer", "list", *at))
    assert good(nrm("policy", "proposals", *at)) == "Nothing was proposed.\n"
    good(nrm("officer", "create", "a", "--out", tmp_path / "a.key"))
    proposing = ("policy", "propose", "uk", "--officer", tmp_path / "a.key", "--reason", "x")
    bad(nrm(*proposing, *at), "no officers yet")


def test_errors_are_one_line_that_says_what_to_do(place: Path) -> None:
    home = ("--home", place / "hub")
    own = ("--officer", place / "justice.key", "--reason", "x")
    junk = place / "junk.json"
    junk.write_text("{", "utf-8")
    empty = write(place / "empty.json", {})
    for command in ("check", "show", "simulate"):
        bad(nrm("policy", command, junk, *home), "junk.json: is not a profile")
    bad(nrm("policy", "diff", "coe", junk), "(not_json)")
    bad(nrm("policy", "show", empty), "empty.json: version: is missing")
    bad(nrm("policy", "propose", junk, *own, *home), "(not_json)")
    bad(nrm("policy", "propose", empty, *own, *home), ", and 8 more")
    bad(nrm("policy", "propose", "none.json", *own, *home), "(not_found)")
    bad(nrm("policy", "propose", "coe", *own, *home), "in force already (same_profile)")
    away = ("--officer", place / "none.key", "--reason", "x")
    bad(nrm("policy", "propose", "uk", *away, *home), "none.key: No such file")
    wrong = ("--officer", junk, "--reason", "x")
    junk.chmod(0o600)
    bad(nrm("policy", "propose", "uk", *wrong, *home), "is not an officer's key file")
    (place / "justice.key").chmod(0o640)
    bad(nrm("policy", "propose", "uk", *own, *home), "run: chmod 600")
    bad(nrm("officer", "admit", junk, *home), "junk.json: the document is damaged")
    bad(nrm("officer", "create", "a/b", "--out", place / "x.key"), "(bad_officer_name)")
    again = nrm("officer", "create", "justice", "--out", place / "justice.key")
    bad(again, "a key is never overwritten (key_file_exists)")
    unknown = ("policy", "approve", "0123abcd", "--officer", place / "social.key")
    bad(nrm(*unknown, *home), "see: nrm-hub policy proposals (unknown_proposal)")


@pytest.mark.parametrize(
    "arguments",
    [
        ("policy", "show"),
        ("policy", "proposals"),
        ("policy", "history"),
        ("policy", "simulate", "uk"),
        ("policy", "diff", "coe", "current"),
        ("officer", "list"),
    ],
)
def test_a_home_that_is_none_stays_none(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    bad(nrm(*arguments, "--home", tmp_path), f"no hub in {tmp_path}")
    assert list(tmp_path.iterdir()) == []


def test_a_hub_starts_with_a_shipped_profile_or_says_what_is_wrong(tmp_path: Path) -> None:
    Home(tmp_path / "uk").init(profile="uk")
    Hub.open(Home(tmp_path / "uk")).stop()
    [version] = json.loads(good(nrm("policy", "history", "--home", tmp_path / "uk", "--json")))
    assert (version["version"], version["approved_by"]) == ("uk-1", "")
    broken = write(tmp_path / "broken.json", {})
    Home(tmp_path / "none").init(profile=str(broken))
    done = nrm("serve", "--home", tmp_path / "none", "--port", "0")
    bad(done, "version: is missing")
