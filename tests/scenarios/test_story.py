"""Files from elsewhere: any shape the format allows is read, and mistakes are named with place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hub.scenario import shipped
from hub.scenario.story import ScenarioError, load, read
from tests.scenarios.stories import corrected, document, identity, opened


def written(tmp_path: Path, value: Any) -> Path:
    path = tmp_path / "file.json"
    path.write_text(value if isinstance(value, str) else json.dumps(value), "utf-8")
    return path


def test_a_file_holds_one_scenario_or_several(tmp_path: Path) -> None:
    one, other = shipped.load("S1"), shipped.load("S7")
    assert [s.id for s in load(written(tmp_path, one))] == ["S1"]
    both = {"note": "two", "scenarios": [one, other]}
    assert [s.id for s in load(written(tmp_path, both))] == ["S1", "S7"]
    assert [s.id for s in load(written(tmp_path, [one, other]))] == ["S1", "S7"]


def test_what_may_be_left_out() -> None:
    bare = document("bare", opened())
    del bare["id"]
    del bare["events"][0]["id"]
    scenario = read(bare, name="file")
    [event] = scenario.events
    assert (scenario.id, event.id) == ("file", "file.001")
    assert (event.subject, event.case) == ("C1", "C1")
    assert event.expected is None
    assert scenario.final_holdings is None


def test_the_hub_takes_part_when_it_publishes() -> None:
    told = document("hub", opened(), ("HUB", "RemovalHoldPlaced", {}))
    del told["agencies"]["HUB"]
    scenario = read(told)
    assert scenario.agencies["HUB"] == "hub"
    assert "HUB" not in scenario.recipients


def test_ids_on_the_wire_are_derived_and_references_follow() -> None:
    told = document("refs", opened(), identity(), corrected("e2", "gender", "M"))
    first, second = read(told), read(told)
    assert [e.uuid for e in first.events] == [e.uuid for e in second.events]
    assert first.events[2].data["corrects_event"] == str(first.events[1].uuid)
    other = read({**told, "id": "others"})
    assert first.events[1].uuid != other.events[1].uuid


def test_a_reference_to_nothing_of_the_file_stays_as_it_is() -> None:
    told = document("refs", opened(), ("SH-1", "RecallAnswered", {"recall_ref": "auto"}))
    assert read(told).events[1].data == {"recall_ref": "auto"}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"agencies": {}}, "`agencies`"),
        ({"agencies": {"N 1": "ngo_support"}}, "agency 'N 1'"),
        ({"agencies": {"NGO-1": 7}}, "agency 'NGO-1'"),
        ({"events": []}, "`events`"),
        ({"events": ["x"]}, "event 1"),
        ({"events": [{"id": "e1", "t": "now"}]}, "e1: case, agency, type, data missing"),
        ({"assertions": {"never": 1}}, "`assertions`"),
        ({"final_holdings": []}, "`final_holdings`"),
    ],
)
def test_mistakes_are_named(change: dict[str, Any], told: str) -> None:
    with pytest.raises(ScenarioError) as wrong:
        read({**document("wrong", opened()), **change})
    assert told in str(wrong.value)
    assert "wrong" in str(wrong.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"t": "yesterday"}, "`t`"),
        ({"agency": "XX-9"}, "agency 'XX-9' is not in agencies"),
        ({"data": []}, "`data`"),
        ({"expected": []}, "`expected`"),
    ],
)
def test_mistakes_of_an_event_are_named(change: dict[str, Any], told: str) -> None:
    wrong = document("wrong", opened())
    wrong["events"][0].update(change)
    with pytest.raises(ScenarioError) as error:
        read(wrong)
    assert told in str(error.value)
    assert "e1" in str(error.value)


def test_two_of_the_same_id(tmp_path: Path) -> None:
    twice = document("twice", opened(), identity())
    twice["events"][1]["id"] = "e1"
    with pytest.raises(ScenarioError, match="two events have the id 'e1'"):
        read(twice)
    one = document("same", opened())
    with pytest.raises(ScenarioError, match="two scenarios have the id 'same'"):
        load(written(tmp_path, [one, one]))


@pytest.mark.parametrize("text", ["", "{", "[]", "7", '"text"', "{}"])
def test_not_a_scenario_file(tmp_path: Path, text: str) -> None:
    with pytest.raises(ScenarioError, match=r"file\.json"):
        load(written(tmp_path, text))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="cannot be read"):
        load(tmp_path / "none.json")


def test_a_time_without_a_zone_is_utc() -> None:
    told = document("zone", opened())
    told["events"][0]["t"] = "2026-03-02T09:00:00"
    assert read(told).events[0].at.isoformat() == "2026-03-02T09:00:00+00:00"
    told["events"][0]["t"] = "2026-03-02T09:00:00+02:00"
    assert read(told).events[0].at.isoformat() == "2026-03-02T07:00:00+00:00"
