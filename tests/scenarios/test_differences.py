"""What is not as it should be is found and named: in the file's expectations, and at partners."""

from __future__ import annotations

import copy
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hub.scenario import Servers, judge, run, shipped
from hub.scenario.compare import assertions, holdings, steps
from hub.scenario.story import read
from tests.scenarios.stories import consent, corrected, identity, opened, referral, story


@pytest.fixture(scope="module")
def recorded() -> tuple[dict[str, Any], dict[str, Any], Any]:
    """S1 as shipped, and what a run of it recorded."""
    document = shipped.load("S1")
    with Servers() as servers:
        result = run(read(document), servers)
    assert result.ok
    return document, result.steps, result.holdings


Plant = Callable[[dict[str, Any]], None]


def _release(document: dict[str, Any]) -> None:
    document["events"][6]["expected"]["releases"]["SH-1"]["categories"].append("health")


def _no_release(document: dict[str, Any]) -> None:
    del document["events"][6]["expected"]["releases"]["SH-1"]


def _basis(document: dict[str, Any]) -> None:
    document["events"][8]["expected"]["releases"]["NGO-1"]["basis"] = ["public_task"]


def _reason(document: dict[str, Any]) -> None:
    document["events"][9]["expected"]["withheld"]["SH-1"]["protection"] = "no_consent"


def _backfill(document: dict[str, Any]) -> None:
    document["events"][7]["expected"]["backfill"][0]["events"]["S1.002"] = []


def _recall(document: dict[str, Any]) -> None:
    document["events"][18]["expected"]["recalls"] = []


def _recall_category(document: dict[str, Any]) -> None:
    document["events"][18]["expected"]["recalls"][0]["categories"].remove("contact")


def _action(document: dict[str, Any]) -> None:
    document["events"][18]["expected"]["recalls"][0]["action"] = "delete"


PLANTED: list[tuple[Plant, str]] = [
    (_release, "S1.007 SH-1 health: not released; expected"),
    (_no_release, "S1.007 SH-1 case_management: released; not expected"),
    (_basis, "S1.009 NGO-1: released on consent:c1, public_task; expected public_task"),
    (_reason, "S1.010 SH-1 protection: withheld, not_party; expected withheld, no_consent"),
    (_backfill, "S1.008 SH-1 protection: backfilled from S1.002; not expected"),
    (_recall, "S1.019 POL-1: recalled; not expected"),
    (_recall_category, "S1.019 POL-1 contact: recalled; not expected"),
    (_action, "S1.019 POL-1: recalled to delete_or_restrict; expected delete"),
]


@pytest.mark.parametrize(("plant", "told"), PLANTED, ids=lambda one: getattr(one, "__name__", ""))
def test_a_wrong_expectation_is_found(recorded: Any, plant: Plant, told: str) -> None:
    document, found, _ = recorded
    changed = copy.deepcopy(document)
    plant(changed)
    assert f"expected: {told}" in [str(one) for one in steps(read(changed), found)]
    assert list(steps(read(document), found)) == []


def test_lists_of_an_expectation_are_sets(recorded: Any) -> None:
    document, found, _ = recorded
    changed = copy.deepcopy(document)
    for event in changed["events"]:
        for released in event["expected"]["releases"].values():
            released["categories"].reverse()
            released["basis"] += released["basis"]
        event["expected"]["recalls"].reverse()
    assert list(steps(read(changed), found)) == []


def test_wrong_final_holdings_are_found(recorded: Any) -> None:
    document, _, held = recorded
    expected = copy.deepcopy(document["final_holdings"])
    assert list(holdings(expected, held)) == []
    del expected["C1"]["POL-1"]["decision"]
    expected["C1"]["IMMENF"]["identity"] = ["public_task"]
    told = [str(one) for one in holdings(expected, held)]
    assert told == [
        "holdings: IMMENF identity: case C1: nothing; expected public_task",
        "holdings: POL-1 decision: case C1: consent:c1; expected nothing",
    ]


@pytest.mark.parametrize(
    ("assertion", "true"),
    [
        (["never", "IMMENF", "identity"], True),
        (["never", "IMMENF", "removal_hold"], False),
        (["never", "IMMENF", "removal_hold", "C2"], True),
        (["holds", "SH-1", "health", "C1"], True),
        (["holds", "POL-1", "health"], False),
        (["event_release", "S1.009", "NGO-1", "location_safe"], True),
        (["event_release", "S1.009", "NGO-1", "location_safe", False], False),
        (["backfill", "S1.008", "SH-1", "identity", True], True),
        (["backfill", "S1.008", "SH-1", "decision"], False),
        (["recall", "S1.019", "POL-1"], True),
        (["recall", "S1.019", "CA-1", False], True),
        (["recall", "S1.019", "CA-1"], False),
        (["holds", "SH-1"], False),
        (["recall", "S1.999", "CA-1"], False),
        (["forever", "CA-1"], False),
        ([], False),
    ],
)
def test_assertions(recorded: Any, assertion: list[Any], true: bool) -> None:
    document, found, held = recorded
    scenario = read({**document, "assertions": [assertion]})
    assert (list(assertions(scenario, found, held)) == []) is true


# -- partners ----------------------------------------------------------------------------------

STORY = story(
    "tampered",
    opened(),
    consent({"SH-1": ["identity", "protection", "health"], "POL-1": ["protection"]}),
    *referral("SH-1"),
    identity(given_name="Right"),
    corrected("e5", "given_name", "Corrected"),
    ("NGO-1", "NeedsAssessed", {"domains": ["medical"], "health_needs": "insulin"}),
    ("NGO-1", "ConsentWithdrawn", {
        "consent_id": "c1", "extent": "categories", "categories": ["health"], "leave_nrm": False,
    }),
)  # fmt: skip


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of a good run."""
    home = tmp_path_factory.mktemp("kept") / "home"
    with Servers() as servers:
        result = run(STORY, servers, home=home)
    assert [str(one) for one in result.differences] == []
    return home


TAMPERING = [
    ("UPDATE identity_recorded SET given_name = 'Other'", "given_name is not what was sent"),
    ("UPDATE identity_recorded SET given_name = NULL", "given_name is not what was sent"),
    ("UPDATE needs_assessed SET health_needs = 'insulin'", "health_needs holds a value"),
    ("DELETE FROM needs_assessed", "lacks what it was released"),
    ("UPDATE needs_assessed SET case_ref = 'nc-0'", "case_ref is not what was sent"),
    ("UPDATE needs_assessed SET bases = '{}'", "bases is not what was sent"),
    ("ALTER TABLE needs_assessed ADD COLUMN extra TEXT DEFAULT 'x'", "extra is no column"),
    ("CREATE TABLE copies AS SELECT * FROM needs_assessed", "a table copies"),
    (
        "INSERT INTO needs_assessed (event_ref, case_ref, subject_ref, occurred_at, received_at, "
        "sequence, categories, bases) SELECT 'other', case_ref, subject_ref, occurred_at, "
        "received_at, sequence, categories, bases FROM needs_assessed",
        "holds a row of needs_assessed it was not given",
    ),
    ("DELETE FROM nrm_holding WHERE category = 'identity'", "is not in nrm_holding"),
    ("UPDATE nrm_holding SET basis = 'public_task'", "held on public_task; released on"),
    (
        "INSERT INTO nrm_holding SELECT event_ref, 'health', basis, event_type, case_ref, sequence "
        "FROM nrm_holding WHERE event_type = 'NeedsAssessed'",
        "stands in nrm_holding; not released or recalled",
    ),
    ("DELETE FROM nrm_timeline", "nrm_timeline and what was released differ"),
    ("UPDATE nrm_timeline SET agency = 'POL-1'", "nrm_timeline: agency is not what was sent"),
    ("UPDATE nrm_case SET events = 1", "nrm_case does not list"),
    ("DELETE FROM nrm_evidence", "lacks the agency's evidence"),
    ("UPDATE nrm_connector_state SET last_sequence = 1", "has applied [1]"),
    (
        "INSERT INTO nrm_restricted SELECT event_ref, 'health', 1, 'insulin' FROM needs_assessed",
        "was kept restricted, not deleted",
    ),
    (
        "INSERT INTO nrm_quarantine (sequence, digest, reason, detail, event_ref, raw, arrived_at, "
        "state) VALUES (9, '', 'box_unopenable', '', '', x'00', '', 'waiting')",
        "sequence 9 is in quarantine: box_unopenable",
    ),
    ("UPDATE nrm_correction SET event_ref = 'recalled'", "a correction was kept"),
]


@pytest.mark.parametrize(("statement", "told"), TAMPERING, ids=lambda one: one[:40])
def test_a_tampered_partner_is_found(kept: Path, tmp_path: Path, statement: str, told: str) -> None:
    partner = kept / "SH-1" / "partner.db"
    before = tmp_path / "before.db"
    with sqlite3.connect(partner) as source, sqlite3.connect(before) as copy_of_it:
        source.backup(copy_of_it)
    with sqlite3.connect(partner) as database:
        assert database.execute("SELECT count(*) FROM needs_assessed").fetchone() == (1,)
        database.execute(statement)
    try:
        found = judge(STORY, kept)
    finally:
        with sqlite3.connect(before) as source, sqlite3.connect(partner) as restored:
            source.backup(restored)
    partners = [one for one in found.differences if one.kind == "partner"]
    assert any(told in one.what for one in partners), [str(one) for one in found.differences]
    assert {one.agency for one in partners} == {"SH-1"}


def test_an_untouched_home_is_judged_good_again(kept: Path) -> None:
    assert [str(one) for one in judge(STORY, kept).differences] == []


def test_a_result_is_json_that_reads_like_the_file(recorded: Any) -> None:
    document, _, _ = recorded
    with Servers() as servers:
        result = run(read({**document, "events": document["events"][:8]}), servers)
    told = json.loads(json.dumps(result.as_dict()))
    assert [event["id"] for event in told["events"]] == [f"S1.00{n}" for n in range(1, 9)]
    seventh = told["events"][6]
    assert seventh["t"] == "2026-03-02T12:10:00Z"
    assert {name: seventh[name] for name in document["events"][6]["expected"]} == {
        **document["events"][6]["expected"],
        "releases": {
            "SH-1": {
                "categories": ["case_management", "protection"],
                "basis": ["consent:c1", "public_task"],
            }
        },
    }
