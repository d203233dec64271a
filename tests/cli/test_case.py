"""`nrm-hub case show`: where a case stands, as an auditor would ask, now and then."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.programs import Done, nrm
from tests.privacy.told import Told

CANARY = "Kanarievogel"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case in the middle of things, two agencies of two minds about it."""
    folder = tmp_path_factory.mktemp("case")
    with Told(folder, "NGO-1", "CA-1", "SH-1", "CPS-1", "POL-1", "LEG-1") as told:
        told.opened()
        scope = {one: ["identity", "protection"] for one in ("CA-1", "SH-1", "LEG-1")}
        told.consents(scope)
        told.says("NGO-1", "IdentityRecorded", family_name=CANARY, date_of_birth="1999-01-01")
        told.involves("NGO-1", "CA-1", "LEG-1")
        told.says("CA-1", "ReasonableGroundsDecided", outcome="positive", reasons=CANARY)
        period = {"start": "2026-03-02", "minimum_days": 30, "ends_on": "2026-04-01"}
        told.says("CA-1", "RecoveryPeriodStarted", **period)
        told.says("CA-1", "RemovalHoldPlaced", hold_ref=CANARY)
        told.refers("NGO-1", "SH-1")
        told.says("POL-1", "AgeDisputed", basis="appearance")
        told.says(
            "CPS-1",
            "BreakGlassInvoked",
            requested_categories=["identity"],
            two_person_ref="tp",
            expires_at="2026-03-02T20:00:00Z",
        )
    return folder


def show(place: Path, *more: str) -> Done:
    return nrm("case", "show", "--case", "C1", "--home", place / "hub", *more)


def shown(place: Path, *more: str) -> dict[str, Any]:
    done = show(place, "--json", *more)
    assert done.code == 0, done.err
    found: dict[str, Any] = json.loads(done.out)
    return found


def test_now(place: Path) -> None:
    found = shown(place, "--as-of", "2026-03-02T10:00:00")
    states = {(one["region"], one["about"]): one["state"] for one in found["regions"]}
    assert states["case", ""] == "rg_positive"
    assert states["consent", "c1"] == "given"
    assert states["referral", "to-SH-1"] == "pending"
    assert states["recovery", ""] == "running"
    assert states["removal", ""] == "held"
    assert states["age", ""] == "age_disputed"
    assert states["asylum", ""] == "none"
    assert found["age"] == {
        "child": False,
        "enforcement_dispute": True,
        "child_in_procedure": True,
    }
    assert found["involved"] == {
        "CA-1": ["referral:to-CA-1"],
        "LEG-1": ["referral:to-LEG-1"],
        "NGO-1": ["opened"],
    }
    [waiting] = found["waiting"]
    assert (waiting["from"], waiting["to"]) == ("NGO-1", "SH-1")
    [window] = found["windows"]
    assert (window["agency"], window["categories"]) == ("CPS-1", ["identity"])
    [consent] = found["consents"]
    assert consent["counts"] is True
    assert set(consent["scope"]) == {"CA-1", "SH-1", "LEG-1"}
    [age] = found["matters"]
    assert age["about"] == "age"
    assert age["differ"] is True
    assert [(one["agency"], one["said"]) for one in age["statements"]] == [
        ("NGO-1", "adult"),
        ("POL-1", "disputed"),
    ]
    for region in found["regions"]:
        assert (region["position"] is None) == (region["event"] is None)


def test_then_and_later(place: Path) -> None:
    first = shown(place)["regions"][0]
    assert first["region"] == "case"
    opened = [one for one in shown(place, "--as-of", "20")["regions"] if one["position"]]
    assert {one["region"] for one in opened} <= {"case", "age", "consent"}
    later = shown(place, "--as-of", "2026-03-04")
    assert later["windows"] == []
    [glass] = [one for one in later["regions"] if one["region"] == "break_glass"]
    assert glass["state"] == "awaiting_review"


def test_the_table_reads_and_nothing_of_it_is_content(place: Path) -> None:
    done = show(place, "--as-of", "2026-03-02")
    assert done.code == 0, done.err
    for words in ("rg_positive", "opened", "POL-1", "disputed by an enforcement agency"):
        assert words in done.out
    assert CANARY not in done.out + show(place, "--json").out


def test_what_is_not_there_is_told(place: Path) -> None:
    none = nrm("case", "show", "--case", "C77", "--home", place / "hub")
    assert none.code == 1
    assert "no such case" in none.err
    early = show(place, "--as-of", "2020-01-01")
    assert (early.code, "no such case" in early.err) == (1, True)
    bad = show(place, "--as-of", "yesterday")
    assert bad.code == 1
    assert "give a log position" in bad.err
