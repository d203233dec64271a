"""Whole cases from the agencies' desks to the partners' tables, against what is expected."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from hub.recording.fresh import FreshRows
from hub.scenario import Scenario, Servers, load, run, shipped
from hub.scenario.story import read
from tests.scenarios.completing import completed
from tests.scenarios.stories import consent, corrected, erased, identity, opened, referral, story


def scenario_of(name: str) -> Scenario:
    [scenario] = load(Path(str(resources.files("hub.scenario.shipped").joinpath(f"{name}.json"))))
    return scenario


def played(scenario: Scenario, **servers: Any) -> list[str]:
    """Every difference, as text."""
    with Servers(**servers) as opened_servers:
        result = run(scenario, opened_servers)
    assert list(result.steps) == [event.id for event in scenario.events]
    return [str(one) for one in result.differences]


@pytest.mark.parametrize("name", shipped.ids())
def test_shipped_scenarios_embedded(name: str) -> None:
    assert played(scenario_of(name)) == []


@pytest.mark.kafka
@pytest.mark.postgres
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.deep) if name == "S6" else name  # many persons, long
        for name in shipped.ids()
    ],
)
def test_shipped_scenarios_on_kafka_and_postgresql(
    name: str, kafka_url: str, new_postgres_database: Callable[[], str]
) -> None:
    assert played(scenario_of(name), store=new_postgres_database(), topics=kafka_url) == []


@pytest.mark.parametrize("seed", range(8))
def test_random_stories_equal_the_rules_alone(seed: int) -> None:
    """What the whole road records is what the rules say without any of it; refusals included.

    More of them: python -m tests.scenarios.random --seeds 500
    """
    assert played(read(completed(seed, length=50))) == []


def test_an_erasure_leaves_nothing_at_any_partner() -> None:
    scenario = story(
        "erasure",
        opened(),
        consent({"SH-1": ["identity", "protection", "health", "demographics"]}),
        *referral("SH-1"),
        identity(),
        erased(),
        ("NGO-1", "NeedsAssessed", {"domains": ["medical"], "health_needs": "new"}),
    )
    with Servers() as servers:
        result = run(scenario, servers)
    assert [str(one) for one in result.differences] == []
    recalls = {one["to"]: one["action"] for one in result.steps["e6"]["recalls"]}
    assert recalls == {"AUD-1": "delete", "NGO-1": "delete", "SH-1": "delete"}
    assert result.steps["e7"]["releases"]["SH-1"]["categories"] == ["health", "protection"]


def test_an_embassy_hears_that_its_part_has_ended() -> None:
    scenario = story(
        "embassy",
        opened(),
        consent({"EMB-1": ["case_management"]}),
        *referral("EMB-1"),
        ("NGO-1", "ReferralEnded", {"referral_id": "r1", "outcome": "revoked"}),
        agencies={"NGO-1": "ngo_support", "EMB-1": "embassy"},
    )
    with Servers() as servers:
        result = run(scenario, servers)
    assert [str(one) for one in result.differences] == []
    assert result.steps["e5"]["releases"]["EMB-1"]["categories"] == ["case_management"]


CLAIM = {"claim_ref": "k1", "route": "civil", "amount": "12.50 EUR"}


@pytest.mark.parametrize(
    ("said", "field", "value"),
    [
        (identity(family_name="Wrong"), "family_name", None),  # cleared, in a category of its own
        (("NGO-1", "CaseClosed", {"reason": "inclusion", "retention_until": "2030-01-01",
                                  "outcome_codes": ["x"]}), "outcome_codes", None),  # in its own
        (("NGO-1", "CompensationClaimed", CLAIM), "amount", "99.95 EUR"),
        (("NGO-1", "CompensationClaimed", CLAIM), "amount", 7),
        (("NGO-1", "CompensationClaimed", CLAIM), "amount", None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("joins_later", [False, True])
def test_a_correction_reaches_every_kind_of_field(
    said: tuple[str, str, dict[str, Any]], field: str, value: Any, joins_later: bool
) -> None:
    agencies = {"NGO-1": "ngo_support", "LEG-1": "legal_rep"}
    scope = {"LEG-1": ["identity", "financial"]}
    told = [said, corrected("e3" if joins_later else "e5", field, value)]
    joined = [*referral("LEG-1")]
    middle = [*told, *joined] if joins_later else [*joined, *told]
    scenario = story("correcting", opened(), consent(scope), *middle, agencies=agencies)
    assert played(scenario) == []


def test_a_correction_to_what_the_field_cannot_hold_is_told_and_stops_nothing() -> None:
    scenario = story(
        "unfit",
        opened(),
        consent({"LEG-1": ["identity"]}),
        *referral("LEG-1"),
        identity(date_of_birth="1990-01-01"),
        corrected("e5", "date_of_birth", "some day in spring"),
        identity(family_name="Later"),
        agencies={"NGO-1": "ngo_support", "LEG-1": "legal_rep"},
    )
    found = played(scenario)
    assert "partner: e5 LEG-1: date_of_birth cannot hold what was sent" in found
    assert any("LEG-1" in one and "quarantine" in one for one in found)
    assert not any("e7" in one for one in found), "what comes after it arrives"


@pytest.mark.parametrize(("field", "value"), [("until", "2026-05-01"), ("hold_ref", None)])
def test_a_correction_reaches_a_partner_that_knows_events_by_references_of_its_own(
    field: str, value: Any, tmp_path: Path
) -> None:
    """Hub-attested deliveries: told beside the value, by the partner's own reference."""
    hold = {"hold_ref": "h1", "until": "2026-04-01"}
    scenario = story(
        "attested",
        opened(),
        ("HUB", "RemovalHoldPlaced", hold),
        corrected("e2", field, value),
        agencies={"NGO-1": "ngo_support", "ENF-1": "immigration_enforcement", "HUB": "hub"},
    )
    with Servers() as servers:
        result = run(scenario, servers, home=tmp_path / "home")
    assert [str(one) for one in result.differences] == []
    import sqlite3

    with sqlite3.connect(tmp_path / "home" / "ENF-1" / "partner.db") as database:
        [row] = database.execute("SELECT hold_ref, until FROM removal_hold_placed").fetchall()
    assert row == tuple({**hold, field: value}.values())


CORRECTIONS = [corrected("e2", "family_name", name) for name in ("One", "Two", "Three", "Last")]


@pytest.mark.parametrize("from_the_log", [False, True])
def test_the_last_correction_wins_at_a_partner_that_joins_later(
    from_the_log: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Also if the hub was restarted between deciding and sending, and reads its decision back."""
    if from_the_log:
        monkeypatch.setattr(FreshRows, "after", lambda *_: [])
    scenario = story(
        "backwards",  # under this name the corrections' ids do not sort in their order
        opened(),
        identity(family_name="Wrong"),
        *CORRECTIONS,
        consent({"NGO-2": ["identity"]}),
        *referral("NGO-2"),
    )
    with Servers() as servers:
        result = run(scenario, servers, home=tmp_path / "home")
    assert [str(one) for one in result.differences] == []
    import sqlite3

    with sqlite3.connect(tmp_path / "home" / "NGO-2" / "partner.db") as database:
        assert database.execute("SELECT family_name FROM identity_recorded").fetchall() == [
            ("Last",)
        ]


def test_five_hundred_events_in_seconds() -> None:
    """A few seconds on a quiet machine; the limit is for a very busy one."""
    lines = [opened(), consent({"SH-1": ["protection", "health"]}), *referral("SH-1")]
    lines += [
        ("NGO-1", "NeedsAssessed", {"domains": ["legal"], "health_needs": f"need {number}"})
        for number in range(496)
    ]
    with Servers() as servers:
        result = run(story("long", *lines), servers)
    assert [str(one) for one in result.differences] == []
    assert result.seconds < 60


def test_events_refused_are_reported_with_step_reason_and_guard() -> None:
    scenario = story(
        "refused",
        opened(),
        referral("SH-1")[0],  # no consent: G01
        ("POL-1", "NeedsAssessed", {"domains": ["legal"]}),  # has no part in the case
        ("NGO-1", "CaseOpened", {"channel": "outreach", "age_status": "adult"}),  # field missing
    )
    found = played(scenario)
    assert len(found) == 3
    assert found[0].startswith("refused: e2 NGO-1: refused at step 7: consent_required, guard G01")
    assert found[1].startswith("refused: e3 POL-1: refused at step")
    assert "desk: invalid_event" in found[2]
    assert "jurisdiction" in found[2]


def test_a_refusal_may_be_what_is_expected() -> None:
    scenario = story("expected", opened(), referral("SH-1")[0])
    events = list(scenario.events)

    def expecting(refused: object) -> list[str]:
        from dataclasses import replace

        events[1] = replace(scenario.events[1], expected={"refused": refused})
        return played(replace(scenario, events=tuple(events)))

    assert expecting(True) == []
    assert expecting({"reason": "consent_required", "guard": "G01"}) == []
    [difference] = expecting({"guard": "G02"})
    assert "expected guard G02" in difference


def test_a_profile_of_ones_own_decides(tmp_path: Path) -> None:
    import json

    from hub.domain.policy import default_document

    document = default_document()
    document["version"] = "strict-1"
    document["matrix"]["shelter"]["health"] = "N"
    profile = tmp_path / "strict.json"
    profile.write_text(json.dumps(document), "utf-8")
    scenario = story(
        "profile",
        opened(),
        consent({"SH-1": ["protection", "health"]}),
        *referral("SH-1"),
        ("NGO-1", "NeedsAssessed", {"domains": ["medical"], "health_needs": "none"}),
    )
    with Servers() as servers:
        usual = run(scenario, servers)
        strict = run(scenario, servers, profile=profile)
    assert usual.steps["e5"]["releases"]["SH-1"]["categories"] == ["health", "protection"]
    assert strict.steps["e5"]["releases"]["SH-1"]["categories"] == ["protection"]
    assert strict.steps["e5"]["withheld"] == {"SH-1": {"health": "never_rule"}}
    assert usual.ok
    assert strict.ok
