"""The operator's and agencies' commands on one home, as they would be typed; no hub running."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.programs import Done, nrm


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with one enrolled agency, SH-1."""
    from hub.home import Home

    place = tmp_path_factory.mktemp("operator")
    Home(place / "hub").init()
    enrol(place, "SH-1", "shelter")
    return place


def good(done: Done) -> str:
    assert done.code == 0, done.err
    return done.out


def enrol(place: Path, agency: str, role: str) -> Done:
    identity = place / agency
    good(nrm("agency", "init", agency, "--name", "An office", "--role", role, "--home", identity))
    good(nrm("agency", "request", "--home", identity, "--out", place / f"{agency}-r.json"))
    return nrm(
        "agency", "approve", place / f"{agency}-r.json", "--home", place / "hub",
        "--out", place / f"{agency}-a.json", "--yes",
    )  # fmt: skip


def test_enrolment_tells_both_fingerprints_and_can_be_repeated(place: Path) -> None:
    first = enrol(place, "POL-1", "police")
    assert "POL-1 (An office) asks to take part as police." in first.err
    asked = nrm("agency", "request", "--home", place / "POL-1")
    printed = asked.err.rpartition(": ")[2].strip()
    assert f"Fingerprint of its request: {printed}" in first.err
    installed = nrm("agency", "install", place / "POL-1-a.json", "--home", place / "POL-1")
    told = first.err.rpartition("compare: ")[2].strip()
    assert told in good(installed)

    again = nrm("agency", "approve", place / "POL-1-r.json", "--home", place / "hub", "--yes")
    assert json.loads(good(again))
    wrong = nrm(
        "agency", "install", place / "POL-1-a.json", "--home", place / "SH-1",
    )  # fmt: skip
    assert wrong.code == 1
    assert "the approval is for POL-1, this is SH-1" in wrong.err


def test_list_show_and_status(place: Path) -> None:
    listed = json.loads(good(nrm("agency", "list", "--home", place / "hub", "--json")))
    [shelter] = [one for one in listed if one["agency"] == "SH-1"]
    assert shelter["role"] == "shelter"
    plain = good(nrm("agency", "list", "--home", place / "hub"))
    [line] = [line for line in plain.splitlines() if line.startswith("SH-1")]
    assert shelter["recipient_ref"] in line
    assert shelter["keys"][0] in line

    status = json.loads(good(nrm("status", "--home", place / "hub", "--json")))
    assert status["accepted"] == 0
    assert {one["agency"] for one in status["recipients"]} >= {"SH-1"}
    assert "sqlite store, embedded topics" in good(nrm("status", "--home", place / "hub"))


def test_policy_show(place: Path) -> None:
    told = json.loads(good(nrm("policy", "show", "--home", place / "hub", "--json")))
    assert told["version"] == "coe-1"
    assert told["matrix"]["immigration_enforcement"]["identity"] == "N"
    plain = good(nrm("policy", "show", "--home", place / "hub"))
    assert [line.split()[0] for line in plain.splitlines()].count("identity") == 1


def test_nothing_refused_is_said_so(place: Path) -> None:
    assert good(nrm("refusals", "--home", place / "hub")) == "Nothing was refused.\n"
    assert json.loads(good(nrm("refusals", "--home", place / "hub", "--json"))) == []


def test_revoke_and_end_and_sign_an_agreement(place: Path) -> None:
    enrol(place, "NGO-9", "ngo_support")
    hub = place / "hub"
    ended = good(nrm("agency", "end-agreement", "NGO-9", "--home", hub))
    assert "Ended at log position" in ended
    signed = good(nrm("agency", "sign-agreement", "NGO-9", "--agreement", "2026/7", "--home", hub))
    assert "Signed at log position" in signed
    [row] = [r for r in json.loads(good(nrm("agency", "list", "--home", hub, "--json")))
             if r["agency"] == "NGO-9"]  # fmt: skip
    assert row["agreement"] == "2026/7"
    good(nrm("agency", "end-agreement", "NGO-9", "--home", hub))
    revoked = good(nrm("agency", "revoke", "NGO-9", "--reason", "stolen", "--home", hub))
    assert "Revoked at log position" in revoked
    plain = good(nrm("agency", "list", "--home", hub))
    [line] = [line for line in plain.splitlines() if line.startswith("NGO-9")]
    assert "none: receives nothing" in line
    assert "none: shut out" in line


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("agency", "revoke", "XX-1", "--reason", "x"), "XX-1 is not enrolled (unknown_agency)"),
        (("agency", "end-agreement", "XX-1"), "XX-1 is not enrolled (unknown_agency)"),
        (
            ("agency", "sign-agreement", "SH-1"),
            "SH-1 has one; nothing to sign (agreement_in_force)",
        ),
        (("agency", "approve", "none.json", "--yes"), "none.json: No such file or directory"),
        (("subject", "shred", "nobody", "--yes"), "nobody of this reference has a secret here"),
        (("audit", "replay", "--case", "C9"), "no such case at that position"),
        (("audit", "replay", "--case", "C9", "--as-of", "soon"), "give a log position"),
        (("audit", "why", "--agency", "SH-1", "--event", "9"), "no accepted event"),
        (
            ("policy", "show", "none.json"),
            "none.json: No such file or directory, nor a shipped profile",
        ),
        (("policy", "show", "coe-7"), "recorded are: coe-1 (unknown_version)"),
    ],
)
def test_errors_are_one_line_that_says_what_to_do(
    place: Path, arguments: tuple[str, ...], told: str
) -> None:
    done = nrm(*arguments, "--home", place / "hub")
    assert done.code == 1
    assert done.err.count("\n") == 1
    assert done.err.startswith("Error: ")
    assert told in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("refusals",),
        ("agency", "list"),
        ("policy", "show"),
        ("audit", "verify"),
        ("subject", "shred", "C1", "--yes"),
    ],
)
def test_a_home_that_is_none(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = nrm(*arguments, "--home", tmp_path)
    assert done.code == 1
    assert f"no hub in {tmp_path}; run: nrm-hub serve --home {tmp_path}" in done.err
    assert list(tmp_path.iterdir()) == []


def test_a_request_that_is_not_one(place: Path, tmp_path: Path) -> None:
    junk = tmp_path / "junk.json"
    junk.write_text("{}", "utf-8")
    done = nrm("agency", "approve", junk, "--home", place / "hub", "--yes")
    assert done.code == 1
    assert done.err.startswith("Error: ")


def test_a_role_the_profile_does_not_know(place: Path) -> None:
    done = enrol(place, "ODD-1", "astrologer")
    assert done.code == 1
    assert "the policy profile has no role astrologer" in done.err


def test_verify_says_everything_stands(place: Path) -> None:
    told = good(nrm("audit", "verify", "--home", place / "hub"))
    assert "Everything stands." in told
    assert json.loads(good(nrm("audit", "verify", "--home", place / "hub", "--json")))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("agency", "revoke", "SH-1", "--reason", "laptop stolen"), "Revoked at log position"),
        (("agency", "end-agreement", "SH-1"), "Ended at log position"),
        (("subject", "shred", "C1", "--yes"), "nobody of this reference"),  # looked at, at least
        (("status",), "SH-1"),
        (("agency", "list"), "SH-1"),
    ],
)
def test_what_cannot_wait_does_not_need_the_broker(
    tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    from hub.home import Home

    Home(tmp_path / "hub").init()
    good(enrol(tmp_path, "SH-1", "shelter"))
    settings = tmp_path / "hub" / "hub.toml"
    text = settings.read_text("utf-8")
    settings.write_text(text.replace("embedded:///topics.db", "kafka://127.0.0.1:1"), "utf-8")
    done = nrm(*arguments, "--home", tmp_path / "hub")
    assert told in done.out + done.err
    assert "Kafka" not in done.err
